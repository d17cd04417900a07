"""Segmentation on gray and on colour: k-means, joined into labels by the same oracle for every arm; judged by patient.

The cells are those of a study (:mod:`medcolor.comparison`): the same grid, arms, leak guard, figures and statistics.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medcolor.benchmarking.khan.blur import BLURRED, blurred_arm
from medcolor.benchmarking.khan.labels import is_simulated, simulated_task
from medcolor.comparison.arms import Arm
from medcolor.comparison.cells import CellStore
from medcolor.comparison.plan import GRAY, NO_LABELS, Study, TierPlan
from medcolor.comparison.statistics import Estimate, Verdict, estimate, judge
from medcolor.comparison.study import run_study
from medcolor.comparison.tasks import Task
from medcolor.comparison.verdicts import Group, group_cells
from medcolor.comparison.workbench import Workbench
from medcolor.errors import SettingError

TIER, SEGMENTER, METRIC = "classical", "k-means", "dice"
SIDE = 128
LUT, SHUFFLED = "lut", "shuffled"
_AGAINST = {LUT: (GRAY, BLURRED, SHUFFLED), BLURRED: (GRAY,), SHUFFLED: (GRAY,), GRAY: ()}
_EVERY = (GRAY, LUT, BLURRED, SHUFFLED)  # what any other arm is compared with


@dataclass
class Bench(Workbench):
    """A workbench that has simulated tasks of nuclear medicine and mammography too, and blurred gray as an arm."""

    def task(self, name: str) -> Task:
        """Return a task, found once."""
        if is_simulated(name) and name not in self._tasks:
            self._tasks[name] = simulated_task(name)
        return super().task(name)

    def arm(self, name: str, task: str) -> Arm:
        """Return an arm for a task, found once."""
        if name.startswith(f"{BLURRED}:") and (name, task) not in self._arms:
            self._arms[name, task] = blurred_arm(name)
        return super().arm(name, task)

    def side(self, task: str) -> int:
        """Return the side of the square slices are brought to; simulated ones are all larger, so none is made here."""
        return self.study.size if is_simulated(task) else super().side(task)


@dataclass(frozen=True, eq=False)
class Judged:
    """An arm on a task.

    Attributes
    ----------
    arm : str
        "lut" of any table.
    dice : tuple of float
        By patient; NaN where there was nothing to find.
    against : Mapping of str to Estimate
        Other arm -> difference, paired by patient: gray, the table, blurred, shuffled, as far as they are there.
    verdict : Verdict or None
        Against gray, Holm over the arms of the task.
    remark : str
        What must stand beside it: what its colorizer saw of the task, or why there are no figures.
    """

    arm: str
    dice: tuple[float, ...] = ()
    against: Mapping[str, Estimate] = field(default_factory=dict)
    verdict: Verdict | None = None
    remark: str = ""


def planned(task: str, arms: Sequence[str], patients: int, slices: int) -> Study:
    """Return the study of one task: one segmenter, nothing trained."""
    plan = TierPlan(TIER, (SEGMENTER,), (task,), tuple(arms), (NO_LABELS,), {NO_LABELS: 1}, {}, patients, slices)
    return Study("Khan's columns", "", (plan,), SIDE)


def judged(
    task: str,
    arms: Sequence[str],
    data: Path | None,
    store: CellStore,
    *,
    patients: int,
    slices: int,
    progress: Callable[[], None],
) -> list[Judged]:
    """Segment the test patients of a task under each arm, and judge; what is in the store is not segmented again.

    Raises
    ------
    MedcolorError
        Gray itself could not be segmented.
    """
    study = planned(task, arms, patients, slices)
    bench = Bench(study, data, "cpu")
    ran = run_study(study.cells(), store, lambda: bench)
    for _ in arms:
        progress()
    missing = {_called(cell.arm): why for cell, why in (ran.refused | ran.failed).items()}
    if GRAY in missing:
        raise SettingError(f"{task} could not be segmented on gray: {missing[GRAY]}")
    (group,) = (group for group in group_cells(ran.outcomes) if group.metric == METRIC)
    remarks = {_called(name): bench.arm(name, task).remark for name in arms if _called(name) not in missing}
    renamed = replace(group, values={_called(arm): values for arm, values in group.values.items()})
    return list(_judged(renamed, [_called(arm) for arm in arms], missing, remarks))


def _called(arm: str) -> str:
    """Return what an arm with a setting is called in the table: "lut" of lut:viridis, "blurred" of blurred:2."""
    return arm.partition(":")[0]


def _judged(
    group: Group, arms: Sequence[str], missing: Mapping[str, str], remarks: Mapping[str, str]
) -> Iterator[Judged]:
    there = [arm for arm in arms if arm in group.values]
    against = {
        arm: {other: _against(group, arm, other) for other in _AGAINST.get(arm, _EVERY) if other in there}
        for arm in there
    }
    judging = [arm for arm in there if arm != GRAY]
    verdicts = dict(zip(judging, judge([against[arm][GRAY] for arm in judging]), strict=True))
    for arm in arms:
        if arm not in there:
            yield Judged(arm, remark=f"not measured: {missing[arm]}")
            continue
        dice = tuple(group.table(arm, GRAY)[0][0].tolist())
        yield Judged(arm, dice, against[arm], verdicts.get(arm), remarks[arm])


def _against(group: Group, arm: str, other: str) -> Estimate:
    ours, theirs, _ = group.table(arm, other)
    return estimate(ours - theirs, repeats=False)


def mean_dice(found: Sequence[NDArray[np.uint8]], drawn: Sequence[NDArray[np.uint8]], labels: Sequence[int]) -> float:
    """Return the Dice of some slices of a patient together, mean over labels.

    By the rules of :mod:`medcolor.comparison.metrics`: a label that nobody drew counts 0 where it is found, else not.
    """
    ours, theirs = np.stack(list(found)), np.stack(list(drawn))
    values = []
    for label in labels:
        sizes = np.count_nonzero(ours == label) + np.count_nonzero(theirs == label)
        if sizes:
            values.append(2 * np.count_nonzero((ours == label) & (theirs == label)) / sizes)
    return sum(values) / len(values) if values else math.nan


__all__ = [
    "LUT",
    "METRIC",
    "SEGMENTER",
    "SHUFFLED",
    "SIDE",
    "TIER",
    "Bench",
    "Judged",
    "judged",
    "mean_dice",
    "planned",
]
