"""The estimator of gamma: one number for a scan, whatever the order and number of its slices."""

from __future__ import annotations

import pytest
import torch

from medcolor.networks import TissueUNet
from medcolor.networks.tone import SIDE, ToneEstimator
from medcolor.networks.volume_summary import SUMMARY


@pytest.fixture(scope="module")
def estimator() -> ToneEstimator:
    torch.manual_seed(0)
    return ToneEstimator().eval()


@pytest.mark.parametrize("slices", [1, 2, 6])
def test_one_number_for_each_volume(estimator: ToneEstimator, slices: int) -> None:
    assert estimator(torch.rand(3, slices, SIDE, SIDE), torch.rand(3, SUMMARY)).shape == (3, 1)


def test_the_order_of_the_slices_says_nothing_but_each_of_them_does(estimator: ToneEstimator) -> None:
    slices, volume = torch.rand(1, 5, SIDE, SIDE) * 2 - 1, torch.rand(1, SUMMARY)
    found = estimator(slices, volume)
    torch.testing.assert_close(estimator(slices[:, [3, 0, 4, 1, 2]], volume), found)
    for k in range(5):
        changed = slices.clone()
        changed[:, k] *= -0.5
        assert (estimator(changed, volume) - found).abs() > 1e-6


def test_the_histogram_counts(estimator: ToneEstimator) -> None:
    slices = torch.rand(1, 2, SIDE, SIDE)
    assert estimator(slices, torch.rand(1, SUMMARY)) != estimator(slices, torch.rand(1, SUMMARY))


@pytest.mark.parametrize("wrong", [{"smooths": True}, {"neighbours": True}])
def test_only_a_network_that_corrects_physics_has_what_is_about_physics(wrong: dict[str, bool]) -> None:
    with pytest.raises(ValueError, match="corrects"):
        TissueUNet(4, widths=(8, 12), **wrong)  # type: ignore[arg-type]


def test_a_network_hands_its_bound_to_the_estimator_and_it_is_a_number_of_0_or_more() -> None:
    assert TissueUNet(4, widths=(8, 12), corrects=True, tone=True, tone_least=0.2).tone.least == 0.2
    for wrong in (-0.1, float("nan")):
        with pytest.raises(ValueError, match="0 or more"):
            ToneEstimator(least=wrong)


def test_a_bound_without_an_estimate_of_gamma_is_refused_and_not_ignored() -> None:
    with pytest.raises(ValueError, match="only with tone"):
        TissueUNet(4, widths=(8, 12), corrects=True, tone_least=0.2)


def test_a_network_brings_its_estimator_and_its_forward_pass_does_not_use_it() -> None:
    torch.manual_seed(0)
    network = TissueUNet(4, widths=(8, 12), corrects=True, tone=True).eval()
    assert any(name.startswith("tone.") for name in network.state_dict())
    x = torch.randn(1, network.in_channels, 16, 16)
    before = network(x).logits
    with torch.no_grad():
        for parameter in network.tone.parameters():
            parameter.add_(1)
    torch.testing.assert_close(network(x).logits, before)
    assert TissueUNet(4, widths=(8, 12), corrects=True).tone is None
