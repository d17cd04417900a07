"""Colours to offer for a pixel, from the distribution that a network has there (after Zhang et al. 2017)."""

from __future__ import annotations

import torch
from torch import Tensor

_POINTS = 25_000
_ROUNDS = 20


def suggested_colors(
    probabilities: Tensor, centers: Tensor, count: int, *, step: float = 10.0, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """Return the main colours of a distribution over bins.

    Colours are drawn from it, evenly within a bin's cell, and clustered by k-means. The same distribution gives the
    same answer.

    Parameters
    ----------
    probabilities : Tensor, (Q,)
    centers : Tensor, (Q, 2)
        a*, b* of the bins.
    count : int
        Colours wanted.
    step : float
        Side of a bin's cell.
    seed : int
        Of the draw.

    Returns
    -------
    colors : Tensor, (count, 2)
        The most likely first. sRGB may show them at other lightness only.
    shares : Tensor, (count,)
        Mass of each, summing to 1.

    Raises
    ------
    ValueError
        A count below 1.
    """
    if count < 1:
        raise ValueError(f"At least one colour is to be suggested, got {count}.")
    chance = torch.Generator().manual_seed(seed)
    likely, places = probabilities.detach().float().cpu(), centers.detach().float().cpu()
    drawn = torch.multinomial(likely, _POINTS, replacement=True, generator=chance)
    points = places[drawn] + (torch.rand(_POINTS, 2, generator=chance) - 0.5) * step
    means = _spread_start(points, count, chance)
    nearest = points.new_zeros(_POINTS, dtype=torch.long)
    for _ in range(_ROUNDS):
        nearest = torch.cdist(points, means).argmin(dim=1)
        sizes = torch.bincount(nearest, minlength=count)
        sums = torch.zeros_like(means).index_add_(0, nearest, points)
        means = torch.where(sizes[:, None] > 0, sums / sizes.clamp(min=1)[:, None], means)
    sizes = torch.bincount(nearest, minlength=count)
    order = torch.argsort(sizes, descending=True, stable=True)
    return means[order], sizes[order] / _POINTS


def _spread_start(points: Tensor, count: int, chance: torch.Generator) -> Tensor:
    """Return k-means++'s start: each next one likelier the farther it is from those before."""
    chosen = [points[int(torch.randint(len(points), (1,), generator=chance))]]
    for _ in range(count - 1):
        far = torch.cdist(points, torch.stack(chosen)).amin(dim=1).square() + 1e-6
        chosen.append(points[int(torch.multinomial(far, 1, generator=chance))])
    return torch.stack(chosen)


__all__ = ["suggested_colors"]
