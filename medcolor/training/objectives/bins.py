"""Colour as a class: Zhang, Isola and Efros 2016, soft targets over bins; rare colours weigh more, by the gradient."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from medcolor.networks.chroma import ChromaOutput
from medcolor.training.losses import masked_mean, pixel_weights, target_ab
from medcolor.training.objectives.chroma import ChromaObjective, Lesson, coarse, spread

if TYPE_CHECKING:
    from medcolor.networks.ab_bins import AbBins

GRAY_BELOW = 5.0
"""A picture in which no |a*| or |b*| exceeds this teaches nothing, as in the released code."""
_SLICES, _STRIDE = 256, 4  # that the prior is made from: a few million pixels


class BinObjective(ChromaObjective):
    """Cross-entropy on soft-encoded bins, less the target's own entropy: 0 at the target.

    Published: the target is spread over the nearest bins; the prior is that of the training data, smoothed and mixed
    half and half with a uniform one; the weight of a pixel is that of its target's strongest bin and is applied *to
    the gradient only*, so the logged loss is unweighted. Pictures without colour (no |a*|, |b*| above
    :data:`GRAY_BELOW` anywhere) are left out. The bins, their prior and their weights are the network's
    (``network.bins``, :class:`~medcolor.networks.ab_bins.AbBins`).

    Parameters
    ----------
    rebalance : bool
        False is the control: every pixel weighs the same.
    uniform, alpha : float
        Share of the uniform part, and the power; the paper's gamma and alpha.
    cross_entropy, consistency : float
        Weights.
    """

    def __init__(
        self,
        *,
        rebalance: bool = True,
        uniform: float = 0.5,
        alpha: float = 1.0,
        cross_entropy: float = 1.0,
        consistency: float = 0.5,
    ) -> None:
        super().__init__(cross_entropy=cross_entropy, consistency=consistency)
        self.rebalance, self.uniform, self.alpha = rebalance, uniform, alpha

    def prepare(
        self, network: nn.Module, samples: Sequence[Mapping[str, Any]], *, palette_ab: Tensor, seed: int
    ) -> None:
        """Count the training targets' bins; the prior and the weights go into the network."""
        super().prepare(network, samples, palette_ab=palette_ab, seed=seed)
        set_prior(bins_of(network), samples, self.palette_ab, uniform=self.uniform, alpha=self.alpha)

    def terms(
        self, network: nn.Module, out: ChromaOutput, lesson: Lesson, conditions: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """Return the cross-entropy."""
        return {"cross_entropy": bin_entropy(bins_of(network), out, lesson, rebalance=self.rebalance)}


def bins_of(network: nn.Module) -> AbBins:
    """Return a network's bins."""
    return cast("AbBins", network.bins)


def set_prior(
    bins: AbBins, samples: Sequence[Mapping[str, Any]], palette_ab: Tensor, *, uniform: float, alpha: float
) -> None:
    """Make a network's prior that of the training targets: of slices spread evenly over the data."""
    counts = torch.zeros_like(bins.prior)
    for place in spread(len(samples), _SLICES):
        target = torch.as_tensor(samples[place]["target"]).float()[None, :, ::_STRIDE, ::_STRIDE]
        counts += bins.frequencies(target_ab(target, palette_ab), pixel_weights(target))
    bins.set_prior(counts, uniform=uniform, alpha=alpha)


def bin_entropy(bins: AbBins, out: ChromaOutput, lesson: Lesson, *, rebalance: bool) -> Tensor:
    """Return the cross-entropy of a network's bins against the soft-encoded target, less the target's own entropy."""
    if out.logits is None:
        raise TypeError("a network without logits over bins cannot be taught bins")
    wanted, pixels = coarse(lesson, (out.logits.shape[-2], out.logits.shape[-1]))
    pixels = pixels * colored(lesson)[:, None, None]
    with torch.no_grad():
        target = bins.encode(wanted)
        weights = bins.rebalancing(target) if rebalance else torch.ones_like(pixels)
    logits = cast(Tensor, WeightedGradient.apply(out.logits, weights[:, None]))
    each = target * (torch.log(target.clamp(min=1e-8)) - functional.log_softmax(logits, dim=1))
    return masked_mean(each.sum(dim=1), pixels)


def colored(lesson: Lesson) -> Tensor:
    """Return 1 for each picture (N,) that has colour somewhere, else 0."""
    size = lesson.ab.abs().amax(dim=1) * lesson.pixels
    return (size.flatten(1).amax(dim=1) > GRAY_BELOW).to(lesson.ab.dtype)


class WeightedGradient(torch.autograd.Function):
    """The identity, whose gradient is multiplied by weights."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, weights: Tensor) -> Tensor:
        """Return the value as it is."""
        ctx.save_for_backward(weights)
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, *gradient: Tensor) -> tuple[Tensor, None]:
        """Return the weighted gradient."""
        (weights,) = ctx.saved_tensors
        return gradient[0] * weights, None


__all__ = ["GRAY_BELOW", "BinObjective", "WeightedGradient", "bin_entropy", "bins_of", "colored", "set_prior"]
