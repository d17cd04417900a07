"""Posteriors of a bundle are at its temperature, as the textbook says: when they mix colours as when they are told."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from bundle_examples import TINY, random_bundle
from scipy.special import softmax

from medcolor import phantom
from medcolor.batch.settings import BatchSettings
from medcolor.bundle_files import METADATA, read_card
from medcolor.bundles import load_bundle
from medcolor.color import color_from_posteriors, restore_gray
from medcolor.colorizers.network import NetworkColorizer
from medcolor.colorizers.slicewise import slicewise
from medcolor.errors import BundleError
from medcolor.palettes import load_palette
from medcolor.scan import from_slices, to_slices
from medcolor.windowing import display_gray


def with_temperature(folder: Path, temperature: object, *, corrects: bool = True) -> Path:
    random_bundle(folder, family="MR", config={**TINY, "corrects": corrects})
    metadata = json.loads((folder / METADATA).read_text())
    metadata["medcolor"]["temperature"] = temperature
    (folder / METADATA).write_text(json.dumps(metadata))
    return folder


def colorizer(folder: Path, temperature: float, *, corrects: bool = True) -> NetworkColorizer:
    bundle = load_bundle(with_temperature(folder, temperature, corrects=corrects), trust=True)
    return NetworkColorizer(bundle, palette="contrast", device="cpu", check=False)


@pytest.mark.parametrize("wrong", [0, -1, 11, 0.09, "0.5", None, True, [0.5]])
def test_a_temperature_out_of_range_is_refused_by_name(tmp_path: Path, wrong: object) -> None:
    with pytest.raises(BundleError, match="temperature") as refused:
        read_card(with_temperature(tmp_path / "it", wrong))
    assert "metadata.json" in str(refused.value)


@pytest.mark.parametrize("corrects", [True, False])
@pytest.mark.parametrize("temperature", [0.4, 2.5])
def test_posteriors_are_the_softmax_of_logits_over_the_temperature(
    tmp_path: Path, temperature: float, corrects: bool
) -> None:
    scan = phantom.scan("MR", shape=(40, 36, 2))
    plain = colorizer(tmp_path / "one", 1, corrects=corrects).predict(scan).posteriors(slice(0, 2))
    found = colorizer(tmp_path / "other", temperature, corrects=corrects).predict(scan).posteriors(slice(0, 2))
    expected = softmax(np.log(np.maximum(plain.astype(np.float64), 1e-30)) / temperature, axis=0)
    np.testing.assert_allclose(found, expected, atol=2e-4)
    np.testing.assert_array_equal(found.argmax(axis=0), plain.argmax(axis=0))


def test_colours_and_what_is_told_of_a_voxel_come_from_the_same_posteriors(tmp_path: Path) -> None:
    scan = phantom.scan("MR", shape=(40, 36, 2))
    sure = colorizer(tmp_path / "it", 0.4)
    colored, mixed = sure(scan), sure.predict(scan).posteriors(slice(0, 2))
    gray = display_gray(scan)
    expected = color_from_posteriors(to_slices(gray), mixed, load_palette("MR", "contrast").ab)
    np.testing.assert_array_equal(colored.rgb, from_slices(expected))
    np.testing.assert_array_equal(restore_gray(colored.rgb), gray)
    assert (colored.rgb != colorizer(tmp_path / "modest", 1)(scan).rgb).any()
    evidence = slicewise(sure, scan).evidence(1)
    for found in (evidence, evidence.compact()):
        np.testing.assert_allclose(found.at(20, 18), mixed[:, 1, 18 + 2, 18], atol=0.02)


def test_the_same_weights_at_another_temperature_are_another_image_and_another_batch(tmp_path: Path) -> None:
    scan, made, asked, cards = phantom.scan("MR", shape=(24, 20, 2)), [], [], []
    for temperature in (1, 0.4):
        by = colorizer(tmp_path / f"at_{temperature}" / "it", temperature)
        cards.append(by.bundle.card)
        made.append(by(scan).provenance)
        assert made[-1].options["temperature"] == temperature
        asked.append(BatchSettings(colorizer=str(by.bundle.card.folder), trust=True).fingerprint())
    plain, sure = cards
    assert plain.weights_sha256 == sure.weights_sha256 == plain.identity != sure.identity
    assert made[0].digest != made[1].digest
    assert asked[0] != asked[1]
    assert {key for key in asked[0] if asked[0][key] != asked[1][key]} == {"temperatures"}
