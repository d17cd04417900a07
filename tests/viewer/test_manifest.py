"""The manifest: everything it names is there, and nothing it promises needs a network."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from medcolor.demo import SAMPLES
from medcolor.scan import MODALITIES

npe2 = pytest.importorskip("npe2", reason='napari is not installed (pip install "medcolor[napari]")')
ROOT = Path(__file__).parents[2]
YAML = ROOT / "napari_plugin" / "napari.yaml"


@pytest.fixture(scope="module")
def contributions():  # type: ignore[no-untyped-def]
    return npe2.PluginManifest.from_file(YAML).contributions


def test_the_manifest_is_valid_and_all_it_names_can_be_imported() -> None:
    program = Path(sys.executable).with_name("npe2")
    done = subprocess.run([program, "validate", "--imports", YAML], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_napari_finds_the_installed_plugin() -> None:
    points = [point for point in metadata.entry_points(group="napari.manifest") if point.name == "medcolor"]
    assert [point.value for point in points] == ["napari_plugin:napari.yaml"]


def test_every_command_has_a_use_and_every_use_a_command(contributions) -> None:  # type: ignore[no-untyped-def]
    known = {command.id for command in contributions.commands}
    menus = {item.command for items in contributions.menus.values() for item in items if hasattr(item, "command")}
    used = {
        each.command
        for group in (contributions.readers, contributions.writers, contributions.widgets, contributions.sample_data)
        for each in group or ()
    } | menus
    assert used == known
    assert all(command.id.startswith("medcolor.") for command in contributions.commands)


def test_there_is_a_sample_of_every_modality_and_of_every_image_of_the_demo(contributions) -> None:  # type: ignore[no-untyped-def]
    keys = {sample.key for sample in contributions.sample_data}
    phantoms = {f"phantom_{family.lower()}" for family in MODALITIES}
    real = {f"real_{sample.slug.replace('-', '_')}" for sample in SAMPLES if sample.package}
    assert keys == phantoms | real


def test_every_surface_of_the_reading_room_is_neutral_gray(contributions) -> None:  # type: ignore[no-untyped-def]
    (theme,) = contributions.themes
    for name in type(theme.colors).model_fields:
        if name not in {"warning", "error"}:  # those are meant to stand out
            red, green, blue = getattr(theme.colors, name).as_rgb_tuple()
            assert red == green == blue, name
    assert theme.colors.canvas.as_rgb_tuple()[0] < 64, "a bright surround in a dark room"


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        *[(name, True) for name in ("1.dcm", "IM000001", "1.2.840.113619.2.5", "a.nii.gz", "x.NRRD", "study.zip")],
        *[(name, True) for name in ("DICOMDIR", "dicomdir", "Head.DCM", "00000017")],
        *[(name, False) for name in ("notes.txt", "table.csv", "cells.npy", "movie.mp4", "script.py", "data.h5")],
    ],
)
def test_the_reader_claims_scans_and_leaves_the_rest_to_others(name: str, ours: bool) -> None:
    plugins = npe2.PluginManager()
    plugins.register(npe2.PluginManifest.from_file(YAML))
    assert bool(list(plugins.iter_compatible_readers([f"/somewhere/{name}"]))) == ours


def test_the_default_install_brings_no_window_and_the_extra_no_gpl_binding() -> None:
    requirements = [Requirement(text) for text in metadata.requires("medcolor") or ()]
    windows = {"napari", "qtpy", "magicgui", "pyside6-essentials", "pyside6", "pyqt5", "pyqt6"}
    default = {r.name.lower().replace("_", "-") for r in requirements if r.marker is None}
    extra = {
        r.name.lower().replace("_", "-"): r for r in requirements if r.marker and r.marker.evaluate({"extra": "napari"})
    }
    assert not default & windows
    assert {"napari", "pyside6-essentials"} <= set(extra)
    assert not {"pyqt5", "pyqt6"} & set(extra)
    assert not extra["napari"].extras, "napari's own extras may choose PyQt6, which is GPL"


@pytest.mark.parametrize("path", sorted((ROOT / "napari_plugin").glob("*.py")), ids=lambda path: path.name)
def test_the_plugin_stays_thin(path: Path) -> None:
    assert len(path.read_text().splitlines()) < 300
