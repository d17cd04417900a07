"""``medcolor compare`` from the command line; the whole demonstration by name: ``-m slow``."""

from __future__ import annotations

import csv
import io
import time
from pathlib import Path

import pytest
import yaml

from medcolor.cli import run
from medcolor.cli.messages import DONE, PARTIAL, REFUSED

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

STUDY = {
    "name": "small",
    "about": "Two arms on phantoms.",
    "tasks": ["phantom:US"],
    "arms": ["gray", "lut", "position"],
    "size": 64,
    "tiers": {"classical": {"segmenters": ["k-means"], "patients": 3}},
}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump(STUDY))
    return path


def rows_of(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO((folder / "study.csv").read_text())))


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert run(["compare", *map(str, arguments)]) == REFUSED
    return capsys.readouterr().err


def test_a_study_runs_stops_and_goes_on(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert run(["compare", str(config), "-o", str(out), "--minutes", "0", "--quiet"]) == PARTIAL
    assert "planned and not run" in (out / "study.md").read_text()
    assert run(["compare", str(config), "-o", str(out), "--quiet"]) == DONE
    assert capsys.readouterr().out == ""
    rows = rows_of(out)
    assert {row["arm"] for row in rows} == {"lut", "position"}
    assert {row["verdict"] for row in rows} <= {"gain", "loss", "no evidence"}
    made = {path.name: path.stat().st_mtime_ns for path in (out / "cells").iterdir()}
    assert run(["compare", str(config), "-o", str(out)]) == DONE
    assert {path.name: path.stat().st_mtime_ns for path in (out / "cells").iterdir()} == made
    assert "medcolor compare small.yaml -o DIR" in (out / "study.md").read_text()
    assert str(tmp_path) not in (out / "study.md").read_text() + (out / "study.html").read_text()
    assert run(["compare", str(config), "-o", str(out), "--processes", "2", "--quiet"]) == DONE
    assert "not available" not in (out / "study.md").read_text()
    capsys.readouterr()
    assert run(["compare", str(config), "-o", str(out), "--dry-run", "--quiet"]) == DONE
    assert capsys.readouterr().out.count("1 cells, 1 finished") == 3


def test_a_plan_is_printed_and_nothing_written(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["compare", str(config), "-o", str(tmp_path / "out"), "--dry-run"]) == DONE
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "phantom:US\tclassical\tk-means\tgray\tnone\t1 cells, 0 finished"
    assert not (tmp_path / "out").exists()


def test_what_makes_no_sense_is_refused(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert "--demo" in refused(capsys, "-o", out)
    assert "--demo" in refused(capsys, config, "--demo", "-o", out)
    assert "--output" in refused(capsys, config)
    assert "missing.yaml" in refused(capsys, tmp_path / "missing.yaml", "-o", out)
    assert "no tier" in refused(capsys, config, "-o", out, "--only", "learned")
    assert "--processes" in refused(capsys, config, "-o", out, "--processes", "0")
    assert not out.exists()


def test_another_study_in_the_folder_is_refused(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    run(["compare", str(config), "-o", str(out), "--minutes", "0", "--quiet"])
    config.write_text(yaml.safe_dump({**STUDY, "size": 48}))
    assert "another study" in refused(capsys, config, "-o", out, "--minutes", "0")
    assert run(["compare", str(config), "-o", str(out), "--minutes", "0", "--quiet", "--force"]) == PARTIAL


def test_a_study_of_patients_stays_out_of_the_checkout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkout = tmp_path / "checkout"
    (checkout / ".git").mkdir(parents=True)
    (checkout / "pyproject.toml").write_text('[project]\nname = "medcolor"\n')
    patients = tmp_path / "patients"
    _decathlon(patients)
    config = tmp_path / "patients.yaml"
    config.write_text(yaml.safe_dump({**STUDY, "tasks": [str(patients)]}))
    assert "lies in a checkout" in refused(capsys, config, "-o", checkout / "out")


def test_a_task_that_is_not_there_is_refused(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config.write_text(yaml.safe_dump({**STUDY, "tasks": ["nowhere"]}))
    assert "is no task" in refused(capsys, config, "-o", tmp_path / "out")
    config.write_text(yaml.safe_dump({**STUDY, "tasks": ["phantom:XX"]}))
    assert "phantom:CT" in refused(capsys, config, "-o", tmp_path / "out")


def test_an_arm_or_segmenter_that_is_not_there_has_no_rows_and_is_listed(config: Path, tmp_path: Path) -> None:
    tiers = {"classical": {"segmenters": ["k-means", "magic"], "patients": 2}}
    config.write_text(yaml.safe_dump({**STUDY, "arms": ["gray", "nocolor"], "tiers": tiers}))
    assert run(["compare", str(config), "-o", str(tmp_path / "out"), "--quiet"]) == DONE
    text = (tmp_path / "out" / "not_run.csv").read_text()
    assert "magic" in text
    assert "nocolor" in text
    assert "nothing could be compared" in (tmp_path / "out" / "study.md").read_text().lower()


def _decathlon(folder: Path) -> None:
    """A folder of images and masks in the layout of the decathlon."""
    import json

    import nibabel as nib
    import numpy as np

    for part in ("imagesTr", "labelsTr"):
        (folder / part).mkdir(parents=True)
    pairs = []
    for n in range(4):
        image, mask = f"imagesTr/case_{n}.nii.gz", f"labelsTr/case_{n}.nii.gz"
        values = np.random.default_rng(n).normal(0, 100, (20, 20, 3)).astype(np.float32)
        nib.save(nib.Nifti1Image(values, np.eye(4)), folder / image)
        nib.save(nib.Nifti1Image((values > 80).astype(np.uint8), np.eye(4)), folder / mask)
        pairs.append({"image": f"./{image}", "label": f"./{mask}"})
    content = {"modality": {"0": "CT"}, "labels": {"0": "background", "1": "organ"}, "training": pairs}
    (folder / "dataset.json").write_text(json.dumps({"name": "Organ", "tensorImageSize": "3D", **content}))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_demonstration_ends_with_its_report_in_two_minutes(tmp_path: Path) -> None:
    start = time.process_time()
    assert run(["compare", "--demo", "-o", str(tmp_path / "out"), "--quiet"]) == DONE
    assert time.process_time() - start < 2 * 120  # of two cores; the clock says nothing on a busy machine
    rows = rows_of(tmp_path / "out")
    assert {row["tier"] for row in rows} == {"classical", "interactive", "learned"}
    assert {row["verdict"] for row in rows} <= {"gain", "loss", "no evidence"}
    page = (tmp_path / "out" / "study.html").read_text()
    assert "Best and worst cases" in page
    assert page.count("<svg") > 5
