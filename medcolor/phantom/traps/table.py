"""What a trap is: a file that breaks careless readers, and the one right answer to it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from medcolor.errors import MedcolorError, ReadCode
from medcolor.geometry import Geometry, Space
from medcolor.phantom import datasets
from medcolor.scan import KAxis, Scan, from_slices

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

CANARY = "CANARY^PHI"  # the patient's name in every trap; it may appear in no message, finding or fact


@dataclass(frozen=True, eq=False)
class Expect:
    """The right answer. What is None is not checked.

    Parameters
    ----------
    error : type of Exception or None
        The file is refused with it; with ``codes`` a ReadError of one of these codes.
    voxels : ndarray (ni, nj, nk)
        Values in ``units``, within ``atol``.
    affine_lps : ndarray (4, 4)
        Voxel index -> LPS mm, within 1e-3 mm at every corner.
    positions_lps : ndarray (nk, 3)
        Image Position (Patient) of each slice in final order, where one affine cannot say it.
    spacing : tuple
        Along i, j, k in mm.
    findings : sequence of str
        Codes that must be in the audit.
    clean : bool
        Nothing worse than a note may be in the audit.
    irregular : bool
        Whether the audit says positions fit no single affine.
    warns : bool
        Whether read() must warn (it must not otherwise).
    listed : int
        Entries of list_series.
    gray : ndarray (ni, nj, nk)
        Display gray with the file's own window.
    """

    error: type[Exception] | None = None
    codes: tuple[ReadCode, ...] = ()
    voxels: NDArray[Any] | None = None
    atol: float = 0.0
    units: str | None = None
    modality: str | None = None
    shape: tuple[int, int, int] | None = None
    affine_lps: NDArray[np.float64] | None = None
    positions_lps: NDArray[np.float64] | None = None
    spacing: tuple[float, float, float] | None = None
    space: Space | None = None
    findings: Sequence[str] = ()
    clean: bool = False
    irregular: bool | None = None
    warns: bool = False
    listed: int | None = None
    inverted: bool | None = None
    k_axis: KAxis | None = None
    windows: int | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    padding: NDArray[np.bool_] | None = None
    rgb: NDArray[np.uint8] | None = None
    colored: NDArray[np.bool_] | None = None
    gray: NDArray[np.uint8] | None = None


def refused(*codes: ReadCode) -> Expect:
    """Return: refused with one of these codes (any MedcolorError when none is given)."""
    return Expect(error=MedcolorError, codes=codes)


@dataclass(frozen=True, eq=False)
class Trap:
    """A file or folder made on demand, and what reading it must give.

    Parameters
    ----------
    name : str
        Kebab case, unique.
    build : callable
        Makes the files in an empty folder and returns the path to read.
    expect : Expect
    why : str
        What goes wrong in careless readers, or where the answer comes from.
    """

    name: str
    build: Callable[[Path], Path]
    expect: Expect
    why: str = ""

    def make(self, folder: Path) -> Path:
        """Make the files and return the path to read; pydicom's complaints about bad values are kept quiet."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return self.build(folder)


def ladder(
    modality: str = "CT",
    shape: tuple[int, int, int] = (6, 5, 4),
    *,
    start: int = -1000,
    step: int = 11,
    geometry: Geometry | None = None,
    **fields: Any,
) -> Scan:
    """Return a small scan whose value at (i, j, k) is start + step * (i + ni * (j + nj * k))."""
    ni, nj, nk = shape
    block = (start + step * np.arange(ni * nj * nk, dtype=np.int64)).reshape(nk, nj, ni)
    kind = "u1" if modality == "US" else "i2" if start < 0 or modality == "CT" else "u2"
    if geometry is None and modality in {"CT", "MR", "PT", "OT"}:
        geometry = axial(shape)
    elif geometry is None:
        geometry = Geometry.from_spacing(shape, (2.0, 3.0, 1.0), Space.DETECTOR)
    units = "HU" if modality == "CT" else "arbitrary"
    return Scan(from_slices(block.astype(kind)), geometry, modality, units=units, **fields)


def axial(shape: tuple[int, int, int], spacing: tuple[float, float, float] = (2.0, 3.0, 5.0)) -> Geometry:
    """Return axial slices from the feet up, first voxel at LPS (-10, -20, 30) mm."""
    lps = np.diag([*spacing, 1.0])
    lps[:3, 3] = -10, -20, 30
    return Geometry.from_lps(shape, lps)


def slices_of(scan: Scan, **names: str) -> list[Dataset]:
    """Return the scan's single-frame datasets, of the canary patient."""
    return datasets.single_frames(scan, patient=CANARY, **names)


def save_all(items: Sequence[Dataset], folder: Path, prefix: str = "") -> Path:
    """Write datasets as 0001.dcm ... and return the folder."""
    for n, dataset in enumerate(items):
        datasets.save(dataset, folder / f"{prefix}{n + 1:04d}.dcm")
    return folder


def edited(scan: Scan, edit: Callable[[Dataset, int], None], **names: str) -> Callable[[Path], Path]:
    """Return a builder: the scan's slices, each changed by ``edit(dataset, k)``."""

    def build(folder: Path) -> Path:
        items = slices_of(scan, **names)
        for k, dataset in enumerate(items):
            edit(dataset, k)
        return save_all(items, folder)

    return build


def one(scan: Scan, edit: Callable[[Dataset], None] = lambda dataset: None, **names: str) -> Callable[[Path], Path]:
    """Return a builder: the first slice as a single file, changed by ``edit(dataset)``."""

    def build(folder: Path) -> Path:
        dataset = slices_of(scan, **names)[0]
        edit(dataset)
        return datasets.save(dataset, folder / "one.dcm")

    return build


def setting(**attributes: Any) -> Callable[..., None]:
    """Return an edit that sets attributes; None deletes one."""

    def edit(dataset: Dataset, *_: Any) -> None:
        for keyword, value in attributes.items():
            if value is None:
                if keyword in dataset:
                    delattr(dataset, keyword)
            else:
                setattr(dataset, keyword, value)

    return edit
