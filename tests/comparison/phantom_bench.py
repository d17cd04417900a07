"""A small real bench: thresholds on phantoms, whose labels are known. Every cell computed is written into a log."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from medcolor.comparison.cells import Cell, Outcome, Row, Shown
from medcolor.comparison.plan import AGAIN, GRAY, Study, read_study
from medcolor.errors import SettingError
from medcolor.phantom import labels, scan
from medcolor.scan import to_slices

PATIENTS = tuple(f"phantom {n}" for n in range(5))
SHAPE = (48, 48, 2)
LEVELS = {GRAY: 150.0, AGAIN: 151.0, "good": 90.0, "control": 140.0}
"""Arm -> the HU above which it sees bone; the phantom's bone begins near 100."""


def planned(**tiers: Any) -> Study:
    content = {
        "name": "phantoms",
        "about": "Thresholds on phantoms.",
        "tasks": ["bone"],
        "arms": list(LEVELS),
        "tiers": tiers or {"learned": {"segmenters": ["threshold"], "budgets": [2, "all"], "seeds": 3}},
    }
    return read_study(content, "here")


@cache
def phantom(patient: str) -> tuple[np.ndarray, np.ndarray]:
    image = to_slices(scan("CT", seed=PATIENTS.index(patient), shape=SHAPE).voxels).astype(float)
    drawn = labels("CT", shape=SHAPE)
    wanted = [value for value, name in drawn.names.items() if "bone" in name]
    return image, np.isin(to_slices(drawn.labels), wanted)


@dataclass(frozen=True)
class PhantomBench:
    log: Path
    refuse: str = ""
    break_at: str = ""
    die_at: int = -1
    wait: float = 0.0
    version: int = 1

    def depends(self, cell: Cell) -> Mapping[str, Any]:
        if cell.arm == self.refuse:
            raise SettingError(f"{cell.arm}: its colours were learned from a test patient of {cell.task}.")
        return {"bench": self.version, "level": LEVELS[cell.arm]}

    def run(self, cell: Cell) -> Outcome:
        time.sleep(self.wait)
        with self.log.open("a") as stream:
            stream.write(f"{cell}\n")
        if len(self.log.read_text().splitlines()) == self.die_at:
            os.kill(os.getpid(), signal.SIGKILL)
        if cell.arm == self.break_at:
            raise ZeroDivisionError("PATIENT^NAME")
        chance = np.random.default_rng([cell.seed, len(cell.arm), cell.budget + 1])
        luck = 20 * chance.normal() / max(cell.budget, 1)
        rows, shown = [], []
        for patient in PATIENTS:
            image, truth = phantom(patient)
            found = image > LEVELS[cell.arm] + luck
            dice = 2 * (found & truth).sum() / (found.sum() + truth.sum())
            rows += [Row(patient, "dice", float(dice)), Row(patient, "dice:bone", float(dice))]
            rows.append(Row(patient, "volume_error", float(abs(found.sum() - truth.sum()) / truth.sum())))
            shown.append(Shown(patient, 0, found[0].astype(np.uint8)))
        return Outcome(tuple(rows), 0.01, {"device": "cpu"}, tuple(shown))


@dataclass(frozen=True)
class PhantomViewer:
    def gray(self, task: str, patient: str, k: int) -> tuple[np.ndarray, np.ndarray]:
        image, truth = phantom(patient)
        return np.clip((image[k] + 160) * (255 / 400), 0, 255).astype(np.uint8), truth[k].astype(np.uint8)

    def painted(self, task: str, patient: str, k: int, arm: str) -> np.ndarray | None:
        return None if arm == "control" else np.repeat(self.gray(task, patient, k)[0][..., None], 3, axis=-1)
