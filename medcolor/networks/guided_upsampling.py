"""Chroma brought to full resolution along the edges of the gray: joint bilateral upsampling.

Each pixel takes the colours of the 3 x 3 cells around it, by how near a cell is and how like the pixel's its mean gray
is (Kopf, Cohen, Lischinski and Uyttendaele 2007). Nothing is learned, so it goes with any network at low resolution.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

SOFTNESS = 0.1
"""Standard deviation of the likeness in the normalized gray's unit: 40 HU where most of CT's tissue lies."""

_SPREAD = 0.5  # standard deviation of the nearness, in cells
_UNLIKE = 8.0  # from four standard deviations on, cells differ by nearness alone: a pixel like none still has a colour


def guided_enlarged(planes: Tensor, gray: Tensor, *, softness: float = SOFTNESS) -> Tensor:
    """Enlarge planes to the size of a gray image.

    Parameters
    ----------
    planes : Tensor, (N, C, h, w)
    gray : Tensor, (N, 1, h * factor, w * factor)
        The guide.
    softness : float
        Of likeness, in the gray's unit; large ones make a plain smooth interpolation.

    Returns
    -------
    Tensor, (N, C, h * factor, w * factor)
        Within the range of the cells around each pixel.
    """
    count, channels, height, width = planes.shape
    factor = gray.shape[-1] // width
    guide = gray / (softness * math.sqrt(2))
    cells = functional.avg_pool2d(guide, factor)
    around = functional.pad(torch.cat([planes, torch.ones_like(cells), cells], dim=1), (1, 1, 1, 1), mode="replicate")
    pixels = guide.view(count, 1, height, factor, width, factor)
    offsets = (torch.arange(factor, device=gray.device, dtype=gray.dtype) + 0.5) / factor - 0.5
    sums = planes.new_zeros((count, channels + 1, height, factor, width, factor))
    for down in range(3):
        for right in range(3):
            cell = around[:, :, down : down + height, None, right : right + width, None]
            far = (offsets[:, None, None] - (down - 1)).square() + (offsets - (right - 1)).square()
            unlike = (pixels - cell[:, -1:]).square().clamp_(max=_UNLIKE)
            share = unlike.add_(far / (2 * _SPREAD**2)).neg_().exp_()
            sums = sums.addcmul_(share, cell[:, :-1])  # colours, and what they are divided by
    out = sums[:, :-1] / sums[:, -1:]
    return out.view(count, channels, height * factor, width * factor)


__all__ = ["SOFTNESS", "guided_enlarged"]
