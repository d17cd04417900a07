"""Which colour table and which blur is best for a modality, by its validation patients: nobody of the test side."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medcolor.benchmarking.colorizers.arms import LutArm, code_hash
from medcolor.benchmarking.colorizers.cells import Cells
from medcolor.benchmarking.colorizers.tables_of_color import GRAY_RAMP
from medcolor.benchmarking.khan import blur, segmentation
from medcolor.benchmarking.khan import likeness as likeness_module
from medcolor.benchmarking.khan.blur import SIGMAS, blurred
from medcolor.benchmarking.khan.likeness import RGB
from medcolor.benchmarking.khan.pictures import Look, looks_of, measure
from medcolor.benchmarking.khan.segmentation import Bench, mean_dice, planned
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

Shown = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""Displayed gray (nj, ni) to what is grouped, (nj, ni, channels)."""

PATIENTS = 8
"""Validation patients of a task that are asked."""
BY_DICE, BY_SSIM, BY_NOBODY = "Dice", "SSIM of RGB", "nobody"
DEFAULT_TABLE, DEFAULT_SIGMA = "hot_iron", SIGMAS[0]  # where no validation patient can choose


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
    labelled = _labelled(tasks)
    if labelled:
        shown = {name: table_shown(name) for name in names}
        digests = [hashlib.sha256(load_lut(name).tobytes()).hexdigest() for name in names]
        return _best(f"{family}-best-table", shown, labelled, data, cells, slices, digests), BY_DICE
    looks = _looks(data, family, slices)
    if not looks:
        return DEFAULT_TABLE, BY_NOBODY
    depends = (_code(), *(look.sha256() for look in looks), *(LutArm(name).identity for name in names))
    if (record := cells.find(f"{family}-best-table", *depends)) is not None:
        return str(record["best"]), BY_SSIM
    scores = {name: _alike(name, looks) for name in names}
    return _keep(f"{family}-best-table", scores, cells, depends), BY_SSIM


def best_sigma(data: Path | None, family: str, tasks: Mapping[str, Task], cells: Cells, *, slices: int) -> float:
    """Return the standard deviation of the blur with the largest mean Dice on validation patients, tasks alike."""
    labelled = _labelled(tasks)
    if not labelled:
        return DEFAULT_SIGMA
    shown = {f"{sigma:g}": partial(_one_channel, sigma) for sigma in SIGMAS}
    return float(_best(f"{family}-best-sigma", shown, labelled, data, cells, slices, ()))


def _labelled(tasks: Mapping[str, Task]) -> list[Task]:
    return [task for task in tasks.values() if task.patients("val")]


def _best(
    name: str,
    shown: Mapping[str, Shown],
    tasks: Sequence[Task],
    data: Path | None,
    cells: Cells,
    slices: int,
    more: Sequence[str],
) -> str:
    depends = (_code(), str(slices), *(task.identity for task in tasks), *shown, *more)
    if (record := cells.find(name, *depends)) is not None:
        return str(record["best"])
    each = [dice_on_validation(task, data, shown, slices=slices) for task in tasks]
    return _keep(name, {key: float(np.mean([one[key] for one in each])) for key in shown}, cells, depends)


def _keep(name: str, scores: Mapping[str, float], cells: Cells, depends: Sequence[str]) -> str:
    best = max(scores, key=lambda key: scores[key])
    cells.keep(name, {"best": best, "scores": dict(scores)}, *depends)
    return best


def dice_on_validation(task: Task, data: Path | None, shown: Mapping[str, Shown], *, slices: int) -> dict[str, float]:
    """Return the mean Dice of k-means over validation patients, by what is shown."""
    bench = Bench(planned(task.name, ("gray",), PATIENTS, slices), data, "cpu")
    found: dict[str, list[float]] = {name: [] for name in shown}
    for subject in bench.subjects(task.name, "val", PATIENTS):
        for name, value in _dice_of_patient(subject, shown, sorted(task.labels), slices).items():
            found[name].append(value)
    return {name: float(np.nanmean(values)) if np.isfinite(values).any() else 0.0 for name, values in found.items()}


def _dice_of_patient(
    subject: Subject, shown: Mapping[str, Shown], labels: Sequence[int], slices: int
) -> dict[str, float]:
    chosen = spread(subject, slices).tolist()
    gray_of, inside = grayscale(subject.scan, resolve_display(subject.scan, None)), there(subject.scan)
    grays = [gray_of(slice(k, k + 1))[0] for k in chosen]
    drawn = [subject.masks[k] for k in chosen]
    out = {}
    for name, show in shown.items():
        groups = [k_means(show(gray), inside[k]) for gray, k in zip(grays, chosen, strict=True)]
        found = [assigned(group, mask, labels) for group, mask in zip(groups, drawn, strict=True)]
        out[name] = mean_dice(found, drawn, labels)
    return out


def table_shown(name: str) -> Shown:
    """Return what segmenters see of a table: CIELAB / 100."""
    colors = (rgb_to_lab(load_lut(name)) / SCALE).astype(np.float32)
    return lambda gray: np.asarray(colors[gray])


def _one_channel(sigma: float, gray: NDArray[np.uint8]) -> NDArray[np.float32]:
    return blurred(gray, sigma)[..., None]


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
    return code_hash(likeness_module, blur, segmentation, grid, grouping, oracle, __file__)


__all__ = [
    "BY_DICE",
    "BY_NOBODY",
    "BY_SSIM",
    "DEFAULT_SIGMA",
    "DEFAULT_TABLE",
    "PATIENTS",
    "Shown",
    "best_sigma",
    "best_table",
    "dice_on_validation",
    "table_shown",
]
