"""A learned colorizer says when a scan does not look like its modality, and colours it all the same."""

from __future__ import annotations

import dataclasses
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from bundle_examples import random_bundle

from medcolor import phantom
from medcolor.bundles import load_bundle
from medcolor.color import restore_gray
from medcolor.colorizers.network import NetworkColorizer
from medcolor.errors import BundleError, MedcolorWarning
from medcolor.geometry import Geometry, Space
from medcolor.io.picture import picture_of
from medcolor.recognition import CODE
from medcolor.scan import Scan
from medcolor.windowing import display_gray


@pytest.fixture(scope="module")
def colorizer(tmp_path_factory: pytest.TempPathFactory) -> NetworkColorizer:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("bundles") / "ct_random"
    random_bundle(folder)
    return NetworkColorizer(load_bundle(folder, trust=True))


@pytest.fixture(scope="module")
def foreign() -> Scan:
    """An ultrasound image that claims to be CT."""
    return dataclasses.replace(phantom.scan("US"), modality="CT", units="HU")


def test_a_scan_of_the_right_kind_passes_in_silence(colorizer: NetworkColorizer) -> None:
    scan = phantom.scan("CT")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        colored = colorizer(scan)
    assert colored.audit == scan.audit
    assert CODE not in colored.provenance.options


def test_a_foreign_scan_is_named_in_warning_audit_and_every_record(colorizer: NetworkColorizer, foreign: Scan) -> None:
    with pytest.warns(MedcolorWarning, match=r"looks like ultrasound \(0\.\d\d\), not CT"):
        colored = colorizer(foreign)
    (finding,) = [f for f in colored.audit if f.code == CODE]
    assert finding.message.startswith("This looks like ultrasound")
    assert colored.provenance.options[CODE] == finding.message
    assert picture_of(colored).record["provenance"]["options"][CODE] == finding.message
    again = colorizer(replace(foreign, audit=colored.audit))  # known already: nobody is warned twice, and it is said
    assert again.provenance.options[CODE] == finding.message
    with pytest.warns(MedcolorWarning, match="looks like ultrasound"):
        assert len(list(colorizer.stream(foreign))) > 0


def test_a_foreign_scan_is_coloured_as_asked_and_its_gray_stays(colorizer: NetworkColorizer, foreign: Scan) -> None:
    with pytest.warns(MedcolorWarning):
        colored = colorizer(foreign)
    unchecked = dataclasses.replace(colorizer, check=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        silent = unchecked(foreign)
    np.testing.assert_array_equal(colored.rgb, silent.rgb)
    assert CODE not in silent.provenance.options
    assert np.array_equal(restore_gray(colored.rgb), display_gray(foreign))


@pytest.mark.parametrize("kind", ["blank", "colour"])
def test_blank_scans_and_pictures_in_colour_are_said_to_be_that(colorizer: NetworkColorizer, kind: str) -> None:
    geometry = Geometry.from_spacing((40, 32, 1), (1, 1, 1), Space.PIXEL)
    if kind == "blank":
        scan = Scan(np.full((40, 32, 1), 30, np.int16), geometry, "CT", units="HU")
    else:
        rgb = np.random.default_rng(0).integers(0, 255, (40, 32, 1, 3), dtype=np.uint8)
        colored = (rgb != rgb[..., :1]).any(axis=-1)
        scan = Scan(rgb[..., 1], geometry, "CT", units="gray level", rgb=rgb, colored=colored)
    with pytest.warns(MedcolorWarning, match="scan is blank" if kind == "blank" else "picture in colour"):
        out = colorizer(scan)
    if kind == "colour":
        np.testing.assert_array_equal(out.rgb[scan.colored], scan.rgb[scan.colored])


def test_without_its_files_the_check_is_an_error_never_silence(
    colorizer: NetworkColorizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("medcolor.recognition.config_dir", lambda: tmp_path)
    with pytest.raises(BundleError, match="is missing"):
        colorizer(phantom.scan("CT", shape=(32, 32, 2)))
    assert dataclasses.replace(colorizer, check=False)(phantom.scan("CT", shape=(32, 32, 2))).shape == (32, 32, 2)
