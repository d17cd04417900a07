"""Colours for labels that nobody gave one: as far apart as (a*, b*) allows, and the same every time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from medcolor.cielab import delta_e_2000, shrink_to_gamut
from medcolor.vision import LIGHTNESS_LEVELS

_HUES, _CHROMAS = 72, (28.0, 42.0, 56.0, 70.0)  # below 28 a colour is hard to tell from the gray of the background


def complete_colors(labels: Sequence[int], given: Mapping[int, tuple[float, float]]) -> dict[int, tuple[float, float]]:
    """Return a colour for every label.

    Parameters
    ----------
    labels : sequence of int
        In the order they choose.
    given : Mapping of int to (a*, b*)
        Kept as they are.

    Returns
    -------
    dict
        Each label without a colour takes the candidate whose smallest CIEDE2000 to gray and to all colours taken so far
        is largest; differences are means over L* 30, 50 and 70, after gamut shrinking. No randomness; given colours
        count whether or not their label comes first.
    """
    colors = {n: given[n] for n in labels if n in given}
    missing = [n for n in labels if n not in given]
    if missing:
        angle = np.radians(np.arange(_HUES) * 360 / _HUES)
        ring = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
        candidates = np.concatenate([chroma * ring for chroma in _CHROMAS]).round(2)
        seen = _seen(candidates)
        nearest = np.full(len(candidates), np.inf)
        for taken in [(0.0, 0.0), *colors.values()]:
            nearest = np.minimum(nearest, _distance(seen, _seen(np.array([taken]))))
        for label in missing:
            best = int(np.argmax(np.round(nearest, 6)))  # rounded: the last bits of a machine do not choose
            colors[label] = (float(candidates[best, 0]), float(candidates[best, 1]))
            nearest = np.minimum(nearest, _distance(seen, seen[:, best : best + 1]))
    return {n: colors[n] for n in labels}


def _seen(ab: NDArray[np.float64]) -> NDArray[np.float64]:
    """Lab (levels, K, 3) of colours shrunk into the gamut at each level."""
    lightness = np.array(LIGHTNESS_LEVELS)[:, None]
    shown = shrink_to_gamut(lightness, ab[None])
    return np.concatenate([np.broadcast_to(lightness, shown.shape[:-1])[..., None], shown], axis=-1)


def _distance(seen: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(delta_e_2000(seen, other).mean(axis=0), dtype=np.float64)
