"""Tissue logits of a slice, fast by construction: context at reduced resolution, edges at full resolution.

A U-Net works on a quarter of the resolution (its input is folded into channels, so no pixel is thrown away). What it
knows about each place is brought back to full size in few channels, where a light part that sees the gray decides
pixel by pixel. A summary of the whole volume's gray shifts both parts: a lost unit or a changed gamma is a property of
the volume, and its histogram shows it. Nothing branches on data: the graph exports as it is.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn import functional

from medcolor.networks.blocks import NormedConv, enlarged, filled, folded_copy, spread_kinks, unfolded
from medcolor.networks.tone import LEAST, ToneEstimator
from medcolor.networks.volume_summary import SUMMARY

VARIANTS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "full": {"reduction": 1, "refinement": 0, "widths": (16, 32, 64, 96), "summary": SUMMARY},
        "half_bilinear": {"reduction": 2, "refinement": 0, "widths": (16, 32, 64, 96), "summary": SUMMARY},
        "half_refined": {"reduction": 2, "refinement": 32, "widths": (16, 32, 64, 96), "summary": SUMMARY},
        "quarter_bilinear": {"reduction": 4, "refinement": 0, "widths": (16, 32, 64, 96), "summary": SUMMARY},
        "quarter_refined": {"reduction": 4, "refinement": 32, "widths": (32, 48, 64, 96), "summary": SUMMARY},
        "quarter_small": {"reduction": 4, "refinement": 16, "widths": (16, 32, 64, 96), "summary": SUMMARY},
    }
)
"""Designs ranked against each other (docs/adr/0006): keyword arguments of :class:`TissueUNet`."""

LOG_SCALES = (-6.0, 6.0)
"""Fence around the log of the correction to the expected error: 1/400 to 400, far outside what is meant."""


_HIDDEN = 64  # of what turns the summary into shifts


class TissueOutput(NamedTuple):
    """What the network says of each pixel.

    Attributes
    ----------
    logits : Tensor, (N, K, H, W)
        Of the tissue classes. Of a network that corrects, (N, K + 1, H, W): an answer for
        :func:`medcolor.networks.correction.corrected`.
    log_scale : Tensor, (N, 1, H, W)
        Natural logarithm of the colour error to expect, as a multiple of what the posteriors say by themselves
        (:mod:`medcolor.networks.expected_error`).
    """

    logits: torch.Tensor
    log_scale: torch.Tensor


class TissueUNet(nn.Module):
    """One compact design for all modalities.

    Parameters
    ----------
    classes : int
        K, at least 2.
    in_channels : int
        Channels of the image; the first is the normalized gray.
    widths : sequence of int
        Channels of each level, finest first; each level halves the resolution of the one before.
    reduction : {1, 2, 4}
        Side of the square of pixels folded into channels before the U-Net.
    refinement : int
        Channels of the part at full resolution; 0 enlarges the logits bilinearly instead (the fast mode).
    hint_channels : int
        Reserved for hints: further input channels after the image's.
    summary : int
        Numbers that summarize the volume (:mod:`medcolor.networks.volume_summary`); 0: the network sees slices alone.
    corrects : bool
        Whether the network corrects the tissue models: K more channels of the image are their posteriors
        (:mod:`medcolor.networks.correction`).
    neighbours : bool
        Whether it is also shown their posteriors of the slice before and of the one after: 3 K more channels.
    tone : bool
        Whether it brings an estimate of the scan's gamma, ``tone``, which whoever runs it undoes first
        (:mod:`medcolor.networks.tone`).
    tone_least : float
        Estimated logarithms of gamma nearer to 0 are left alone.
    smooths : bool
        Whether physics is shown the scan with its noise smoothed away (:mod:`medcolor.colorizers.noise`).

    Raises
    ------
    ValueError
        A parameter outside what is said above.
    """

    def __init__(
        self,
        classes: int,
        *,
        in_channels: int = 1,
        widths: Sequence[int] = (16, 32, 64, 96),
        reduction: int = 4,
        refinement: int = 16,
        hint_channels: int = 0,
        summary: int = 0,
        corrects: bool = False,
        neighbours: bool = False,
        tone: bool = False,
        tone_least: float = LEAST,
        smooths: bool = False,
    ) -> None:
        super().__init__()
        widths = tuple(widths)
        if classes < 2 or in_channels < 1 or min(hint_channels, refinement, summary) < 0 or reduction not in (1, 2, 4):
            raise ValueError(
                f"TissueUNet takes classes >= 2, in_channels >= 1, hint_channels, refinement and summary >= 0 and "
                f"reduction 1, 2 or 4; got {classes}, {in_channels}, {hint_channels}, {refinement}, {summary} and "
                f"{reduction}."
            )
        if len(widths) < 2 or min(widths) < 1:
            raise ValueError(f"TissueUNet takes at least two widths, each positive; got {widths}.")
        self.classes, self.reduction, self.refinement, self.summary = classes, reduction, refinement, summary
        if (neighbours or smooths) and not corrects:
            raise ValueError("TissueUNet takes neighbours and smooths only where it corrects: both are about physics.")
        self.corrects, self.neighbours, self.smooths = corrects, neighbours, smooths
        if tone_least != LEAST and not tone:
            raise ValueError(f"TissueUNet takes tone_least only with tone, which estimates gamma; got {tone_least}.")
        self.tone = ToneEstimator(least=tone_least) if tone else None
        self.in_channels = in_channels + hint_channels + corrects * classes * (3 if neighbours else 1)
        answers = classes + corrects  # and how far the tissue models are trusted
        self.multiple = reduction << (len(widths) - 1)
        """Sides are filled up to multiples of this."""
        self.stem = _double(self.in_channels * reduction**2, widths[0])
        self.down = nn.ModuleList(
            nn.Sequential(NormedConv(a, b, stride=2), NormedConv(b, b)) for a, b in itertools.pairwise(widths)
        )
        upward = list(itertools.pairwise(widths))[::-1]
        self.narrow = nn.ModuleList(nn.Conv2d(b, a, 1) for a, b in upward)
        self.up = nn.ModuleList(_double(a, a) for a, _ in upward)
        self.scale = nn.Sequential(nn.Conv2d(widths[0], 16, 1), nn.ReLU(inplace=True), nn.Conv2d(16, 1, 1))
        self.shifts = (widths[0], widths[-1], refinement, refinement, refinement)
        if summary:
            self.volume = nn.Sequential(
                nn.Linear(summary, _HIDDEN), nn.ReLU(inplace=True), nn.Linear(_HIDDEN, sum(self.shifts))
            )
            with torch.no_grad():  # begins as a network that sees slices alone, nearly
                self.volume[2].weight.mul_(0.1)
                self.volume[2].bias.zero_()
        if not refinement:
            self.head = nn.Conv2d(widths[0], answers, 1)
            return
        folded = min(2, reduction) ** 2
        self.context = nn.Conv2d(widths[0], refinement, 1)
        self.look = nn.Conv2d(self.in_channels * folded, refinement, 3, padding=1, bias=False)
        self.refine = nn.Conv2d(refinement, refinement, 1)
        self.head = nn.Conv2d(refinement, answers * folded, 1)
        self.edge_scale = nn.Sequential(nn.Conv2d(refinement, 16, 1), nn.ReLU(inplace=True), nn.Conv2d(16, folded, 1))
        spread_kinks(self.look, self.context, folded)

    optional_rating = True
    """``forward`` takes ``rated``."""

    @property
    def reach(self) -> int:
        """How far, in pixels, an input pixel can matter for an output: the halo that makes tiles seamless."""
        # Two convolutions at the finest level, three on the way down and three on the way up at each level's cell size.
        cells = 2 + 6 * ((1 << len(self.down)) - 1)
        return (cells + 1) * self.reduction + 2  # and the bilinear kernel, and the refinement

    def forward(self, x: torch.Tensor, volume: torch.Tensor | None = None, *, rated: bool = True) -> TissueOutput:
        """Return logits and log scale of images of any size.

        Parameters
        ----------
        x : Tensor, (N, self.in_channels, H, W)
            Normalized to about [-1, 1]: the image, hints, what the tissue models say.
        volume : Tensor, (N, summary) or (1, summary)
            Of the volume each image is from; needed where the network was built with a summary.
        rated : bool
            False saves the time of the log scale, which is 0 then: for those who only want the classes.

        Raises
        ------
        ValueError
            A summary is missing, or was given to a network without.
        """
        if (volume is not None) != (self.summary > 0):
            raise ValueError(f"This network takes {self.summary or 'no'} numbers that summarize the volume.")
        height, width = x.shape[-2:]
        x = filled(x, self.multiple)
        shifts = self._shifts(volume)
        features = self._context_of(x, *shifts[:2])
        coarse = self.scale(features.detach()) if rated else None  # the estimate must not bend what it rates
        if self.refinement:
            logits, log_scale = self._refined(x, features, coarse, *shifts[2:])
        else:
            planes = self.head(features).contiguous()  # plane by plane, as colours are computed
            logits = enlarged(planes, self.reduction)
            log_scale = None if coarse is None else enlarged(coarse, self.reduction)
        if log_scale is None:
            return TissueOutput(logits[..., :height, :width], logits.new_zeros(()).expand(len(x), 1, height, width))
        log_scale = log_scale.clamp(*LOG_SCALES)
        return TissueOutput(logits[..., :height, :width], log_scale[..., :height, :width])

    def folded(self) -> TissueUNet:
        """Return a copy for use, with batch normalization folded into the convolutions before it."""
        return folded_copy(self)

    def _shifts(self, volume: torch.Tensor | None) -> list[torch.Tensor | None]:
        """Return what the summary adds to stem, bottom, context, and (as factor and term) the refinement."""
        if volume is None:
            return [None] * len(self.shifts)
        return [part[..., None, None] for part in self.volume(volume).split(self.shifts, dim=1)]

    def _context_of(self, x: torch.Tensor, stem: torch.Tensor | None, bottom: torch.Tensor | None) -> torch.Tensor:
        levels = [_added(self.stem(_folded(x, self.reduction)), stem)]
        for down in self.down:
            levels.append(down(levels[-1]))
        out = _added(levels.pop(), bottom)
        for narrow, up in zip(self.narrow, self.up, strict=True):
            out = up(functional.interpolate(narrow(out), scale_factor=2.0, mode="nearest") + levels.pop())
        return out

    def _refined(
        self,
        x: torch.Tensor,
        features: torch.Tensor,
        coarse: torch.Tensor | None,
        shift: torch.Tensor | None,
        factor: torch.Tensor | None,
        term: torch.Tensor | None,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return logits (N, K, H, W) and log scale (N, 1, H, W; None without ``coarse``), at full resolution.

        Squares of 2 x 2 pixels lie in channels here too: a quarter of the memory traffic of single pixels.
        """
        fold = min(2, self.reduction)
        context = enlarged(_added(self.context(features), shift), self.reduction // fold)
        h = self.look(_folded(x, fold)).add_(context).relu_()
        size = h.shape[2:]
        h = self.refine(h).relu_()
        logits = unfolded(_project(h, self.head, factor, term).unflatten(2, size), fold)
        if coarse is None:
            return logits, None
        seen = (part if part is None else part.detach() for part in (h, factor, term))  # does not bend what it rates
        scale = _project(_project(next(seen), self.edge_scale[0], *seen).relu_(), self.edge_scale[2])
        # to single pixels, not to squares: the estimate would show them
        scale += functional.pixel_unshuffle(enlarged(coarse, self.reduction), fold).flatten(2)
        return logits, unfolded(scale.unflatten(2, size), fold)


def _added(x: torch.Tensor, shift: torch.Tensor | None) -> torch.Tensor:
    return x if shift is None else x + shift


def _folded(x: torch.Tensor, side: int) -> torch.Tensor:
    return x if side == 1 else functional.pixel_unshuffle(x, side)


def _project(
    x: torch.Tensor, part: nn.Conv2d, factor: torch.Tensor | None = None, term: torch.Tensor | None = None
) -> torch.Tensor:
    """Return a 1 x 1 convolution of x * (1 + factor) + term as one product, (N, channels, H * W) plane by plane.

    Factor and term, (N, C, 1, 1), go into the weights: x is read once.
    """
    weight, bias = part.weight.flatten(1), part.bias
    assert bias is not None
    offset = bias[:, None]
    if factor is not None and term is not None:
        offset = offset + weight @ term[..., 0]
        weight = weight * (1 + factor[..., 0].transpose(1, 2))
    return torch.matmul(weight, x.flatten(2)).add_(offset)


def _double(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(NormedConv(before, after), NormedConv(after, after))


__all__ = ["LOG_SCALES", "VARIANTS", "TissueOutput", "TissueUNet"]
