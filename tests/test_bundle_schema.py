"""Bundles as MONAI sees them: metadata against the schema that lies beside them, and every shipped one runs."""

from __future__ import annotations

import copy
import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bundle_examples import random_bundle

from medcolor import phantom
from medcolor.bundles import bundle_names, find_bundle, read_card
from medcolor.color import restore_gray
from medcolor.io import read
from medcolor.resources import config_dir
from medcolor.scan import MODALITIES, to_slices
from medcolor.windowing import display_gray

SCHEMA = config_dir() / "bundle_schema.json"


def problems(metadata: object) -> list[str]:
    jsonschema = pytest.importorskip("jsonschema", reason='needs pip install "medcolor[test]"')
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return [error.json_path for error in jsonschema.Draft202012Validator(schema).iter_errors(metadata)]


@pytest.fixture(scope="module")
def metadata(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = random_bundle(tmp_path_factory.mktemp("bundles") / "ct_random").folder
    return json.loads((folder / "metadata.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("family", MODALITIES)
def test_what_is_written_fits_the_schema(family: str, tmp_path: Path) -> None:
    card = random_bundle(tmp_path / "random", family=family)
    assert problems(json.loads((card.folder / "metadata.json").read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize("name", bundle_names())
def test_every_shipped_bundle_fits_the_schema(name: str) -> None:
    assert problems(dict(read_card(find_bundle(name)).metadata)) == []


def removed(*keys: str) -> Callable[[dict[str, Any]], None]:
    def change(metadata: dict[str, Any]) -> None:
        for key in keys[:-1]:
            metadata = metadata[key]
        del metadata[keys[-1]]

    return change


WRONG: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    **{f"no {key}": (removed(key), "$") for key in ("schema", "version", "monai_version", "network_data_format")},
    **{f"no {key} of ours": (removed("medcolor", key), "$.medcolor") for key in ("family", "weights_sha256")},
    "no output": (removed("network_data_format", "outputs", "pred"), "$.network_data_format.outputs"),
    "another family": (lambda m: m["medcolor"].update(family="OCT"), "$.medcolor.family"),
    "a short hash": (lambda m: m["medcolor"].update(weights_sha256="abc"), "$.medcolor.weights_sha256"),
    "default in words": (lambda m: m["medcolor"].update(default="yes"), "$.medcolor.default"),
    "a claim to diagnose": (lambda m: m.update(intended_use="diagnosis"), "$.intended_use"),
    "a version in words": (lambda m: m.update(version="latest"), "$.version"),
    "figures without saying whether measured": (lambda m: m.update(eval_metrics={"error": 1}), "$.eval_metrics"),
    "speed without its conditions": (
        lambda m: m["medcolor"].update(speed={"times_eccv16": 50}),
        "$.medcolor.speed",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_metadata_do_not_fit_the_schema(metadata: dict[str, Any], case: str) -> None:
    change, place = WRONG[case]
    changed = copy.deepcopy(metadata)
    change(changed)
    assert place in problems(changed)


def monai(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "monai.bundle", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)


def test_monai_verifies_metadata_with_our_schema_and_without_a_network(
    metadata: dict[str, Any], tmp_path: Path
) -> None:
    for name in ("fire", "jsonschema"):
        if importlib.util.find_spec(name) is None:
            pytest.skip(f'{name} is not installed: pip install "medcolor[test]"')
    for name, content in (("good", metadata), ("bad", metadata | {"version": "latest"})):
        nowhere = content | {"schema": "http://127.0.0.1:9/nobody-answers.json"}
        (tmp_path / f"{name}.json").write_text(json.dumps(nowhere), encoding="utf-8")
    good, bad = (
        monai("verify_metadata", "--meta_file", str(tmp_path / name), "--filepath", str(SCHEMA))
        for name in ("good.json", "bad.json")
    )
    assert good.returncode == 0, good.stderr[-2000:]
    assert "verified with no error" in good.stderr + good.stdout
    assert bad.returncode != 0
    assert "Failed validating" in bad.stderr


@pytest.mark.parametrize("name", bundle_names())
@pytest.mark.filterwarnings("ignore")  # of MONAI's own making
def test_monai_runs_every_shipped_bundle_on_a_folder_of_scans(name: str, tmp_path: Path) -> None:
    from monai.bundle import run

    card = read_card(find_bundle(name))
    family = card.family
    shape = {"US": (96, 80, 1), "XR": (96, 80, 1), "MG": (96, 80, 1)}.get(family, (64, 48, 3))
    scan = phantom.scan(family, shape=shape)
    phantom.write_dicom(scan, tmp_path / "scans" / "a")
    options = {"dataset_dir": str(tmp_path / "scans"), "output_dir": str(tmp_path / "out"), "device": "cpu"}
    run(config_file=str(card.folder / "inference.yaml"), **options)
    written = read(tmp_path / "out" / "0001")
    assert written.rgb is not None
    gray = display_gray(read(tmp_path / "scans" / "a"))
    np.testing.assert_array_equal(restore_gray(to_slices(written.rgb)), to_slices(gray))
