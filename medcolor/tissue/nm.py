"""Nuclear medicine: uptake relative to the body background, planar or tomographic.

Counts are Poisson: noise grows with the root of the signal. Values are smoothed after Anscombe's transform, in which
noise is the same everywhere, and the steps between classes are wider where counts are few.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medcolor.scan import Scan
from medcolor.tissue.mixture import otsu
from medcolor.tissue.model import CLASSES, TableModel, values_of
from medcolor.tissue.regions import Mask, reduced, reduction, region_lookup, sample
from medcolor.tissue.uptake import body_mask, codes_of, log_bins, uptake_tables

EDGES = (1.6, 3.0, 6.0, 12.0)  # times the background
FAINT = 0.25  # of the background
_FLOOR, _CEILING = 0.02, 200.0


def build(scan: Scan) -> TableModel:
    """Fit the NM model."""
    factor = reduction(scan.shape, 512)
    small = anscombe_smoothed(np.maximum(reduced(scan, factor), 0))
    background, body = _background(small)
    counts = background if "count" in scan.units.lower() or scan.units == "arbitrary" else 100.0
    # After smoothing over about 2 pi sigma^2 = 14 pixels a level of n counts varies by 1 / sqrt(14 n).
    width = float(np.clip(np.hypot(0.35, 4 / np.sqrt(14 * max(counts, 0.1))), 0.35, 1.2))

    def bins(block: slice) -> NDArray[np.uint16]:
        smooth = anscombe_smoothed(np.maximum(values_of(scan, block), 0))
        return log_bins(smooth / np.float32(background), _FLOOR, _CEILING)

    tables = uptake_tables(EDGES, width=width, faint=FAINT, floor=_FLOOR, ceiling=_CEILING)
    return TableModel(CLASSES["NM"], tables, region_lookup(scan, codes_of(body), factor), bins)


def anscombe_smoothed(counts: NDArray[np.float32]) -> NDArray[np.float32]:
    """Smooth each slice after Anscombe's variance-stabilizing transform (1948); sigma 1.5 pixels."""
    from scipy import ndimage

    roots = np.sqrt(counts + np.float32(0.375))
    sigma = min(1.5, min(counts.shape[1:]) / 8)
    roots = ndimage.gaussian_filter(roots, (0, sigma, sigma), truncate=3.0)
    return np.maximum(roots * roots - np.float32(0.375), 0)


def _background(small: NDArray[np.float32]) -> tuple[float, Mask]:
    """Return the level of ordinary tissue and the body mask: the lower half of what is clearly not air."""
    positive = sample(small[small > 0], 500_000)
    if positive.size == 0:
        return 1.0, np.ones(small.shape, dtype=bool)
    typical = otsu(np.log(positive.astype(np.float64) + 0.02 * float(positive.mean())))
    threshold = float(np.exp(typical)) - 0.02 * float(positive.mean())
    threshold = max(threshold, 1e-12)
    for _ in range(10):
        inside = sample(small[small > threshold], 500_000)
        if inside.size == 0:
            break
        background = float(np.percentile(inside, 40))
        if abs(FAINT * background - threshold) < 0.02 * threshold:
            break
        threshold = FAINT * background
    inside = small[small > threshold]
    background = float(np.percentile(sample(inside, 500_000), 40)) if inside.size else float(positive.mean())
    body = body_mask(small, threshold, 4.0)
    return max(background, 1e-12), body
