"""Folders of images and masks as tasks: nnU-Net, the Medical Segmentation Decathlon, and DICOM patient by patient."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from medcolor.comparison.task_masks import masks_on
from medcolor.comparison.tasks import Load, Masks, Subject, Task, family_of, file_digest
from medcolor.errors import SettingError
from medcolor.geometry import Space
from medcolor.scan import KAxis, Scan
from medcolor.training.splits import SPLITS, merged, split_patients

INDEX, FOLDS, SIDES = "dataset.json", "splits_final.json", "splits.json"
_LAYOUT = (
    "Accepted: nnU-Net (dataset.json, imagesTr/CASE_0000.nii.gz, labelsTr/CASE.nii.gz), the decathlon (dataset.json "
    'with a list "training" of {"image", "label"}), or a folder for each patient with DICOM images and one SEG or '
    "RTSTRUCT."
)
_MODALITIES = {"MRI": "MR", "PET": "PT", "ULTRASOUND": "US", "X-RAY": "XR", "XRAY": "XR", "MAMMOGRAPHY": "MG"}
_MR_WEIGHTINGS = ("T1", "T2", "FLAIR", "ADC", "DWI", "PD", "MR")


@dataclass(frozen=True)
class _Case:
    patient: str
    image: Path
    label: Path


def folder_task(folder: Path, *, channel: int = 0) -> Task:
    """Return a folder as a task.

    Who trains and who tests: fold 0 of ``splits_final.json`` (its "val" are those tested), or ``splits.json`` with
    {"train": [...], "val": [...], "test": [...]}, or each patient's name (:func:`split_patients`).

    Parameters
    ----------
    folder : Path
    channel : int
        Which channel of several is the gray image.

    Raises
    ------
    SettingError
        What is missing or not understood, in which file, and what is accepted.
    """
    if (folder / INDEX).is_file():
        return _listed_task(folder, _read_json(folder / INDEX), channel)
    from medcolor.comparison.task_dicom import dicom_subjects

    loads, labels, modality = dicom_subjects(folder, _LAYOUT)
    return _task(folder, labels, modality, loads, sorted(p for p in folder.rglob("*") if p.is_file()), "not stated")


def _listed_task(folder: Path, index: Mapping[str, Any], channel: int) -> Task:
    where = folder / INDEX
    channels = index.get("channel_names") or index.get("modality")
    if not isinstance(channels, Mapping) or str(channel) not in channels:
        raise SettingError(
            f'{where}: "channel_names" (or "modality") must name channel {channel}, such as {{"0": "CT"}}; another '
            "channel is chosen with FOLDER#NUMBER."
        )
    modality = modality_code(str(channels[str(channel)]))
    labels = _labels(index.get("labels"), where)
    cases = _decathlon(folder, index) if isinstance(index.get("training"), list) else None
    cases = cases or _nnunet(folder, str(index.get("file_ending", ".nii.gz")), channel)
    read = partial(_read_case, modality=modality, channel=channel, labels=frozenset(labels))
    loads = {case.patient: partial(read, case) for case in cases}
    files = [where, *(path for case in cases for path in (case.image, case.label))]
    licence = str(index.get("licence") or index.get("license") or "not stated")
    return _task(folder, labels, modality, loads, files, licence)


def modality_code(text: str) -> str:
    """Return the DICOM code of what a ``dataset.json`` calls a modality; unchanged where it is not known."""
    word = text.strip().upper()
    if word.startswith(_MR_WEIGHTINGS):
        return "MR"
    return _MODALITIES.get(word, word)


def _labels(found: object, where: Path) -> dict[int, str]:
    """Return number -> name from {"0": "background", "1": "liver"}, or the other way round as nnU-Net v2 has it."""
    accepted = '"labels" must be {"background": 0, "liver": 1} or {"0": "background", "1": "liver"}'
    if not isinstance(found, Mapping) or not found:
        raise SettingError(f"{where}: {accepted}.")
    out = {}
    for key, value in found.items():
        number, name = (key, value) if str(key).isdecimal() else (value, key)
        if isinstance(number, list):
            raise SettingError(f"{where}: {accepted}; regions of several labels are not taken here.")
        if not str(number).isdecimal():
            raise SettingError(f"{where}: {accepted}.")
        if int(number):
            out[int(number)] = str(name)
    return out


def _decathlon(folder: Path, index: Mapping[str, Any]) -> list[_Case]:
    cases = []
    for entry in index["training"]:
        if not isinstance(entry, Mapping) or not isinstance(entry.get("image"), str):
            continue
        if isinstance(entry.get("label"), str):
            image, label = (folder / str(entry[key]) for key in ("image", "label"))
            cases.append(_Case(_stem(label), image, label))
    return cases


def _nnunet(folder: Path, ending: str, channel: int) -> list[_Case]:
    labels = sorted(p for p in (folder / "labelsTr").glob(f"*{ending}") if not p.name.startswith("."))
    if not labels:
        raise SettingError(f"{folder / 'labelsTr'}: no masks here that end in {ending}. {_LAYOUT}")
    return [
        _Case(name, folder / "imagesTr" / f"{name}_{channel:04d}{ending}", label)
        for label in labels
        for name in [label.name.removesuffix(ending)]
    ]


def _stem(path: Path) -> str:
    return path.name.removesuffix(".gz").rpartition(".")[0] or path.name


def _read_case(case: _Case, *, modality: str, channel: int, labels: frozenset[int]) -> tuple[Scan, Masks]:
    from medcolor.io import read, read_segmentation

    several = _volumes(case.image)
    scan = read(case.image, series=channel + 1 if several > 1 else None, modality=modality)
    return scan, masks_on(scan, read_segmentation(case.label), case.label, labels)


def _volumes(path: Path) -> int:
    from medcolor.io import list_series

    return len(list_series(path))


def _task(
    folder: Path, labels: Mapping[int, str], modality: str, loads: Mapping[str, Load], files: Sequence[Path], terms: str
) -> Task:
    missing = [path for path in files if not path.is_file()]
    if missing:
        raise SettingError(f"{missing[0]} is missing ({len(missing)} of {len(files)} files). {_LAYOUT}")
    if len(loads) < 2:
        raise SettingError(f"{folder} has {len(loads)} patients with masks; a study needs two at least, better twenty.")
    sides = _sides(folder, loads)
    digest = hashlib.sha256()
    for path in [*files, *(folder / name for name in (FOLDS, SIDES) if (folder / name).is_file())]:
        digest.update(f"{path.relative_to(folder)} {file_digest(path, path.stat().st_mtime_ns)}".encode())
    first = next(iter(loads.values()))()[0]
    return Task(
        folder.resolve().name,
        family_of(modality, str(folder)),
        labels,
        first.geometry.space is not Space.PIXEL,
        terms,
        digest.hexdigest(),
        folder.resolve().name,
        first.k_axis is KAxis.SPACE and first.shape[2] > 1,
        _made(loads, sides),
    )


def _made(loads: Mapping[str, Load], sides: Mapping[str, str]) -> Callable[[], list[Subject]]:
    return lambda: [Subject(patient, sides[patient], load) for patient, load in loads.items()]


def _sides(folder: Path, loads: Mapping[str, Load]) -> dict[str, str]:
    names = list(loads)
    if (path := folder / FOLDS).is_file():
        folds = _read_json(path, list)
        fold = folds[0] if folds and isinstance(folds[0], Mapping) else {}
        told = {"train": fold.get("train", []), "test": fold.get("val", [])}
    elif (path := folder / SIDES).is_file():
        told = {side: _read_json(path).get(side, []) for side in SPLITS}
    else:
        return split_patients(names)
    known = merged({folder.name: told})[folder.name]
    if unknown := [name for name in names if name not in known]:
        raise SettingError(f"{path} leaves out {len(unknown)} of {len(names)} patients; each needs a side.")
    return {name: known[name] for name in names}


def _read_json(path: Path, kind: type = dict) -> Any:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise SettingError(f"{path}: no JSON ({type(error).__name__}). {_LAYOUT}") from error
    if not isinstance(found, kind):
        raise SettingError(f"{path}: a {'list' if kind is list else 'mapping'} is expected. {_LAYOUT}")
    return found


__all__ = ["folder_task", "modality_code"]
