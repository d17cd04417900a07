"""Hints: somebody says what a voxel is, and the colours around it follow, guided by the gray.

A hint spreads along a geodesic distance: steps cost their length, and more where the gray differs from that at the
hint, so a hint fills what looks alike and stops at edges. No network is asked; equal hints give equal bytes. What
changes is the probability of classes (or, for a hint of a colour, the colour mixed in): pixels are painted under the
colour law as always.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from medcolor.errors import SettingError

REACH = 40.0
"""mm a hint spreads where the gray does not differ."""
TOLERANCE = 14.0
"""Display gray levels that may differ before a hint hesitates."""

_SAME = 0.5  # of the tolerance: gray that differs less is the same
_EDGE = 0.5  # mm of gray that differs by one and a half tolerances wear a hint out
_WALL = 2.0  # of the reach, that one mm costs at most
_SWEEPS = 12  # rounds at most; few are needed
_SETTLED = 0.005  # of the reach: changes below are none
_FADE = 0.6  # share of its reach where a hint begins to fade
_SMOOTH = 0.7  # pixels; noise of single pixels is no edge
_OFTEN = 4  # how sharply the nearer of two hints wins


@dataclass(frozen=True, slots=True)
class Hint:
    """What somebody says of a voxel.

    Parameters
    ----------
    voxel : tuple of int
        (i, j, k).
    tissue : str or None
        Name of a class of the palette.
    ab : tuple of float or None
        A colour instead: a*, b*. One of the two.
    reach : float
        mm, more than 0 and at most 500.
    tolerance : float
        Display gray levels, 1 to 255.
    """

    voxel: tuple[int, int, int]
    tissue: str | None = None
    ab: tuple[float, float] | None = None
    reach: float = REACH
    tolerance: float = TOLERANCE

    def __post_init__(self) -> None:
        if (self.tissue is None) == (self.ab is None):
            raise SettingError("A hint names a tissue class or a colour: one of the two.")
        if not 0 < self.reach <= 500:
            raise SettingError(f"A hint reaches more than 0 and at most 500 mm, not {self.reach:g}.")
        if not 1 <= self.tolerance <= 255:
            raise SettingError(f"The tolerance of a hint is 1 to 255 gray levels, not {self.tolerance:g}.")
        if self.ab is not None and not (np.isfinite(self.ab).all() and max(map(abs, self.ab)) <= 128):
            raise SettingError(f"The a* and b* of a hint must be finite and within ±128, got {self.ab}.")

    def to_json(self) -> dict[str, object]:
        """Return what belongs into a provenance."""
        meant: dict[str, object] = {"tissue": self.tissue} if self.ab is None else {"ab": list(self.ab)}
        return {"voxel": list(self.voxel), "reach_mm": self.reach, "tolerance": self.tolerance, **meant}


@dataclass(frozen=True, slots=True, eq=False)
class Spread:
    """How far a hint is from the voxels around it, in shares of its reach.

    Attributes
    ----------
    corner : tuple of int
        (j, i) of the window's first voxel.
    distances : dict
        Slice -> float16 (rows, columns): 0 at the hint, 1 where it ends; infinite beyond.
    """

    corner: tuple[int, int]
    distances: dict[int, NDArray[np.float16]]

    def into(self, k: int, out: NDArray[np.float32]) -> None:
        """Lower ``out`` (nj, ni) to this hint's distance in a slice."""
        found = self.distances.get(k)
        if found is not None:
            part = out[self.window(found.shape)]
            np.minimum(part, found, out=part)

    def window(self, shape: Sequence[int]) -> tuple[slice, slice]:
        """Return where the window lies in a slice."""
        j, i = self.corner
        return slice(j, j + shape[0]), slice(i, i + shape[1])


def spread(
    hint: Hint,
    gray_of: Callable[[int], NDArray[np.uint8]],
    spacing: tuple[float, float, float],
    count: int,
    *,
    check: Callable[[], None] | None = None,
    first: Spread | None = None,
) -> Spread:
    """Return how far a hint reaches, in its slice and from there up and down.

    Parameters
    ----------
    hint : Hint
    gray_of : callable
        Slice -> display gray (nj, ni).
    spacing : tuple of float
        Of i, j and k, in mm; an infinite one keeps a hint in its slice.
    count : int
        Slices.
    check : callable, optional
        Called before each slice: raise from it to give up.
    first : Spread, optional
        What :func:`spread_in_slice` returned: saves its slice.
    """
    begun = first or spread_in_slice(hint, gray_of(hint.voxel[2]), spacing)
    across = spacing[2] / hint.reach
    i, j, k = hint.voxel
    level = _smoothed(gray_of(k), begun, begun.distances[k].shape)[j - begun.corner[0], i - begun.corner[1]]
    distances = dict(begun.distances)
    for direction in (1, -1):
        before, number = begun.distances[k].astype(np.float32), k + direction
        while 0 <= number < count and float(before.min()) + across < 1:
            if check is not None:
                check()
            cost = _cost(_smoothed(gray_of(number), begun, before.shape), float(level), hint)
            own = before + cost * np.float32(spacing[2])
            _sweep(own, cost, spacing)
            if float(own.min()) >= 1:
                break
            distances[number] = _ended(own)
            before, number = own, number + direction
    return Spread(begun.corner, distances)


