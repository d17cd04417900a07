"""From cells to lines: each arm against gray, and against every control, family by family."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from medcolor.comparison.cells import Cell, Outcome
from medcolor.comparison.metrics import FAILED
from medcolor.comparison.plan import AGAIN, GRAY, budget_text
from medcolor.comparison.statistics import LEVEL, Estimate, Verdict, Word, estimate, holm, judge

Floats = NDArray[np.float64]
NOTHING = float("nan")
_LESS_IS_BETTER = ("hd95", "volume_error", "clicks", "never")


def better(metric: str) -> int:
    """Return 1 where more is better, -1 where less is."""
    return -1 if metric.startswith(_LESS_IS_BETTER) else 1


@dataclass(frozen=True, slots=True)
class Group:
    """Cells that differ in arm and seed alone, by one metric.

    Attributes
    ----------
    task, tier, segmenter, metric : str
    budget : int
    values : Mapping of str to Mapping
        Arm -> seed -> patient -> value.
    """

    task: str
    tier: str
    segmenter: str
    budget: int
    metric: str
    values: Mapping[str, Mapping[int, Mapping[str, float]]]

    def table(self, arm: str, other: str) -> tuple[Floats, Floats, tuple[str, ...]]:
        """Return an arm and what it is compared with, (trainings, patients) each, and the patients.

        Gray is the mean of gray and gray again where both have all the trainings; gray again is compared with gray
        alone.
        """
        mine, theirs = self.values[arm], self.values[other]
        seeds = sorted(mine.keys() & theirs.keys())
        patients = tuple(sorted({patient for seed in seeds for patient in mine[seed].keys() | theirs[seed].keys()}))
        ours, base = _filled(mine, seeds, patients), _filled(theirs, seeds, patients)
        if other == GRAY and self.doubled(arm):
            base = (base + _filled(self.values[AGAIN], seeds, patients)) / 2
        return ours, base, patients

    def doubled(self, arm: str) -> bool:
        """Whether gray again takes part in what an arm is compared with."""
        seeds = self.values[arm].keys() & self.values[GRAY].keys()
        return arm not in {GRAY, AGAIN} and AGAIN in self.values and seeds <= self.values[AGAIN].keys()


def _filled(found: Mapping[int, Mapping[str, float]], seeds: Sequence[int], patients: Sequence[str]) -> Floats:
    rows = [[found[seed].get(patient, NOTHING) for patient in patients] for seed in seeds]
    return np.array(rows, dtype=np.float64).reshape(len(seeds), len(patients))


@dataclass(frozen=True, slots=True)
class Line:
    """One line of ``study.csv``; the names of its columns are these. NaN is written as nothing."""

    task: str
    tier: str
    arm: str
    budget: str
    segmenter: str
    metric: str
    control: str
    runs: int
    patients: int
    left_out: int
    baseline: str
    arm_mean: float
    baseline_mean: float
    difference: float
    low: float
    high: float
    p: float
    family: int
    p_holm: float
    low_holm: float
    high_holm: float
    bootstrap_low: float
    bootstrap_high: float
    wilcoxon_p: float
    effect: float
    smallest_difference: float
    controls: int = 0
    closest_control: str = ""
    closest_difference: float = NOTHING
    closest_low: float = NOTHING
    closest_high: float = NOTHING
    closest_p_holm: float = NOTHING
    beats_controls: str = ""
    remark: str = ""
    verdict: str = str(Word.NONE)

    @property
    def key(self) -> tuple[str, str, str, str]:
        """Task, tier, metric and budget: the family that Holm adjusts over."""
        return self.task, self.tier, self.metric, self.budget


COLUMNS = tuple(field.name for field in fields(Line))


def group_cells(outcomes: Mapping[Cell, Outcome]) -> list[Group]:
    """Return the groups of finished cells, for every metric that is no label's own."""
    found: dict[tuple[str, str, str, int, str], dict[str, dict[int, dict[str, float]]]] = {}
    for cell, outcome in outcomes.items():
        for row in outcome.rows:
            if ":" in row.metric or row.metric == FAILED:
                continue
            key = (cell.task, cell.tier, cell.segmenter, cell.budget, row.metric)
            arms = found.setdefault(key, {})
            arms.setdefault(cell.arm, {}).setdefault(cell.seed, {})[row.patient] = row.value
    return [Group(*key, values) for key, values in found.items()]


