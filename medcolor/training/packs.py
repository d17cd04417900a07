"""The folder of image packs: which pack is what, under which licence, and its scans.

A pack is an ``.npz`` of equally large slices (``images``), the patient of each (``groups``), and sometimes what an
expert drew (``masks``). ``manifest.json`` beside them has the licences, ``splits.json`` who trains and who tests.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medcolor.errors import LicenseError, TrainingError
from medcolor.geometry import Geometry, Space
from medcolor.scan import GRAY_LEVEL, KAxis, Scan, Source, family, from_slices
from medcolor.tissue.pt import _body_mean, _smooth
from medcolor.tissue_map import Segmentation
from medcolor.training.splits import merged, split_patients

ENVIRONMENT = "MEDCOLOR_DATA"


@dataclass(frozen=True, slots=True)
class Pack:
    """What the arrays of a pack mean.

    Parameters
    ----------
    name : str
    modality : str
        DICOM code.
    units : str
    spacing : tuple of float or None
        Along i, j, k in mm, as far as it is known (nearly: it judges sizes); None: only the number of pixels is.
    volume : bool
        The slices of a patient are one volume, in order; else each is an image of its own.
    contiguous : bool
        And they are neighbours, without gaps.
    masks : tuple of str
        Names of mask values 1, 2, ...
    border : float or None
        Images are crops put on a larger canvas of this value; it is cut off again.
    of_body : bool
        Values are relative, and divided by the mean of the body: 1 SUV, for activity that stays in it. So ``units`` is
        a good guess, which is all that can be had, and a network of PET sees whole bodies in its unit.
    """

    name: str
    modality: str
    units: str
    spacing: tuple[float, float, float] | None = None
    volume: bool = True
    contiguous: bool = False
    masks: tuple[str, ...] = ()
    border: float | None = None
    of_body: bool = False

    @property
    def family(self) -> str:
        """Modality family."""
        return family(self.modality) or self.modality


_ALL = (
    Pack("sts_ct", "CT", "HU", (1.0, 1.0, 10.0), masks=("sarcoma",), border=-1024),
    Pack("ct_abd_chest", "CT", "HU", (1.5, 1.5, 5.0), contiguous=True),
    Pack("sts_mr_t1", "MR", "arbitrary", masks=("sarcoma",), border=0),
    Pack("mri_t1_head", "MR", "arbitrary", contiguous=True),
    Pack("mri_breast_dce", "MR", "arbitrary", contiguous=True, masks=("breast_tissue",)),
    Pack("mri_hippocampus", "MR", "arbitrary", (1.0, 1.0, 1.0), contiguous=True,
         masks=("anterior_hippocampus", "posterior_hippocampus"), border=0),
    Pack("sts_pet", "PT", "SUVbw", (4.7, 4.7, 4.0), contiguous=True, masks=("sarcoma",), border=0),
    Pack("pet_fdg_wholebody", "PT", "SUVbw", (4.1, 4.1, 6.5), contiguous=True, of_body=True),
    Pack("us_hc18", "US", GRAY_LEVEL, volume=False, masks=("fetal_head_ellipse",)),
    Pack("xray_nih", "DX", GRAY_LEVEL, volume=False),
    Pack("mednist_breastmri", "MR", "arbitrary", volume=False),
    Pack("mednist_cxr", "DX", GRAY_LEVEL, volume=False),
    Pack("mednist_hand", "DX", GRAY_LEVEL, volume=False),
)  # fmt: skip
PACKS: Mapping[str, Pack] = MappingProxyType({pack.name: pack for pack in _ALL})
"""Packs that can be targets. CT packs without HU cannot: nothing says what their gray means."""


def packs_folder(folder: Path | str | None = None) -> Path:
    """Return the folder with the packs: the one given, or that of the environment variable MEDCOLOR_DATA.

    Raises
    ------
    TrainingError
        Neither is there, or it holds no ``manifest.json`` (itself or in ``packs``).
    """
    given = folder or os.environ.get(ENVIRONMENT)
    if not given:
        raise TrainingError(f"No folder of training data: give one (--data DIR) or set {ENVIRONMENT}.")
    for path in (Path(given), Path(given) / "packs"):
        if (path / "manifest.json").is_file():
            return path
    raise TrainingError(f"{given}: no manifest.json here or in its folder packs, so these are no image packs.")


def licences(folder: Path) -> dict[str, str]:
    """Return pack -> licence, as the manifest says."""
    entries = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    return {str(entry["pack"]).removesuffix(".npz"): str(entry.get("licence", "")) for entry in entries}


def may_ship(licence: str) -> bool:
    """Whether weights trained on data of this licence may be given away under ours: known, and not share-alike."""
    text = licence.upper().replace("-", " ").split()
    return bool(text) and "SA" not in text and "NC" not in text and "ND" not in text


def chosen_packs(
    folder: Path, *, family: str, names: Sequence[str] | None = None, shipped: bool = True
) -> tuple[Pack, ...]:
    """Return the packs of a modality family to train on.

    Parameters
    ----------
    folder : Path
    family : str
    names : sequence of str, optional
        These; else all that are there, and with ``shipped`` only those whose licence allows it.
    shipped : bool
        The weights will be given away.

    Raises
    ------
    LicenseError
        A named pack does not allow shipped weights.
    TrainingError
        No such pack, or of another family, or none at all.
    """
    terms = licences(folder)
    there = [p for p in _ALL if p.family == family and (folder / f"{p.name}.npz").is_file()]
    if names is None:
        found = tuple(p for p in there if not shipped or may_ship(terms.get(p.name, "")))
    else:
        unknown = [name for name in names if name not in {p.name for p in there}]
        if unknown:
            raise TrainingError(
                f"{', '.join(unknown)}: no such pack with targets for {family} in {folder}. There are: "
                f"{', '.join(p.name for p in there) or 'none'}."
            )
        found = tuple(PACKS[name] for name in names)
    for pack in found:
        if shipped and not may_ship(terms.get(pack.name, "")):
            raise LicenseError(
                f'{pack.name} is under "{terms.get(pack.name) or "no known licence"}": weights trained on it cannot be '
                "shipped. Leave it out, or say that they will not be (shipped=False)."
            )
    if not found:
        raise TrainingError(f"{folder} has no packs for {family}.")
    return found


@lru_cache(maxsize=4)
def _arrays(path: Path, changed: int) -> dict[str, NDArray[Any]]:
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def pack_groups(folder: Path, pack: Pack) -> list[str]:
    """Return the patient of each slice. In a pack that does not say, any two images may be of the same patient.

    Such a pack is one patient, of its own name.
    """
    with np.load(folder / f"{pack.name}.npz", allow_pickle=False) as file:
        return file["groups"].tolist() if "groups" in file.files else [pack.name] * len(file["images"])


def pack_splits(folder: Path) -> dict[str, dict[str, str]]:
    """Return {pack: {patient: split}} of every pack in the folder.

    ``splits.json`` stands; a patient it lists for one pack keeps that side in the others; the rest go by name.
    """
    path = folder / "splits.json"
    listed = merged(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}
    everywhere = {patient: side for sides in listed.values() for patient, side in sides.items()}
    groups = {p.name: sorted(set(pack_groups(folder, p))) for p in _ALL if (folder / f"{p.name}.npz").is_file()}
    sides = split_patients((patient for patients in groups.values() for patient in patients), everywhere)
    return {name: {patient: sides[patient] for patient in patients} for name, patients in groups.items()}


def pack_scan(folder: Path, pack: Pack, rows: NDArray[np.intp]) -> tuple[Scan, Segmentation | None]:
    """Return some slices of a pack as a scan, with its masks."""
    path = folder / f"{pack.name}.npz"
    arrays = _arrays(path, path.stat().st_mtime_ns)
    block = arrays["images"][rows]
    block = block.astype(np.float32) if block.dtype == np.float16 else block
    drawn = arrays["masks"][rows].astype(np.uint16) if pack.masks and "masks" in arrays else None
    if pack.border is not None:
        box = _image_box(block, pack.border)
        block, drawn = block[box], None if drawn is None else drawn[box]
    if pack.of_body:
        block = block.astype(np.float32)
        block /= np.float32(_body_mean(_smooth(block)))
    nk, nj, ni = block.shape
    if pack.spacing is None:
        geometry = Geometry.from_spacing((ni, nj, nk), (1, 1, 1), Space.PIXEL)
    else:
        geometry = Geometry.from_spacing((ni, nj, nk), pack.spacing, Space.PATIENT)
    axis = KAxis.SPACE if pack.volume else KAxis.VIEW
    voxels = from_slices(np.ascontiguousarray(block))
    scan = Scan(voxels, geometry, pack.modality, units=pack.units, k_axis=axis, source=Source("memory"))
    if drawn is None:
        return scan, None
    names = {n + 1: name for n, name in enumerate(pack.masks)}
    return scan, Segmentation(from_slices(np.ascontiguousarray(drawn)), geometry, names)


def _image_box(block: NDArray[Any], border: float) -> tuple[slice, slice, slice]:
    """Return the part of a canvas that some slice has an image in; all of it where there is none."""
    there = (block != border).any(axis=0)
    if not there.any():
        return slice(None), slice(None), slice(None)
    j, i = np.flatnonzero(there.any(axis=1)), np.flatnonzero(there.any(axis=0))
    return slice(None), slice(int(j[0]), int(j[-1]) + 1), slice(int(i[0]), int(i[-1]) + 1)
