"""Laws that every chroma network of a U-Net kind keeps: any size, no neighbours in a batch, one way to fold."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from medcolor.bundle_writing import half_precision
from medcolor.networks import DDColor, DeOldify, ReHistoGAN
from medcolor.networks.blocks import NormedConv

COMPACT = [DDColor, DeOldify, ReHistoGAN]
PUBLISHED = [
    pytest.param(lambda: DDColor.published("tiny"), 55.0, id="ddcolor-tiny"),
    pytest.param(lambda: DDColor.published("large"), 227.9, id="ddcolor-large"),
    pytest.param(lambda: DeOldify.published("deep"), 63.6, id="deoldify-deep"),
    pytest.param(lambda: DeOldify.published("wide"), 218.2, id="deoldify-wide"),
    pytest.param(ReHistoGAN.published, 38.8, id="rehistogan"),  # not published; what our reading of it gives
]
TINY = {
    "ddcolor": lambda: DDColor(widths=(8, 8, 16, 16), decoder=(16, 8, 8), queries=4, heads=2, hidden=16, end=0),
    "deoldify-deep": lambda: DeOldify(widths=(8, 16, 16), attention=1, side=None, factor=1.5, end=0),
    "deoldify-wide": lambda: DeOldify(widths=(8, 16, 16), bottleneck=True, convolutions=1, decoder=16, end=0),
    "rehistogan": lambda: ReHistoGAN(bins=4, widths=(4, 8, 8, 8), mapping=(8, 8), end=0),
}
"""The ways in which the published widths begin and end, with few channels."""


@pytest.fixture(autouse=True)
def _one_thread_and_one_seed() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


def trained(network: nn.Module, *, steps: int = 2) -> nn.Module:
    """After a few steps: statistics, power iterations and attention are not as they began."""
    optimizer = torch.optim.Adam(network.parameters(), 1e-3)
    for _ in range(steps):
        gray = torch.rand(2, 1, 48, 48) * 2 - 1
        optimizer.zero_grad()
        loss(network, gray).backward()
        optimizer.step()
    return network.eval()


def loss(network: nn.Module, gray: torch.Tensor) -> torch.Tensor:
    out = network(gray)
    target = torch.cat([60 * gray, -40 * gray.square()], dim=1)
    total = (out.ab - target).abs().mean()
    return total if out.lightness is None else total + (out.lightness - 50 * (gray + 1)).abs().mean()


@pytest.mark.parametrize("build", COMPACT)
def test_a_compact_width_is_small(build: Callable[[], nn.Module]) -> None:
    with torch.device("meta"), torch.no_grad(), FlopCounterMode(display=False) as counter:
        network = build().eval()
        built = counter.get_total_flops()  # the power iterations of spectral normalization
        network(torch.zeros(1, 1, 512, 512))
    assert sum(p.numel() for p in network.parameters()) <= 500_000
    assert 1e9 < counter.get_total_flops() - built <= 4e9


@pytest.mark.parametrize(("build", "millions"), PUBLISHED)
def test_a_published_width_has_the_published_parameters(build: Callable[[], nn.Module], millions: float) -> None:
    with torch.device("meta"):
        network = build()
    assert round(sum(p.numel() for p in network.parameters()) / 1e6, 1) == millions


@pytest.mark.parametrize("build", [*COMPACT, *TINY.values()])
@pytest.mark.parametrize("size", [(16, 16), (17, 70), (45, 31)])
def test_any_size_comes_back_as_it_was(build: Callable[[], nn.Module], size: tuple[int, int]) -> None:
    with torch.no_grad():
        out = build().eval()(torch.rand(2, 1, *size) * 2 - 1)
    assert out.ab.shape == (2, 2, *size)
    assert out.ab.isfinite().all()
    assert out.lightness is None or out.lightness.shape == (2, 1, *size)


@pytest.mark.parametrize("build", [*COMPACT, *TINY.values()])
def test_gradients_reach_every_parameter(build: Callable[[], nn.Module]) -> None:
    network = trained(build(), steps=1).train()  # attention begins with factor 0: what is behind it learns from step 2
    loss(network, torch.rand(2, 1, 64, 64) * 2 - 1).backward()
    missed = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert not missed


@pytest.mark.parametrize("build", [*COMPACT, *TINY.values()])
def test_a_slice_does_not_see_its_neighbours_in_the_batch(build: Callable[[], nn.Module]) -> None:
    network = trained(build())
    grays = torch.rand(3, 1, 40, 56) * 2 - 1
    with torch.no_grad():
        together = network(grays).ab
        for n in range(3):
            torch.testing.assert_close(network(grays[n : n + 1]).ab[0], together[n], rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("build", [*COMPACT, *TINY.values()])
def test_folding_changes_no_colour_and_leaves_the_original_alone(build: Callable[[], nn.Module]) -> None:
    network = trained(build())
    gray = torch.rand(2, 1, 48, 40) * 2 - 1
    with torch.no_grad():
        expected = network(gray).ab
        folded = network.folded()
        torch.testing.assert_close(folded(gray).ab, expected, rtol=0, atol=1e-4 * max(1.0, float(expected.abs().max())))
        torch.testing.assert_close(network(gray).ab, expected, rtol=0, atol=0)
    assert not any(".parametrizations." in name and "weight_g" not in name for name, _ in folded.named_parameters())
    assert not any(isinstance(m.norm, nn.BatchNorm2d) for m in folded.modules() if isinstance(m, NormedConv))


@pytest.mark.parametrize("build", COMPACT)
def test_a_bundles_half_precision_gives_the_same_colours(build: Callable[[], nn.Module]) -> None:
    network = trained(build())
    again = build()
    again.load_state_dict(half_precision(network.state_dict()), strict=True)
    gray = torch.rand(2, 1, 48, 40) * 2 - 1
    with torch.no_grad():
        difference = (again.eval()(gray).ab - network(gray).ab).abs().max()
    assert difference < 0.25  # of a CIELAB step
    assert sum(t.numel() * t.element_size() for t in half_precision(network.state_dict()).values()) < 8e6


@pytest.mark.parametrize("build", COMPACT)
def test_using_a_network_changes_nothing_in_it(build: Callable[[], nn.Module]) -> None:
    network = trained(build())
    before = {key: value.clone() for key, value in network.state_dict().items()}
    with torch.no_grad():
        network(torch.rand(1, 1, 32, 32) * 2 - 1)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


@pytest.mark.parametrize("build", COMPACT)
def test_chroma_follows_the_gray_pixel_by_pixel(build: Callable[[], nn.Module]) -> None:
    """A checkerboard of single pixels gets two colours: no cell of the reduced resolution can hold that."""
    network = build()
    optimizer = torch.optim.Adam(network.parameters(), 5e-3)
    board = (torch.arange(32)[:, None] + torch.arange(32)) % 2
    gray = (board - 0.5).expand(2, 1, 32, 32)
    target = torch.cat([80 * gray, -80 * gray], dim=1)
    for _ in range(40):
        optimizer.zero_grad()
        (network(gray).ab - target).abs().mean().backward()
        optimizer.step()
    assert (network(gray).ab - target).abs().mean() < 10  # 40 for one colour everywhere


@pytest.mark.parametrize("build", COMPACT)
def test_its_arguments_are_plain_values(build: type[nn.Module]) -> None:
    import inspect

    from yaml import safe_dump, safe_load

    defaults = {name: p.default for name, p in inspect.signature(build).parameters.items()}
    plain = safe_load(safe_dump({k: list(v) if isinstance(v, tuple) else v for k, v in defaults.items()}))
    assert build(**plain).state_dict().keys() == build().state_dict().keys()
