"""A label map on the grid of a scan: voxel for voxel where they are the same, else the nearest voxel, and said so.

Labels come slice by slice, and a slice is made once and forgotten soon: no second volume is ever built.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from medcolor.errors import GeometryError
from medcolor.geometry import Geometry, Space
from medcolor.scan import Finding, KAxis, Scan, Severity, to_slices
from medcolor.tissue_map import Segmentation

Labels = NDArray[np.uint16]
SliceOf = Callable[[int], Labels]
"""k -> the labels of that slice of the scan, (nj, ni)."""

_SAME = 0.01  # of a voxel: closer than that, two grids are one


@dataclass(frozen=True, slots=True)
class Placed:
    """Labels on the grid of a scan, and what a user should know about how they got there."""

    slice_of: SliceOf
    findings: tuple[Finding, ...]


def place(segmentation: Segmentation, scan: Scan) -> Placed:
    """Bring labels to the grid of a scan.

    Raises
    ------
    GeometryError
        The frames of reference differ, the places cannot be compared, or no label is within the scan.
    """
    _require_one_world(segmentation, scan)
    labels, grid, target = to_slices(segmentation.labels), segmentation.geometry, scan.geometry
    between = np.linalg.inv(grid.affine) @ target.affine
    if grid.shape == target.shape and grid.space == target.space and _gap(between, np.eye(4), target) < _SAME:
        return Placed(lambda k: labels[k], ())
    _require_world_coordinates(segmentation, scan)
    _require_overlap(segmentation, scan, between)
    whole = np.rint(between)
    is_permutation = np.array_equal(np.abs(whole[:3, :3]) @ np.ones(3), np.ones(3)) and abs(np.linalg.det(whole)) == 1
    exact = bool(is_permutation and _gap(between, whole, target) < _SAME)
    slice_of = _nearest(labels, whole if exact else between, target)
    grids = f"{grid.describe()}; the scan has {target.describe()}"
    if exact:
        text = f"The label map has other bounds or axes than the scan; its voxels coincide with the scan's ({grids})."
        return Placed(slice_of, (Finding("labels-reordered", text, Severity.NOTE),))
    text = f"The label map is on another grid and was resampled to the nearest voxel ({grids})."
    return Placed(slice_of, (Finding("labels-resampled", text),))


def _gap(first: NDArray[np.float64], second: NDArray[np.float64], target: Geometry) -> float:
    """Largest distance, in voxels of the label map, between two maps of the corners of the scan."""
    corners = np.array([[*c, 1] for c in product(*[(0, n - 1) for n in target.shape])], dtype=np.float64)
    return float(np.abs(corners @ (first - second).T).max())


def _require_one_world(segmentation: Segmentation, scan: Scan) -> None:
    theirs = str(scan.source.headers[0].get("FrameOfReferenceUID") or "").strip() if scan.source.headers else ""
    if segmentation.frame_of_reference and theirs and segmentation.frame_of_reference != theirs:
        raise GeometryError(
            "The segmentation and the scan have different frames of reference: their positions cannot be compared. "
            "Give the segmentation of this scan, or one that was registered to it."
        )


def _require_world_coordinates(segmentation: Segmentation, scan: Scan) -> None:
    grid, target = segmentation.geometry, scan.geometry
    both = f"{grid.describe()} ({grid.space}) against {target.describe()} ({target.space})"
    if grid.space is not Space.PATIENT or target.space is not Space.PATIENT:
        raise GeometryError(
            f"The label map is not on the grid of the scan, and without a position in the patient on both sides it "
            f"cannot be brought there: {both}. Give a label map of the scan's own size and spacing."
        )
    if scan.irregular or scan.k_axis is not KAxis.SPACE:
        raise GeometryError(
            f"The slices of this scan are not evenly spaced in the patient, so labels of another grid cannot be "
            f"brought to it: {both}. Give a label map with one slice for each of the scan."
        )


def _require_overlap(segmentation: Segmentation, scan: Scan, between: NDArray[np.float64]) -> None:
    labels = to_slices(segmentation.labels)
    planes = np.zeros(labels.shape[1:], np.bool_)
    used = np.zeros(len(labels), np.bool_)
    for k, block in enumerate(labels):
        inside = block > 0
        used[k] = inside.any()
        planes |= inside
    if not used.any():
        return
    spans = [np.flatnonzero(a)[[0, -1]] for a in (planes.any(axis=0), planes.any(axis=1), used)]
    corners = np.array([[*c, 1] for c in product(*spans)], dtype=np.float64) @ np.linalg.inv(between).T
    low, high = corners[:, :3].min(axis=0), corners[:, :3].max(axis=0)
    if (high < -0.5).any() or (low > np.array(scan.shape) - 0.5).any():
        raise GeometryError(
            f"No label is within the scan: {segmentation.geometry.describe()} against {scan.geometry.describe()}, at "
            "another place in the patient. Is this the label map of this scan?"
        )


def _nearest(labels: Labels, between: NDArray[np.float64], target: Geometry) -> SliceOf:
    nk, nj, ni = labels.shape
    i, j = np.arange(target.shape[0]), np.arange(target.shape[1])
    flat = labels.reshape(-1) if labels.flags.c_contiguous else None

    def slice_of(k: int) -> Labels:
        index = np.zeros((target.shape[1], target.shape[0]), np.intp)
        inside = np.ones(index.shape, np.bool_)
        for row, size, stride in zip(between, (ni, nj, nk), (1, ni, ni * nj), strict=False):
            place = row[0] * i[None, :] + (row[1] * j[:, None] + (row[2] * k + row[3]))
            nearest = np.floor(np.round(place, 6) + 0.5).astype(np.intp)  # halves go one way, whatever the last bits
            inside &= (nearest >= 0) & (nearest < size)
            index += np.clip(nearest, 0, size - 1) * stride
        found = flat.take(index) if flat is not None else labels[np.unravel_index(index, labels.shape)]
        found[~inside] = 0
        return np.asarray(found, dtype=np.uint16)

    return slice_of
