"""nnU-Net v2 as a segmenter from outside: each arm becomes a dataset in its layout, and its results come back.

Nothing of it is imported: the folders are what both sides agree on. All arms have the same cases, the same
``splits_final.json`` and the same normalization: ``rgb_to_0_1`` for every channel, which divides by 255 and looks at
no channel's own statistics. (nnU-Net's default would stretch each channel by itself, and what a weak colour says would
grow as loud as the gray.) Channels are therefore written as 8 bits: 0 to 255 for lightness, 128 for no chroma.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medcolor.comparison.tasks import Masks, Subject, Task
from medcolor.errors import OutputExistsError, SettingError

FIRST_ID = 600  # numbers that nnU-Net's own data sets do not use
ENDING = ".nii.gz"
NORMALIZATION = "rgb_to_0_1"
CONFIGURATION = "2d"
_STEPS = ("nnUNetv2_plan_and_preprocess", "nnUNetv2_train", "nnUNetv2_predict")
Render = Callable[[Subject], NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Dataset:
    """One arm as nnU-Net has it.

    Attributes
    ----------
    number : int
    folder : Path
        ``DatasetNNN_NAME`` in ``nnUNet_raw``.
    splits : Path
        ``splits_final.json``, where nnU-Net looks for it in ``nnUNet_preprocessed``.
    cases : tuple of (case, patient, split)
    """

    number: int
    folder: Path
    splits: Path
    cases: tuple[tuple[str, str, str], ...]


def export(
    task: Task,
    arm: str,
    channels: int,
    render: Render,
    root: Path,
    *,
    number: int = FIRST_ID,
    subjects: Iterable[Subject] | None = None,
) -> Dataset:
    """Write an arm of a task as a dataset of nnU-Net v2.

    Training and validation patients go to ``imagesTr`` and ``labelsTr``, test patients to ``imagesTs`` and
    ``labelsTs``. Case names are numbers: pseudonyms of patients stay out of file names.

    Parameters
    ----------
    task : Task
    arm : str
    channels : int
    render : callable
        A patient to (nk, channels, nj, ni), lightness / 100 first, as arms are rendered.
    root : Path
        Gets ``nnUNet_raw`` and ``nnUNet_preprocessed``.
    number : int
        Of the dataset; each arm needs its own.
    subjects : iterable of Subject, optional
        In place of the task's own, such as those brought to a study's grid.

    Raises
    ------
    OutputExistsError
        The dataset is there.
    SettingError
        The task has no patients of its own to validate with, or the number is out of range.
    """
    if not 1 <= number <= 999:
        raise SettingError(f"A dataset of nnU-Net has a number from 1 to 999, got {number}.")
    name = f"Dataset{number:03d}_{_word(task.name)}_{_word(arm)}"
    folder, plans = root / "nnUNet_raw" / name, root / "nnUNet_preprocessed" / name
    if folder.exists() or plans.exists():
        raise OutputExistsError(f"{folder if folder.exists() else plans} is there; remove it, or use another folder.")
    everyone = list(task.subjects() if subjects is None else subjects)
    cases = tuple((f"case_{n:04d}", one.patient, one.split) for n, one in enumerate(everyone, start=1))
    sides = {split: [case for case, _, side in cases if side == split] for split in ("train", "val", "test")}
    if not sides["train"]:
        raise SettingError(f"{task.name} has no training patients.")
    places = {label: place for place, label in enumerate(sorted(task.labels), start=1)}
    for (case, _, side), subject in zip(cases, everyone, strict=True):
        _write_case(folder, case, "Ts" if side == "test" else "Tr", render(subject), subject, places)
    index = {
        "channel_names": {str(channel): NORMALIZATION for channel in range(channels)},
        "labels": {"background": 0, **{task.labels[label]: place for label, place in places.items()}},
        "numTraining": len(sides["train"]) + len(sides["val"]),
        "file_ending": ENDING,
        "description": f"{task.name} as {arm}; channels are CIELAB in 8 bits, alike in every arm",
        "licence": task.licence,
    }
    plans.mkdir(parents=True)
    _write_json(folder / "dataset.json", index)
    _write_json(plans / "splits_final.json", splits_of(sides["train"], sides["val"]))
    return Dataset(number, folder, plans / "splits_final.json", cases)


def splits_of(train: Sequence[str], val: Sequence[str]) -> list[dict[str, list[str]]]:
    """Return ``splits_final.json``: one fold, ours. Without validation patients nnU-Net validates on the first one."""
    return [{"train": list(train), "val": list(val) or [train[0]]}]


def bytes_of(channels: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return rendered channels, (nk, channels, nj, ni), as 8 bits: lightness 0..1 to 0..255, chroma about 128.

    A step of chroma is then one CIELAB step; |a*| and |b*| beyond 127, which no display shows, are limited.
    """
    out = np.rint(channels * np.float32(100)) + np.float32(128)
    out[:, 0] = np.rint(channels[:, 0] * np.float32(255))
    return np.clip(out, 0, 255).astype(np.uint8)


