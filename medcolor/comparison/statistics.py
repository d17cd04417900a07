"""Is an arm better than gray: an interval that knows of patients and of trainings, and three words for it.

One training is tested on all patients of its fold, so trainings and patients are *crossed*: a lucky training lifts
every patient. The difference of arm and baseline, (trainings, patients), is the sum of a mean, an effect of the
training, an effect of the patient, and what is left. Its variance is estimated from the three mean squares, its degrees
of freedom after Satterthwaite; with few trainings that is too sure now and then, so the interval is never narrower than
the one of trainings alone (t over their means) or of patients alone. The hierarchical bootstrap that draws trainings
and patients again is given beside it; why the verdict is not read from that one, with the error rates of both:
``docs/adr/0009-verdicts-of-a-study.md``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from medcolor.scan import frozen_view

Floats = NDArray[np.float64]

LEVEL = 0.05
POWER = 0.8
DRAWS = 2000
NOTHING = float("nan")


class Word(StrEnum):
    """The three verdicts."""

    GAIN = "gain"
    LOSS = "loss"
    NONE = "no evidence"


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean difference and how well it is known; NaN where it cannot be.

    Attributes
    ----------
    difference : float
        Mean over patients of the mean over trainings.
    errors : tuple of (float, float)
        Standard error of the mean and its degrees of freedom: of trainings and patients together, of trainings alone,
        of patients alone. The least certain of them counts.
    bootstrap_low, bootstrap_high : float
        95 % percentile interval, trainings and patients drawn again.
    wilcoxon : float
        Two-sided p of the signed ranks of the patients' means; it knows nothing of the noise of training.
    effect : float
        Difference over the standard deviation of the patients' means (Cohen's d_z).
    runs, patients, left_out : int
        Trainings in all, patients judged, patients without a figure in some training.
    remark : str
        Why there is no interval.
    """

    difference: float
    errors: tuple[tuple[float, float], ...] = ()
    bootstrap_low: float = NOTHING
    bootstrap_high: float = NOTHING
    wilcoxon: float = NOTHING
    effect: float = NOTHING
    runs: int = 0
    patients: int = 0
    left_out: int = 0
    remark: str = ""

    @property
    def judged(self) -> bool:
        """Whether there is an interval."""
        return bool(self.errors)

    @property
    def p(self) -> float:
        """Two-sided p of no difference; 1 where there is no interval."""
        if not self.judged or self.difference == 0:
            return 1.0
        return max(self._p(error, degrees) for error, degrees in self.errors)

    def _p(self, error: float, degrees: float) -> float:
        from scipy.stats import t

        if error == 0:  # every patient moved by exactly the same: the sign test is all there is
            return float(min(1.0, 2.0 ** (1 - self.patients)))
        return float(2 * t.sf(abs(self.difference) / error, degrees))

    def interval(self, level: float = LEVEL) -> tuple[float, float]:
        """Return the interval that misses the truth with probability ``level``."""
        from scipy.stats import t

        if not self.judged:
            return NOTHING, NOTHING
        half = max(float(t.isf(level / 2, degrees)) * error for error, degrees in self.errors)
        return self.difference - half, self.difference + half

    def smallest_difference(self, level: float = LEVEL, power: float = POWER) -> float:
        """Return the true difference that such a study judges to be one with probability ``power``."""
        from scipy.stats import t

        if not self.judged:
            return NOTHING
        return max(float(t.isf(level / 2, df) + t.ppf(power, df)) * error for error, df in self.errors)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is said of one estimate among those of its family.

    Attributes
    ----------
    word : Word
    p_holm : float
        Adjusted over the family.
    low_holm, high_holm : float
        Interval at the level that Holm's step gives this estimate.
    """

    word: Word
    p_holm: float
    low_holm: float
    high_holm: float


def estimate(differences: ArrayLike, *, repeats: bool = True, draws: int = DRAWS) -> Estimate:
    """Estimate a mean paired difference.

    Parameters
    ----------
    differences : array_like of float, (trainings, patients) or (patients,)
        Arm minus baseline, the same patient, the same training patients. NaN where a training was not tested on a
        patient (folds) or the metric has no figure. Trainings tested on the same patients form a fold.
    repeats : bool
        Whether another run could come out differently. Then one run alone has no interval. False for methods without
        chance, whose one run is all there is.
    draws : int
        Bootstrap samples; always the same ones.

    Raises
    ------
    ValueError
        An array of another shape, or folds that overlap.
    """
    table = np.atleast_2d(np.asarray(differences, dtype=np.float64))
    if table.ndim != 2:
        raise ValueError(f"differences must be (trainings, patients) or (patients,), got {table.shape}.")
    folds, left_out = _folds(table)
    patients, runs = sum(fold.shape[1] for fold in folds), sum(fold.shape[0] for fold in folds)
    if patients == 0:
        return Estimate(NOTHING, left_out=left_out, remark="no patient has a figure")
    shares = np.array([fold.shape[1] / patients for fold in folds])
    means = np.concatenate([fold.mean(axis=0) for fold in folds])
    difference = float(means.mean())
    few = _too_few(folds, repeats)
    if few:
        return Estimate(difference, runs=runs, patients=patients, left_out=left_out, remark=few)
    spread = float(means.std(ddof=1))
    low, high = _bootstrap(folds, shares, draws)
    return Estimate(
        difference,
        _joined([_errors(fold) for fold in folds], shares),
        low,
        high,
        _wilcoxon(means),
        NOTHING if spread == 0 else difference / spread,
        runs,
        patients,
        left_out,
    )


def _folds(table: Floats) -> tuple[list[Floats], int]:
    """Return the complete blocks of (trainings, patients), and how many patients are in none.

    A patient whom only some of a fold's trainings have a figure for is left out.
    """
    known = np.isfinite(table)
    places = [place for place in range(len(table)) if known[place].any()]
    groups: list[list[int]] = []
    for place in places:  # trainings that share a patient belong together
        joined = [group for group in groups if (known[group].any(axis=0) & known[place]).any()]
        groups = [group for group in groups if group not in joined] + [[place, *(p for g in joined for p in g)]]
    blocks = []
    for group in groups:
        block = table[sorted(group)]
        blocks.append(block[:, np.isfinite(block).all(axis=0)])
    blocks = [block for block in blocks if block.shape[1]]
    return blocks, table.shape[1] - sum(block.shape[1] for block in blocks)


def _too_few(folds: Sequence[Floats], repeats: bool) -> str:
    if min(fold.shape[1] for fold in folds) < 2:
        return "one patient"
    if repeats and min(fold.shape[0] for fold in folds) < 2:
        return "one training: its luck cannot be told from the arm"
    return ""


Variance = tuple[float, float]
"""Of a mean, and its degrees of freedom."""


def _errors(fold: Floats) -> list[Variance]:
    """Return the variances of the mean of a fold (trainings, patients): crossed, of trainings, of patients."""
    runs, patients = fold.shape
    mean, by_run, by_patient = fold.mean(), fold.mean(axis=1), fold.mean(axis=0)
    of_patients = runs * float(((by_patient - mean) ** 2).sum()) / (patients - 1)
    alone = of_patients / fold.size, patients - 1.0
    if runs == 1:
        return [alone]
    rest = fold - by_run[:, None] - by_patient[None] + mean
    of_runs = patients * float(((by_run - mean) ** 2).sum()) / (runs - 1)
    of_rest = float((rest**2).sum()) / ((runs - 1) * (patients - 1))
    both = of_runs + of_patients - of_rest
    trained = of_runs / fold.size, runs - 1.0
    if both <= max(of_runs, of_patients):  # a component below zero: the other source is all there is
        return [max(trained, alone), trained, alone]
    squares = of_runs**2 / (runs - 1) + of_patients**2 / (patients - 1) + of_rest**2 / ((runs - 1) * (patients - 1))
    return [(both / fold.size, both**2 / squares), trained, alone]


def _joined(folds: Sequence[Sequence[Variance]], shares: Floats) -> tuple[Variance, ...]:
    """Return the standard errors of the mean of all folds, each of the kinds by itself."""
    if len({len(fold) for fold in folds}) > 1:  # a fold of one training has patients alone
        folds = [fold[-1:] for fold in folds]
    found = []
    for kind in zip(*folds, strict=True):
        variances = shares**2 * np.array([variance for variance, _ in kind])
        degrees = np.array([degrees for _, degrees in kind])
        total = float(variances.sum())
        known = total**2 / float((variances**2 / degrees).sum()) if total else float(degrees.sum())
        found.append((float(np.sqrt(total)), known))
    return tuple(found)


def _bootstrap(folds: Sequence[Floats], shares: Floats, draws: int) -> tuple[float, float]:
    """Draw trainings and patients of every fold again; both in an order of their own, so that theirs does not count."""
    total = np.zeros(draws)
    for place, (fold, share) in enumerate(zip(folds, shares, strict=True)):
        order = fold[np.argsort(fold.mean(axis=1), kind="stable")][:, np.argsort(fold.mean(axis=0), kind="stable")]
        runs, patients = order.shape
        which, who = _drawn(runs, draws, 2 * place), _drawn(patients, draws, 2 * place + 1)
        total += share * np.einsum("dp,dp->d", which @ order, who) / order.size
    low, high = np.percentile(total, (100 * LEVEL / 2, 100 - 100 * LEVEL / 2))
    return float(low), float(high)


@lru_cache(maxsize=16)
def _drawn(count: int, draws: int, seed: int) -> Floats:
    """Return how often each of ``count`` is drawn, (draws, count); the same for all arms."""
    chance = np.random.default_rng(seed)
    return frozen_view(chance.multinomial(count, np.full(count, 1 / count), size=draws).astype(np.float64))


def _wilcoxon(means: Floats) -> float:
    from scipy.stats import wilcoxon

    if not means.any():
        return 1.0
    alike = np.round(means / np.abs(means).max(), 9)  # what differs by rounding alone is a tie, in any order
    return float(wilcoxon(alike).pvalue)


def holm(values: ArrayLike) -> Floats:
    """Return p-values adjusted after Holm (1979) for all of them together."""
    p = np.asarray(values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    steps = len(p) - np.arange(len(p))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * steps), 1.0)
    return adjusted


def judge(estimates: Sequence[Estimate], *, better: int = 1, level: float = LEVEL) -> list[Verdict]:
    """Give each estimate of one family its verdict: wrong in any of them with probability ``level`` at most.

    Parameters
    ----------
    estimates : sequence of Estimate
    better : int
        1 where more is better, -1 where less is.
    level : float
    """
    return list(_judged(estimates, better, level))


def _judged(estimates: Sequence[Estimate], better: int, level: float) -> Iterator[Verdict]:
    p = np.array([one.p for one in estimates], dtype=np.float64)
    adjusted = holm(p)
    ranks = np.argsort(np.argsort(p, kind="stable"), kind="stable")
    for one, rank, sure in zip(estimates, ranks, adjusted, strict=True):
        low, high = one.interval(level / (len(p) - int(rank)))
        side = Word.GAIN if one.difference * better > 0 else Word.LOSS
        yield Verdict(side if one.judged and sure < level else Word.NONE, float(sure), low, high)


__all__ = ["DRAWS", "LEVEL", "POWER", "Estimate", "Verdict", "Word", "estimate", "holm", "judge"]
