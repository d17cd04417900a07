"""Scans as nobody has them, so that a network that corrects physics learns where to leave it alone.

Another contrast, another organ: what a training set does not hold, a network takes for a degraded version of what it
does hold, and corrects what was right. Some of its samples are therefore made strange, and their target is what physics
says of them as they are. What strange looks like is drawn at random; ``benchmarks/unlike_training.py`` measures on
other things, but for the turned contrast, which is of a kind that is drawn here.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from medcolor.scan import Scan, from_slices, to_slices
from medcolor.tissue.model import valid
from medcolor.training.degradations import Chance
from medcolor.windowing import display_bounds

_KNOTS = 6  # of the curve
_LEAST_FALL = 0.35  # of the window, that a strange curve falls somewhere: no gamma does
_BACKGROUND = 0.04  # of the window: what is darker stays dark
_ENLARGED = (1.6, 4.0)


def unlike(scan: Scan, chance: Chance) -> Scan:
    """Return a scan with its gray on a curve that rises and falls, or flipped and a part of it enlarged, or both.

    Parameters
    ----------
    scan : Scan
    chance : Chance

    Returns
    -------
    Scan
        On the same grid, float32.
    """
    low, high = display_bounds(scan)
    values, good = to_slices(scan.voxels).astype(np.float32), valid(scan, slice(None))
    gray = (np.nan_to_num(values, nan=low) - np.float32(low)) / np.float32(high - low)
    out: NDArray[np.float32] = gray
    curved, moved = ((True, False), (True, True), (False, True))[chance.randint(3)]
    if curved:
        strange = np.interp(gray, np.linspace(_BACKGROUND, 1, _KNOTS), _curve(chance)).astype(np.float32)
        dark = gray >= 1 - _BACKGROUND if scan.inverted else gray <= _BACKGROUND
        out = np.where(dark, gray, strange + np.maximum(gray - 1, 0)).astype(np.float32)
    if moved:
        out = _elsewhere(out, chance)
    out = np.float32(low) + np.float32(high - low) * out
    if good is not None:
        out[~good] = np.nan
    return replace(scan, voxels=from_slices(out))


def _curve(chance: Chance) -> NDArray[np.float64]:
    """Return heights of the curve that fall somewhere by much, one in three all the way."""
    falling = chance.uniform() < 1 / 3
    while True:
        heights = chance.uniform(0.05, 1.0, _KNOTS)
        heights = np.sort(heights)[::-1] if falling else heights
        if np.min(heights - np.maximum.accumulate(heights)) <= -_LEAST_FALL:
            return np.asarray(heights)


def _elsewhere(gray: NDArray[np.float32], chance: Chance) -> NDArray[np.float32]:
    """Return slices upside down or not, mirrored or not, and a part of them enlarged to all of it."""
    from scipy import ndimage

    _, nj, ni = gray.shape
    factor = float(chance.uniform(*_ENLARGED))
    j, i = (float(chance.uniform(0, n - n / factor)) for n in (nj, ni))
    turned = gray[:, :: int(chance.choice([-1, 1])), :: int(chance.choice([-1, 1]))]
    rows, columns = j + np.arange(nj) / factor, i + np.arange(ni) / factor
    grid = np.meshgrid(rows, columns, indexing="ij")
    return np.stack([ndimage.map_coordinates(plane, grid, order=1, mode="nearest") for plane in turned])


__all__ = ["unlike"]
