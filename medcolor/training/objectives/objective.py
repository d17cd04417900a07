"""What a training does at a step. The loop knows samples, time, validation and checkpoints; an objective the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from medcolor.errors import TrainingError
from medcolor.training.devices import Placement
from medcolor.training.learner import Learner, adamw
from medcolor.training.options import FitOptions

NETWORK = "network"
"""The learner of the network itself."""
ERROR = "error"
"""The figure of a validation that most objectives make small."""


@dataclass(frozen=True)
class Step:
    """Where a training is.

    Parameters
    ----------
    number : int
        Steps made before this one.
    options : FitOptions
    placement : Placement
    """

    number: int
    options: FitOptions
    placement: Placement


class Objective(nn.Module):
    """One step on one batch, and what belongs to it.

    Companion networks (a discriminator) and anything else that must survive a restart are modules and persistent
    buffers of the objective: the loop moves them to the device and keeps them in every checkpoint. Chance is torch's,
    which the loop sets anew for every step; so a training that was cut off goes on to the same bytes.
    """

    def prepare(
        self, network: nn.Module, samples: Sequence[Mapping[str, Any]], *, palette_ab: Tensor, seed: int
    ) -> None:
        """Look at what there is before the first step, for a prior or a default that the network carries.

        Parameters
        ----------
        network : nn.Module
        samples : sequence of dict
            The training samples, not transformed.
        palette_ab : Tensor, (K, 2)
            Colours of the classes of the targets.
        seed : int
        """

    def learners(self, network: nn.Module, options: FitOptions, placement: Placement) -> dict[str, Learner]:
        """Return the optimizers by name; :data:`NETWORK` is the network's."""
        return {NETWORK: adamw(network.parameters(), options, scaled=placement.scaled)}

    def learning_rate_at(self, step: int, options: FitOptions) -> float:
        """Return the learning rate of a step (0-based)."""
        return options.learning_rate_at(step)

    def is_judged(self, step: int, options: FitOptions) -> bool:
        """Whether the network is validated after so many steps; after the last it is in any case."""
        return step % options.validate_every == 0

    def step(
        self, network: nn.Module, batch: Mapping[str, Tensor], learners: Mapping[str, Learner], at: Step
    ) -> dict[str, Tensor]:
        """Change the network by one batch.

        Parameters
        ----------
        network : nn.Module
            In training mode.
        batch : mapping of str to Tensor
            From :func:`~medcolor.training.drawing.stack_samples`, on the device.
        learners : mapping of str to Learner
            Their rates are set.
        at : Step

        Returns
        -------
        dict of str to Tensor
            Terms to log, detached scalars; must be finite.
        """
        raise NotImplementedError

    def value(self, step: int, figures: Mapping[str, float]) -> float | None:
        """Return the number that decides which weights are kept, the smallest wins; None: these are not to be kept.

        Parameters
        ----------
        step : int
            Steps made.
        figures : mapping of str to float
            Of the validation.

        Raises
        ------
        TrainingError
            The validation has no finite ``error``.
        """
        return figure(figures, ERROR, step)


def figure(figures: Mapping[str, float], name: str, step: int) -> float:
    """Return a figure of a validation.

    Raises
    ------
    TrainingError
        There is none, or it is not finite.
    """
    value = figures.get(name, float("nan"))
    if not -float("inf") < value < float("inf"):
        raise TrainingError(
            f'Validation gave no finite "{name}" at step {step}: got {dict(figures)}. Check that the validation '
            "patients have pixels inside the body."
        )
    return value


__all__ = ["ERROR", "NETWORK", "Objective", "Step", "figure"]
