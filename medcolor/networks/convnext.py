"""ConvNeXt encoders (Liu et al. 2022), from the paper, that give every level on their way down."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

_EPSILON = 1e-6


class ConvNeXtEncoder(nn.Module):
    """Features at 1/4, 1/8, ... of the resolution, each normalized over its channels.

    Parameters
    ----------
    in_channels : int
        Of the picture.
    depths, widths : sequence of int
        Blocks and channels of each level, finest first.
    layer_scale : float
        What each block's outcome is multiplied with when training begins; 1e-6 is published, and slow to leave.
    """

    def __init__(
        self, in_channels: int, *, depths: Sequence[int], widths: Sequence[int], layer_scale: float = 1e-6
    ) -> None:
        super().__init__()
        steps = [nn.Sequential(nn.Conv2d(in_channels, widths[0], 4, 4), ChannelNorm(widths[0]))]
        for before, after in itertools.pairwise(widths):
            steps.append(nn.Sequential(ChannelNorm(before), nn.Conv2d(before, after, 2, 2)))
        self.steps = nn.ModuleList(steps)
        self.stages = nn.ModuleList(
            nn.Sequential(*(_Block(width, layer_scale) for _ in range(depth)))
            for depth, width in zip(depths, widths, strict=True)
        )
        self.norms = nn.ModuleList(ChannelNorm(width) for width in widths)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.trunc_normal_(
                    module.weight, std=0.02 if layer_scale < 1e-3 else module.weight[0].numel() ** -0.5
                )
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Return features (N, widths[n], H / 4 / 2**n, W / 4 / 2**n)."""
        levels = []
        for step, stage, norm in zip(self.steps, self.stages, self.norms, strict=True):
            x = stage(step(x))
            levels.append(norm(x))
        return levels


class ChannelNorm(nn.LayerNorm):
    """Layer normalization over the channels of a map."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=_EPSILON)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return a map of the shape of ``x``, (N, C, H, W)."""
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class _Block(nn.Module):
    """7 x 7 by channel, normalization, to four times the channels and back; beside the input."""

    def __init__(self, channels: int, layer_scale: float) -> None:
        super().__init__()
        self.near = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels, eps=_EPSILON)
        self.widen = nn.Linear(channels, 4 * channels)
        self.narrow = nn.Linear(4 * channels, channels)
        self.gamma = nn.Parameter(torch.full((channels,), layer_scale))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = self.norm(self.near(x).permute(0, 2, 3, 1))
        out = self.narrow(functional.gelu(self.widen(out)))
        return x + (out * self.gamma).permute(0, 3, 1, 2)


__all__ = ["ChannelNorm", "ConvNeXtEncoder"]
