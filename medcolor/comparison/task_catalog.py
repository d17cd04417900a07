"""Tasks by name: the packs of a data folder, or a folder in a known layout."""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from medcolor.comparison.task_folders import folder_task
from medcolor.comparison.tasks import Masks, Subject, Task, file_digest
from medcolor.errors import SettingError
from medcolor.scan import Scan, to_slices
from medcolor.training.packs import PACKS, licences, pack_groups, pack_scan, pack_splits, packs_folder

if TYPE_CHECKING:
    from medcolor.training.packs import Pack

PACK_TASKS = ("sts_ct", "sts_mr_t1", "sts_pet", "mri_hippocampus", "us_hc18")
"""Packs with masks of patients enough for a study."""


def load_task(name_or_path: str | Path, data: Path | str | None = None) -> Task:
    """Find a task.

    Parameters
    ----------
    name_or_path : str or Path
        One of PACK_TASKS; or a folder: nnU-Net, decathlon, or DICOM with one folder for each patient. ``PATH#1`` takes
        the second channel of a folder with several.
    data : Path, optional
        The folder of packs; else that of the environment variable MEDCOLOR_DATA.

    Raises
    ------
    SettingError
        No such pack or folder, or nothing in it that can be a task; says what is accepted.
    TrainingError
        No folder of packs.
    """
    name = str(name_or_path)
    if name in PACK_TASKS:
        return pack_task(name, packs_folder(data))
    path, _, channel = name.partition("#")
    if not Path(path).is_dir() or (not channel.isdecimal() and channel):
        raise SettingError(
            f'"{name}" is no task. A task is one of {", ".join(PACK_TASKS)}; or a folder in the layout of nnU-Net or '
            "the decathlon (dataset.json, imagesTr, labelsTr), or with a folder of DICOM for each patient."
        )
    return folder_task(Path(path), channel=int(channel or 0))


def pack_task(name: str, folder: Path) -> Task:
    """Return a pack of a data folder as a task.

    Raises
    ------
    SettingError
        The pack is not in the folder.
    """
    pack, path = PACKS[name], folder / f"{name}.npz"
    if not path.is_file():
        raise SettingError(f"{path} is missing: the task {name} needs this pack.")
    sides = pack_splits(folder)[name]
    groups = np.array(pack_groups(folder, pack))

    def subjects() -> list[Subject]:
        return [
            Subject(patient, sides[patient], partial(_from_pack, folder, pack, np.flatnonzero(groups == patient)))
            for patient in dict.fromkeys(groups.tolist())
        ]

    digest = hashlib.sha256(file_digest(path, path.stat().st_mtime_ns).encode())
    digest.update(repr(sorted(sides.items())).encode())
    return Task(
        name,
        pack.family,
        dict(enumerate(pack.masks, start=1)),
        pack.spacing is not None,
        licences(folder).get(name, "not stated"),
        digest.hexdigest(),
        name,
        pack.volume and pack.contiguous,
        subjects,
    )


def _from_pack(folder: Path, pack: Pack, rows: NDArray[np.intp]) -> tuple[Scan, Masks]:
    scan, drawn = pack_scan(folder, pack, rows)
    if drawn is None:
        raise SettingError(f"{folder / pack.name}.npz holds no masks; a task needs them.")
    return scan, np.ascontiguousarray(to_slices(drawn.labels).astype(np.uint8))


__all__ = ["PACK_TASKS", "load_task", "pack_task"]
