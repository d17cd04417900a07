"""The loop: a training that was killed and goes on ends with the bytes of one that was not."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import nn

from medcolor.bundle_writing import half_precision
from medcolor.errors import OutputExistsError, TrainingError
from medcolor.training.checkpoints import BEST, EXPORT, LAST, load_weights, read_state, write_state
from medcolor.training.devices import place
from medcolor.training.drawing import DrawnSamples, stack_samples
from medcolor.training.loop import LOG, FitOptions, FitResult, fit
from medcolor.training.losses import TissueLoss
from medcolor.training.objectives import TissueObjective

K = 3
AB = [[0.0, 0.0], [40.0, 10.0], [0.0, -40.0]]
OPTIONS = FitOptions(steps=12, batch=2, validate_every=4, log_every=1, patience=9, average=0.9, seed=3)


class Output(NamedTuple):
    logits: torch.Tensor
    log_scale: torch.Tensor


class Tiny(nn.Module):
    """A stand-in with what makes restarts hard: running statistics and dropout."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout2d(0.3))
        self.head, self.scale = nn.Conv2d(8, K, 1), nn.Conv2d(8, 1, 1)

    def forward(self, x: torch.Tensor) -> Output:
        h = self.body(x)
        return Output(self.head(h), self.scale(h.detach()))


def make_samples(n: int = 5, size: int = 8) -> list[dict[str, Any]]:
    chance = np.random.default_rng(0)
    samples = []
    for number in range(n):
        image = chance.uniform(-1, 1, (1, size, size)).astype(np.float32)
        label = np.digitize(image[0], [-0.3, 0.3])
        target = np.eye(K, dtype=np.float32)[label].transpose(2, 0, 1)
        samples.append(
            {"image": image, "target": target, "patient": f"p{number}", "family": "CT", "neighbour": image + 0.01}
        )
    return samples


def jitter(sample: dict[str, Any]) -> dict[str, Any]:
    noise = torch.randn(1, 1, 1).numpy() + np.random.normal()
    return sample | {"image": sample["image"] + np.float32(0.05) * noise.astype(np.float32)}


def error_of(network: nn.Module) -> Mapping[str, float]:
    image = torch.from_numpy(make_samples()[0]["image"])[None]
    return {"error": float(network(image).logits.square().mean()) + float(network.training)}


def run(folder: Path, **changes: Any) -> FitResult:
    torch.set_num_threads(1)
    settings: dict[str, Any] = {"validate": error_of, "options": OPTIONS, "transform": jitter}
    settings |= {"objective": TissueObjective(TissueLoss(AB)), "placement": place("cpu"), "facts": {"family": "CT"}}
    settings |= changes
    return fit(Tiny(), settings.pop("samples", make_samples()), output=folder, **settings)


def log_of(folder: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (folder / LOG).read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "seconds"} for line in lines]


class KilledError(Exception):
    pass


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, FitResult]:
    folder = tmp_path_factory.mktemp("whole")
    return folder, run(folder)


@pytest.mark.parametrize("at", [1, 4, 7, 11])
def test_a_killed_and_resumed_training_ends_with_the_same_bytes(
    at: int, whole: tuple[Path, FitResult], tmp_path: Path
) -> None:
    def kill(done: int, total: int) -> None:
        if done == at:
            raise KilledError

    with pytest.raises(KilledError):
        run(tmp_path, progress=kill)
    resumed = run(tmp_path, resume=True)
    for name in (LAST, BEST, EXPORT):
        assert (tmp_path / name).read_bytes() == (whole[0] / name).read_bytes()
    assert log_of(tmp_path) == log_of(whole[0])
    assert (resumed.steps, resumed.best_step, resumed.sha256) == (12, whole[1].best_step, whole[1].sha256)


def test_the_size_of_the_doubt_does_not_hold_the_colour_back(tmp_path: Path) -> None:
    options = FitOptions(steps=3, batch=2, clip_norm=0.01)
    quiet = run(tmp_path / "a", objective=TissueObjective(TissueLoss(AB, scale=0)), options=options)
    loud = run(tmp_path / "b", objective=TissueObjective(TissueLoss(AB, scale=1000.0)), options=options)
    ours, theirs = (read_state(result.weights or tmp_path).tensors for result in (quiet, loud))
    for name in ("body.0.weight", "head.weight"):
        assert torch.equal(ours[name], theirs[name])
    assert not torch.equal(ours["scale.weight"], theirs["scale.weight"])


