"""Where cases come from: image packs, folders of DICOM and volumes, decathlon lists, and simulation."""

from __future__ import annotations

import hashlib
import json
import re
import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from medcolor.errors import MedcolorWarning, TrainingError
from medcolor.scan import MODALITIES, Scan, family, to_slices
from medcolor.tissue_map import Segmentation
from medcolor.training.datasets import Case, Loaded
from medcolor.training.packs import Pack, chosen_packs, licences, pack_groups, pack_scan, pack_splits, packs_folder
from medcolor.training.simulate import SIMULATED, simulated
from medcolor.training.splits import merged, split_patients

Splits = Mapping[str, Sequence[str]]


def pack_cases(
    folder: Path | str | None = None,
    *,
    family: str,
    packs: Sequence[str] | None = None,
    shipped: bool = True,
) -> list[Case]:
    """Return the cases of a modality family in the folder of packs.

    Parameters
    ----------
    folder : Path, optional
        Else that of the environment variable MEDCOLOR_DATA.
    family : str
    packs, shipped
        As for :func:`~medcolor.training.packs.chosen_packs`: share-alike packs train no shipped weights.

    Raises
    ------
    LicenseError, TrainingError
    """
    where = packs_folder(folder)
    splits, terms = pack_splits(where), licences(where)
    cases: list[Case] = []
    for pack in chosen_packs(where, family=family, names=packs, shipped=shipped):
        groups = np.array(pack_groups(where, pack))
        for patient in dict.fromkeys(groups.tolist()):
            rows = np.flatnonzero(groups == patient)
            side = splits[pack.name][patient]
            for n, part in enumerate([rows] if pack.volume else [rows[n : n + 1] for n in range(len(rows))]):
                key = f"{pack.name}/{patient}" if pack.volume else f"{pack.name}/{patient}/{n}"
                load = partial(_from_pack, where, pack, part)
                cases.append(
                    Case(key, patient, family, side, len(part), load, pack.contiguous, pack.name, terms[pack.name])
                )
    return cases


def _from_pack(folder: Path, pack: Pack, rows: Any) -> Loaded:
    scan, masks = pack_scan(folder, pack, rows)
    return Loaded(scan, masks)


def folder_cases(
    folder: Path | str, *, family: str, modality: str | None = None, splits: Path | Splits | None = None
) -> list[Case]:
    """Return the series of a modality family in a folder of DICOM files or volumes, with its subfolders.

    The patient is the PatientID of DICOM, under a pseudonym; of other files the BIDS subject ("sub-01") in their
    path, else the first folder below, else the file's own name.

    Parameters
    ----------
    folder : Path
    family : str
    modality : str, optional
        What files that do not say it are ("CT" for NIfTI volumes in HU).
    splits : Path or Mapping, optional
        {"train": [...], "val": [...], "test": [...]} of patients (a JSON file, or the mapping); the rest go by name.

    Raises
    ------
    TrainingError
        No series of the family.

    Warns
    -----
    MedcolorWarning
        Series of other modalities, or none, were left out.
    """
    from medcolor.io import list_series

    root = Path(folder)
    found, others = [], 0
    for info in list_series(root):
        code = info.modality if info.modality != "OT" else modality or "OT"
        if _family(code) == family:
            found.append((info, _patient(root, info), partial(_from_file, root, info.key, info.modality, modality)))
        else:
            others += 1
    if others:
        warnings.warn(
            f"{root}: {others} series left out, of another modality than {family} or of none (modality=... says what "
            "files are that do not say it).",
            MedcolorWarning,
            stacklevel=2,
        )
    if not found:
        raise TrainingError(f"{root}: no series of {family} here.")
    sides = split_patients((patient for _, patient, _ in found), _listed(splits, root))
    return [
        Case(f"{root.name}/{_pseudonym(info.key)}", _shown(info.format, patient), family, sides[patient],
             info.shape[2], load)
        for info, patient, load in found
    ]  # fmt: skip


def _from_file(root: Path, series: str | None, says: str, modality: str | None) -> Loaded:
    from medcolor.io import read

    return Loaded(read(root, series=series, modality=modality if says == "OT" else None))


