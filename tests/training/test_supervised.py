"""``medcolor train`` as a researcher meets it: own scans in a folder, a config, an overlay, and clear refusals."""

from __future__ import annotations

import dataclasses
import json
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from medcolor import phantom
from medcolor.bundles import bundle_names, read_card
from medcolor.cli import run
from medcolor.cli.train import stopping
from medcolor.errors import TrainingError
from medcolor.networks.normalization import Normalization
from medcolor.scan import from_slices, to_slices
from medcolor.training.checkpoints import load_weights, read_state
from medcolor.training.datasets import Case, Loaded, TissueDataset
from medcolor.training.degradations import Chance, Degradation, Gamma, LostUnits, RicianNoise
from medcolor.training.preparing import Prepare
from medcolor.training.recipe import config_path, fit_options, read_recipe
from medcolor.training.supervised import train

SPLITS = {"train": ["sub-1", "sub-2"], "val": ["sub-3"], "test": ["sub-4", "sub-5"]}
QUICK = {
    "network::widths": [4, 8],
    "network::refinement": 4,
    "augmentation::crop": [24, 24],
    "data::patients": None,
    "data::modality": "CT",
    "data::splits": SPLITS,
    "fit::steps": 4,
    "fit::batch": 2,
    "fit::validate_every": 2,
    "fit::log_every": 1,
}


@pytest.fixture(scope="module")
def scans(five_volumes: Callable[[str], Path]) -> Path:
    return five_volumes("CT")


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    path = tmp_path_factory.mktemp("config") / "quick.yaml"
    path.write_text(yaml.safe_dump(QUICK))
    return path


def command(scans: Path, quick: Path, out: Path, *more: str) -> list[str]:
    return ["train", "ct_tissue", "tiny", str(quick), "--data", str(scans), "-o", str(out), "--device", "cpu", *more]


