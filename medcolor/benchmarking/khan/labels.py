"""Who drew an outline, for each modality: packs with masks, simulated scans with their answer, or nobody."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType

import numpy as np

from medcolor.comparison.task_catalog import pack_task
from medcolor.comparison.tasks import Masks, Subject, Task
from medcolor.errors import SettingError
from medcolor.scan import Scan
from medcolor.training.packs import packs_folder
from medcolor.training.simulate import simulated
from medcolor.training.sources import simulated_cases

PREFIX = "simulated:"
_COUNT = 120  # simulated scans the patients of a task are among: 24 test, 12 validate
_WANTED: Mapping[str, tuple[str, tuple[int, ...]]] = MappingProxyType(
    {"NM": ("raised uptake", (3, 4, 5)), "MG": ("fibroglandular", (3,))}
)
"""Label -> classes of the truth it is made of (``medcolor.tissue.model.CLASSES``)."""


@dataclass(frozen=True, slots=True)
class Labels:
    """Where the outlines of a modality are.

    Attributes
    ----------
    tasks : tuple of str
        Packs with masks, or simulations; empty where there is nothing to judge by.
    statement : str
        What is said where no person's outline is there; "" elsewhere.
    """

    tasks: tuple[str, ...]
    statement: str = ""


LABELS: Mapping[str, Labels] = MappingProxyType(
    {
        "CT": Labels(("sts_ct",)),
        "MR": Labels(("sts_mr_t1", "mri_hippocampus")),
        "PT": Labels(("sts_pet",)),
        "NM": Labels(
            (f"{PREFIX}NM",),
            "Nuclear medicine: no labels. No pack has nuclear medicine, labelled or not, and the few scans that "
            "pydicom brings have no outlines. Segmentation of patients is not measured. All nuclear medicine figures "
            "are of simulated scans, whose raised uptake is known.",
        ),
        "US": Labels(("us_hc18",)),
        "XR": Labels(
            (),
            "X-ray: no labels. The chest films (xray_nih) have findings by name for a whole film and no outlines, the "
            "other radiographs (mednist_cxr, mednist_hand) have neither. Segmentation is not measured.",
        ),
        "MG": Labels(
            (f"{PREFIX}MG",),
            "Mammography: no labels. No pack has mammograms; the eight views of two cases of CBIS-DDSM that the "
            "package mammograms brings come without their outlines, and are too few for an interval. Segmentation of "
            "patients is not measured. All mammography figures are of simulated breasts, whose fibroglandular tissue "
            "is known.",
        ),
    }
)
"""Modality -> its labels. A share-alike pack (mri_hippocampus) is evaluated on, never trained on."""


def is_simulated(task: str) -> bool:
    """Whether a task's patients are simulated."""
    return task.startswith(PREFIX)


def tasks_of(family: str, data: Path | None) -> tuple[dict[str, Task], str]:
    """Return the tasks of a modality that are here, and what must be said of the others.

    Raises
    ------
    TrainingError
        ``data`` is no folder of packs.
    """
    folder, known = packs_folder(data), LABELS[family]
    found: dict[str, Task] = {}
    said = [known.statement] if known.statement else []
    for name in known.tasks:
        if is_simulated(name):
            found[name] = simulated_task(name)
            continue
        try:
            found[name] = pack_task(name, folder)
        except SettingError:
            said.append(f"{family}: not measured on {name}, a pack that the data folder does not have.")
    return found, " ".join(said)


def simulated_task(name: str) -> Task:
    """Return a task of simulated patients.

    Parameters
    ----------
    name : str
        "simulated:NM" (raised uptake) or "simulated:MG" (fibroglandular tissue).

    Raises
    ------
    SettingError
        There is no such task.
    """
    family = name.removeprefix(PREFIX)
    if not is_simulated(name) or family not in _WANTED:
        raise SettingError(f'"{name}" is no simulated task. There are: {", ".join(PREFIX + f for f in _WANTED)}.')
    label, _ = _WANTED[family]
    return Task(
        name=name,
        family=family,
        labels={1: label},
        spacing_known=True,
        licence="simulated",
        identity=hashlib.sha256(f"{name} {_COUNT} {_WANTED[family]}".encode() + _code()).hexdigest(),
        source=f"simulated {family}",
        volume=False,
        _subjects=partial(_subjects, family),
    )


def _code() -> bytes:
    """Return the code that simulates: other simulations are other patients."""
    from medcolor.training import breast, simulate

    return b"".join(Path(str(module.__file__)).read_bytes() for module in (simulate, breast))


def _subjects(family: str) -> list[Subject]:
    cases = simulated_cases(family, count=_COUNT)
    return [Subject(case.patient, case.split, partial(_patient, family, n)) for n, case in enumerate(cases)]


def _patient(family: str, number: int) -> tuple[Scan, Masks]:
    scan, truth = simulated(family, seed=number)
    return scan, np.isin(truth.argmax(axis=0), _WANTED[family][1]).astype(np.uint8)


__all__ = ["LABELS", "PREFIX", "Labels", "is_simulated", "simulated_task", "tasks_of"]
