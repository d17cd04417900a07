"""Gaussian mixtures in one dimension, with a smooth bias field: the intensity model of images without a unit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Mixture:
    """Gaussian mixture, components by rising mean.

    Parameters
    ----------
    means, sigmas, weights : ndarray, (K,)
    """

    means: Floats
    sigmas: Floats
    weights: Floats

    def responsibilities(self, x: Floats) -> Floats:
        """Return the posterior of each component, (K, *x.shape), monotone at the ends.

        Beyond the outer means the outer component wins whatever its width, so that the order of classes follows
        the order of intensities everywhere.
        """
        inside = np.clip(x, self.means[0], self.means[-1])
        z = (inside[None] - _column(self.means, x)) / _column(self.sigmas, x)
        logs = -0.5 * z * z - np.log(_column(self.sigmas, x)) + np.log(_column(self.weights, x))
        logs -= logs.max(axis=0)
        p: Floats = np.exp(logs)
        return p / p.sum(axis=0)


def _column(a: Floats, x: Floats) -> Floats:
    return a.reshape(-1, *([1] * x.ndim))


def fit_mixture(
    x: Floats, n: int, *, basis: Floats | None = None, spread: float = 0.0, rounds: int = 40
) -> tuple[Mixture, Floats]:
    """Fit ``n`` Gaussians, and coefficients of a smooth field that is added to all of them.

    Expectation-maximization with a linear bias field on (log) intensity, after Wells et al. 1996 and Van Leemput et
    al. 1999. Starts from quantiles: no randomness. Component widths are drawn toward their common width, so that
    one peak is not split into slivers.

    Parameters
    ----------
    x : ndarray, (m,)
    n : int
    basis : ndarray, (m, b), optional
        Smooth functions at the samples, without the constant.
    spread : float
        Least width of a component.

    Returns
    -------
    Mixture
    ndarray, (b,)
        Coefficients of the field.
    """
    field = np.zeros(x.size)
    coefficients = np.zeros(0 if basis is None else basis.shape[1])
    start = _spread_quantiles(x, n)
    least = max(spread, 1e-6, 1e-3 * float(np.ptp(x)) if x.size else 1e-6)
    mixture = Mixture(start, np.full(n, max(float(np.ptp(start)) / (2 * n), least)), np.full(n, 1 / n))
    for turn in range(rounds):
        corrected = x - field
        r = mixture.responsibilities(corrected)
        mixture = _update(r, corrected, mixture, least)
        if basis is not None and turn % 4 == 3:
            precision = r / mixture.sigmas[:, None] ** 2
            weight = precision.sum(axis=0)
            expected = (precision * mixture.means[:, None]).sum(axis=0) / weight
            coefficients = _ridge(basis, x - expected, weight)
            field = basis @ coefficients
    order = np.argsort(mixture.means, kind="stable")
    return Mixture(mixture.means[order], mixture.sigmas[order], mixture.weights[order]), coefficients


def _spread_quantiles(x: Floats, n: int) -> Floats:
    """Start between quantiles and even spacing: rare extremes get a component, and the bulk is not one."""
    low, high = np.percentile(x, (1, 99))
    quantiles = np.percentile(x, 100 * (np.arange(n) + 0.5) / n)
    even = low + (high - low) * (np.arange(n) + 0.5) / n
    return 0.5 * quantiles + 0.5 * even


def _update(r: Floats, x: Floats, old: Mixture, least: float) -> Mixture:
    prior = 0.005 * x.size / len(r)  # pseudo-observations: no component dies
    mass = r.sum(axis=1)
    means = ((r * x).sum(axis=1) + prior * old.means) / (mass + prior)
    squares = (r * (x - means[:, None]) ** 2).sum(axis=1)
    common = squares.sum() / x.size
    pull = 0.05 * mass + prior
    sigmas = np.sqrt((squares + pull * common) / (mass + pull))
    widest = 0.8 * np.ptp(means) / (len(means) - 1) if len(means) > 1 else np.inf
    sigmas = np.minimum(sigmas, max(float(widest), least))  # a component that covers its neighbours says nothing
    return Mixture(means, np.maximum(sigmas, least), (mass + prior) / (x.size + prior * len(r)))


def _ridge(basis: Floats, target: Floats, weight: Floats) -> Floats:
    centered = basis - np.average(basis, axis=0, weights=weight)
    target = target - np.average(target, weights=weight)
    normal = (centered * weight[:, None]).T @ centered
    normal += np.eye(len(normal)) * (1e-3 * np.trace(normal) / len(normal) + 1e-12)
    solved: Floats = np.linalg.solve(normal, (centered * weight[:, None]).T @ target).astype(np.float64)
    return solved


def levels(x: Floats, n: int, *, bins: int = 512, rounds: int = 60) -> Mixture:
    """Place ``n`` levels where the values are, but never two on one peak.

    A Lloyd-Max quantizer (Lloyd 1982) on the square root of the histogram: between even spacing, which ignores the
    image, and the maximum likelihood mixture, which gives a large peak several components and small ones none.
    """
    low, high = (float(v) for v in np.percentile(x, (0.5, 99.5)))
    if not high > low:
        high = low + max(abs(low), 1.0) * 1e-3
    counts, edges = np.histogram(np.clip(x, low, high), bins=bins, range=(low, high))
    centers = (edges[:-1] + edges[1:]) / 2
    mass = np.sqrt(counts) + 1e-9
    means = low + (high - low) * (np.arange(n) + 0.5) / n
    for _ in range(rounds):
        nearest = np.searchsorted((means[:-1] + means[1:]) / 2, centers)
        total = np.bincount(nearest, mass, n)
        moment = np.bincount(nearest, mass * centers, n)
        means = np.where(total > 0, moment / np.maximum(total, 1e-30), means)
    gaps = np.diff(means)
    sigmas = 0.3 * np.minimum(np.append(gaps, gaps[-1]), np.insert(gaps, 0, gaps[0]))
    return Mixture(means, np.maximum(sigmas, 1e-9 * (high - low)), np.full(n, 1 / n))


def otsu(x: Floats, bins: int = 256) -> float:
    """Threshold that separates two groups best (Otsu 1979)."""
    low, high = float(x.min()), float(x.max())
    if not high > low:
        return high
    counts, edges = np.histogram(x, bins=bins, range=(low, high))
    centers = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)
    above = below[-1] - below
    moment = np.cumsum(counts * centers)
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (moment / below - (moment[-1] - moment) / above) ** 2
    return float(edges[1 + int(np.nanargmax(between[:-1]))])
