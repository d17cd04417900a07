"""The network of Zhang et al., "Real-time user-guided image colorization with learned deep priors" (SIGGRAPH 2017).

From its published description, at its published widths, untrained: the measuring rod of what a hint costs. The levels
of the decoder are computed once; the released inference file computes the last two twice, which changes no output.
:class:`~medcolor.networks.zhang2017.Zhang2017` is what we train.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from medcolor.networks.ab_bins import AbBins
from medcolor.networks.blocks import enlarged, filled
from medcolor.networks.chroma import ChromaOutput
from medcolor.networks.global_hints import GlobalHints

_AB = 110.0
_MULTIPLE = 8


class SIGGRAPH17(nn.Module):
    """Lightness and hints in, colours out, with a distribution over the whole grid of colours beside it.

    Parameters
    ----------
    width : int
        Channels of the first block; 64 is published.
    class_head : bool
        The side head: 34.19 million parameters with it, 34.05 without.
    global_hints : bool
        The global hints network too, which the published count leaves out.
    """

    method = "zhang2017"
    style_free = False
    needs = frozenset({"hints"})

    def __init__(self, *, width: int = 64, class_head: bool = True, global_hints: bool = False) -> None:
        super().__init__()
        w = width
        self.bins = AbBins(slack=None)
        self.block1 = _block(4, w, 2)
        self.block2 = _block(w, 2 * w, 2)
        self.block3 = _block(2 * w, 4 * w, 3)
        self.block4 = _block(4 * w, 8 * w, 3)
        self.block5 = _block(8 * w, 8 * w, 3, dilation=2)
        self.block6 = _block(8 * w, 8 * w, 3, dilation=2)
        self.block7 = _block(8 * w, 8 * w, 3)
        self.up8, self.skip8 = _up(8 * w, 4 * w), nn.Conv2d(4 * w, 4 * w, 3, padding=1)
        self.block8 = _decoded(4 * w, 2)
        self.up9, self.skip9 = _up(4 * w, 2 * w), nn.Conv2d(2 * w, 2 * w, 3, padding=1)
        self.block9 = _decoded(2 * w, 1)
        self.up10, self.skip10 = _up(2 * w, 2 * w), nn.Conv2d(w, 2 * w, 3, padding=1)
        self.block10 = nn.Sequential(nn.ReLU(), nn.Conv2d(2 * w, 2 * w, 3, padding=1), nn.LeakyReLU(0.2))
        self.colors = nn.Conv2d(2 * w, 2, 1)
        self.classes = nn.Conv2d(4 * w, self.bins.count, 1) if class_head else None
        self.overall = GlobalHints(self.bins.count, 8 * w, norm=True) if global_hints else None

    def forward(
        self,
        gray: Tensor,
        *,
        posteriors: Tensor | None = None,
        hints: Tensor | None = None,
        histogram: Tensor | None = None,
        ab_histogram: Tensor | None = None,
        saturation: Tensor | None = None,
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
        ab_histogram, saturation : Tensor, optional
            Of the whole picture (:class:`~medcolor.networks.global_hints.GlobalHints`).
        """
        height, width = gray.shape[-2:]
        if hints is None:
            hints = gray.new_zeros((len(gray), 3, height, width))
        # (L* - 50) / 100, as published; the mask as the retrained model has it, 0.5 less
        x = torch.cat([gray / 2, hints[:, :2] * hints[:, 2:], hints[:, 2:] - 0.5], dim=1)
        x = filled(x, _MULTIPLE)
        full = self.block1(x)
        half = self.block2(full[..., ::2, ::2])
        quarter = self.block3(half[..., ::2, ::2])
        middle = self.block4(quarter[..., ::2, ::2])
        overall = None if self.overall is None else self.overall(ab_histogram, saturation)
        if overall is not None:
            middle = middle + overall
        middle = self.block7(self.block6(self.block5(middle)))
        quarter = self.block8(self.up8(middle) + self.skip8(quarter))
        half = self.block9(self.up9(quarter) + self.skip9(half))
        full = self.block10(self.up10(half) + self.skip10(full))
        ab = torch.tanh(self.colors(full)) * _AB
        if self.classes is None:
            return ChromaOutput(ab[..., :height, :width])
        logits = self.classes(quarter)
        doubt = enlarged(self.bins.doubt(logits), 4)
        return ChromaOutput(ab[..., :height, :width], logits=logits, doubt=doubt[..., :height, :width])


def _block(before: int, after: int, count: int, *, dilation: int = 1) -> nn.Sequential:
    parts: list[nn.Module] = []
    for n in range(count):
        channels = before if n == 0 else after
        parts += [nn.Conv2d(channels, after, 3, 1, dilation, dilation), nn.ReLU(inplace=True)]
    return nn.Sequential(*parts, nn.BatchNorm2d(after))


def _decoded(channels: int, count: int) -> nn.Sequential:
    parts: list[nn.Module] = [nn.ReLU()]
    for _ in range(count):
        parts += [nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU(inplace=True)]
    return nn.Sequential(*parts, nn.BatchNorm2d(channels))


def _up(before: int, after: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(before, after, 4, 2, 1)


__all__ = ["SIGGRAPH17"]
