"""CT traps of geometry: tilt, order, gaps, doubles, and series that are more than one stack."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from medcolor.errors import AmbiguousSeriesError
from medcolor.geometry import Geometry
from medcolor.phantom import datasets, modules
from medcolor.phantom.scans import oblique
from medcolor.phantom.traps.table import CANARY, Expect, Trap, axial, edited, ladder, one, save_all, slices_of
from medcolor.scan import Scan, from_slices, to_slices

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

PLAIN = ladder()
PLAIN_LPS = np.array([[2.0, 0, 0, -10], [0, 3, 0, -20], [0, 0, 5, 30], [0, 0, 0, 1]])
TWENTY = ladder(shape=(4, 3, 20), step=5)
SEVERAL = Expect(error=AmbiguousSeriesError, listed=2)

_C10, _S10 = 0.984807753012208, 0.17364817766693033
# gantry tilted by 10 degrees about the left-right axis, table moving along z: columns lean, slices are stacked straight
TILTED_LPS = np.array([[2.0, 0, 0, -10], [0, 3 * _C10, 0, -20], [0, 3 * _S10, 5, 30], [0, 0, 0, 1]])
TILTED = replace(PLAIN, geometry=Geometry.from_lps((6, 5, 4), TILTED_LPS))
OBLIQUE = replace(PLAIN, geometry=oblique((6, 5, 4), (2, 3, 5), angles=(30, 0, 0), origin=(10, 20, 30)))
# rows stay left-right; columns and slices turn by 30 degrees about x (LPS x is -RAS x: cos 30 = 0.8660254)
OBLIQUE_LPS = np.array(
    [[2.0, 0, 0, -10], [0, 3 * 0.8660254037844387, 2.5, -20], [0, -1.5, 5 * 0.8660254037844387, 30], [0, 0, 0, 1]]
)


def _reversed(folder: Path) -> Path:
    items = slices_of(PLAIN)[::-1]
    for n, dataset in enumerate(items):
        dataset.InstanceNumber = n + 1
    return save_all(items, folder)


def _shuffled(folder: Path) -> Path:
    for name, dataset in zip(("IM3", "b.ima", "IM10", "a"), slices_of(PLAIN), strict=True):
        dataset.InstanceNumber = None
        datasets.save(dataset, folder / "deep" / name[0] / name)
    return folder


def _without(*missing: int) -> Any:
    def build(folder: Path) -> Path:
        return save_all([d for k, d in enumerate(slices_of(TWENTY)) if k + 1 not in missing], folder)

    return build


def _uneven(folder: Path) -> Path:
    items = slices_of(PLAIN)
    for dataset, z in zip(items, (30.0, 31.0, 32.2, 33.2), strict=True):
        dataset.ImagePositionPatient = [-10, -20, z]
        dataset.SliceThickness = "1"
    return save_all(items, folder)


def _same_file_twice(folder: Path) -> Path:
    save_all(slices_of(PLAIN), folder)
    save_all(slices_of(PLAIN)[1:2], folder / "copy")
    return folder


def _same_uid_other_pixels(folder: Path) -> Path:
    save_all(slices_of(PLAIN), folder)
    other = slices_of(PLAIN)[1]
    other.PixelData = bytes(len(other.PixelData))
    save_all([other], folder, "z")
    return folder


def _same_place_other_uid(folder: Path) -> Path:
    items = slices_of(PLAIN)
    other = copy.deepcopy(items[1])
    other.SOPInstanceUID, other.InstanceNumber = modules.uid("a second one"), 9
    other.PixelData = bytes(len(other.PixelData))
    return save_all([*items, other], folder)


def _two_stacks(change: Any, *, same_place: bool = True) -> Any:
    """Build one series that holds two stacks; ``change`` makes the second."""

    def build(folder: Path) -> Path:
        first, second = slices_of(PLAIN), slices_of(PLAIN)
        for n, dataset in enumerate(second):
            dataset.SOPInstanceUID, dataset.InstanceNumber = modules.uid("second stack", n), 5 + n
            if not same_place:
                dataset.ImagePositionPatient = [-10, -20, 130 + 5 * n]
            change(dataset)
        return save_all([*first, *second], folder)

    return build


def _kernel(dataset: Dataset) -> None:
    dataset.ConvolutionKernel = "B70f"


def _frame_of_reference(dataset: Dataset) -> None:
    dataset.FrameOfReferenceUID = modules.uid("another frame of reference")


def _sagittal(dataset: Dataset) -> None:
    dataset.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]
    dataset.ImagePositionPatient = [float(dataset.InstanceNumber), -20, 30]


def _mixed_rows(folder: Path) -> Path:
    tall = ladder(shape=(6, 8, 2))
    items = slices_of(tall)
    for n, dataset in enumerate(items):
        dataset.SOPInstanceUID, dataset.InstanceNumber = modules.uid("tall", n), 20 + n
        dataset.ImagePositionPatient = [-10, -20, 50 + 5 * n]
    return save_all([*slices_of(PLAIN), *items], folder)


def _two_series(folder: Path) -> Path:
    save_all(slices_of(PLAIN, series="a"), folder / "a")
    return save_all(slices_of(PLAIN, series="b"), folder / "b").parent


def _perfusion(folder: Path) -> Path:
    items = []
    for phase in range(3):
        for k, dataset in enumerate(slices_of(PLAIN)):
            dataset.SOPInstanceUID = modules.uid("perfusion", phase, k)
            dataset.InstanceNumber = 1 + 4 * phase + k
            dataset.AcquisitionNumber, dataset.AcquisitionTime = phase + 1, f"10150{2 * phase}"
            dataset.ContentTime, dataset.TemporalPositionIndex = dataset.AcquisitionTime, phase + 1
            items.append(dataset)
    return save_all(items, folder)


def _enhanced(order: list[int]) -> Any:
    def build(folder: Path) -> Path:
        block = to_slices(PLAIN.voxels)[order]
        dataset = datasets.multiframe(replace(PLAIN, voxels=from_slices(np.ascontiguousarray(block))), patient=CANARY)
        groups = list(dataset.PerFrameFunctionalGroupsSequence)
        for frame, k in enumerate(order):
            groups[frame].PlanePositionSequence[0].ImagePositionPatient = [-10, -20, 30 + 5 * k]
            groups[frame].FrameContentSequence[0].InStackPositionNumber = k + 1
            groups[frame].FrameContentSequence[0].DimensionIndexValues = [1, k + 1]
        return datasets.save(dataset, folder / "enhanced.dcm")

    return build


def _drop(positions: np.ndarray[Any, Any], *indices: int) -> np.ndarray[Any, Any]:
    return np.delete(positions, indices, axis=0)


def _positions(scan: Scan) -> np.ndarray[Any, Any]:
    return np.array([[-10.0, -20, 30 + 5 * k] for k in range(scan.shape[2])])


def _no_change(_: Dataset, __: int) -> None:
    pass


GOOD = Expect(voxels=PLAIN.voxels, units="HU", modality="CT", affine_lps=PLAIN_LPS, clean=True, listed=1)
TRAPS = (
    Trap("ct-plain", edited(PLAIN, _no_change), GOOD, "control"),
    Trap(
        "ct-tilt-10",
        edited(TILTED, _no_change),
        Expect(voxels=PLAIN.voxels, units="HU", affine_lps=TILTED_LPS, findings=["gantry-tilt"], irregular=False),
        "positions stacked along z with a leaning normal: the affine is sheared, nothing is resampled",
    ),
    Trap("ct-oblique-30", edited(OBLIQUE, _no_change), replace(GOOD, affine_lps=OBLIQUE_LPS), "no tilt: a turned box"),
    Trap("ct-reversed-order", _reversed, GOOD, "instance numbers run from the head down; positions rule"),
    Trap("ct-names-say-nothing", _shuffled, GOOD, "no instance numbers, no suffixes, subfolders"),
    Trap(
        "ct-missing-slice-7-of-20",
        _without(7),
        Expect(
            voxels=np.delete(TWENTY.voxels, 6, axis=2), units="HU", irregular=True, findings=["gap"],
            positions_lps=_drop(_positions(TWENTY), 6),
        ),
        "never interpolated, never pretended to be evenly spaced",
    ),
    Trap(
        "ct-missing-two-neighbors",
        _without(7, 8),
        Expect(voxels=np.delete(TWENTY.voxels, [6, 7], axis=2), irregular=True, findings=["gap"]),
        "two slices in a row",
    ),
    Trap("ct-missing-at-both-ends", _without(1, 20), Expect(shape=(4, 3, 18), clean=True), "cannot be seen: no gap"),
    Trap(
        "ct-nonuniform-1.0-1.2",
        _uneven,
        Expect(
            voxels=PLAIN.voxels, irregular=True, findings=["nonuniform-spacing"],
            positions_lps=np.array([[-10, -20, 30], [-10, -20, 31], [-10, -20, 32.2], [-10, -20, 33.2]]),
        ),
        "distances 1.0, 1.2, 1.0 mm",
    ),
    Trap(
        "ct-same-instance-twice",
        _same_file_twice,
        replace(GOOD, clean=False, findings=["duplicate-instance"]),
        "the same file copied into a subfolder",
    ),
    Trap(
        "ct-same-uid-other-pixels",
        _same_uid_other_pixels,
        replace(GOOD, clean=False, findings=["duplicate-instance"]),
        "the first wins, the conflict is reported",
    ),
    Trap(
        "ct-same-position-other-uid",
        _same_place_other_uid,
        replace(GOOD, clean=False, findings=["duplicate-position"]),
        "one slice was reconstructed again: the first wins",
    ),
    Trap("ct-two-frames-of-reference", _two_stacks(_frame_of_reference, same_place=False), SEVERAL,
         "positions of two frames of reference cannot be compared"),
    Trap("ct-two-kernels", _two_stacks(_kernel), SEVERAL, "two reconstructions under one series UID"),
    Trap("ct-two-orientations", _two_stacks(_sagittal), SEVERAL, "axial and sagittal in one series"),
    Trap("ct-mixed-rows", _mixed_rows, SEVERAL, "two matrix sizes in one series"),
    Trap("ct-two-series", _two_series, SEVERAL, "never the first one silently"),
    Trap("ct-perfusion", _perfusion, Expect(error=AmbiguousSeriesError, listed=3), "three times at each position"),
    Trap(
        "ct-single-slice",
        one(PLAIN),
        Expect(voxels=PLAIN.voxels[:, :, :1], units="HU", affine_lps=PLAIN_LPS, listed=1),
        "its third axis is the normal, as long as the slice is thick",
    ),
    Trap("ct-enhanced", _enhanced([0, 1, 2, 3]), GOOD, "positions from functional groups"),
    Trap("ct-enhanced-shuffled", _enhanced([2, 0, 3, 1]), GOOD, "frames in any order"),
    Trap(
        "ct-fine-slices",
        edited(replace(PLAIN, geometry=axial((6, 5, 4), (0.2, 0.2, 0.05))), _no_change),
        Expect(voxels=PLAIN.voxels, spacing=(0.2, 0.2, 0.05), clean=True),
        "a micro-CT: 0.05 mm between slices are no duplicates",
    ),
)  # fmt: skip
