"""Colours with hints: Zhang et al. 2017, where the user of a training is simulated as in the paper."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from medcolor.networks.chroma import ChromaOutput
from medcolor.training.losses import masked_mean
from medcolor.training.objectives.bins import bin_entropy, bins_of, set_prior
from medcolor.training.objectives.chroma import ChromaObjective, Lesson, picture
from medcolor.training.objectives.objective import Step

AB = 110.0
"""Hints and the regression are in units of it."""
STOP = 1 / 8
"""Chance to stop after each point, from none on: geometric, 7 points on average."""
LARGEST = 9
"""Patches have 1 to so many pixels a side."""
REVEALED = 0.01
"""Share of pictures whose colours are given everywhere."""


class Patch(NamedTuple):
    """One simulated hint: the rows and columns [top, bottom) and [left, right) that it fills."""

    top: int
    bottom: int
    left: int
    right: int


def draw_patches(height: int, width: int, *, stop: float = STOP, largest: int = LARGEST) -> list[Patch]:
    """Draw what a user points at in one picture, from torch's chance.

    Published: the number of points is geometric; a patch's side is uniform in 1..9; its place is normal about the
    middle of the picture with a standard deviation of a quarter of what the patch can move, and within the picture.
    """
    patches = []
    while float(torch.rand(())) >= stop:
        side = min(int(torch.randint(1, largest + 1, ())), height, width)
        corner = []
        for length in (height, width):
            room = length - side
            place = torch.randn(()).item() * (room + 1) / 4 + room / 2
            corner.append(min(max(round(place), 0), room))
        patches.append(Patch(corner[0], corner[0] + side, corner[1], corner[1] + side))
    return patches


def simulate_hints(ab: Tensor, *, stop: float = STOP, largest: int = LARGEST, revealed: float = REVEALED) -> Tensor:
    """Return hints (N, 3, H, W) of pictures with colours ab (N, 2, H, W): a/110, b/110, and 1 where there is a hint.

    A patch shows the mean colour under it; where two meet, the later. A few pictures are given whole.
    """
    count, _, height, width = ab.shape
    hints = ab.new_zeros(count, 3, height, width)
    for n in range(count):
        if float(torch.rand(())) < revealed:
            hints[n, :2], hints[n, 2] = ab[n] / AB, 1.0
            continue
        for top, bottom, left, right in draw_patches(height, width, stop=stop, largest=largest):
            hints[n, :2, top:bottom, left:right] = ab[n, :, top:bottom, left:right].mean(dim=(1, 2), keepdim=True) / AB
            hints[n, 2, top:bottom, left:right] = 1.0
    return hints


def turn_hues(ab: Tensor, *, chance: float) -> Tensor:
    """Return colours (N, 2, H, W), those of some pictures turned about gray by an angle of their own."""
    count = len(ab)
    angle = torch.where(torch.rand(count) < chance, (2 * torch.rand(count) - 1) * math.pi, torch.zeros(count))
    cosine, sine = (f(angle).to(ab)[:, None, None] for f in (torch.cos, torch.sin))
    return torch.stack([cosine * ab[:, 0] - sine * ab[:, 1], sine * ab[:, 0] + cosine * ab[:, 1]], dim=1)


class HintObjective(ChromaObjective):
    """Cross-entropy on the bins, and ten times the regression, under simulated hints.

    The first part of the steps shows no hints, as the paper's first stages do. Afterwards every picture gets local
    hints (:func:`simulate_hints`), and each global one (histogram over the bins, mean saturation) with a chance.

    The regression is L1 on ab / 110, summed over a* and b* and rounded within one step of the plane: the released code
    has L1, the paper Huber; with the paper's threshold of 1, ab / 110 would never leave the quadratic part.

    Parameters
    ----------
    automatic : float
        Part of the steps without any hint.
    keep : float
        Chance of each global hint to be given.
    turned : float
        Chance of a hinted picture to have its hues turned by one random angle, hints and answer alike: a user may want
        a colour that no palette has. (Ours; off: with .3 in 600 steps hints lowered PSNR in MR, PT, US and XR.)
    stop, largest, revealed
        Of the simulation.
    cross_entropy, color, consistency : float
        Weights.
    """

    def __init__(
        self,
        *,
        automatic: float = 0.3,
        keep: float = 0.25,
        turned: float = 0.0,
        stop: float = STOP,
        largest: int = LARGEST,
        revealed: float = REVEALED,
        cross_entropy: float = 1.0,
        color: float = 10.0,
        consistency: float = 0.5,
    ) -> None:
        super().__init__(cross_entropy=cross_entropy, color=color, consistency=consistency)
        self.automatic, self.keep, self.turned = automatic, keep, turned
        self.stop, self.largest, self.revealed = stop, largest, revealed

    def prepare(
        self, network: nn.Module, samples: Sequence[Mapping[str, Any]], *, palette_ab: Tensor, seed: int
    ) -> None:
        """Give the network's bins the prior of the training targets; nothing is rebalanced by it, as published."""
        super().prepare(network, samples, palette_ab=palette_ab, seed=seed)
        set_prior(bins_of(network), samples, self.palette_ab, uniform=0.5, alpha=0.0)

    def look(
        self, network: nn.Module, batch: Mapping[str, Tensor], lesson: Lesson, at: Step
    ) -> tuple[ChromaOutput, dict[str, Tensor]]:
        """Return what the network says of a batch, some of it in other hues, and the terms of it."""
        if self._hinted(at):
            lesson = lesson._replace(ab=turn_hues(lesson.ab, chance=self.turned))
        return super().look(network, batch, lesson, at)

    def _hinted(self, at: Step) -> bool:
        return at.number >= self.automatic * at.options.steps

    def conditions(self, network: nn.Module, lesson: Lesson, at: Step) -> dict[str, Tensor]:
        """Return the hints of a simulated user; none in the first part of the steps."""
        if not self._hinted(at):
            return {}
        local = simulate_hints(lesson.ab, stop=self.stop, largest=self.largest, revealed=self.revealed)
        return {"hints": local} | self.overall(network, lesson)

    def overall(self, network: nn.Module, lesson: Lesson) -> dict[str, Tensor]:
        """Return global hints: shares of the bins (N, Q), zeros where not given, and saturation (N, 1), else -1."""
        bins, count = bins_of(network), len(lesson.gray)
        given = torch.rand(2, count) < self.keep
        known, told = (flag[:, None].to(lesson.ab.device) for flag in given)
        pooled = functional.avg_pool2d(lesson.ab, 4)
        shares = torch.stack([bins.frequencies(one[None]) for one in pooled])
        histogram = torch.where(known, shares / shares.sum(dim=1, keepdim=True), torch.zeros_like(shares))
        average = saturation(picture(lesson.gray, lesson.ab)).mean(dim=(1, 2))[:, None]
        return {
            "ab_histogram": histogram,
            "saturation": torch.where(told, average, torch.full_like(average, -1.0)),
        }

    def terms(
        self, network: nn.Module, out: ChromaOutput, lesson: Lesson, conditions: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """Return the cross-entropy and the regression."""
        each = functional.smooth_l1_loss(out.ab / AB, lesson.ab / AB, reduction="none", beta=1 / AB)
        return {
            "cross_entropy": bin_entropy(bins_of(network), out, lesson, rebalance=False),
            "color": masked_mean(each.sum(dim=1), lesson.pixels),
        }


def saturation(rgb: Tensor) -> Tensor:
    """Return the saturation of HSV (N, H, W) of sRGB (N, 3, H, W): (max - min) / max, 0 for black."""
    high, low = rgb.amax(dim=1), rgb.amin(dim=1)
    return (high - low) / high.clamp(min=math.ulp(1.0))


__all__ = [
    "LARGEST",
    "REVEALED",
    "STOP",
    "HintObjective",
    "Patch",
    "draw_patches",
    "saturation",
    "simulate_hints",
    "turn_hues",
]
