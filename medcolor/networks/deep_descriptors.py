"""What Deep Colorization sees of a pixel and of an image: its patch, DAISY around it, and how the whole is laid out.

DAISY (Tola, Lepetit, Fua 2010) with four locations of eight orientations, 32 numbers as in Cheng 2015: gradients sorted
into orientations by a circular window, smoothed, and read off at four places around the pixel.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

PATCH = 7
"""Pixels along the side of the patch of gray."""
ORIENTATIONS, LOCATIONS = 8, 4
RADIUS = 8
"""Pixels from the centre to each location; the smoothing is half as wide."""
LEVELS, GRID = 16, 4
LAYOUT = LEVELS + 2 * GRID * GRID
"""Numbers of a global descriptor: the histogram of gray, and gray and gradient in 4 x 4 cells."""

_FLAT = 0.5  # sum of gradients below which there is little orientation to speak of: noise counts for nothing


def local_width(semantic: int) -> int:
    """Return the numbers of a pixel: patch, DAISY, and so many tissue posteriors."""
    return PATCH * PATCH + ORIENTATIONS * LOCATIONS + semantic


def patches(gray: Tensor, stride: int = 1) -> Tensor:
    """Return the patch around every ``stride``-th pixel of (N, 1, H, W), (N, 49, h, w); borders are repeated."""
    padded = functional.pad(gray, (PATCH // 2,) * 4, mode="replicate")
    windows = padded[:, 0].unfold(1, PATCH, stride).unfold(2, PATCH, stride)
    return windows.flatten(3).permute(0, 3, 1, 2)


def daisy(gray: Tensor) -> Tensor:
    """Return DAISY's four outer histograms at each pixel of (N, 1, H, W), (N, 32, H, W), not normalized.

    In the order of scikit-image's ``daisy(rings=1, histograms=4, orientations=8)``, its centre left out: the patch has
    that. At the borders gradients are reflected for the smoothing and repeated for the locations.
    """
    dx = functional.pad(gray[..., :, 1:] - gray[..., :, :-1], (0, 1))
    dy = functional.pad(gray[..., 1:, :] - gray[..., :-1, :], (0, 0, 0, 1))
    angles = torch.arange(ORIENTATIONS, device=gray.device, dtype=gray.dtype) * (2 * math.pi / ORIENTATIONS) - math.pi
    toward = torch.atan2(dy, dx) - angles[:, None, None]
    oriented = (ORIENTATIONS / math.pi * torch.cos(toward)).exp() * torch.hypot(dx, dy)
    smooth = functional.pad(_smoothed(oriented, RADIUS / 2), (RADIUS,) * 4, mode="replicate")
    height, width = gray.shape[-2:]
    around = []
    for n in range(LOCATIONS):
        angle = 2 * math.pi * n / LOCATIONS
        j, i = RADIUS + round(RADIUS * math.sin(angle)), RADIUS + round(RADIUS * math.cos(angle))
        around.append(smooth[..., j : j + height, i : i + width])
    return torch.cat(around, dim=1)


def local_descriptors(gray: Tensor, posteriors: Tensor | None, stride: int = 1) -> Tensor:
    """Return the numbers of every ``stride``-th pixel, (N, width, h, w).

    Parameters
    ----------
    gray : Tensor, (N, 1, H, W)
        -1..1.
    posteriors : Tensor, (N, K, H, W), or None
    stride : int
    """
    found = daisy(gray)[..., ::stride, ::stride]
    parts = [patches(gray, stride), found / (found.sum(dim=1, keepdim=True) + _FLAT)]
    if posteriors is not None:
        parts.append(posteriors[..., ::stride, ::stride])
    return torch.cat(parts, dim=1)


def layout(gray: Tensor) -> Tensor:
    """Return the global descriptor of each image of (N, 1, H, W), (N, 48): what is where, roughly."""
    levels = ((gray + 1) * (LEVELS / 2)).long().clamp(0, LEVELS - 1).flatten(1)
    histogram = torch.zeros(len(gray), LEVELS, dtype=gray.dtype, device=gray.device)
    histogram.scatter_add_(1, levels, torch.ones_like(levels, dtype=gray.dtype))
    dx = functional.pad(gray[..., :, 1:] - gray[..., :, :-1], (0, 1))
    dy = functional.pad(gray[..., 1:, :] - gray[..., :-1, :], (0, 0, 0, 1))
    cells = functional.adaptive_avg_pool2d(torch.cat([gray, 4 * torch.hypot(dx, dy)], dim=1), GRID)
    return torch.cat([4 * histogram / levels.shape[1], cells.flatten(1)], dim=1)


def _smoothed(planes: Tensor, sigma: float) -> Tensor:
    """Gaussian, cut off at four standard deviations; borders are mirrored, their pixel included."""
    reach = int(4 * sigma + 0.5)
    steps = torch.arange(-reach, reach + 1, device=planes.device, dtype=planes.dtype)
    kernel = (-0.5 * (steps / sigma).square()).exp()
    kernel = kernel / kernel.sum()
    channels = planes.shape[1]
    rows, columns = kernel.view(1, 1, -1, 1), kernel.view(1, 1, 1, -1)
    down = functional.conv2d(_mirrored(planes, reach, 2), rows.expand(channels, 1, -1, 1), groups=channels)
    return functional.conv2d(_mirrored(down, reach, 3), columns.expand(channels, 1, 1, -1), groups=channels)


def _mirrored(planes: Tensor, reach: int, axis: int) -> Tensor:
    """Mirror with the border's pixel twice, however small the image is."""
    length = planes.shape[axis]
    place = torch.arange(-reach, length + reach, device=planes.device) % (2 * length)
    return planes.index_select(axis, torch.where(place < length, place, 2 * length - 1 - place))


__all__ = ["LAYOUT", "PATCH", "RADIUS", "daisy", "layout", "local_descriptors", "local_width", "patches"]
