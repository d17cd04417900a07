"""Networks that correct physics: what changes nothing changes nothing, and what is ruled out can come back."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from medcolor.networks import TissueUNet
from medcolor.networks.correction import FLOOR, corrected, shown


def posteriors(seed: int, *shape: int) -> torch.Tensor:
    chance = torch.Generator().manual_seed(seed)
    return torch.softmax(4 * torch.randn(*shape, generator=chance), dim=1)


@settings(deadline=None)
@given(st.integers(0, 10_000))
def test_an_answer_of_zeros_is_what_physics_says(seed: int) -> None:
    p = posteriors(seed, 2, 5, 3, 4)
    likely = torch.softmax(corrected(torch.zeros(2, 6, 3, 4), p), dim=1)
    torch.testing.assert_close(likely, p.clamp(FLOOR, 1) / p.clamp(FLOOR, 1).sum(dim=1, keepdim=True))


def test_without_trust_only_the_network_speaks_and_a_class_that_was_ruled_out_can_win() -> None:
    p = torch.tensor([1.0, 0.0, 0.0]).reshape(1, 3, 1, 1)
    answer = torch.tensor([0.0, 0.0, 2.0, -40.0]).reshape(1, 4, 1, 1)
    torch.testing.assert_close(corrected(answer, p)[0, :, 0, 0], torch.tensor([0.0, 0.0, 2.0]))


def test_what_a_network_is_shown_rises_with_the_probability_from_minus_one_to_one() -> None:
    told = shown(torch.tensor([0.0, FLOOR, 0.03, 0.5, 1.0]).reshape(1, 5, 1, 1)).flatten()
    assert told[0] == told[1] == -1
    assert told[-1] == 1
    assert (told[1:].diff() > 0).all()


@pytest.mark.parametrize("refinement", [0, 8])
@pytest.mark.parametrize("reduction", [1, 2, 4])
def test_a_correcting_network_takes_the_posteriors_and_answers_with_a_trust(refinement: int, reduction: int) -> None:
    torch.manual_seed(0)
    network = TissueUNet(4, widths=(8, 12), reduction=reduction, refinement=refinement, corrects=True).eval()
    assert network.in_channels == 5
    p = posteriors(1, 2, 4, 33, 21)
    out = network(torch.cat([torch.randn(2, 1, 33, 21), shown(p)], dim=1))
    assert out.logits.shape == (2, 5, 33, 21)
    assert corrected(out.logits, p).shape == (2, 4, 33, 21)
    assert not TissueUNet(4, widths=(8, 12)).corrects
