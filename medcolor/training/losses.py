"""What training pulls toward: the target's tissue posteriors, their colour, agreement between slices, honest doubt.

Cross-entropy teaches the classes, Huber on the expected (a*, b*) says which confusions can be seen, consistency keeps
neighbouring slices alike. How large the colour error will be is said first by the posteriors themselves (how far apart
the colours are that they waver between), and the scale head learns, *after the fact*, what they misjudge: the error is
detached here and the features are detached in the network, because a Laplace likelihood on the main path made small
structures collapse when it was tried. A scale head alone ranked errors worse than the posteriors (docs/adr/0006).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from medcolor.networks.expected_error import SMALLEST_ERROR, posterior_spread
from medcolor.networks.tissue_unet import LOG_SCALES

AB_UNIT = 10.0  # colour terms are in units of ten (a*, b*) steps, so that they weigh like a cross-entropy
SHARPEN = 2.0  # 1 / T of the palette's annealed mean, as color_from_posteriors has it


class LossTerms(NamedTuple):
    """A loss and what it is made of; each a scalar tensor, unweighted but for ``total``."""

    total: Tensor
    cross_entropy: Tensor
    color: Tensor
    consistency: Tensor
    scale: Tensor


def pixel_weights(target: Tensor) -> Tensor:
    """Return 1 where the target (N, K, H, W) says something and 0 where it is padding (all zero), (N, H, W)."""
    return (target.sum(dim=1) > 0.5).to(target.dtype)


def masked_mean(values: Tensor, weights: Tensor) -> Tensor:
    """Return the mean of ``values`` under ``weights`` of the same shape; 0 where all weights are 0."""
    kept = torch.where(weights > 0, values * weights, torch.zeros_like(values))  # padding may hold NaN: 0 x NaN is NaN
    return kept.sum() / weights.sum().clamp(min=1.0)


def soft_cross_entropy(logits: Tensor, target: Tensor, weights: Tensor) -> Tensor:
    """Return the cross-entropy against soft targets, less the target's own entropy: 0 at the target.

    Parameters
    ----------
    logits, target : Tensor, (N, K, H, W)
    weights : Tensor, (N, H, W)
    """
    each = target * (torch.log(target.clamp(min=1e-8)) - functional.log_softmax(logits, dim=1))
    return masked_mean(each.sum(dim=1), weights)


def rarity_weights(frequencies: Any, *, power: float, largest: float = 20.0) -> Tensor:
    """Return a weight for each class that makes rare ones count: frequency to the power of -``power``.

    Parameters
    ----------
    frequencies : array_like of float, (K,)
        How much of the training pixels each class is; a class that is nowhere has weight 1.
    power : float
        0 weighs nothing, 1 gives every class the same share.
    largest : float
        No class weighs more than this.

    Returns
    -------
    Tensor, (K,)
        With a mean over pixels of 1, where no class is at ``largest``.
    """
    share = torch.as_tensor(frequencies, dtype=torch.float64)
    share = share / share.sum().clamp(min=1e-12)
    raw = torch.where(share > 0, share.clamp(min=1e-12) ** -power, torch.zeros_like(share))
    scaled = raw / (raw * share).sum().clamp(min=1e-12)
    return torch.where(share > 0, scaled.clamp(max=largest), torch.ones_like(share)).float()


def expected_ab(log_posteriors: Tensor, palette_ab: Tensor) -> Tensor:
    """Return the annealed mean colour (N, 2, H, W) of log posteriors or logits (N, K, H, W), in (a*, b*) steps."""
    return torch.einsum("nkhw,kc->nchw", functional.softmax(SHARPEN * log_posteriors, dim=1), palette_ab)


def target_ab(target: Tensor, palette_ab: Tensor) -> Tensor:
    """Return the annealed mean colour (N, 2, H, W) of posteriors (N, K, H, W)."""
    squared = target.square()
    return torch.einsum("nkhw,kc->nchw", squared / squared.sum(dim=1, keepdim=True).clamp(min=1e-12), palette_ab)


def color_huber(ab: Tensor, wanted: Tensor, weights: Tensor) -> Tensor:
    """Return Huber of the colour difference (N, 2, H, W), quadratic within ten steps, linear beyond."""
    each = functional.huber_loss(ab / AB_UNIT, wanted / AB_UNIT, reduction="none", delta=1.0)
    return masked_mean(each.sum(dim=1), weights)


def laplace_scale(log_scale: Tensor, error: Tensor, weights: Tensor) -> Tensor:
    """Return the Laplace likelihood of a colour error under a learned scale; 0 where the scale says it exactly.

    Parameters
    ----------
    log_scale : Tensor, (N, 1, H, W)
        Log of the expected error, in (a*, b*) steps.
    error : Tensor, (N, H, W)
        Size of the colour error in the same unit. Detached here: doubt never moves the colour.
    weights : Tensor, (N, H, W)
    """
    size = error.detach().clamp(min=SMALLEST_ERROR)
    log_size = torch.log(size)
    s = log_scale[:, 0].clamp(*LOG_SCALES)
    return masked_mean(size * torch.exp(-s) + s - 1 - log_size, weights)


class TissueLoss(nn.Module):
    """The sum the loop minimizes.

    Parameters
    ----------
    palette_ab : array_like of float, (K, 2)
        Colours of the contrast palette: the classes that are easily confused are far apart there.
    cross_entropy, color, consistency, scale : float
        Weights of the terms; 0 leaves a term out.
    class_weights : sequence of float, optional
        One for each class. A pixel counts by the mean of them under its target, in the cross-entropy and the colour:
        rare classes count more, and the best answer for a pixel stays its target.
    """

    palette_ab: Tensor
    class_weights: Tensor | None

    def __init__(
        self,
        palette_ab: Any,
        *,
        cross_entropy: float = 1.0,
        color: float = 1.0,
        consistency: float = 0.5,
        scale: float = 0.2,
        class_weights: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        self.weights = (cross_entropy, color, consistency, scale)
        self.register_buffer("palette_ab", torch.as_tensor(palette_ab, dtype=torch.float32), persistent=False)
        rare = None if class_weights is None else torch.as_tensor(class_weights, dtype=torch.float32)
        self.register_buffer("class_weights", rare, persistent=False)
        if rare is not None and len(rare) != len(self.palette_ab):
            raise ValueError(
                f"class_weights needs one number for each of {len(self.palette_ab)} classes, got {len(rare)}."
            )

    def forward(
        self,
        logits: Tensor,
        log_scale: Tensor | None,
        target: Tensor,
        *,
        neighbour_logits: Tensor | None = None,
        still: Tensor | None = None,
    ) -> LossTerms:
        """Compute the loss of a batch, in float32 whatever the network ran in.

        Parameters
        ----------
        logits : Tensor, (N, K, H, W)
        log_scale : Tensor, (N, 1, H, W), or None
            Log of the colour error as a multiple of what the posteriors say; None leaves the scale term out.
        target : Tensor, (N, K, H, W)
            Posteriors; all zero marks padding, which counts nowhere.
        neighbour_logits : Tensor, (N, K, H, W), optional
            The same network's word on the next slice.
        still : Tensor, (N, H, W), optional
            1 where the gray of the two slices is alike; needed with ``neighbour_logits``.
        """
        logits, target = logits.float(), target.float()
        if logits.shape != target.shape or logits.shape[1] != len(self.palette_ab):
            raise ValueError(
                f"logits {tuple(logits.shape)}, target {tuple(target.shape)} and a palette of {len(self.palette_ab)} "
                "classes do not belong together: expected (N, K, H, W) twice and K colours."
            )
        pixels = pixel_weights(target)
        ab, wanted = expected_ab(logits, self.palette_ab), target_ab(target, self.palette_ab)
        zero = logits.new_zeros(())
        counted = pixels
        if self.class_weights is not None:
            counted = pixels * torch.einsum("nkhw,k->nhw", target, self.class_weights)
        entropy = soft_cross_entropy(logits, target, counted)
        color = color_huber(ab, wanted, counted)
        agreement, doubt = zero, zero
        if neighbour_logits is not None and still is not None:
            agreement = color_huber(ab, expected_ab(neighbour_logits.float(), self.palette_ab), pixels * still)
        if log_scale is not None:
            error = torch.linalg.vector_norm((ab - wanted).detach(), dim=1)
            with torch.no_grad():
                likely = functional.softmax(logits, dim=1).movedim(1, 0)
                spread = posterior_spread(likely, ab.movedim(1, 0), self.palette_ab)
            doubt = laplace_scale(log_scale.float() + torch.log(spread)[:, None], error, pixels)
        parts = (entropy, color, agreement, doubt)
        total = sum((w * part for w, part in zip(self.weights, parts, strict=True) if w), zero)
        return LossTerms(total, *parts)


def tissue_loss(family: str, *, style: str = "contrast", **weights: Any) -> TissueLoss:
    """Build the loss of a modality family from its palette; for configs."""
    from medcolor.palettes import load_palette

    return TissueLoss(load_palette(family, style).ab, **weights)
