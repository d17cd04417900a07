"""A critic beside the network: Nazeri, Ng and Ebrahimi 2018, and the same U-Net without it."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from medcolor.networks.chroma import ChromaOutput
from medcolor.training.devices import Placement
from medcolor.training.learner import Learner, adamw
from medcolor.training.losses import masked_mean
from medcolor.training.objectives.chroma import ChromaObjective, Lesson
from medcolor.training.objectives.objective import NETWORK, Step
from medcolor.training.options import FitOptions

CRITIC = "discriminator"
"""The learner of the critic."""
ADVERSARIAL = "adversarial"
AB = 110.0


class AdversarialObjective(ChromaObjective):
    """Base of what may have a critic that sees gray and colours; without one it is a plain descent.

    Published (Nazeri 2018): the network's loss is not saturating (its colours are to be called real), real pictures
    are labelled 0.9, the network moves twice for each move of the critic, whose learning rate is a tenth; both without
    momentum. The schedule depends on the step alone, so a restart keeps it.

    Parameters
    ----------
    discriminator : nn.Module, optional
        (gray (N, 1, H, W), colours (N, 3, H, W)) to logits, positive for real.
    smoothing : float
        What real labels lack of 1.
    updates : int
        Steps of the network for each of the critic.
    share : float
        Learning rate of the critic, as a part of the network's.
    momentum : float
        Adam's first beta, of both.
    adversarial, consistency, **weights : float
        Of the terms.
    """

    def __init__(
        self,
        discriminator: nn.Module | None = None,
        *,
        smoothing: float = 0.1,
        updates: int = 2,
        share: float = 0.1,
        momentum: float = 0.0,
        adversarial: float = 1.0,
        consistency: float = 0.5,
        **weights: float,
    ) -> None:
        super().__init__(consistency=consistency, adversarial=adversarial, **weights)
        self.discriminator = discriminator
        self.smoothing, self.updates, self.share, self.momentum = smoothing, updates, share, momentum

    def learners(self, network: nn.Module, options: FitOptions, placement: Placement) -> dict[str, Learner]:
        """Return the network's optimizer, and the critic's."""
        scaled = placement.scaled
        found = {NETWORK: adamw(network.parameters(), options, momentum=self.momentum, scaled=scaled)}
        if self.discriminator is not None:
            found[CRITIC] = adamw(
                self.discriminator.parameters(), options, share=self.share, momentum=self.momentum, scaled=scaled
            )
        return found

    def step(
        self, network: nn.Module, batch: Mapping[str, Tensor], learners: Mapping[str, Learner], at: Step
    ) -> dict[str, Tensor]:
        """Move the network, and the critic where it is its turn."""
        lesson = self.lesson(batch)
        out, terms = self.look(network, batch, lesson, at)
        if self.discriminator is None:
            return self.descend(terms, learners[NETWORK])
        colors = planes_of(out, lesson.gray)
        terms[ADVERSARIAL] = -functional.logsigmoid(self.discriminator(lesson.gray, colors)).mean()
        logged = self.descend(terms, learners[NETWORK])
        if at.number % self.updates == self.updates - 1:
            logged[CRITIC] = self._teach_critic(lesson, colors.detach(), learners[CRITIC])
        return logged

    def _teach_critic(self, lesson: Lesson, colors: Tensor, learner: Learner) -> Tensor:
        assert self.discriminator is not None
        real = self.discriminator(lesson.gray, wanted_planes(lesson))
        fake = self.discriminator(lesson.gray, colors)
        loss = critic_loss(real, fake, smoothing=self.smoothing)
        learner.descend(loss)
        return loss.detach()


class LabObjective(AdversarialObjective):
    """L1 on L*, a* and b*, each scaled to -1..1, with or without a critic: ``nazeri`` and ``nazeri_unet``.

    Parameters
    ----------
    discriminator : nn.Module, optional
    l1 : float
        Weight; published 100, against 1 of the critic's word.
    smoothing, updates, share, momentum, adversarial, consistency
        As for :class:`AdversarialObjective`.
    """

    def __init__(
        self,
        discriminator: nn.Module | None = None,
        *,
        l1: float = 100.0,
        smoothing: float = 0.1,
        updates: int = 2,
        share: float = 0.1,
        momentum: float = 0.0,
        adversarial: float = 1.0,
        consistency: float = 0.5,
    ) -> None:
        super().__init__(
            discriminator,
            smoothing=smoothing,
            updates=updates,
            share=share,
            momentum=momentum,
            adversarial=adversarial,
            consistency=consistency,
            l1=l1,
        )

    def terms(
        self, network: nn.Module, out: ChromaOutput, lesson: Lesson, conditions: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """Return the mean absolute difference over the three planes."""
        each = (planes_of(out, lesson.gray) - wanted_planes(lesson)).abs().mean(dim=1)
        return {"l1": masked_mean(each, lesson.pixels)}


def planes_of(out: ChromaOutput, gray: Tensor) -> Tensor:
    """Return L* / 50 - 1, a* / 110, b* / 110 of what a network says, (N, 3, H, W); or the gray's L*."""
    lightness = gray if out.lightness is None else out.lightness / 50 - 1
    return torch.cat([lightness, out.ab / AB], dim=1)


def wanted_planes(lesson: Lesson) -> Tensor:
    """Return the same of the target, with the lightness of the input."""
    return torch.cat([lesson.gray, lesson.ab / AB], dim=1)


def critic_loss(real: Tensor, fake: Tensor, *, smoothing: float = 0.0) -> Tensor:
    """Return the cross-entropy of a critic's logits: real against 1 - ``smoothing``, the others against 0."""
    wanted = torch.full_like(real, 1 - smoothing)
    return functional.binary_cross_entropy_with_logits(real, wanted) - functional.logsigmoid(-fake).mean()


__all__ = ["ADVERSARIAL", "CRITIC", "AdversarialObjective", "LabObjective", "critic_loss", "planes_of", "wanted_planes"]
