"""Zhang et al. 2017, "Real-time user-guided image colorization with learned deep priors", as a system at our size.

What is kept of the paper: local hints as colours with a mask, global hints (histogram over bins, mean saturation, each
with a flag) added to the middle; two dilated blocks there; skips that are summed, not stacked; a regression of the
colour and a side head with a distribution at a quarter of the resolution, from which colours are suggested. The
decoder is computed once (the released file computes two levels twice).

What differs, so that a new hint costs a fraction of the published network: the input is folded and full resolution has
a light end; what does not depend on hints (:meth:`Zhang2017.encode`) is apart from what does
(:meth:`Zhang2017.decode`); hints enter after the encoder, at the middle and at the end; and they act on all tissue
that looks alike, not only near by, which is where the published network is known to fail
(:mod:`medcolor.networks.hint_memory`). Bins are those a screen can show.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from medcolor.networks.ab_bins import AbBins
from medcolor.networks.blocks import LightEnd, NormedConv, enlarged, filled, folded_copy
from medcolor.networks.chroma import ChromaOutput
from medcolor.networks.color_suggestions import suggested_colors
from medcolor.networks.global_hints import GlobalHints
from medcolor.networks.hint_memory import hint_cells, recalled
from medcolor.networks.siggraph17 import SIGGRAPH17

_AB = 110.0
_MULTIPLE = 8
_CELL = 4
_HINT = 6  # what is known of a cell: its own hint, and what is recalled by likeness

Stage = Literal["both", "classes", "colors"]


class Encoded(NamedTuple):
    """What an image gives whatever the hints are.

    Attributes
    ----------
    seen : Tensor, (N, E, H / 2, W / 2)
        The gray at full resolution, for the light end.
    quarter : Tensor, (N, width, H / 4, W / 4)
    middle : Tensor, (N, 2 width, H / 8, W / 8)
    shares : Tensor, (N, prototypes, H / 4, W / 4)
        What each cell looks like (:mod:`medcolor.networks.hint_memory`).
    size : tuple of int
        H and W before they were filled up to multiples of 8.
    """

    seen: Tensor
    quarter: Tensor
    middle: Tensor
    shares: Tensor
    size: tuple[int, int]


class Zhang2017(nn.Module):
    """Colours by itself, better with hints.

    Parameters
    ----------
    width : int
        Channels at a quarter of the resolution; twice as many in the middle.
    end : int
        Channels of the light end, a multiple of 4.
    prototypes : int
        Kinds of look by which hints spread.
    overall : int
        Width of the global hints' part.
    slack : float or None
        Which bins (:class:`~medcolor.networks.ab_bins.AbBins`).
    temperature : float
        Of the bins' annealed mean.
    """

    method = "zhang2017"
    style_free = False
    needs = frozenset({"hints"})

    def __init__(
        self,
        *,
        width: int = 32,
        end: int = 24,
        prototypes: int = 32,
        overall: int = 32,
        slack: float | None = 0.0,
        temperature: float = 0.38,
    ) -> None:
        super().__init__()
        deep = 2 * width
        self.bins = AbBins(slack=slack, temperature=temperature)
        self.stem = nn.Sequential(NormedConv(_CELL**2, width), NormedConv(width, width))  # blocks 1 and 2
        self.down = nn.Sequential(NormedConv(width, deep, stride=2), NormedConv(deep, deep))  # 3 and 4
        self.looks = nn.ModuleList([nn.Conv2d(width, prototypes, 1), nn.Conv2d(deep, prototypes, 1, bias=False)])
        self.overall = GlobalHints(self.bins.count, overall, layers=2)
        self.overall_in = nn.Conv2d(overall, deep, 1, bias=False)
        self.hint_in = nn.Conv2d(_HINT, deep, 3, padding=1, bias=False)
        self.block5 = nn.Sequential(NormedConv(deep, deep, dilation=2), NormedConv(deep, deep, dilation=2))
        self.block6 = nn.Sequential(NormedConv(deep, deep, dilation=2), NormedConv(deep, deep, dilation=2))
        self.up = nn.ConvTranspose2d(deep, width, 4, 2, 1)
        self.skip = nn.Conv2d(width, width, 1)
        self.hint_up = nn.Conv2d(_HINT, width, 1, bias=False)
        self.block8 = NormedConv(width, width)
        self.classes = nn.Conv2d(width, self.bins.count, 1)
        self.end = LightEnd(width, 3, width=end, hints=3)

    @classmethod
    def published(cls) -> SIGGRAPH17:
        """Return the network at the published widths: 34.19 million parameters."""
        return SIGGRAPH17()

    def forward(
        self,
        gray: Tensor,
        *,
        posteriors: Tensor | None = None,
        hints: Tensor | None = None,
        histogram: Tensor | None = None,
        ab_histogram: Tensor | None = None,
        saturation: Tensor | None = None,
        classify: bool = True,
        stage: Stage = "both",
    ) -> ChromaOutput:
        """Colour images of any size.

        Parameters
        ----------
        gray : Tensor, (N, 1, H, W)
            -1..1.
        posteriors, histogram : optional
            Of no meaning to this system.
        hints : Tensor, (N, 3, H, W), optional
            a/110, b/110, and 1 where a colour is given.
        ab_histogram : Tensor, (N, Q), optional
            Shares of the bins in the picture to come; a row of zeros: unknown.
        saturation : Tensor, (N, 1), optional
            Its mean HSV saturation, 0..1; negative: unknown.
        classify : bool
            False saves the side head: no logits, no doubt.
        stage : {"both", "classes", "colors"}
            Of training: whose gradient reaches the features. As published, the side head learns first ("classes") and
            then only watches ("colors").

        Returns
        -------
        ChromaOutput
            With logits (N, Q, ceil(H / 8) * 2, ceil(W / 8) * 2) and doubt.
        """
        known = self.encode(gray)
        return self.decode(
            known, hints, ab_histogram=ab_histogram, saturation=saturation, classify=classify, stage=stage
        )

    def encode(self, gray: Tensor) -> Encoded:
        """Return what the gray gives, once for all hints."""
        size = (gray.shape[2], gray.shape[3])
        whole = filled(gray, _MULTIPLE)
        quarter = self.stem(functional.pixel_unshuffle(whole, _CELL))
        middle = self.down(quarter)
        near, far = self.looks
        shares = torch.softmax(near(quarter) + enlarged(far(middle), 2), dim=1)
        return Encoded(self.end.seen(whole), quarter, middle, shares, size)

    def decode(
        self,
        known: Encoded,
        hints: Tensor | None = None,
        *,
        ab_histogram: Tensor | None = None,
        saturation: Tensor | None = None,
        classify: bool = True,
        stage: Stage = "both",
    ) -> ChromaOutput:
        """Return the colours of an encoded image under hints; parameters as in :meth:`forward`."""
        middle, recall = known.middle, None
        overall = self.overall(ab_histogram, saturation)
        if overall is not None:
            middle = middle + self.overall_in(overall)
        if hints is not None:
            hints = torch.cat([hints[:, :2] * hints[:, 2:], hints[:, 2:]], dim=1)  # where the mask is 0 is no colour
            # beyond the image nothing is hinted: zeros, where the gray repeats its border
            hints = functional.pad(hints, (0, -hints.shape[3] % _MULTIPLE, 0, -hints.shape[2] % _MULTIPLE))
            cells = hint_cells(hints, _CELL)
            recall = recalled(known.shares, cells)
            told = torch.cat([cells, recall], dim=1)
            coarse = [hint_cells(hints, 2 * _CELL), functional.avg_pool2d(recall, 2)]
            middle = middle + self.hint_in(torch.cat(coarse, dim=1))
        middle = middle + self.block5(middle)
        middle = middle + self.block6(middle)
        quarter = self.up(middle) + self.skip(known.quarter)
        if hints is not None:
            quarter = quarter + self.hint_up(told)
        quarter = self.block8(functional.relu(quarter))
        planes = self.end(known.seen, quarter.detach() if stage == "classes" else quarter, hints)
        ab = torch.tanh(planes[:, :2]) * _AB
        if recall is not None:  # how far what looks alike is to be believed, pixel by pixel
            wide, belief = enlarged(recall, _CELL), torch.sigmoid(planes[:, 2:])
            ab = ab * (1 - belief * wide[:, 2:]) + belief * wide[:, :2] * _AB
        height, width = known.size
        ab = ab[..., :height, :width]
        if not classify:
            return ChromaOutput(ab)
        logits = self.classes(quarter.detach() if stage == "colors" else quarter)
        return ChromaOutput(ab, logits=logits, doubt=enlarged(self.bins.doubt(logits), _CELL)[..., :height, :width])

    def suggest(self, logits: Tensor, y: int, x: int, count: int = 9) -> tuple[Tensor, Tensor]:
        """Return colours to offer for a pixel.

        Parameters
        ----------
        logits : Tensor, (1, Q, h, w)
            Of :meth:`forward`.
        y, x : int
            Row and column of the pixel in the image.
        count : int
            Colours wanted.

        Returns
        -------
        colors : Tensor, (count, 2)
            a*, b*, the most likely first; the same logits give the same colours.
        shares : Tensor, (count,)
            Of the distribution's mass.
        """
        likely = torch.softmax(logits[0, :, y // _CELL, x // _CELL].float(), dim=0)
        return suggested_colors(likely, self.bins.centers, count, step=self.bins.step)

    def folded(self) -> Self:
        """Return a copy for use, with batch normalization folded into the convolutions before it."""
        return folded_copy(self)


__all__ = ["Encoded", "Stage", "Zhang2017"]
