"""Learned colours without tissue where people meet them: the viewer, the command line, MONAI."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pydicom
import pytest
import torch
from chroma_examples import Example, chroma_bundle

from medcolor import phantom
from medcolor.cli import run
from medcolor.colorizers import load_colorizer
from medcolor.colorizers.chroma import ChromaColorizer
from medcolor.colorizers.companions import tissue_labels
from medcolor.colorizers.point_hints import Hint, parse_hint, read_hints
from medcolor.colorizers.showing import confidence_for, load_compared
from medcolor.errors import PaletteError, SettingError
from medcolor.io import read
from medcolor.scan import Scan
from medcolor.viewing import choices
from medcolor.viewing.palette_editing import match
from medcolor.viewing.session import ColoringSession
from medcolor.viewing.steering import Steering


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundles")
    chroma_bundle(folder / "ct_plain")
    chroma_bundle(folder / "mr_plain", family="MR")
    chroma_bundle(folder / "ct_example", kind=Example)
    return folder


@cache
def ct() -> Scan:
    return phantom.scan("CT", shape=(112, 96, 4))


def colorizer(root: Path, name: str = "ct_plain", **options: object) -> ChromaColorizer:
    made = load_colorizer(str(root / name), trust=True, device="cpu", **options)  # type: ignore[arg-type]
    assert isinstance(made, ChromaColorizer)
    return made


def finished(scan: Scan, by: ChromaColorizer) -> ColoringSession:
    session = ColoringSession(scan, colorizer=by)
    assert sorted(session.work()) == list(range(scan.shape[2]))
    return session


def assert_same(session: ColoringSession, by: ChromaColorizer) -> None:
    expected, result = by(session.scan), session.result()
    np.testing.assert_array_equal(result.rgb, expected.rgb)
    assert result.provenance.dumps() == expected.provenance.dumps()


def test_a_session_gives_the_bytes_and_the_record_of_the_colorizer(root: Path) -> None:
    options = {"cvd": "deutan", "fade": 0.4, "hints": [Hint(40, 30, 2, tissue="fat")]}
    by = colorizer(root, "ct_example", **options)
    session = finished(ct(), by)
    assert_same(session, by)
    assert session.fidelity() == (0, ct().voxels.size)


def test_another_look_asks_the_network_no_more_and_the_result_is_exact_again(root: Path) -> None:
    by = colorizer(root)
    session = finished(ct(), by)
    asked: list[int] = []
    hook = by.network.register_forward_pre_hook(lambda _, given: asked.append(given[0].shape[-1]))
    session.recolor(strength=0.5, cvd="tritan", fade=0.3, window="bone")
    list(session.work())
    assert 112 not in asked  # no slice; whether it doubts at all was asked of a tiny one
    again = colorizer(root, strength=0.5, cvd="tritan", fade=0.3)
    shown, exact = session.rgba[..., :3].astype(int), again(ct(), window="bone").rgb.transpose(2, 1, 0, 3)
    assert np.mean(np.abs(shown - exact).max(axis=-1) > 4) < 0.01  # kept to within a node of the table
    np.testing.assert_array_equal(session.result().rgb, again(ct(), window="bone").rgb)
    assert 112 in asked
    hook.remove()


def test_a_session_shows_doubt_and_a_legend_and_names_no_tissue(root: Path) -> None:
    session = finished(ct(), colorizer(root))
    assert 0 < session.confidence.min() < session.confidence.max() <= 255
    assert session.stale == 0
    legend = session.legend()
    assert '"contrast", which it learned' in legend.measure
    assert abs(sum(row.share for row in legend.rows) - 1) < 1e-6
    probe = session.probe(50, 40, 2)
    assert probe.tissue == ()
    assert probe.gray_recoverable


def test_what_needs_tissue_is_refused_with_words(root: Path) -> None:
    by = colorizer(root)
    session = finished(ct(), by)
    with pytest.raises(SettingError, match="learned the colours"):
        session.recolor(palette="anatomical")
    with pytest.raises(SettingError, match="which tissue is where"):
        session.posteriors(1)
    with pytest.raises(SettingError, match="no classes"):
        Steering(session).suggest(1, 1, 1)
    with pytest.raises(PaletteError, match="no classes"):
        match(session, load_colorizer("physics")(ct()))
    with pytest.raises(SettingError, match="no tissue map"):
        tissue_labels(by, ct())


def test_the_viewer_offers_no_palette_for_it(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert choices.takes(colorizer(root)) == {"strength", "cvd", "fade"}
    assert choices.takes(str(root / "ct_plain")) == {"strength", "cvd", "fade"}
    monkeypatch.setattr("medcolor.bundles.config_dir", lambda: root)
    assert choices.takes("ct_plain") == {"strength", "cvd", "fade"}
    offered = choices.colorizers(ct())
    assert {"ct_plain", "ct_example"} <= set(offered)
    assert "mr_plain" not in offered
    assert choices.takes("auto") == {"palette", "strength", "cvd", "fade"}


def test_a_page_shows_its_confidence_where_it_has_one(root: Path, tmp_path: Path) -> None:
    chroma_bundle(tmp_path / "ct_silent", doubts=False)
    assert confidence_for(colorizer(tmp_path, "ct_silent"), ct()) is None
    shown = confidence_for(colorizer(root), ct())
    assert shown is not None
    block = slice(1, 3)
    doubt = np.concatenate([b[2] for b in colorizer(root).ab(ct())])[block]  # type: ignore[misc]
    np.testing.assert_array_equal(shown.at(block), 1 - doubt)


def test_comparing_with_it_leaves_the_palette_to_the_others(root: Path) -> None:
    other = load_compared(
        str(root / "ct_plain"), palette="anatomical", strength=0.5, cvd=None, device="cpu", trust=True
    )
    assert isinstance(other, ChromaColorizer)
    assert other.strength == 0.5


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("120,200,14,fat", Hint(120, 200, 14, tissue="fat")),
        ("1, 2, 3, 12.5, -30", Hint(1, 2, 3, ab=(12.5, -30.0))),
    ],
)
def test_hints_are_read_from_text(text: str, hint: Hint) -> None:
    assert parse_hint(text) == hint


@pytest.mark.parametrize(
    "text", ["", "1,2,fat", "1,2,3", "1,2,3,", "a,2,3,fat", "1,2,3,4,x", "1,2,3,500,0", "1,2,3,4,5,6"]
)
def test_text_that_is_no_hint_is_refused(text: str) -> None:
    with pytest.raises(SettingError):
        parse_hint(text)


def test_hints_are_read_from_a_table_and_a_bad_row_is_named(tmp_path: Path) -> None:
    file = tmp_path / "hints.csv"
    file.write_text("i,j,k,class,a,b\n5,6,1,fat,,\n\n7,8,2,,10,-20.5\n")
    assert read_hints(file) == (Hint(5, 6, 1, tissue="fat"), Hint(7, 8, 2, ab=(10.0, -20.5)))
    file.write_text("5,6,1,fat\n7,8\n")
    with pytest.raises(SettingError, match="row 2"):
        read_hints(file)


def test_the_command_line_takes_hints_and_references_and_refuses_them_elsewhere(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    phantom.write_dicom(ct(), tmp_path / "scan")
    (tmp_path / "hints.csv").write_text("60,50,1,40,-60\n")
    base = ["colorize", str(tmp_path / "scan"), "--quiet"]
    example = ["--colorizer", str(root / "ct_example"), "--trust", "--device", "cpu"]
    assert run([*base, "-o", str(tmp_path / "a"), "--colorizer", "physics"]) == 0
    told = ["--hint", "50,40,2,fat", "--hint", "30,40,0,10,-20", "--hints", str(tmp_path / "hints.csv")]
    told += ["--reference", str(tmp_path / "a")]
    assert run([*base, "-o", str(tmp_path / "b"), *example, *told]) == 0
    hints = [Hint(60, 50, 1, ab=(40, -60)), Hint(50, 40, 2, tissue="fat"), Hint(30, 40, 0, ab=(10, -20))]
    expected = colorizer(root, "ct_example", hints=hints, reference=tmp_path / "a")(read(tmp_path / "scan"))
    written = [pydicom.dcmread(path).pixel_array for path in sorted((tmp_path / "b").glob("*.dcm"))]
    np.testing.assert_array_equal(np.stack(written), expected.rgb.transpose(2, 1, 0, 3))
    assert run([*base, "-o", str(tmp_path / "c"), "--colorizer", "physics", *told[:2]]) == 2
    assert "zhang2017" in capsys.readouterr().err
    assert run([*base, str(tmp_path / "a"), "-o", str(tmp_path / "d"), *example, *told[:2]]) == 2
    assert "Hints belong to the one scan" in capsys.readouterr().err


def test_the_list_has_one_line_for_each_method_and_all_when_asked(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("medcolor.bundles.config_dir", lambda: root)
    assert run(["colorizers"]) == 0
    short = capsys.readouterr().out.splitlines()
    assert [line for line in short if line.startswith("plain ")] != []
    assert not any(line.startswith(("ct_plain", "mr_plain")) for line in short)
    assert any("ct_plain, mr_plain" in line and "CT MR" in line for line in short)
    assert run(["colorizers", "--all"]) == 0
    whole = capsys.readouterr().out.splitlines()
    assert {line.split()[0] for line in whole} >= {"ct_plain", "mr_plain", "ct_example"}


WITHOUT_FIRE = """
import sys
from monai.bundle import run
run(config_file=sys.argv[1], dataset_dir=sys.argv[2], output_dir=sys.argv[3], strength=0.5)
"""


def test_monai_runs_such_a_bundle_without_our_command_line(root: Path, tmp_path: Path) -> None:
    phantom.write_dicom(phantom.scan("CT", shape=(48, 40, 3)), tmp_path / "scans" / "a")
    if importlib.util.find_spec("fire"):
        command = ["-m", "monai.bundle", "run", "--config_file", "inference.yaml", "--strength", "0.5"]
        command += ["--dataset_dir", str(tmp_path / "scans"), "--output_dir", str(tmp_path / "out")]
    else:  # the function behind MONAI's command line, whose parser is not installed
        command = ["-c", WITHOUT_FIRE, "inference.yaml", str(tmp_path / "scans"), str(tmp_path / "out")]
    home = os.pathsep.join([str(Path(__file__).parents[1]), str(Path(__file__).parents[2])])
    done = subprocess.run(
        [sys.executable, *command],
        cwd=root / "ct_plain",
        env=os.environ | {"PYTHONPATH": home},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    expected = colorizer(root, strength=0.5)(read(tmp_path / "scans" / "a")).rgb.transpose(2, 1, 0, 3)
    written = [pydicom.dcmread(path).pixel_array for path in sorted((tmp_path / "out").rglob("*.dcm"))]
    np.testing.assert_array_equal(np.stack(written), expected)
