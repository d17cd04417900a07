"""Which test patients are looked at, and what they are called without naming anybody."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medcolor.errors import MedcolorWarning
from medcolor.training.datasets import Case
from medcolor.training.simulate import SIMULATED
from medcolor.training.sources import find_cases


@dataclass(frozen=True, slots=True)
class Subject:
    """One scan to look at.

    Attributes
    ----------
    case : Case
    caption : str
        Where it is from and its number among the test patients there, no name.
    """

    case: Case
    caption: str


def find_patients(data: Path | None, family: str, count: int, *, seed: int = 0) -> list[Subject]:
    """Return up to ``count`` test patients of a modality family, from as many sources as there are.

    Parameters
    ----------
    data : Path, optional
        As for :func:`~medcolor.training.sources.find_cases`. NM and MG are simulated where ``data`` holds packs.
    family : str
    count : int
    seed : int
        Which patients; equal seeds give equal ones.

    Raises
    ------
    TrainingError
        There is nothing of this family.
    """
    with warnings.catch_warnings():
        if family in SIMULATED:  # the page says so with every picture
            warnings.simplefilter("ignore", MedcolorWarning)
        cases = find_cases(data, family=family, count=20 * count)
    return _spread([case for case in cases if case.split == "test"], count, seed)


def _spread(cases: Sequence[Case], count: int, seed: int) -> list[Subject]:
    """Take one patient after the other from each source in turn, each with one scan."""
    rng = np.random.default_rng(seed)
    queues = []
    for source in sorted({case.source for case in cases}):
        there = [case for case in cases if case.source == source]
        patients = sorted({case.patient for case in there})
        queue = []
        for place in rng.permutation(len(patients)).tolist():
            scans = [case for case in there if case.patient == patients[place]]
            case = scans[int(rng.integers(len(scans)))]
            queue.append(Subject(case, f"{source}, test patient {place + 1} of {len(patients)}"))
        queues.append(queue)
    queues.sort(key=len, reverse=True)  # sources with many patients first; stable, so the order is fixed
    turns = max((len(queue) for queue in queues), default=0)
    return [queue[turn] for turn in range(turns) for queue in queues if turn < len(queue)][:count]
