"""A colorizer whose network corrects physics, at full size, reduced, in tiles and under the law."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from bundle_examples import TINY, random_bundle

from medcolor import phantom, tissue
from medcolor.bundles import load_bundle
from medcolor.color import restore_gray
from medcolor.colorizers.network import NetworkColorizer
from medcolor.errors import ModalityError
from medcolor.networks.correction import FLOOR
from medcolor.scan import GRAY_LEVEL, Scan
from medcolor.windowing import default_display, grayscale

FAMILIES = ("MR", "PT", "US", "XR", "NM", "MG")


def colorizer(folder: Path, family: str, *, silent: bool = False, side: int | None = None) -> NetworkColorizer:
    random_bundle(folder, family=family, config={**TINY, "corrects": True})
    bundle = load_bundle(folder, trust=True)
    if silent:
        with torch.no_grad():
            bundle.network.head.weight.zero_()
            bundle.network.head.bias.zero_()
    if side is not None:
        bundle = replace(bundle, normalization=replace(bundle.normalization, side=side))
    return NetworkColorizer(bundle, device="cpu", check=False)


def said_by_physics(scan: Scan) -> np.ndarray:
    p = np.maximum(tissue.fit(scan).posteriors(slice(0, scan.shape[2])), FLOOR)
    return np.asarray(p / p.sum(axis=0))


@pytest.mark.parametrize("side", [None, 30])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_network_that_corrects_nothing_says_what_physics_says_pixel_by_pixel(
    tmp_path: Path, family: str, side: int | None
) -> None:
    scan = phantom.scan(family)
    found = colorizer(tmp_path / "it", family, silent=True, side=side).predict(scan).posteriors(slice(0, scan.shape[2]))
    np.testing.assert_allclose(found, said_by_physics(scan), atol=2e-6)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_gray_comes_back_and_physics_is_not_merely_repeated(tmp_path: Path, family: str) -> None:
    scan = phantom.scan(family)
    loud = colorizer(tmp_path / "it", family)
    gray = grayscale(scan, default_display(scan))(slice(None))
    np.testing.assert_array_equal(restore_gray(loud(scan).rgb), np.moveaxis(gray, (0, 1, 2), (2, 1, 0)))
    found = loud.predict(scan).posteriors(slice(0, scan.shape[2]))
    assert np.abs(found - said_by_physics(scan)).max() > 0.1
    np.testing.assert_allclose(found.sum(axis=0), 1, atol=1e-5)


def test_tiles_are_shown_their_own_part_of_what_physics_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scan, loud = phantom.scan("US", shape=(150, 131, 1)), colorizer(tmp_path / "it", "US")
    whole = loud.predict(scan).posteriors(slice(0, 1))
    monkeypatch.setattr("medcolor.colorizers.tiles._WHOLE", 1)
    monkeypatch.setattr("medcolor.colorizers.tiles._SIDE", 64)
    np.testing.assert_allclose(loud.predict(scan).posteriors(slice(0, 1)), whole, atol=1e-4)


def test_where_physics_cannot_speak_there_is_nothing_to_correct(tmp_path: Path) -> None:
    scan = replace(phantom.scan("CT"), units=GRAY_LEVEL)
    with pytest.raises(ModalityError, match="HU"):
        colorizer(tmp_path / "it", "CT").predict(scan)
