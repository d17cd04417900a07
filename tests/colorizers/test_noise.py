"""Noise: measured as it was added, smoothed for physics alone, and said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from bundle_examples import TINY, random_bundle
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import wiener

from medcolor import phantom, tissue
from medcolor.bundles import load_bundle
from medcolor.color import restore_gray
from medcolor.colorizers.network import NetworkColorizer
from medcolor.colorizers.noise import CODE, LEAST, finding_of, noise_of, smoothed
from medcolor.colorizers.slicewise import slicewise
from medcolor.scan import Scan, from_slices, to_slices
from medcolor.training.conditions import evaluation_table
from medcolor.voi import Window
from medcolor.windowing import default_display, grayscale

WINDOW = Window(500.0, 1000.0, name="it")


def picture(shape: tuple[int, int, int] = (96, 80, 2)) -> np.ndarray:
    """Return slopes with an edge of 400 between them, 100..900."""
    i, _, k = np.indices(shape).astype(np.float32)
    return 100 + 200 * i / shape[0] + 400 * (i > shape[0] // 2) + 10 * k


def scan_of(voxels: np.ndarray, **more: object) -> Scan:
    base = phantom.scan("XR", shape=voxels.shape)
    return replace(base, voxels=voxels.astype(np.float32), windows=(WINDOW,), padding=None, inverted=False, **more)


def noisy(voxels: np.ndarray, share: float, seed: int = 0) -> np.ndarray:
    return voxels + np.random.default_rng(seed).normal(0, share * WINDOW.width, voxels.shape)


@settings(deadline=None, max_examples=30)
@given(st.floats(0.015, 0.06), st.integers(0, 1000), st.booleans())
def test_noise_that_was_added_is_measured(share: float, seed: int, inverted: bool) -> None:
    scan = replace(scan_of(noisy(picture(), share, seed)), inverted=inverted)
    assert noise_of(scan) == pytest.approx(share, rel=0.08)


@pytest.mark.parametrize(
    "voxels", [picture(), np.zeros((40, 30, 3)), np.full((1, 1, 1), 5.0), np.full((9, 3, 2), -1e9)]
)
def test_where_there_is_none_the_scan_is_left_alone(voxels: np.ndarray) -> None:
    scan = scan_of(voxels)
    assert noise_of(scan) < LEAST
    assert smoothed(scan, noise_of(scan)) is scan
    assert finding_of(noise_of(scan)) is None


def test_the_table_of_degradations_is_told_apart() -> None:
    scan = scan_of(picture())
    seen = {c.severity: noise_of(c.on_scan(scan, key="it")) for c in evaluation_table("XR") if c.name == "noise"}
    assert seen == {k: pytest.approx(v, rel=0.1) for k, v in {"low": 0.02, "middle": 0.05, "high": 0.1}.items()}


@settings(deadline=None, max_examples=20)
@given(st.floats(0.015, 0.06), st.integers(0, 1000))
def test_smoothed_is_nearer_to_what_was_there_and_keeps_its_edge(share: float, seed: int) -> None:
    there = picture()
    scan = scan_of(noisy(there, share, seed))
    found = smoothed(scan, share).voxels
    before, after = (np.sqrt(np.mean((x - there) ** 2)) for x in (scan.voxels, found))
    assert after < 0.6 * before
    middle = there.shape[0] // 2
    step = found[middle + 1].mean() - found[middle].mean()
    assert step > 0.85 * 400


def test_what_is_no_image_is_no_number_and_changes_nothing_beside_it() -> None:
    voxels = noisy(picture(), 0.03)
    hole = np.zeros(voxels.shape, bool)
    hole[:20] = True
    one, other = (scan_of(np.where(hole, value, voxels)) for value in (-3000, 9000))
    one, other = replace(one, padding=hole), replace(other, padding=hole)
    assert noise_of(one) == noise_of(other) == pytest.approx(0.03, rel=0.1)
    found = smoothed(one, 0.03).voxels
    np.testing.assert_array_equal(found, smoothed(other, 0.03).voxels)
    assert np.isnan(found[hole]).all()
    assert np.isfinite(found[~hole]).all()


@settings(deadline=None, max_examples=20)
@given(st.integers(5, 40), st.integers(5, 40), st.floats(0.015, 0.2), st.integers(0, 1000))
def test_it_is_the_wiener_filter_of_scipy(ni: int, nj: int, share: float, seed: int) -> None:
    scan = scan_of(noisy(np.full((ni, nj, 1), 500.0), share, seed))
    gray = np.pad(scan.voxels[:, :, 0].astype(float) / 1000, 2, mode="symmetric")
    expected = wiener(gray, 5, (1.2 * share) ** 2)[2:-2, 2:-2] * 1000
    np.testing.assert_allclose(smoothed(scan, share).voxels[:, :, 0], expected, atol=0.01)


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 1, 3), (3, 4, 1), (1, 60, 2)])
def test_the_smallest_scans_are_smoothed_too(shape: tuple[int, int, int]) -> None:
    scan = scan_of(noisy(np.full(shape, 500.0), 0.05))
    found = smoothed(scan, 0.05)
    assert found.shape == scan.shape
    assert np.isfinite(found.voxels).all()


def test_values_far_beyond_the_window_stay_what_they_are() -> None:
    voxels = noisy(picture(), 0.03)
    voxels[10, 10, 0] = 1e12
    found = smoothed(scan_of(voxels), 0.03).voxels
    assert found[10, 10, 0] == pytest.approx(1e12, rel=1e-5)
    far = np.ones(voxels.shape, bool)
    far[6:15, 6:15, 0] = False
    assert np.abs(found - picture())[far].max() < 200


def smoothing(folder: Path, *, neighbours: bool = False, silent: bool = False) -> NetworkColorizer:
    """Return an X-ray colorizer of random weights that smooths for physics; silent: corrects nothing."""
    random_bundle(folder, family="XR", config={**TINY, "corrects": True, "smooths": True, "neighbours": neighbours})
    bundle = load_bundle(folder, trust=True)
    if silent:
        with torch.no_grad():
            bundle.network.head.weight.zero_()
            bundle.network.head.bias.zero_()
    return NetworkColorizer(bundle, palette="contrast", device="cpu", check=False)


def test_physics_is_told_of_the_smoothed_scan_and_the_network_sees_the_scan(tmp_path: Path) -> None:
    scan = scan_of(noisy(picture(), 0.05))
    colorizer = smoothing(tmp_path / "it", silent=True)
    told = colorizer.told(scan)
    assert told.scan is scan
    expected = np.maximum(tissue.fit(smoothed(scan, noise_of(scan))).posteriors(slice(None)), 1e-3)
    found = colorizer.predict(scan).posteriors(slice(0, scan.shape[2]))
    np.testing.assert_allclose(found, expected / expected.sum(axis=0), atol=2e-6)


@pytest.mark.parametrize("neighbours", [False, True])
def test_the_gray_that_is_shown_is_the_scan_s_and_audit_and_record_say_what_was_smoothed(
    tmp_path: Path, neighbours: bool
) -> None:
    scan = scan_of(noisy(picture(), 0.05))
    colorizer = smoothing(tmp_path / "it", neighbours=neighbours)
    colored = colorizer(scan)
    np.testing.assert_array_equal(
        restore_gray(colored.rgb), from_slices(grayscale(scan, default_display(scan))(slice(None)))
    )
    (line,) = [finding for finding in colored.audit if finding.code == CODE]
    assert f"{noise_of(scan):.1%}" in line.message
    assert colored.provenance.options[CODE] == line.message
    again = colorizer(replace(scan, audit=colored.audit))
    assert again.audit == colored.audit
    slices = slicewise(colorizer, scan)
    assert [finding.code for finding in slices.findings] == [CODE]
    for k in range(scan.shape[2]):
        found = colorizer.predict(scan).posteriors(slice(k, k + 1))[:, 0]
        np.testing.assert_allclose(slices.evidence(k).planes, found, atol=1e-5)


def test_a_clean_scan_is_not_spoken_of(tmp_path: Path) -> None:
    scan = scan_of(picture())
    colored = smoothing(tmp_path / "it")(scan)
    assert not [finding for finding in colored.audit if finding.code == CODE]
    assert to_slices(scan.voxels).dtype == np.float32
