"""Zhang, Isola and Efros 2016, "Colorful image colorization", as a system: a distribution over colours, then its mean.

What is kept of the paper: lightness alone comes in; blocks without skip connections, two of them dilated; a
distribution over in-gamut bins at a quarter of the resolution; class rebalancing (the objective's business, by the
bins' weights); the annealed mean; the scan's own lightness in the picture.

What differs in the compact width: the input is folded, so blocks 1 and 2 become one at a quarter of the resolution;
batch normalization stands before each ReLU (it folds away), not once after each block; and with ``guided`` the colours
are brought to full size along the edges of the gray instead of bilinearly, which is our answer to the paper's known
bleeding and learns nothing: the network under it is the same.
"""

from __future__ import annotations

from typing import Self

from torch import Tensor, nn
from torch.nn import functional

from medcolor.networks.ab_bins import PAPER_SLACK, AbBins
from medcolor.networks.blocks import NormedConv, enlarged, filled, folded_copy
from medcolor.networks.chroma import ChromaOutput
from medcolor.networks.eccv16 import ECCV16
from medcolor.networks.guided_upsampling import guided_enlarged

_MULTIPLE = 8  # sides are filled up to multiples of this
_CELL = 4  # pixels along a side of what has one distribution


class Zhang2016(nn.Module):
    """Colours as classes.

    Parameters
    ----------
    width : int
        Channels of the first block.
    folded_input : bool
        The compact design; False is the published one (:class:`~medcolor.networks.eccv16.ECCV16`).
    guided : bool
        Enlarge the colours along the gray's edges; False: bilinearly, as published.
    slack : float or None
        Which bins (:class:`~medcolor.networks.ab_bins.AbBins`).
    neighbours : int
        Bins of the soft encoding.
    temperature : float
        Of the annealed mean.
    """

    method = "zhang2016"
    style_free = False
    needs: frozenset[str] = frozenset()

    def __init__(
        self,
        *,
        width: int = 32,
        folded_input: bool = True,
        guided: bool = True,
        slack: float | None = 0.0,
        neighbours: int = 10,
        temperature: float = 0.38,
    ) -> None:
        super().__init__()
        self.guided, self.folded_input = guided, folded_input
        self.multiple = _MULTIPLE
        """Sides are filled up to multiples of this."""
        self.bins = AbBins(slack=slack, neighbours=neighbours, temperature=temperature)
        self.body = _compact(self.bins.count, width) if folded_input else ECCV16(self.bins.count, width=width).body

    @classmethod
    def published(cls) -> Self:
        """Return the published widths: 32.236 million numbers, of which 626 are the bins' centres (a buffer here)."""
        return cls(width=64, folded_input=False, guided=False, slack=PAPER_SLACK)

    @property
    def reach(self) -> int:
        """How far, in pixels, an input pixel can matter for an output: the halo that makes tiles seamless."""
        # 3 x 3 convolutions by the size of their cells, times their dilation; the transposed one; the enlargement
        if self.folded_input:
            return 4 * 3 + 8 * 11 + 8 + 4 + 8
        return 1 * 2 + 2 * 2 + 4 * 3 + 8 * 18 + 8 + 4 * 2 + (8 if self.guided else 4)

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
            With logits over the bins, (N, Q, ceil(H / 8) * 2, ceil(W / 8) * 2), and doubt.
        """
        height, width = gray.shape[-2:]
        whole = filled(gray, _MULTIPLE)
        logits = self.logits(whole)
        cells = self.bins.mean(logits)
        ab = guided_enlarged(cells, whole) if self.guided else enlarged(cells, _CELL)
        doubt = enlarged(self.bins.doubt(logits), _CELL)
        return ChromaOutput(ab[..., :height, :width], logits=logits, doubt=doubt[..., :height, :width])

    def logits(self, gray: Tensor) -> Tensor:
        """Return the bins' logits, (N, Q, H / 4, W / 4), of gray (N, 1, H, W) with sides of multiples of 8.

        All that training needs: the loss of the paper is on the distribution.
        """
        # published: (L* - 50) / 100 comes in
        out: Tensor = self.body(functional.pixel_unshuffle(gray, _CELL) if self.folded_input else gray / 2)
        return out

    def folded(self) -> Self:
        """Return a copy for use, with batch normalization folded where it stands before a ReLU."""
        return folded_copy(self)


def _compact(bins: int, width: int) -> nn.Sequential:
    deep = 2 * width
    return nn.Sequential(
        NormedConv(_CELL**2, width),  # blocks 1 and 2
        NormedConv(width, width),
        NormedConv(width, deep, stride=2),  # 3
        NormedConv(deep, deep),
        NormedConv(deep, deep),  # 4
        *(NormedConv(deep, deep, dilation=2) for _ in range(4)),  # 5 and 6
        NormedConv(deep, deep),  # 7
        NormedConv(deep, width, kernel=4, stride=2, transposed=True),  # 8
        NormedConv(width, width),
        nn.Conv2d(width, bins, 1),
    )


__all__ = ["Zhang2016"]
