"""The critic's patch is 70 x 70: by gradient, not by arithmetic."""

from __future__ import annotations

import pytest
import torch

from medcolor.networks import PatchDiscriminator
from medcolor.networks.patch_discriminator import PATCH


def test_one_answer_sees_a_patch_of_70_pixels() -> None:
    torch.manual_seed(0)
    critic = PatchDiscriminator(width=4).eval()
    gray = torch.randn(1, 1, 192, 192, requires_grad=True)
    colors = torch.randn(1, 3, 192, 192, requires_grad=True)
    answers = critic(gray, colors)
    answers[0, 0, answers.shape[2] // 2, answers.shape[3] // 2].backward()
    for x in (gray, colors):
        assert x.grad is not None
        touched = x.grad.abs().sum(dim=(0, 1)) > 0
        rows, columns = touched.any(dim=1).nonzero(), touched.any(dim=0).nonzero()
        assert (int(rows.max() - rows.min()) + 1, int(columns.max() - columns.min()) + 1) == (PATCH, PATCH)


def test_it_has_the_published_width_and_a_compact_one() -> None:
    with torch.device("meta"):
        counts = [
            sum(p.numel() for p in c.parameters()) for c in (PatchDiscriminator.published(), PatchDiscriminator())
        ]
    # 64, 128, 256, 512 channels of 4 x 4, two of them normalized with a bias of its own
    assert (
        counts[0] == 4 * 16 * 64 + 64 + 16 * (64 * 128 + 128 * 256 + 256 * 512) + 2 * (128 + 256 + 512) + 16 * 512 + 1
    )
    assert counts[1] < 0.2e6


def test_gradients_reach_every_parameter_and_the_colors() -> None:
    critic = PatchDiscriminator(planes=2)
    colors = torch.randn(2, 2, 33, 47, requires_grad=True)
    critic(torch.randn(2, 1, 33, 47), colors).square().mean().backward()
    assert colors.grad is not None
    assert bool((colors.grad != 0).any())
    assert all(p.grad is not None and bool((p.grad != 0).any()) for p in critic.parameters())


def test_a_picture_too_small_to_judge_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 32"):
        PatchDiscriminator()(torch.zeros(1, 1, 31, 64), torch.zeros(1, 3, 31, 64))
    assert PatchDiscriminator().eval()(torch.zeros(1, 1, 32, 32), torch.zeros(1, 3, 32, 32)).shape == (1, 1, 2, 2)
