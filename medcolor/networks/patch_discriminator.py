"""The critic of Nazeri 2018 (after Isola et al. 2017): says of each patch of 70 x 70 pixels whether it is real.

It sees the gray beside the colours, so it judges the colouring, not the picture.
"""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor, nn

PATCH = 70
"""Side of what one answer depends on."""

_SLOPE = 0.2
_SMALLEST = 32


class PatchDiscriminator(nn.Module):
    """Logits of "real", one for each patch.

    Parameters
    ----------
    width : int
        Channels of the first layer; 64 is published.
    planes : int
        Of the colours: 3 for L*, a*, b*; 2 for a*, b*.
    """

    def __init__(self, *, width: int = 16, planes: int = 3) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(1 + planes, width, 4, 2, 1), nn.LeakyReLU(_SLOPE, inplace=True)]
        for before, after, stride in ((1, 2, 2), (2, 4, 2), (4, 8, 1)):
            layers += [
                nn.Conv2d(before * width, after * width, 4, stride, 1, bias=False),
                nn.BatchNorm2d(after * width),
                nn.LeakyReLU(_SLOPE, inplace=True),
            ]
        layers.append(nn.Conv2d(8 * width, 1, 4, 1, 1))
        self.body = nn.Sequential(*layers)

    @classmethod
    def published(cls) -> Self:
        """Return the published widths: 2.77 million parameters."""
        return cls(width=64)

    def forward(self, gray: Tensor, colors: Tensor) -> Tensor:
        """Judge pictures.

        Parameters
        ----------
        gray : Tensor, (N, 1, H, W)
            -1..1; sides of at least 32.
        colors : Tensor, (N, planes, H, W)
            Scaled to -1..1: L* / 50 - 1, a* / 110, b* / 110.

        Returns
        -------
        Tensor, (N, 1, h, w)
            Positive: real. Near the border a patch reaches beyond the picture, where there are zeros.

        Raises
        ------
        ValueError
            A picture too small to judge.
        """
        if min(gray.shape[-2:]) < _SMALLEST:
            raise ValueError(f"The critic needs sides of at least {_SMALLEST}, got {tuple(gray.shape[-2:])}.")
        out: Tensor = self.body(torch.cat([gray, colors], dim=1))
        return out


__all__ = ["PATCH", "PatchDiscriminator"]
