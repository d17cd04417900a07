"""The loss is zero where it should be, sees no padding, and doubt never moves the colour."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from medcolor.palettes import load_palette
from medcolor.training.losses import (
    TissueLoss,
    expected_ab,
    laplace_scale,
    rarity_weights,
    soft_cross_entropy,
    target_ab,
    tissue_loss,
)
from medcolor.training.metrics import expected_ab as numpy_expected_ab

K = 10
AB = load_palette("CT", "contrast").ab


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def posteriors(seed: int, *, sharp: float = 2.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.softmax(sharp * torch.randn(2, K, 6, 5, generator=generator), dim=1)


@given(st.integers(0, 10_000), st.sampled_from([0.1, 2.0, 30.0]))
@settings(max_examples=25, deadline=None)
def test_every_term_is_zero_at_the_target_and_no_term_is_below_zero(seed: int, sharp: float) -> None:
    target, other = posteriors(seed, sharp=sharp), posteriors(seed + 1)
    exact = target.clamp(min=1e-30).log()
    still = torch.ones(2, 6, 5)
    palette = torch.from_numpy(AB)
    error = torch.linalg.vector_norm(expected_ab(exact, palette) - target_ab(target, palette), dim=1)
    known = error.clamp(min=1e-2).log()[:, None].clamp(-6, 6)
    loss = TissueLoss(AB)
    at_target = loss(exact, known, target, neighbour_logits=exact, still=still)
    assert max(abs(float(term.detach())) for term in at_target[1:4]) < 1e-4
    away = loss(other.log(), torch.zeros(2, 1, 6, 5), target, neighbour_logits=exact, still=still)
    assert all(float(term) >= -1e-5 for term in away)
    assert float(away.total) > 0


def test_cross_entropy_is_that_of_torch_less_the_entropy_of_the_target() -> None:
    target, logits = posteriors(1), torch.randn(2, K, 6, 5, generator=torch.Generator().manual_seed(5))
    ours = soft_cross_entropy(logits, target, torch.ones(2, 6, 5))
    entropy = -(target * target.log()).sum(1).mean()
    torch.testing.assert_close(ours, torch.nn.functional.cross_entropy(logits, target) - entropy)


def test_expected_color_is_the_annealed_mean_the_colorizers_use() -> None:
    target = posteriors(3)
    expected = numpy_expected_ab(target.numpy().transpose(1, 0, 2, 3), AB)
    for ab in (target_ab(target, torch.from_numpy(AB)), expected_ab(target.log(), torch.from_numpy(AB))):
        np.testing.assert_allclose(ab.numpy().transpose(0, 2, 3, 1), expected, atol=1e-3)


@pytest.mark.parametrize("size", [1.0, 1e3, 1e6])
def test_gradients_stay_finite_for_logits_of_any_size(size: float) -> None:
    logits = (torch.randn(2, K, 6, 5, generator=torch.Generator().manual_seed(0)) * size).requires_grad_()
    scale = torch.full((2, 1, 6, 5), -size).requires_grad_()
    hard = torch.nn.functional.one_hot(posteriors(2).argmax(1), K).permute(0, 3, 1, 2).float()
    terms = TissueLoss(AB)(logits, scale, hard, neighbour_logits=logits.flip(0), still=torch.ones(2, 6, 5))
    terms.total.backward()
    assert torch.isfinite(terms.total)
    assert logits.grad is not None
    assert scale.grad is not None
    assert torch.isfinite(logits.grad).all()
    assert torch.isfinite(scale.grad).all()


def test_the_scale_head_sends_no_gradient_to_the_colour() -> None:
    logits = posteriors(4).log().requires_grad_()
    scale = torch.zeros(2, 1, 6, 5, requires_grad=True)
    TissueLoss(AB, cross_entropy=0, color=0, consistency=0)(logits, scale, posteriors(9)).total.backward()
    assert logits.grad is None or not logits.grad.any()
    assert scale.grad is not None
    assert scale.grad.any()


def test_the_best_scale_is_the_mean_size_of_the_error() -> None:
    error = torch.tensor([[[0.5, 1.5, 4.0]]])
    trial = torch.linspace(-3, 3, 601)
    prices = [float(laplace_scale(torch.full((1, 1, 1, 3), float(s)), error, torch.ones(1, 1, 3))) for s in trial]
    assert float(trial[int(np.argmin(prices))]) == pytest.approx(np.log(2.0), abs=0.01)


def test_padding_counts_nowhere_even_when_it_is_not_a_number() -> None:
    target, logits, scale = posteriors(5), posteriors(6).log(), torch.zeros(2, 1, 6, 5)
    plain = TissueLoss(AB)(logits, scale, target, neighbour_logits=logits.flip(0), still=torch.ones(2, 6, 5))
    pad = (0, 3, 0, 2)
    padded_logits = torch.nn.functional.pad(logits, pad, value=float("nan")).requires_grad_()
    padded = TissueLoss(AB)(
        padded_logits,
        torch.nn.functional.pad(scale, pad),
        torch.nn.functional.pad(target, pad),
        neighbour_logits=torch.nn.functional.pad(logits.flip(0), pad),
        still=torch.ones(2, 8, 8),
    )
    torch.testing.assert_close(torch.stack(plain), torch.stack(padded))
    nothing = TissueLoss(AB)(logits, scale, torch.zeros_like(target))
    assert float(nothing.total) == 0


def test_gradients_of_a_padded_batch_are_those_of_the_batch() -> None:
    target = posteriors(5)
    logits = posteriors(6).log().requires_grad_()
    TissueLoss(AB)(logits, None, target).total.backward()
    wide = torch.nn.functional.pad(posteriors(6).log(), (0, 3, 0, 2), value=7.0).requires_grad_()
    TissueLoss(AB)(wide, None, torch.nn.functional.pad(target, (0, 3, 0, 2))).total.backward()
    assert logits.grad is not None
    assert wide.grad is not None
    torch.testing.assert_close(wide.grad[..., :6, :5], logits.grad)
    assert not wide.grad[..., 6:, :].any()
    assert not wide.grad[..., 5:].any()


def test_slices_may_differ_where_the_gray_does() -> None:
    target, logits = posteriors(5), posteriors(6).log()
    loss = TissueLoss(AB)
    moving = loss(logits, None, target, neighbour_logits=logits.flip(0), still=torch.zeros(2, 6, 5))
    still = loss(logits, None, target, neighbour_logits=logits.flip(0), still=torch.ones(2, 6, 5))
    assert float(moving.consistency) == 0
    assert float(still.consistency) > 0


def test_half_precision_logits_give_a_float32_loss() -> None:
    terms = tissue_loss("CT", color=0.5)(posteriors(1).log().bfloat16(), None, posteriors(2))
    assert terms.total.dtype == torch.float32


def test_shapes_that_do_not_belong_together_are_refused() -> None:
    with pytest.raises(ValueError, match="do not belong together"):
        TissueLoss(AB)(torch.zeros(1, 9, 4, 4), None, torch.zeros(1, 9, 4, 4))
    with pytest.raises(ValueError, match="one number for each of 10 classes"):
        TissueLoss(AB, class_weights=[1.0, 2.0])


def test_weights_of_classes_leave_the_best_answer_where_it_is() -> None:
    target = posteriors(7)
    logits = target.log().requires_grad_()
    terms = TissueLoss(AB, class_weights=np.linspace(0.1, 9, K).tolist())(logits, None, target)
    terms.total.backward()
    assert float(terms.total.detach()) == pytest.approx(0, abs=1e-6)
    assert logits.grad is not None
    assert logits.grad.abs().max() < 1e-6


def test_rare_classes_count_more_and_an_average_pixel_counts_one() -> None:
    share = np.array([0.7, 0.29, 0.01, 0.0])
    weights = rarity_weights(share, power=0.5).numpy()
    assert weights[0] < weights[1] < weights[2]
    assert weights @ share == pytest.approx(1, rel=1e-5)
    assert weights[3] == 1
    np.testing.assert_allclose(rarity_weights(share, power=0)[:3], 1, rtol=1e-6)
    assert rarity_weights([0.999999, 1e-6], power=1.0).max() == 20
