"""A method and a family make a training: one command from scans to a colorizer, for gradients and for fits."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
import yaml

from medcolor import phantom
from medcolor.cli import run
from medcolor.color import restore_gray
from medcolor.colorizers import load_colorizer
from medcolor.errors import TrainingError
from medcolor.resources import config_dir
from medcolor.training.checkpoints import read_state
from medcolor.training.log import TrainingLog
from medcolor.training.objectives import ChromaObjective, NoGanObjective
from medcolor.training.recipe import fit_options, read_recipe
from medcolor.training.systems import system_of
from medcolor.training.tracking import figures, observers
from medcolor.windowing import display_gray

METHODS = sorted(path.stem for path in (config_dir() / "methods").glob("*.yaml"))
FAMILIES = sorted(path.stem for path in (config_dir() / "families").glob("*.yaml"))
QUICK = {
    "augmentation::crop": [32, 32],
    "data::patients": None,
    "data::modality": "CT",
    "data::splits": {"train": ["sub-1", "sub-2"], "val": ["sub-3"], "test": ["sub-4", "sub-5"]},
    "fit::steps": 6,
    "fit::batch": 2,
    "fit::validate_every": 3,
    "fit::log_every": 1,
    "evaluation::severities": [],
}


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("scans")
    for n in range(1, 6):
        scan = phantom.scan("CT", shape=(40, 36, 2), seed=n)
        nib.save(nib.Nifti1Image(np.asarray(scan.voxels), scan.geometry.affine), folder / f"sub-{n}.nii.gz")
    (folder / "quick.yaml").write_text(yaml.safe_dump(QUICK))
    return folder


def command(scans: Path, method: str, out: Path, *more: str) -> list[str]:
    names = [method, "ct", "tiny", str(scans / "quick.yaml")]
    return ["train", *names, "--data", str(scans), "-o", str(out), "--device", "cpu", "--quiet", *more]


@pytest.fixture(scope="module")
def trained(scans: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a classification, of a GAN, and of a method that is fitted at once."""
    out = tmp_path_factory.mktemp("out")
    for method in ("zhang2016", "nazeri", "welsh"):
        assert run(command(scans, method, out / method)) == 0
    return out


TRAINED = ["zhang2016", "nazeri", "welsh"]


@pytest.mark.parametrize("method", TRAINED)
def test_what_was_trained_is_a_colorizer_that_keeps_the_gray(method: str, trained: Path) -> None:
    scan = phantom.scan("CT", shape=(40, 36, 2), seed=9)
    colored = load_colorizer(str(trained / method), trust=True)(scan)
    np.testing.assert_array_equal(restore_gray(colored.rgb), display_gray(scan))


@pytest.mark.parametrize("method", TRAINED)
def test_the_bundle_says_its_method_its_palette_and_what_was_measured(method: str, trained: Path) -> None:
    metadata = json.loads((trained / method / "metadata.json").read_text())
    assert metadata["medcolor"]["method"] == method
    assert metadata["medcolor"]["training"]["palette"] == "contrast"
    assert metadata["medcolor"]["training"]["validation"]["error"] > 0
    measured = metadata["eval_metrics"]["clean"]["learned"]
    assert measured["error"]["patients"] == 2
    assert measured["hellinger"]["value"] >= 0
    card = (trained / method / "README.md").read_text()
    for words in ("copied", "no weights of its authors", "## Limits", "not stated", "palette `contrast`"):
        assert words in card
    assert "which class a pixel is likely to be" not in card


@pytest.mark.parametrize("method", TRAINED)
def test_nothing_that_is_handed_on_names_a_patient_or_a_path(method: str, trained: Path, scans: Path) -> None:
    for name in ("metadata.json", "inference.yaml", "train.yaml", "README.md", "model.safetensors", "log.jsonl"):
        content = (trained / method / name).read_bytes()
        assert b"sub-" not in content
        assert str(scans).encode() not in content


@pytest.mark.parametrize("method", TRAINED)
def test_the_train_yaml_of_a_bundle_trains_it_again(method: str, trained: Path, scans: Path, tmp_path: Path) -> None:
    again = read_recipe([trained / method, scans / "quick.yaml"])
    first = read_recipe([method, "ct", "tiny", scans / "quick.yaml"])
    assert again.digest == first.digest
    if method == "nazeri":  # the one with most chance in it
        line = ["train", str(trained / method), str(scans / "quick.yaml"), "--data", str(scans), "--device", "cpu"]
        assert run([*line, "-o", str(tmp_path / "again"), "--quiet"]) == 0
        weights = (tmp_path / "again" / "model.safetensors").read_bytes()
        assert weights == (trained / method / "model.safetensors").read_bytes()


def test_the_prior_that_is_shipped_is_that_of_the_training_targets(trained: Path) -> None:
    state = read_state(trained / "zhang2016" / "model.safetensors").tensors
    assert float(state["bins.prior"].sum()) == pytest.approx(1, abs=1e-4)
    assert len(state["bins.weights"].unique()) > 2


def test_a_restart_of_a_finished_training_only_measures_again(
    trained: Path, scans: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (trained / "zhang2016" / "model.safetensors").read_bytes()
    assert run(command(scans, "zhang2016", trained / "zhang2016")) == 2
    assert "--resume" in capsys.readouterr().err
    assert run(command(scans, "zhang2016", trained / "zhang2016", "--resume")) == 0
    assert (trained / "zhang2016" / "model.safetensors").read_bytes() == before


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["zhang2016"], "missing settings: family, normalization.*families after the method: .*ct"),
        (["ct"], "missing settings: network, fit.*methods before the family: .*zhang2016"),
        (["zhang2016", "cct"], 'Did you mean "ct"'),
        (["zhang2015", "ct"], 'Did you mean "zhang201'),
    ],
)
def test_half_a_recipe_is_refused_with_the_names_of_the_other_half(names: list[str], said: str) -> None:
    with pytest.raises(TrainingError, match=said):
        read_recipe(names)


