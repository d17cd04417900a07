"""What colorizers are looked at on: slices of test patients, with their display gray, tissues and target colours."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from medcolor.benchmarking.colorizers.figures import color_histogram
from medcolor.cielab import rgb_to_lab
from medcolor.color import apply_color
from medcolor.errors import MedcolorWarning, TrainingError
from medcolor.palettes import Palette, load_palette
from medcolor.scan import Scan, to_slices
from medcolor.training.datasets import Case, TissueDataset
from medcolor.training.metrics import expected_ab
from medcolor.training.simulate import SIMULATED
from medcolor.training.sources import find_cases
from medcolor.training.targets import contiguous_slices
from medcolor.windowing import default_display, grayscale

if TYPE_CHECKING:
    from torch import Tensor

Floats = NDArray[np.floating]
STYLE = "contrast"
"""The palette every learned method was taught, so the one all colours are judged in."""
PURE = 0.9  # a pixel belongs to one tissue where the target's largest posterior is at least this
SLICES = 4


AT_ONCE = 2
"""Scans prepared or measured at the same time: numpy and torch let go of the interpreter."""


@dataclass(frozen=True, eq=False)
class View:
    """Some slices of one scan as they are looked at; what every method is compared with, computed once.

    Parameters
    ----------
    patient : str
        A pseudonym; what the bootstrap draws again.
    key : str
        Names the scan among others.
    source : str
        Where it is from.
    scan : Scan
    slices : tuple of int
        Which of its slices are looked at, ascending.
    pairs : tuple of int
        Places in ``slices`` whose next place is the next slice in space.
    gray : ndarray of uint8, (n, nj, ni)
        Display gray by the scan's default window.
    labels : ndarray of uint8, (n, nj, ni)
        The target's most probable class; 0 is outside the body, in every family.
    pure : ndarray of bool, (n, nj, ni)
        Where it is nearly certain.
    target_ab : ndarray of float32, (n, nj, ni, 2)
    """

    patient: str
    key: str
    source: str
    scan: Scan
    slices: tuple[int, ...]
    pairs: tuple[int, ...]
    gray: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    pure: NDArray[np.bool_]
    target_ab: NDArray[np.float32]

    @property
    def body(self) -> NDArray[np.bool_]:
        """Where somebody is, (n, nj, ni)."""
        return self.labels > 0

    @cached_property
    def target_rgb(self) -> NDArray[np.uint8]:
        """The target as it would be shown, (n, nj, ni, 3)."""
        return apply_color(self.gray, self.target_ab)

    @cached_property
    def target_lab(self) -> NDArray[np.float32]:
        """The target as it would be shown, in CIELAB, (n, nj, ni, 3)."""
        return lab_of(self.target_rgb)

    @cached_property
    def target_histogram(self) -> Tensor:
        """The target's log-chroma histogram, (n, 3, 64, 64)."""
        return color_histogram(self.target_rgb)

    def sha256(self) -> str:
        """Return a hash of everything figures depend on but the method."""
        scan = self.scan
        facts = (scan.modality, scan.units, scan.inverted, scan.k_axis.value, scan.geometry.spacing)
        digest = hashlib.sha256(repr((self.key, self.patient, self.slices, self.pairs, *facts)).encode())
        for array in (self.gray, self.labels, self.pure, self.target_ab, *to_slices(scan.voxels)):  # models see it all
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()


