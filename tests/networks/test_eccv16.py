"""The network of Zhang et al. 2016, held to what was published about it."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from medcolor.networks import ECCV16


@pytest.fixture(scope="module")
def published() -> ECCV16:
    with torch.device("meta"):  # shapes without numbers
        return ECCV16()


def test_it_has_the_published_number_of_parameters(published: ECCV16) -> None:
    # 32.2360 million: Intel's Open Model Zoo, model card of colorization-v2
    assert round(sum(p.numel() for p in published.parameters()) / 1e6, 4) == 32.2360


def test_it_costs_the_published_number_of_operations(published: ECCV16) -> None:
    # 83.6045 GFLOPs at 256 x 256, same card: convolutions, a multiplication and an addition counted as two
    total = 0

    def count(module: nn.Module, _: object, out: torch.Tensor) -> None:
        nonlocal total
        if isinstance(module, nn.ConvTranspose2d):
            total += 2 * module.weight.numel() * out.shape[2] * out.shape[3] // 4
        elif isinstance(module, nn.Conv2d):
            total += 2 * module.weight.numel() * out.shape[2] * out.shape[3]

    for module in published.modules():
        module.register_forward_hook(count)
    published.eval()(torch.empty(1, 1, 256, 256, device="meta"))
    assert total / 1e9 == pytest.approx(83.6045, rel=0.002)


def test_it_gives_a_distribution_over_313_bins_at_a_quarter_of_the_resolution(published: ECCV16) -> None:
    x = torch.empty(2, 1, 64, 48, device="meta")
    assert published.logits(x).shape == (2, 313, 16, 12)
    assert published(x).shape == (2, 2, 64, 48)


def test_a_compact_one_colours_within_its_bins_centres() -> None:
    torch.manual_seed(0)
    network = ECCV16(bins=5, width=4).eval()
    centers = torch.tensor([[0, 0], [50, 0], [0, 50], [-50, 0], [0, -50]]).float()
    network.mean_ab.weight.data = (centers / 110).T[..., None, None]
    with torch.inference_mode():
        x = torch.rand(1, 1, 32, 32) * 100
        mean, mode = network(x), network(x, temperature=1e-4)
    assert sum(p.numel() for p in network.parameters()) < 2e5
    assert mean.abs().sum(1).max() <= 50.001
    assert mode.abs().sum(1).mean() >= mean.abs().sum(1).mean(), "a low temperature nears the mode"
