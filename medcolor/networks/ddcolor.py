"""DDColor (Kang et al. 2023), from its published description: method "ddcolor".

A ConvNeXt encoder, a decoder of pixels (pixel shuffle, as in DeOldify), and a decoder of colours: learnable queries
look at the decoder's maps, one scale after another, and at each other. The product of queries and pixels is a map for
each query; a 1 x 1 convolution of the maps and the gray is the colour. The published width multiplies at full
resolution. The compact one multiplies at a quarter, lets its queries look at 1/32, 1/16 and 1/8 instead of 1/16, 1/8
and 1/4, and ends with :class:`~medcolor.networks.blocks.LightEnd`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from medcolor.networks.blocks import LightEnd, filled
from medcolor.networks.chroma import ChromaOutput
from medcolor.networks.convnext import ConvNeXtEncoder
from medcolor.networks.spectral import ConvUnit, ShuffleUp, folded_copy

_AB = 50.0
_SCALES = 3
_MEANS, _DEVIATIONS = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's pictures
_PUBLISHED: dict[str, dict[str, Any]] = {
    "tiny": {"depths": (3, 3, 9, 3), "widths": (96, 192, 384, 768)},
    "large": {"depths": (3, 3, 27, 3), "widths": (192, 384, 768, 1536)},
}


class DDColor(nn.Module):
    """Gray in, (a*, b*) out.

    Parameters
    ----------
    depths, widths : sequence of int, 4 each
        Blocks and channels of the encoder's levels, finest first.
    layer_scale : float
        Of the encoder's blocks.
    decoder : sequence of int, 3
        Channels of the pixel decoder's blocks, coarsest first; a query has as many numbers as the last.
    queries, heads, layers, hidden : int
        Of the colour decoder; each layer looks at one scale; ``hidden`` units in its feed-forward part.
    end : int
        Channels at full resolution; 0 works and ends as published.
    """

    method = "ddcolor"
    style_free = False
    needs: frozenset[str] = frozenset()

    def __init__(
        self,
        *,
        depths: Sequence[int] = (1, 1, 2, 1),
        widths: Sequence[int] = (24, 48, 64, 96),
        layer_scale: float = 0.1,
        decoder: Sequence[int] = (48, 48, 32),
        queries: int = 24,
        heads: int = 4,
        layers: int = 3,
        hidden: int = 128,
        end: int = 32,
    ) -> None:
        super().__init__()
        self.compact = bool(end)
        self.multiple = 4 << (len(widths) - 1)
        """Sides are filled up to multiples of this."""
        self.encoder = ConvNeXtEncoder(1 if end else 3, depths=depths, widths=widths, layer_scale=layer_scale)
        before = (widths[-1], *decoder[:-1])
        self.pixels = nn.ModuleList(_Block(*channels) for channels in zip(before, widths[-2::-1], decoder, strict=True))
        scales = before if end else decoder
        self.colors = _ColorDecoder(scales, decoder[-1], queries=queries, heads=heads, layers=layers, hidden=hidden)
        if end:
            self.end = LightEnd(queries, 2, width=end)
            nn.init.normal_(self.end.head.weight, std=0.01)  # begins nearly gray
        else:
            self.last = ShuffleUp(decoder[-1], decoder[-1], 4, normalized=False)
            self.head = ConvUnit(queries + 3, 2, 1, normalized=False, active=False)

    @classmethod
    def published(cls, kind: str) -> DDColor:
        """Return "tiny" (55.0 million parameters) or "large" (227.9 million)."""
        return cls(
            **_PUBLISHED[kind],
            layer_scale=1e-6,
            decoder=(512, 512, 256),
            queries=100,
            heads=8,
            layers=9,
            hidden=2048,
            end=0,
        )

    def forward(
        self,
        gray: torch.Tensor,
        *,
        posteriors: torch.Tensor | None = None,
        hints: torch.Tensor | None = None,
        histogram: torch.Tensor | None = None,
    ) -> ChromaOutput:
        """Colour (N, 1, H, W), -1..1, of any size; takes no condition."""
        height, width = gray.shape[-2:]
        x = filled(gray, self.multiple)
        if not self.compact:
            x = ((x + 1) / 2 - _column(x, _MEANS)) / _column(x, _DEVIATIONS)
        *skips, out = self.encoder(x)
        maps = [out]
        for block in self.pixels:
            maps.append(block(maps[-1], skips.pop()))
        queries = self.colors(maps[:_SCALES] if self.compact else maps[1:])
        if self.compact:
            ab = _AB * self.end(self.end.seen(x), torch.einsum("nqc,nchw->nqhw", queries, maps[-1]))
        else:
            planes = torch.einsum("nqc,nchw->nqhw", queries, self.last(maps[-1]))
            ab = self.head(torch.cat([planes, x], dim=1))
        return ChromaOutput(ab[..., :height, :width])

    def folded(self) -> DDColor:
        """Return a copy for use, with the normalizations of the convolutions folded into their weights."""
        return folded_copy(self)


class _Block(nn.Module):
    """Enlarge, put the encoder's features beside it, convolve."""

    def __init__(self, before: int, skip: int, after: int) -> None:
        super().__init__()
        self.up = ShuffleUp(before, after)
        self.norm = nn.BatchNorm2d(skip)
        self.unit = ConvUnit(after + skip, after)

    def forward(self, x: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
        both = torch.cat([self.up(x), self.norm(skip)], dim=1)
        out: torch.Tensor = self.unit(functional.relu(both, inplace=True))
        return out


class _ColorDecoder(nn.Module):
    """Maps of several scales in, queries (N, Q, C) out."""

    def __init__(
        self, channels: Sequence[int], width: int, *, queries: int, heads: int, layers: int, hidden: int
    ) -> None:
        super().__init__()
        self.content = nn.Parameter(torch.randn(queries, width))
        self.place = nn.Parameter(torch.randn(queries, width))
        self.level = nn.Parameter(torch.randn(len(channels), width))
        self.enter = nn.ModuleList(nn.Conv2d(before, width, 1) for before in channels)
        self.layers = nn.ModuleList(_Layer(width, heads, hidden) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.leave = nn.Sequential(
            nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width)
        )

    def forward(self, maps: Sequence[torch.Tensor]) -> torch.Tensor:
        seen, places = [], []
        for x, enter, level in zip(maps, self.enter, self.level, strict=True):
            seen.append((enter(x) + level[:, None, None]).flatten(2).transpose(1, 2))
            places.append(_waves(x, level.shape[0]))
        queries, place = (part.repeat(len(maps[0]), 1, 1) for part in (self.content, self.place))
        for n, layer in enumerate(self.layers):
            queries = layer(queries, place, seen[n % len(seen)], places[n % len(seen)])
        out: torch.Tensor = self.leave(self.norm(queries))
        return out


class _Layer(nn.Module):
    """Queries look at places, then at each other, then each thinks; normalized after each step."""

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.cross, self.own = _Attention(width, heads), _Attention(width, heads)
        self.think = nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, width))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))

    def forward(self, x: torch.Tensor, place: torch.Tensor, seen: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
        x = self.norms[0](x + self.cross(x + place, seen + places, seen))
        x = self.norms[1](x + self.own(x + place, x + place, x))
        out: torch.Tensor = self.norms[2](x + self.think(x))
        return out


class _Attention(nn.Module):
    """Several heads; the keys have no bias, which would cancel out."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.value, self.out = (nn.Linear(width, width) for _ in range(3))
        self.key = nn.Linear(width, width, bias=False)
        for part in (self.query, self.key, self.value, self.out):
            nn.init.xavier_uniform_(part.weight)

    def forward(self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        q, k, v = (
            part(x).unflatten(2, (self.heads, -1)).transpose(1, 2)
            for part, x in ((self.query, query), (self.key, key), (self.value, value))
        )
        weights = torch.softmax(q @ k.transpose(2, 3) / math.sqrt(q.shape[-1]), dim=3)
        out: torch.Tensor = self.out((weights @ v).transpose(1, 2).flatten(2))
        return out


def _waves(x: torch.Tensor, width: int) -> torch.Tensor:
    """Return sines and cosines of the places of a map, relative to its size, (h * w, width)."""
    each = width // 4
    frequencies = 2 * math.pi * 10_000 ** -(torch.arange(each, device=x.device, dtype=x.dtype) / each)
    sides = []
    for length in x.shape[-2:]:
        phase = (torch.arange(1, length + 1, device=x.device, dtype=x.dtype) / length)[:, None] * frequencies
        sides.append(torch.cat([phase.sin(), phase.cos()], dim=1))
    rows = sides[0][:, None].expand(-1, x.shape[-1], -1)
    columns = sides[1][None].expand(x.shape[-2], -1, -1)
    return torch.cat([rows, columns], dim=2).flatten(0, 1)


def _column(like: torch.Tensor, values: tuple[float, ...]) -> torch.Tensor:
    return like.new_tensor(values)[:, None, None]


__all__ = ["DDColor"]