def test_a_cancelled_training_keeps_its_step_and_goes_on_to_the_same_bytes(
    whole: tuple[Path, FitResult], tmp_path: Path
) -> None:
    asked = iter([False] * 5 + [True] * 99)
    stopped = run(tmp_path, cancel=lambda: next(asked))
    assert (stopped.stopped, stopped.steps, stopped.weights) == ("cancelled", 6, None)
    assert run(tmp_path, resume=True).stopped == "done"
    assert (tmp_path / LAST).read_bytes() == (whole[0] / LAST).read_bytes()


def test_workers_do_not_change_what_is_drawn() -> None:
    drawn = DrawnSamples(make_samples(), jitter, seed=3)
    again = DrawnSamples(make_samples(), jitter, seed=3)
    backwards = [again[n]["image"] for n in reversed(range(12))][::-1]
    for n in range(12):
        np.testing.assert_array_equal(drawn[n]["image"], backwards[n])
    assert len({drawn[n]["patient"] for n in range(5)}) == 5, "an epoch shows every sample once"
    other = DrawnSamples(make_samples(), jitter, seed=4)
    assert any(not np.array_equal(drawn[n]["image"], other[n]["image"]) for n in range(5))


def test_drawing_and_training_leave_the_global_generators_alone(tmp_path: Path) -> None:
    before = torch.get_rng_state()
    numpy_before = np.random.get_state()[1].copy()
    DrawnSamples(make_samples(), jitter, seed=3)[0]
    run(tmp_path, options=FitOptions(steps=1, batch=1))
    assert torch.equal(before, torch.get_rng_state())
    np.testing.assert_array_equal(numpy_before, np.random.get_state()[1])


def test_a_resumed_training_that_is_done_is_left_as_it_is(whole: tuple[Path, FitResult], tmp_path: Path) -> None:
    for name in (LAST, BEST, LOG):
        (tmp_path / name).write_bytes((whole[0] / name).read_bytes())
    assert run(tmp_path, resume=True) == FitResult(**(vars(whole[1]) | {"weights": tmp_path / EXPORT}))


def test_a_folder_with_a_training_is_refused_without_resume(whole: tuple[Path, FitResult]) -> None:
    with pytest.raises(OutputExistsError, match="--resume"):
        run(whole[0])


@pytest.mark.parametrize("change", [{"facts": {"family": "MR"}}, {"options": FitOptions(steps=13, batch=2)}])
def test_going_on_with_other_settings_is_refused(change: dict[str, Any], whole: tuple[Path, FitResult]) -> None:
    with pytest.raises(TrainingError, match="other settings"):
        run(whole[0], resume=True, **change)


def test_training_stops_early_and_keeps_the_best_weights(tmp_path: Path) -> None:
    figures = iter([3.0, 1.0, 2.0, 2.0])
    options = FitOptions(steps=50, batch=2, validate_every=2, patience=2)
    result = run(tmp_path, validate=lambda network: {"error": next(figures)}, options=options)
    assert (result.stopped, result.steps, result.best_step, result.best) == ("early", 8, 4, {"error": 1.0})


def test_the_loss_falls(tmp_path: Path) -> None:
    run(
        tmp_path,
        options=FitOptions(steps=60, batch=4, learning_rate=2e-2, log_every=1, validate_every=60),
        transform=None,
    )
    losses = [line["loss"]["total"] for line in log_of(tmp_path) if "loss" in line]
    assert np.mean(losses[-5:]) < 0.7 * np.mean(losses[:5])


def test_weights_are_exported_in_half_precision_and_load_again(whole: tuple[Path, FitResult]) -> None:
    folder, result = whole
    exported = read_state(folder / EXPORT)
    assert exported.tensors["head.weight"].dtype == torch.float16
    assert exported.tensors["body.1.running_var"].dtype == torch.float32, "small variances vanish in half precision"
    network = Tiny()
    facts = load_weights(network, folder / EXPORT)
    best = read_state(folder / BEST).tensors
    for name, tensor in network.state_dict().items():
        torch.testing.assert_close(tensor, best[name], rtol=1e-3, atol=1e-4)
    assert facts["step"] == result.best_step
    assert facts["training"]["facts"] == {"family": "CT"}


def test_weights_of_another_network_are_refused(whole: tuple[Path, FitResult]) -> None:
    with pytest.raises(TrainingError, match="not the weights of this Linear"):
        load_weights(nn.Linear(2, 2), whole[0] / EXPORT)


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b"pickle" * 99])
def test_a_damaged_checkpoint_is_refused_by_name(damage: Any, whole: tuple[Path, FitResult], tmp_path: Path) -> None:
    (tmp_path / LAST).write_bytes(damage((whole[0] / LAST).read_bytes()))
    with pytest.raises(TrainingError, match=r"last\.safetensors"):
        run(tmp_path, resume=True)


