"""Figures of the table against outside oracles, calculations by hand, and what has to follow from their definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.color import deltaE_ciede2000
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from medcolor.benchmarking.colorizers import figures
from medcolor.benchmarking.colorizers.rows import breaking
from medcolor.benchmarking.colorizers.views import chosen_slices, lab_of, spread
from medcolor.cielab import delta_e_2000
from medcolor.color import apply_color
from medcolor.color_scan import Law
from medcolor.luts import load_lut
from medcolor.vision import separability


def pictures(seed: int = 0, shape: tuple[int, int, int] = (2, 37, 41)) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    target = rng.integers(0, 256, (*shape, 3)).astype(np.uint8)
    noisy = np.clip(target + rng.normal(0, 25, target.shape), 0, 255).astype(np.uint8)
    return noisy, target


def test_psnr_is_that_of_scikit_image_and_equal_pictures_have_the_largest() -> None:
    rgb, target = pictures()
    assert figures.psnr(rgb, target) == pytest.approx(peak_signal_noise_ratio(target, rgb, data_range=255), rel=1e-5)
    assert figures.psnr(target, target) == figures.NO_ERROR


def test_ssim_is_that_of_scikit_image() -> None:
    rgb, target = pictures(1)
    oracle = [
        structural_similarity(
            a, b, data_range=255, channel_axis=-1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
        )
        for a, b in zip(rgb, target, strict=True)
    ]
    assert figures.ssim(rgb, target) == pytest.approx(np.mean(oracle), abs=1e-4)
    assert np.isnan(figures.ssim(rgb[:, :10], target[:, :10])), "smaller than the window"


def test_ciede2000_of_what_is_shown_is_that_of_scikit_image() -> None:
    rgb, target = pictures(2, (1, 20, 20))
    first, second = lab_of(rgb), lab_of(target)
    assert np.allclose(delta_e_2000(first, second), deltaE_ciede2000(first, second), atol=1e-3)


def test_the_area_under_the_curve_is_the_one_calculated_by_hand() -> None:
    # Distances 0, 0.5, 3 and 200: shares within 0, 1, 2, 3, ..., 150 are 1/4, 2/4, 2/4, 3/4, ..., 3/4.
    ab = np.array([[10.0, 5.0], [10.5, 5.0], [10.0, 8.0], [210.0, 5.0]])
    target = np.full((4, 2), [10.0, 5.0])
    curve = [0.25, 0.5, 0.5, *[0.75] * 148]
    assert len(curve) == 151
    assert figures.area_under_curve(ab, target) == pytest.approx(np.trapezoid(curve) / 150)
    weights = np.array([1.0, 0.0, 3.0, 0.0])
    weighted = [0.25, 0.25, 0.25, *[1.0] * 148]
    assert figures.area_under_curve(ab, target, weights) == pytest.approx(np.trapezoid(weighted) / 150)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_the_closed_form_is_the_curve_of_the_paper(seed: int) -> None:
    rng = np.random.default_rng(seed)
    ab, target = rng.normal(0, 60, (2, 50, 2))
    distance = np.linalg.norm(ab - target, axis=-1)
    curve = [(distance <= limit).mean() for limit in range(151)]
    assert figures.area_under_curve(ab, target) == pytest.approx(np.trapezoid(curve) / 150)


def test_rebalancing_lifts_rare_colours_and_leaves_even_ones_alike() -> None:
    common, rare = np.full((9900, 2), [0.0, 0.0]), np.full((100, 2), [60.0, 40.0])
    weights = figures.rebalancing(figures.bin_counts(np.concatenate([common, rare])))
    one, other = (float(weights[figures.color_bins(c[:1])][0]) for c in (common, rare))
    assert other == pytest.approx(99 * one, rel=1e-6)
    unseen = float(weights[figures.color_bins(np.array([[-100.0, 100.0]]))][0])
    assert unseen == pytest.approx(1 / figures.RAREST), "rarer than one in a thousand counts as one in a thousand"


def test_within_rounds_first_and_gives_a_and_b_more_room() -> None:
    target = np.array([[50.0, 10.0, 10.0]] * 4)
    lab = target + np.array([[2.4, 0, 0], [2.6, 0, 0], [0, 4.4, 0], [0, 0, 4.6]])
    assert figures.within(lab, target) == pytest.approx(0.5), "2 and 4 are within 2 and 4.4; 3 and 5 are not"


def test_colourfulness_is_signed_and_that_of_the_paper() -> None:
    assert figures.colorfulness(np.full((1, 8, 8, 3), 90, np.uint8)) == 0
    halves = np.zeros((1, 2, 2, 3), np.uint8)
    halves[0, 0], halves[0, 1] = (200, 100, 100), (100, 200, 100)
    # rg is +100 and -100: mean 0, deviation 100 (unsigned it would be 100 and 0). yb is 50 everywhere.
    assert figures.colorfulness(halves) == pytest.approx(100 + 0.3 * 50)


def test_equal_histograms_have_no_distance_and_gray_is_far_from_red() -> None:
    def distance(one: np.ndarray, other: np.ndarray) -> float:
        return figures.histogram_distance(figures.color_histogram(one), figures.color_histogram(other))

    rgb, _ = pictures(3, (1, 24, 24))
    red = np.zeros((1, 24, 24, 3), np.uint8)
    red[..., 0] = 200
    assert distance(rgb, rgb) == pytest.approx(0, abs=1e-4)
    pink = np.full_like(red, 190)
    pink[..., 0] = 200
    far, near = (distance(np.full_like(red, 90), other) for other in (red, pink))
    assert far > 0.7
    assert near < far


def test_spread_and_separability_are_those_of_the_tissues_colours() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat([1, 2, 4, 5], [400, 400, 400, 20])
    means = np.array([[0.0, 0.0], [40.0, 10.0], [0, 0], [-30.0, 20.0], [9, 9], [0, 0]])
    colors = means[labels - 1] + rng.normal(0, 3, (len(labels), 2))
    tissues = figures.tissue_colors(colors, labels)
    assert list(tissues) == [1, 2, 4], "too few pixels say nothing of a tissue"
    assert figures.spread_inside(tissues) == pytest.approx(3 * 2**0.5, rel=0.05)
    exact = {n: means[n - 1][None] for n in (1, 2, 4)}
    found = figures.separation(exact)
    assert found["normal"] == pytest.approx(separability(means[[0, 1, 3]]).min())
    assert found["deutan"] < found["normal"]
    assert np.isnan(figures.separation({1: colors})["normal"])


def test_the_area_of_risk_knows_perfect_blind_and_wrong_doubt() -> None:
    error = np.arange(1000, dtype=float)
    chance = np.random.default_rng(0).permutation(1000)
    perfect, blind, wrong = (figures.risk_area(error, doubt) for doubt in (error, chance, -error))
    assert perfect == pytest.approx(0.5, abs=0.01), "the mean of the best part grows linearly"
    assert blind == pytest.approx(1, abs=0.1)
    assert wrong == pytest.approx(1.5, abs=0.01)


def test_every_pixel_that_breaks_a_law_is_counted() -> None:
    rng = np.random.default_rng(0)
    gray = rng.integers(0, 256, (2, 16, 16)).astype(np.uint8)
    rgb = apply_color(gray, rng.normal(0, 40, (*gray.shape, 2)).astype(np.float32))
    assert breaking(rgb, gray, Law.LIGHTNESS) == 0
    rgb[0, 0, :3] = 255 - gray[0, 0, :3, None]
    assert breaking(rgb, gray, Law.LIGHTNESS) == int((gray[0, 0, :3] != 255 - gray[0, 0, :3]).sum())
    table = load_lut("hot_iron")[gray]
    assert breaking(table, gray, Law.LUT) == 0
    table[0, 3, 3] ^= 1
    assert breaking(table, gray, Law.LUT) >= 1


@pytest.mark.parametrize("count", [1, 2, 3, 7, 12, 92])
@pytest.mark.parametrize("wanted", [1, 2, 4, 5, 200])
def test_slices_are_spread_and_neighbours_come_in_pairs(count: int, wanted: int) -> None:
    apart, none = chosen_slices(count, wanted, contiguous=False)
    assert none == ()
    assert len(apart) == min(count, wanted)
    assert list(apart) == sorted(set(apart)) == spread(count, wanted)
    taken, pairs = chosen_slices(count, wanted, contiguous=True)
    assert 1 <= len(taken) <= min(count, wanted)
    assert all(0 <= k < count for k in taken)
    assert all(taken[place + 1] == taken[place] + 1 for place in pairs)
    assert bool(pairs) == (min(count, wanted) > 1)
