"""Strange scans: on the same grid, a function of chance, and bent as no gamma bends."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medcolor import phantom
from medcolor.scan import MODALITIES, to_slices
from medcolor.training.degradations import Chance
from medcolor.training.unlike import unlike
from medcolor.voi import Window

FAMILIES = ("MR", "PT", "US", "XR", "NM", "MG")


@settings(deadline=None, max_examples=30)
@given(st.sampled_from(FAMILIES), st.integers(0, 2**31 - 1))
def test_a_strange_scan_has_the_grid_of_the_scan_and_is_drawn_by_chance_alone(family: str, seed: int) -> None:
    scan = phantom.scan(family)
    one, same = (unlike(scan, Chance(seed)) for _ in range(2))
    np.testing.assert_array_equal(one.voxels, same.voxels)
    assert (one.geometry, one.units, one.family) == (scan.geometry, scan.units, scan.family)
    assert np.isfinite(to_slices(one.voxels)).all()
    assert not np.array_equal(np.asarray(one.voxels, float), np.asarray(scan.voxels, float))


@pytest.mark.parametrize("family", FAMILIES)
def test_where_nothing_was_moved_the_curve_falls_as_no_gamma_does(family: str) -> None:
    scan = phantom.scan(family)
    which = np.random.default_rng(0).integers(0, 40, scan.shape)
    scan = replace(scan, voxels=(which * 2.5).astype(np.float32), windows=(Window(50, 100, name="it"),))
    fell = []
    for seed in range(12):
        after = np.asarray(unlike(scan, Chance(seed)).voxels) / 100
        levels = [after[which == level] for level in range(40)]
        if all(np.ptp(level) < 1e-4 for level in levels):  # one gray, one gray: nothing was moved
            curve = np.array([level[0] for level in levels])
            fell.append(float((np.maximum.accumulate(curve) - curve).max()))
    assert fell, "some are not moved"
    assert max(fell) > 0.3
    assert len(fell) < 12, "and some are"


def test_what_is_no_image_stays_none() -> None:
    scan = phantom.scan("XR")
    hole = np.zeros(scan.shape, bool)
    hole[:, :4] = True
    for seed in range(6):
        strange = to_slices(unlike(replace(scan, padding=hole), Chance(seed)).voxels)
        assert np.isnan(strange[:, :4]).all()
        assert np.isfinite(strange[:, 4:]).all()


def test_every_modality_is_thought_of() -> None:
    assert set(FAMILIES) | {"CT"} == set(MODALITIES)