def lab_of(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return CIELAB (..., 3) of sRGB bytes as they are shown."""
    return rgb_to_lab(rgb / np.float32(255)).astype(np.float32, copy=False)


def find_views(
    data: Path | None,
    family: str,
    *,
    split: str = "test",
    patients: int | None = None,
    slices: int = SLICES,
    cache: Path,
) -> list[View]:
    """Return what is looked at of a modality family.

    Parameters
    ----------
    data : Path, optional
        As for :func:`~medcolor.training.sources.find_cases`; NM and MG are simulated where packs have none.
    family : str
    split : str
    patients : int, optional
        At most so many, spread evenly over all; None takes all.
    slices : int
        At most so many of each patient, spread evenly over each scan; of scans whose slices are neighbours in space
        they come in pairs.
    cache : Path
        Folder of targets.

    Raises
    ------
    TrainingError
        Nobody of this family and side.
    """
    palette, chosen = load_palette(family, STYLE), chosen_cases(data, family, split, patients, slices)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(lambda each: _view(each[0], each[1], palette, cache), chosen))


def chosen_cases(
    data: Path | None, family: str, split: str, patients: int | None, slices: int
) -> list[tuple[Case, int]]:
    """Return which scans are looked at, and how many slices of each; nothing is loaded.

    Raises
    ------
    TrainingError
    """
    with warnings.catch_warnings():
        if family in SIMULATED:  # table and page say so
            warnings.simplefilter("ignore", MedcolorWarning)
        cases = [case for case in find_cases(data, family=family) if case.split == split]
    if not cases:
        raise TrainingError(f"No {split} patients of {family} in {data or 'the folder of packs'}.")
    everybody = sorted({case.patient for case in cases})
    found = []
    for patient in (everybody[n] for n in spread(len(everybody), patients or len(everybody))):
        theirs = [case for case in cases if case.patient == patient]
        theirs = [theirs[n] for n in spread(len(theirs), slices)]
        found += [(case, slices // len(theirs) + (n < slices % len(theirs))) for n, case in enumerate(theirs)]
    return found


def slices_expected(cases: Sequence[tuple[Case, int]]) -> int:
    """Return about how many slices that will be."""
    return sum(len(chosen_slices(c.slices, share, contiguous=bool(c.contiguous))[0]) for c, share in cases)


def spread(count: int, wanted: int) -> list[int]:
    """Return the middles of ``wanted`` equal parts of ``count`` things; all where there are no more."""
    if wanted >= count:
        return list(range(count))
    return [int((n + 0.5) * count / wanted) for n in range(wanted)]


def chosen_slices(count: int, wanted: int, *, contiguous: bool) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return which slices of a scan are looked at, and the places of those that the next one is a neighbour of."""
    if not contiguous or wanted < 2 or count < 2:
        return tuple(spread(count, wanted)), ()
    firsts = [min(2 * n, count - 2) for n in spread(count // 2, wanted // 2)]
    if wanted >= count:
        firsts = list(range(count - 1))
    taken = sorted({k + step for k in firsts for step in (0, 1)})
    return tuple(taken), tuple(taken.index(k) for k in firsts)


def _view(case: Case, wanted: int, palette: Palette, cache: Path) -> View:
    dataset = TissueDataset([case], cache=cache)
    scan = case.load().scan
    contiguous = contiguous_slices(scan) if case.contiguous is None else case.contiguous
    slices, pairs = chosen_slices(case.slices, wanted, contiguous=contiguous)
    target = np.stack([np.asarray(dataset[k]["target"], np.float32) for k in slices], axis=1)
    gray_of = grayscale(scan, default_display(scan))
    return View(
        case.patient,
        case.key,
        case.source,
        scan,
        slices,
        pairs,
        np.concatenate([gray_of(slice(k, k + 1)) for k in slices]),
        target.argmax(axis=0).astype(np.uint8),
        target.max(axis=0) >= PURE,
        expected_ab(target, palette.ab),
    )


def one_slice(view: View, place: int) -> View:
    """Return a view of one of its slices alone."""
    part = slice(place, place + 1)
    return View(
        view.patient,
        view.key,
        view.source,
        view.scan,
        view.slices[part],
        (),
        view.gray[part],
        view.labels[part],
        view.pure[part],
        view.target_ab[part],
    )


def data_identity(views: Sequence[View]) -> str:
    """Return one hash for all of them."""
    return hashlib.sha256("".join(view.sha256() for view in views).encode()).hexdigest()


__all__ = [
    "AT_ONCE",
    "PURE",
    "SLICES",
    "STYLE",
    "View",
    "chosen_slices",
    "data_identity",
    "find_views",
    "lab_of",
    "one_slice",
    "spread",
]
