"""The command line as a user meets it: exit codes, stdout for programs, stderr for people."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image

import medcolor
from medcolor import phantom
from medcolor.cli import run
from medcolor.io import read
from medcolor.palettes import legend, load_palette
from medcolor.windowing import display_gray


@pytest.fixture(scope="module")
def ct(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ct")
    phantom.write_dicom(phantom.scan("CT", shape=(48, 40, 3)), folder)
    return folder


@pytest.fixture(scope="module")
def two_series(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("two")
    phantom.write_dicom(phantom.scan("CT", shape=(24, 20, 2)), folder / "a", series="one")
    phantom.write_dicom(phantom.scan("MR", shape=(24, 20, 2)), folder / "b", series="two")
    return folder


def pngs(folder: Path) -> np.ndarray:
    return np.stack([np.asarray(Image.open(path)) for path in sorted(folder.glob("*.png"))])


def test_colorize_writes_one_png_per_slice_named_by_order(ct: Path, tmp_path: Path) -> None:
    assert run(["colorize", str(ct), "-o", str(tmp_path / "out"), "--to", "png", "--quiet"]) == 0
    assert sorted(p.name for p in (tmp_path / "out").rglob("*.png")) == ["0001.png", "0002.png", "0003.png"]


def test_strength_zero_png_is_the_displayed_gray(ct: Path, tmp_path: Path) -> None:
    assert run(["colorize", str(ct), "-o", str(tmp_path), "--to", "png", "--strength", "0", "--quiet"]) == 0
    gray = display_gray(read(ct)).transpose(2, 1, 0)
    np.testing.assert_array_equal(pngs(tmp_path), np.repeat(gray[..., None], 3, axis=-1))


@pytest.mark.parametrize("to", ["dicom", "dicom-multiframe", "nifti", "nrrd", "mha", "png", "tiff"])
def test_every_format_restores_to_the_same_gray_from_the_command_line(to: str, ct: Path, tmp_path: Path) -> None:
    assert run(["colorize", str(ct), "-o", str(tmp_path / to), "--to", to, "--quiet"]) == 0
    volume = next((p for p in (tmp_path / to).iterdir() if p.name.endswith((".nii.gz", ".nrrd", ".mha", ".tif"))), None)
    source = volume or tmp_path / to
    assert run(["restore", str(source), "-o", str(tmp_path / "gray"), "--quiet"]) == 0
    np.testing.assert_array_equal(pngs(tmp_path / "gray"), display_gray(read(ct)).transpose(2, 1, 0))


def test_existing_output_is_kept_without_force(ct: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["colorize", str(ct), "-o", str(tmp_path), "--to", "png", "--quiet"]
    assert run(arguments) == 0
    before = {p: p.read_bytes() for p in tmp_path.iterdir()}
    assert run([*arguments, "--colorizer", "lut:hot_iron"]) == 2
    assert "exists" in capsys.readouterr().err
    assert {p: p.read_bytes() for p in tmp_path.iterdir()} == before
    assert run([*arguments, "--force"]) == 0
    assert {p: p.read_bytes() for p in tmp_path.iterdir()} == before, "equal input and settings give equal bytes"


def test_several_series_are_listed_and_refused(
    two_series: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["colorize", str(two_series), "-o", str(tmp_path / "out"), "--quiet"]) == 2
    said = capsys.readouterr().err
    assert "CT" in said
    assert "MR" in said
    assert "--series" in said
    assert not (tmp_path / "out").exists()


def test_series_all_gives_each_series_a_folder(two_series: Path, tmp_path: Path) -> None:
    assert run(["colorize", str(two_series), "-o", str(tmp_path), "--series", "all", "--to", "png", "--quiet"]) == 0
    folders = [p for p in tmp_path.iterdir() if p.is_dir()]
    assert len(folders) == 2
    assert all(len(list(folder.glob("*.png"))) == 2 for folder in folders)


def test_one_bad_input_does_not_stop_the_rest_and_says_so_with_exit_3(
    ct: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "bad.dcm"
    bad.write_bytes(b"")
    assert run(["colorize", str(bad), str(ct), "-o", str(tmp_path / "out"), "--to", "png", "--quiet"]) == 3
    assert "bad.dcm" in capsys.readouterr().err
    assert len(list((tmp_path / "out").rglob("*.png"))) == 3


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["colorize", "MISSING", "-o", "OUT"], "MISSING"),
        (["colorize", "CT"], "output"),
        (["colorize", "CT", "-o", "OUT", "--colorizer", "ct_tisue"], "Available"),
        (["colorize", "CT", "-o", "OUT", "--palette", "contrats"], "contrast"),
        (["colorize", "CT", "-o", "OUT", "--window", "livre"], "abdomen"),
        (["colorize", "CT", "-o", "OUT", "--window", "40/0"], "width"),
        (["colorize", "CT", "-o", "OUT", "--strength", "2"], "between 0"),
        (["colorize", "CT", "-o", "OUT", "--cvd", "monochromat"], "deutan"),
        (["colorize", "CT", "-o", "OUT", "--device", "cuda"], "This computer has"),
        (["colorize", "CT", "-o", "OUT", "--colorizer", "physics", "--device", "cuda"], "CPU"),
        (["colorize", "CT", "-o", "OUT", "--compare", "physics"], "--report"),
        (["colorize", "CT", "-o", "OUT", "--to", "jpeg"], "png"),
        (["colorize", "-o", "OUT"], "input"),
        (["colorize", "CT", "MISSING", "-o", "OUT.nii.gz"], "one file"),
        (["colorize", "CT", "-o", "OUT", "--to", "nifti", "--report", "CT"], "exists"),
        (["nonsense"], "nonsense"),
    ],
)
def test_a_refusal_has_exit_2_and_says_what_is_accepted(
    arguments: list[str], says: str, ct: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = {
        "OUT.nii.gz": str(tmp_path / "out.nii.gz"),
        "CT": str(ct),
        "OUT": str(tmp_path / "out"),
        "MISSING": str(tmp_path / "MISSING"),
    }
    assert run([places.get(token, token) for token in arguments]) == 2
    captured = capsys.readouterr()
    assert says in captured.err
    assert "Traceback" not in captured.err
    assert captured.out == ""
    assert not (tmp_path / "out").exists()


def test_a_full_disk_is_a_failure_with_exit_1_and_not_a_refusal(
    ct: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (512, before[1]))
    try:
        assert run(["colorize", str(ct), "-o", str(tmp_path / "out"), "--to", "png", "--quiet"]) == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "Errno" not in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_negative_window_center_needs_no_equals_sign(ct: Path, tmp_path: Path) -> None:
    assert run(["colorize", str(ct), "-o", str(tmp_path / "out"), "--window", "-600/1500", "--quiet"]) == 0


def test_an_input_given_twice_is_colored_once(ct: Path, tmp_path: Path) -> None:
    twice = [str(ct), str(ct / ".." / ct.name)]
    assert run(["colorize", *twice, "-o", str(tmp_path / "out"), "--to", "png", "--quiet"]) == 0
    assert (tmp_path / "out" / "0001.png").exists()


def test_a_format_and_a_name_that_disagree_are_refused(ct: Path, tmp_path: Path) -> None:
    assert run(["colorize", str(ct), "-o", str(tmp_path / "out.nii.gz"), "--to", "png", "--quiet"]) == 2
    assert not (tmp_path / "out.nii.gz").exists()


def test_cancelling_says_so_with_exit_1(
    monkeypatch: pytest.MonkeyPatch, ct: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def cancel(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("medcolor.colorizers.load_colorizer", cancel)
    assert run(["colorize", str(ct), "-o", "out"]) == 1
    assert "Cancelled" in capsys.readouterr().err


def test_quiet_prints_nothing_even_with_a_report(ct: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, page = str(tmp_path / "out"), str(tmp_path / "page.html")
    assert run(["colorize", str(ct), "-o", out, "--quiet", "--report", page]) == 0
    assert tuple(capsys.readouterr()) == ("", "")


def test_info_json_is_machine_readable(ct: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["info", str(ct), "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["series"][0]["modality"] == "CT"
    assert record["scan"]["units"] == "HU"
    assert record["scan"]["geometry"]["shape"] == [48, 40, 3]


def test_info_names_no_patient(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    phantom.write_dicom(phantom.scan("CT", shape=(24, 20, 2)), tmp_path, patient="CANARY^PHI")
    assert run(["info", str(tmp_path)]) == 0
    assert run(["info", str(tmp_path), "--json"]) == 0
    assert run(["colorize", str(tmp_path), "-o", str(tmp_path / "out")]) == 0
    captured = capsys.readouterr()
    assert "CANARY" not in captured.out + captured.err
    assert "CANARY" not in (tmp_path / "out" / "provenance.json").read_text()


def test_a_file_without_modality_asks_for_it(ct: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "image.png"
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(path)
    assert run(["colorize", str(path), "-o", str(tmp_path / "out")]) == 2
    assert "--modality" in capsys.readouterr().err
    assert run(["colorize", str(path), "-o", str(tmp_path / "out"), "--modality", "XR", "--quiet"]) == 0


def test_report_is_written_beside_the_result(ct: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    assert run(["colorize", str(ct), "-o", str(tmp_path / "o"), "--to", "png", "--report", str(page), "--quiet"]) == 0
    text = page.read_text()
    assert "gray recoverable: yes, 0 of 5760 pixels differ" in text
    assert "http://" not in text
    assert "https://" not in text


def test_palettes_and_colorizers_are_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["palettes", "CT"]) == 0
    assert "cortical_bone" in capsys.readouterr().out
    assert run(["palettes", "--html", str(tmp_path / "palettes.html")]) == 0
    assert "deutan" in (tmp_path / "palettes.html").read_text()
    assert run(["palettes", "XX"]) == 2
    (tmp_path / "file").write_text("in the way")
    capsys.readouterr()
    assert run(["palettes", "--html", str(tmp_path / "file" / "page.html")]) == 2
    assert "a file is in the way" in capsys.readouterr().err
    assert run(["colorizers", "--json"]) == 0
    assert "lut:hot_iron" in capsys.readouterr().out


def test_a_report_with_a_personal_palette_shows_its_colours(ct: Path, tmp_path: Path) -> None:
    palette = tmp_path / "mine.yaml"
    names = [entry.name for entry in load_palette("CT", "contrast").classes]
    rows = "".join(f"  {name}: [{10 * n}, {-5 * n}]\n" for n, name in enumerate(names))
    palette.write_text(f"modality: CT\nclasses:\n{rows}")
    page = tmp_path / "page.html"
    arguments = ["colorize", str(ct), "-o", str(tmp_path / "o"), "--to", "png", "--palette", str(palette), "--quiet"]
    assert run([*arguments, "--report", str(page)]) == 0
    swatch = legend(load_palette("CT", str(palette)))[4].swatch
    assert f"background:rgb{swatch}" in page.read_text()


def test_text_is_burned_in_only_when_asked_and_then_recorded_and_still_restored(ct: Path, tmp_path: Path) -> None:
    assert run(["colorize", str(ct), "-o", str(tmp_path / "out"), "--burn-in", "--quiet"]) == 0
    header = pydicom.dcmread(tmp_path / "out" / "0001.dcm")
    assert header.Rows > 40
    assert "strip" in header.DerivationDescription
    assert run(["restore", str(tmp_path / "out"), "-o", str(tmp_path / "gray"), "--quiet"]) == 0
    np.testing.assert_array_equal(pngs(tmp_path / "gray"), display_gray(read(ct)).transpose(2, 1, 0))
    assert run(["colorize", str(ct), "-o", str(tmp_path / "png"), "--to", "png", "--burn-in", "--quiet"]) != 0
    assert not (tmp_path / "png").exists()


def test_help_and_version_are_results(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert run(["colorize", "--help"]) == 0
    captured = capsys.readouterr()
    assert medcolor.__version__ in captured.out
    assert "--strength" in captured.out
    assert captured.err == ""


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    command = [sys.executable, "-m", "medcolor", "colorizers"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0
