"""What each tier does with a cell: without training, with simulated clicks, with a network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from medcolor.comparison.arms import Arm
from medcolor.comparison.cells import Cell, Outcome, Row, Shown
from medcolor.comparison.judging import largest, rows_of, spread
from medcolor.comparison.metrics import mean_of
from medcolor.comparison.renders import posteriors_of
from medcolor.comparison.tasks import Subject, Task
from medcolor.errors import SettingError

if TYPE_CHECKING:
    from medcolor.comparison.workbench import Workbench

GRAB_CUT, WALKER, DIRECT = "grabcut", "random_walker", "colorizer_as_segmenter"
LEVELS = (0.8, 0.9)
AFTER = (3, 5, 10)
_CLICKS = 10
_OPTIONS = {
    "classical": frozenset[str](),
    "interactive": frozenset({"clicks"}),
    "learned": frozenset({"steps", "batch", "augment", "pretraining_steps"}),
}

Labels = NDArray[np.uint8]


def check(cell: Cell, arm: Arm, options: Mapping[str, object]) -> None:
    """Refuse a cell that has no meaning.

    Raises
    ------
    SettingError
        The tier has no such segmenter or option, or the arm needs a training that the tier does not do.
    """
    known = segmenters_of(cell.tier)
    if cell.segmenter not in known:
        raise SettingError(f'The {cell.tier} tier has no segmenter "{cell.segmenter}"; it has {", ".join(known)}.')
    if unknown := set(options) - _OPTIONS[cell.tier]:
        accepted = ", ".join(sorted(_OPTIONS[cell.tier])) or "none"
        raise SettingError(f"The {cell.tier} tier has no option {', '.join(sorted(unknown))}; it has: {accepted}.")
    if cell.tier != "learned" and (arm.pretraining or arm.recolored or arm.chroma_dropout):
        raise SettingError(f"{arm.name} is about a training; the {cell.tier} tier has none.")
    if cell.tier == "interactive" and arm.direct:
        raise SettingError(f"{arm.name} takes no clicks.")


def segmenters_of(tier: str) -> tuple[str, ...]:
    """Return the segmenters of a tier by name."""
    if tier == "classical":
        from medcolor.segmenters.grouping import GROUPERS

        return (*GROUPERS, GRAB_CUT)
    if tier == "interactive":
        from medcolor.segmenters.seeded import SEEDED

        return tuple(SEEDED)
    from medcolor.comparison.learned import NETWORKS

    return tuple(NETWORKS)


_AFTERWARDS = (
    "cases", "cells", "figures", "learned", "made", "nnunet", "plan", "report", "statistics", "study", "verdicts",
)  # fmt: skip
"""Files that no figure of a cell depends on, but for the learned tier's own; whatever else is added here counts."""


def code_of(tier: str) -> list[Path]:
    """Return the source files that the figures of a tier depend on."""
    here = Path(__file__).parent
    shared = [path for path in here.glob("*.py") if not path.stem.startswith(_AFTERWARDS)]
    if tier == "learned":
        return [*shared, *here.glob("learned*.py"), here.parent / "segmenters" / "oracle.py"]
    return [*shared, *(here.parent / "segmenters").glob("*.py")]


def run(cell: Cell, bench: Workbench) -> Outcome:
    """Compute a cell.

    Raises
    ------
    MedcolorError
    """
    arm, task = bench.arm(cell.arm, cell.task), bench.task(cell.task)
    if cell.tier == "learned":
        from medcolor.comparison import learned_cells

        return learned_cells.run(cell, arm, task, bench)
    rows: list[Row] = []
    shown: list[Shown] = []
    plan = bench.study.tier(cell.tier)
    for subject in bench.subjects(cell.task, "test", plan.patients):
        chosen = spread(subject, plan.slices)
        if cell.tier == "interactive":
            rows += _clicked(cell, arm, task, subject, chosen, bench)
            continue
        found = _grouped(cell, arm, task, subject, chosen, bench)
        rows += rows_of(subject, found, task, bench.study.tolerance_mm, chosen)
        shown.append(largest(subject, found, chosen))
    return Outcome(tuple(rows), facts={"device": "cpu"}, shown=tuple(shown))


def _slices(
    arm: Arm, cell: Cell, subject: Subject, chosen: NDArray[np.intp], bench: Workbench
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.bool_], Labels]]:
    """Yield image (nj, ni, channels), where there is one, and reference of each slice."""
    images = bench.images(arm, cell.task, subject)
    inside = ~subject.scan.padded(slice(None))
    for k in chosen.tolist():
        yield np.ascontiguousarray(images[k].transpose(1, 2, 0)), np.asarray(inside[k]), subject.masks[k]


def _grouped(cell: Cell, arm: Arm, task: Task, subject: Subject, chosen: NDArray[np.intp], bench: Workbench) -> Labels:
    """Return groups joined into labels by the rule of the oracle; a box around each label for GrabCut."""
    from medcolor.segmenters.grouping import GROUPERS
    from medcolor.segmenters.oracle import assigned, box_around
    from medcolor.segmenters.seeded import grab_cut

    if arm.direct:
        classes = posteriors_of(arm.direct, subject.scan, bench.device).argmax(axis=0)[chosen] + 1
        return assigned(classes, subject.masks[chosen], task.labels)
    out = np.zeros((len(chosen), *subject.masks.shape[1:]), np.uint8)
    for place, (image, inside, reference) in enumerate(_slices(arm, cell, subject, chosen, bench)):
        if cell.segmenter == GRAB_CUT:
            for label in task.labels:
                box = box_around(reference == label)
                if box.any():
                    out[place][grab_cut(image, box, inside)] = label
        else:
            out[place] = assigned(GROUPERS[cell.segmenter](image, inside), reference, task.labels)
    return out


def _clicked(
    cell: Cell, arm: Arm, task: Task, subject: Subject, chosen: NDArray[np.intp], bench: Workbench
) -> Iterator[Row]:
    """Play a session for each label in each slice that has it; a patient's figures are means over sessions.

    A level that is never reached counts one click more than allowed.
    """
    from medcolor.segmenters.clicks import click
    from medcolor.segmenters.seeded import SEEDED

    most = int(bench.study.tier(cell.tier).options.get("clicks", _CLICKS))
    sessions = []
    for image, inside, reference in _slices(arm, cell, subject, chosen, bench):
        for label in task.labels:
            sought = (reference == label) & inside
            if sought.any():
                segment = partial(_seeded, SEEDED[cell.segmenter], image, inside)
                sessions.append(click(segment, sought, inside, most=most))
    for number in AFTER:
        if number <= most:
            yield Row(subject.patient, f"dice_{number}", mean_of(one.after(number) for one in sessions))
    for level in LEVELS:
        counts = [one.needed(level) or most + 1 for one in sessions]
        yield Row(subject.patient, f"clicks_{round(100 * level)}", mean_of(counts))
        never = mean_of(float(one.needed(level) is None) for one in sessions)
        yield Row(subject.patient, f"never_{round(100 * level)}", never)


def _seeded(
    segment: Callable[[NDArray[np.floating], NDArray[np.integer], NDArray[np.bool_]], NDArray[np.intp]],
    image: NDArray[np.float32],
    inside: NDArray[np.bool_],
    seeds: NDArray[np.intp],
) -> NDArray[np.intp]:
    return segment(image, seeds, inside)


__all__ = ["GRAB_CUT", "check", "code_of", "run", "segmenters_of"]
