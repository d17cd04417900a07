"""The network of Zhang, Isola and Efros, "Colorful image colorization" (ECCV 2016), from its published description.

It is here as a measuring rod: the table of speeds names it, and its weights are not ours to ship. Eight blocks without
skip connections see the lightness and give a distribution over 313 bins of (a*, b*) at a quarter of the resolution.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

_BLOCKS = (  # (convolutions, width in units of the first, stride of the last, dilation)
    (2, 1, 2, 1),
    (2, 2, 2, 1),
    (3, 4, 2, 1),
    (3, 8, 1, 1),
    (3, 8, 1, 2),
    (3, 8, 1, 2),
    (3, 8, 1, 1),
)
_MIDDLE, _SPAN = 50.0, 100.0  # L* 0..100 enters as -0.5..0.5
_AB = 110.0


class ECCV16(nn.Module):
    """Lightness in, (a*, b*) out.

    Parameters
    ----------
    bins : int
        Cells of the (a*, b*) plane; 313 of side 10 hold the sRGB gamut.
    width : int
        Channels of the first block; 64 is the published network (32.236 million parameters), less is compact.

    Attributes
    ----------
    mean_ab : nn.Conv2d
        Expectation over the bins; its weight is the bins' centres, divided by 110.
    """

    def __init__(self, bins: int = 313, *, width: int = 64) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 1
        for count, factor, stride, dilation in _BLOCKS:
            channels = factor * width
            for n in range(count):
                step = stride if n == count - 1 else 1
                layers += [nn.Conv2d(before, channels, 3, step, dilation, dilation), nn.ReLU(inplace=True)]
                before = channels
            layers.append(nn.BatchNorm2d(channels))
        layers += [nn.ConvTranspose2d(before, 4 * width, 4, 2, 1), nn.ReLU(inplace=True)]
        for _ in range(2):
            layers += [nn.Conv2d(4 * width, 4 * width, 3, 1, 1), nn.ReLU(inplace=True)]
        layers.append(nn.Conv2d(4 * width, bins, 1))
        self.body = nn.Sequential(*layers)
        self.mean_ab = nn.Conv2d(bins, 2, 1, bias=False)

    def logits(self, lightness: torch.Tensor) -> torch.Tensor:
        """Return the bins' logits, (N, bins, H / 4, W / 4), of L* (N, 1, H, W) in 0..100."""
        out: torch.Tensor = self.body((lightness - _MIDDLE) / _SPAN)
        return out

    def forward(self, lightness: torch.Tensor, *, temperature: float = 1.0) -> torch.Tensor:
        """Colour an image.

        Parameters
        ----------
        lightness : Tensor, (N, 1, H, W)
            L*, 0..100; H and W multiples of 8.
        temperature : float
            Of the annealed mean; the paper's 0.38 lies between the mean (1) and the mode (0).

        Returns
        -------
        Tensor, (N, 2, H, W)
            a*, b*.
        """
        weights = torch.softmax(self.logits(lightness) / temperature, dim=1)
        ab: Any = functional.interpolate(self.mean_ab(weights), scale_factor=4, mode="bilinear", align_corners=False)
        return ab * _AB


__all__ = ["ECCV16"]
