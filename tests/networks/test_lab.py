"""Colours as tensors are the colours of medcolor.cielab, with slopes that stay finite."""

from __future__ import annotations

import numpy as np
import torch

from medcolor.cielab import lab_to_rgb, rgb_to_lab
from medcolor.networks.lab import lab_to_srgb, srgb_to_lab


def test_both_directions_agree_with_cielab() -> None:
    rgb = np.random.default_rng(0).uniform(0, 1, (5, 7, 3))
    rgb[0, :4] = [0, 0, 0], [1, 1, 1], [0.5, 0.5, 0.5], [1, 0, 0]
    lab = rgb_to_lab(rgb)
    there = srgb_to_lab(torch.from_numpy(rgb).permute(2, 0, 1)[None])
    np.testing.assert_allclose(there[0].permute(1, 2, 0).numpy(), lab, atol=1e-9)
    back = lab_to_srgb(torch.from_numpy(lab).permute(2, 0, 1)[None])
    np.testing.assert_allclose(back[0].permute(1, 2, 0).numpy(), np.clip(lab_to_rgb(lab), 0, 1), atol=1e-6)


def test_slopes_are_finite_even_at_black_and_outside_the_gamut() -> None:
    lab = torch.tensor([[0.0, 0, 0], [100, 0, 0], [5, 80, -80], [50, 0, 0], [-3, 4, 5]]).T[None, :, :, None]
    lab = lab.clone().requires_grad_()
    (srgb_to_lab(lab_to_srgb(lab)).sum() + lab_to_srgb(lab).sum()).backward()
    assert lab.grad is not None
    assert lab.grad.isfinite().all()