def test_safetensors_from_elsewhere_are_no_checkpoint(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(2)}, tmp_path / "x.safetensors")
    with pytest.raises(TrainingError, match="not a checkpoint"):
        read_state(tmp_path / "x.safetensors")
    with pytest.raises(FileNotFoundError, match="no such checkpoint"):
        read_state(tmp_path / "y.safetensors")


def test_checkpoints_keep_every_tensor_and_fact(tmp_path: Path) -> None:
    tensors = {"a": torch.randn(3, 2), "b": torch.tensor(7), "c": torch.randn(2).bfloat16()}
    write_state(tmp_path / "s.safetensors", tensors, {"x": 0.1, "y": [1, "two"]})
    back = read_state(tmp_path / "s.safetensors")
    assert back.facts == {"x": 0.1, "y": [1, "two"]}
    assert all(torch.equal(back.tensors[name], tensor) for name, tensor in tensors.items())


@pytest.mark.parametrize("bad", [float("nan"), 1e6])
def test_weights_that_half_precision_cannot_hold_are_not_exported(bad: float) -> None:
    with pytest.raises(TrainingError, match="half precision"):
        half_precision({"w": torch.tensor([[1.0, bad]])})


def test_a_loss_that_is_not_finite_stops_the_training(tmp_path: Path) -> None:
    def break_it(sample: dict[str, Any]) -> dict[str, Any]:
        return sample | {"image": sample["image"] * np.float32("nan")}

    with pytest.raises(TrainingError, match="no longer finite at step 1"):
        run(tmp_path, transform=break_it)


def test_a_validation_without_a_figure_stops_the_training(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no finite"):
        run(tmp_path, validate=lambda network: {"error": float("nan")})


def test_the_learning_rate_rises_and_falls() -> None:
    options = FitOptions(steps=100, warm_up=0.1, learning_rate=1.0)
    rates = [options.learning_rate_at(step) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == pytest.approx(1.0)
    assert int(np.argmax(rates)) == 9
    assert rates[-1] == pytest.approx(0.0, abs=1e-9)
    assert all(a >= b for a, b in itertools.pairwise(rates[9:]))


@pytest.mark.parametrize("bad", [{"steps": 0}, {"batch": 0}, {"warm_up": 2.0}, {"average": 1.0}])
def test_options_out_of_range_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(TrainingError, match=next(iter(bad))):
        FitOptions(**bad)


def test_a_batch_of_different_sizes_is_refused_with_what_to_do() -> None:
    with pytest.raises(TrainingError, match="Crop and pad"):
        stack_samples([make_samples(1, 8)[0], make_samples(1, 9)[0]])


def test_a_sample_without_neighbour_pulls_nothing_together() -> None:
    samples = make_samples(2)
    samples[1].pop("neighbour")
    batch = stack_samples(samples)
    assert batch["still"][0].all()
    assert not batch["still"][1].any()
    torch.testing.assert_close(batch["neighbour"][1], batch["image"][1])
    assert "neighbour" not in stack_samples([samples[1]])


def test_auto_says_what_it_chose_and_an_absent_device_is_refused() -> None:
    chosen = place("auto")
    assert chosen.reason.endswith(str(chosen.precision).removeprefix("torch."))
    assert place("cpu").reason == "CPU (as asked), float32"
    with pytest.raises(TrainingError, match="CUDA devices"):
        place("cuda:99")
    with pytest.raises(TrainingError, match="Accepted: auto, cpu, cuda"):
        place("abacus")
    with pytest.raises(TrainingError, match="float16 needs a CUDA device"):
        place("cpu", "float16")


def test_half_precision_arithmetic_trains_where_the_device_has_it(tmp_path: Path) -> None:
    result = run(
        tmp_path, placement=place("cpu", "bfloat16"), options=FitOptions(steps=2, batch=2, precision="bfloat16")
    )
    assert result.device == "CPU (as asked), bfloat16"
    assert read_state(tmp_path / BEST).tensors["head.weight"].dtype == torch.float32


@pytest.mark.skipif(sys.platform == "win32", reason="fork is what makes two workers cheap")
def test_two_workers_give_the_same_weights_as_none(whole: tuple[Path, FitResult], tmp_path: Path) -> None:
    options = FitOptions(**(vars(OPTIONS) | {"workers": 2}))
    assert run(tmp_path, options=options).sha256 == whole[1].sha256
