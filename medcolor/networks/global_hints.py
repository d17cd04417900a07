"""What is said of a whole picture's colours, after Zhang et al. 2017: a histogram and a saturation."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class GlobalHints(nn.Module):
    """Statistics of the colours to come, as numbers that are added to every place of the features.

    Parameters
    ----------
    bins : int
        Q, of the histogram.
    width : int
        Numbers that come out, and of each layer.
    layers : int
        After the two statistics are summed.
    norm : bool
        Batch normalization after each of these layers, as published.
    """

    def __init__(self, bins: int, width: int, *, layers: int = 3, norm: bool = False) -> None:
        super().__init__()
        self.bins = bins
        self.histogram = nn.Linear(bins + 1, width)
        self.saturation = nn.Linear(2, width)
        parts: list[nn.Module] = []
        for _ in range(layers):
            parts += [nn.ReLU(), nn.Linear(width, width), *([nn.BatchNorm1d(width)] if norm else [])]
        self.layers = nn.Sequential(*parts)

    def forward(self, histogram: Tensor | None, saturation: Tensor | None) -> Tensor | None:
        """Return (N, width, 1, 1), 0 for an image of which nothing is said; None if that is so of all.

        Parameters
        ----------
        histogram : Tensor, (N, Q), optional
            Shares of the bins, summing to 1; a row of zeros says nothing.
        saturation : Tensor, (N, 1), optional
            Mean HSV saturation, 0..1; a negative one says nothing.
        """
        if histogram is None and saturation is None:
            return None
        if histogram is None:
            assert saturation is not None
            histogram = saturation.new_zeros((len(saturation), self.bins))
        if saturation is None:
            saturation = histogram.new_full((len(histogram), 1), -1.0)
        known = (histogram.sum(dim=1, keepdim=True) > 0).to(histogram.dtype)
        told = (saturation >= 0).to(saturation.dtype)
        first = self.histogram(torch.cat([histogram, known], dim=1))
        second = self.saturation(torch.cat([saturation.clamp(min=0), told], dim=1))
        out: Tensor = self.layers(first + second) * torch.maximum(known, told)
        return out[..., None, None]


__all__ = ["GlobalHints"]
