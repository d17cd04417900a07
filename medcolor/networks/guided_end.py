"""The way back to full resolution: what a network knows of each place, decided pixel by pixel by the gray there.

Enlarging chroma smoothly blurs it over edges, enlarging it roughly makes blocks. Here a few channels of context are
enlarged instead, and a light part that sees the gray turns them into colours: the published systems end otherwise
(each says how), our compact widths of them end here.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

_FOLD = 2  # squares of 2 x 2 pixels lie in channels: a quarter of the memory traffic of single pixels
_SLOPE = 8.0  # of a unit when training begins
_MIDDLE = 0.9  # grays at which units bend lie within this


class GuidedEnd(nn.Module):
    """Context at reduced resolution and the gray at full resolution in, planes at full resolution out.

    Parameters
    ----------
    context : int
        Channels of the context.
    outputs : int
        Planes.
    width : int
        Channels of the part at full resolution; a multiple of 4.
    reduction : int
        Pixels to a cell of the context, a multiple of 2.
    mixed : bool
        False leaves out the 1 x 1 convolution in the middle, for those who bring their own.
    """

    def __init__(self, context: int, outputs: int, *, width: int = 32, reduction: int = 4, mixed: bool = True) -> None:
        super().__init__()
        self.enlargement = reduction // _FOLD
        self.context = nn.Conv2d(context, width, 1)
        self.look = nn.Conv2d(_FOLD**2, width, 3, padding=1, bias=False)
        self.mix = nn.Sequential(nn.Conv2d(width, width, 1), nn.ReLU(inplace=True)) if mixed else None
        self.head = nn.Conv2d(width, outputs * _FOLD**2, 1)
        self._spread_kinks(width // _FOLD**2)

    def forward(self, gray: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        """Return planes, (N, outputs, H, W), of gray (N, 1, H, W) and context (N, C, H / reduction, W / reduction)."""
        features = self.seen(gray, context)
        return self.shown(features if self.mix is None else self.mix(features))

    def seen(self, gray: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        """Return the features of squares, (N, width, H / 2, W / 2)."""
        known = self.context(context)
        if self.enlargement > 1:
            known = functional.interpolate(
                known, scale_factor=float(self.enlargement), mode="bilinear", align_corners=False
            )
        return functional.relu(self.look(functional.pixel_unshuffle(gray, _FOLD)) + known, inplace=True)

    def shown(self, features: torch.Tensor) -> torch.Tensor:
        """Return the planes, (N, outputs, H, W), of features of squares."""
        return functional.pixel_shuffle(self.head(features), _FOLD)

    def _spread_kinks(self, each: int) -> None:
        """Let the units bend at grays spread over the range: a tissue is an interval of gray, there from the start."""
        grays = torch.linspace(-_MIDDLE, _MIDDLE, each).tolist()
        with torch.no_grad():
            self.head.weight.mul_(0.1)  # begins nearly gray
            self.look.weight.mul_(0.3)
            for pixel in range(_FOLD**2):
                for n, gray in enumerate(grays):
                    unit, slope = pixel * each + n, _SLOPE * (-1) ** n
                    self.look.weight[unit, pixel, 1, 1] += slope
                    self.context.bias[unit] = -slope * gray


__all__ = ["GuidedEnd"]
