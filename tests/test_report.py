"""The report and ``auto`` as a user meets them, on a configs folder with random bundles."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pydicom
import pytest
import torch
from bundle_examples import random_bundle
from PIL import Image
from skimage.color import deltaE_ciede2000

from medcolor import phantom
from medcolor.cielab import rgb_to_lab
from medcolor.cli import run
from medcolor.colorizers import load_colorizer
from medcolor.colorizers.auto import choice_for
from medcolor.colorizers.showing import compared, entry_for
from medcolor.io import read
from medcolor.report.comparison import Confidence, lit_pixels, measure_confidence, measure_difference
from medcolor.report.scales import DIFFERENCE, confidence_scale
from medcolor.windowing import display_gray, resolve_display


@pytest.fixture(scope="module")
def ct(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ct")
    phantom.write_dicom(phantom.scan("CT", shape=(48, 40, 3)), folder)
    return folder


@pytest.fixture(scope="module")
def mr(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mr")
    phantom.write_dicom(phantom.scan("MR", shape=(48, 40, 3)), folder)
    return folder


@pytest.fixture
def configs(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bundle of CT, the default."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("configs")
    random_bundle(folder / "ct_tissue")
    path = folder / "ct_tissue" / "metadata.json"
    record = json.loads(path.read_text())
    record["medcolor"]["default"] = True
    path.write_text(json.dumps(record))
    monkeypatch.setattr("medcolor.bundles.config_dir", lambda: folder)
    return folder


def facts(page: Path) -> dict[str, str]:
    return dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", page.read_text()))


def test_what_auto_chose_is_on_stderr_in_provenance_in_the_report_and_in_dicom(
    configs: Path, ct: Path, mr: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, page = tmp_path / "out", tmp_path / "page.html"
    assert run(["colorize", str(ct), "-o", str(out), "--report", str(page)]) == 0
    lines = [line for line in capsys.readouterr().err.splitlines() if "auto" in line]
    assert len(lines) == 1
    assert "ct_tissue on" in lines[0]
    assert json.loads((out / "provenance.json").read_text())["provenance"]["colorizer"] == "ct_tissue"
    assert "ct_tissue" in str(pydicom.dcmread(out / "0001.dcm"))
    assert facts(page)["colorizer"] == "auto chose ct_tissue: the default for CT"
    assert run(["colorize", str(mr), "-o", str(tmp_path / "mr"), "--fade", "0.5"]) == 0
    said = capsys.readouterr().err
    assert "physics on the CPU (auto: no trained bundle is the default for MR; physics does not know" in said


def test_a_picture_of_a_ct_is_coloured_by_the_network_and_not_refused(
    configs: Path, ct: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture, page = tmp_path / "ct.png", tmp_path / "page.html"
    Image.fromarray(np.ascontiguousarray(display_gray(read(ct))[..., 1].T)).save(picture)
    wanted = ["colorize", str(picture), "-o", str(tmp_path / "out"), "--modality", "CT"]
    assert run([*wanted, "--colorizer", "physics"]) == 2
    assert run([*wanted, "--compare", "physics", "--report", str(page)]) == 0
    assert "not compared with physics" in capsys.readouterr().err
    assert facts(page)["compared with physics"].startswith("not possible: ")
    assert 'class="difference"' not in page.read_text()


def test_a_damaged_default_stops_the_command_and_nothing_is_written(
    configs: Path, ct: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (configs / "ct_tissue" / "model.safetensors").write_bytes(b"damaged")
    assert run(["colorize", str(ct), "-o", str(tmp_path / "out")]) == 2
    assert "model.safetensors" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("other", ["physics", "lut:hot_iron", "auto"])
def test_a_comparison_shows_both_the_difference_and_the_confidence(
    other: str, configs: Path, ct: Path, tmp_path: Path
) -> None:
    page, out = tmp_path / "page.html", tmp_path / "out"
    wanted = ["colorize", str(ct), "-o", str(out), "--to", "png", "--quiet", "--palette", "contrast"]
    assert run([*wanted, "--report", str(page), "--compare", other]) == 0
    text = page.read_text()
    for layer in ("gray", "color", "compared", "difference", "confidence"):
        assert text.count(f'<img class="{layer}"') == 3, "one for each slice"
        assert text.count(f'data-of="{layer}"') == 1
    found = facts(page)[f"compared with {'ct_tissue' if other == 'auto' else other}"]
    assert found.startswith("mean CIEDE2000 ")
    assert found.startswith("mean CIEDE2000 0.00, 95th percentile 0.0, 0.0 %") == (other == "auto")
    assert facts(page)["confidence"].startswith("mean 0.")
    for word in ("http://", "https://", 'src="/', "@import", "fetch("):
        assert word not in text
    assert run([*wanted, "--force"]) == 0, "and the files are those without a comparison"


def test_a_trained_colorizer_s_report_shows_confidence_without_being_asked(
    configs: Path, ct: Path, mr: Path, tmp_path: Path
) -> None:
    for scan, name, learned in ((ct, "ct", True), (mr, "mr", False)):
        page = tmp_path / f"{name}.html"
        assert run(["colorize", str(scan), "-o", str(tmp_path / name), "--quiet", "--report", str(page)]) == 0
        assert ('data-of="confidence"' in page.read_text()) is learned
        assert ("a plain difference between two tissues" in page.read_text()) is learned
        assert ('class="panels"' in page.read_text()) is learned


@pytest.mark.browser
def test_a_browser_fills_the_row_of_pictures_with_the_slice_shown(configs: Path, ct: Path, tmp_path: Path) -> None:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("needs chromium on PATH")
    page = tmp_path / "page.html"
    arguments = ["colorize", str(ct), "-o", str(tmp_path / "out"), "--compare", "physics", "--quiet"]
    assert run([*arguments, "--report", str(page)]) == 0
    command = [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", page.as_uri()]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    layers = re.findall(r'<img class="(\w+)" alt="\w+, slice 2" src="([^"]+)"', shown)
    row = re.findall(r'data-of="(\w+)"[^>]*src="([^"]+)"', shown)
    assert [name for name, _ in row] == ["gray", "color", "compared", "difference", "confidence"]
    assert dict(row) == dict(layers), "the middle slice of three"


def test_the_figures_of_a_difference_are_those_of_another_implementation(configs: Path, ct: Path) -> None:
    scan = read(ct)
    display = resolve_display(scan, None)
    first, second = (load_colorizer(spec)(scan) for spec in ("ct_tissue", "physics"))
    found = measure_difference(scan, first, second, display, [0, 2])
    truth = deltaE_ciede2000(rgb_to_lab(first.rgb), rgb_to_lab(second.rgb))[..., [0, 2]].transpose(2, 1, 0)
    np.testing.assert_allclose(found.delta, truth, atol=1e-3)
    counted = truth[display_gray(scan)[..., [0, 2]].transpose(2, 1, 0) > 0]
    assert found.mean == pytest.approx(counted.mean(), abs=1e-3)
    assert found.high == pytest.approx(np.percentile(counted, 95), abs=1e-2)
    assert found.share == pytest.approx((counted > 5).mean(), abs=1e-3)


def test_a_confidence_is_measured_where_there_can_be_colour(ct: Path) -> None:
    scan = read(ct)
    display = resolve_display(scan, None)
    lit = lit_pixels(scan, display, [1])
    half = Confidence(lambda block: np.where(lit, np.float32(0.25), np.float32(1)), "a test")
    found = measure_confidence(scan, half, display, [1])
    assert (found.mean, found.unsure) == (0.25, 1.0)


def test_a_page_of_a_black_scan_has_figures_too(configs: Path) -> None:
    scan = phantom.scan("CT", shape=(16, 12, 1))
    black = type(scan)(np.full(scan.shape, -1000, np.int16), scan.geometry, "CT", units="HU")
    choice = choice_for(load_colorizer("auto"), black)
    entry = entry_for(choice, black, choice.colorizer(black), compare=load_colorizer("physics"))
    assert entry.compared is not None
    assert entry.compared.colored is not None
    found = measure_difference(black, entry.colored, entry.compared.colored, resolve_display(black, None), [0])
    assert (found.mean, found.high, found.share) == (0.0, 0.0, 0.0)


def test_a_comparison_that_is_refused_says_who_and_why() -> None:
    scan = phantom.scan("CT", shape=(16, 12, 1))
    unknown = type(scan)(scan.voxels, scan.geometry, "OT")
    found = compared(load_colorizer("physics"), unknown)
    assert (found.name, found.colored) == ("physics", None)
    assert "--modality" in found.refusal


def test_scales_end_at_their_ends_and_grow_lighter() -> None:
    for scale in (DIFFERENCE, confidence_scale("sure")):
        ramp = scale.picture(np.linspace(scale.low, scale.high, 64))
        assert (np.diff(rgb_to_lab(ramp)[:, 0]) > -0.3).all()
        np.testing.assert_array_equal(scale.picture(np.array([scale.high + 9])), ramp[-1:])
        np.testing.assert_array_equal(scale.picture(np.array([np.nan])), ramp[:1])
        assert scale.meaning in scale.to_html()
