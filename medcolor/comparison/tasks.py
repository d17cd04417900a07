"""What is segmented: patients with a scan, expert masks, and a side of the split that never changes.

A task is a pack of the data folder, or any folder in the layout of nnU-Net, of the Medical Segmentation Decathlon, or
of DICOM with segmentations (:mod:`medcolor.comparison.task_catalog` finds them).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from medcolor.errors import SettingError
from medcolor.geometry import Space
from medcolor.scan import Scan, family, to_slices

if TYPE_CHECKING:
    pass

Masks = NDArray[np.uint8]
Load = Callable[[], tuple[Scan, Masks]]

_MOST_LABELS = 255


@dataclass(frozen=True, eq=False)
class Subject:
    """One patient, read when first asked for. Drop the value to free its arrays.

    Parameters
    ----------
    patient : str
        Who may be on one side only.
    split : str
        "train", "val" or "test".
    load : callable
        Returns the scan, and masks (nk, nj, ni) of uint8 with 0 for the background.
    """

    patient: str
    split: str
    load: Load = field(repr=False)

    @cached_property
    def _loaded(self) -> tuple[Scan, Masks]:
        scan, masks = self.load()
        if masks.shape != to_slices(scan.voxels).shape or masks.dtype != np.uint8:
            raise SettingError(
                f"{self.patient}: masks are {masks.dtype} {masks.shape}, the scan has slices "
                f"{to_slices(scan.voxels).shape}; masks are uint8 of the scan's slices."
            )
        return scan, masks

    @property
    def scan(self) -> Scan:
        """The scan; 2-D images of a patient are stacked along k."""
        return self._loaded[0]

    @property
    def masks(self) -> Masks:
        """Labels, (nk, nj, ni), 0 for the background."""
        return self._loaded[1]


@dataclass(frozen=True, eq=False)
class Task:
    """A set of patients and what is to be found in them.

    Parameters
    ----------
    name : str
    family : str
        Modality family of the scans.
    labels : Mapping of int to str
        Without the background.
    spacing_known : bool
        Whether distances are in mm; else in pixels, and reports say so.
    licence : str
    identity : str
        sha256 of the data and of who is on which side.
    source : str
        What a model card would call the data; see :mod:`medcolor.comparison.leaks`.
    volume : bool
        Whether the slices of a patient are neighbours in one volume, so that distances are measured in three
        dimensions; else slice by slice.
    """

    name: str
    family: str
    labels: Mapping[int, str]
    spacing_known: bool
    licence: str
    identity: str
    source: str
    volume: bool
    _subjects: Callable[[], Sequence[Subject]] = field(repr=False)

    def __post_init__(self) -> None:
        if not self.labels or not all(0 < label <= _MOST_LABELS for label in self.labels):
            raise SettingError(f"{self.name}: labels are numbers from 1 to {_MOST_LABELS}, got {sorted(self.labels)}.")
        object.__setattr__(self, "labels", MappingProxyType(dict(sorted(self.labels.items()))))

    def subjects(self, split: str | None = None) -> list[Subject]:
        """Return the patients, of one side or all, in a fixed order; each call gives new values, read when used."""
        return [subject for subject in self._subjects() if split in {None, subject.split}]

    def patients(self, split: str) -> tuple[str, ...]:
        """Return who is on a side."""
        return tuple(subject.patient for subject in self.subjects(split))


@lru_cache(maxsize=64)
def file_digest(path: Path, changed: int) -> str:
    """Return the sha256 of a file, hex; ``changed`` is its time of change, so that a new file is read again."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def in_millimetres(scan: Scan) -> bool:
    """Whether distances in a scan are in mm."""
    return scan.geometry.space is not Space.PIXEL


def family_of(modality: str, where: str) -> str:
    """Return the modality family.

    Raises
    ------
    SettingError
        There is none; names the folder.
    """
    if (found := family(modality)) is None:
        raise SettingError(f'{where}: modality "{modality}" is none of CT, MR, PT, NM, US, XR, MG.')
    return found


__all__ = ["Load", "Masks", "Subject", "Task", "family_of", "file_digest", "in_millimetres"]
