"""A tiny network that says what kind of image a slice is: one of seven modalities, or none of them.

It sees a thumbnail twice: gray between its percentiles, and gray by rank. The second does not change with window,
gamma or lost units, so what is left is the shape of things and their texture.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

SIDE = 96
CLASSES = ("CT", "MR", "PT", "NM", "US", "XR", "MG", "other")
_LOW, _HIGH = 0.005, 0.995
_LEVELS = 256


def thumbnail(slices: Tensor) -> Tensor:
    """Return (n, 96, 96): averaged down, or interpolated up, each side on its own.

    Parameters
    ----------
    slices : Tensor, (n, h, w) of float32
        Finite, in any unit.
    """
    x, size = slices[:, None], slices.shape[-2:]
    if max(size) > SIDE:
        x = functional.adaptive_avg_pool2d(x, (min(SIDE, size[0]), min(SIDE, size[1])))
    if min(size) < SIDE:
        x = functional.interpolate(x, (SIDE, SIDE), mode="bilinear", align_corners=False)
    return x[:, 0]


def as_seen(thumbnails: Tensor) -> Tensor:
    """Return the network's input, (n, 2, 96, 96) in [-1, 1]: gray between percentiles, and gray by rank.

    A constant slice becomes -1 in the first and 0 in the second.
    """
    n = len(thumbnails)
    flat = thumbnails.reshape(n, -1)
    count = flat.shape[1]
    low = flat.kthvalue(1 + int(_LOW * (count - 1)), dim=1, keepdim=True).values
    high = flat.kthvalue(1 + int(_HIGH * (count - 1)), dim=1, keepdim=True).values
    least, most = flat.amin(dim=1, keepdim=True), flat.amax(dim=1, keepdim=True)
    narrow = high <= low  # a few bright points on nothing
    low, high = torch.where(narrow, least, low), torch.where(narrow, most, high)
    gray = ((flat - low) / (high - low).clamp_min(1e-20)).clamp(0, 1)
    level = (gray * (_LEVELS - 1)).round().long()
    counts = torch.zeros(n, _LEVELS, dtype=gray.dtype).scatter_add_(1, level, torch.ones_like(gray))
    rank = (counts.cumsum(dim=1) - counts / 2) / count
    both = torch.stack([gray, rank.gather(1, level)], dim=1)
    return (2 * both - 1).reshape(n, 2, *thumbnails.shape[1:])


class Recognizer(nn.Module):
    """Five convolutions, then mean and maximum over the image.

    Parameters
    ----------
    classes : int
    widths : tuple of int
        Channels of the convolutions; all but the fourth halve the image.
    """

    def __init__(self, classes: int = len(CLASSES), widths: tuple[int, ...] = (16, 32, 48, 64, 96)) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 2
        for n, width in enumerate(widths):
            step = 1 if n == 3 else 2
            layers += [nn.Conv2d(before, width, 3, step, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
            before = width
        self.body = nn.Sequential(*layers)
        self.dropout = nn.Dropout(0.2)
        self.head = nn.Linear(2 * before, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (n, classes) for what :func:`as_seen` gives."""
        y = self.body(x)
        pooled = torch.cat([y.mean(dim=(2, 3)), y.amax(dim=(2, 3))], dim=1)
        logits: Tensor = self.head(self.dropout(pooled))
        return logits

    def folded(self) -> Recognizer:
        """Fold normalization into the convolutions, in place; only for evaluation. Return self."""
        from torch.nn.utils.fusion import fuse_conv_bn_eval

        layers = list(self.eval().body)
        fused: list[nn.Module] = []
        for n in range(0, len(layers), 3):
            fused += [fuse_conv_bn_eval(layers[n], layers[n + 1]), layers[n + 2]]
        self.body = nn.Sequential(*fused)
        return self


__all__ = ["CLASSES", "SIDE", "Recognizer", "as_seen", "thumbnail"]
