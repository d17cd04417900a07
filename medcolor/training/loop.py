"""The one training loop: time, validation, early stopping, checkpoints; what a step does is an objective's.

Everything that happens at a step is a function of the seed and the step, so a training that was cut off and goes on
from its last checkpoint ends, on a CPU, with the same bytes as one that was not.
"""

from __future__ import annotations

import copy
import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from medcolor.bundle_writing import half_precision
from medcolor.errors import OutputExistsError, TrainingError
from medcolor.training import checkpoints
from medcolor.training.devices import Placement, place
from medcolor.training.drawing import DrawnSamples, Positions, Sample, Transform, sample_seed, stack_samples
from medcolor.training.log import LOG, Observer, TrainingLog
from medcolor.training.objectives.objective import Objective, Step
from medcolor.training.options import FitOptions, FitResult

__all__ = ["LOG", "FitOptions", "FitResult", "Validate", "fit"]

Validate = Callable[[nn.Module], Mapping[str, float]]
"""Figures of a network on the validation patients; ``error`` is the one to make small."""


@dataclass
class _Counters:
    """What must survive a restart beside tensors."""

    step: int = 0
    best_step: int = 0
    best_value: float = math.inf
    best: dict[str, float] = field(default_factory=dict)
    without_gain: int = 0
    stopped: str = ""


def fit(
    network: nn.Module,
    samples: Sequence[Sample],
    *,
    objective: Objective,
    validate: Validate,
    output: Path,
    options: FitOptions | None = None,
    transform: Transform | None = None,
    placement: Placement | None = None,
    resume: bool = False,
    facts: Mapping[str, Any] | None = None,
    observers: Sequence[Observer] = (),
    progress: Callable[[int, int], None] | None = None,
    cancel: Callable[[], bool] | None = None,
) -> FitResult:
    """Train a network.

    Parameters
    ----------
    network : nn.Module
        What the objective takes.
    samples : sequence of dict
        "image" (1, H, W), "target" (K, H, W), and where known "neighbour" (1, H, W), "still" (H, W) and "volume", after
        ``transform`` all of one size and ready for the network.
    objective : Objective
        What a step does; prepared.
    validate : callable
        Network (in eval mode, on the device) to figures; the objective says which decides.
    output : Path
        Folder for checkpoints and ``log.jsonl``.
    options : FitOptions, optional
    transform : callable, optional
        Sample to sample: crops, degradation, normalization.
    placement : Placement, optional
        From :func:`~medcolor.training.devices.place`; chosen when left out.
    resume : bool
        Go on from ``last.safetensors`` where there is one.
    facts : mapping, optional
        JSON facts kept in every checkpoint; going on with other facts is refused.
    observers : sequence of callable, optional
        Told every line of the log.
    progress : callable, optional
        Called with (steps made, steps in all).
    cancel : callable, optional
        Asked after each step; True writes a checkpoint and stops.

    Raises
    ------
    OutputExistsError
        The folder holds a training and ``resume`` is False.
    TrainingError
        The checkpoint belongs to another training, or the loss is no longer finite.
    """
    options = options or FitOptions()
    placement = placement or place("auto", options.precision)
    with torch.random.fork_rng(devices=[placement.device] if placement.device.type == "cuda" else []):
        run = _Run(network, objective, validate, output, options, placement, dict(facts or {}), observers)
        run.begin(resume=resume)
        run.train(DrawnSamples(samples, transform, seed=options.seed), progress, cancel)
        return run.finish()


