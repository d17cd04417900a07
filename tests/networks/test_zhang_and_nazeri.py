"""Zhang 2016, Zhang 2017 and Nazeri 2018: published counts, the contract of a system, what each promises by itself."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from medcolor.networks import SIGGRAPH17, Nazeri, Zhang2016, Zhang2017
from medcolor.networks.ab_bins import AbBins
from medcolor.networks.blocks import enlarged
from medcolor.networks.chroma import ChromaOutput
from medcolor.networks.guided_upsampling import guided_enlarged

SYSTEMS: dict[str, Callable[[], nn.Module]] = {
    "zhang2016": Zhang2016,
    "zhang2016_bilinear": lambda: Zhang2016(guided=False, width=16),
    "zhang2016_published_design": lambda: Zhang2016(guided=False, folded_input=False, width=4),
    "zhang2017": Zhang2017,
    "zhang2017_published_design": lambda: SIGGRAPH17(width=4, global_hints=True),
    "nazeri": Nazeri,
    "nazeri_published_design": lambda: Nazeri(widths=(4, 4, 8, 8), end=0),
}


def images(height: int, width: int, *, count: int = 1, seed: int = 0) -> torch.Tensor:
    return torch.rand(count, 1, height, width, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def hinted(gray: torch.Tensor, *, row: int = 8, column: int = 8, ab: tuple[float, float] = (0.4, -0.3)) -> torch.Tensor:
    hints = torch.zeros(len(gray), 3, *gray.shape[2:])
    hints[:, :, row : row + 3, column : column + 3] = torch.tensor([*ab, 1.0])[:, None, None]
    return hints


def settled(network: nn.Module) -> nn.Module:
    """Return the network with statistics of its own in every normalization, in eval mode."""
    network.train()
    with torch.no_grad():
        for seed in range(3):
            network(images(32, 32, count=4, seed=seed))
    return network.eval()


@pytest.fixture(params=SYSTEMS)
def build(request: pytest.FixtureRequest) -> Callable[[], nn.Module]:
    return SYSTEMS[request.param]


@pytest.fixture
def network(build: Callable[[], nn.Module]) -> nn.Module:
    torch.manual_seed(0)
    return build()


def parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_published_widths_have_the_published_counts() -> None:
    with torch.device("meta"):
        zhang2016, zhang2017, nazeri = Zhang2016.published(), Zhang2017.published(), Nazeri.published()
        without_classes = SIGGRAPH17(class_head=False)
    # Intel's Open Model Zoo counts the bins' centres, two for each of 313, as a convolution: 32.2360 million
    assert zhang2016.bins.centers.shape == (313, 2)
    assert round((parameters(zhang2016) + 626) / 1e6, 4) == 32.2360
    assert round(parameters(without_classes) / 1e6, 4) == 34.0511  # same source: colorization-siggraph
    assert round(parameters(zhang2017) / 1e6, 2) == 34.19
    assert round(parameters(nazeri) / 1e6, 2) == 42.02


def test_the_published_network_of_2017_costs_the_published_operations() -> None:
    with torch.device("meta"):
        network = SIGGRAPH17(class_head=False).eval()
        gray = torch.empty(1, 1, 256, 256)
    with FlopCounterMode(display=False) as counter:
        network(gray)
    assert counter.get_total_flops() / 1e9 == pytest.approx(150.54, rel=0.002)  # Open Model Zoo


@pytest.mark.parametrize("system", [Zhang2016, Zhang2017, Nazeri])
def test_compact_widths_are_compact(system: Callable[[], nn.Module]) -> None:
    with torch.device("meta"):
        network = system().eval()
        gray, hints = torch.empty(1, 1, 512, 512), torch.empty(1, 3, 512, 512)
    with FlopCounterMode(display=False) as counter:
        network(gray, hints=hints)
    assert parameters(network) <= 0.5e6
    assert counter.get_total_flops() <= 4e9


@pytest.mark.parametrize("size", [(16, 16), (17, 31), (40, 24), (61, 50)])
def test_any_size_comes_back_at_its_size(network: nn.Module, size: tuple[int, int]) -> None:
    gray = images(*size, count=2)
    with torch.inference_mode():
        out: ChromaOutput = network.eval()(gray, hints=hinted(gray))
    assert out.ab.shape == (2, 2, *size)
    assert bool(out.ab.isfinite().all())
    assert float(out.ab.abs().max()) <= 111
    for plane, low, high in ((out.doubt, 0.0, 1.0), (out.lightness, 0.0, 100.0)):
        if plane is not None:
            assert plane.shape == (2, 1, *size)
            assert low <= float(plane.min())
            assert float(plane.max()) <= high
    if out.logits is not None:
        bins: AbBins = network.bins
        assert out.logits.shape == (2, bins.count, -(-size[0] // 8) * 2, -(-size[1] // 8) * 2)


def test_a_system_says_what_it_is(network: nn.Module) -> None:
    assert network.method in ("zhang2016", "zhang2017", "nazeri")
    assert network.style_free is False
    assert network.needs == (frozenset({"hints"}) if network.method == "zhang2017" else frozenset())


def test_gradients_reach_every_parameter(network: nn.Module) -> None:
    gray = images(32, 40, count=3)
    known = {}
    if network.method == "zhang2017":
        bins: AbBins = network.bins
        known = {"ab_histogram": torch.full((3, bins.count), 1 / bins.count), "saturation": torch.full((3, 1), 0.4)}
    out: ChromaOutput = network.train()(gray, hints=hinted(gray), **known)
    total = sum((part.float().square().mean() for part in out if part is not None), torch.zeros(()))
    (total + (out.ab * torch.randn(out.ab.shape)).mean()).backward()
    without = [name for name, p in network.named_parameters() if p.grad is None or not bool(p.grad.abs().sum() > 0)]
    assert without == []


def test_an_image_does_not_depend_on_its_batch(network: nn.Module) -> None:
    settled(network)
    gray = images(40, 33, count=3)
    together, alone = network(gray, hints=hinted(gray)), network(gray[1:2], hints=hinted(gray[1:2]))
    for one, other in zip(together, alone, strict=True):
        if one is not None:
            torch.testing.assert_close(one[1:2], other, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("name", ["zhang2016", "zhang2016_bilinear", "zhang2016_published_design", "nazeri"])
def test_nothing_beyond_the_reach_matters_and_most_within_does(name: str) -> None:
    torch.manual_seed(0)
    network = SYSTEMS[name]().double().eval()
    reach, multiple = network.reach, network.multiple
    farthest = 0
    for offset in range(0, multiple, 7):  # of a pixel within its cell
        gray = torch.rand(1, 1, (2 * reach // multiple + 3) * multiple, multiple, dtype=torch.float64) * 2 - 1
        gray.requires_grad_()
        middle = gray.shape[2] // 2 // multiple * multiple + offset
        network(gray).ab[0, :, middle].sum().backward()
        assert gray.grad is not None
        touched = (gray.grad.abs().sum(dim=(0, 1, 3)) > 0).nonzero()
        farthest = max(farthest, middle - int(touched.min()), int(touched.max()) - middle)
    assert 0.9 * reach <= farthest <= reach


@pytest.mark.parametrize("name", ["zhang2016", "zhang2016_published_design", "zhang2017", "nazeri"])
def test_folding_changes_nothing(name: str) -> None:
    torch.manual_seed(0)
    network = settled(SYSTEMS[name]())
    gray = images(40, 33)
    folded = network.folded()
    torch.testing.assert_close(folded(gray).ab, network(gray).ab, atol=2e-2, rtol=1e-3)
    left = [m for m in folded.modules() if isinstance(m, nn.BatchNorm2d)]
    assert bool(left) == (name == "zhang2016_published_design")  # which normalizes after its ReLUs


def test_a_state_dict_is_complete(build: Callable[[], nn.Module], network: nn.Module) -> None:
    settled(network)
    if hasattr(network, "bins"):
        bins: AbBins = network.bins
        bins.set_prior(torch.arange(bins.count) + 1.0)
    torch.manual_seed(9)
    other = build()
    other.load_state_dict(network.state_dict())
    gray = images(24, 24)
    torch.testing.assert_close(other.eval()(gray).ab, network(gray).ab)
    if hasattr(other, "bins"):
        assert torch.equal(other.bins.weights, network.bins.weights)


def test_2016_guided_colors_stop_at_an_edge_of_the_gray() -> None:
    # two halves whose edge is not on the grid of cells; the colours of the cells say where each half lies
    gray = torch.full((1, 1, 32, 32), -0.5)
    gray[..., 17:] = 0.5
    cells = torch.zeros(1, 2, 8, 8)
    cells[..., 4:] = 40.0
    wanted = 40.0 * (gray > 0).float()
    guided = (guided_enlarged(cells, gray) - wanted).abs()[..., 8:25].mean()
    plain = (enlarged(cells, 4) - wanted).abs()[..., 8:25].mean()
    assert guided < plain / 2
    flat = guided_enlarged(torch.full((1, 2, 8, 8), 7.0), gray)
    torch.testing.assert_close(flat, torch.full_like(flat, 7.0))


def test_2016_a_pixel_like_none_of_its_cells_keeps_their_color() -> None:
    gray = torch.full((1, 1, 32, 32), -1.0)
    gray[..., 13, 17] = 1.0  # a calcification, twenty times the softness away
    lone = guided_enlarged(torch.full((1, 2, 8, 8), 7.0), gray)[..., 13, 17]
    torch.testing.assert_close(lone, torch.full_like(lone, 7.0))


def test_2016_learns_a_distribution_and_reads_it() -> None:
    torch.manual_seed(0)
    network = Zhang2016(width=12).train()
    gray = torch.full((2, 1, 32, 32), -0.5)
    gray[..., 16:] = 0.5
    ab = torch.where(gray > 0, torch.tensor([40.0, 30.0])[:, None, None], torch.tensor([-30.0, 10.0])[:, None, None])
    target = network.bins.encode(ab[..., ::4, ::4])
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    for _ in range(60):
        loss = -(target * torch.log_softmax(network.logits(gray), dim=1)).sum(dim=1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    out = network.eval()(gray)
    assert out.doubt is not None
    assert (out.ab - ab).abs().mean().item() < 4
    assert out.doubt.mean().item() < 0.3


@torch.no_grad()
def test_nazeri_predicts_the_lightness_again() -> None:
    torch.manual_seed(0)
    out = Nazeri().eval()(images(32, 32))
    assert out.lightness is not None
    assert out.logits is None
    assert out.lightness.std().item() > 0
