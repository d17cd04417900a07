"""Where the frames of a DICOM Segmentation are: one grid, and the slice of each frame."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medcolor.errors import GeometryError, ReadCode, ReadError
from medcolor.geometry import Geometry, Space
from medcolor.io.caps import check_size
from medcolor.io.dicom import header
from medcolor.io.dicom.pixels import MAX_FRAMES

_SAME_PLANE = 0.01  # mm
_UNEVEN = 0.1  # of the distance between slices


@dataclass(frozen=True, slots=True)
class SegGrid:
    """Where the frames are: the grid, and the slice of each frame."""

    geometry: Geometry
    slices: list[int]


def seg_grid(ds: Any, frames: int, sides: tuple[int, int], path: Path) -> SegGrid:
    """Build the grid from the positions of the frames; slices without a frame are empty ones.

    Raises
    ------
    ReadError
        Frames do not say where they are, or do not lie on one evenly spaced grid of a sane size.
    """
    positions, axes, spacing, step = [], None, None, math.nan
    for frame in range(frames):
        position = _numbers(ds, frame, "PlanePositionSequence", "ImagePositionPatient", 3)
        orientation = _numbers(ds, frame, "PlaneOrientationSequence", "ImageOrientationPatient", 6)
        measures = _numbers(ds, frame, "PixelMeasuresSequence", "PixelSpacing", 2)
        if frame == 0:
            axes, spacing, step = orientation, measures, _slice_step(ds)
        elif not (_alike(axes, orientation) and _alike(spacing, measures)):
            raise ReadError(path, ReadCode.UNSUPPORTED_PIXEL, "frames differ in orientation or pixel size.")
        if position is not None:
            positions.append(position)
    if axes is None or spacing is None or len(positions) != frames:
        return _flat_grid(ds, frames, sides, spacing, path)
    return _stacked(np.array(positions), np.array(axes), spacing, step, sides, path)


def _numbers(ds: Any, frame: int, macro: str, keyword: str, count: int) -> list[float] | None:
    group = header.functional_group(ds, frame, macro)
    found = [] if group is None else header.numbers(group, keyword)
    return found if len(found) == count and all(map(math.isfinite, found)) else None


def _alike(first: list[float] | None, second: list[float] | None) -> bool:
    if first is None or second is None:
        return first is second
    return max(abs(a - b) for a, b in zip(first, second, strict=True)) < 1e-4


def _slice_step(ds: Any) -> float:
    group = header.functional_group(ds, 0, "PixelMeasuresSequence")
    sizes = [header.number(group, word) for word in ("SpacingBetweenSlices", "SliceThickness")] if group else []
    return next((abs(s) for s in sizes if s is not None and math.isfinite(s) and s), math.nan)


def _flat_grid(ds: Any, frames: int, sides: tuple[int, int], spacing: list[float] | None, path: Path) -> SegGrid:
    """Build the grid of a SEG on a projection: no pose, one slice."""
    segments = [header.functional_group(ds, f, "SegmentIdentificationSequence") for f in range(frames)]
    numbers = [None if s is None else header.integer(s, "ReferencedSegmentNumber") for s in segments]
    if len(set(numbers)) != frames:
        raise ReadError(
            path, ReadCode.MISSING_ATTRIBUTE, "frames do not say where they are, and a segment has more than one."
        )
    size = (1.0, 1.0, 1.0) if spacing is None else (spacing[1], spacing[0], 1.0)
    space = Space.PIXEL if spacing is None else Space.DETECTOR
    return SegGrid(Geometry.from_spacing((*sides, 1), size, space), [0] * frames)


def _stacked(
    positions: NDArray[np.float64],
    axes: NDArray[np.float64],
    spacing: list[float],
    step: float,
    sides: tuple[int, int],
    path: Path,
) -> SegGrid:
    row, column = axes[:3], axes[3:]
    normal = np.cross(row, column)
    depth = positions @ normal
    first = int(np.argmin(depth))
    levels = np.sort(depth)
    gaps = np.diff(levels)
    gaps = gaps[gaps > _SAME_PLANE]
    through = normal * (step if math.isfinite(step) else 1.0)
    places = np.zeros(len(depth), dtype=np.int64)
    if gaps.size:
        step = step if math.isfinite(step) and _fits(depth - levels[0], step) else float(gaps.min())
        if not _fits(depth - levels[0], step):
            raise ReadError(path, ReadCode.UNSUPPORTED_PIXEL, "the slices of the segmentation are not evenly spaced.")
        places = np.rint((depth - levels[0]) / step).astype(np.int64)
        last = int(np.argmax(depth))
        through = (positions[last] - positions[first]) / places[last]
    away = np.abs(positions - positions[first] - places[:, None] * through).max()
    if away > max(0.1 * min(spacing), _SAME_PLANE):
        raise ReadError(path, ReadCode.UNSUPPORTED_PIXEL, "frames do not lie on one grid.")
    shape = (*sides, int(places.max()) + 1)
    if shape[2] > MAX_FRAMES:
        reason = f"the slices span {shape[2]} places of {abs(step):.3g} mm; up to {MAX_FRAMES} are read."
        raise ReadError(path, ReadCode.TOO_LARGE, reason)
    check_size(path, shape, 2)
    affine = np.eye(4)
    affine[:3, :3] = np.column_stack([row * spacing[1], column * spacing[0], through])
    affine[:3, 3] = positions[first]
    try:
        return SegGrid(Geometry.from_lps(shape, affine), places.tolist())
    except GeometryError as error:
        raise ReadError(path, ReadCode.CORRUPT, "position, orientation and pixel size give no grid.") from error


def _fits(depth: NDArray[np.float64], step: float) -> bool:
    places = depth / step
    return step > _SAME_PLANE and float(np.abs(places - np.rint(places)).max()) < _UNEVEN
