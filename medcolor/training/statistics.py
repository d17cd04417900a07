"""Intervals by patient: slices of one patient are not independent, so patients are what is drawn again.

Where several trainings exist, they are drawn as well: with few patients or labels the noise of training is larger
than that of the patients, and an interval over patients alone is too narrow (``docs/training.md``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
DRAWS = 2000


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure with its 95 % percentile interval.

    Parameters
    ----------
    value : float
        The figure over all patients; NaN where no patient has it.
    low, high : float
        2.5 and 97.5 percentiles of the bootstrap; NaN below two patients, where there is no interval.
    patients : int
        How many patients carry the figure.
    """

    value: float
    low: float
    high: float
    patients: int

    def to_json(self) -> dict[str, float | int | None]:
        """Return plain numbers; None for NaN, which JSON does not have."""
        return {
            key: None if isinstance(number, float) and not np.isfinite(number) else number
            for key, number in asdict(self).items()
        }

    def __format__(self, spec: str) -> str:
        digits = spec or ".2f"
        if not np.isfinite(self.value):
            return "-"
        if not np.isfinite(self.low):
            return f"{self.value:{digits}} [one patient]"
        return f"{self.value:{digits}} [{self.low:{digits}}, {self.high:{digits}}]"


def _mean(columns: Floats) -> Floats:
    return columns[..., 0].mean(axis=-1)


def bootstrap(
    table: ArrayLike,
    statistic: Callable[[Floats], Any] = _mean,
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> Interval:
    """Return a statistic over patients with its bootstrap interval.

    Parameters
    ----------
    table : array_like of float, (patients,), (patients, columns) or (runs, patients, columns)
        One row for each patient; columns stay together, so ratios and differences are paired. A patient with a NaN
        has no such figure and is left out. With a first axis of runs (trainings), runs are drawn as well.
    statistic : callable
        (..., patients, columns) to (...); the mean of the first column when left out.
    draws : int
        Bootstrap samples.
    seed : int
        Equal seeds give equal intervals.

    Raises
    ------
    ValueError
        A table of another shape.
    """
    rows = np.asarray(table, dtype=np.float64)
    rows = rows[None, :, None] if rows.ndim == 1 else rows[None] if rows.ndim == 2 else rows
    if rows.ndim != 3:
        raise ValueError(
            f"table must be (patients,), (patients, columns) or (runs, patients, columns), got {rows.shape}."
        )
    rows = rows[:, np.isfinite(rows).all(axis=(0, 2))]
    runs, patients, _ = rows.shape
    if patients == 0:
        return Interval(np.nan, np.nan, np.nan, 0)
    value = float(statistic(rows.mean(axis=0)))
    if patients < 2:
        return Interval(value, np.nan, np.nan, patients)
    chance = np.random.default_rng(seed)
    who = chance.integers(patients, size=(draws, patients))
    which = chance.integers(runs, size=(draws, runs))
    drawn = np.stack([rows[w].mean(axis=0)[p] for w, p in zip(which, who, strict=True)]) if runs > 1 else rows[0][who]
    low, high = np.percentile(np.asarray(statistic(drawn), np.float64), (2.5, 97.5))
    return Interval(value, float(low), float(high), patients)


def ratio_of_means(columns: Floats) -> Floats:
    """Mean of the first column over mean of the second: ``statistic`` for "at most half of what physics gives"."""
    below = columns[..., 1].mean(axis=-1)
    return columns[..., 0].mean(axis=-1) / np.where(below == 0, np.nan, below)


def difference_of_means(columns: Floats) -> Floats:
    """Mean of the first column minus mean of the second."""
    return columns[..., 0].mean(axis=-1) - columns[..., 1].mean(axis=-1)


def by_patient(figures: Mapping[str, Mapping[str, float]], *names: str) -> Floats:
    """Return (patients, names) from {patient: {name: figure}}, patients in sorted order, NaN where missing."""
    rows = [[figures[patient].get(name, np.nan) for name in names] for patient in sorted(figures)]
    return np.array(rows, dtype=np.float64).reshape(len(rows), len(names))
