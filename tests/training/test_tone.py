"""Training of the estimator of gamma: it learns, it is a stage like the others, and it can be cut off."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from medcolor import phantom
from medcolor.bundles import load_bundle
from medcolor.errors import TrainingError
from medcolor.networks.normalization import Normalization
from medcolor.networks.tone import SIDE, SLICES, ToneEstimator
from medcolor.networks.volume_summary import SUMMARY
from medcolor.training.checkpoints import read_state
from medcolor.training.datasets import Case, Loaded, TissueDataset
from medcolor.training.devices import place
from medcolor.training.drawing import VOLUME
from medcolor.training.supervised import train
from medcolor.training.tone import FOLDER, ToneOptions, fit_tone, tone_options, tone_samples


def side(cache: Path, name: str, seeds: range, family: str = "MR", slices: int = 3) -> TissueDataset:
    def load(seed: int) -> Loaded:
        return Loaded(phantom.scan(family, shape=(48, 40, slices), seed=seed))

    cases = [Case(f"it/{n}", f"p{n}", family, name, slices, lambda n=n: load(n), True) for n in seeds]
    return TissueDataset(cases, cache=cache)


def test_it_learns_what_gamma_somebody_gave(tmp_path: Path) -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    sides = {"train": side(tmp_path, "train", range(6)), "val": side(tmp_path, "val", range(6, 9))}
    estimator, options = ToneEstimator(), ToneOptions(samples=96, steps=60, batch=12, straight=0.1, clean=1.0)
    result = fit_tone(
        estimator, sides, Normalization.default("MR"), options=options, seed=1, output=tmp_path / "out",
        facts={}, placement=place("cpu", "float32"),
    )  # fmt: skip
    samples = tone_samples(sides["val"], Normalization.default("MR"), count=30, seed=7, options=options)
    wanted = torch.stack([s["target"] for s in samples])
    found = estimator(torch.stack([s["image"].float() for s in samples]), torch.stack([s[VOLUME] for s in samples]))
    assert (found - wanted).abs().mean() < 0.4 * wanted.abs().mean()
    assert not any(parameter.requires_grad for parameter in estimator.parameters())
    half = read_state(result.weights or Path())
    for name, tensor in estimator.state_dict().items():
        if tensor.is_floating_point():
            torch.testing.assert_close(tensor, half.tensors[name].float(), msg="as its bundle will have them")


def test_samples_are_a_function_of_the_seed_and_of_the_share_that_is_straight(tmp_path: Path) -> None:
    dataset = side(tmp_path, "train", range(2), "PT")
    one, same, other = (
        tone_samples(dataset, Normalization.default("PT"), count=8, seed=seed, options=ToneOptions(straight=0.0))
        for seed in (1, 1, 2)
    )
    assert len(one) == 8
    for a, b in zip(one, same, strict=True):
        assert all(torch.equal(a[key], b[key]) for key in a)
    assert not torch.equal(one[0]["target"], other[0]["target"])
    assert len({float(s["target"]) for s in one}) == 8
    straight = tone_samples(dataset, Normalization.default("PT"), count=4, seed=1, options=ToneOptions(straight=1.0))
    assert all(float(s["target"]) == 0 for s in straight)


def test_scans_of_few_slices_stand_beside_deeper_ones_and_holes_do_no_harm(tmp_path: Path) -> None:
    def holed() -> Loaded:
        scan = phantom.scan("MR", shape=(30, 40, 1), seed=1)
        hole = np.zeros(scan.shape, bool)
        hole[:7] = True
        return Loaded(replace(scan, padding=hole))

    deep = Case("it/0", "a", "MR", "train", 9, lambda: Loaded(phantom.scan("MR", shape=(48, 40, 9))), True)
    dataset = TissueDataset([deep, Case("it/1", "b", "MR", "train", 1, holed, False)], cache=tmp_path)
    samples = tone_samples(dataset, Normalization.default("MR"), count=4, seed=0, options=ToneOptions())
    assert {tuple(s["image"].shape) for s in samples} == {(SLICES, SIDE, SIDE)}
    assert all(torch.isfinite(s["image"]).all() and s[VOLUME].shape == (SUMMARY,) for s in samples)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [({"samples": 0}, "at least 1"), ({"straight": 1.5}, r"0\.\.1"), ({"step": 3}, "Accepted: samples, steps")],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, float], said: str) -> None:
    with pytest.raises(TrainingError, match=said):
        tone_options(wrong)


@pytest.fixture(scope="module")
def configs(small_training: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> list[str | Path]:
    more = {
        "network::neighbours": True,
        "augmentation::variants": 1,
        "tone": {"samples": 6, "steps": 4, "batch": 2},
        "data::modality": "MR",
        "fit::steps": 4,
        "evaluation": None,
    }
    small = tmp_path_factory.mktemp("config") / "small.yaml"
    small.write_text(yaml.safe_dump({**small_training, "network::tone": True, **more}))
    return ["mr_tissue", "tiny", small]


def test_cut_off_in_either_stage_a_training_goes_on_to_the_same_bytes(
    five_volumes: Callable[[str], Path], configs: list[str | Path], tmp_path: Path
) -> None:
    given = {"data": five_volumes("MR"), "device": "cpu"}
    whole, _ = train(configs, output=tmp_path / "whole", **given)  # type: ignore[arg-type]
    assert whole.weights is not None
    cut = tmp_path / "cut"
    for steps in (2, 3):  # in the first stage, then in the second
        asked = iter([*[False] * (steps - 1), True])
        stopped, _ = train(configs, output=cut, resume=True, cancel=lambda asked=asked: next(asked), **given)  # type: ignore[arg-type, misc]
        assert stopped.weights is None
    again, _ = train(configs, output=cut, resume=True, **given)  # type: ignore[arg-type]
    assert again.sha256 == whole.sha256
    bundle = load_bundle(cut, trust=True)
    told = read_state(cut / FOLDER / "model.safetensors").tensors
    for name, tensor in bundle.network.tone.state_dict().items():
        torch.testing.assert_close(tensor.float(), told[name].float(), msg=name)
    assert "undoes gamma" in (cut / "README.md").read_text()