def spread_in_slice(hint: Hint, gray: NDArray[np.uint8], spacing: tuple[float, float, float]) -> Spread:
    """Return how far a hint reaches in its own slice, (nj, ni) of gray."""
    i, j, k = hint.voxel
    nj, ni = gray.shape
    rows, columns = ceil(hint.reach / spacing[1]), ceil(hint.reach / spacing[0])
    top, left = max(j - rows, 0), max(i - columns, 0)
    begun = Spread((top, left), {})
    shape = min(j + rows + 1, nj) - top, min(i + columns + 1, ni) - left
    smooth = _smoothed(gray, begun, shape)
    distance = np.full(shape, np.inf, np.float32)
    distance[j - top, i - left] = 0
    _sweep(distance, _cost(smooth, float(smooth[j - top, i - left]), hint), spacing)
    begun.distances[k] = _ended(distance)
    return begun


def weight(distance: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return how much a hint counts at a distance: 1 up to 0.6 of its reach, then smoothly down to 0."""
    t = np.clip((1 - distance) / np.float32(1 - _FADE), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


def shares(distances: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return how much each of several hints counts at each voxel.

    Parameters
    ----------
    distances : ndarray of float32, (hints, ...)

    Returns
    -------
    ndarray of float32, (hints, ...)
        The sum is the weight of the nearest; it is divided by nearness.
    """
    near = np.power(np.minimum(distances, 2) + np.float32(1e-3), -_OFTEN)
    near[~(distances < 1)] = 0
    total = np.maximum(near.sum(axis=0), np.float32(1e-12))
    return np.asarray(near / total * weight(distances.min(axis=0)), np.float32)


def _smoothed(gray: NDArray[np.uint8], begun: Spread, shape: Sequence[int]) -> NDArray[np.float32]:
    from scipy import ndimage

    part = gray[begun.window(shape)].astype(np.float32)
    return np.asarray(ndimage.gaussian_filter(part, _SMOOTH, mode="nearest"))


def _cost(smooth: NDArray[np.float32], level: float, hint: Hint) -> NDArray[np.float32]:
    """Return what a mm costs at each pixel beside its length, in shares of the reach."""
    differs = np.abs(smooth - np.float32(level)) / np.float32(hint.tolerance)
    differs = np.maximum(differs - np.float32(_SAME), 0)
    cost = differs * differs / np.float32(_EDGE) + np.float32(1 / hint.reach)
    return np.asarray(np.minimum(cost, np.float32(_WALL)), np.float32)  # sums stay exact to a thousandth


def _ended(distance: NDArray[np.float32]) -> NDArray[np.float16]:
    return np.where(distance < 1, distance, np.inf).astype(np.float16)


def _sweep(distance: NDArray[np.float32], cost: NDArray[np.float32], spacing: tuple[float, float, float]) -> None:
    """Lower distances, in place, by going along rows, columns and both diagonals, forth and back.

    A step between neighbours costs the mean of both, times its length: the geodesic distance on a grid of eight
    neighbours, as far as paths do not turn more often than there are sweeps.
    """
    padded, steps = _padded(distance, np.inf), _padded(cost * np.float32(np.hypot(spacing[0], spacing[1])), 0)
    straight = [(distance, _way(cost * np.float32(spacing[1]))), (distance.T, _way((cost * np.float32(spacing[0])).T))]
    slanted = [(_slanted(padded, turn), _way(_slanted(steps, turn))) for turn in (-1, 1)]
    for _ in range(_SWEEPS):
        before = distance.copy()
        for array, way in straight:
            _run(array, way)
        for array, way in slanted:
            padded[:] = np.inf
            padded[:, _middle(distance)] = distance
            _run(array, way)
            distance[:] = padded[:, _middle(distance)]
        changed = before > distance + np.float32(_SETTLED)
        if not (changed & (distance < 1)).any():
            return


def _middle(array: NDArray[np.float32]) -> slice:
    return slice(len(array), len(array) + array.shape[1])


def _padded(array: NDArray[np.float32], value: float) -> NDArray[np.float32]:
    """Return an array with room for its diagonals on both sides."""
    rows, columns = array.shape
    out = np.full((rows, columns + 2 * rows), value, np.float32)
    out[:, _middle(array)] = array
    return out


def _slanted(padded: NDArray[np.float32], turn: int) -> NDArray[np.float32]:
    """View a padded array so that its columns are diagonals: element (r, c) is that at (r, c + turn * r)."""
    rows, columns = padded.shape
    first = 0 if turn > 0 else rows - 1  # the last row is reached from here without leaving its padding
    start = padded[:, first:] if first else padded
    across, along = padded.strides
    return np.lib.stride_tricks.as_strided(start, (rows, columns - rows), (across + turn * along, along))


def _way(step: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return how far the middle of each pixel is from the top, along its column."""
    return np.asarray(np.cumsum(step, axis=0) - step / 2, np.float32)


def _run(distance: NDArray[np.float32], way: NDArray[np.float32]) -> None:
    """Carry distances down and up columns: the least over all pixels of what they are plus the way from there."""
    carried = distance - way
    np.minimum.accumulate(carried, axis=0, out=carried)
    carried += way
    np.minimum(distance, carried, out=distance)
    np.add(distance, way, out=carried)
    np.minimum.accumulate(carried[::-1], axis=0, out=carried[::-1])
    carried -= way
    np.minimum(distance, carried, out=distance)


__all__ = ["REACH", "TOLERANCE", "Hint", "Spread", "shares", "spread", "spread_in_slice", "weight"]
