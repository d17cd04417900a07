"""The figures a colorizer is judged by, as plain functions of arrays.

Colour errors are CIEDE2000 between colours as they are shown: (a*, b*) under the colour law at the display gray, so
chroma that sRGB cannot show at this lightness counts for nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from medcolor.cielab import delta_e_2000, gray_to_lightness, rgb_to_lab
from medcolor.color import apply_color

Floats = NDArray[np.floating]
Gray = NDArray[np.uint8]
Mask = NDArray[np.bool_]

BINS = 15
STILL_LIGHTNESS = 4.0  # |dL*| below which gray counts as unchanged between two slices, as in the feasibility study
EDGE_RADIUS = 3
CHROMA_STEP = 10.0  # side of a bin of the (a*, b*) plane, as in Zhang 2016


def expected_ab(posteriors: Floats, palette_ab: ArrayLike) -> NDArray[np.float32]:
    """Return the palette's annealed mean (T = 1/2, as the colorizers use), (..., 2) for posteriors (K, ...)."""
    squared = np.square(np.asarray(posteriors, np.float32))
    squared /= np.maximum(squared.sum(axis=0), 1e-12)
    return np.tensordot(squared, np.asarray(palette_ab, np.float32), axes=(0, 0))


def shown(gray: Gray, ab: Floats) -> Floats:
    """Return CIELAB (..., 3) of a gray image (...) given the colour ``ab`` (..., 2) under the colour law."""
    return rgb_to_lab(apply_color(gray, ab)).astype(np.float32)


def color_error(gray: Gray, ab: Floats, target_ab: Floats) -> Floats:
    """Return CIEDE2000 (...) between two colourings (..., 2) of one display gray (...)."""
    return delta_e_2000(shown(gray, ab), shown(gray, target_ab))


def posterior_dice(posteriors: Floats, target: Floats) -> NDArray[np.float64]:
    """Return soft Dice 2 sum(p t) / (sum(p^2) + sum(t^2)) of each class.

    Parameters
    ----------
    posteriors, target : ndarray of float, (K, pixels)

    Returns
    -------
    ndarray of float64, (K,)
        1 for equal posteriors; NaN where the class is nowhere the target's most probable one.
    """
    p, t = (np.asarray(x, np.float64).reshape(len(x), -1) for x in (posteriors, target))
    exists = np.bincount(t.argmax(axis=0), minlength=len(t)) > 0
    both = (p * p).sum(axis=1) + (t * t).sum(axis=1)
    return np.where(exists, 2 * (p * t).sum(axis=1) / np.maximum(both, 1e-12), np.nan)


@dataclass(frozen=True, slots=True)
class Calibration:
    """Counts of a reliability diagram, which add over slices and patients.

    Parameters
    ----------
    count, confidence, hit : ndarray of float64, (bins,)
        Pixels in each bin of the largest posterior, and the sums of that posterior and of the hits.
    """

    count: NDArray[np.float64]
    confidence: NDArray[np.float64]
    hit: NDArray[np.float64]

    def __add__(self, other: Calibration) -> Calibration:
        return Calibration(self.count + other.count, self.confidence + other.confidence, self.hit + other.hit)

    @property
    def error(self) -> float:
        """Expected calibration error: mean over pixels of |confidence - hits| of their bin; NaN without pixels."""
        total = self.count.sum()
        return float(np.abs(self.confidence - self.hit).sum() / total) if total else float("nan")


def calibration(posteriors: Floats, target: Floats, *, soft: bool = False, bins: int = BINS) -> Calibration:
    """Bin the largest posterior against how often its class is right.

    Parameters
    ----------
    posteriors, target : ndarray of float, (K, pixels)
    soft : bool
        False: a hit is the target's most probable class. True: a hit counts as the target's posterior of the class
        chosen, the fair measure where the target itself is undecided (partial volume).
    bins : int
        Of equal width over 0..1.
    """
    chosen = posteriors.argmax(axis=0)
    confidence = np.take_along_axis(posteriors, chosen[None], axis=0)[0].astype(np.float64)
    if soft:
        hits = np.take_along_axis(target, chosen[None], axis=0)[0].astype(np.float64)
    else:
        hits = (chosen == target.argmax(axis=0)).astype(np.float64)
    place = np.clip((confidence * bins).astype(np.int64), 0, bins - 1)
    return Calibration(
        np.bincount(place, minlength=bins).astype(np.float64),
        np.bincount(place, weights=confidence, minlength=bins).astype(np.float64),
        np.bincount(place, weights=hits, minlength=bins).astype(np.float64),
    )


