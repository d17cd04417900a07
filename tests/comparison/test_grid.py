"""Every patient on the study's grid: values, places and labels stay true."""

from __future__ import annotations

import numpy as np
import pytest

from medcolor import phantom
from medcolor.comparison.grid import on_grid
from medcolor.comparison.tasks import Subject
from medcolor.geometry import Geometry, Space
from medcolor.scan import Scan, from_slices, to_slices


def subject(block: np.ndarray, masks: np.ndarray | None = None, **more: object) -> Subject:
    geometry = Geometry.from_spacing(block.shape[::-1], (1.5, 2.0, 5.0), Space.PATIENT)
    scan = Scan(from_slices(block), geometry, "CT", units="HU", **more)
    return Subject("p", "test", lambda: (scan, np.zeros(block.shape, np.uint8) if masks is None else masks))


def test_reduced_values_are_means_and_stay_what_they_were() -> None:
    rng = np.random.default_rng(0)
    block = rng.integers(-1000, 1000, (2, 64, 64)).astype(np.int16)
    moved = to_slices(on_grid(subject(block), 32).scan.voxels)
    assert moved.dtype == np.int16
    np.testing.assert_allclose(moved, block.reshape(2, 32, 2, 32, 2).mean(axis=(2, 4)), atol=0.5)
    odd = on_grid(subject(block.astype(np.float32)), 48).scan
    assert odd.voxels.mean() == pytest.approx(block.mean(), abs=1e-2)


def test_a_pixel_stays_where_it_was_in_the_world() -> None:
    block = np.zeros((1, 60, 40), np.float32)
    block[0, 30:32, 20:22] = 1000
    before = subject(block)
    after = on_grid(before, 32)

    def center(scan: Scan) -> np.ndarray:
        values = to_slices(scan.voxels) * ~scan.padded(slice(None))
        k, j, i = (np.average(axis, weights=values) for axis in np.indices(values.shape))
        return scan.geometry.index_to_world([i, j, k])

    np.testing.assert_allclose(center(after.scan), center(before.scan), atol=0.2)
    assert after.scan.geometry.spacing[1] == pytest.approx(2.0 * 60 / 32)


def test_what_is_small_is_filled_up_and_never_enlarged() -> None:
    block = np.full((1, 20, 30), 7, np.int16)
    masks = np.ones(block.shape, np.uint8)
    after = on_grid(subject(block, masks), 48)
    assert after.scan.shape == (48, 48, 1)
    there = ~after.scan.padded(slice(None))
    assert there.sum() == 600 == after.masks.sum()
    assert after.scan.geometry.spacing == subject(block).scan.geometry.spacing


def test_labels_are_those_of_most_of_the_area() -> None:
    masks = np.zeros((1, 32, 32), np.uint8)
    masks[:, :, :11], masks[:, :, 21:] = 1, 5  # two thirds of a pixel, and all of one
    after = on_grid(subject(np.zeros((1, 32, 32), np.int16), masks), 16)
    assert after.masks[0, 3].tolist() == [1] * 5 + [0] * 5 + [0] + [5] * 5


def test_display_of_eight_bits_stays_as_stored() -> None:
    scan = phantom.scan("US", shape=(96, 96, 1))
    stored = Scan(scan.voxels.astype(np.uint8), scan.geometry, "US", units="gray level")
    moved = on_grid(Subject("p", "test", lambda: (stored, np.zeros((1, 96, 96), np.uint8))), 48).scan
    assert moved.voxels.dtype == np.uint8
