"""Segmenters that are told a little, against scikit-image's and against cuts that can be counted by hand."""

from __future__ import annotations

import numpy as np
import pytest
from skimage import segmentation

from medcolor.segmenters.seeded import SEEDED, _edges, _min_cut, grab_cut, random_walker

SIDE = 40


def disc(step: float = 0.4, noise: float = 0.03, channels: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    rows, columns = np.ogrid[:SIDE, :SIDE]
    truth = (rows - 20) ** 2 + (columns - 18) ** 2 < 100
    image = rng.normal(0.3, noise, (SIDE, SIDE, channels))
    image[truth] += step
    seeds = np.zeros(truth.shape, int)
    seeds[18:22, 16:20], seeds[:2] = 1, 2
    return image, truth, seeds


def dice(one: np.ndarray, other: np.ndarray) -> float:
    return 2 * (one & other).sum() / (one.sum() + other.sum())


@pytest.mark.parametrize("name", ["watershed", "random_walker"])
def test_a_seeded_disc_is_found(name: str) -> None:
    image, truth, seeds = disc()
    found = SEEDED[name](image, seeds, np.ones(truth.shape, bool))
    assert dice(found == 1, truth) > 0.9
    assert set(np.unique(found)) == {1, 2}


@pytest.mark.parametrize("name", SEEDED)
def test_nothing_is_found_outside_and_without_seeds(name: str) -> None:
    image, truth, seeds = disc()
    inside = np.ones(truth.shape, bool)
    inside[:, :6] = False
    assert not SEEDED[name](image, seeds, inside)[~inside].any()
    if name != "watershed":  # scikit-image's floods from minima of its own where it has no markers
        assert not SEEDED[name](image, np.zeros_like(seeds), inside).any()


@pytest.mark.parametrize("values", [(1, 2), (1, 2, 7)])
def test_the_random_walker_is_scikit_images(values: tuple[int, ...]) -> None:
    image, truth, seeds = disc(channels=1)
    if len(values) > 2:
        seeds[-3:, -9:] = 7
    steps = np.concatenate([np.diff(image, axis=axis).reshape(-1) ** 2 for axis in (0, 1)])
    theirs_beta = 10 * image.std() / steps.mean()  # exp(-beta d^2 / (10 sd)) there, exp(-d^2 / mean d^2) here
    names = {value: place for place, value in enumerate(values, start=1)}
    told = np.vectorize(lambda v: names.get(v, 0))(seeds)
    theirs = segmentation.random_walker(image[..., 0], told, beta=theirs_beta, mode="cg_j", tol=1e-10)
    ours = random_walker(image, seeds, np.ones(truth.shape, bool))
    assert (np.array(values)[theirs - 1] == ours).mean() > 0.999


def test_the_random_walker_does_not_care_how_often_a_channel_is_there_or_in_what_unit() -> None:
    image, truth, seeds = disc(noise=0.2)
    inside = np.ones(truth.shape, bool)
    found = random_walker(image, seeds, inside)
    assert np.array_equal(found, random_walker(np.concatenate([image] * 3, axis=-1), seeds, inside))
    assert np.array_equal(found, random_walker(100 * image, seeds, inside))


def test_edges_of_a_slice_are_each_pair_once() -> None:
    number = np.arange(6).reshape(2, 3)
    (starts, stops), weights = _edges(np.zeros((2, 3, 1)), number, 1.0)
    pairs = {frozenset(pair) for pair in zip(starts.tolist(), stops.tolist(), strict=True)}
    assert len(starts) == 7 == len(pairs)
    np.testing.assert_allclose(weights, 1, atol=1e-9)


def test_a_minimum_cut_is_the_cheapest_of_all_labellings() -> None:
    rng = np.random.default_rng(4)
    starts, stops = np.array([0, 1, 3, 4, 0, 1, 2]), np.array([1, 2, 4, 5, 3, 4, 5])
    for _ in range(20):
        front, back, smooth = rng.random(6), rng.random(6), 0.4 * rng.random(7)
        found = _min_cut(front, back, np.ones(6, bool), (starts, stops), smooth)

        def cost(label: np.ndarray, front=front, back=back, smooth=smooth) -> float:
            return np.where(label, front, back).sum() + smooth[label[starts] != label[stops]].sum()

        best = min(cost(np.array([n >> bit & 1 for bit in range(6)], bool)) for n in range(64))
        assert cost(found) == pytest.approx(best, abs=0.01)  # capacities are thousandths


def test_grab_cut_finds_the_disc_in_its_box_and_nothing_outside_it() -> None:
    image, truth, _ = disc()
    box = np.zeros(truth.shape, bool)
    box[7:34, 5:32] = True
    found = grab_cut(image, box, np.ones(truth.shape, bool))
    assert dice(found, truth) > 0.95
    assert not found[~box].any()