def judge_study(groups: Iterable[Group], controls: Collection[str]) -> list[Line]:
    """Return a line for every arm of every group but gray itself.

    Parameters
    ----------
    groups : iterable of Group
    controls : collection of str
        Arms that are controls; an arm that is none must beat each of them.
    """
    families: dict[tuple[str, str, str, int], list[Group]] = {}
    for group in groups:
        if GRAY in group.values:
            families.setdefault((group.task, group.tier, group.metric, group.budget), []).append(group)
    return [line for family in families.values() for line in _family(family, frozenset(controls) | {AGAIN})]


def _family(groups: Sequence[Group], controls: frozenset[str]) -> Iterator[Line]:
    pairs = [(group, arm) for group in groups for arm in group.values if arm != GRAY]
    tables = [group.table(arm, GRAY) for group, arm in pairs]
    estimates = [
        estimate(ours - base, repeats=group.tier == "learned")
        for (group, _), (ours, base, _) in zip(pairs, tables, strict=True)
    ]
    verdicts = judge(estimates, better=better(groups[0].metric))
    lines = [
        _line(group, arm, table[:2], one, verdict, len(pairs), arm in controls)
        for (group, arm), table, one, verdict in zip(pairs, tables, estimates, verdicts, strict=True)
    ]
    yield from _against_controls(lines, pairs, estimates, controls)


def _line(
    group: Group, arm: str, table: tuple[Floats, Floats], one: Estimate, verdict: Verdict, family: int, control: bool
) -> Line:
    known = np.isfinite(table[0] - table[1])
    mean, base = (float(side[known].mean()) if known.any() else NOTHING for side in table)
    low, high = one.interval()
    return Line(
        group.task,
        group.tier,
        arm,
        budget_text(group.budget),
        group.segmenter,
        group.metric,
        "yes" if control else "no",
        one.runs,
        one.patients,
        one.left_out,
        f"mean of {GRAY} and {AGAIN}" if group.doubled(arm) else GRAY,
        mean,
        base,
        one.difference,
        low,
        high,
        one.p,
        family,
        verdict.p_holm,
        verdict.low_holm,
        verdict.high_holm,
        one.bootstrap_low,
        one.bootstrap_high,
        one.wilcoxon,
        one.effect,
        one.smallest_difference(LEVEL / family),
        remark=one.remark,
        verdict=str(verdict.word),
    )


def _against_controls(
    lines: Sequence[Line], pairs: Sequence[tuple[Group, str]], estimates: Sequence[Estimate], controls: frozenset[str]
) -> Iterator[Line]:
    """Say of each arm that is no control how it does against the control that it beats least.

    Beating every control is an intersection of tests: its p is the largest of theirs, gray's among them, and Holm
    adjusts these over the arms.
    """
    closest = {
        place: _closest(group, arm, controls)
        for place, (group, arm) in enumerate(pairs)
        if arm not in controls and controls & group.values.keys() - {AGAIN}
    }
    p = [
        max(found[0], _one_sided(estimates[place], better(pairs[place][0].metric))) for place, found in closest.items()
    ]
    adjusted = dict(zip(closest, holm(p).tolist(), strict=True))
    for place, line in enumerate(lines):
        if place not in closest:
            yield line
            continue
        _, name, one, count = closest[place]
        low, high = one.interval()
        wins = adjusted[place] < LEVEL and line.verdict == Word.GAIN
        yield replace(
            line,
            controls=count,
            closest_control=name,
            closest_difference=one.difference,
            closest_low=low,
            closest_high=high,
            closest_p_holm=adjusted[place],
            beats_controls="yes" if wins else "no",
        )


def _closest(group: Group, arm: str, controls: frozenset[str]) -> tuple[float, str, Estimate, int]:
    found = []
    for name in sorted(controls & group.values.keys() - {AGAIN}):
        ours, theirs, _ = group.table(arm, name)
        one = estimate(ours - theirs, repeats=group.tier == "learned", draws=1)
        found.append((_one_sided(one, better(group.metric)), name, one))
    p, name, one = max(found, key=lambda entry: (entry[0], -entry[2].difference * better(group.metric)))
    return p, name, one, len(found)


def _one_sided(one: Estimate, side: int) -> float:
    """Return the two-sided p where the difference is to the better, else 1."""
    return one.p if one.difference * side > 0 else 1.0


def to_csv(lines: Iterable[Line]) -> str:
    """Return ``study.csv``."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS)
    for line in lines:
        writer.writerow([_text(getattr(line, name)) for name in COLUMNS])
    return buffer.getvalue()


def _text(value: object) -> str:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.6g}"
    return str(value)


__all__ = ["COLUMNS", "Group", "Line", "better", "group_cells", "judge_study", "to_csv"]
