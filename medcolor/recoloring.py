"""Recolouring for deficient colour vision where colours come from no palette: the whole (a*, b*) plane at once.

As in Kuhn 2008, the colours that occur are quantized, the few that stand for them are moved apart for the eye in
question, and every other colour follows those it lies between. Where a network learned a palette, the palette's
colours are those few, and every scan is recoloured alike. Lightness belongs to the scan, so colours move in (a*, b*)
alone: each dominant colour is turned and stretched around gray, and in between both are interpolated by hue and
chroma. Gray stays gray, a paler shade of a colour becomes the paler shade of what that colour became, and one table
serves all pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from medcolor.cielab import lab_to_xyz, linear_to_xyz, shrink_to_gamut, xyz_to_lab, xyz_to_linear
from medcolor.color import ab_index
from medcolor.color_table import HALF, NODES, STEP
from medcolor.palettes import Palette, with_cvd
from medcolor.vision import Deficiency, compensate, parse_cvd, simulate_linear

AT_MOST = 8
"""Dominant colours."""

_GRAYISH = 5.0  # chroma below which a colour is no colour
_APART = 12.0  # (a*, b*) steps below which two colours are one
_ROUNDS = 20
_HUE = 40.0  # (a*, b*) steps that one radian of hue counts as, at any chroma
_CHROMA = 0.5  # of a step of chroma
_NEAR = 1.0  # squared steps: at a dominant colour its own turn is all that counts
_MIDDLE = 50.0  # L* at which colours are put in the order in which an eye sees them


@dataclass(frozen=True, slots=True, eq=False)
class Recoloring:
    """Colours in, colours for another eye out.

    Attributes
    ----------
    table : ndarray of float32, (nodes, 2)
        a*, b* for each node of the colour law's plane.
    colors, moved : ndarray of float64, (K, 2)
        The dominant colours, and what became of them.
    """

    table: NDArray[np.float32]
    colors: NDArray[np.float64]
    moved: NDArray[np.float64]

    def __call__(self, ab: ArrayLike) -> NDArray[np.float32]:
        """Return what becomes of colours (..., 2), to the nearest node of the colour law."""
        return self.table[ab_index(ab)]


def count_colors(ab: ArrayLike) -> NDArray[np.int64]:
    """Return how often each node of the colour law's plane occurs in colours (..., 2); sums may be added up."""
    return np.bincount(ab_index(ab).reshape(-1), minlength=NODES * NODES)


def dominant_colors(counts: NDArray[np.int64], at_most: int = AT_MOST) -> NDArray[np.float64]:
    """Return the colours that stand for all that occur, (K, 2) with K <= ``at_most``; gray is none.

    A weighted k-means over the nodes, without randomness; a rare colour counts by the root of its pixels, so that a
    small structure keeps a colour of its own.

    Parameters
    ----------
    counts : ndarray of int, (nodes,)
        Of :func:`count_colors`.
    at_most : int
    """
    places = np.flatnonzero(counts)
    points = _plane()[places]
    colorful = np.hypot(*points.T) >= _GRAYISH
    points, weights = points[colorful], np.sqrt(counts[places][colorful].astype(np.float64))
    if not len(points):
        return np.zeros((0, 2))
    chosen = [int(np.argmax(weights))]
    nearest = _squared(points, points[chosen[0]])
    while len(chosen) < at_most and nearest.max() >= _APART**2:
        chosen.append(int(np.argmax(np.where(nearest >= _APART**2, weights * nearest, 0))))
        nearest = np.minimum(nearest, _squared(points, points[chosen[-1]]))
    centers = points[chosen]
    for _ in range(_ROUNDS):
        near = np.stack([_squared(points, center) for center in centers]).argmin(axis=0)
        mass = np.bincount(near, weights, len(centers))
        sums = np.stack([np.bincount(near, weights * axis, len(centers)) for axis in points.T], axis=1)
        moved = np.where(mass[:, None] > 0, sums / np.maximum(mass, 1e-12)[:, None], centers)
        if np.array_equal(moved, centers):
            break
        centers = moved
    kept: list[NDArray[np.float64]] = []
    for place in np.argsort(-np.bincount(near, weights, len(centers)), kind="stable"):
        if all(_squared(centers[place], other) >= _APART**2 for other in kept):
            kept.append(centers[place])
    return np.stack(kept)


