"""What ``auto`` chooses, on a configs folder with random bundles; and that damage makes it choose nothing else."""

from __future__ import annotations

import dataclasses
import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bundle_examples import random_bundle

from medcolor import phantom
from medcolor.bundles import default_bundle
from medcolor.color import restore_gray
from medcolor.colorizers import list_colorizers, load_colorizer
from medcolor.colorizers.auto import AutoColorizer, choice_for, has_units
from medcolor.errors import BundleError, ModalityError, SettingError
from medcolor.scan import GRAY_LEVEL, MODALITIES, Scan
from medcolor.windowing import display_gray

SMALL = {"CT": (64, 48, 3), "MR": (64, 48, 3)}


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@cache
def scan_of(family: str) -> Scan:
    return phantom.scan(family, shape=SMALL.get(family))


def lost_units(scan: Scan) -> Scan:
    """The scan as an 8-bit picture of itself."""
    return dataclasses.replace(scan, voxels=display_gray(scan), units=GRAY_LEVEL, windows=())


def say(folder: Path, **ours: Any) -> None:
    """Change what a bundle's metadata says under "medcolor"."""
    path = folder / "metadata.json"
    record = json.loads(path.read_text())
    record["medcolor"] |= ours
    path.write_text(json.dumps(record))


@pytest.fixture
def configs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Bundles of CT (the default) and MR (not)."""
    random_bundle(tmp_path / "ct_tissue", family="CT")
    random_bundle(tmp_path / "mr_tissue", family="MR")
    say(tmp_path / "ct_tissue", default=True)
    monkeypatch.setattr("medcolor.bundles.config_dir", lambda: tmp_path)
    return tmp_path


def test_each_scan_gets_the_default_bundle_of_its_modality_else_physics(configs: Path) -> None:
    auto = load_colorizer("auto")
    named = {family: auto(scan_of(family)).provenance.colorizer for family in ("CT", "MR")}
    assert named == {"CT": "ct_tissue", "MR": "physics"}
    assert isinstance(auto, AutoColorizer)
    assert "the default for CT" in auto.choose(scan_of("CT")).reason
    assert "no trained bundle is the default for MR" in auto.choose(scan_of("MR")).reason


def test_auto_gives_the_bytes_and_the_record_of_what_it_chose(configs: Path) -> None:
    options = {"palette": "contrast", "strength": 0.6, "cvd": "deutan"}
    for family, spec in (("CT", "ct_tissue"), ("MR", "physics")):
        by_auto, directly = (load_colorizer(s, **options)(scan_of(family)) for s in ("auto", spec))  # type: ignore[arg-type]
        np.testing.assert_array_equal(by_auto.rgb, directly.rgb)
        assert by_auto.provenance.dumps() == directly.provenance.dumps()
        palettes = [load_colorizer(s, **options).palette_for(scan_of(family)) for s in ("auto", spec)]  # type: ignore[arg-type]
        assert palettes[0] == palettes[1]
    described = {info.name: info.description for info in list_colorizers()}
    assert described["ct_tissue"].startswith("default; ")
    assert not described["mr_tissue"].startswith("default")
    assert load_colorizer("auto").legend_for(scan_of("CT"))
    assert load_colorizer("auto").legend_for(scan_of("MR")) is None


@pytest.mark.parametrize("default", [True, False])
def test_a_ct_without_units_goes_to_the_network_because_physics_refuses_it(configs: Path, default: bool) -> None:
    say(configs / "ct_tissue", default=default)
    scan, auto = lost_units(scan_of("CT")), load_colorizer("auto")
    with pytest.raises(ModalityError):
        load_colorizer("physics")(scan)
    colored = auto(scan)
    assert colored.provenance.colorizer == "ct_tissue"
    np.testing.assert_array_equal(restore_gray(colored.rgb), display_gray(scan))
    assert ("physics needs HU" in auto.choose(scan).reason) is not default
    assert auto(scan_of("CT")).provenance.colorizer == ("ct_tissue" if default else "physics")


def test_a_ct_without_units_is_refused_where_there_is_no_network_or_no_telling_which(
    configs: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(configs / "ct_tissue", default=False)
    random_bundle(configs / "ct_other", family="CT")
    with pytest.raises(BundleError, match="ct_other, ct_tissue"):
        load_colorizer("auto")(lost_units(scan_of("CT")))
    empty = tmp_path_factory.mktemp("configs")
    monkeypatch.setattr("medcolor.bundles.config_dir", lambda: empty)
    with pytest.raises(ModalityError, match="HU"):
        load_colorizer("auto")(lost_units(scan_of("CT")))


@pytest.mark.parametrize("family", MODALITIES)
def test_auto_knows_what_physics_refuses(family: str) -> None:
    for scan in (scan_of(family), lost_units(scan_of(family))):
        try:
            load_colorizer("physics")(scan)
        except ModalityError:
            assert not has_units(scan)
        else:
            assert has_units(scan)


def damage_weights(folder: Path) -> None:
    path = folder / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))


@pytest.mark.parametrize(
    "damage",
    [
        damage_weights,
        lambda folder: (folder / "model.safetensors").unlink(),
        lambda folder: (folder / "inference.yaml").unlink(),
        lambda folder: (folder / "metadata.json").unlink(),
        lambda folder: (folder / "metadata.json").write_text("{"),
        lambda folder: (folder / "metadata.json").write_text("[]"),
        lambda folder: (folder / "metadata.json").write_text("{}"),
        lambda folder: say(folder, default="yes"),
        lambda folder: say(folder, classes=["outside"]),
    ],
)
def test_a_damaged_default_is_an_error_and_never_physics(configs: Path, damage: Any) -> None:
    damage(configs / "ct_tissue")
    with pytest.raises(BundleError, match="ct_tissue"):
        load_colorizer("auto")(scan_of("CT"))


def test_damage_to_another_modality_s_bundle_does_not_matter(configs: Path) -> None:
    damage_weights(configs / "ct_tissue")
    (configs / "ct_tissue" / "inference.yaml").unlink()
    assert load_colorizer("auto")(scan_of("MR")).provenance.colorizer == "physics"


def test_the_recognizer_beside_the_bundles_is_no_colorizer(configs: Path) -> None:
    folder = configs / "recognizer"
    folder.mkdir()
    (folder / "metadata.json").write_text('{"recognizer": {}}')
    (folder / "model.safetensors").write_bytes(b"")
    assert load_colorizer("auto")(scan_of("CT")).provenance.colorizer == "ct_tissue"
    assert "recognizer" not in [info.name for info in list_colorizers()]


def test_two_defaults_of_one_modality_are_an_error(configs: Path) -> None:
    random_bundle(configs / "ct_second", family="CT")
    say(configs / "ct_second", default=True)
    with pytest.raises(BundleError, match="ct_second, ct_tissue"):
        load_colorizer("auto")(scan_of("CT"))


def test_options_go_to_what_can_use_them_and_the_rest_is_said(configs: Path) -> None:
    auto = load_colorizer("auto", fade=0.5, device="cpu")
    assert auto(scan_of("CT")).provenance.options["fade"] == 0.5
    assert "fade" not in auto(scan_of("MR")).provenance.options
    assert "nothing fades" in choice_for(auto, scan_of("MR")).reason
    assert "fades" not in choice_for(auto, scan_of("CT")).reason
    assert choice_for(load_colorizer("physics"), scan_of("CT")).reason == ""


@pytest.mark.parametrize("options", [{"fade": 1.5}, {"fade": float("nan")}, {"device": "tpu"}, {"soft_edge": 1.0}])
def test_an_option_that_nothing_could_honour_is_refused_at_once(options: dict[str, Any]) -> None:
    with pytest.raises(SettingError):
        load_colorizer("auto", **options)


def test_auto_is_listed_and_what_is_shipped_as_default_exists() -> None:
    assert list_colorizers()[0].name == "auto"
    for family in MODALITIES:
        card = default_bundle(family)
        assert card is None or card.family == family
