"""Bins of the (a*, b*) plane: which there are, and the laws of encoding, prior, weights, mean and doubt."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.color import lab2rgb, rgb2lab

from medcolor.networks.ab_bins import LIMIT, PAPER_SLACK, AbBins, gamut_cells
from medcolor.palettes import list_palettes, load_palette

BINS = AbBins()
WIDE = AbBins(slack=PAPER_SLACK)


def colors(*ab: tuple[float, float]) -> torch.Tensor:
    """Return (1, 2, 1, n)."""
    return torch.tensor(ab, dtype=torch.float32).T[None, :, None]


def test_scikit_image_finds_the_same_cells_on_the_faces_of_the_rgb_cube() -> None:
    level = np.arange(256) / 255
    first, second = np.meshgrid(level, level, indexing="ij")
    cells = set()
    for axis in range(3):
        for end in (0.0, 1.0):
            rgb = np.roll(np.stack([np.full_like(first, end), first, second], axis=-1), axis, axis=-1)
            cells |= set(map(tuple, np.unique(np.rint(rgb2lab(rgb)[..., 1:].reshape(-1, 2) / 10), axis=0)))
    assert set(map(tuple, gamut_cells() / 10)) == cells
    assert len(cells) == 261


def test_every_random_color_of_a_screen_lies_in_a_kept_cell() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (200_000, 3)) / 255
    cells = set(map(tuple, np.unique(np.rint(rgb2lab(rgb[None])[0, :, 1:] / 10), axis=0)))
    assert cells <= set(map(tuple, gamut_cells() / 10))


@pytest.mark.filterwarnings("ignore:Conversion from CIE-LAB:UserWarning")  # what it clips is what is not shown
def test_229_of_the_centers_can_be_shown_themselves() -> None:
    lab = np.stack(np.broadcast_arrays(np.linspace(0, 100, 1001)[:, None], *gamut_cells().T[:, None]), axis=-1)
    back = rgb2lab(lab2rgb(lab.reshape(-1, 3))).reshape(lab.shape)
    shown = (np.abs(back - lab).max(axis=-1) < 0.05).any(axis=0)
    assert shown.sum() == pytest.approx(229, abs=1)  # one lies on the gamut's very edge


@pytest.mark.parametrize(("slack", "count"), [(0.0, 261), (PAPER_SLACK, 313), (None, 529)])
def test_the_slack_decides_how_many_cells_remain(slack: float | None, count: int) -> None:
    assert AbBins(slack=slack).count == count


@settings(max_examples=60, deadline=None)
@given(st.floats(-LIMIT, LIMIT), st.floats(-LIMIT, LIMIT))
def test_a_soft_code_sums_to_1_over_at_most_ten_bins(a: float, b: float) -> None:
    code = WIDE.encode(colors((a, b)))
    assert float(code.sum()) == pytest.approx(1, abs=1e-5)
    assert int((code > 0).sum()) <= 10
    assert code.argmax(dim=1).item() == WIDE.nearest(colors((a, b))).item()


def test_a_soft_code_is_the_gaussian_of_the_distance() -> None:
    center = colors((10.0, 20.0))
    code = AbBins(neighbours=5).encode(center)[0, :, 0, 0]
    of = {tuple(c.tolist()): float(code[n]) for n, c in enumerate(BINS.centers)}
    assert of[(20.0, 20.0)] / of[(10.0, 20.0)] == pytest.approx(np.exp(-100 / 50), rel=1e-4)
    assert int((code > 0).sum()) == 5


@pytest.mark.parametrize(("temperature", "error"), [(1.0, 1.0), (0.38, 2.8)])
def test_the_mean_of_a_soft_code_comes_back(temperature: float, error: float) -> None:
    # sharpened, colours are drawn toward the centres of their cells: at most by 2.8 of 10
    inside = torch.rand(1, 2, 40, 40, generator=torch.Generator().manual_seed(0)) * 60 - 30
    back = BINS.mean(torch.log(BINS.encode(inside).clamp(min=1e-30)), temperature=temperature)
    assert float(torch.linalg.vector_norm(back - inside, dim=1).max()) < error


def test_the_palettes_survive_their_bins() -> None:
    for family, style in list_palettes():
        ab = torch.as_tensor(load_palette(family, style).ab, dtype=torch.float32).T[None, :, None]
        back = BINS.mean(torch.log(BINS.encode(ab).clamp(min=1e-30)), temperature=1.0)
        assert float(torch.linalg.vector_norm(back - ab, dim=1).max()) < 1.5, (family, style)


def test_the_annealed_mean_lies_between_the_mean_and_the_mode() -> None:
    logits = torch.log(0.6 * BINS.encode(colors((0.0, 0.0))) + 0.4 * BINS.encode(colors((40.0, 0.0))) + 1e-12)
    mean, annealed, mode = (float(BINS.mean(logits, temperature=t)[0, 0]) for t in (1.0, 0.38, 0.01))
    assert mean == pytest.approx(16, abs=0.5)
    assert mode == pytest.approx(0, abs=0.5)
    assert mode < annealed < mean


def test_the_mean_does_not_depend_on_the_memory_layout() -> None:
    logits = torch.randn(2, BINS.count, 5, 7) * 4
    plain, other = BINS.mean(logits), BINS.mean(logits.to(memory_format=torch.channels_last))
    torch.testing.assert_close(plain, other, atol=1e-4, rtol=1e-5)
    centers = torch.softmax(logits / 0.38, dim=1).movedim(1, -1) @ BINS.centers
    torch.testing.assert_close(plain.movedim(1, -1), centers, atol=1e-3, rtol=1e-4)


def test_doubt_is_the_entropy_between_0_and_1() -> None:
    logits = torch.randn(1, BINS.count, 3, 4) * 3
    share = torch.softmax(logits, dim=1)
    oracle = torch.distributions.Categorical(probs=share.movedim(1, -1)).entropy() / np.log(BINS.count)
    torch.testing.assert_close(BINS.doubt(logits)[:, 0], oracle)
    sure = torch.full((1, BINS.count, 1, 1), -1e4).index_fill(1, torch.tensor([7]), 0.0)
    assert float(BINS.doubt(sure)) == pytest.approx(0, abs=1e-6)
    assert float(BINS.doubt(torch.zeros_like(sure))) == pytest.approx(1, abs=1e-5)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.floats(0, 1), st.floats(0, 1))
def test_the_weights_are_1_in_the_mean_of_the_prior_and_larger_for_rarer_bins(
    seed: int, uniform: float, alpha: float
) -> None:
    counts = torch.rand(BINS.count, generator=torch.Generator().manual_seed(seed)) * 100 + 1
    bins = AbBins()
    bins.set_prior(counts, uniform=uniform, alpha=alpha, smooth=0)
    assert float(bins.prior.sum()) == pytest.approx(1, abs=1e-4)
    assert float((bins.prior * bins.weights).sum()) == pytest.approx(1, abs=1e-4)
    ordered = bins.weights[torch.argsort(bins.prior)]
    assert bool((ordered.diff() <= 1e-4).all())


def test_the_weights_are_the_papers_formula() -> None:
    counts = torch.zeros(BINS.count)
    counts[[3, 50, 51]] = torch.tensor([90.0, 9.0, 1.0])
    bins = AbBins()
    bins.set_prior(counts, smooth=0)
    mix = 0.5 * counts[[3, 50, 51]] / 100 + 0.5 / 3
    torch.testing.assert_close(bins.weights[[3, 50, 51]], 1 / mix / (torch.tensor([0.9, 0.09, 0.01]) / mix).sum())
    assert float(bins.weights.max()) == pytest.approx(float((bins.weights[3] * mix[0]) / (0.5 / 3)), rel=1e-5)


def test_a_smoothed_prior_moves_mass_to_neighbours_and_loses_none() -> None:
    counts = torch.zeros(BINS.count)
    center = int(BINS.nearest(colors((0.0, 0.0))))
    counts[center] = 5
    bins = AbBins()
    bins.set_prior(counts)
    beside = int(BINS.nearest(colors((10.0, 0.0))))
    assert float(bins.prior.sum()) == pytest.approx(1, abs=1e-5)
    assert float(bins.prior[beside] / bins.prior[center]) == pytest.approx(np.exp(-2), rel=1e-3)


@pytest.mark.parametrize("counts", [torch.zeros(261), torch.ones(5), -torch.ones(261)], ids=["empty", "short", "minus"])
def test_a_prior_from_nothing_is_refused(counts: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="261 frequencies"):
        AbBins().set_prior(counts)


def test_frequencies_count_pixels_and_leave_padding_out() -> None:
    ab = colors((0.0, 0.0), (1.0, 1.0), (50.0, 0.0))
    zero, red = (int(BINS.nearest(colors(c))) for c in ((0.0, 0.0), (50.0, 0.0)))
    counts = BINS.frequencies(ab)
    assert (counts[zero], counts[red], counts.sum()) == (2, 1, 3)
    assert BINS.frequencies(ab, torch.tensor([[[1.0, 0.0, 1.0]]]))[zero] == 1


def test_rebalancing_looks_up_the_strongest_bin() -> None:
    bins = AbBins()
    bins.set_prior(torch.arange(bins.count) + 1.0)
    ab = colors((12.0, 31.0), (-40.0, 8.0))
    torch.testing.assert_close(bins.rebalancing(bins.encode(ab)), bins.weights[bins.nearest(ab)])


def test_the_weights_of_a_bundle_carry_bins_and_prior() -> None:
    bins = AbBins()
    bins.set_prior(torch.arange(bins.count) + 1.0)
    other = AbBins()
    other.load_state_dict(bins.state_dict())
    assert set(bins.state_dict()) == {"centers", "prior", "weights"}
    assert torch.equal(other.weights, bins.weights)
