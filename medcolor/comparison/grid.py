"""The grid of a study: every slice on a square of the same side, smaller where the data are, never enlarged."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from medcolor.comparison.tasks import Masks, Subject, Task
from medcolor.geometry import Geometry
from medcolor.scan import Scan, from_slices, to_slices

MULTIPLE = 16  # of the side: the networks halve it four times


def side_for(task: Task, size: int) -> int:
    """Return the side of the square that the slices of a task are brought to, at most ``size``.

    It is no more than the longest side of any image needs.
    """
    longest = max(max(subject.scan.shape[:2]) for subject in task.subjects())
    return min(MULTIPLE * math.ceil(longest / MULTIPLE), MULTIPLE * max(size // MULTIPLE, 1))


def on_grid(subject: Subject, side: int) -> Subject:
    """Return a patient with slices of (side, side): reduced evenly where larger, then filled up with no image.

    Values are means of the area a pixel covers, still in their units; labels are those of most of that area.
    """
    return Subject(subject.patient, subject.split, lambda: _brought(subject.scan, subject.masks, side))


def _brought(scan: Scan, masks: Masks, side: int) -> tuple[Scan, Masks]:
    ni, nj, nk = scan.shape
    factor = max(ni, nj, side) / side
    wide, high = max(round(ni / factor), 1), max(round(nj / factor), 1)
    values = to_slices(scan.voxels)
    there = ~scan.padded(slice(None))
    if factor > 1:
        rows, columns = _overlaps(nj, high), _overlaps(ni, wide)
        reduced = _reduced(values, rows, columns)  # integers stay integers: what is 8-bit is displayed as stored
        values = np.rint(reduced).astype(values.dtype) if values.dtype.kind in "iu" else reduced.astype(np.float32)
        there = _reduced(there, rows, columns) > 0.5
        labels = [0, *np.unique(masks[masks > 0]).tolist()]
        shares = np.stack([_reduced(masks == label, rows, columns) for label in labels])
        masks = np.array(labels, np.uint8)[shares.argmax(axis=0)]
    top, left = (side - high) // 2, (side - wide) // 2
    inner = (slice(None), slice(top, top + high), slice(left, left + wide))
    block = np.full((nk, side, side), values.min() if values.size else 0, values.dtype)
    padding = np.ones(block.shape, np.bool_)
    out = np.zeros(block.shape, np.uint8)
    block[inner], padding[inner], out[inner] = values, ~there, masks
    affine = scan.geometry.affine.copy()
    across, down = ni / wide, nj / high  # sides are whole pixels, so the two differ a little from the factor
    first = scan.geometry.index_to_world([(across - 1) / 2 - left * across, (down - 1) / 2 - top * down, 0])
    affine[:3, :2] *= across, down
    affine[:3, 3] = first
    geometry = Geometry((side, side, nk), affine, scan.geometry.space)
    rgb = None if scan.rgb is None else _colors(to_slices(scan.rgb), (nk, side, side), inner, factor, (high, wide))
    moved = replace(
        scan,
        voxels=from_slices(block),
        geometry=geometry,
        padding=from_slices(padding) if padding.any() else None,
        rgb=rgb,
        colored=None,
    )
    return moved, out


def _colors(
    rgb: NDArray[np.uint8],
    shape: tuple[int, int, int],
    inner: tuple[slice, slice, slice],
    factor: float,
    size: tuple[int, int],
) -> NDArray[np.uint8]:
    out = np.zeros((*shape, 3), np.uint8)
    if factor > 1:
        rows, columns = _overlaps(rgb.shape[1], size[0]), _overlaps(rgb.shape[2], size[1])
        rgb = np.stack([np.rint(_reduced(rgb[..., c], rows, columns)) for c in range(3)], axis=-1).astype(np.uint8)
    out[inner] = rgb
    return from_slices(out)


def _overlaps(large: int, small: int) -> NDArray[np.float64]:
    """Return how much of each of ``large`` cells lies in each of ``small`` ones, (small, large), rows summing to 1."""
    edges = np.linspace(0, large, small + 1)
    cells = np.arange(large)
    covered = np.minimum(edges[1:, None], cells + 1) - np.maximum(edges[:-1, None], cells)
    covered = np.maximum(covered, 0)
    return covered / covered.sum(axis=1, keepdims=True)


def _reduced(
    values: NDArray[np.generic], rows: NDArray[np.float64], columns: NDArray[np.float64]
) -> NDArray[np.float64]:
    return np.asarray(rows @ values.astype(np.float64) @ columns.T)


__all__ = ["MULTIPLE", "on_grid", "side_for"]
