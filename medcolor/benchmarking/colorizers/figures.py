"""The figures of the table as plain functions of arrays; ``docs/review/README.md`` defines them in words.

``rgb`` is what is shown, uint8 (n, nj, ni, 3); ``lab`` its CIELAB; a target is the same of the target colours. Figures
of pictures look at whole slices, figures of colour at pixels inside the body, given as (pixels, channels).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from medcolor.vision import Deficiency, separability

if TYPE_CHECKING:
    from torch import Tensor

Floats = NDArray[np.floating]
Bytes = NDArray[np.uint8]

NO_ERROR = 100.0  # dB; what a picture without any error counts
SSIM_WINDOW, SSIM_SIGMA = 11, 1.5
THRESHOLD, AB_PER_L = 2.0, 2.2  # Nazeri: 2 % of each axis
FARTHEST = 150  # the last threshold of the AuC
BIN = 10.0  # side of the bins of (a*, b*) that rebalancing counts in, as in Zhang 2016
SMOOTHING = 5.0  # standard deviation in (a*, b*) of their prior, as in Zhang 2016
RAREST = 1e-3  # a colour rarer than this counts as if it were this frequent
_SIDE = 26  # bins from -130 to 130
FEWEST = 50  # pixels of a tissue below which its colour is not looked at
SUREST = 0.8


def psnr(rgb: Bytes, target: Bytes) -> float:
    """Return the peak signal-to-noise ratio in dB of some slices together, 8-bit sRGB; NO_ERROR where they agree."""
    import torch
    from monai.metrics.regression import PSNRMetric

    found = PSNRMetric(max_val=255.0)(*(torch.from_numpy(x.astype(np.float32))[None] for x in (rgb, target)))
    return min(float(torch.as_tensor(found)), NO_ERROR)


def ssim(rgb: Bytes, target: Bytes) -> float:
    """Return the mean structural similarity, each channel of each slice; NaN for slices smaller than its window."""
    import torch
    from monai.metrics.regression import SSIMMetric

    if min(rgb.shape[1:3]) < SSIM_WINDOW:
        return float("nan")
    metric = SSIMMetric(2, data_range=255.0, win_size=SSIM_WINDOW, kernel_sigma=SSIM_SIGMA)
    planes = (torch.from_numpy(np.moveaxis(x, -1, 1).astype(np.float32)) for x in (rgb, target))
    return float(torch.as_tensor(metric(*planes)).mean())


def mean_absolute(values: NDArray[np.generic], target: NDArray[np.generic]) -> float:
    """Return the mean absolute difference over everything; NaN without anything."""
    difference = np.abs(values.astype(np.float32) - target.astype(np.float32))
    return float(difference.mean(dtype=np.float64)) if difference.size else float("nan")


def within(lab: Floats, target: Floats, *, threshold: float = THRESHOLD) -> float:
    """Return the share of pixels whose rounded L*, a* and b* are all within t, 2.2 t and 2.2 t (Nazeri 2018)."""
    if not len(lab):
        return float("nan")
    limits = np.array([threshold, AB_PER_L * threshold, AB_PER_L * threshold])
    return float((np.abs(np.rint(lab) - np.rint(target)) <= limits).all(axis=-1).mean())


def area_under_curve(ab: Floats, target: Floats, weights: Floats | None = None) -> float:
    """Return the AuC of Zhang 2016: the share of pixels within a distance, integrated over distances 0, 1, ..., 150.

    By the trapezoid rule, over 150. A pixel at distance d adds a curve of its own, 0 below ceil(d) and 1 from there
    on, so its area has a closed form and nothing is binned. ``weights`` rebalance.
    """
    if not len(ab):
        return float("nan")
    reached = np.ceil(np.linalg.norm(ab.astype(np.float64) - target, axis=-1))
    area = np.where(reached == 0, FARTHEST, FARTHEST - reached + 0.5)
    area = np.where(reached > FARTHEST, 0, area) / FARTHEST
    return float(np.average(area, weights=weights))


def color_bins(ab: Floats) -> NDArray[np.intp]:
    """Return the bin of each (a*, b*), (...)."""
    place = np.clip(np.rint(np.asarray(ab) / BIN).astype(np.intp) + _SIDE // 2, 0, _SIDE)
    return np.asarray(place[..., 0] * (_SIDE + 1) + place[..., 1], dtype=np.intp)


def rebalancing(counts: NDArray[np.integer]) -> NDArray[np.float64]:
    """Return the weight of each bin, one over its smoothed share, from counts (bins,)."""
    from scipy.ndimage import gaussian_filter

    plane = counts.reshape(_SIDE + 1, _SIDE + 1).astype(np.float64)
    share = gaussian_filter(plane, SMOOTHING / BIN, mode="constant").reshape(-1)
    return 1 / np.maximum(share / max(share.sum(), 1e-12), RAREST)


def bin_counts(ab: Floats) -> NDArray[np.int64]:
    """Count colours (pixels, 2) by bin, (bins,)."""
    return np.bincount(color_bins(ab), minlength=(_SIDE + 1) ** 2)


def colorfulness(rgb: Bytes) -> float:
    """Return Hasler and Süsstrunk's colourfulness, signed opponent values: sigma + 0.3 mu; the mean over slices."""
    red, green, blue = np.moveaxis(rgb.astype(np.float64), -1, 0)
    opponents = [red - green, (red + green) / 2 - blue]
    spread = np.sqrt(sum(plane.var(axis=(1, 2)) for plane in opponents))
    level = np.sqrt(sum(plane.mean(axis=(1, 2)) ** 2 for plane in opponents))
    return float(np.mean(spread + 0.3 * level))


