"""Soft edges and bleed: millimetres, spacing by spacing, against scipy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from label_scenes import blobs, oblique, scan_on
from scipy import ndimage

from medcolor.colorizers.label_edges import SoftEdges, bled
from medcolor.colorizers.segmentation import SegmentationColorizer
from medcolor.scan import KAxis, from_slices, to_slices
from medcolor.tissue_map import Segmentation


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.7, 1.4, 3.0)])
@pytest.mark.parametrize("soft_edge", [1.5, 6.0])
def test_posteriors_are_gaussian_smoothed_masks_in_millimetres(
    spacing: tuple[float, float, float], soft_edge: float
) -> None:
    labels = to_slices(blobs(oblique((30, 24, 16))).labels)
    edges = SoftEdges(lambda k: labels[k], (30, 24, 16), spacing, soft_edge)
    sigma = np.array([spacing[2], spacing[1], spacing[0]]) ** -1.0 * soft_edge / 2
    inside = ndimage.gaussian_filter(np.ones(labels.shape), sigma, mode="constant", truncate=3.0)
    for k in (0, 7, 15):
        classes, found = edges.posteriors(k)
        assert classes[0] == 0
        for c, weights in zip(classes, found, strict=True):
            smooth = ndimage.gaussian_filter((labels == c).astype(float), sigma, mode="constant", truncate=3.0)
            # scipy cuts the kernel at a rounded radius, we at the last whole voxel within three sigma
            np.testing.assert_allclose(weights / found.sum(axis=0), (smooth / inside)[k], atol=0.012)


def test_edges_do_not_fade_where_the_image_ends() -> None:
    full = np.ones((5, 8, 9), np.uint16)
    edges = SoftEdges(lambda k: full[k], (9, 8, 5), (1.0, 1.0, 1.0), 4.0)
    classes, found = edges.posteriors(0)
    assert classes == [0, 1]
    np.testing.assert_allclose(found[0], 0, atol=1e-6)
    assert found[1].min() > 0.1


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.3, 6.0), st.tuples(*[st.sampled_from([0.5, 0.8, 1.0, 2.5])] * 3))
def test_bleed_takes_the_nearest_label_within_reach(seed: int, bleed: float, spacing: tuple[float, ...]) -> None:
    generator = np.random.default_rng(seed)
    block = np.where(generator.random((4, 7, 9)) < 0.05, generator.integers(1, 4, (4, 7, 9)), 0).astype(np.uint16)
    grown = bled(lambda k: block[k], 4, spacing, bleed)  # type: ignore[arg-type]
    found = np.stack([grown(k) for k in range(4)])
    distances = np.stack(
        [
            ndimage.distance_transform_edt(block != label, sampling=spacing[::-1])
            if (block == label).any()
            else np.full(block.shape, np.inf)
            for label in (1, 2, 3)
        ]
    )
    nearest = distances.min(axis=0)
    sure = np.abs(nearest - bleed) > 1e-3
    assert (found[sure & (nearest > bleed)] == 0).all()
    assert (found[sure & (nearest < bleed)] > 0).all()
    own = np.take_along_axis(distances, np.maximum(found.astype(int) - 1, 0)[None], axis=0)[0]
    np.testing.assert_allclose(own[found > 0], nearest[found > 0], atol=1e-3)
    np.testing.assert_array_equal(found[block > 0], block[block > 0])


def test_bleed_reaches_a_voxel_that_is_exactly_as_far_as_it() -> None:
    block = np.zeros((1, 1, 9), np.uint16)
    block[0, 0, 4] = 1
    for step, bleed in ((0.2, 0.6), (0.1, 0.3), (0.7, 2.1)):  # 0.6 / 0.2 is 2.9999999999999996
        grown = bled(lambda k: block[k], 1, (step, step, step), bleed)(0)
        np.testing.assert_array_equal(grown[0], [0, 1, 1, 1, 1, 1, 1, 1, 0])


def test_time_is_no_neighbour() -> None:
    geometry = oblique()
    block = np.zeros((6, 11, 14), np.uint16)
    block[2] = 1
    labels = Segmentation(from_slices(block), geometry, {1: "a"})
    still = SegmentationColorizer(labels, soft_edge=12.0, bleed=5.0)
    scan = scan_on(geometry, k_axis=KAxis.TIME)
    colored = np.ptp(still(scan).rgb, axis=-1) > 0
    assert colored[:, :, 2].any()
    assert not colored[:, :, [0, 1, 3, 4, 5]].any()
    assert (np.ptp(still(scan_on(geometry)).rgb, axis=-1) > 0)[:, :, [1, 3]].any()


@pytest.mark.parametrize("options", [{"soft_edge": -1}, {"bleed": -0.1}, {"bleed": float("nan")}, {"soft_edge": 51},
                                     {"soft_edge": float("inf")}, {"strength": 1.1}])  # fmt: skip
def test_impossible_options_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"mm|strength"):
        SegmentationColorizer(blobs(oblique()), **options)
