"""Colours steered by a histogram: ReHistoGAN (Afifi, Brubaker, Brown 2021), with or without a critic.

Each picture of a batch is told one of three histograms: its own (and is reconstructed), the network's default, the mean
of the training pictures' (and is reconstructed: what colouring without a reference will be), or a random convex mix of
those of two training pictures (and is steered there: there is no colour to compare with). Histograms are taken at the
lightness of the input, since that is what a picture keeps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from medcolor.networks.chroma import ChromaOutput
from medcolor.networks.log_chroma import hellinger, log_chroma_histogram
from medcolor.training.losses import color_huber, masked_mean, target_ab
from medcolor.training.objectives.adversarial import AdversarialObjective
from medcolor.training.objectives.chroma import Lesson, picture, spread
from medcolor.training.objectives.objective import Step

SIDE = 48
"""Rows and columns of a picture that its histogram is made of."""
_SLICES, _STRIDE = 256, 4
OWN, DEFAULT, MIXED = range(3)


class HistogramObjective(AdversarialObjective):
    """Hellinger to the histogram that was told, colours and lightness where there is something to compare with.

    Parameters
    ----------
    discriminator : nn.Module, optional
        As for :class:`~medcolor.training.objectives.adversarial.AdversarialObjective`.
    default, mixed : float
        Shares of the pictures that are told the default, and a mix; the rest are told their own.
    hellinger, color, lightness, adversarial, consistency : float
        Weights.
    """

    kind: Tensor

    def __init__(
        self,
        discriminator: nn.Module | None = None,
        *,
        default: float = 0.4,
        mixed: float = 0.2,
        hellinger: float = 2.0,
        color: float = 1.0,
        lightness: float = 1.0,
        adversarial: float = 0.1,
        consistency: float = 0.5,
    ) -> None:
        super().__init__(
            discriminator,
            adversarial=adversarial,
            consistency=consistency,
            hellinger=hellinger,
            color=color,
            lightness=lightness,
            momentum=0.9 if discriminator is None else 0.0,
        )
        self.default, self.mixed = default, mixed
        self.register_buffer("kind", torch.zeros(0, dtype=torch.long), persistent=False)

    def prepare(
        self, network: nn.Module, samples: Sequence[Mapping[str, Any]], *, palette_ab: Tensor, seed: int
    ) -> None:
        """Give the network its default histogram: the mean of those of training slices spread evenly over the data."""
        super().prepare(network, samples, palette_ab=palette_ab, seed=seed)
        bins, total = cast(int, network.bins), torch.zeros(())
        for place in spread(len(samples), _SLICES):
            sample = samples[place]
            target = torch.as_tensor(sample["target"]).float()[None, :, ::_STRIDE, ::_STRIDE]
            rgb = picture(_displayed(sample)[..., ::_STRIDE, ::_STRIDE], target_ab(target, self.palette_ab))
            total = total + log_chroma_histogram(rgb, bins=bins, side=SIDE)[0]
        cast(Any, network).set_default(total)

    def conditions(self, network: nn.Module, lesson: Lesson, at: Step) -> dict[str, Tensor]:
        """Return a histogram (N, 3, B, B) for each picture."""
        bins, count = cast(int, network.bins), len(lesson.gray)
        own = log_chroma_histogram(picture(lesson.gray, lesson.ab), bins=bins, side=SIDE)
        usual = cast(Tensor, network.default_histogram).view(1, 3, bins, bins).expand(count, -1, -1, -1)
        chance = torch.rand(count)
        self.kind = ((chance < self.default + self.mixed).long() + (chance < self.mixed).long()).to(own.device)
        first, second, share = torch.randperm(count), torch.randperm(count), torch.rand(count, 1, 1, 1)
        mix = torch.lerp(own[first], own[second], share.to(own.device))
        kinds = torch.stack([own, usual, mix])
        return {"histogram": kinds[self.kind, torch.arange(count, device=own.device)]}

    def terms(
        self, network: nn.Module, out: ChromaOutput, lesson: Lesson, conditions: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """Return the three terms; the default's Hellinger is not asked for, as no single picture has that histogram."""
        bins, told = cast(int, network.bins), conditions["histogram"]
        known = lesson.pixels * (self.kind != MIXED)[:, None, None]
        steered = (self.kind != DEFAULT).to(out.ab.dtype)
        made = log_chroma_histogram(picture(lesson.gray, out.ab), bins=bins, side=SIDE)
        found = {
            "hellinger": masked_mean(hellinger(made, told), steered),
            "color": color_huber(out.ab, lesson.ab, known),
        }
        if out.lightness is not None:
            each = functional.l1_loss(out.lightness / 50 - 1, lesson.gray, reduction="none")[:, 0]
            found["lightness"] = masked_mean(each, lesson.pixels)
        return found


def _displayed(sample: Mapping[str, Any]) -> Tensor:
    """Return a sample that is in scan units as it is displayed, (1, 1, H, W) in -1..1."""
    image = torch.as_tensor(sample["image"]).float()[None]
    low, high = (float(x) for x in sample["window"])
    gray = (2 * (image - low) / max(high - low, 1e-12) - 1).clamp(-1, 1)
    return -gray if int(sample.get("inverted", 0)) else gray


__all__ = ["DEFAULT", "MIXED", "OWN", "HistogramObjective"]
