"""Colours as targets: what all systems that learn (a*, b*) share.

The target is the annealed mean colour of the tissue targets in one palette (``losses.target_ab``);
pixels without a target count nowhere. Terms are named, weighted and logged unweighted; neighbouring slices go through
the network together with their own, under the same conditions, so that what is still keeps its colour.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from medcolor.networks.chroma import ChromaOutput
from medcolor.networks.lab import lab_to_srgb
from medcolor.training.learner import Learner
from medcolor.training.losses import color_huber, pixel_weights, target_ab
from medcolor.training.objectives.objective import NETWORK, Objective, Step
from medcolor.training.objectives.tissue import with_neighbour

CONSISTENCY = "consistency"


class Lesson(NamedTuple):
    """What a batch teaches.

    Attributes
    ----------
    gray : Tensor, (N, 1, H, W)
        Input in -1..1.
    ab : Tensor, (N, 2, H, W)
        Wanted a*, b*.
    pixels : Tensor, (N, H, W)
        1 where there is a target, 0 where there is padding.
    """

    gray: Tensor
    ab: Tensor
    pixels: Tensor


class ChromaObjective(Objective):
    """Base of the systems' objectives: one descent a step of the sum of :meth:`terms`.

    Parameters
    ----------
    consistency : float
        Weight of the agreement of neighbouring slices; 0 shows the network none.
    **weights : float
        Of the terms.
    """

    palette_ab: Tensor

    def __init__(self, *, consistency: float = 0.5, **weights: float) -> None:
        super().__init__()
        self.weights = {**weights, CONSISTENCY: consistency}
        self.register_buffer("palette_ab", torch.zeros(0, 2), persistent=False)

    def prepare(
        self, network: nn.Module, samples: Sequence[Mapping[str, Any]], *, palette_ab: Tensor, seed: int
    ) -> None:
        """Take the palette whose colours are learned."""
        self.palette_ab = palette_ab.float()

    def lesson(self, batch: Mapping[str, Tensor]) -> Lesson:
        """Return what a batch of :func:`~medcolor.training.drawing.stack_samples` teaches."""
        target = batch["target"].float()
        return Lesson(batch["image"], target_ab(target, self.palette_ab), pixel_weights(target))

    def conditions(self, network: nn.Module, lesson: Lesson, at: Step) -> dict[str, Tensor]:
        """Return what the network is told beside the gray, by its keyword."""
        return {}

    def terms(
        self, network: nn.Module, out: ChromaOutput, lesson: Lesson, conditions: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """Return the terms of the loss, unweighted scalars, each with a weight of its name."""
        raise NotImplementedError

    def step(
        self, network: nn.Module, batch: Mapping[str, Tensor], learners: Mapping[str, Learner], at: Step
    ) -> dict[str, Tensor]:
        """Descend the weighted sum of the terms."""
        lesson = self.lesson(batch)
        _, terms = self.look(network, batch, lesson, at)
        return self.descend(terms, learners[NETWORK])

    def look(
        self, network: nn.Module, batch: Mapping[str, Tensor], lesson: Lesson, at: Step
    ) -> tuple[ChromaOutput, dict[str, Tensor]]:
        """Return what the network says of a batch, and the terms of it."""
        near = with_neighbour(batch) if self.weights[CONSISTENCY] else None
        conditions = self.conditions(network, lesson, at)
        images, told = lesson.gray, conditions
        if near is not None:
            images = torch.cat([images, batch["neighbour"][near]])
            told = {name: torch.cat([value, value[near]]) for name, value in conditions.items()}
        both = seen(network, images, told, at)
        count = len(lesson.gray)
        out = ChromaOutput(*(None if part is None else part[:count] for part in both))
        terms = self.terms(network, out, lesson, conditions)
        if near is not None:
            still = batch["still"][near] * lesson.pixels[near]
            terms[CONSISTENCY] = color_huber(out.ab[near], both.ab[count:], still)
        return out, terms

    def descend(self, terms: Mapping[str, Tensor], learner: Learner) -> dict[str, Tensor]:
        """Descend the weighted sum; return it and its parts for the log."""
        total = torch.stack([self.weights[name] * term for name, term in terms.items() if self.weights[name]]).sum()
        learner.descend(total)
        return {name: term.detach() for name, term in terms.items()} | {"total": total.detach()}


def seen(network: nn.Module, gray: Tensor, conditions: Mapping[str, Tensor], at: Step) -> ChromaOutput:
    """Return what a network says, in float32 whatever it ran in."""
    with torch.autocast(at.placement.device.type, dtype=at.placement.precision, enabled=at.placement.mixed):
        out: ChromaOutput = network(gray, **conditions)
    return ChromaOutput(*(None if part is None else part.float() for part in out))


def coarse(lesson: Lesson, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Return wanted ab (N, 2, h, w) and pixels (N, h, w) at a network's own resolution, by subsampling.

    Subsampled as published (Zhang 2016), not averaged: the mean of two tissues' colours is no tissue's. Where the
    network filled its input up, what lies beyond the image counts nowhere.
    """
    (height, width), (h, w) = lesson.gray.shape[-2:], size
    rows, columns = _stride(height, h), _stride(width, w)
    ab, pixels = lesson.ab[..., ::rows, ::columns][..., :h, :w], lesson.pixels[..., ::rows, ::columns][..., :h, :w]
    beyond = (0, w - ab.shape[-1], 0, h - ab.shape[-2])
    return nn.functional.pad(ab, beyond), nn.functional.pad(pixels, beyond)


def _stride(length: int, cells: int) -> int:
    """Return the side of a cell, a power of two, where some cells may lie beyond the image."""
    return 1 << max(0, -(-length // cells) - 1).bit_length()


def picture(gray: Tensor, ab: Tensor) -> Tensor:
    """Return sRGB (N, 3, H, W), 0..1, of colours (N, 2, H, W) at the lightness 50 (gray + 1)."""
    return lab_to_srgb(torch.cat([50 * (gray + 1), ab], dim=1))


def spread(count: int, at_most: int) -> list[int]:
    """Return numbers spread evenly over 0..count - 1."""
    places: list[int] = torch.linspace(0, count - 1, min(at_most, count)).round().long().unique().tolist()
    return places


__all__ = ["CONSISTENCY", "ChromaObjective", "Lesson", "coarse", "picture", "seen", "spread"]
