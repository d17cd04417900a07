"""MR traps: several volumes in one series, mosaics, slopes of their own for each slice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from medcolor.errors import AmbiguousSeriesError
from medcolor.phantom import datasets, modules
from medcolor.phantom.traps.ct_geometry import PLAIN_LPS
from medcolor.phantom.traps.table import CANARY, Expect, Trap, edited, ladder, save_all, slices_of
from medcolor.scan import from_slices, to_slices

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

PLAIN = replace(ladder("MR", start=0, step=3), units="arbitrary")


def volumes(count: int, mark: Callable[[Dataset, int], None], *, interleaved: bool = False) -> Callable[[Path], Path]:
    """Return a builder: ``count`` volumes over the same positions in one series; ``mark`` tells them apart.

    Volume n holds PLAIN + 1000 n.
    """

    def build(folder: Path) -> Path:
        items = []
        for n in range(count):
            scan = replace(PLAIN, voxels=from_slices(to_slices(PLAIN.voxels) + np.uint16(1000 * n)))
            for k, dataset in enumerate(slices_of(scan)):
                dataset.SOPInstanceUID = modules.uid("volume", n, k)
                dataset.InstanceNumber = 1 + (k * count + n if interleaved else n * 4 + k)
                mark(dataset, n)
                items.append(dataset)
        return save_all(sorted(items, key=lambda d: int(d.InstanceNumber)), folder)

    return build


def _b_value(dataset: Dataset, n: int) -> None:
    dataset.add_new(0x00189087, "FD", [0.0, 1000.0][n])


def _echo(dataset: Dataset, n: int) -> None:
    dataset.EchoTime, dataset.EchoNumbers = ["3", "9"][n], n + 1


def _trigger(dataset: Dataset, n: int) -> None:
    dataset.TriggerTime, dataset.NominalInterval = str(200 * n), "1000"


def _component(dataset: Dataset, n: int) -> None:
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "MP"[n]]


def _temporal(dataset: Dataset, n: int) -> None:
    dataset.TemporalPositionIdentifier, dataset.NumberOfTemporalPositions = n + 1, 3
    dataset.AcquisitionTime = f"10150{n}"


def _three_planes(folder: Path) -> Path:
    items = slices_of(replace(PLAIN, voxels=PLAIN.voxels[:, :, :3], geometry=ladder(shape=(6, 5, 3)).geometry))
    for dataset, turn in zip(items, ([1, 0, 0, 0, 1, 0], [0, 1, 0, 0, 0, -1], [1, 0, 0, 0, 0, -1]), strict=True):
        dataset.ImageOrientationPatient = turn
    return save_all(items, folder)


def _slopes(dataset: Dataset, k: int) -> None:
    modules.pixels(dataset, np.full((5, 6), 8, np.uint16))
    dataset.RescaleSlope, dataset.RescaleIntercept = modules.decimal(0.25 * (k + 1)), "1"


def _signed(dataset: Dataset, k: int) -> None:
    modules.pixels(dataset, np.arange(-15, 15, dtype=np.int16).reshape(5, 6) - np.int16(k))


def _blank(dataset: Dataset, _: int) -> None:
    modules.pixels(dataset, np.zeros((5, 6), np.uint16))


def mosaic(folder: Path) -> Path:
    """Write an echo-planar mosaic as Siemens does: 8 slices of 4 x 4 as tiles of one 12 x 12 image."""
    tiles = np.zeros((9, 4, 4), np.uint16)
    tiles[:8] = np.arange(1, 129).reshape(8, 4, 4)
    picture = tiles.reshape(3, 3, 4, 4).transpose(0, 2, 1, 3).reshape(12, 12)
    dataset = slices_of(replace(PLAIN, voxels=PLAIN.voxels[:, :, :1], geometry=ladder(shape=(6, 5, 1)).geometry))[0]
    modules.pixels(dataset, picture)
    dataset.ImageType, dataset.Manufacturer = ["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"], "SIEMENS"
    dataset.private_block(0x0019, "SIEMENS MR HEADER", create=True).add_new(0x0A, "US", 8)
    # the position is that of the whole picture's corner, as if it were one slice 12 pixels wide
    dataset.ImagePositionPatient, dataset.SpacingBetweenSlices = [-10, -20, 30], "5"
    return datasets.save(dataset, folder / "mosaic.dcm")


def _two_times(folder: Path) -> Path:
    """Write one Enhanced MR with two temporal positions over the same four places."""
    block = np.concatenate([to_slices(PLAIN.voxels), to_slices(PLAIN.voxels) + np.uint16(1000)])
    double = replace(ladder("MR", (6, 5, 8), start=0, step=3), voxels=from_slices(block))
    dataset = datasets.multiframe(double, patient=CANARY)
    for n, group in enumerate(dataset.PerFrameFunctionalGroupsSequence):
        group.PlanePositionSequence[0].ImagePositionPatient = [-10, -20, 30 + 5 * (n % 4)]
        content = group.FrameContentSequence[0]
        content.InStackPositionNumber, content.TemporalPositionIndex = n % 4 + 1, n // 4 + 1
        content.DimensionIndexValues = [1, n % 4 + 1, n // 4 + 1]
    organization = dataset.DimensionOrganizationSequence[0].DimensionOrganizationUID
    dataset.DimensionIndexSequence.append(
        modules.item(
            DimensionOrganizationUID=organization, DimensionIndexPointer=0x00209128, FunctionalGroupPointer=0x00209111
        )
    )
    return datasets.save(dataset, folder / "two_times.dcm")


def _plain(_: Any, __: int) -> None:
    pass


def several(count: int) -> Expect:
    """Return: refused without a choice, with so many to choose from."""
    return Expect(error=AmbiguousSeriesError, listed=count)


TRAPS = (
    Trap(
        "mr-plain",
        edited(PLAIN, _plain),
        Expect(voxels=PLAIN.voxels, units="arbitrary", modality="MR", affine_lps=PLAIN_LPS, clean=True, listed=1),
        "control",
    ),
    Trap("mr-dwi", volumes(2, _b_value), several(2), "b = 0 and b = 1000 at each position"),
    Trap("mr-dwi-interleaved", volumes(2, _b_value, interleaved=True), several(2), "instance numbers alternate"),
    Trap("mr-two-echoes", volumes(2, _echo), several(2), "echo times 3 and 9 ms"),
    Trap("mr-cardiac", volumes(5, _trigger), several(5), "five phases of the heart beat"),
    Trap("mr-magnitude-and-phase", volumes(2, _component), several(2), "image type M and P"),
    Trap("mr-temporal-positions", volumes(3, _temporal), several(3), "dynamic contrast"),
    Trap("mr-three-plane-localizer", _three_planes, several(3), "three orientations in one series"),
    Trap(
        "mr-slope-per-slice",
        edited(PLAIN, _slopes),
        Expect(voxels=np.broadcast_to(np.array([3.0, 5, 7, 9]), (6, 5, 4)), units="arbitrary"),
        "8 * 0.25 (k + 1) + 1, as Philips does",
    ),
    Trap(
        "mr-signed",
        edited(PLAIN, _signed),
        Expect(
            voxels=(np.arange(-15, 15).reshape(1, 5, 6) - np.arange(4)[:, None, None]).transpose(2, 1, 0),
            units="arbitrary",
        ),
        "negative values stay negative",
    ),
    Trap("mr-blank", edited(PLAIN, _blank), Expect(voxels=np.zeros((6, 5, 4)), findings=["constant-image"]), "no NaN"),
    Trap("mr-mosaic", mosaic, Expect(findings=["mosaic"], warns=True), "tiles are slices: at least it is said"),
    Trap(
        "mr-enhanced-two-times",
        _two_times,
        Expect(voxels=PLAIN.voxels, warns=True, listed=2, affine_lps=PLAIN_LPS),
        "one file, several phases: the first, with a warning",
    ),
)
