"""Colours smoothed within what looks alike: a bilateral filter whose range is that of the gray (Petschnigg 2004)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def joint_bilateral(planes: Tensor, gray: Tensor, *, radius: int, softness: float) -> Tensor:
    """Smooth planes (N, C, H, W) where the gray (N, 1, H, W) is alike.

    Parameters
    ----------
    planes, gray : Tensor
    radius : int
        Pixels; the Gaussian of distance has half of it as its standard deviation. 0 changes nothing.
    softness : float
        Standard deviation of the Gaussian of the difference, in the gray's unit.

    Returns
    -------
    Tensor, (N, C, H, W)
        Each value a mean of those around it.
    """
    if not radius:
        return planes
    around = functional.pad(torch.cat([planes, torch.ones_like(gray), gray], dim=1), (radius,) * 4, mode="replicate")
    height, width = gray.shape[-2:]
    total = torch.zeros_like(around[..., :height, :width])[:, :-1]
    for down in range(-radius, radius + 1):
        for right in range(-radius, radius + 1):
            near = around[..., radius + down : radius + down + height, radius + right : radius + right + width]
            far = (down**2 + right**2) / (0.5 * radius**2)
            weight = (-0.5 * ((near[:, -1:] - gray) / softness).square() - far).exp()
            total.addcmul_(weight, near[:, :-1])
    return total[:, :-1] / total[:, -1:]


__all__ = ["joint_bilateral"]
