"""DeOldify's generators (Antic 2018 to 2024), from their published description: method "nogan".

A U-Net over a residual encoder: enlargement by pixel shuffle (ICNR, blurred), spectral normalization throughout the
decoder, and self-attention in one decoder block. The published widths begin with gray as RGB and end at full resolution
with a residual block that sees the input, in RGB; of it only the chroma is used. The compact width keeps encoder,
decoder, normalization and attention, begins by folding 4 x 4 pixels into channels, and ends with
:class:`~medcolor.networks.blocks.LightEnd`, which is not under spectral normalization.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm

from medcolor.networks.blocks import LightEnd, filled
from medcolor.networks.chroma import ChromaOutput
from medcolor.networks.lab import srgb_to_lab
from medcolor.networks.resnet import ResNetEncoder
from medcolor.networks.spectral import ConvUnit, SelfAttention, ShuffleUp, folded_copy

_AB = 110.0
_MEANS, _DEVIATIONS = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's pictures
_RANGE = 3.0  # the published output lies within so many deviations
_PUBLISHED: dict[str, dict[str, Any]] = {
    "deep": {"depths": (3, 4, 6, 3), "widths": (64, 128, 256, 512), "convolutions": 2, "factor": 1.5},
    "wide": {
        "depths": (3, 4, 23, 3),
        "widths": (256, 512, 1024, 2048),
        "bottleneck": True,
        "convolutions": 1,
        "decoder": 512,
    },
}


class DeOldify(nn.Module):
    """Gray in, (a*, b*) out.

    Parameters
    ----------
    depths, widths : sequence of int
        Residual blocks and channels of each level of the encoder, finest first.
    bottleneck : bool
        Whether the blocks are bottlenecks (ResNet-50 and deeper) or pairs of 3 x 3 convolutions.
    convolutions : {1, 2}
        In each decoder block.
    factor : float
        Of a decoder block's channels, relative to what comes in (half of that in the last block).
    decoder : int
        0, or the channels of every decoder block, the last has half: then ``factor`` has no say.
    attention : int
        Which decoder block attends to itself, 0 the coarsest.
    side : int or None
        Most rows and columns of places that attend (:class:`~medcolor.networks.spectral.SelfAttention`).
    end : int
        Channels at full resolution; 0 begins and ends as published.

    Notes
    -----
    The release stretches a picture to a square and its colours back; here any size is filled up at its edges.
    """

    method = "nogan"
    style_free = False
    needs: frozenset[str] = frozenset()

    def __init__(
        self,
        *,
        depths: Sequence[int] = (1, 1, 1),
        widths: Sequence[int] = (24, 40, 64),
        bottleneck: bool = False,
        convolutions: int = 2,
        factor: float = 1.0,
        decoder: int = 0,
        attention: int = 0,
        side: int | None = 32,
        end: int = 32,
    ) -> None:
        super().__init__()
        fold = 4 if end else 0
        self.compact = bool(end)
        self.encoder = ResNetEncoder(1 if end else 3, depths=depths, widths=widths, bottleneck=bottleneck, fold=fold)
        *skips, channels = self.encoder.levels
        self.multiple = (fold or 2) << len(skips)
        """Sides are filled up to multiples of this."""
        self.bottom = nn.Sequential(
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=False),
            ConvUnit(channels, 2 * channels),
            ConvUnit(2 * channels, channels),
        )
        self.blocks = nn.ModuleList()
        for n, skip in enumerate(reversed(skips)):
            last = n == len(skips) - 1
            grown = (decoder // (1 + last)) if decoder else channels // 2
            width = grown if decoder else int((grown + skip) // (1 + last) * factor)
            self.blocks.append(_Block(channels, grown, skip, width, convolutions, side, attends=n == attention))
            channels = width
        self.end: LightEnd | _FullEnd = LightEnd(channels, 2, width=end) if end else _FullEnd(channels)
        if isinstance(self.end, LightEnd):
            nn.init.normal_(self.end.head.weight, std=0.01)  # begins nearly gray

    @classmethod
    def published(cls, kind: str) -> DeOldify:
        """Return "deep" (63.6 million parameters, the release's artistic) or "wide" (218.2 million; stable, video)."""
        return cls(**_PUBLISHED[kind], attention=1, side=None, end=0)

    def forward(
        self,
        gray: torch.Tensor,
        *,
        posteriors: torch.Tensor | None = None,
        hints: torch.Tensor | None = None,
        histogram: torch.Tensor | None = None,
    ) -> ChromaOutput:
        """Colour (N, 1, H, W), -1..1, of any size; takes no condition.

        The published widths predict lightness too.
        """
        height, width = gray.shape[-2:]
        x = filled(gray, self.multiple)
        if not self.compact:
            x = ((x + 1) / 2 - _column(x, _MEANS)) / _column(x, _DEVIATIONS)
        *skips, out = self.encoder(x)
        out = self.bottom(out)
        for block in self.blocks:
            out = block(out, skips.pop())
        if self.compact:
            raw = self.end(self.end.seen(x), out)[..., :height, :width]
            return ChromaOutput(_AB * (2 * torch.sigmoid(raw) - 1))
        scaled = 2 * _RANGE * torch.sigmoid(self.end(x, out)[..., :height, :width]) - _RANGE
        lab = srgb_to_lab((scaled * _column(x, _DEVIATIONS) + _column(x, _MEANS)).clamp(0, 1))
        return ChromaOutput(lab[:, 1:], lightness=lab[:, :1])

    def folded(self) -> DeOldify:
        """Return a copy for use, with the normalizations of the convolutions folded into their weights."""
        return folded_copy(self)


class _Block(nn.Module):
    """Enlarge, put the encoder's features beside it, convolve."""

    def __init__(
        self, before: int, grown: int, skip: int, after: int, convolutions: int, side: int | None, *, attends: bool
    ) -> None:
        super().__init__()
        self.up = ShuffleUp(before, grown)
        self.norm = nn.BatchNorm2d(skip)
        parts: list[nn.Module] = [ConvUnit(grown + skip, after)]
        parts += [ConvUnit(after, after) for _ in range(convolutions - 1)]
        if attends:
            parts.append(SelfAttention(after, side=side))
        self.parts = nn.Sequential(*parts)

    def forward(self, x: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
        both = torch.cat([self.up(x), self.norm(skip)], dim=1)
        out: torch.Tensor = self.parts(functional.relu(both, inplace=True))
        return out


class _FullEnd(nn.Module):
    """The published end: to full resolution, the input beside it, a residual block, three channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.grow = weight_norm(nn.Conv2d(channels, 4 * channels, 1))
        wide = channels + 3
        self.residual = nn.Sequential(ConvUnit(wide, wide, normalized=False), ConvUnit(wide, wide, normalized=False))
        self.head = ConvUnit(wide, 3, 1, normalized=False, active=False)

    def forward(self, x: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        grown = functional.pixel_shuffle(functional.relu(self.grow(features)), 2)
        both = torch.cat([grown, x], dim=1)
        out: torch.Tensor = self.head(both + self.residual(both))
        return out


def _column(like: torch.Tensor, values: tuple[float, ...]) -> torch.Tensor:
    return like.new_tensor(values)[:, None, None]


__all__ = ["DeOldify"]
