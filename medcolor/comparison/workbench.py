"""Where cells are computed: tasks and arms are found and kept, patients are brought to the grid, tiers do the rest."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medcolor.comparison import tiers
from medcolor.comparison.arms import Arm, is_control, load_arm, with_pictures
from medcolor.comparison.cells import Cell, Outcome
from medcolor.comparison.grid import on_grid, side_for
from medcolor.comparison.phantoms import PREFIX, phantom_task
from medcolor.comparison.plan import AGAIN, ALL, Study
from medcolor.comparison.report import ArmNote, TaskNote
from medcolor.comparison.task_catalog import load_task
from medcolor.comparison.tasks import Subject, Task
from medcolor.errors import MedcolorError, SettingError
from medcolor.scan import Scan
from medcolor.windowing import grayscale, resolve_display

Channels = NDArray[np.float32]
_MOST_KEPT = 4096  # images of patients, under an arm each


@dataclass
class Workbench:
    """Computes the cells of a study.

    Parameters
    ----------
    study : Study
    data : Path, optional
        Folder of packs; else that of the environment variable MEDCOLOR_DATA.
    device : str
        Where networks compute: auto, cpu, cuda.
    """

    study: Study
    data: Path | None = None
    device: str = "auto"
    _tasks: dict[str, Task] = field(default_factory=dict, init=False, repr=False)
    _arms: dict[tuple[str, str], Arm | MedcolorError] = field(default_factory=dict, init=False, repr=False)
    _subjects: dict[tuple[str, str], list[Subject]] = field(default_factory=dict, init=False, repr=False)
    _sides: dict[str, int] = field(default_factory=dict, init=False, repr=False)
    _images: dict[tuple[str, str, str], Channels] = field(default_factory=dict, init=False, repr=False)

    def task(self, name: str) -> Task:
        """Return a task, found once.

        Raises
        ------
        MedcolorError
            There is none of that name, or its data are not here.
        """
        if name not in self._tasks:
            self._tasks[name] = phantom_task(name) if name.startswith(PREFIX) else load_task(name, self.data)
        return self._tasks[name]

    def arm(self, name: str, task: str) -> Arm:
        """Return an arm for a task, found once.

        Raises
        ------
        MedcolorError
            There is none for this modality, or its colorizer saw a test patient.
        """
        if (name, task) not in self._arms:
            try:
                self._arms[name, task] = load_arm(name, self.task(task), data=self.data, device=self.device)
            except MedcolorError as error:
                self._arms[name, task] = error
        found = self._arms[name, task]
        if isinstance(found, MedcolorError):
            raise found
        return found

    def subjects(self, task: str, split: str, most: int | None = None) -> list[Subject]:
        """Return the patients of a side on the study's grid; at most so many, the same ones whenever."""
        if (task, split) not in self._subjects:
            side = self.side(task)
            self._subjects[task, split] = [on_grid(one, side) for one in self.task(task).subjects(split)]
        everyone = self._subjects[task, split]
        if most is None or most >= len(everyone):
            return everyone
        order = sorted(range(len(everyone)), key=lambda place: _number(task, everyone[place].patient))[:most]
        return [everyone[place] for place in sorted(order)]

    def side(self, task: str) -> int:
        """Return the side of the square that slices of a task are brought to."""
        if task not in self._sides:
            self._sides[task] = side_for(self.task(task), self.study.size)
        return self._sides[task]

    def images(self, arm: Arm, task: str, subject: Subject) -> Channels:
        """Return what a segmenter is shown of a patient, (nk, channels, nj, ni); kept.

        What an arm draws at random belongs to the patient: every seed and every segmenter sees the same.
        """
        key = (arm.name, task, subject.patient)
        if key not in self._images:
            if len(self._images) >= _MOST_KEPT:
                self._images.clear()
            shown = self._images[key] = self.render(arm, subject.patient, subject.scan)
            shown.flags.writeable = False
        return self._images[key]

    @staticmethod
    def render(arm: Arm, patient: str, scan: Scan) -> Channels:
        """Return what a segmenter is shown of a scan; chance is the patient's own."""
        chance = np.random.default_rng(_number(arm.name.partition("+")[0], patient))
        return np.asarray(arm.render(with_pictures(arm, patient, scan), chance), np.float32)

    def labelled(self, cell: Cell) -> list[Subject]:
        """Return the training patients whose labels a cell may use: the same for all arms, more of them hold fewer."""
        everyone = self.subjects(cell.task, "train")
        order = np.random.default_rng(_number("labelled", cell.task, cell.seed)).permutation(len(everyone))
        count = len(everyone) if cell.budget == ALL else cell.budget
        if count > len(everyone):
            raise SettingError(f"{cell.task} has {len(everyone)} training patients, not {count}.")
        return [everyone[place] for place in order[:count].tolist()]

    @staticmethod
    def chance(cell: Cell) -> int:
        """Return the seed of everything else: the same for all arms, another for gray again."""
        return _number("chance", cell.task, cell.segmenter, cell.budget, cell.seed, cell.arm == AGAIN)

    def depends(self, cell: Cell) -> Mapping[str, Any]:
        """Return, as plain JSON, everything a cell's figures depend on besides its name."""
        task, arm = self.task(cell.task), self.arm(cell.arm, cell.task)
        study, plan = self.study, self.study.tier(cell.tier)
        tiers.check(cell, arm, plan.options)
        return {
            "task": task.identity,
            "arm": [arm.name, arm.channels, arm.identity],
            "settings": [study.size, study.tolerance_mm, plan.patients, plan.slices],
            "options": dict(plan.options),
            "code": self._code[cell.tier],
        }

    @cached_property
    def _code(self) -> dict[str, str]:
        return {tier: _hash_of(tiers.code_of(tier)) for tier in (plan.tier for plan in self.study.tiers)}

    def run(self, cell: Cell) -> Outcome:
        """Compute a cell."""
        start = time.monotonic()
        outcome = tiers.run(cell, self)
        return Outcome(outcome.rows, time.monotonic() - start, outcome.facts, outcome.shown)

    # what the report asks for

    def arm_notes(self) -> dict[str, ArmNote]:
        """Return what each arm of the study is, as far as it could be found for any task."""
        notes = {}
        for name in self.study.arms:
            by_task = {task: arm for task in self.study.tasks if (arm := self._found(name, task)) is not None}
            found = list(by_task.values())
            note = found[0].note if found else "not available"
            remarks = sorted(f"{task}: {arm.remark}" for task, arm in by_task.items() if arm.remark)
            identity = hashlib.sha256(" ".join(arm.identity for arm in found).encode()).hexdigest() if found else ""
            notes[name] = ArmNote(is_control(name), "; ".join([note, *remarks]), identity)
        return notes

    def _found(self, name: str, task: str) -> Arm | None:
        try:
            return self.arm(name, task)
        except MedcolorError:  # told where its cells are refused
            return None

    def task_notes(self) -> dict[str, TaskNote]:
        """Return what each task is."""
        return {name: TaskNote(self._facts(name)) for name in self.study.tasks}

    def _facts(self, name: str) -> dict[str, str]:
        task = self.task(name)
        sides = ", ".join(f"{len(task.patients(split))} {split}" for split in ("train", "val", "test"))
        return {
            "labels": ", ".join(task.labels.values()),
            "patients": sides,
            "side": f"{self.side(name)} pixels",
            "distances": f"tolerance {self.study.tolerance_mm:g} "
            + ("mm" if task.spacing_known else "pixels, no spacing"),
            "licence": task.licence,
            "sha256": task.identity[:16],
        }

    # what the pictures ask for

    def gray(self, task: str, patient: str, k: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Return the displayed gray and the reference labels of a slice, (nj, ni) each."""
        subject = self._patient(task, patient)
        shown = grayscale(subject.scan, resolve_display(subject.scan, None))(slice(k, k + 1))[0]
        return np.asarray(shown), subject.masks[k]

    def painted(self, task: str, patient: str, k: int, arm: str) -> NDArray[np.uint8] | None:
        """Return what an arm shows of a slice, (nj, ni, 3); None where its channels are no colours."""
        found = self.arm(arm, task)
        if found.channels != 3 or found.gray_channels != 1:
            return None
        from medcolor.cielab import lab_to_rgb

        lab = 100.0 * self.images(found, task, self._patient(task, patient))[k].transpose(1, 2, 0)
        return np.rint(255 * np.clip(lab_to_rgb(lab), 0, 1)).astype(np.uint8)

    def _patient(self, task: str, patient: str) -> Subject:
        return next(one for one in self.subjects(task, "test") if one.patient == patient)


def _number(*parts: object) -> int:
    """Return a seed that depends on the parts alone."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:8], "big")


def _hash_of(files: Sequence[Path]) -> str:
    return hashlib.sha256(b"".join(path.read_bytes() for path in sorted(files))).hexdigest()


__all__ = ["Workbench"]
