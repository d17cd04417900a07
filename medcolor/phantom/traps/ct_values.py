"""CT traps of values: signedness, unused bits, rescale, padding, windows, encodings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from medcolor.phantom import datasets, modules
from medcolor.phantom.traps.ct_geometry import GOOD, PLAIN, PLAIN_LPS
from medcolor.phantom.traps.table import Expect, Trap, edited, ladder, one, save_all, setting, slices_of
from medcolor.scan import to_slices

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

STORED = to_slices(PLAIN.voxels).astype(np.int32) + 1024  # (4, 5, 6), 24 .. 1333
RAMP = np.array([[-300, -160, -60, 40, 140, 239, 240, 400]])  # one row of HU for windows


def stored(block: NDArray[Any], *, bits: int | None = None, **attributes: Any) -> Callable[[Path], Path]:
    """Return a builder: PLAIN's slices with other stored values (nk, nj, ni) and attributes."""

    def edit(dataset: Dataset, k: int) -> None:
        modules.pixels(dataset, block[k], bits=bits)
        setting(**attributes)(dataset)

    return edited(PLAIN, edit)


def window(center: Any, width: Any, **attributes: Any) -> Callable[[Path], Path]:
    """Return a builder: one slice that shows RAMP, with a window."""

    def build(folder: Path) -> Path:
        dataset = slices_of(PLAIN)[0]
        modules.pixels(dataset, RAMP.astype(np.int16))
        setting(RescaleIntercept="0", WindowCenter=center, WindowWidth=width, **attributes)(dataset)
        return datasets.save(dataset, folder / "one.dcm")

    return build


def shown(*gray: int, **more: Any) -> Expect:
    """Return: RAMP is displayed with these gray levels."""
    return Expect(voxels=RAMP.T[:, :, None], gray=np.array([gray], np.uint8).T[:, :, None], **more)


def dirty(signed: bool) -> Callable[[Path], Path]:
    """Return a builder: 12 bits stored of 16, an overlay in bit 12 and rubbish above."""
    values = STORED if not signed else STORED - 1024  # -1000 .. 309: two's complement in 12 bits
    words = (values & 0x0FFF).astype(np.uint16) | np.uint16(0x9000)
    block = words.view(np.int16) if signed else words
    return stored(block, bits=12, RescaleIntercept="0" if signed else "-1024")


def _bad_slope(**attributes: Any) -> Callable[[Path], Path]:
    return edited(PLAIN, setting(**attributes))


def _nan(dataset: Dataset, _: int) -> None:
    from pydicom.dataelem import RawDataElement
    from pydicom.tag import Tag

    dataset[0x00281053] = RawDataElement(Tag(0x00281053), "DS", 4, b"NaN ", 0, False, True)


def _padded() -> tuple[NDArray[Any], NDArray[np.bool_]]:
    block = to_slices(PLAIN.voxels).astype(np.int16).copy()
    mask = np.zeros(block.shape, bool)
    mask[:, 2:4, 2:5] = True
    block[mask] = -2000
    return block, mask


PADDED, PADDING = _padded()


def _mixed_sign(dataset: Dataset, k: int) -> None:
    if k % 2:
        modules.pixels(dataset, to_slices(PLAIN.voxels)[k].astype(np.int16))
        dataset.RescaleIntercept = "0"


def _slope_of_slice(dataset: Dataset, k: int) -> None:
    modules.pixels(dataset, np.full((5, 6), 100, np.uint16))
    dataset.RescaleSlope, dataset.RescaleIntercept = str(k + 1), str(-10 * k)


def encoded(syntax: str, plugin: str = "") -> Callable[[Path], Path]:
    """Return a builder: PLAIN in another transfer syntax."""

    def build(folder: Path) -> Path:
        items = slices_of(PLAIN)
        for dataset in items:
            if plugin:
                dataset["PixelData"].VR = "OW"
                dataset.compress(syntax, encoding_plugin=plugin, generate_instance_uid=False)
            else:
                dataset.file_meta.TransferSyntaxUID = syntax
                if syntax == "1.2.840.10008.1.2.2":
                    dataset.PixelData = np.frombuffer(dataset.PixelData, "<u2").byteswap().tobytes()
        if syntax == "1.2.840.10008.1.2.2":
            return _save_big_endian(items, folder)
        return save_all(items, folder)

    return build