def recoloring_of_palette(palette: Palette, cvd: str) -> Recoloring | None:
    """Return the table for colours that a network learned from a palette: classes move as the palette's own do.

    Parameters
    ----------
    palette : Palette
    cvd : str
        As for :func:`recoloring`.

    Returns
    -------
    Recoloring or None
        None where nothing changes.
    """
    moved = with_cvd(palette, cvd)
    if moved.sha256 == palette.sha256:
        return None
    pairs = [
        (before.ab, after.ab) for before, after in zip(palette.classes, moved.classes, strict=True) if any(before.ab)
    ]
    colors, targets = (np.array(side, np.float64) for side in zip(*pairs, strict=True))
    return Recoloring(_table(colors, targets), colors, targets)


def recoloring(counts: NDArray[np.int64], cvd: str) -> Recoloring | None:
    """Return the table that keeps colours that come from no palette apart for a colour-vision deficiency.

    Parameters
    ----------
    counts : ndarray of int, (nodes,)
        Of :func:`count_colors`.
    cvd : str
        "protan", "deutan" or "tritan", optionally with a severity: "deutan:0.6".

    Returns
    -------
    Recoloring or None
        None where nothing changes: severity 0, or fewer than two colours occur.

    Raises
    ------
    UnknownColorizerError, PaletteError
        As :func:`medcolor.vision.parse_cvd`.

    References
    ----------
    Kuhn, Oliveira, Fernandes (2008), IEEE TVCG 14(6), 1747-1754; by degree as in Zhu and others (2022).
    """
    kind, severity = parse_cvd(cvd)
    colors = dominant_colors(counts)
    if severity == 0 or len(colors) < 2:
        return None
    colors = colors[_order(colors, kind, severity)]  # neighbours are those that this eye confuses
    moved = compensate(colors, kind, severity)
    return Recoloring(_table(colors, moved), colors, moved)


def _order(colors: NDArray[np.float64], kind: Deficiency, severity: float) -> NDArray[np.intp]:
    """Return colours in the order in which an eye sees them along the direction in which it sees most."""
    shown = shrink_to_gamut(np.full(len(colors), _MIDDLE), colors)
    lab = np.concatenate([np.full((len(colors), 1), _MIDDLE), shown], axis=1)
    seen = simulate_linear(np.clip(xyz_to_linear(lab_to_xyz(lab)), 0, 1), kind, severity)
    ab = xyz_to_lab(linear_to_xyz(np.clip(seen, 0, 1)))[:, 1:]
    centered = ab - ab.mean(axis=0)
    (aa, mixed), (_, bb) = centered.T @ centered
    angle = 0.5 * np.arctan2(2 * mixed, aa - bb)  # of the principal axis
    along = centered @ np.array([np.cos(angle), np.sin(angle)])
    return np.argsort(np.round(along, 6), kind="stable")


def _table(colors: NDArray[np.float64], moved: NDArray[np.float64]) -> NDArray[np.float32]:
    """Turn and stretch each node as the dominant colours near it were."""
    nodes = _plane()
    chroma, hue = np.hypot(*nodes.T), np.arctan2(nodes[:, 1], nodes[:, 0])
    own_chroma, own_hue = np.hypot(*colors.T), np.arctan2(colors[:, 1], colors[:, 0])
    turns = _wrapped(np.arctan2(moved[:, 1], moved[:, 0]) - own_hue)
    stretches = np.log(np.maximum(np.hypot(*moved.T), 1e-3) / own_chroma)
    total, turn, stretch = (np.zeros(len(nodes)) for _ in range(3))
    for c, h, t, s in zip(own_chroma, own_hue, turns, stretches, strict=True):
        gap = (_CHROMA * (chroma - c)) ** 2 + (_HUE * _wrapped(hue - h)) ** 2
        weight = 1 / (gap + _NEAR) ** 2
        total += weight
        turn += weight * t
        stretch += weight * s
    hue += turn / total
    chroma *= np.exp(stretch / total)
    return np.stack([chroma * np.cos(hue), chroma * np.sin(hue)], axis=1).astype(np.float32)


def _plane() -> NDArray[np.float64]:
    axis = np.arange(-HALF, HALF + 1) * STEP
    return np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)


def _wrapped(angle: NDArray[np.float64]) -> NDArray[np.float64]:
    return (angle + np.pi) % (2 * np.pi) - np.pi


def _squared(points: NDArray[np.float64], to: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(((points - to) ** 2).sum(axis=-1))


__all__ = ["AT_MOST", "Recoloring", "count_colors", "dominant_colors", "recoloring", "recoloring_of_palette"]
