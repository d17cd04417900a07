"""HistoGAN's histogram against the formula pixel by pixel, and the laws it keeps."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from medcolor.networks.log_chroma import hellinger, log_chroma_histogram


@pytest.fixture(autouse=True)
def _one_thread_and_one_seed() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


def published(picture: NDArray[np.float64], bins: int, falloff: float) -> NDArray[np.float64]:
    """Follow the paper's formula pixel by pixel, bin by bin: (3, H, W) in, (3, bins, bins) out."""
    centers = [-3 + 6 * n / (bins - 1) for n in range(bins)]
    counts = np.zeros((3, bins, bins))
    for red, green, blue in picture.reshape(3, -1).T:
        intensity = math.sqrt(red**2 + green**2 + blue**2 + 1e-6)
        r, g, b = (math.log(c + 1e-6) for c in (red, green, blue))
        for plane, (u, v) in enumerate([(r - g, r - b), (g - r, g - b), (b - r, b - g)]):
            for i, first in enumerate(centers):
                for j, second in enumerate(centers):
                    soft = 1 / (1 + ((u - first) / falloff) ** 2) / (1 + ((v - second) / falloff) ** 2)
                    counts[plane, i, j] += intensity * soft
    return counts / counts.sum()


def test_it_is_the_published_formula() -> None:
    picture = np.random.default_rng(1).uniform(0, 1, (3, 3, 4))
    picture[:, 0, 0] = 0, 0.5, 1
    got = log_chroma_histogram(torch.from_numpy(picture)[None], bins=16, falloff=0.02)[0].numpy()
    np.testing.assert_allclose(got, published(picture, 16, 0.02), rtol=1e-7)
    default = log_chroma_histogram(torch.from_numpy(picture)[None])
    explicit = log_chroma_histogram(torch.from_numpy(picture)[None], bins=64, falloff=0.02)
    torch.testing.assert_close(default, explicit, rtol=0, atol=0)


def test_a_gray_picture_is_a_peak_in_the_middle() -> None:
    gray = torch.rand(1, 1, 9, 9, dtype=torch.float64).expand(1, 3, 9, 9)
    for plane in log_chroma_histogram(gray, bins=33)[0]:
        assert plane.argmax() == 16 * 33 + 16
        assert plane[16, 16] / plane.sum() > 0.7
        torch.testing.assert_close(plane, plane.flip(0, 1))


pictures = st.integers(0, 10_000).map(
    lambda seed: torch.rand(2, 3, 6, 7, generator=torch.Generator().manual_seed(seed))
)


@settings(max_examples=25, deadline=None)
@given(pictures, st.sampled_from([8, 24, 64]))
def test_it_sums_to_one_and_does_not_know_where_a_pixel_was(picture: torch.Tensor, bins: int) -> None:
    histogram = log_chroma_histogram(picture, bins=bins)
    assert histogram.shape == (2, 3, bins, bins)
    assert (histogram >= 0).all()
    torch.testing.assert_close(histogram.sum((1, 2, 3)), torch.ones(2))
    shuffled = picture.flatten(2)[..., torch.randperm(42)].unflatten(2, (7, 6))
    torch.testing.assert_close(log_chroma_histogram(shuffled, bins=bins), histogram, rtol=1e-3, atol=1e-6)


@settings(max_examples=25, deadline=None)
@given(pictures, st.floats(0.2, 1))
def test_a_darker_picture_has_the_same_histogram(picture: torch.Tensor, factor: float) -> None:
    picture = 0.05 + 0.9 * picture  # where the small term under the logarithm counts for nothing
    dark = log_chroma_histogram(factor * picture)
    assert (hellinger(dark, log_chroma_histogram(picture)) < 0.01).all()


@settings(max_examples=25, deadline=None)
@given(pictures, pictures)
def test_hellinger_is_a_distance(first: torch.Tensor, second: torch.Tensor) -> None:
    a, b = log_chroma_histogram(first, bins=16), log_chroma_histogram(second, bins=16)
    c = log_chroma_histogram((first + second) / 2, bins=16)
    assert (hellinger(a, a) < 1e-5).all()
    assert (hellinger(a, b) <= 1).all()
    torch.testing.assert_close(hellinger(a, b), hellinger(b, a))
    assert (hellinger(a, b) <= hellinger(a, c) + hellinger(c, b) + 1e-5).all()
    torch.testing.assert_close(
        hellinger(a, b), (1 - (a * b).sqrt().sum((1, 2, 3))).clamp_min(0).sqrt(), rtol=0, atol=2e-3
    )


def test_histograms_that_share_nothing_are_a_distance_of_one_apart() -> None:
    a, b = torch.zeros(2, 1, 3, 4, 4)
    a[0, 0, 0, 0] = b[0, 2, 3, 3] = 1
    assert float(hellinger(a, b)) == pytest.approx(1, abs=1e-4)


def test_its_gradient_is_its_slope() -> None:
    picture = 0.1 + 0.8 * torch.rand(1, 3, 3, 3, dtype=torch.float64)
    target = log_chroma_histogram(0.1 + 0.8 * torch.rand(1, 3, 3, 3, dtype=torch.float64), bins=8)
    assert torch.autograd.gradcheck(
        lambda x: hellinger(log_chroma_histogram(x, bins=8), target), picture.requires_grad_(), rtol=1e-3
    )


def test_no_picture_gives_a_gradient_that_is_not_finite() -> None:
    picture = torch.tensor([0.0, 0.0, 1.0, 1.0]).expand(1, 3, 2, 4).clone().requires_grad_()
    histogram = log_chroma_histogram(picture, bins=8)
    hellinger(histogram, histogram.detach()).sum().backward()
    assert picture.grad is not None
    assert picture.grad.isfinite().all()


def test_a_large_picture_costs_what_a_sample_of_it_does() -> None:
    picture = torch.rand(1, 3, 40, 40).repeat_interleave(10, 2).repeat_interleave(10, 3)
    sampled = log_chroma_histogram(picture, side=40)
    torch.testing.assert_close(sampled, log_chroma_histogram(picture[..., 5::10, 5::10]), rtol=0.2, atol=2e-4)
    assert log_chroma_histogram(torch.rand(1, 3, 2000, 3), side=150).isfinite().all()
