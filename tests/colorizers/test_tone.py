"""Gamma undone: the inverse of what bent the gray, of the scan that is looked at and never of the one that is shown."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from bundle_examples import TINY, random_bundle
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.exposure import adjust_gamma

from medcolor import phantom, tissue
from medcolor.bundles import load_bundle
from medcolor.color import restore_gray
from medcolor.colorizers.corrections import WithNeighbours, told_to
from medcolor.colorizers.network import NetworkColorizer
from medcolor.colorizers.slicewise import slicewise
from medcolor.colorizers.tone import CODE, finding_of, small_slices, unbent
from medcolor.networks.tone import LEAST
from medcolor.scan import GRAY_LEVEL, KAxis, Scan, from_slices, to_slices
from medcolor.voi import Window
from medcolor.windowing import bent, default_display, display_bounds, display_gray, grayscale

GAMMA = st.floats(-0.8, 0.8)


@settings(deadline=None)
@given(GAMMA, st.floats(-1000, 1000), st.floats(1e-2, 4000), st.integers(0, 10_000))
def test_bending_is_undone_and_moves_nothing_at_or_beyond_the_bounds(
    gamma: float, low: float, width: float, seed: int
) -> None:
    bounds = (low, low + width)
    x = np.random.default_rng(seed).uniform(low - width, low + 2 * width, 200).astype(np.float32)
    there = bent(x, bounds, gamma)
    step = np.spacing(np.float32(max(abs(low), abs(low + width))))  # a value of single precision
    # What a step of the bent gray amounts to, unbent: much near the dark end, where gamma pressed values together.
    lost = width * (4 * step / width) ** math.exp(-abs(gamma))
    np.testing.assert_allclose(bent(there, bounds, -gamma), x, atol=float(0.002 * width + 4 * step + lost))
    beyond = (x <= bounds[0]) | (x >= bounds[1])
    np.testing.assert_allclose(there[beyond], x[beyond], rtol=0, atol=float(step))  # the bounds themselves are rounded
    assert (np.diff(there[np.argsort(x)]) >= -4 * step).all(), "order is kept"


@pytest.mark.parametrize("gamma", [0.5, 0.8, 1.6, 2.0])
def test_bending_is_what_scikit_image_calls_gamma(gamma: float) -> None:
    x = np.linspace(0, 1, 300, dtype=np.float32)
    np.testing.assert_allclose(bent(x, (0.0, 1.0), math.log(gamma)), adjust_gamma(x, gamma), atol=2e-6)


@settings(deadline=None, max_examples=20)
@given(GAMMA, st.sampled_from(["MR", "PT", "US", "XR"]))
def test_a_bent_scan_is_straight_again(gamma: float, family: str) -> None:
    scan = with_window(phantom.scan(family, shape=(24, 20, 3)))
    values = to_slices(scan.voxels).astype(np.float32)
    crooked = replace(scan, voxels=from_slices(bent(values, display_bounds(scan), gamma)))
    low, high = display_bounds(scan)
    straight = unbent(crooked, gamma)
    np.testing.assert_allclose(to_slices(straight.voxels), values, atol=0.003 * (high - low))
    assert unbent(crooked, 0.0) is crooked


def with_window(scan: Scan) -> Scan:
    low, high = display_bounds(scan)
    return replace(scan, windows=(Window((low + high) / 2, high - low, name="it"),))


def test_what_is_no_image_is_no_number_and_counts_as_black() -> None:
    scan = with_window(phantom.scan("XR", shape=(40, 30, 1)))
    hole = np.zeros(scan.shape, bool)
    hole[:5] = True
    holed = replace(scan, padding=hole)
    assert np.isnan(to_slices(unbent(holed, 0.4).voxels)[:, :, :5]).all()
    assert np.isfinite(to_slices(unbent(holed, 0.4).voxels)[:, :, 5:]).all()
    assert (small_slices(holed, count=6, side=8)[..., 0] == -1).all()


@pytest.mark.parametrize("inverted", [False, True])
def test_small_slices_are_the_displayed_gray(inverted: bool) -> None:
    scan = replace(with_window(phantom.scan("XR", shape=(64, 64, 1))), inverted=inverted)
    gray = grayscale(scan, default_display(scan))(slice(None)).astype(float)
    small = gray.reshape(1, 8, 8, 8, 8).mean(axis=(2, 4)) / 127.5 - 1
    found = small_slices(scan, count=6, side=8)
    inner = (gray.reshape(1, 8, 8, 8, 8).min(axis=(2, 4)) > 0) & (gray.reshape(1, 8, 8, 8, 8).max(axis=(2, 4)) < 255)
    assert inner.any()
    np.testing.assert_allclose(found[inner], small[inner], atol=0.01)


def test_slices_are_spread_evenly_over_a_volume() -> None:
    voxels = np.repeat(np.arange(60, dtype=np.float32)[None, None], 6, axis=0).repeat(5, axis=1)
    scan = replace(phantom.scan("MR", shape=(6, 5, 60)), voxels=voxels, windows=(Window(30, 60, name="it"),))
    seen = (small_slices(scan, count=6, side=4)[:, 0, 0] + 1) / 2 * 60
    np.testing.assert_allclose(seen, [5, 15, 25, 35, 45, 55], atol=0.01)


class Model:
    """Says the number of the slice."""

    classes = ("a", "b")

    def posteriors(self, block: slice) -> np.ndarray:
        rows = np.arange(*block.indices(7))
        return np.stack([rows, -rows])[:, :, None, None].astype(np.float32) + np.zeros((2, len(rows), 2, 3), np.float32)


@settings(deadline=None)
@given(st.integers(0, 6), st.integers(1, 7))
def test_slices_come_with_those_before_and_after_however_a_volume_is_cut(start: int, length: int) -> None:
    block = slice(start, min(start + length, 7))
    said = WithNeighbours(Model(), 7).posteriors(block)
    own = np.arange(start, block.stop)
    for part, rows in zip(np.split(said, 3), (own, np.maximum(own - 1, 0), np.minimum(own + 1, 6)), strict=True):
        np.testing.assert_array_equal(part[0, :, 0, 0], rows)
    alone = WithNeighbours(Model(), 1).posteriors(block)
    for part in np.split(alone, 3):
        np.testing.assert_array_equal(part[0, :, 0, 0], own)


def test_frames_of_a_film_are_no_neighbours(tmp_path: Path) -> None:
    found = loud(tmp_path / "it", "US", gamma=0.0, neighbours=True)
    film = replace(phantom.scan("US", shape=(40, 36, 3)), k_axis=KAxis.TIME)
    told = told_to(found.network, film, found.bundle.normalization)
    for part in np.split(told.physics.posteriors(slice(0, 3)), 3):
        np.testing.assert_array_equal(part, tissue.fit(film).posteriors(slice(0, 3)))


def loud(
    folder: Path,
    family: str,
    *,
    gamma: float,
    neighbours: bool = False,
    silent: bool = False,
    corrects: bool = True,
    least: float | None = None,
) -> NetworkColorizer:
    """Return a colorizer of random weights whose estimator says ``gamma`` of every scan; silent: corrects nothing."""
    config = {**TINY, "corrects": corrects, "tone": True, "neighbours": neighbours}
    config |= {} if least is None else {"tone_least": least}
    random_bundle(folder, family=family, config=config)
    bundle = load_bundle(folder, trust=True)
    with torch.no_grad():
        bundle.network.tone.judge[-1].weight.zero_()
        bundle.network.tone.judge[-1].bias.fill_(gamma)
        if silent:
            bundle.network.head.weight.zero_()
            bundle.network.head.bias.zero_()
    return NetworkColorizer(bundle, palette="contrast", device="cpu", check=False)


@pytest.mark.parametrize("neighbours", [False, True])
@pytest.mark.parametrize("family", ["MR", "PT", "US", "XR", "NM", "MG"])
def test_the_gray_that_is_shown_is_the_scan_s_and_the_audit_says_what_was_undone(
    tmp_path: Path, family: str, neighbours: bool
) -> None:
    scan = phantom.scan(family)
    colored = loud(tmp_path / "it", family, gamma=0.5, neighbours=neighbours)(scan)
    gray = grayscale(scan, default_display(scan))(slice(None))
    np.testing.assert_array_equal(restore_gray(colored.rgb), from_slices(gray))
    (line,) = [finding for finding in colored.audit if finding.code == CODE]
    assert "1.65" in line.message
    assert colored.provenance.options[CODE] == line.message


@pytest.mark.parametrize("neighbours", [False, True])
def test_physics_and_network_see_the_scan_unbent(tmp_path: Path, neighbours: bool) -> None:
    scan = phantom.scan("MR")
    found = loud(tmp_path / "it", "MR", gamma=0.5, neighbours=neighbours, silent=True).predict(scan)
    straight = unbent(scan, 0.5)
    expected = np.maximum(tissue.fit(straight).posteriors(slice(None)), 1e-3)
    np.testing.assert_allclose(found.posteriors(slice(0, scan.shape[2])), expected / expected.sum(axis=0), atol=2e-6)


@pytest.mark.parametrize("lost", [False, True])
def test_a_network_that_sees_the_gray_alone_sees_it_unbent_and_shows_it_as_it_is(tmp_path: Path, lost: bool) -> None:
    scan = phantom.scan("CT", shape=(48, 40, 2))
    if lost:
        scan = replace(scan, voxels=display_gray(scan), units=GRAY_LEVEL, windows=())
    colorizer = loud(tmp_path / "it", "CT", gamma=0.5, corrects=False)
    colored = colorizer(scan)
    np.testing.assert_array_equal(restore_gray(colored.rgb), display_gray(scan))
    assert [finding.code for finding in colored.audit if finding.code == CODE] == [CODE]
    bent_away = loud(tmp_path / "other", "CT", gamma=0.0, corrects=False)
    expected = bent_away.predict(unbent(scan, 0.5)).posteriors(slice(0, 2))
    np.testing.assert_allclose(colorizer.predict(scan).posteriors(slice(0, 2)), expected, atol=1e-5)
    assert np.abs(bent_away.predict(scan).posteriors(slice(0, 2)) - expected).max() > 1e-3


@pytest.mark.parametrize("least", [None, 0.2, 0.0])
@pytest.mark.parametrize("sign", [-1, 1])
def test_less_than_the_least_gamma_leaves_the_scan_and_its_audit_alone(
    tmp_path: Path, least: float | None, sign: int
) -> None:
    scan, bound = phantom.scan("PT"), LEAST if least is None else least
    below = loud(tmp_path / "below", "PT", gamma=0.9 * sign * bound, least=least)
    assert below.told(scan).scan is scan
    assert not [finding for finding in below(scan).audit if finding.code == CODE]
    above = loud(tmp_path / "above", "PT", gamma=sign * (1.1 * bound + 0.01), least=least)
    assert above.told(scan).scan is not scan
    assert [finding.code for finding in above.told(scan).findings] == [CODE]
    assert finding_of(0.0) is None


def test_slice_by_slice_it_says_and_colours_the_same(tmp_path: Path) -> None:
    scan = phantom.scan("PT")
    colorizer = loud(tmp_path / "it", "PT", gamma=-0.4, neighbours=True)
    whole, slices = colorizer(scan), slicewise(colorizer, scan)
    assert [finding.code for finding in slices.findings] == [CODE]
    for k in range(scan.shape[2]):
        found = slices.evidence(k)
        np.testing.assert_allclose(found.planes, colorizer.predict(scan).posteriors(slice(k, k + 1))[:, 0], atol=1e-5)
    assert whole.rgb.shape[:3] == scan.shape


def test_coloured_again_the_audit_says_it_once_and_the_record_still_does(tmp_path: Path) -> None:
    colorizer = loud(tmp_path / "it", "PT", gamma=0.5)
    scan = phantom.scan("PT")
    first = colorizer(scan)
    again = colorizer(replace(scan, audit=first.audit))
    assert again.audit == first.audit
    assert again.provenance.dumps() == first.provenance.dumps()
