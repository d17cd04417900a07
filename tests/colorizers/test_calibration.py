"""Probabilities as they are told: tempered as the textbook says, of a voxel as of a slice; no colour depends on it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from bundle_examples import TINY, random_bundle
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax

from medcolor import phantom
from medcolor.bundle_files import METADATA, TEMPERATURES, read_card
from medcolor.bundles import load_bundle
from medcolor.colorizers.calibration import calibrated
from medcolor.colorizers.network import NetworkColorizer
from medcolor.colorizers.slicewise import slicewise
from medcolor.colorizers.soft_evidence import SoftEvidence
from medcolor.errors import BundleError
from medcolor.training.arms import shipped

TEMPERATURE = st.floats(*TEMPERATURES)


def posteriors(seed: int, classes: int = 5, pixels: int = 40, scale: float = 2.0) -> np.ndarray:
    logits = np.random.default_rng(seed).normal(0, scale, (classes, pixels))
    return softmax(logits, axis=0).astype(np.float32)


@settings(deadline=None)
@given(st.integers(0, 1000), st.floats(0.5, 10))
def test_it_is_the_softmax_of_logits_over_the_temperature(seed: int, temperature: float) -> None:
    p = posteriors(seed)
    told = calibrated(p, temperature)
    np.testing.assert_allclose(told, softmax(np.log(p.astype(np.float64)) / temperature, axis=0), atol=1e-4)
    np.testing.assert_allclose(told.sum(axis=0), 1, atol=1e-5)


@settings(deadline=None)
@given(st.integers(0, 1000), TEMPERATURE, TEMPERATURE)
def test_the_first_class_stays_first_and_a_lower_temperature_is_surer(seed: int, one: float, other: float) -> None:
    p, (low, high) = posteriors(seed), sorted((one, other))
    surer, milder = calibrated(p, low), calibrated(p, high)
    first = p.argmax(axis=0)[None]
    for told in (surer, milder):
        np.testing.assert_array_equal(np.take_along_axis(told, first, 0)[0], told.max(axis=0))
    assert (surer.max(axis=0) >= milder.max(axis=0) - 1e-6).all()


def test_at_one_nothing_changes_and_what_is_impossible_or_no_image_stays_so() -> None:
    p = posteriors(0)
    assert calibrated(p, 1.0) is p
    p[2], p[:, 3] = 0, 0
    told = calibrated(p / np.maximum(p.sum(axis=0), 1e-12), 0.3)
    assert (told[2] == 0).all()
    assert (told[:, 3] == 0).all()
    assert np.isfinite(told).all()


@pytest.mark.parametrize("temperature", [0.25, 1.0, 3.0])
def test_a_voxel_is_told_the_same_as_it_is_and_as_it_is_kept(temperature: float) -> None:
    p = posteriors(1, pixels=24, scale=1.0).reshape(5, 4, 6)
    whole = SoftEvidence(p[[0, 2, 4]], (0, 2, 4), 5, temperature=temperature)
    kept = whole.compact()
    assert kept.temperature == kept.unpacked().temperature == temperature
    for j, i in ((0, 0), (3, 5), (2, 1)):
        expected = np.zeros(5, np.float32)
        expected[[0, 2, 4]] = p[[0, 2, 4], j, i]
        expected = calibrated(expected / expected.sum(), temperature)
        np.testing.assert_allclose(whole.at(j, i), expected, atol=1e-6)
        np.testing.assert_allclose(kept.at(j, i), expected, atol=0.02)


def with_temperature(folder: Path, temperature: object) -> Path:
    random_bundle(folder, family="MR", config={**TINY, "corrects": True})
    metadata = json.loads((folder / METADATA).read_text())
    metadata["medcolor"]["temperature"] = temperature
    (folder / METADATA).write_text(json.dumps(metadata))
    return folder


@pytest.mark.parametrize("wrong", [0, -1, 11, 0.09, "0.5", None, True, [0.5]])
def test_a_temperature_out_of_range_is_refused_by_name(tmp_path: Path, wrong: object) -> None:
    with pytest.raises(BundleError, match="temperature") as refused:
        read_card(with_temperature(tmp_path / "it", wrong))
    assert "metadata.json" in str(refused.value)


def test_a_bundle_tells_its_classes_at_its_temperature_and_colours_as_before(tmp_path: Path) -> None:
    scan = phantom.scan("MR", shape=(40, 36, 2))
    modest = NetworkColorizer(load_bundle(with_temperature(tmp_path / "it", 1), trust=True), check=False)
    before = modest(scan)
    sure = NetworkColorizer(load_bundle(with_temperature(tmp_path / "it", 0.4), trust=True), check=False)
    np.testing.assert_array_equal(sure(scan).rgb, before.rgb)
    slices = slicewise(sure, scan)
    found = slices.evidence(1)
    mixed = sure.predict(scan).posteriors(slice(1, 2))[:, 0]
    np.testing.assert_allclose(found.posteriors(), mixed, atol=1e-5)
    np.testing.assert_allclose(found.at(20, 18), calibrated(mixed[:, 20, 18], 0.4), atol=1e-4)
    assert shipped(sure)(scan).temperature == 0.4
