"""What differs between trainings of tissue networks and of systems that learn colours at once: four answers each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from medcolor.errors import TrainingError
from medcolor.training.objectives import ChromaObjective, Objective, TissueObjective
from medcolor.training.objectives.chroma import CONSISTENCY

if TYPE_CHECKING:
    from torch import nn

    from medcolor.networks.normalization import Normalization
    from medcolor.training.arms import Predict
    from medcolor.training.datasets import TissueDataset
    from medcolor.training.evaluate import LabeledScan
    from medcolor.training.recipe import Recipe


class System(Protocol):
    """A kind of network, as :func:`medcolor.training.supervised.train` sees it."""

    def objective(self, dataset: TissueDataset) -> Objective | None:
        """Return what a step does; None of one that is fitted without steps."""

    def neighbors(self) -> bool:
        """Whether training looks at neighbouring slices."""

    def validate(
        self, network: nn.Module, normalization: Normalization, cases: Sequence[LabeledScan], device: Any
    ) -> Mapping[str, float]:
        """Return figures of a network on validation patients."""

    def shipped(self, output: Path, device: str) -> Predict:
        """Return the arm of the bundle in a folder, as somebody would use it."""


def system_of(recipe: Recipe) -> System:
    """Return the system that a recipe trains: with ``method``, colours at once, else tissue.

    Raises
    ------
    TrainingError
        Sections of the one kind in a recipe of the other.
    """
    chroma = recipe.get("method") is not None
    if not chroma and (wrong := [key for key in ("objective", "fitting") if recipe.get(key) is not None]):
        raise TrainingError(f"{', '.join(wrong)}: only a recipe with a method has this; tissue networks have a loss.")
    if chroma and recipe.get("loss") is not None:
        raise TrainingError("loss: only tissue networks have this; a method has an objective, or a fitting.")
    if chroma and (recipe.get("objective") is None) == (recipe.get("fitting") is None):
        raise TrainingError("A method has either an objective, or a fitting.")
    return ChromaSystem(recipe) if chroma else TissueSystem(recipe)


class TissueSystem:
    """Networks that say which tissue is where."""

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self._style = str(recipe.get("style", "contrast"))

    def objective(self, dataset: TissueDataset) -> Objective:
        """Return the tissue loss of the recipe's ``loss``."""
        from medcolor.training.losses import rarity_weights, tissue_loss

        wanted = dict(self._recipe.get("loss", {}))
        power = float(wanted.pop("rarity", 0.0))
        if power and wanted.get("class_weights") is None:
            pixels = np.sum([facts["class_pixels"] for _, facts in dataset.facts()], axis=0)
            wanted["class_weights"] = rarity_weights(pixels, power=power).tolist()
        try:
            return TissueObjective(tissue_loss(self._recipe.family, style=self._style, **wanted))
        except (TypeError, ValueError) as error:
            raise TrainingError(f"loss: {error}") from error

    def neighbors(self) -> bool:
        """Whether the loss has a term of consistency."""
        return float(dict(self._recipe.get("loss", {})).get("consistency", 0.5)) > 0

    def validate(
        self, network: nn.Module, normalization: Normalization, cases: Sequence[LabeledScan], device: Any
    ) -> Mapping[str, float]:
        """Return the mean CIEDE2000."""
        from medcolor.training.arms import learned
        from medcolor.training.evaluate import mean_error

        predict = learned(network, normalization, device=device)
        return mean_error(cases, predict, family=self._recipe.family, style=self._style)

    def shipped(self, output: Path, device: str) -> Predict:
        """Return the arm of the bundle in a folder."""
        from medcolor.bundles import load_bundle
        from medcolor.colorizers.network import NetworkColorizer
        from medcolor.training.arms import shipped

        return shipped(NetworkColorizer(load_bundle(output, trust=True), palette=self._style, device=device))


class ChromaSystem:
    """Networks that give (a*, b*) and learned it from the colours of one palette."""

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self._objective = recipe.get("objective")
        if self._objective is not None and not isinstance(self._objective, ChromaObjective):
            raise TrainingError(
                f"objective: {type(self._objective).__name__} is none of medcolor.training.objectives that teach "
                "colours."
            )

    def objective(self, dataset: TissueDataset) -> Objective | None:
        """Return the recipe's ``objective``."""
        found: Objective | None = self._objective
        return found

    def neighbors(self) -> bool:
        """Whether the objective has a term of consistency."""
        return self._objective is not None and self._objective.weights[CONSISTENCY] > 0

    def validate(
        self, network: nn.Module, normalization: Normalization, cases: Sequence[LabeledScan], device: Any
    ) -> Mapping[str, float]:
        """Return the mean CIEDE2000, and how far the distribution of colours is from the target's."""
        from medcolor.training.arms import learned_colors
        from medcolor.training.evaluate import mean_error

        predict = learned_colors(network, normalization, device=device)
        style = str(self._recipe.get("style", "contrast"))
        return mean_error(cases, predict, family=self._recipe.family, style=style, spread=True)

    def shipped(self, output: Path, device: str) -> Predict:
        """Return the arm of the bundle in a folder."""
        from medcolor.bundles import load_bundle
        from medcolor.colorizers.chroma import ChromaColorizer
        from medcolor.training.arms import shipped_colors

        return shipped_colors(ChromaColorizer(load_bundle(output, trust=True), device=device))


__all__ = ["ChromaSystem", "System", "TissueSystem", "system_of"]