def risk_coverage(error: Floats, confidence: Floats, *, coverage: float = 0.8) -> float:
    """Return the mean error of the most confident part over the mean error of all; below 1 where confidence helps.

    NaN without pixels or without error. Ties are broken by position, which favours nobody.
    """
    risk, trust = np.asarray(error, np.float64).ravel(), np.asarray(confidence, np.float64).ravel()
    overall = risk.mean() if risk.size else 0.0
    if overall <= 0:
        return float("nan")
    kept = np.argsort(-trust, kind="stable")[: max(1, round(coverage * risk.size))]
    return float(risk[kept].mean() / overall)


def still_pixels(gray: Gray, next_gray: Gray, labels: NDArray[np.integer], next_labels: NDArray[np.integer]) -> Mask:
    """Tell where neither class nor gray changes between two neighbouring slices."""
    lightness = gray_to_lightness()
    return (labels == next_labels) & (np.abs(lightness[gray] - lightness[next_gray]) < STILL_LIGHTNESS)


def flicker(ab: Floats, next_ab: Floats, still: Mask) -> float:
    """Return the mean change of (a*, b*) between two slices on still pixels; NaN where there are none."""
    if not still.any():
        return float("nan")
    return float(np.linalg.norm((next_ab - ab)[still], axis=-1).mean())


def chroma_hellinger(ab: Floats, other_ab: Floats, *, step: float = CHROMA_STEP) -> float:
    """Return the Hellinger distance of two sets of colours, each a histogram over the (a*, b*) plane.

    Parameters
    ----------
    ab, other_ab : ndarray of float, (pixels, 2)
    step : float
        Side of a bin.

    Returns
    -------
    float
        sqrt(1 - sum sqrt(p q)), 0 (the same) to 1 (no common bin); NaN without pixels.
    """
    if not len(ab) or not len(other_ab):
        return float("nan")
    edges = np.arange(-130.0, 130.0 + step, step)
    shares = []
    for colors in (ab, other_ab):
        points = np.clip(np.asarray(colors, np.float64), -129, 129)
        shares.append(np.histogram2d(points[:, 0], points[:, 1], bins=[edges, edges])[0] / len(points))
    p, q = shares
    return float(np.sqrt(max(0.0, 1.0 - np.sqrt(p * q).sum())))


def chroma_drift(ab: Floats, other_ab: Floats) -> float:
    """Return the distance of two mean colours, in (a*, b*) steps; NaN without pixels."""
    if not len(ab) or not len(other_ab):
        return float("nan")
    return float(np.linalg.norm(ab.mean(axis=0, dtype=np.float64) - other_ab.mean(axis=0, dtype=np.float64)))


def near_edges(labels: NDArray[np.integer], *, radius: int = EDGE_RADIUS) -> Mask:
    """Tell which pixels (n, nj, ni) lie within ``radius`` pixels (in plane) of a border between target classes."""
    from scipy import ndimage

    edge = np.zeros(labels.shape, np.bool_)
    for axis in (1, 2):
        low, high = (
            np.take(labels, range(labels.shape[axis] - 1), axis),
            np.take(labels, range(1, labels.shape[axis]), axis),
        )
        differs = low != high
        index = [slice(None)] * 3
        for part in (slice(0, -1), slice(1, None)):
            index[axis] = part
            edge[tuple(index)] |= differs
    distance = [
        ndimage.distance_transform_edt(~plane) if plane.any() else np.full(plane.shape, np.inf) for plane in edge
    ]
    return np.stack(distance) < radius


def quarter_resolution(ab: Floats, *, factor: int = 4) -> NDArray[np.float32]:
    """Reduce colour (n, nj, ni, 2) by area means and bring it back bilinearly: what a coarse network cannot beat."""
    import torch
    from torch.nn import functional

    planes = torch.from_numpy(np.ascontiguousarray(np.moveaxis(np.asarray(ab, np.float32), -1, 1)))
    height, width = planes.shape[-2:]
    padded = functional.pad(planes, (0, -width % factor, 0, -height % factor), mode="replicate")
    coarse = functional.avg_pool2d(padded, factor)
    fine = functional.interpolate(coarse, size=padded.shape[-2:], mode="bilinear", align_corners=False)
    return np.moveaxis(fine[..., :height, :width].numpy(), 1, -1)


def auroc(inside: ArrayLike, outside: ArrayLike) -> float:
    """Return the area under the ROC curve of an out-of-domain score.

    Parameters
    ----------
    inside, outside : array_like of float
        Scores of scans that belong and of pictures that do not; higher means further out. Ties count one half.

    Returns
    -------
    float
        Probability that a random outsider scores above a random insider (Mann-Whitney); NaN when one side is empty.
    """
    from scipy.stats import rankdata

    a, b = (np.asarray(x, np.float64).ravel() for x in (inside, outside))
    if not a.size or not b.size:
        return float("nan")
    ranks = rankdata(np.concatenate([a, b]))
    return float((ranks[a.size :].sum() - b.size * (b.size + 1) / 2) / (a.size * b.size))
