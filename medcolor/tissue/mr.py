"""MR: relative signal levels inside the body, corrected for the smooth shading of the coils.

MR gray has no unit, and the same tissue is bright in one sequence and dark in another. So the classes are what can be
said honestly: the signal levels of this image, found by a mixture, from dark to bright.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medcolor.scan import Scan
from medcolor.tissue.mixture import Mixture, fit_mixture, levels, otsu
from medcolor.tissue.model import CLASSES, TableModel, bin_values, binned, step, table, values_of
from medcolor.tissue.regions import (
    Mask,
    closed,
    edge_connected,
    erode,
    filled,
    grow,
    large_parts,
    opened,
    pixel_mm,
    reduced,
    reduction,
    region_lookup,
    sample,
)

_LONGEST = 192
_BINS = 1024
_SAMPLES = 60_000
_FAINT = 0.2  # of the typical signal: below it, noise of several coils may be
_MOST_BIAS = 1.1  # natural log: a factor of 3; more is anatomy, not coils


def build(scan: Scan) -> TableModel:
    """Fit the MR model."""
    factor = reduction(scan.shape, _LONGEST)
    small = np.maximum(reduced(scan, factor), 0)
    body, threshold = body_mask(scan, small, pixel_mm(scan, field_mm=250) * factor)
    level = float(np.median(small[body])) if body.any() else 1.0
    scale = max(level, 1e-20)
    offset = 0.05  # of the median: keeps the logarithm of noise and zeros tame
    logs = np.log(np.maximum(small, 0) / scale + offset)
    basis = Shading(logs.shape)
    inside = body & (small > 0.1 * level)
    inside = inside if inside.sum() > 50 else body
    if not inside.any():
        inside = np.ones_like(body)
    where = sample(np.flatnonzero(inside), _SAMPLES)
    x = logs.ravel()[where].astype(np.float64)
    _, coefficients = fit_mixture(x, 5, basis=basis.at(where), spread=0.06)
    flat = x - np.clip(basis.at(where) @ coefficients, -_MOST_BIAS, _MOST_BIAS)
    roots = np.sqrt(np.maximum(np.exp(flat) - offset, 0))
    mixture = levels(roots, 5)
    high = 1.3 * float(np.percentile(roots, 99.9)) + 1e-6
    tables = _tables(mixture, high, float(np.sqrt(threshold / scale)))
    codes = body.astype(np.uint8)
    codes[grow(body, 1) & ~erode(body, 1)] = 2

    def bins(block: slice) -> NDArray[np.uint16]:
        values = np.maximum(values_of(scan, block), 0) / np.float32(scale)
        values *= np.exp(-basis.field(coefficients, block, scan.shape))
        return binned(np.sqrt(values), 0, high, _BINS)

    return TableModel(CLASSES["MR"], tables, region_lookup(scan, codes, factor), bins)


def body_mask(scan: Scan, small: NDArray[np.float32], mm: float) -> tuple[Mask, float]:
    """Return where there is signal, and the level below which there is none.

    Background is dark and connected to the edge of its slice. An image whose darkest part is no background (a crop
    inside the body) is body all over.
    """
    from scipy import ndimage

    everywhere = np.ones(small.shape, dtype=bool)
    smooth = ndimage.uniform_filter(small, (0, 3, 3))
    threshold = otsu(sample(np.sqrt(smooth), 200_000).astype(np.float64)) ** 2
    signal = smooth[smooth > threshold]
    if signal.size == 0:
        return everywhere, 0.0
    typical = float(np.median(signal))
    threshold = max(1.7 * _noise_level(scan, _FAINT * typical), min(threshold, 0.12 * typical))
    dark = smooth <= threshold
    if np.mean(edge_connected(dark)) < 0.01:
        return everywhere, 0.0
    thin = min(2.5 / mm, min(small.shape[1:]) / 10)
    bright = large_parts(opened(~dark, thin), fraction=0.02)
    bright = closed(grow(bright, 1) & ~dark, 4 / mm) if bright.any() else ~dark
    return filled(bright), threshold


def _noise_level(scan: Scan, faint: float) -> float:
    """Return the mean of background noise, 0 where none is seen.

    The magnitude of pure noise varies by half its mean (Rayleigh: 0.52; Gudbjartsson and Patz 1995), with several
    coils by a fifth and more; tissue varies less, so noise is known by its ratio and not by its level alone. Edges
    and strands of fat in a crop vary as much, but have no one level, and one that is near the signal's.
    """
    from scipy import ndimage

    nk = scan.shape[2]
    means = []
    seen = 0
    for k in np.unique(np.linspace(0, nk - 1, min(nk, 7)).astype(int)):
        values = np.maximum(values_of(scan, slice(k, k + 1))[0], 0)
        mean = ndimage.uniform_filter(values, 5)
        spread = np.sqrt(np.maximum(ndimage.uniform_filter(values * values, 5) - mean * mean, 0))
        rayleigh = (spread > 0.35 * mean) & (mean < np.percentile(mean, 60))
        coils = (spread > 0.15 * mean) & (mean < faint)
        noise = (rayleigh | coils) & (spread < 0.8 * mean)
        means.append(mean[noise])
        seen += values.size
    found = np.concatenate(means)
    if found.size <= 0.05 * seen:
        return 0.0
    quarter, level, three_quarters = (float(v) for v in np.percentile(found, (25, 50, 75)))
    one_level = three_quarters - quarter < level
    return level if one_level and level < 0.35 * (faint / _FAINT) else 0.0


@dataclass(frozen=True, slots=True)
class Shading:
    """Smooth polynomials over the volume: degree 3 in the slice, 2 along the slices."""

    shape: tuple[int, int, int]  # (nk, nj, ni) of the grid they were fitted on

    @staticmethod
    def _terms(u: NDArray[Any], v: NDArray[Any], w: NDArray[Any]) -> list[NDArray[Any]]:
        plane = [u**p * v**q for p in range(4) for q in range(4 - p) if p + q]
        return [*(t + 0 * w for t in plane), w + 0 * u * v, w**2 + 0 * u * v, u * w + 0 * v, v * w + 0 * u]

    def at(self, flat: NDArray[np.intp]) -> NDArray[np.float64]:
        """Return the polynomials at flat indices, (m, b)."""
        k, j, i = np.unravel_index(flat, self.shape)
        nk, nj, ni = self.shape
        u, v, w = (2 * (a + 0.5) / n - 1 for a, n in ((i, ni), (j, nj), (k, nk)))
        return np.stack(self._terms(u, v, w), axis=1)

    def field(
        self, coefficients: NDArray[np.float64], block: slice, shape: tuple[int, int, int]
    ) -> NDArray[np.float32]:
        """Return the field of some slices of the full grid (ni, nj, nk), (n, nj, ni), within +-_MOST_BIAS."""
        ni, nj, nk = shape
        u, v, w = (2 * (np.arange(n, dtype=np.float32) + np.float32(0.5)) / n - 1 for n in (ni, nj, nk))
        out = np.zeros((len(w[block]), nj, ni), dtype=np.float32)
        for c, term in zip(coefficients, self._terms(u, v[:, None], w[block, None, None]), strict=True):
            out += np.float32(c) * term
        return np.clip(out, -_MOST_BIAS, _MOST_BIAS, out=out)


def _tables(mixture: Mixture, high: float, threshold: float) -> NDArray[np.float32]:
    """Region 1 is body; region 2 its rim, where what is as dark as the background is outside."""
    x = bin_values(0, high, _BINS)
    shares = mixture.responsibilities(x)
    signal = step(x, 1.3 * threshold, 0.8 * threshold) if threshold > 0 else np.ones_like(x)
    return table([np.concatenate([0 * x[None], shares]), np.concatenate([1 - signal[None], signal * shares])])
