"""Nazeri, Ng and Ebrahimi 2018, "Image colorization using generative adversarial networks": the generator.

A U-Net of 4 x 4 convolutions, each level half the sides of the one before, skips stacked, a tanh at the end that gives
L*, a* and b*: the lightness is predicted anew, so how far it drifts can be measured (a picture keeps the scan's own).
Its noise was dropout, and the published weights for photographs have none. The authors normalize by the batch at use
too; here nothing depends on what else is in the batch.

What differs in the compact width: the input is folded to a quarter of the resolution, and where the published network
has its first and last level at full resolution, the compact one has a light end
(:class:`~medcolor.networks.blocks.LightEnd`). The critic is :mod:`medcolor.networks.patch_discriminator`.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from medcolor.networks.blocks import LightEnd, NormedConv, filled, folded_copy
from medcolor.networks.chroma import ChromaOutput

AB_UNIT = 110.0
"""a* and b* of a tanh of 1."""

LIGHTNESS_UNIT = 50.0
"""L* is this times (tanh + 1)."""

_WIDTHS = (64, 64, 128, 256, 512, 512, 512, 512)
_COMPACT = (32, 40, 56, 72)
_CELL = 4
_SLOPE = 0.2


class Nazeri(nn.Module):
    """Colours and lightness from one U-Net.

    Parameters
    ----------
    widths : sequence of int
        Channels of each level on the way down; the way up has the same, mirrored, without the last.
    end : int
        Channels of the light end, a multiple of 4; 0 is the published design, with every level at its full size.
    """

    method = "nazeri"
    style_free = False
    needs: frozenset[str] = frozenset()

    def __init__(self, *, widths: Sequence[int] = _COMPACT, end: int = 24) -> None:
        super().__init__()
        widths = tuple(widths)
        if len(widths) < 2 or min(widths) < 1:
            raise ValueError(f"Nazeri takes at least two widths, each positive; got {widths}.")
        self.cell = _CELL if end else 1
        self.multiple = self.cell << (len(widths) - 1)
        """Sides are filled up to multiples of this."""
        first = NormedConv(self.cell**2, widths[0], kernel=4, slope=_SLOPE)
        steps = (NormedConv(a, b, kernel=4, stride=2, slope=_SLOPE) for a, b in itertools.pairwise(widths))
        self.down = nn.ModuleList([first, *steps])
        self.up = nn.ModuleList()
        before = widths[-1]
        for after in widths[-2::-1]:
            self.up.append(NormedConv(before, after, kernel=4, stride=2, transposed=True))
            before = 2 * after  # its mirror image is stacked on it
        self.last: nn.Module = LightEnd(before, 3, width=end) if end else nn.Conv2d(before, 3, 1)

    @classmethod
    def published(cls) -> Self:
        """Return the published widths for photographs of 256 x 256: 42.0 million parameters."""
        return cls(widths=_WIDTHS, end=0)

    @property
    def reach(self) -> int:
        """How far, in pixels, an input pixel can matter for an output: the halo that makes tiles seamless."""
        return 3 * self.multiple  # a third on the way down, two thirds on the way up

    def forward(
        self,
        gray: Tensor,
        *,
        posteriors: Tensor | None = None,
        hints: Tensor | None = None,
        histogram: Tensor | None = None,
    ) -> ChromaOutput:
        """Colour images of any size; conditions are not used.

        Parameters
        ----------
        gray : Tensor, (N, 1, H, W)
            -1..1.
        posteriors, hints, histogram : optional
            Of no meaning to this system.

        Returns
        -------
        ChromaOutput
            With the predicted lightness.
        """
        height, width = gray.shape[-2:]
        planes = self.planes(gray)[..., :height, :width]
        return ChromaOutput(planes[:, 1:] * AB_UNIT, lightness=LIGHTNESS_UNIT * (planes[:, :1] + 1))

    def planes(self, gray: Tensor) -> Tensor:
        """Return L*, a*, b* scaled to -1..1, (N, 3, H', W'), as the discriminator sees them; sides filled up."""
        whole = filled(gray, self.multiple)
        out = functional.pixel_unshuffle(whole, self.cell)
        levels: list[Tensor] = []
        for down in self.down:
            out = down(out)
            levels.append(out)
        levels.pop()
        for up in self.up:
            out = torch.cat([up(out), levels.pop()], dim=1)
        end = self.last(self.last.seen(whole), out) if isinstance(self.last, LightEnd) else self.last(out)
        return torch.tanh(end)

    def folded(self) -> Self:
        """Return a copy for use, with batch normalization folded into the convolutions before it."""
        return folded_copy(self)


__all__ = ["AB_UNIT", "LIGHTNESS_UNIT", "Nazeri"]