@pytest.fixture(scope="module")
def trained(scans: Path, quick: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out") / "run"
    assert run(command(scans, quick, out, "--quiet")) == 0
    return out


def test_one_command_trains_on_a_folder_of_scans_and_measures_the_result(trained: Path) -> None:
    assert {p.name for p in trained.iterdir()} == {
        "last.safetensors", "best.safetensors", "model.safetensors", "log.jsonl", "evaluation.json", "evaluation.md",
        "metadata.json", "inference.yaml", "train.yaml", "README.md", "targets",
    }  # fmt: skip
    record = json.loads((trained / "evaluation.json").read_text())
    assert record["clean"]["learned"]["error"]["patients"] == 2
    assert record["clean"]["physics"]["error"]["value"] >= 0
    assert "noise, middle" in record["degraded"]
    facts = read_state(trained / "model.safetensors").facts
    assert facts["training"]["facts"]["classes"][3] == "fat"


def test_neither_weights_nor_results_name_a_patient_or_a_path(trained: Path, scans: Path) -> None:
    for name in ("last.safetensors", "model.safetensors", "log.jsonl", "evaluation.json", "evaluation.md"):
        content = (trained / name).read_bytes()
        assert b"sub-" not in content
        assert str(scans).encode() not in content


def test_exported_weights_load_into_the_network_of_the_config(trained: Path, quick: Path) -> None:
    network = read_recipe(["ct_tissue", "tiny", quick]).get("network")
    facts = load_weights(network, trained / "model.safetensors")
    assert facts["training"]["facts"]["family"] == "CT"


def test_a_folder_with_a_training_is_refused_and_resume_goes_on(
    trained: Path, scans: Path, quick: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (trained / "model.safetensors").read_bytes()
    assert run(command(scans, quick, trained, "--quiet")) == 2
    assert "--resume" in capsys.readouterr().err
    assert run(command(scans, quick, trained, "--resume")) == 0
    told = capsys.readouterr()
    assert told.out.strip() == str(trained / "model.safetensors")
    assert "Training on CPU (as asked), float32" in told.err
    assert (trained / "model.safetensors").read_bytes() == before


def test_two_trainings_with_one_seed_give_the_same_weights(
    trained: Path, scans: Path, quick: Path, tmp_path: Path
) -> None:
    assert run(command(scans, quick, tmp_path / "again", "--quiet")) == 0
    assert (tmp_path / "again" / "model.safetensors").read_bytes() == (trained / "model.safetensors").read_bytes()


def test_a_cancelled_training_exits_with_1_and_resumes(trained: Path, scans: Path, quick: Path, tmp_path: Path) -> None:
    answers = iter([False, True])
    configs = ["ct_tissue", "tiny", quick]
    stopped, found = train(configs, data=scans, output=tmp_path, device="cpu", cancel=lambda: next(answers))
    assert (stopped.stopped, stopped.steps, found) == ("cancelled", 2, None)
    assert run(command(scans, quick, tmp_path, "--resume", "--quiet")) == 0
    assert (tmp_path / "model.safetensors").read_bytes() == (trained / "model.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["ct_tissue"], "MEDCOLOR_DATA"),
        (["ct_tissue", "--data", "nowhere"], "nowhere"),
        (["ct_tisue", "--data", "."], 'Did you mean "ct_tissue"?'),
        (["ct_tissue", "tinny", "--data", "."], 'Did you mean "tiny"?'),
        (["ct_tissue", "--data", ".", "--device", "abacus"], "Accepted: auto, cpu, cuda"),
    ],
)
def test_refusals_exit_with_2_and_say_what_is_accepted(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("MEDCOLOR_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    assert run(["train", *arguments, "-o", "out"]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_data_missing_names_the_option_and_the_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("MEDCOLOR_DATA", raising=False)
    assert run(["train", "ct_tissue", "-o", str(tmp_path / "out")]) == 2
    told = capsys.readouterr().err
    assert "--data" in told
    assert "MEDCOLOR_DATA" in told


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- a list", "a config is a mapping"),
        ("a: [", "no readable YAML"),
        ("netwrok: {}", 'Did you mean "network"?'),
        ("fit: null", "missing settings: fit"),
    ],
)
def test_configs_that_say_something_else_are_refused(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(TrainingError, match=said):
        read_recipe(["ct_tissue", path])


def test_settings_that_cannot_be_built_are_refused_with_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("network::classes: 1")
    with pytest.raises(TrainingError, match="network: cannot be built from the config: TissueUNet takes classes >= 2"):
        read_recipe(["ct_tissue", path]).get("network")
    with pytest.raises(TrainingError, match='"stepz" is no setting'):
        fit_options({"stepz": 4})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("loss::colour: 1", "loss: .*colour"),
        ("loss::class_weights: [1, 2]", "loss: class_weights needs one number for each of 10 classes"),
        ("augmentation::strength: 2", "augmentation: strength and clean must lie in 0..1"),
        ("data::pack: x", "data: .*pack"),
        ("fit::batch: 0", "batch must be at least 1"),
        ("data::splits: {train: [sub-1, sub-2, sub-3, sub-4, sub-5]}", "No val patients of CT"),
    ],
)
def test_settings_out_of_range_are_refused_before_anything_is_trained(
    text: str, said: str, scans: Path, quick: Path, tmp_path: Path
) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(TrainingError, match=said):
        train(["ct_tissue", "tiny", quick, path], data=scans, output=tmp_path / "out", device="cpu")
    assert not (tmp_path / "out" / "last.safetensors").exists()


def test_later_overlays_win_and_the_digest_follows(tmp_path: Path) -> None:
    paths = []
    for n, steps in enumerate((7, 9)):
        paths.append(tmp_path / f"{n}.yaml")
        paths[-1].write_text(f"fit::steps: {steps}")
    both, other = read_recipe(["ct_tissue", *paths]), read_recipe(["ct_tissue", *paths[::-1]])
    assert (both.get("fit")["steps"], other.get("fit")["steps"]) == (9, 7)
    assert both.get("fit")["batch"] == read_recipe(["ct_tissue"]).get("fit")["batch"]
    assert both.digest != other.digest
    assert both.digest == read_recipe(["ct_tissue", paths[1]]).digest


def test_a_training_config_is_not_listed_as_a_colorizer() -> None:
    from medcolor.colorizers import list_colorizers

    assert config_path("ct_tissue").is_file()
    assert "overlays" not in {info.name for info in list_colorizers()}


