"""Best and worst cases: which patients an arm helped and harmed most, and one slice of each as a picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from medcolor.comparison.cells import Cell, Outcome
from medcolor.comparison.plan import AGAIN, GRAY
from medcolor.comparison.report import Report
from medcolor.comparison.verdicts import Group, better

Bytes = NDArray[np.uint8]
REFERENCE, RESULT = (86, 180, 233), (240, 150, 30)


class Viewer(Protocol):
    """What shows a slice as a study sees it."""

    def gray(self, task: str, patient: str, k: int) -> tuple[Bytes, Bytes]:
        """Return the displayed gray and the reference labels of a slice, (nj, ni) each."""
        ...

    def painted(self, task: str, patient: str, k: int, arm: str) -> Bytes | None:
        """Return what an arm shows of a slice, (nj, ni, 3); None where its channels are no colours."""
        ...


@dataclass(frozen=True, slots=True)
class Case:
    """A patient whom an arm helped or harmed more than any other of the task and tier.

    Attributes
    ----------
    group : Group
    arm, patient : str
    number : int
        Of the patient among those of the task, from 1; pages name nobody.
    ours, base : float
        Means over trainings.
    """

    group: Group
    arm: str
    patient: str
    number: int
    ours: float
    base: float

    @property
    def difference(self) -> float:
        """Arm minus gray."""
        return self.ours - self.base


@dataclass(frozen=True, slots=True, eq=False)
class Pictured:
    """A case with its pictures, (nj, ni, 3), by caption."""

    case: Case
    best: bool
    pictures: dict[str, Bytes]


def extreme_cases(report: Report, *, each: int = 2) -> list[tuple[Case, bool]]:
    """Return, for each task and tier, the cases with the largest gains (True) and losses (False)."""
    found: dict[tuple[str, str], list[Case]] = {}
    for group in report.groups:
        if group.metric == report.primary(group.tier) and GRAY in group.values:
            found.setdefault((group.task, group.tier), []).extend(_cases(group))
    out = []
    for cases in found.values():
        side = better(cases[0].group.metric) if cases else 1
        ordered = sorted(cases, key=lambda case: case.difference * side, reverse=True)
        out += [(case, True) for case in _one_each(ordered, each) if case.difference * side > 0]
        out += [(case, False) for case in _one_each(ordered[::-1], each) if case.difference * side < 0]
    return out


def _one_each(cases: Sequence[Case], most: int) -> list[Case]:
    """Return the first cases, each patient and each arm once."""
    taken: list[Case] = []
    for case in cases:
        if len(taken) < most and all(case.patient != one.patient and case.arm != one.arm for one in taken):
            taken.append(case)
    return taken


def _cases(group: Group) -> Iterator[Case]:
    for arm in group.values:
        if arm in {GRAY, AGAIN}:
            continue
        ours, base, patients = group.table(arm, GRAY)
        for place in np.flatnonzero(np.isfinite(ours - base).all(axis=0)) if len(ours) else ():
            one, other = float(ours[:, place].mean()), float(base[:, place].mean())
            yield Case(group, arm, patients[place], int(place) + 1, one, other)


def picture_cases(report: Report, viewer: Viewer, *, each: int = 2) -> list[Pictured]:
    """Return the extreme cases with their pictures; cases without a kept slice are left out."""
    out = []
    for case, best in extreme_cases(report, each=each):
        pictures = _pictures(case, report, viewer)
        if pictures:
            out.append(Pictured(case, best, pictures))
    return out


def _pictures(case: Case, report: Report, viewer: Viewer) -> dict[str, Bytes]:
    group = case.group
    seeds = sorted(group.values[case.arm].keys() & group.values[GRAY].keys())
    cells = [Cell(group.task, group.tier, group.segmenter, arm, group.budget, seeds[0]) for arm in (GRAY, case.arm)]
    shown = [_shown(report.ran.outcomes.get(cell), case.patient) for cell in cells]
    if shown[0] is None or shown[1] is None or shown[0][0] != shown[1][0]:
        return {}
    k = shown[0][0]
    gray, reference = viewer.gray(group.task, case.patient, k)
    painted = viewer.painted(group.task, case.patient, k, case.arm)
    rgb = np.repeat(gray[..., None], 3, axis=-1)
    pictures = {
        "gray, reference": outlined(rgb, reference, REFERENCE),
        "segmented on gray": _both(rgb, reference, shown[0][1]),
    }
    on = rgb if painted is None else painted
    return pictures | {case.arm: on, f"segmented on {case.arm}": _both(on, reference, shown[1][1])}


def _shown(outcome: Outcome | None, patient: str) -> tuple[int, Bytes] | None:
    found = () if outcome is None else outcome.shown
    return next(((one.k, one.labels) for one in found if one.patient == patient), None)


def _both(rgb: Bytes, reference: Bytes, result: Bytes) -> Bytes:
    return outlined(outlined(rgb, reference, REFERENCE), result, RESULT)


def outlined(rgb: Bytes, labels: Bytes, color: tuple[int, int, int]) -> Bytes:
    """Return a picture with the inner border of every label drawn on it."""
    inside = np.zeros(labels.shape, bool)
    inside[1:-1, 1:-1] = (
        (labels[1:-1, 1:-1] == labels[:-2, 1:-1])
        & (labels[1:-1, 1:-1] == labels[2:, 1:-1])
        & (labels[1:-1, 1:-1] == labels[1:-1, :-2])
        & (labels[1:-1, 1:-1] == labels[1:-1, 2:])
    )
    out = rgb.copy()
    out[(labels > 0) & ~inside] = color
    return out


__all__ = ["Case", "Pictured", "Viewer", "extreme_cases", "outlined", "picture_cases"]