@pytest.mark.parametrize(
    ("names", "text", "said"),
    [
        (["zhang2016", "ct"], "fitting: {_target_: builtins.dict, a: 1}", "either an objective, or a fitting"),
        (["zhang2016", "ct"], "loss: {color: 1.0}", "loss: only tissue networks"),
        (["ct_tissue"], "objective: {_target_: medcolor.training.objectives.BinObjective}", "only a recipe with a met"),
        (["zhang2016", "ct"], "objective: {_target_: builtins.dict, a: 1}", "objective: dict is none of"),
    ],
)
def test_recipes_that_contradict_themselves_are_refused(names: list[str], text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text(text)
    with pytest.raises(TrainingError, match=said):
        system_of(read_recipe([*names, tmp_path / "bad.yaml"]))


def test_a_network_of_another_method_is_refused_before_it_is_trained(scans: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("method: nogan")
    wanted = command(scans, "zhang2016", tmp_path / "out")
    assert run([*wanted[:5], str(tmp_path / "bad.yaml"), *wanted[5:]]) == 2
    assert not (tmp_path / "out" / "last.safetensors").exists()


@pytest.mark.parametrize("family", FAMILIES)
def test_a_familys_methods_see_the_input_of_its_tissue_network(family: str) -> None:
    tissue, recipe = read_recipe([f"{family}_tissue"]), read_recipe(["zhang2016", family, "tiny"])
    assert recipe.family == tissue.family
    assert recipe.get("normalization") == tissue.get("normalization")
    mine, its = recipe.get("augmentation"), tissue.get("augmentation")
    assert mine["strength"] == its["strength"]
    if "variants" not in its:  # scans degraded ahead, for networks that correct physics, have a share of their own
        assert mine["clean"] == its["clean"]
    assert recipe.get("style") == "contrast"


@pytest.mark.parametrize("method", METHODS)
def test_every_method_is_what_it_says_and_small_enough_to_ship(method: str) -> None:
    recipe = read_recipe([method, "ct"])
    network, system = recipe.get("network"), system_of(recipe)
    assert network.method == recipe.get("method")
    assert sum(p.numel() for p in network.parameters()) <= 5e5
    objective = recipe.get("objective")
    assert (objective is None) == (recipe.get("fitting") is not None)
    if objective is not None:
        assert isinstance(objective, ChromaObjective)
        assert system.neighbors()
        options = fit_options(recipe.get("fit"))
        if isinstance(objective, NoGanObjective):
            assert objective.start < options.steps


def test_controls_differ_from_their_methods_in_one_thing() -> None:
    def told(name: str) -> dict[str, object]:
        settings = read_recipe([name, "ct"]).settings
        return {key: value for key, value in settings.items() if key not in {"card", "objective"}}

    assert told("zhang2016") == told("zhang2016_plain")
    assert told("nazeri") == told("nazeri_unet")
    nogan, plain = told("nogan"), told("plain_gan")
    for settings in (nogan, plain):
        settings["fit"] = {k: v for k, v in dict(settings["fit"]).items() if k != "patience"}  # type: ignore[call-overload]
    assert nogan == plain


def test_trackers_are_named_and_must_be_there(tmp_path: Path) -> None:
    assert observers((), tmp_path, title="") == []
    with pytest.raises(TrainingError, match=r'"wandb" is none of tensorboard, mlflow'):
        observers(["wandb"], tmp_path, title="")
    absent = [name for name in ("tensorboard", "mlflow") if find_spec(name) is None]
    for name in absent:
        with pytest.raises(TrainingError, match=f"{name} is not installed"):
            observers([name], tmp_path, title="")


def test_trackers_are_told_numbers_and_nothing_else() -> None:
    line = {"step": 4, "seconds": 1.5, "loss": {"total": 2.0}, "learning_rate": 0.1, "validation": {"error": 3.0}}
    expected = {"seconds": 1.5, "loss/total": 2.0, "learning_rate": 0.1, "validation/error": 3.0}
    assert dict(figures(line)) == expected


def test_observers_are_told_every_line_of_the_log(tmp_path: Path) -> None:
    told: list[object] = []
    log = TrainingLog(tmp_path, [told.append])
    log.write(3, {"loss": {"total": 1.0}})
    assert told == [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]


@pytest.mark.skipif(find_spec("tensorboard") is None, reason="needs tensorboard")
def test_tensorboard_gets_the_figures(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    (tell,) = observers(["tensorboard"], tmp_path, title="")
    tell({"step": 7, "loss": {"total": 0.5}})
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [(e.step, e.value) for e in events.Scalars("loss/total")] == [(7, 0.5)]


@pytest.mark.filterwarnings("ignore::Warning")  # of MLflow's own database layer
@pytest.mark.skipif(find_spec("mlflow") is None, reason="needs mlflow")
def test_mlflow_gets_the_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import mlflow

    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'runs.db'}")
    (tell,) = observers(["mlflow"], tmp_path, title="zhang2016 CT")
    tell({"step": 7, "loss": {"total": 0.5}})
    client = mlflow.MlflowClient()
    (run_,) = client.search_runs([client.get_experiment_by_name("medcolor").experiment_id])
    assert [(m.step, m.value) for m in client.get_metric_history(run_.info.run_id, "loss/total")] == [(7, 0.5)]
