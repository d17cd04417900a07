"""The one training loop: AdamW with warm-up and cosine, mixed precision where the device has it, early stopping.

Everything that happens at a step is a function of the seed and the step, so a training that was cut off and goes on
from its last checkpoint ends, on a CPU, with the same bytes as one that was not.
"""

from __future__ import annotations

import copy
import json
import math
import time
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
from medcolor.training.drawing import VOLUME, DrawnSamples, Positions, Sample, Transform, sample_seed, stack_samples
from medcolor.training.losses import LossTerms, TissueLoss
from medcolor.training.options import FitOptions, FitResult

__all__ = ["FitOptions", "FitResult", "Validate", "fit"]

LOG = "log.jsonl"
MONITORED = "error"

Validate = Callable[[nn.Module], Mapping[str, float]]
"""Figures of a network on the validation patients; ``error`` is the one to make small."""


@dataclass
class _Counters:
    """What must survive a restart beside tensors."""

    step: int = 0
    best_step: int = 0
    best: dict[str, float] = field(default_factory=dict)
    without_gain: int = 0
    stopped: str = ""


def fit(
    network: nn.Module,
    samples: Sequence[Sample],
    *,
    loss: TissueLoss,
    validate: Validate,
    output: Path,
    options: FitOptions | None = None,
    transform: Transform | None = None,
    placement: Placement | None = None,
    resume: bool = False,
    facts: Mapping[str, Any] | None = None,
    progress: Callable[[int, int], None] | None = None,
    cancel: Callable[[], bool] | None = None,
) -> FitResult:
    """Train a network.

    Parameters
    ----------
    network : nn.Module
        (N, 1, H, W) in -1..1 to an output with ``logits`` and ``log_scale``.
    samples : sequence of dict
        "image" (1, H, W), "target" (K, H, W), and where known "neighbour" (1, H, W), "still" (H, W) and "volume", after
        ``transform`` all of one size and ready for the network.
    loss : TissueLoss
    validate : callable
        Network (in eval mode, on the device) to figures; ``error`` decides.
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
        run = _Run(network, loss, validate, output, options, placement, dict(facts or {}))
        run.begin(resume=resume)
        run.train(DrawnSamples(samples, transform, seed=options.seed), progress, cancel)
        return run.finish()


class _Run:
    def __init__(
        self,
        network: nn.Module,
        loss: TissueLoss,
        validate: Validate,
        output: Path,
        options: FitOptions,
        placement: Placement,
        facts: dict[str, Any],
    ) -> None:
        torch.manual_seed(options.seed)
        self.network, self.loss = network.to(placement.device), loss.to(placement.device)
        self.network.to(memory_format=torch.channels_last)  # a quarter faster on a CPU
        self.averaged = copy.deepcopy(self.network) if options.average else None
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=options.learning_rate, weight_decay=options.weight_decay
        )
        self.scaler = torch.amp.GradScaler("cuda", enabled=placement.scaled)
        self.validate, self.options, self.placement, self.facts = validate, options, placement, facts
        self.output, self.now, self.started = output, _Counters(), time.monotonic()
        self.clipped: tuple[list[nn.Parameter], ...] = ()

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
        log = self.output / LOG
        kept = [line for line in _lines(log) if line["step"] <= self.now.step]  # a dead run may have logged beyond
        log.write_text("".join(json.dumps(line, sort_keys=True) + "\n" for line in kept), encoding="utf-8")

    def _restore(self, state: checkpoints.State, path: Path) -> None:
        if state.facts["training"] != self._identity():
            raise TrainingError(
                f"{path} is a training with other settings: its checkpoint can only go on with the configs and data it "
                "began with. Use them, or choose another folder."
            )
        self.network.load_state_dict(state.part("network"))
        if self.averaged is not None:
            self.averaged.load_state_dict(state.part("average"))
        checkpoints.restore_optimizer(self.optimizer, state.part("optimizer"))
        if self.placement.scaled:
            self.scaler.load_state_dict(state.facts["scaler"])
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
            if step % options.validate_every == 0 or step == options.steps:
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

    def _step(self, batch: dict[str, Tensor]) -> LossTerms:
        options, device = self.options, self.placement.device
        for group in self.optimizer.param_groups:
            group["lr"] = options.learning_rate_at(self.now.step)
        self.network.train()
        batch = {name: tensor.to(device, non_blocking=True) for name, tensor in batch.items()}
        image, count = batch["image"], len(batch["image"])
        still = batch.get("still")
        near = None if still is None else still.flatten(1).any(dim=1).nonzero()[:, 0]  # the others have no neighbour
        images = image if near is None else torch.cat([image, batch["neighbour"][near]])
        extra: tuple[Tensor, ...] = ()
        if getattr(self.network, "summary", 0):
            volume = batch[VOLUME]
            extra = (volume if near is None else torch.cat([volume, volume[near]]),)
        with torch.autocast(device.type, dtype=self.placement.precision, enabled=self.placement.mixed):
            out = self.network(images, *extra)
        neighbour = None if near is None else out.logits[:count].index_put((near,), out.logits[count:])
        doubt = None if out.log_scale is None else out.log_scale[:count]
        terms: LossTerms = self.loss(
            out.logits[:count], doubt, batch["target"], neighbour_logits=neighbour, still=still
        )
        self.optimizer.zero_grad(set_to_none=True)
        groups = self._clipped_apart(terms)
        self.scaler.scale(terms.total).backward()
        self.scaler.unscale_(self.optimizer)
        for group in groups:
            nn.utils.clip_grad_norm_(group, options.clip_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self._average()
        return LossTerms(*(term.detach() for term in terms))

    def _clipped_apart(self, terms: LossTerms) -> tuple[list[nn.Parameter], ...]:
        """Return the parameters that colour depends on, and the rest.

        One norm for both would let the scale head, whose gradient is large at first, hold the colour back.
        """
        if not self.clipped:
            parameters = [p for p in self.network.parameters() if p.requires_grad]
            colored = torch.autograd.grad(
                terms.cross_entropy + terms.color, parameters, retain_graph=True, allow_unused=True
            )
            pairs = list(zip(parameters, colored, strict=True))
            self.clipped = ([p for p, g in pairs if g is not None], [p for p, g in pairs if g is None])
        return self.clipped

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

    def _log_terms(self, terms: LossTerms) -> None:
        figures = {name: float(value) for name, value in terms._asdict().items()}
        if not math.isfinite(figures["total"]):
            raise TrainingError(
                f"The loss is no longer finite at step {self.now.step}. Lower learning_rate, or train in float32; "
                "--resume goes on from the last checkpoint."
            )
        self._log({"loss": figures, "learning_rate": self.options.learning_rate_at(self.now.step - 1)})

    def _log(self, line: dict[str, Any]) -> None:
        entry = {"step": self.now.step, "seconds": round(time.monotonic() - self.started, 3)} | line
        with (self.output / LOG).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(entry, sort_keys=True) + "\n")

    def _judge(self) -> None:
        """Validate; keep the best weights; decide whether to stop."""
        network = self.kept.eval()
        with torch.no_grad():
            figures = {name: float(value) for name, value in self.validate(network).items()}
        if MONITORED not in figures or not math.isfinite(figures[MONITORED]):
            raise TrainingError(
                f'Validation gave no finite "{MONITORED}" at step {self.now.step}: got {figures}. Check that the '
                "validation patients have pixels inside the body."
            )
        self._log({"validation": figures})
        if not self.now.best or figures[MONITORED] < self.now.best[MONITORED]:
            self.now.best, self.now.best_step, self.now.without_gain = figures, self.now.step, 0
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
        if self.averaged is not None:
            tensors |= checkpoints.with_prefix("average", self.averaged.state_dict())
        tensors |= checkpoints.with_prefix("optimizer", checkpoints.optimizer_tensors(self.optimizer))
        facts = {"training": self._identity(), "counters": vars(self.now), "scaler": self.scaler.state_dict()}
        checkpoints.write_state(self.output / checkpoints.LAST, tensors, facts)

    def finish(self) -> FitResult:
        """Export the best weights in half precision."""
        weights, digest, now = None, "", self.now
        if now.stopped != "cancelled":
            best = checkpoints.read_state(self.output / checkpoints.BEST)
            weights = self.output / checkpoints.EXPORT
            digest = checkpoints.write_state(weights, half_precision(best.tensors), best.facts)
        return FitResult(now.stopped, now.step, now.best_step, now.best, weights, digest, self.placement.reason)


def _lines(log: Path) -> list[dict[str, Any]]:
    if not log.is_file():
        return []
    lines = []
    for text in log.read_text(encoding="utf-8").splitlines():
        try:
            lines.append(json.loads(text))
        except json.JSONDecodeError:
            break  # a run that died while writing: what follows is not to be trusted
    return lines


def _loader(drawn: DrawnSamples, options: FitOptions, first: int) -> Any:
    from monai.data import DataLoader

    positions = Positions(first * options.batch, options.steps * options.batch)
    return DataLoader(
        drawn, batch_size=options.batch, sampler=positions, num_workers=options.workers, collate_fn=stack_samples
    )
