"""Groups without seeds: hand cases, and what no change of the image's representation may change."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from medcolor.segmenters.grouping import GROUPERS, k_means, merged, mixture

SIDE = 48


def halves(step: float = 0.5, noise: float = 0.02) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    truth = np.zeros((SIDE, SIDE), int)
    truth[:, SIDE // 2 :] = 1
    image = np.zeros((SIDE, SIDE, 3))
    image[..., 0] = 0.2 + step * truth
    return image + rng.normal(0, noise, image.shape), truth


def share_pure(groups: np.ndarray, truth: np.ndarray) -> float:
    kept = [np.bincount(truth[groups == n]).max() for n in np.unique(groups)]
    return sum(kept) / truth.size


@pytest.mark.parametrize("name", GROUPERS)
def test_two_plain_halves_are_never_in_one_group(name: str) -> None:
    image, truth = halves()
    groups = GROUPERS[name](image, np.ones(truth.shape, bool))
    assert share_pure(groups, truth) > 0.97
    assert groups.min() == 1


@pytest.mark.parametrize("name", GROUPERS)
def test_outside_is_in_no_group_and_nothing_is_left_to_chance(name: str) -> None:
    image, _ = halves()
    inside = np.ones((SIDE, SIDE), bool)
    inside[:9] = False
    groups = GROUPERS[name](image, inside)
    assert (groups > 0).tolist() == inside.tolist()
    assert np.array_equal(groups, GROUPERS[name](image, inside))


@pytest.mark.parametrize("grouper", [k_means, mixture])
def test_groups_are_numbered_from_dark_to_bright(grouper: object) -> None:
    image, _ = halves()
    groups = grouper(image, np.ones((SIDE, SIDE), bool), classes=4)
    means = [image[groups == n][:, 0].mean() for n in range(1, groups.max() + 1)]
    assert means == sorted(means)


def test_k_means_finds_the_centres_that_scikit_learns_finds() -> None:
    cluster = pytest.importorskip("sklearn.cluster")
    rng = np.random.default_rng(1)
    image = rng.normal(0, 0.05, (40, 40, 3)) + rng.choice([0.1, 0.5, 0.9], (40, 40, 1))
    groups = k_means(image, np.ones((40, 40), bool), classes=3)
    ours = np.sort([image[groups == n][:, 0].mean() for n in (1, 2, 3)])
    found = cluster.KMeans(3, n_init=3, random_state=0).fit(image.reshape(-1, 3))
    np.testing.assert_allclose(ours, np.sort(found.cluster_centers_[:, 0]), atol=1e-3)


def test_a_mixture_finds_the_gaussians_that_scikit_learns_finds() -> None:
    models = pytest.importorskip("sklearn.mixture")
    rng = np.random.default_rng(2)
    truth = rng.integers(0, 3, (60, 60))
    mean, spread = np.array([[0.2, 0.1], [0.5, 0.0], [0.8, 0.2]])[truth], np.array([0.02, 0.09, 0.04])[truth]
    image = rng.normal(mean, spread[..., None])
    groups = mixture(image, np.ones(truth.shape, bool), classes=3)
    theirs = models.GaussianMixture(3, random_state=0).fit(image.reshape(-1, 2))
    order = np.argsort(theirs.means_[:, 0]).argsort() + 1
    found = order[theirs.predict(image.reshape(-1, 2))].reshape(truth.shape)
    assert (groups == found).mean() > 0.99


def test_merging_joins_the_pair_that_costs_least_and_only_what_touches() -> None:
    found = np.repeat([[1, 2, 3, 4]], 4, axis=0)
    image = np.array([0.0, 0.1, 0.9, 0.05])[found - 1][..., None]
    out = merged(found, image, 3)
    assert out[0, 0] == out[0, 1]  # 0 and .1 touch; 0 and .05 are closer, and do not
    assert len(np.unique(out)) == 3
    assert len(np.unique(merged(found, image, 1))) == 1


def test_parts_that_touch_nothing_stay_apart() -> None:
    found = np.array([[1, 0, 2]])
    assert len(np.unique(merged(found, np.zeros((1, 3, 1)), 1))) == 3


@pytest.mark.parametrize("name", GROUPERS)
def test_an_image_without_inside_has_no_groups(name: str) -> None:
    assert not GROUPERS[name](np.zeros((SIDE, SIDE, 1)), np.zeros((SIDE, SIDE), bool)).any()


@pytest.mark.parametrize("name", sorted(GROUPERS))
def test_many_channels_warn_nobody(name: str) -> None:
    image = np.random.default_rng(0).random((24, 24, 7)).astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        GROUPERS[name](image, np.ones((24, 24), np.bool_))
