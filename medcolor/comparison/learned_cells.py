"""A cell of the learned tier: patients with labels are chosen, a network is trained on them, test patients judge it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from medcolor.comparison import judging
from medcolor.comparison.arms import Arm
from medcolor.comparison.cells import Cell, Outcome, Row, Shown
from medcolor.comparison.learned import Fitting, predict, train
from medcolor.comparison.learned import Shown as Taught
from medcolor.comparison.learned_augmentation import VARIANTS, variant
from medcolor.comparison.renders import posteriors_of
from medcolor.comparison.tasks import Subject, Task

if TYPE_CHECKING:
    from torch import Tensor

    from medcolor.comparison.workbench import Workbench

Segment = Callable[[Subject], NDArray[np.uint8]]
_TISSUE = "tissue"
_PRETRAINING = 300
_MOST_BODIES, _MOST_VARIANTS = 8, 1024
_BODIES: dict[tuple[object, ...], dict[str, Tensor]] = {}
_VARIED: dict[tuple[object, ...], NDArray[np.float16]] = {}


def run(cell: Cell, arm: Arm, task: Task, bench: Workbench) -> Outcome:
    """Train and test.

    Raises
    ------
    MedcolorError
    """
    plan = bench.study.tier(cell.tier)
    labelled = bench.labelled(cell)
    tested = bench.subjects(cell.task, "test", plan.patients)
    segment, facts = _direct(arm, task, labelled, bench) if arm.direct else _network(cell, arm, task, labelled, bench)
    rows: list[Row] = []
    shown: list[Shown] = []
    for subject in tested:
        chosen = judging.spread(subject, plan.slices)
        found = segment(subject)[chosen]
        rows += judging.rows_of(subject, found, task, bench.study.tolerance_mm, chosen)
        shown.append(judging.largest(subject, found, chosen))
    return Outcome(tuple(rows), facts=facts | {"patients with labels": str(len(labelled))}, shown=tuple(shown))


def _network(
    cell: Cell, arm: Arm, task: Task, labelled: list[Subject], bench: Workbench
) -> tuple[Segment, dict[str, str]]:
    import torch

    options = bench.study.tier(cell.tier).options
    fitting = Fitting(**{key: options[key] for key in ("steps", "batch", "augment") if key in options})
    device = torch.device(_device(bench.device))
    seed = bench.chance(cell)
    images = np.concatenate([_variants(arm, cell.task, subject, bench) for subject in labelled], axis=1)
    masks = np.concatenate([subject.masks for subject in labelled])
    numbers = sorted(task.labels)
    places = np.zeros(256, np.uint8)
    places[numbers] = np.arange(1, len(numbers) + 1)
    taught = Taught(
        torch.from_numpy(images),
        torch.from_numpy(places[masks]),
        arm.gray_channels,
        arm.chroma_dropout,
        arm.placed,
    )
    body = _body(cell, arm, task, bench, fitting, seed, device) if arm.pretraining else None
    network = train(taught, len(numbers), network=cell.segmenter, fitting=fitting, seed=seed, device=device, body=body)
    back = np.array([0, *numbers], np.uint8)

    def segment(subject: Subject) -> NDArray[np.uint8]:
        return back[predict(network, bench.images(arm, cell.task, subject))]

    return segment, {"device": str(device), "steps": str(fitting.steps), "threads": str(torch.get_num_threads())}


def _device(wanted: str) -> str:
    import torch

    return ("cuda" if torch.cuda.is_available() else "cpu") if wanted == "auto" else wanted


def _variants(arm: Arm, task: str, subject: Subject, bench: Workbench) -> NDArray[np.float16]:
    """Return what the network learns from, (variants, nk, channels, nj, ni); half precision: a hundredth of a gray."""
    key = (id(bench), task, arm.name.partition("+")[0], arm.recolored, subject.patient)
    if key not in _VARIED:
        if len(_VARIED) >= _MOST_VARIANTS:
            _VARIED.clear()
        if arm.recolored:
            chance = np.random.default_rng([*subject.patient.encode()])  # the same changes for every arm
            scans = [variant(subject.scan, chance) for _ in range(VARIANTS)]
            _VARIED[key] = np.stack([bench.render(arm, subject.patient, scan) for scan in scans]).astype(np.float16)
        else:
            _VARIED[key] = bench.images(arm, task, subject)[None].astype(np.float16)
    return _VARIED[key]


def _body(
    cell: Cell, arm: Arm, task: Task, bench: Workbench, fitting: Fitting, seed: int, device: object
) -> dict[str, Tensor]:
    """Return what the network learned before, from all training patients, none of their labels; one for each seed."""
    import torch

    from medcolor.comparison.learned_pretraining import pretrain

    steps = int(bench.study.tier(cell.tier).options.get("pretraining_steps", _PRETRAINING))
    key = (task.identity, arm.pretraining, cell.segmenter, cell.seed, steps, bench.study.size, fitting.batch)
    if key not in _BODIES:
        if len(_BODIES) >= _MOST_BODIES:
            _BODIES.clear()
        colors = arm.pretraining == "colorizer"
        source = bench.arm(_TISSUE, cell.task) if colors else arm
        shown = [bench.images(source, cell.task, subject) for subject in bench.subjects(cell.task, "train")]
        images = torch.from_numpy(np.concatenate(shown).astype(np.float16))
        how = Fitting(steps, fitting.batch, augment=fitting.augment)
        number = 1 + cell.seed  # of the seed alone: every budget begins with the same body
        kind = str(arm.pretraining)
        _BODIES[key] = pretrain(kind, images, network=cell.segmenter, fitting=how, seed=number, device=str(device))
    return _BODIES[key]


def _direct(arm: Arm, task: Task, labelled: list[Subject], bench: Workbench) -> tuple[Segment, dict[str, str]]:
    """Return the colorizer as a segmenter: the union of tissue classes that suits the labelled patients best."""
    spec = str(arm.direct)
    from medcolor.segmenters.oracle import chosen_groups

    classes = [posteriors_of(spec, subject.scan, bench.device).argmax(axis=0) + 1 for subject in labelled]
    groups, reference = (np.concatenate([part.reshape(-1) for part in parts])
                         for parts in (classes, [subject.masks for subject in labelled]))  # fmt: skip
    table = np.zeros(256, np.uint8)
    found = chosen_groups(groups, reference, task.labels)
    table[: len(found)] = found

    def segment(subject: Subject) -> NDArray[np.uint8]:
        return np.asarray(table[posteriors_of(spec, subject.scan, bench.device).argmax(axis=0) + 1])

    return segment, {"device": bench.device, "steps": "0"}


__all__ = ["run"]
