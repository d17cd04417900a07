"""ReHistoGAN's generator (Afifi, Brubaker, Brown 2021), from its published description: method "histogan".

An encoder and a decoder whose finest two blocks, and the skips into them, are steered by a histogram of colours: a
mapping network turns it into a factor for each channel of convolutions that keep their outputs' scale (demodulation,
Karras et al. 2020). It predicts lightness too. The original recolours colour pictures and adds noise; here it sees gray
and is the same every time. Without a histogram it colours with its default, the mean of its training pictures'.

The compact width folds 4 x 4 pixels into channels, uses batch instead of instance normalization (which would depend on
a picture's edges and size), and its finest steered block is :class:`~medcolor.networks.blocks.LightEnd`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from medcolor.networks.blocks import LightEnd, NormedConv, enlarged, filled, folded_copy, unfolded
from medcolor.networks.chroma import ChromaOutput

_LEAK = 0.2
_AB = 50.0
_LIGHTNESS = 50.0
_STEERED = 2  # blocks at the fine end


class ReHistoGAN(nn.Module):
    """Gray and a histogram in, (a*, b*) and L* out.

    Parameters
    ----------
    bins : int
        B of the histogram, along each axis.
    widths : sequence of int
        Channels of each level of the encoder, finest first.
    mapping : sequence of int
        Units of the mapping network's layers.
    end : int
        Channels at full resolution; 0 works at full resolution throughout, as published.

    Attributes
    ----------
    default_histogram : Tensor, (3 * B * B,)
        Used where none is given; :meth:`set_default` sets it.
    """

    method = "histogan"
    style_free = False
    needs = frozenset({"histogram"})

    def __init__(
        self,
        *,
        bins: int = 24,
        widths: Sequence[int] = (24, 40, 56, 72),
        mapping: Sequence[int] = (48, 48, 48),
        end: int = 32,
    ) -> None:
        super().__init__()
        self.bins, self.fold = bins, 4 if end else 1
        plain = bool(end)
        self.register_buffer("default_histogram", torch.full((3 * bins**2,), 1 / (3 * bins**2)))
        self.default_histogram: torch.Tensor
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise((3 * bins**2, *mapping)):
            layers += [nn.Linear(before, after), nn.LeakyReLU(_LEAK)]
        self.mapping = nn.Sequential(*layers)
        style = mapping[-1]
        self.multiple = self.fold << (len(widths) - 1)
        """Sides are filled up to multiples of this."""
        steps = list(itertools.pairwise((self.fold**2, *widths)))
        self.encoder = nn.ModuleList(_Residual(a, b, plain=plain) for a, b in steps)
        self.down = nn.ModuleList(nn.Conv2d(a, a, 3, 2, 1) for a in widths[:-1])
        steered = _STEERED - bool(end)
        upward = list(itertools.pairwise(widths))[::-1]
        self.decoder = nn.ModuleList(
            _Steered(b, a, style) if n >= len(upward) - steered else _Plain(b, a, plain=plain)
            for n, (a, b) in enumerate(upward)
        )
        self.end: _SteeredEnd | _ToPicture = _SteeredEnd(widths[0], style, end) if end else _ToPicture(widths[0], style)

    @classmethod
    def published(cls) -> ReHistoGAN:
        """Return the width at 256 x 256 that the description gives: 64 bins, eight mapping layers, six levels.

        Its number of parameters is not published; this reading of it has 38.8 million.
        """
        return cls(bins=64, widths=(32, 64, 128, 256, 512, 512), mapping=(1024, *[512] * 7), end=0)

    @property
    def reach(self) -> int | None:
        """How far, in pixels, an input pixel can matter for an output; None: everywhere, by instance normalization."""
        if self.fold == 1:
            return None
        levels = len(self.encoder)
        # Two convolutions a level down and up, one between levels, and what enlarging looks at.
        cells = 2 * ((1 << levels) - 1) + 3 * ((1 << (levels - 1)) - 1) + (1 << levels) - 2
        return (cells + 2) * self.fold + 4

    def set_default(self, histogram: torch.Tensor) -> None:
        """Take a histogram (3, B, B) as the one used where none is given."""
        self.default_histogram.copy_((histogram / histogram.sum()).flatten())

    def forward(
        self,
        gray: torch.Tensor,
        *,
        posteriors: torch.Tensor | None = None,
        hints: torch.Tensor | None = None,
        histogram: torch.Tensor | None = None,
    ) -> ChromaOutput:
        """Colour (N, 1, H, W), -1..1, of any size, towards histograms (N or 1, 3, B, B) of log-chroma.

        Raises
        ------
        ValueError
            The histogram has other bins than the network.
        """
        style = self._style(histogram)
        height, width = gray.shape[-2:]
        x = filled(gray, self.multiple)
        levels: list[torch.Tensor] = []
        out = functional.pixel_unshuffle(x, self.fold) if self.fold > 1 else x
        for n, block in enumerate(self.encoder):
            out = block(self.down[n - 1](out) if n else out)
            levels.append(out)
        out = levels.pop()
        for decode in self.decoder:
            out = decode(out, levels.pop(), style)
        planes = self.end.painted(x, out, style)[..., :height, :width]
        return ChromaOutput(_AB * planes[:, 1:], lightness=_LIGHTNESS * (1 + planes[:, :1]))

    def folded(self) -> ReHistoGAN:
        """Return a copy for use, with batch normalization folded into the convolutions before it."""
        return folded_copy(self)

    def _style(self, histogram: torch.Tensor | None) -> torch.Tensor:
        flat = self.default_histogram[None] if histogram is None else histogram.flatten(1)
        if flat.shape[1] != 3 * self.bins**2:
            raise ValueError(f"This network takes histograms of 3 x {self.bins} x {self.bins} bins.")
        # The root lies on a unit sphere, where the distance is Hellinger's; times a factor, for a mean square of 1.
        style: torch.Tensor = self.mapping((flat + 1e-12).sqrt() * math.sqrt(flat.shape[1]))
        return style


class _Modulated(nn.Module):
    """Convolution of channels times factors from the style, its outputs' scale restored."""

    def __init__(self, before: int, after: int, style: int, side: int, *, demodulated: bool = True) -> None:
        super().__init__()
        self.factor = nn.Linear(style, before)
        self.conv = nn.Conv2d(before, after, side, padding=side // 2, bias=False)
        self.bias = nn.Parameter(torch.zeros(after))
        self.demodulated = demodulated

    def forward(self, x: torch.Tensor, style: torch.Tensor) -> torch.Tensor:
        # Factors on the inputs and on the outputs do what weights of each picture's own would do, as one convolution.
        factor = 1 + self.factor(style)
        out: torch.Tensor = self.conv(x * factor[..., None, None])
        if self.demodulated:
            energy = self.conv.weight.square().sum((2, 3))  # (after, before)
            out = out * torch.rsqrt(factor.square() @ energy.T + 1e-8)[..., None, None]
        return out + self.bias[:, None, None]


class _Steered(nn.Module):
    """Enlarge, add the steered skip, two modulated convolutions."""

    def __init__(self, before: int, after: int, style: int) -> None:
        super().__init__()
        self.narrow = nn.Conv2d(before, after, 1)
        self.skip = _Modulated(after, after, style, 1)
        self.first = _Modulated(after, after, style, 3)
        self.second = _Modulated(after, after, style, 3)

    def forward(self, x: torch.Tensor, skip: torch.Tensor, style: torch.Tensor) -> torch.Tensor:
        out = enlarged(self.narrow(x), 2) + self.skip(skip, style)
        out = functional.leaky_relu(self.first(out, style), _LEAK)
        return functional.leaky_relu(self.second(out, style), _LEAK)


class _Plain(nn.Module):
    """Enlarge, put the skip beside it, convolve."""

    def __init__(self, before: int, after: int, *, plain: bool) -> None:
        super().__init__()
        self.block = _Residual(before + after, after, plain=plain)

    def forward(self, x: torch.Tensor, skip: torch.Tensor, style: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.block(torch.cat([enlarged(x, 2), skip], dim=1))
        return out


class _Residual(nn.Module):
    """Two 3 x 3 convolutions beside a 1 x 1 one."""

    def __init__(self, before: int, after: int, *, plain: bool) -> None:
        super().__init__()
        self.units = nn.Sequential(_unit(before, after, plain=plain), _unit(after, after, plain=plain))
        self.shortcut = nn.Conv2d(before, after, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.units(x) + self.shortcut(x)
        return out


class _SteeredEnd(LightEnd):
    """A light end of three planes whose middle is steered."""

    def __init__(self, before: int, style: int, width: int) -> None:
        super().__init__(before, 3, width=width)
        del self.refine
        nn.init.normal_(self.head.weight, std=0.01)  # begins nearly gray
        self.steered = _Modulated(width, width, style, 1)

    def painted(self, gray: torch.Tensor, context: torch.Tensor, style: torch.Tensor) -> torch.Tensor:
        h = functional.relu(self.seen(gray) + enlarged(self.context(context), 2), inplace=True)
        h = functional.leaky_relu(self.steered(h, style), _LEAK)
        return unfolded(self.head(h).contiguous())


class _ToPicture(nn.Module):
    """Three planes of the finest features, as StyleGAN2 ends: modulated, not demodulated."""

    def __init__(self, before: int, style: int) -> None:
        super().__init__()
        self.head = _Modulated(before, 3, style, 1, demodulated=False)

    def painted(self, gray: torch.Tensor, context: torch.Tensor, style: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.head(context, style)
        return out


def _unit(before: int, after: int, *, plain: bool) -> nn.Module:
    if plain:
        return NormedConv(before, after)
    return nn.Sequential(nn.Conv2d(before, after, 3, padding=1), nn.InstanceNorm2d(after), nn.LeakyReLU(_LEAK))


__all__ = ["ReHistoGAN"]