def color_histogram(rgb: Bytes) -> Tensor:
    """Return HistoGAN's log-chroma histogram of each slice, (n, 3, 64, 64)."""
    import torch

    from medcolor.networks.log_chroma import log_chroma_histogram

    return log_chroma_histogram(torch.from_numpy(np.moveaxis(rgb, -1, 1).astype(np.float32)) / 255)


def histogram_distance(histogram: Tensor, target: Tensor) -> float:
    """Return the Hellinger distance of log-chroma histograms, 0 to 1; the mean over slices."""
    from medcolor.networks.log_chroma import hellinger

    return float(hellinger(histogram, target).mean())


def tissue_colors(ab: Floats, labels: NDArray[np.integer]) -> dict[int, Floats]:
    """Return the (a*, b*) of the pixels (pixels, 2) of each tissue that has enough of them, by class number."""
    counts = np.bincount(labels) if len(labels) else np.zeros(0, np.int64)
    return {int(n): ab[labels == n] for n in np.flatnonzero(counts >= FEWEST)}


def spread_inside(tissues: Mapping[int, Floats]) -> float:
    """Return the root mean square distance in (a*, b*) from a tissue's mean colour, averaged over tissues."""
    if not tissues:
        return float("nan")
    return float(np.mean([np.sqrt(np.var(ab, axis=0, dtype=np.float64).sum()) for ab in tissues.values()]))


def separation(tissues: Mapping[int, Floats]) -> dict[str, float]:
    """Return the smallest CIEDE2000 between consecutive tissues' mean colours, for each kind of eye.

    At L* of 30, 50 and 70, as palettes are judged; NaN with fewer than two tissues.
    """
    eyes: list[Deficiency | None] = [None, *Deficiency]
    if len(tissues) < 2:
        return {eye_name(eye): float("nan") for eye in eyes}
    means = np.stack([tissues[n].mean(axis=0, dtype=np.float64) for n in sorted(tissues)])
    return {eye_name(eye): float(separability(means, eye).min()) for eye in eyes}


def eye_name(eye: Deficiency | None) -> str:
    """Return "normal", or the deficiency's name."""
    return "normal" if eye is None else str(eye.value)


def risk_area(error: Floats, doubt: Floats) -> float:
    """Return the area under the risk-coverage curve over the mean error: below 1 where doubt knows the errors.

    The risk at a coverage is the mean error of the surest pixels; the curve is averaged over all coverages.
    """
    if not error.size or not (overall := error.mean(dtype=np.float64)) > 0:
        return float("nan")
    sorted_error = error[np.argsort(doubt, kind="stable")].astype(np.float64)
    return float((np.cumsum(sorted_error) / np.arange(1, error.size + 1)).mean() / overall)


DEFINITIONS: Mapping[str, tuple[str, int]] = MappingProxyType(
    {
        "psnr": ("PSNR, dB", 2),
        "ssim": ("SSIM", 3),
        "mae_rgb": ("MAE RGB, of 255", 2),
        "mae_ab": ("MAE ab", 2),
        "within_2": ("within t = 2, %", 1),
        "auc": ("AuC, %", 2),
        "auc_rebalanced": ("AuC rebalanced, %", 2),
        "ciede2000": ("CIEDE2000", 2),
        "ciede2000_p95": ("CIEDE2000 p95", 2),
        "colorfulness": ("colourfulness", 1),
        "colorfulness_difference": ("its difference", 1),
        "hellinger": ("Hellinger", 3),
        "lightness_drift": ("raw L* drift", 2),
        "jitter": ("jitter", 2),
        "jitter_target": ("jitter of the target", 2),
        "spread": ("spread inside a tissue", 2),
        "spread_target": ("spread of the target", 2),
        "separability_normal": ("separability", 1),
        "separability_protan": ("protan", 1),
        "separability_deutan": ("deutan", 1),
        "separability_tritan": ("tritan", 1),
        "compensated_protan": ("protan, compensated", 1),
        "compensated_deutan": ("deutan, compensated", 1),
        "compensated_tritan": ("tritan, compensated", 1),
        "risk_area": ("risk-coverage area", 3),
        "risk_80": ("risk of the surest 80 %", 3),
    }
)
"""Figure -> heading and digits, in the order of the table."""
