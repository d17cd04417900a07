"""The summary of a volume: what it says, and that it is the same however the volume is cut or stored."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medcolor import phantom
from medcolor.networks.normalization import Normalization
from medcolor.networks.volume_summary import BINS, SUMMARY, summarize, volume_summary


@given(seed=st.integers(0, 10_000), count=st.integers(1, 400))
def test_shares_of_all_bins_make_one(seed: int, count: int) -> None:
    values = np.random.default_rng(seed).uniform(-900, 3000, count)
    found = summarize(Normalization("hu"), values)
    assert found.shape == (SUMMARY,)
    assert found.dtype == np.float32
    assert ((found[:BINS] / 4) ** 2).sum() == pytest.approx(1, abs=1e-5)


def test_one_value_lies_in_the_bin_of_its_input() -> None:
    fitted = Normalization("linear", 0.0, 255.0)
    for value, place in ((255.0, BINS - 1), (255 * 10 / (BINS - 1), 10)):
        found = summarize(fitted, np.full(7, value))
        assert found.argmax() == place
        assert found[place] == pytest.approx(4, rel=1e-3)


def test_it_says_whether_the_values_have_a_unit() -> None:
    values = np.arange(50.0)
    assert summarize(Normalization("hu"), values)[-1] == 1
    assert summarize(Normalization("suv"), values)[-1] == 1
    assert summarize(Normalization("linear", 0, 255), values)[-1] == -1


@pytest.mark.parametrize("values", [np.zeros(0), np.full(9, -1024.0), np.full(9, np.nan)])
def test_nothing_but_dark_is_no_histogram_and_no_failure(values: np.ndarray) -> None:
    assert not summarize(Normalization("hu"), values)[:BINS].any()


def test_a_scan_s_summary_hardly_depends_on_which_values_stand_for_it() -> None:
    scan = phantom.scan("CT")
    fitted = Normalization("hu").fit(scan)
    whole = summarize(fitted, scan.voxels)
    assert np.abs(volume_summary(fitted, scan) - whole).max() < 0.35