def _family(code: str) -> str | None:
    return family(code)


def _patient(root: Path, info: Any) -> str:
    """Return who a series is of; raw, for splitting only."""
    first = info.paths[0]
    if info.format == "dicom":
        import pydicom

        header = pydicom.dcmread(first, stop_before_pixels=True, specific_tags=["PatientID", "StudyInstanceUID"])
        return str(header.get("PatientID") or header.get("StudyInstanceUID") or info.key)
    return patient_of(Path(first).relative_to(root))


def patient_of(path: Path) -> str:
    """Return whose a file is by its path below the data folder: BIDS subject, else first folder, else file name."""
    subject = re.search(r"sub-[A-Za-z0-9]+", path.as_posix())
    if subject:
        return subject[0]
    return path.parts[0] if len(path.parts) > 1 else path.name.split(".")[0]


def _pseudonym(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _shown(form: str, patient: str) -> str:
    return f"patient-{_pseudonym(patient)}" if form == "dicom" else patient


def _listed(splits: Path | Splits | None, root: Path) -> dict[str, str]:
    if splits is None:
        return {}
    parts = json.loads(Path(splits).read_text(encoding="utf-8")) if isinstance(splits, Path | str) else splits
    return merged({str(root): parts})[str(root)]


_SECTIONS = {"training": None, "validation": "val", "test": "test"}
_DECATHLON = {"CT": "CT", "MRI": "MR", "MR": "MR", "PET": "PT", "US": "US", "XR": "DX", "X-RAY": "DX"}


def decathlon_cases(
    datalist: Path | str, *, family: str, modality: str | None = None, splits: Path | Splits | None = None
) -> list[Case]:
    """Return the cases of a list in the format of the Medical Segmentation Decathlon.

    Sections "validation" and "test" are taken at their word; "training" is split by patient, and a patient who is
    in one of the other sections as well stays there. An item may say its "patient"; else its path does. A "label"
    beside an image is joined where the list's "labels" names a tissue.

    Parameters
    ----------
    datalist : Path
        JSON; paths are relative to its folder.
    family, modality, splits
        As for :func:`folder_cases`; ``modality`` else is what the list says.
    """
    from monai.data import load_decathlon_datalist

    path = Path(datalist)
    if not path.is_file():
        raise TrainingError(f"{path}: no such list.")
    listing = json.loads(path.read_text(encoding="utf-8"))
    code = modality or _stated_modality(listing)
    if code is None or _family(code) != family:
        raise TrainingError(
            f"{path}: a list for {family} was expected, this one says modality "
            f"{listing.get('modality', 'nothing')!r}. modality=... overrides it."
        )
    names = {int(n): str(name) for n, name in dict(listing.get("labels", {})).items() if int(n) > 0}
    items = []
    for section, side in _SECTIONS.items():
        if listing.get(section):
            items += [(item, side) for item in load_decathlon_datalist(str(path), True, section)]
    if not items:
        raise TrainingError(f'{path}: no "training", "validation" or "test" items.')
    owners = [_item_patient(item, path.parent) for item, _ in items]
    fixed = {owner: side for owner, (_, side) in zip(owners, items, strict=True) if side}
    sides = split_patients(owners, fixed | _listed(splits, path.parent))
    return [
        _decathlon_case(item, owner, family, sides[owner], code, names)
        for owner, (item, _) in zip(owners, items, strict=True)
    ]


def _stated_modality(listing: Mapping[str, Any]) -> str | None:
    said = listing.get("modality")
    first = next(iter(said.values()), None) if isinstance(said, dict) else said
    word = str(first or "").strip().upper()
    if word in MODALITIES:
        return word
    return _DECATHLON.get(word) or ("MR" if word in {"T1", "T1W", "T2", "T2W", "FLAIR", "T1GD", "ADC"} else None)


def _item_patient(item: Mapping[str, Any], base: Path) -> str:
    if "patient" in item:
        return str(item["patient"])
    image = Path(_one(item["image"]))
    name = patient_of(image.relative_to(base)) if image.is_relative_to(base) else patient_of(Path(image.name))
    return image.name.split(".")[0] if name in {"imagesTr", "imagesTs", "images"} else name


def _one(paths: Any) -> str:
    return str(paths if isinstance(paths, str | Path) else paths[0])


def _decathlon_case(
    item: Mapping[str, Any], owner: str, family: str, side: str, code: str, names: Mapping[int, str]
) -> Case:
    from medcolor.io import list_series

    image = Path(_one(item["image"]))
    info = list_series(image)[0]
    label = Path(_one(item["label"])) if item.get("label") and names else None
    load = partial(_from_list, image, info.key, code, label, dict(names))
    return Case(f"{image.name}/{_pseudonym(str(image))}", owner, family, side, info.shape[2], load)


def _from_list(image: Path, series: str, code: str, label: Path | None, names: dict[int, str]) -> Loaded:
    from medcolor.io import read

    scan = read(image, series=series, modality=code)
    return Loaded(scan, None if label is None else _label_map(label, scan, names))


def _label_map(path: Path, scan: Scan, names: dict[int, str]) -> Segmentation:
    from medcolor.io import read

    drawn = read(path, modality="OT")
    scan.geometry.require_match(drawn.geometry, "An image and its labels", atol=1e-2)
    block = np.ascontiguousarray(to_slices(drawn.voxels))
    labels = np.rint(block).astype(np.uint16)
    unknown = set(np.unique(labels).tolist()) - set(names) - {0}
    return Segmentation(to_slices(labels), scan.geometry, names | {n: f"label {n}" for n in unknown})


def simulated_cases(family: str, *, count: int = 200, shape: tuple[int, int] | None = None) -> list[Case]:
    """Return simulated scans with their true answer: 70 % to train, 10 % to validate, 20 % to test.

    Case n is the same whatever ``count`` is.

    Parameters
    ----------
    family : str
        NM or MG.
    count : int
    shape : (int, int), optional
        ni, nj.
    """
    if family not in SIMULATED:
        raise TrainingError(f"Only {', '.join(SIMULATED)} are simulated, not {family}.")
    slices = SIMULATED[family].slices
    sides = ["train"] * 7 + ["val"] + ["test"] * 2
    return [
        Case(f"simulated_{family.lower()}/{n}", f"simulated-{family}-{n}", family, sides[n % 10], slices,
             partial(_simulated, family, n, shape), contiguous=False, source="simulated by medcolor",
             licence="none needed: no picture of a person went in")
        for n in range(count)
    ]  # fmt: skip


def _simulated(family: str, seed: int, shape: tuple[int, int] | None) -> Loaded:
    scan, truth = simulated(family, seed=seed, shape=shape)
    return Loaded(scan, None, truth)


def find_cases(
    data: Path | str | None,
    *,
    family: str,
    modality: str | None = None,
    splits: Path | Splits | None = None,
    packs: Sequence[str] | None = None,
    shipped: bool = True,
    count: int = 200,
) -> list[Case]:
    """Return the cases of whatever ``data`` is.

    A ``.json`` file is a decathlon list; a folder with ``manifest.json`` (in it, or in its folder ``packs``) is the
    folder of packs, which None takes from the environment; any other folder holds DICOM files or volumes. For NM and
    MG the packs have nothing: ``count`` scans are simulated, with a warning that says so.
    """
    if data is not None and Path(data).suffix.lower() == ".json":
        return decathlon_cases(data, family=family, modality=modality, splits=splits)
    if data is not None and not Path(data).is_dir():
        raise TrainingError(f"{data}: no folder and no .json list.")
    is_packs = data is None or any((p / "manifest.json").is_file() for p in (Path(data), Path(data) / "packs"))
    if not is_packs and data is not None:
        return folder_cases(data, family=family, modality=modality, splits=splits)
    if family in SIMULATED:
        warnings.warn(
            f"There is no pack of {family}: training on {count} simulated scans.", MedcolorWarning, stacklevel=2
        )
        return simulated_cases(family, count=count)
    return pack_cases(data, family=family, packs=packs, shipped=shipped)
