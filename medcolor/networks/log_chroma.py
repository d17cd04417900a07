"""HistoGAN's histogram of colours (Afifi, Brubaker, Brown 2021), and the Hellinger distance between two.

For each of red, green and blue as the reference, u and v are the differences of its logarithm from those of the other
two; each pixel counts in the (u, v) plane with its intensity, softly. Brightness changes neither u nor v, so the
histogram says which colours there are and not how light they are. A gray picture is a single peak in the middle. Both
have gradients.
"""

from __future__ import annotations

import math

import torch

BINS = 64
"""Published, along each axis."""
LIMIT = 3.0
"""u and v lie within -3..3, as published."""
SIDE = 150
"""Most rows and columns of pixels that count, as published."""
_FALLOFF = 0.02  # of the kernel, in units of u and v, at 64 bins
_LEAST = 1e-6  # under logarithms and roots
_PLANES = ((0, 1, 2), (1, 0, 2), (2, 0, 1))  # reference, and the two it is compared with


def log_chroma_histogram(
    rgb: torch.Tensor, *, bins: int = BINS, falloff: float | None = None, side: int = SIDE
) -> torch.Tensor:
    """Return the log-chroma histogram of pictures.

    Parameters
    ----------
    rgb : Tensor, (N, 3, H, W)
        sRGB; limited to 0..1.
    bins : int
        Along each axis.
    falloff : float or None
        Distance at which a pixel counts half (inverse quadratic kernel). None: the published 0.02 at 64 bins, and the
        same share of a bin's width at others.
    side : int
        Rows and columns of a larger picture are left out evenly until so many remain: memory and time stay bounded.

    Returns
    -------
    Tensor, (N, 3, bins, bins)
        Sums to 1 for each picture.
    """
    sampled = rgb[:, :, _evenly(rgb.shape[2], side)][..., _evenly(rgb.shape[3], side)].clamp(0, 1).flatten(2)
    width = _FALLOFF * BINS / bins if falloff is None else falloff
    centers = torch.linspace(-LIMIT, LIMIT, bins, dtype=rgb.dtype, device=rgb.device)
    intensity = (sampled.square().sum(1) + _LEAST).sqrt()
    logs = (sampled + _LEAST).log()
    planes = []
    for reference, first, second in _PLANES:
        u, v = (
            1 / (1 + ((logs[:, reference] - logs[:, other])[..., None] - centers).div(width).square())
            for other in (first, second)
        )
        planes.append((u * intensity[..., None]).transpose(1, 2) @ v)
    counts = torch.stack(planes, dim=1)
    return counts / counts.sum((1, 2, 3), keepdim=True)


def hellinger(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Return the Hellinger distance, (N,), 0 (equal) to 1, of histograms (N, ...) that sum to 1.

    Its mean over a batch is the published loss.
    """
    # A root has no slope at 0, and a distance none where both are equal.
    roots = [(histogram + _LEAST**2).sqrt() for histogram in (first, second)]
    return ((roots[0] - roots[1]).flatten(1).square().sum(1) + _LEAST**2).sqrt() / math.sqrt(2)


def _evenly(length: int, most: int) -> torch.Tensor:
    return torch.linspace(0, length - 1, min(length, most)).round().long()


__all__ = ["BINS", "LIMIT", "SIDE", "hellinger", "log_chroma_histogram"]
