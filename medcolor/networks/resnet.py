"""Residual encoders (He et al. 2016) that give every level on their way down, for networks with skips."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from medcolor.networks.spectral import ConvUnit

_EXPANSION = 4  # a bottleneck's output over its inner width


class Residual(nn.Module):
    """Two 3 x 3 convolutions, or 1 x 1, 3 x 3, 1 x 1 around a bottleneck, beside a shortcut.

    Parameters
    ----------
    before, after : int
        Channels.
    stride : int
        Of the (first) 3 x 3 convolution.
    bottleneck : bool
        Which of the two; the bottleneck's inner width is a quarter of ``after``.
    """

    def __init__(self, before: int, after: int, *, stride: int = 1, bottleneck: bool = False) -> None:
        super().__init__()
        if bottleneck:
            inner = after // _EXPANSION
            units = [
                ConvUnit(before, inner, 1, spectral=False),
                ConvUnit(inner, inner, stride=stride, spectral=False),
                ConvUnit(inner, after, 1, spectral=False, active=False),
            ]
        else:
            units = [
                ConvUnit(before, after, stride=stride, spectral=False),
                ConvUnit(after, after, spectral=False, active=False),
            ]
        self.units = nn.Sequential(*units)
        changes = stride > 1 or before != after
        self.shortcut: nn.Module = (
            ConvUnit(before, after, 1, stride=stride, spectral=False, active=False) if changes else nn.Identity()
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return features (N, after, H / stride, W / stride) of (N, before, H, W)."""
        return functional.relu(self.units(x) + self.shortcut(x), inplace=True)


class ResNetEncoder(nn.Module):
    """Every level of a residual network, finest first.

    Parameters
    ----------
    in_channels : int
        Of the picture.
    depths : sequence of int
        Blocks of each stage.
    widths : sequence of int
        Channels of each stage; all but the first begin with a stride of 2.
    bottleneck : bool
        Kind of the blocks.
    fold : int
        0 begins as published: a 7 x 7 convolution of stride 2 (64 channels, a level of its own), then a maximum over
        3 x 3 of stride 2. A number folds squares of so many pixels a side into channels instead.

    Attributes
    ----------
    levels : tuple of int
        Channels of each level that :meth:`forward` gives.
    """

    def __init__(
        self, in_channels: int, *, depths: Sequence[int], widths: Sequence[int], bottleneck: bool, fold: int
    ) -> None:
        super().__init__()
        self.fold = fold
        if fold:
            first = widths[0]
            self.stem = ConvUnit(in_channels * fold**2, first, spectral=False)
            self.levels = tuple(widths)
        else:
            first = 64
            self.stem = ConvUnit(in_channels, first, 7, stride=2, spectral=False)
            self.levels = (first, *widths)
        self.stages = nn.ModuleList()
        for n, (depth, (before, after)) in enumerate(zip(depths, itertools.pairwise((first, *widths)), strict=True)):
            blocks = [Residual(before, after, stride=2 if n else 1, bottleneck=bottleneck)]
            blocks += [Residual(after, after, bottleneck=bottleneck) for _ in range(depth - 1)]
            self.stages.append(nn.Sequential(*blocks))

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Return features (N, levels[n], h, w), each half the size of the one before."""
        levels = []
        if self.fold:
            out = self.stem(functional.pixel_unshuffle(x, self.fold))
        else:
            levels.append(self.stem(x))
            out = functional.max_pool2d(levels[0], 3, stride=2, padding=1)
        for stage in self.stages:
            out = stage(out)
            levels.append(out)
        return levels


__all__ = ["ResNetEncoder", "Residual"]
