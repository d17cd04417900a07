"""CIELAB and sRGB as tensors, with gradients; :mod:`medcolor.cielab` is the same in numpy and says the constants."""

from __future__ import annotations

import torch

from medcolor.cielab import RGB_FROM_XYZ, WHITE_D65, XYZ_FROM_RGB

_DELTA = 6 / 29
_LEAST = 1e-12  # under a root, so that its slope stays finite


def srgb_to_lab(rgb: torch.Tensor) -> torch.Tensor:
    """Convert sRGB (N, 3, H, W), 0..1, to CIELAB under D65 (N, 3, H, W)."""
    linear = torch.where(rgb <= 0.04045, rgb / 12.92, ((rgb.clamp_min(0.04045) + 0.055) / 1.055) ** 2.4)
    t = _mixed(linear, XYZ_FROM_RGB) / _column(rgb, WHITE_D65)
    f = torch.where(t > _DELTA**3, t.clamp_min(_DELTA**3) ** (1 / 3), t / (3 * _DELTA**2) + 4 / 29)
    x, y, z = f.unbind(1)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], dim=1)


def lab_to_srgb(lab: torch.Tensor) -> torch.Tensor:
    """Convert CIELAB (N, 3, H, W) to sRGB (N, 3, H, W), limited to 0..1."""
    lightness, a, b = lab.unbind(1)
    y = (lightness + 16) / 116
    f = torch.stack([y + a / 500, y, y - b / 200], dim=1)
    xyz = torch.where(f > _DELTA, f**3, 3 * _DELTA**2 * (f - 4 / 29)) * _column(lab, WHITE_D65)
    linear = _mixed(xyz, RGB_FROM_XYZ).clamp(0, 1)
    return torch.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear.clamp_min(_LEAST) ** (1 / 2.4) - 0.055)


def _column(like: torch.Tensor, values: tuple[float, ...]) -> torch.Tensor:
    return like.new_tensor(values)[:, None, None]


def _mixed(channels: torch.Tensor, matrix: tuple[tuple[float, ...], ...]) -> torch.Tensor:
    return torch.einsum("rc,nchw->nrhw", channels.new_tensor(matrix), channels)


__all__ = ["lab_to_srgb", "srgb_to_lab"]