class _Run:
    def __init__(
        self,
        network: nn.Module,
        objective: Objective,
        validate: Validate,
        output: Path,
        options: FitOptions,
        placement: Placement,
        facts: dict[str, Any],
        observers: Sequence[Observer],
    ) -> None:
        torch.manual_seed(options.seed)
        self.network, self.objective = network.to(placement.device), objective.to(placement.device)
        self.network.to(memory_format=torch.channels_last)  # a quarter faster on a CPU
        self.averaged = copy.deepcopy(self.network) if options.average else None
        self.learners = objective.learners(self.network, options, placement)
        self.validate, self.options, self.placement, self.facts = validate, options, placement, facts
        self.output, self.now, self.log = output, _Counters(), TrainingLog(output, observers)

    @property
    def kept(self) -> nn.Module:
        """The network that is validated and exported."""
        return self.averaged or self.network

    def begin(self, *, resume: bool) -> None:
        last = self.output / checkpoints.LAST
        if last.is_file() and not resume:
            raise OutputExistsError(
                f"{self.output} holds a training already. Go on with it (resume=True, --resume), or choose another "
                "folder. Nothing was written."
            )
        self.output.mkdir(parents=True, exist_ok=True)
        if last.is_file():
            self._restore(checkpoints.read_state(last), last)
        self.log.rewind(self.now.step)

    def _restore(self, state: checkpoints.State, path: Path) -> None:
        if state.facts["training"] != self._identity():
            raise TrainingError(
                f"{path} is a training with other settings: its checkpoint can only go on with the configs and data it "
                "began with. Use them, or choose another folder."
            )
        self.network.load_state_dict(state.part("network"))
        self.objective.load_state_dict(state.part("objective"))
        if self.averaged is not None:
            self.averaged.load_state_dict(state.part("average"))
        for name, learner in self.learners.items():
            learner.restore(state.part(f"learner {name}"), state.facts["learners"][name])
        self.now = _Counters(**state.facts["counters"])

    def _identity(self) -> dict[str, Any]:
        settings = {k: v for k, v in vars(self.options).items() if k not in {"workers", "log_every"}}
        return json.loads(json.dumps({"options": settings, "facts": self.facts}))  # as it comes back from a file

    def train(
        self,
        drawn: DrawnSamples,
        progress: Callable[[int, int], None] | None,
        cancel: Callable[[], bool] | None,
    ) -> None:
        options, first = self.options, self.now.step
        if self.now.stopped in {"done", "early"}:
            return
        self.now.stopped = ""
        for batch in _loader(drawn, options, first):
            torch.manual_seed(sample_seed(options.seed + 1, self.now.step))  # dropout, the same after a restart
            terms = self._step(batch)
            self.now.step += 1
            step = self.now.step
            if step % options.log_every == 0 or step == options.steps:
                self._log_terms(terms)
            if self.objective.is_judged(step, options) or step == options.steps:
                self._judge()
                self.save()
            if progress is not None:
                progress(step, options.steps)
            if self.now.stopped:
                return
            if cancel is not None and cancel() and step < options.steps:
                self.now.stopped = "cancelled"
                self.save()
                return

    def _step(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        rate = self._rate(self.now.step)
        for learner in self.learners.values():
            learner.set_rate(rate)
        self.network.train()
        self.objective.train()
        batch = {name: tensor.to(self.placement.device, non_blocking=True) for name, tensor in batch.items()}
        at = Step(self.now.step, self.options, self.placement)
        terms = self.objective.step(self.network, batch, self.learners, at)
        self._average()
        return terms

    def _rate(self, step: int) -> float:
        return self.objective.learning_rate_at(step, self.options)

    def _average(self) -> None:
        if self.averaged is None:
            return
        decay = min(self.options.average, (1 + self.now.step) / (10 + self.now.step))
        pairs = zip(self.averaged.state_dict().values(), self.network.state_dict().values(), strict=True)
        for mean, value in pairs:  # a state_dict is detached: nothing here is recorded for gradients
            if mean.is_floating_point():
                mean.lerp_(value, 1 - decay)
            else:
                mean.copy_(value)

    def _log_terms(self, terms: dict[str, Tensor]) -> None:
        figures = {name: float(value) for name, value in terms.items()}
        if not all(math.isfinite(value) for value in figures.values()):
            raise TrainingError(
                f"The loss is no longer finite at step {self.now.step}: {figures}. Lower learning_rate, or train in "
                "float32; --resume goes on from the last checkpoint."
            )
        self.log.write(self.now.step, {"loss": figures, "learning_rate": self._rate(self.now.step - 1)})

    def _judge(self) -> None:
        """Validate; keep the best weights; decide whether to stop."""
        network = self.kept.eval()
        with torch.no_grad():
            figures = {name: float(value) for name, value in self.validate(network).items()}
        value = self.objective.value(self.now.step, figures)
        self.log.write(self.now.step, {"validation": figures} | ({} if value is None else {"value": value}))
        if value is None:
            pass
        elif value < self.now.best_value:
            self.now.best, self.now.best_value = figures, value
            self.now.best_step, self.now.without_gain = self.now.step, 0
            checkpoints.write_state(self.output / checkpoints.BEST, network.state_dict(), self._weight_facts())
        else:
            self.now.without_gain += 1
        if self.now.step == self.options.steps:
            self.now.stopped = "done"
        elif self.now.without_gain >= self.options.patience:
            self.now.stopped = "early"

    def _weight_facts(self) -> dict[str, Any]:
        return {"training": self._identity(), "step": self.now.best_step, "validation": self.now.best}

    def save(self) -> None:
        """Write all that going on needs."""
        tensors = checkpoints.with_prefix("network", self.network.state_dict())
        tensors |= checkpoints.with_prefix("objective", self.objective.state_dict())
        if self.averaged is not None:
            tensors |= checkpoints.with_prefix("average", self.averaged.state_dict())
        for name, learner in self.learners.items():
            tensors |= checkpoints.with_prefix(f"learner {name}", learner.tensors())
        facts = {
            "training": self._identity(),
            "counters": vars(self.now) | {"best_value": min(self.now.best_value, sys.float_info.max)},
            "learners": {name: learner.facts() for name, learner in self.learners.items()},
        }
        checkpoints.write_state(self.output / checkpoints.LAST, tensors, facts)

    def finish(self) -> FitResult:
        """Export the best weights in half precision."""
        weights, digest, now = None, "", self.now
        if now.stopped != "cancelled":
            best = checkpoints.read_state(self.output / checkpoints.BEST)
            weights = self.output / checkpoints.EXPORT
            digest = checkpoints.write_state(weights, half_precision(best.tensors), best.facts)
        return FitResult(now.stopped, now.step, now.best_step, now.best, weights, digest, self.placement.reason)


def _loader(drawn: DrawnSamples, options: FitOptions, first: int) -> Any:
    from monai.data import DataLoader

    positions = Positions(first * options.batch, options.steps * options.batch)
    return DataLoader(
        drawn, batch_size=options.batch, sampler=positions, num_workers=options.workers, collate_fn=stack_samples
    )
