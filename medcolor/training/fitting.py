"""Methods that are fitted to the training data at once, without steps of the loop: samples of a reference, clusters.

A recipe names the function as ``fitting: {_target_: ..., _mode_: callable, ...}``; further entries are its keywords.
Everything else (data, targets, validation, export, card) is as for the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from medcolor.bundle_writing import half_precision
from medcolor.errors import TrainingError
from medcolor.training import checkpoints
from medcolor.training.log import TrainingLog
from medcolor.training.options import FitResult

if TYPE_CHECKING:
    from torch import nn

    from medcolor.training.datasets import TissueDataset
    from medcolor.training.recipe import Recipe

FITTED = "fitted"
"""How such a training "stopped"."""


class Fit(Protocol):
    """What a ``fitting`` names."""

    def __call__(
        self,
        recipe: Recipe,
        datasets: Mapping[str, TissueDataset],
        *,
        progress: Callable[[int, int], None] | None = None,
    ) -> nn.Module:
        """Return the network of ``recipe.get("network")``, fitted.

        Parameters
        ----------
        recipe : Recipe
            Also has ``normalization``, ``style`` and ``fit`` (its ``seed``).
        datasets : mapping of str to TissueDataset
            "train" and "val", without transform. Nothing may be learned from another side than "train".
        progress : callable, optional
            Called with (done, total).
        """


def fit_once(
    recipe: Recipe,
    datasets: Mapping[str, TissueDataset],
    *,
    validate: Callable[[nn.Module], Mapping[str, float]],
    output: Path,
    facts: Mapping[str, Any],
    device: Any = "cpu",
    progress: Callable[[int, int], None] | None = None,
) -> tuple[nn.Module, FitResult]:
    """Fit a method, validate it, and write its weights as the loop does.

    Raises
    ------
    TrainingError
        The section is no function.
    """
    function = recipe.get("fitting")
    if not callable(function):
        raise TrainingError("fitting: needs _mode_: callable, and the function's name as _target_.")
    network: nn.Module = function(recipe, datasets, progress=progress).eval().to(device)
    figures = {name: float(value) for name, value in validate(network).items()}
    output.mkdir(parents=True, exist_ok=True)
    log = TrainingLog(output)
    log.rewind(-1)
    log.write(0, {"validation": figures})
    told = {"training": dict(facts), "step": 0, "validation": figures}
    tensors = network.state_dict()
    for name in (checkpoints.LAST, checkpoints.BEST):
        checkpoints.write_state(output / name, tensors, told)
    weights = output / checkpoints.EXPORT
    digest = checkpoints.write_state(weights, half_precision(tensors), told)
    return network, FitResult(FITTED, 0, 0, figures, weights, digest, f"{device}, fitted without steps")


__all__ = ["FITTED", "Fit", "fit_once"]
