"""Traps of radiographs and mammograms: raw detector data, laterality, tables, padding ranges."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from medcolor.errors import ReadCode
from medcolor.geometry import Space
from medcolor.phantom import modules
from medcolor.phantom.traps.table import Expect, Trap, ladder, one, refused, setting

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

DX = ladder("DX", (6, 5, 1), start=0, step=100)  # 0 .. 2900
CR = ladder("CR", (6, 5, 1), start=0, step=100)
MG = replace(ladder("MG", (6, 5, 1), start=0, step=100), facts={"BodyPartExamined": "BREAST"})
GRAY_LADDER = DX.voxels


def _mammogram(side: str, view: str) -> Trap:
    scan = replace(MG, facts={"BodyPartExamined": "BREAST", "ImageLaterality": side, "ViewPosition": view})
    expect = Expect(
        voxels=MG.voxels, modality="MG", facts={"ImageLaterality": side, "ViewPosition": view}, inverted=False,
        space=Space.DETECTOR, spacing=(2.0, 3.0, 1.0), listed=1,
    )  # fmt: skip
    return Trap(f"mg-{side.lower()}-{view.lower()}", one(scan), expect, "side and view are kept, nothing is flipped")


def _processing(modality: str) -> Callable[[Dataset], None]:
    def edit(dataset: Dataset) -> None:
        dataset.SOPClassUID = modules.SOP_CLASSES[f"{modality}-PROCESSING"]
        dataset.PresentationIntentType, dataset.PhotometricInterpretation = "FOR PROCESSING", "MONOCHROME1"
        dataset.ImageType = ["ORIGINAL", "PRIMARY", ""]

    return edit


_LEFT = replace(MG, facts={"BodyPartExamined": "BREAST", "ImageLaterality": "L", "ViewPosition": "MLO"})


def _voi_lut(dataset: Dataset) -> None:
    """Add a table of 16 entries from stored value 1000 on, 8 bits: 0, 17, 34 ... 255; lower is 0, higher is 255."""
    del dataset.WindowCenter, dataset.WindowWidth
    lut = modules.item(LUTExplanation="NORMAL")
    lut.add_new(0x00283002, "US", [16, 1000, 8])
    lut.add_new(0x00283006, "OW", bytes(range(0, 256, 17)))
    dataset.VOILUTSequence = [lut]
    modules.pixels(dataset, np.array([[0, 999, 1000, 1001, 1007, 1014, 1015, 4000]], np.uint16), bits=12)


def _voi_lut_16(dataset: Dataset) -> None:
    """Add a table of 12-bit gray in 16-bit words: 0, 1365, 2730, 4095 of 4095 are 0, 85, 170, 255."""
    _voi_lut(dataset)
    dataset.VOILUTSequence[0].add_new(0x00283002, "US", [4, 1000, 12])
    dataset.VOILUTSequence[0].add_new(0x00283006, "OW", np.array([0, 1365, 2730, 4095], "<u2").tobytes())


def _modality_lut(dataset: Dataset) -> None:
    """Add a Modality LUT: stored 0, 100 ... 2900 become 5000 - stored / 2 (all stored values from 0 on)."""
    lut = modules.item(ModalityLUTType="US")
    lut.add_new(0x00283002, "US", [4096, 0, 16])
    lut.add_new(0x00283006, "OW", (5000 - np.arange(4096) // 2).astype("<u2").tobytes())
    dataset.ModalityLUTSequence = [lut]
    for keyword in ("RescaleSlope", "RescaleIntercept", "RescaleType"):
        if keyword in dataset:
            delattr(dataset, keyword)


def _padding_range(dataset: Dataset) -> None:
    dataset.PixelPaddingValue, dataset.PixelPaddingRangeLimit = 0, 350


def _padding_above(dataset: Dataset) -> None:
    """Pad with the greatest values, as MONOCHROME1 does: 2500 .. 2900, given from the top down."""
    dataset.PhotometricInterpretation = "MONOCHROME1"
    dataset.PixelPaddingValue, dataset.PixelPaddingRangeLimit = 2900, 2500


def _inverted(dataset: Dataset) -> None:
    dataset.PhotometricInterpretation, dataset.PresentationLUTShape = "MONOCHROME1", "INVERSE"


_VOI_VALUES = np.array([[[v] for v in row] for row in np.array([[0, 999, 1000, 1001, 1007, 1014, 1015, 4000]]).T])


def _gray(*levels: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.array(levels, np.uint8)[:, None, None]


TRAPS = (
    Trap("mg-for-processing", one(_LEFT, _processing("MG")), refused(ReadCode.FOR_PROCESSING), "raw detector data"),
    Trap(
        "mg-for-processing-by-class-alone",
        one(_LEFT, lambda d: (_processing("MG")(d), setting(PresentationIntentType=None)(d))[0]),
        refused(ReadCode.FOR_PROCESSING),
        "the storage class says it too",
    ),
    Trap(
        "dx-for-processing", one(DX, _processing("DX")), Expect(voxels=DX.voxels, findings=["for-processing"]),
        "readable, unlike raw mammograms, but it is said",
    ),
    *[_mammogram(side, view) for side in "LR" for view in ("CC", "MLO")],
    Trap(
        "mg-monochrome1", one(_LEFT, _inverted), Expect(voxels=MG.voxels, inverted=True),
        "voxels as they are, turned for display only",
    ),
    Trap("dx-plain", one(DX), Expect(voxels=DX.voxels, modality="DX", inverted=False, clean=True), "control"),
    Trap("dx-monochrome1", one(DX, _inverted), Expect(voxels=DX.voxels, inverted=True), "low is bright"),
    Trap(
        "dx-voi-lut", one(DX, _voi_lut),
        Expect(voxels=_VOI_VALUES, gray=_gray(0, 0, 0, 17, 119, 238, 255, 255), windows=1),
        "the table's first entry is for 1000",
    ),
    Trap(
        "dx-voi-lut-12-bit", one(DX, _voi_lut_16),
        Expect(voxels=_VOI_VALUES, gray=_gray(0, 0, 0, 85, 255, 255, 255, 255)),
        "gray of 12 bits, and the last entry holds for all above",
    ),
    Trap(
        "dx-padding-range", one(DX, _padding_range),
        Expect(padding=GRAY_LADDER <= 350, voxels=np.where(GRAY_LADDER <= 350, 400, GRAY_LADDER)),
        "0 .. 350 is no image; the least real value stands in its place",
    ),
    Trap(
        "dx-padding-range-from-above", one(DX, _padding_above),
        Expect(padding=GRAY_LADDER >= 2500, inverted=True),
        "the range runs down from the padding value",
    ),
    Trap("cr-plain", one(CR), Expect(voxels=CR.voxels, modality="CR", space=Space.DETECTOR), "another XR code"),
    Trap(
        "cr-modality-lut", one(CR, _modality_lut), Expect(voxels=5000 - CR.voxels.astype(int) // 2),
        "the table takes the place of slope and intercept",
    ),
    Trap(
        "cr-without-spacing", one(CR, setting(ImagerPixelSpacing=None)),
        Expect(voxels=CR.voxels, space=Space.PIXEL, spacing=(1.0, 1.0, 1.0)),
        "nothing is known: pixels, not millimetres",
    ),
)  # fmt: skip
