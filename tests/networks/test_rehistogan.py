"""A histogram steers the colours; without one there is a default."""

from __future__ import annotations

import pytest
import torch

from medcolor.networks import ReHistoGAN
from medcolor.networks.lab import lab_to_srgb
from medcolor.networks.log_chroma import hellinger, log_chroma_histogram

BINS = 12


@pytest.fixture(autouse=True)
def _one_thread_and_one_seed() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


def painted(gray: torch.Tensor, ab: torch.Tensor) -> torch.Tensor:
    """sRGB of gray (N, 1, H, W), as L*, with a colour or a map of colours."""
    lightness = 50 * (gray + 1)
    return lab_to_srgb(torch.cat([lightness, ab.expand(-1, -1, *gray.shape[-2:])], dim=1))


def histogram(gray: torch.Tensor, ab: torch.Tensor) -> torch.Tensor:
    return log_chroma_histogram(painted(gray, ab), bins=BINS)


def test_after_a_short_training_a_histogram_pulls_the_colours_towards_it() -> None:
    network = ReHistoGAN(bins=BINS, widths=(8, 12, 16), mapping=(24, 24), end=16)
    optimizer = torch.optim.Adam(network.parameters(), 3e-3)
    palettes = torch.tensor([[35.0, 25], [-35, 10], [5, -40], [-10, 40]])[:, :, None, None]
    gray = torch.rand(4, 1, 32, 32) * 1.2 - 0.6
    for _ in range(60):
        ab = palettes[torch.randperm(4)]
        optimizer.zero_grad()
        out = network(gray, histogram=histogram(gray, ab))
        (out.ab - ab).abs().mean().backward()
        optimizer.step()
    network.eval()
    with torch.no_grad():
        targets = histogram(gray, palettes)
        default = histogram(gray, network(gray).ab)
        steered = histogram(gray, network(gray, histogram=targets).ab)
        crossed = histogram(gray, network(gray, histogram=targets.roll(1, 0)).ab)
    right = hellinger(steered, targets)
    assert (right < hellinger(default, targets)).all()
    assert (right < 0.7 * hellinger(crossed, targets)).all()


def test_without_a_histogram_it_uses_its_default_which_the_state_keeps() -> None:
    network = ReHistoGAN().eval()
    gray, target = torch.rand(2, 1, 32, 32), torch.rand(3, 24, 24)
    with torch.no_grad():
        before = network(gray).ab
        network.set_default(7 * target)  # counts will do
        given = network(gray, histogram=(target / target.sum())[None]).ab
        torch.testing.assert_close(network(gray).ab, given, rtol=1e-4, atol=1e-3)
        again = ReHistoGAN().eval()
        again.load_state_dict(network.state_dict())
        torch.testing.assert_close(again(gray).ab, given, rtol=1e-4, atol=1e-3)
    assert (given - before).abs().max() > 1e-2
    assert float(network.default_histogram.sum()) == pytest.approx(1, rel=1e-5)


def test_each_picture_can_have_its_own_histogram() -> None:
    network = ReHistoGAN().eval()
    gray = torch.rand(1, 1, 32, 32).expand(2, -1, -1, -1)
    targets = torch.rand(2, 3, 24, 24).pow(8)
    targets /= targets.sum((1, 2, 3), keepdim=True)
    with torch.no_grad():
        out = network(gray, histogram=targets).ab
        torch.testing.assert_close(out[1:], network(gray[:1], histogram=targets[1:]).ab, rtol=1e-4, atol=1e-4)
    assert (out[0] - out[1]).abs().max() > 1e-4


def test_a_histogram_of_other_bins_is_refused() -> None:
    with pytest.raises(ValueError, match="24 x 24"):
        ReHistoGAN()(torch.zeros(1, 1, 16, 16), histogram=torch.zeros(1, 3, 64, 64))


def test_lightness_is_a_prediction_and_not_the_input() -> None:
    network = ReHistoGAN().eval()
    gray = torch.rand(1, 1, 32, 32) * 2 - 1
    with torch.no_grad():
        lightness = network(gray).lightness
    assert lightness is not None
    assert (lightness - 50 * (gray + 1)).abs().mean() > 1


def test_nothing_farther_than_its_reach_matters() -> None:
    """The finite support of what tiles are cut by, in both directions: no pixel more, and not far less."""
    network = ReHistoGAN().eval()
    reach = network.reach
    assert reach is not None
    size = 2 * reach + 2 * network.multiple
    gray = (torch.rand(1, 1, 64, size) * 2 - 1).requires_grad_()
    middle = size // 2
    network(gray).ab[..., 30, middle].sum().backward()
    assert gray.grad is not None
    columns = gray.grad.abs().amax((0, 1, 2)).nonzero()
    farthest = int((columns - middle).abs().max())
    assert 0.7 * reach < farthest <= reach
    assert ReHistoGAN(bins=4, widths=(4, 8), mapping=(8,), end=0).reach is None
