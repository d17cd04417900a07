"""What the compact networks are built of: convolutions that fold, and a light end at full resolution.

A network works on squares of pixels folded into channels, at a quarter of the resolution. What it knows about each
place comes back in few channels, where a light end that sees the gray decides pixel by pixel: chroma follows the edges
of the gray, at a small part of the price of a decoder at full resolution.
"""

from __future__ import annotations

from copy import deepcopy
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

_SLOPE = 8.0  # of a unit at full resolution when training begins
_MIDDLE = 0.7  # most tissue of every modality lies within this input

Network = TypeVar("Network", bound=nn.Module)


class NormedConv(nn.Module):
    """Convolution, batch normalization, (leaky) ReLU; the middle one goes away when folded.

    Parameters
    ----------
    before, after : int
        Channels.
    kernel, stride, dilation : int
        Padded so that a stride of s divides a side that s divides by s.
    slope : float
        Of the negative side; 0 is a ReLU.
    transposed : bool
        A transposed convolution: the stride multiplies the sides.
    """

    def __init__(
        self,
        before: int,
        after: int,
        *,
        kernel: int = 3,
        stride: int = 1,
        dilation: int = 1,
        slope: float = 0.0,
        transposed: bool = False,
    ) -> None:
        super().__init__()
        self.slope = slope
        reach = dilation * (kernel - 1)
        # an even kernel of stride 1 sees one pixel more after than before
        self.uneven = kernel % 2 == 0 and stride == 1
        pad = 0 if self.uneven else reach // 2
        self.pads = (reach // 2, reach - reach // 2) * 2
        kind = nn.ConvTranspose2d if transposed else nn.Conv2d
        self.conv: nn.Conv2d | nn.ConvTranspose2d = kind(
            before, after, kernel, stride=stride, padding=pad, dilation=dilation, bias=False
        )
        self.norm: nn.Module = nn.BatchNorm2d(after)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, after, h, w) of (N, before, H, W)."""
        if self.uneven:
            x = functional.pad(x, self.pads)
        out = self.norm(self.conv(x))
        if self.slope:
            return functional.leaky_relu(out, self.slope, inplace=True)
        return functional.relu(out, inplace=True)

    def fold(self) -> None:
        """Put the normalization into the convolution's weights."""
        if isinstance(self.norm, nn.BatchNorm2d):
            transposed = isinstance(self.conv, nn.ConvTranspose2d)
            self.conv = nn.utils.fuse_conv_bn_eval(self.conv, self.norm, transpose=transposed)
            self.norm = nn.Identity()


class LightEnd(nn.Module):
    """From features at a quarter of the resolution and the gray to planes at full resolution.

    Squares of 2 x 2 pixels lie in channels: a quarter of the memory traffic of single pixels.

    Parameters
    ----------
    features : int
        Channels at a quarter of the resolution.
    planes : int
        Channels that come out.
    width : int
        Of the light part, a multiple of 4.
    hints : int
        Further channels at full resolution; absent ones count as 0.
    """

    def __init__(self, features: int, planes: int, *, width: int = 24, hints: int = 0) -> None:
        super().__init__()
        if width < 4 or width % 4:
            raise ValueError(f"A light end's width is a multiple of 4, got {width}.")
        self.context = nn.Conv2d(features, width, 1)
        self.look = nn.Conv2d(4, width, 3, padding=1, bias=False)
        self.hint = nn.Conv2d(4 * hints, width, 1, bias=False) if hints else None
        self.refine = nn.Conv2d(width, width, 1)
        self.head = nn.Conv2d(width, 4 * planes, 1)
        spread_kinks(self.look, self.context, 4)

    def seen(self, gray: Tensor) -> Tensor:
        """Return what depends on the gray alone, (N, width, H / 2, W / 2), of (N, 1, H, W), sides multiples of 4."""
        out: Tensor = self.look(functional.pixel_unshuffle(gray, 2))
        return out

    def forward(self, seen: Tensor, features: Tensor, hints: Tensor | None = None) -> Tensor:
        """Return the planes, (N, planes, H, W).

        Parameters
        ----------
        seen : Tensor
            From :meth:`seen`.
        features : Tensor, (N, features, H / 4, W / 4)
        hints : Tensor, (N, hints, H, W), optional
        """
        h = seen + enlarged(self.context(features), 2)
        if hints is not None and self.hint is not None:
            h = h + self.hint(functional.pixel_unshuffle(hints, 2))
        h = functional.relu(self.refine(functional.relu(h, inplace=True)), inplace=True)
        return unfolded(self.head(h).contiguous())


def spread_kinks(look: nn.Conv2d, context: nn.Conv2d, folded: int) -> None:
    """Let the units that look at each pixel bend at grays spread over the range, instead of all near the middle.

    A tissue is an interval of gray: with this start the part at full resolution has the intervals before it learns.
    """
    each = look.out_channels // folded
    grays = torch.linspace(-_MIDDLE, _MIDDLE, each)
    assert context.bias is not None
    with torch.no_grad():
        look.weight.mul_(0.3)
        for pixel in range(folded):
            for n, gray in enumerate(grays):
                unit, slope = pixel * each + n, _SLOPE * (-1) ** n
                look.weight[unit, pixel, 1, 1] += slope
                context.bias[unit] = -slope * gray


def enlarged(x: Tensor, factor: int) -> Tensor:
    """Return (N, C, h, w) at ``factor`` times the sides, bilinearly."""
    if factor == 1:
        return x
    return functional.interpolate(x, scale_factor=float(factor), mode="bilinear", align_corners=False)


def unfolded(x: Tensor, side: int = 2) -> Tensor:
    """Do what ``pixel_shuffle`` does, for sides 1 and 2, in runs of memory: several times faster on a CPU."""
    if side == 1:
        return x
    squares = x.unflatten(1, (-1, side, side))
    rows = torch.stack([squares[:, :, :, 0], squares[:, :, :, 1]], dim=-1)  # (N, C, 2, h, w, 2)
    return rows.transpose(2, 3).flatten(4, 5).flatten(2, 3)


def filled(x: Tensor, multiple: int) -> Tensor:
    """Return (N, C, H, W) with its last rows and columns repeated until both sides are multiples."""
    height, width = x.shape[-2:]
    return functional.pad(x, (0, -width % multiple, 0, -height % multiple), mode="replicate")


def folded_copy(network: Network) -> Network:
    """Return a copy for use, in eval mode, with batch normalization folded into the convolutions before it."""
    copy = deepcopy(network).eval()
    for module in copy.modules():
        if isinstance(module, NormedConv):
            module.fold()
    return copy


__all__ = ["LightEnd", "NormedConv", "enlarged", "filled", "folded_copy", "spread_kinks", "unfolded"]
