"""Which colour table is the best one for a modality, by its validation patients: nobody of the test side is asked."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medcolor.benchmarking.colorizers.arms import LutArm, code_hash
from medcolor.benchmarking.colorizers.cells import Cells
from medcolor.benchmarking.colorizers.tables_of_color import GRAY_RAMP
from medcolor.benchmarking.khan import likeness as likeness_module
from medcolor.benchmarking.khan import segmentation
from medcolor.benchmarking.khan.likeness import RGB
from medcolor.benchmarking.khan.pictures import Look, looks_of, measure
from medcolor.benchmarking.khan.segmentation import SIDE, Bench, mean_dice, planned
from medcolor.cielab import rgb_to_lab
from medcolor.comparison import grid
from medcolor.comparison.judging import spread
from medcolor.comparison.renders import SCALE, there
from medcolor.comparison.tasks import Subject, Task
from medcolor.errors import TrainingError
from medcolor.luts import list_luts, load_lut
from medcolor.segmenters import grouping, oracle
from medcolor.segmenters.grouping import k_means
from medcolor.segmenters.oracle import assigned
from medcolor.windowing import grayscale, resolve_display

PATIENTS = 8
"""Validation patients of a task that are asked."""
BY_DICE, BY_SSIM, BY_NOBODY = "Dice", "SSIM of RGB", "nobody"
DEFAULT = "hot_iron"  # what studies take, where no validation patient can choose


def best_table(
    data: Path | None, family: str, tasks: Mapping[str, Task], cells: Cells, *, slices: int
) -> tuple[str, str]:
    """Return the best table of a modality and what it was chosen by; the first of equals, the gray ramp left out.

    By the mean Dice of k-means on validation patients, tasks alike; where nothing is labelled, by the SSIM of RGB.

    Parameters
    ----------
    data : Path, optional
        Folder of packs.
    family : str
    tasks : Mapping of str to Task
        With labels.
    cells : Cells
    slices : int
        Of each patient.
    """
    names = [name for name in list_luts() if name != GRAY_RAMP]
    labelled = {name: task for name, task in tasks.items() if task.patients("val")}
    digests = [hashlib.sha256(load_lut(name).tobytes()).hexdigest() for name in names]
    depends = [*digests, *(task.identity for task in labelled.values()), _code(), str(slices)]
    looks = [] if labelled else _looks(data, family, slices)
    depends += [look.sha256() for look in looks]
    if not labelled and not looks:
        return DEFAULT, BY_NOBODY
    by = BY_DICE if labelled else BY_SSIM
    if (record := cells.find(f"{family}-best-table", *depends)) is not None:
        return str(record["table"]), by
    scores = dict.fromkeys(names, 0.0)
    for task in labelled.values():
        for name, value in dice_of_tables(task, data, names, slices=slices).items():
            scores[name] += value / len(labelled)
    if looks:
        scores = {name: _alike(name, looks) for name in names}
    table = max(scores, key=lambda name: scores[name])
    cells.keep(f"{family}-best-table", {"table": table, "scores": scores}, *depends)
    return table, by


def dice_of_tables(task: Task, data: Path | None, names: Sequence[str], *, slices: int) -> dict[str, float]:
    """Return the mean Dice over validation patients of each table."""
    bench = Bench(planned(task.name, ("gray",), PATIENTS, slices), data, "cpu")
    found: dict[str, list[float]] = {name: [] for name in names}
    for subject in bench.subjects(task.name, "val", PATIENTS):
        for name, value in _dice_of_patient(subject, names, sorted(task.labels), slices).items():
            found[name].append(value)
    return {name: float(np.nanmean(values)) if np.isfinite(values).any() else 0.0 for name, values in found.items()}


def _dice_of_patient(subject: Subject, names: Sequence[str], labels: Sequence[int], slices: int) -> dict[str, float]:
    chosen = spread(subject, slices).tolist()
    gray_of, inside = grayscale(subject.scan, resolve_display(subject.scan, None)), there(subject.scan)
    shown = [gray_of(slice(k, k + 1))[0] for k in chosen]
    drawn = [subject.masks[k] for k in chosen]
    out = {}
    for name in names:
        colors = _shown_table(name)
        groups = [k_means(colors[gray], inside[k]) for gray, k in zip(shown, chosen, strict=True)]
        found = [assigned(group, mask, labels) for group, mask in zip(groups, drawn, strict=True)]
        out[name] = mean_dice(found, drawn, labels)
    return out


def _shown_table(name: str) -> NDArray[np.float32]:
    """Return a table as segmenters see it: CIELAB / 100, (256, 3)."""
    return (rgb_to_lab(load_lut(name)) / SCALE).astype(np.float32)


def _alike(name: str, looks: Sequence[Look]) -> float:
    values = [one.ssim[RGB] for one in measure(LutArm(name), looks).values()]
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else 0.0


def _looks(data: Path | None, family: str, slices: int) -> list[Look]:
    try:
        return looks_of(data, family, "val", PATIENTS, slices)
    except TrainingError:
        return []


def _code() -> str:
    return code_hash(likeness_module, segmentation, grid, grouping, oracle, __file__) + str((SIDE, PATIENTS))


__all__ = ["BY_DICE", "BY_NOBODY", "BY_SSIM", "DEFAULT", "PATIENTS", "best_table", "dice_of_tables"]
