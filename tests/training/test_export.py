"""From ``medcolor train`` to ``medcolor colorize``: the output folder is a bundle, and its card hides nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import nibabel as nib
import numpy as np
import pytest
import torch
import yaml

from medcolor import phantom
from medcolor.bundles import load_bundle
from medcolor.cli import run
from medcolor.color import restore_gray
from medcolor.colorizers import load_colorizer
from medcolor.colorizers.network import NetworkColorizer
from medcolor.errors import BundleError, OutputExistsError, TrainingError
from medcolor.networks import Normalization
from medcolor.palettes import load_palette
from medcolor.training.arms import learned, shipped
from medcolor.training.model_card import model_card
from medcolor.training.recipe import read_recipe
from medcolor.training.supervised import train
from medcolor.windowing import display_gray

SPLITS = {"train": ["sub-1", "sub-2"], "val": ["sub-3"], "test": ["sub-4", "sub-5"]}
SMALL = {
    "network::widths": [4, 8],
    "augmentation::crop": [24, 24],
    "data::patients": None,
    "data::splits": SPLITS,
    "fit::steps": 4,
    "fit::batch": 2,
    "fit::validate_every": 4,
    "evaluation::severities": [],
}


def scans_and_config(folder: Path, family: str, more: Mapping[str, object] = MappingProxyType({})) -> tuple[Path, Path]:
    (folder / "scans").mkdir(parents=True)
    for n in range(1, 6):
        scan = phantom.scan(family, shape=(32, 28, 3), seed=n)
        image = nib.Nifti1Image(np.asarray(scan.voxels), scan.geometry.affine)
        nib.save(image, folder / "scans" / f"sub-{n}.nii.gz")
    config = SMALL | {"data::modality": family} | dict(more)
    if config.get("evaluation", 1) is None:
        config.pop("evaluation::severities")
    (folder / "small.yaml").write_text(yaml.safe_dump(config))
    return folder / "scans", folder / "small.yaml"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("export")
    scans, config = scans_and_config(folder, "CT")
    out = folder / "my_ct"
    arguments = ["ct_tissue", "tiny", str(config), "--data", str(scans), "-o", str(out), "--device", "cpu", "--quiet"]
    assert run(["train", *arguments]) == 0
    return out


@pytest.fixture(scope="module")
def ct(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ct")
    phantom.write_dicom(phantom.scan("CT", shape=(40, 36, 3), seed=9), folder)
    return folder


def test_what_was_trained_is_a_colorizer_at_once(trained: Path) -> None:
    scan = phantom.scan("CT", shape=(40, 36, 3), seed=9)
    with pytest.raises(BundleError, match="trust"):
        load_colorizer(str(trained))
    colorizer = load_colorizer(str(trained), trust=True, palette="contrast")
    colored = colorizer(scan)
    np.testing.assert_array_equal(restore_gray(colored.rgb), display_gray(scan))
    legend = colorizer.legend_for(scan)
    assert legend is not None
    assert sum(row.share for row in legend.rows) == pytest.approx(1)


def test_the_command_line_wants_trust_said_and_then_colours(
    trained: Path, ct: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["colorize", str(ct), "-o", str(tmp_path / "out"), "--colorizer", str(trained)]
    assert run(command) == 2
    told = capsys.readouterr().err
    assert "--trust" in told
    assert "code" in told
    assert not (tmp_path / "out").exists()
    page = tmp_path / "page.html"
    assert run([*command, "--trust", "--fade", "0.5", "--device", "cpu", "--report", str(page)]) == 0
    assert len(list((tmp_path / "out").glob("*.dcm"))) == 3
    assert "by my_ct" in page.read_text()


def test_the_metadata_says_what_it_is_made_of(trained: Path) -> None:
    metadata = json.loads((trained / "metadata.json").read_text())
    ours = metadata["medcolor"]
    assert tuple(ours["classes"]) == load_palette("CT").names
    assert ours["normalization"]["kind"] == "hu"
    assert ours["training"]["patients"] == {"train": 2, "val": 1, "test": 2}
    assert ours["training"]["data"] == [
        {"name": "own scans", "licence": "not stated", "patients": {"train": 2, "val": 1, "test": 2}}
    ]
    classes = ours["training"]["labels"]["classes"]
    assert sum(entry["share"] for entry in classes.values()) == pytest.approx(1, abs=1e-4)
    assert classes["fat"]["patients"] == 2
    assert metadata["eval_metrics"] == {"measured": True} | json.loads((trained / "evaluation.json").read_text())
    assert load_bundle(trained, trust=True).normalization == Normalization("hu")


def test_the_card_says_colours_are_designed_and_gives_intervals_and_limits(trained: Path) -> None:
    card = (trained / "README.md").read_text()
    for words in (
        "Designed colours, not measured ones",
        "## Limits",
        "## Labels seen",
        "not stated",
        "2 test patients",
    ):
        assert words in card
    assert "| error | " in card
    assert "Bars not reached: 1 CIEDE2000" in card
    assert "Never seen in training: " in card
    unmeasured = model_card(load_bundle(trained, trust=True).card, None)
    assert "Nothing was measured" in unmeasured


def test_no_file_of_the_bundle_names_a_patient_or_a_path(trained: Path) -> None:
    for name in ("metadata.json", "inference.yaml", "README.md", "model.safetensors"):
        content = (trained / name).read_bytes()
        assert b"sub-" not in content
        assert str(trained.parent).encode() not in content


def test_the_card_section_speaks_and_changes_no_training(tmp_path: Path) -> None:
    percentile = {"_target_": "medcolor.networks.Normalization", "kind": "percentile"}
    said = {"description": "knees", "authors": "somebody", "data": "fifty knees, CC0"}
    more = {"family": "MR", "normalization": percentile, "card": said, "network::classes": "$2 * 3", "evaluation": None}
    scans, config = scans_and_config(tmp_path, "MR", more)
    _, found = train(["ct_tissue", "tiny", config], data=scans, output=tmp_path / "mr", device="cpu")
    assert found is None
    bundle = load_bundle(tmp_path / "mr", trust=True)
    assert (bundle.card.description, bundle.card.metadata["authors"]) == ("knees", "somebody")
    assert bundle.card.metadata["eval_metrics"] == {"measured": False}
    card = (tmp_path / "mr" / "README.md").read_text()
    assert "fifty knees, CC0" in card
    assert "Nothing was measured" in card
    other = tmp_path / "other.yaml"
    other.write_text("card: {description: hips}")
    assert read_recipe(["ct_tissue", "tiny", config, other]).digest == read_recipe(["ct_tissue", "tiny", config]).digest
    # while it trains and once it is used, a network is shown the same; its temperature is found last
    bundle = replace(bundle, card=replace(bundle.card, temperature=1.0))
    scan, half = phantom.scan("MR", shape=(40, 36, 3), seed=9), NetworkColorizer(bundle, device="cpu")
    ab = half.palette_for(scan).ab
    one = learned(bundle.network, bundle.normalization, palette_ab=ab)(scan)
    other_one = shipped(half)(scan)
    np.testing.assert_allclose(one.posteriors, other_one.posteriors, atol=1e-4)
    assert one.log_scale is not None
    assert other_one.log_scale is not None
    np.testing.assert_allclose(one.log_scale, other_one.log_scale, atol=1e-3)


def test_a_folder_with_a_readme_of_its_own_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("mine")
    with pytest.raises(OutputExistsError, match="something else"):
        train(["ct_tissue", "tiny"], data=tmp_path, output=tmp_path, device="cpu")
    assert [p.name for p in tmp_path.iterdir()] == ["README.md"]


def test_a_network_that_could_be_no_bundle_is_refused_before_it_is_trained(tmp_path: Path) -> None:
    scans, config = scans_and_config(tmp_path, "CT", {"network::classes": 9})
    with pytest.raises(TrainingError, match=r"classes is 9, and CT has 10"):
        train(["ct_tissue", "tiny", config], data=scans, output=tmp_path / "out", device="cpu")
    assert not (tmp_path / "out" / "last.safetensors").exists()