@pytest.mark.parametrize("bundle", bundle_names())
def test_every_shipped_bundle_says_what_it_was_trained_by(bundle: str) -> None:
    folder = config_path(bundle).parent
    assert folder.name == bundle
    assert config_path(folder) == config_path(bundle)
    assert read_recipe([bundle]).family == read_card(folder).family


def sample(values: Any, units: str) -> dict[str, Any]:
    return {"image": torch.as_tensor(values, dtype=torch.float32)[None], "units": units, "inverted": 0}


def test_a_sample_is_prepared_as_a_scan_is_in_use() -> None:
    scan = phantom.scan("CT", shape=(20, 16, 1))
    values = np.asarray(scan.voxels)[:, :, 0].T.astype(np.float32)
    normalization = Normalization("hu")
    prepared = Prepare(normalization)(sample(values, "HU"))
    np.testing.assert_allclose(prepared["image"][0], normalization.fit(scan)(values), atol=1e-6)


@pytest.mark.parametrize("degradation", [None, Gamma(0.7), LostUnits(0.3), RicianNoise(0.05)])
def test_percentiles_in_training_are_those_of_the_whole_volume_as_in_use(
    degradation: Degradation | None, tmp_path: Path
) -> None:
    scan = phantom.scan("MR", shape=(40, 36, 6))
    case = Case("c", "p", "MR", "train", 6, partial(Loaded, scan))
    dataset = TissueDataset([case], cache=tmp_path)
    normalization, prepare = Normalization.default("MR"), Prepare(Normalization.default("MR"))
    for k in (0, 3):
        sample, whole = dataset[k], scan
        if degradation is not None:  # the whole volume under the same chance: what use would be given
            volume = torch.from_numpy(np.ascontiguousarray(to_slices(scan.voxels), np.float32))
            bounds = tuple(sample["window"].tolist())
            done = degradation.apply(volume, degradation.levels[0], window=bounds, chance=Chance(5))
            whole = dataclasses.replace(scan, voxels=from_slices(done.numpy()))
            sample = degradation.on_sample(sample, degradation.levels[0], Chance(5))
        fitted = prepare._fitted(sample)
        used = normalization.fit(whole)
        span = used.high - used.low
        assert fitted.low == pytest.approx(used.low, abs=0.03 * span)
        assert fitted.high == pytest.approx(used.high, abs=0.03 * span)
        if degradation is None:
            np.testing.assert_allclose(prepare(sample)["image"][0], used(to_slices(scan.voxels)[k]), atol=0.01)


def test_a_slice_alone_does_not_say_how_bright_its_volume_is() -> None:
    with pytest.raises(TrainingError, match="reference"):
        Prepare(Normalization("percentile"))(sample([[0.0, 1.0]], "arbitrary"))


def test_what_is_no_image_is_dark_in_training_as_in_use(tmp_path: Path) -> None:
    scan = phantom.scan("CT", shape=(20, 16, 2))
    padding = np.zeros(scan.shape, bool)
    padding[:4] = True
    scan = dataclasses.replace(scan, voxels=np.where(padding, np.int16(0), scan.voxels), padding=padding)
    dataset = TissueDataset([Case("c", "p", "CT", "train", 2, partial(Loaded, scan))], cache=tmp_path)
    assert (Prepare(Normalization("hu"))(dataset[0])["image"][0, :, :4] == -1).all()


def test_a_sample_whose_unit_is_lost_is_prepared_as_gray() -> None:
    gray = np.array([[0.0, 127.5, 255.0]], np.float32)
    prepared = Prepare(Normalization("hu"))(sample(gray, "gray level") | {"neighbour": torch.from_numpy(gray)[None]})
    np.testing.assert_allclose(prepared["image"][0], [[-1, 0, 1]], atol=1e-6)
    np.testing.assert_array_equal(prepared["neighbour"], prepared["image"])


def test_the_first_interrupt_asks_to_stop_and_the_second_does_not_wait() -> None:
    before = signal.getsignal(signal.SIGINT)
    with stopping() as asked:
        assert not asked()
        signal.raise_signal(signal.SIGINT)
        assert asked()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before