def _save_big_endian(items: list[Dataset], folder: Path) -> Path:
    for n, dataset in enumerate(items):
        dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        dataset.save_as(folder / f"{n + 1:04d}.dcm", enforce_file_format=True, implicit_vr=False, little_endian=False)
    return folder


def _overlay(dataset: Dataset, _: int) -> None:
    dataset.add_new(0x60000010, "US", 5)
    dataset.add_new(0x60000011, "US", 6)
    dataset.add_new(0x60000040, "CS", "G")
    dataset.add_new(0x60000050, "SS", [1, 1])
    dataset.add_new(0x60000100, "US", 1)
    dataset.add_new(0x60000102, "US", 0)
    dataset.add_new(0x60003000, "OW", b"\xff" * 4)


def _nine_bytes(dataset: Dataset) -> None:
    modules.pixels(dataset, (20 * np.arange(9)).astype(np.uint8).reshape(3, 3))
    dataset.RescaleIntercept = "0"


_EIGHT = ladder(start=0, step=2, shape=(6, 5, 4))  # 0 .. 238
UNITLESS = Expect(voxels=STORED.transpose(2, 1, 0), units="arbitrary", findings=["rescale-invalid"])
TRAPS = (
    Trap(
        "ct-unsigned-intercept-0",
        stored(STORED.astype(np.uint16), RescaleIntercept="0"),
        Expect(voxels=STORED.transpose(2, 1, 0), units="HU", affine_lps=PLAIN_LPS),
        "16 bits, unsigned, nothing to add: 24 .. 1333 HU",
    ),
    Trap("ct-12-bit-dirty-high-bits", dirty(signed=False), GOOD, "bits above BitsStored are no part of the value"),
    Trap("ct-12-bit-signed-dirty", dirty(signed=True), GOOD, "the sign bit is bit 11, to be extended"),
    Trap(
        "ct-8-bit",
        stored(to_slices(_EIGHT.voxels).astype(np.uint8), RescaleSlope="8", RescaleIntercept="-1024"),
        Expect(voxels=_EIGHT.voxels.astype(int) * 8 - 1024, units="HU", clean=True),
        "BitsAllocated 8 in a CT: value = 8 * stored - 1024",
    ),
    Trap(
        "ct-16-bit-full-range",
        stored((STORED * 49).astype(np.uint16), RescaleIntercept="-1024"),
        Expect(voxels=(STORED * 49 - 1024).transpose(2, 1, 0), units="HU"),
        "stored up to 65317: does not fit 16 bits signed",
    ),
    Trap(
        "ct-padding-inside-body",
        stored(PADDED, RescaleIntercept="0", PixelPaddingValue=-2000),
        Expect(
            voxels=np.where(PADDING, -1024, PADDED).transpose(2, 1, 0), padding=PADDING.transpose(2, 1, 0),
            units="HU", clean=True,
        ),
        "padding is not -2000 HU",
    ),
    Trap(
        "ct-slope-fraction",
        stored(STORED.astype(np.uint16), RescaleSlope="0.5"),
        Expect(voxels=STORED.transpose(2, 1, 0) * 0.5 - 1024, units="HU"),
        "values become floats",
    ),
    Trap(
        "ct-slope-per-slice",
        edited(PLAIN, _slope_of_slice),
        Expect(voxels=np.broadcast_to(np.array([100.0, 190, 280, 370]), (6, 5, 4)), units="HU"),
        "100 * (k + 1) - 10 k",
    ),
    Trap("ct-mixed-signedness", edited(PLAIN, _mixed_sign), GOOD, "odd slices signed without intercept"),
    Trap("ct-slope-0", _bad_slope(RescaleSlope="0"), UNITLESS, "a slope of 0 would make a constant image"),
    Trap("ct-slope-nan", edited(PLAIN, _nan), UNITLESS, "NaN is no decimal string of the standard"),
    Trap(
        "ct-slope-missing",
        _bad_slope(RescaleSlope=None),
        Expect(voxels=PLAIN.voxels, units="HU", findings=["rescale-slope-missing"]),
        "type 1 in CT; 1 is assumed and said",
    ),
    # gray = round(((x - 39.5) / 399 + 0.5) * 255), PS3.3 C.11.2.1.2.1; 40 -> 127.82, 140 -> 191.73, -60 -> 63.91
    Trap("ct-window-linear", window("40", "400"), shown(0, 0, 64, 128, 192, 255, 255, 255), "c - 0.5, w - 1"),
    Trap(
        # gray = round((x - 40) / 400 + 0.5) * 255; 239 -> 254.36, 240 -> 255
        "ct-window-linear-exact",
        window("40", "400", VOILUTFunction="LINEAR_EXACT"),
        shown(0, 0, 64, 128, 191, 254, 255, 255),
        "-60 -> 63.75, 140 -> 191.25",
    ),
    Trap(
        # gray = 255 / (1 + exp(-4 (x - 40) / 400)): -300: e^3.4, -160: e^2, -60: e^1, 140: e^-1, 239: e^-1.99
        "ct-window-sigmoid",
        window("40", "400", VOILUTFunction="SIGMOID"),
        shown(8, 30, 69, 128, 186, 224, 225, 248),
        "PS3.3 C.11.2.1.3.1",
    ),
    Trap("ct-window-width-1", window("40", "1"), shown(0, 0, 0, 255, 255, 255, 255, 255), "a threshold at 39.5"),
    Trap("ct-window-width-0", window("40", "0"), Expect(windows=0, voxels=RAMP.T[:, :, None]), "illegal: not used"),
    Trap("ct-window-negative", window("40", "-400"), Expect(windows=0, voxels=RAMP.T[:, :, None]), "illegal"),
    Trap("ct-window-center-alone", window("40", None), Expect(windows=0, voxels=RAMP.T[:, :, None]), "half a window"),
    Trap(
        "ct-window-two",
        window(["40", "-600"], ["400", "1500"], WindowCenterWidthExplanation=["ABDOMEN", "LUNG"]),
        shown(0, 0, 64, 128, 192, 255, 255, 255, windows=2),
        "the first is shown, both are kept",
    ),
    Trap("ct-overlay", edited(PLAIN, _overlay), GOOD, "overlay planes are not burnt in"),
    Trap("ct-implicit-vr", encoded(datasets.IMPLICIT), GOOD),
    Trap("ct-big-endian", encoded("1.2.840.10008.1.2.2"), GOOD),
    Trap("ct-deflated", encoded("1.2.840.10008.1.2.1.99"), GOOD),
    Trap("ct-rle", encoded("1.2.840.10008.1.2.5", "pydicom"), GOOD),
    Trap(
        "ct-one-pixel",
        one(ladder(shape=(1, 1, 1), start=77)),
        Expect(voxels=np.array([[[77]]]), units="HU", spacing=(2.0, 3.0, 5.0)),
        "1 x 1",
    ),
    Trap("ct-one-row", one(ladder(shape=(7, 1, 1))), Expect(voxels=ladder(shape=(7, 1, 1)).voxels), "7 x 1"),
    Trap("ct-one-column", one(ladder(shape=(1, 7, 1))), Expect(voxels=ladder(shape=(1, 7, 1)).voxels), "1 x 7: odd"),
    Trap(
        "ct-one-slice-of-8-bit-odd",
        one(
            ladder(shape=(3, 3, 1), start=0, step=20),
            _nine_bytes,
        ),
        Expect(voxels=ladder(shape=(3, 3, 1), start=0, step=20).voxels, units="HU"),
        "nine bytes and one of padding",
    ),
)  # fmt: skip