def _write_case(
    folder: Path, case: str, where: str, rendered: NDArray[np.float32], subject: Subject, places: dict[int, int]
) -> None:
    import nibabel as nib

    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ subject.scan.geometry.to_lps()
    for channel, block in enumerate(np.moveaxis(bytes_of(rendered), 1, 0)):
        _save(nib, block, affine, folder / f"images{where}" / f"{case}_{channel:04d}{ENDING}")
    table = np.zeros(256, np.uint8)
    for label, place in places.items():
        table[label] = place
    _save(nib, table[subject.masks], affine, folder / f"labels{where}" / f"{case}{ENDING}")


def _save(nib: Any, block: NDArray[np.uint8], affine: NDArray[np.float64], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(np.ascontiguousarray(block.transpose(2, 1, 0)), affine), path)


def _word(text: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in text)


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def installed() -> bool:
    """Whether nnU-Net's commands are on the path."""
    return all(shutil.which(command) for command in _STEPS)


def commands(dataset: Dataset, output: Path, *, trainer: str = "nnUNetTrainer") -> list[list[str]]:
    """Return what is run: plan, train fold 0, predict the test cases."""
    number = str(dataset.number)
    common = ["-d", number, "-c", CONFIGURATION]
    return [
        [_STEPS[0], *common, "--verify_dataset_integrity"],
        [_STEPS[1], number, CONFIGURATION, "0", "-tr", trainer],
        [_STEPS[2], "-i", str(dataset.folder / "imagesTs"), "-o", str(output), *common, "-f", "0", "-tr", trainer],
    ]


def run(dataset: Dataset, output: Path, *, trainer: str = "nnUNetTrainer") -> None:
    """Train nnU-Net on a dataset and segment its test cases.

    Parameters
    ----------
    dataset : Dataset
    output : Path
        Gets one label map for each test case.
    trainer : str
        Such as "nnUNetTrainer_100epochs".

    Raises
    ------
    SettingError
        It is not installed, or one of its commands failed.
    """
    if not installed():
        raise SettingError(
            f"nnU-Net v2 is not installed: {', '.join(_STEPS)} are not on the path. pip install nnunetv2."
        )
    root = dataset.folder.parents[1]
    folders = ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")
    places = os.environ | {name: str(root / name) for name in folders}
    for command in commands(dataset, output, trainer=trainer):
        done = subprocess.run(command, env=places, check=False)
        if done.returncode:
            raise SettingError(f"{command[0]} ended with {done.returncode}; what it said is above.")


def results(dataset: Dataset, output: Path, task: Task) -> dict[str, Masks]:
    """Return patient -> labels (nk, nj, ni) of the test cases, in the task's own numbers.

    Raises
    ------
    SettingError
        A case is missing, has another shape, or labels that the task does not know.
    """
    import nibabel as nib

    numbers = np.zeros(256, np.uint8)
    numbers[1 : len(task.labels) + 1] = sorted(task.labels)
    found = {}
    for case, patient, side in dataset.cases:
        if side != "test":
            continue
        path = output / f"{case}{ENDING}"
        if not path.is_file():
            raise SettingError(f"{path} is missing: nnU-Net did not segment this test case.")
        wanted = nib.load(dataset.folder / "labelsTs" / path.name)
        labels = np.asarray(nib.load(path).dataobj)
        if labels.shape != wanted.shape or not np.isin(labels, np.arange(len(task.labels) + 1)).all():
            raise SettingError(f"{path}: labels 0 to {len(task.labels)} of {wanted.shape} are expected.")
        found[patient] = np.ascontiguousarray(numbers[labels.astype(np.uint8)].transpose(2, 1, 0))
    return found


__all__ = ["Dataset", "bytes_of", "commands", "export", "installed", "results", "run", "splits_of"]
