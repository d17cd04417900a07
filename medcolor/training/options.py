"""How a training is set up, and how it ended."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from medcolor.errors import TrainingError
from medcolor.training.devices import Precision


@dataclass(frozen=True)
class FitOptions:
    """How long, how fast, and how carefully.

    Parameters
    ----------
    steps : int
        Batches in all; the cosine ends there.
    batch : int
        Samples in a batch.
    learning_rate, weight_decay : float
        Of AdamW.
    warm_up : float
        Part of the steps over which the learning rate rises.
    average : float
        Decay of the running mean of the weights, which is then what is validated and exported; 0 keeps none.
    validate_every, patience : int
        Steps between validations (a checkpoint is written at each), and how many of them in a row may bring nothing
        better before the training stops.
    log_every : int
        Steps between lines of the log.
    clip_norm : float
        Largest norm of the gradient.
    precision : str
        "auto", "float32", "bfloat16" or "float16".
    workers : int
        Processes that load samples; the result does not depend on them.
    seed : int
    """

    steps: int = 1000
    batch: int = 8
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    warm_up: float = 0.1
    average: float = 0.0
    validate_every: int = 100
    patience: int = 5
    log_every: int = 10
    clip_norm: float = 1.0
    precision: Precision = "auto"
    workers: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "validate_every", "patience", "log_every"):
            if getattr(self, name) < 1:
                raise TrainingError(f"{name} must be at least 1, got {getattr(self, name)}.")
        if not 0 <= self.warm_up <= 1 or not 0 <= self.average < 1:
            raise TrainingError(
                f"warm_up must lie in 0..1 and average in 0..1 without 1, got {self.warm_up} and {self.average}."
            )

    def learning_rate_at(self, step: int) -> float:
        """Return the learning rate of a step (0-based): a linear rise, then half a cosine."""
        rise = max(1.0, self.warm_up * self.steps)
        if step + 1 < rise:
            return self.learning_rate * (step + 1) / rise
        rest = (step + 1 - rise) / max(1.0, self.steps - rise)
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * min(1.0, rest)))


@dataclass(frozen=True)
class FitResult:
    """How a training ended.

    Parameters
    ----------
    stopped : str
        "done" (all steps), "early" (nothing better for ``patience`` validations), or "cancelled".
    steps, best_step : int
        Steps made, and the step whose weights were kept.
    best : dict
        Figures of the kept weights.
    weights : Path or None
        ``model.safetensors``; None when cancelled.
    sha256 : str
        Of that file.
    device : str
        Where it ran, in what precision, and why.
    """

    stopped: str
    steps: int
    best_step: int
    best: dict[str, float]
    weights: Path | None
    sha256: str
    device: str
