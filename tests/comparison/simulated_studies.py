"""Studies whose truth is known: Dice of patients under several trainings of gray, gray again and arms."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.stats import beta

from medcolor.comparison.cells import Cell, Outcome, Row
from medcolor.comparison.verdicts import Line, group_cells, judge_study

QUIET, MEASURED = 0.01, 0.036
"""Standard deviation of the mean Dice of one training. MEASURED: gray against gray again within +-.1 in 95 % of pairs,
as was seen at two labelled patients."""

Chance = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]


def normal(chance: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return chance.normal(0, 1, shape)


def heavy(chance: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Student's t with three degrees of freedom: a failed patient or training now and then."""
    return chance.standard_t(3, shape) / np.sqrt(3)


def skewed(chance: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return 1 - chance.exponential(1, shape)


@dataclass(frozen=True)
class World:
    """Noise: of trainings (common to all patients), of how much each patient profits, and of what is left."""

    runs: int = 8
    patients: int = 42
    training: float = QUIET
    profit: float = 0.03
    rest: float = 0.05
    tier: str = "learned"
    noise: Chance = normal

    def study(self, seed: int, gains: Mapping[str, float]) -> dict[str, Line]:
        """Simulate a study with these true gains, and return the line of each arm, gray again among them."""
        chance = np.random.default_rng(seed)
        level = 0.7 + 0.1 * normal(chance, (self.patients,))
        labels = 0.03 * normal(
            chance, (self.runs, 1)
        )  # which patients were drawn to be labelled: the same for all arms
        outcomes: dict[Cell, Outcome] = {}
        for arm, gain in {"gray": 0.0, "gray_again": 0.0, **gains}.items():
            dice = level + labels + self.training * self.noise(chance, (self.runs, 1))
            dice = dice + self.rest * self.noise(chance, (self.runs, self.patients))
            if arm in gains:
                dice = dice + gain + self.profit * self.noise(chance, (self.patients,))
            for run, values in enumerate(dice):
                rows = tuple(Row(f"p{n:03d}", "dice", float(value)) for n, value in enumerate(values))
                outcomes[Cell("task", self.tier, "unet", arm, 2, run)] = Outcome(rows, 1.0)
        return {line.arm: line for line in judge_study(group_cells(outcomes), controls=())}


def upper_bound(hits: int, trials: int) -> float:
    """Return the upper end of the two-sided 95 % interval of Clopper and Pearson."""
    return float(beta.ppf(0.975, hits + 1, trials - hits)) if hits < trials else 1.0
