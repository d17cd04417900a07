"""Ultrasound and nuclear traps: colour inside gray, palettes, planes of colour, cines, views, SPECT slices."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from medcolor.geometry import Geometry, Space
from medcolor.phantom import datasets, modules
from medcolor.phantom.traps.table import CANARY, Expect, Trap, ladder, one
from medcolor.scan import KAxis, Scan, from_slices

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

US = ladder("US", (6, 5, 1), start=10, step=8)


def rgb_scan(rgb: NDArray[np.uint8]) -> Scan:
    """Return a US scan of these RGB frames (nk, nj, ni, 3)."""
    gray = np.zeros(rgb.shape[:3], np.uint8)
    geometry = Geometry.from_spacing((rgb.shape[2], rgb.shape[1], rgb.shape[0]), (0.5, 0.5, 1), Space.DETECTOR)
    return Scan(from_slices(gray), geometry, "US", rgb=from_slices(rgb), k_axis=KAxis.TIME)


def _doppler() -> NDArray[np.uint8]:
    """Paint gray speckle 20 x 16 with a Doppler box of red and blue, and gray pixels between them."""
    rgb = np.repeat(np.arange(320, dtype=np.uint8).reshape(16, 20, 1) // 2 + 40, 3, axis=2)
    rgb[6:9, 6:10] = 200, 30, 10
    rgb[9:11, 6:10] = 20, 40, 220
    return rgb[None]


DOPPLER = _doppler()
COLORFUL = DOPPLER.max(axis=-1) != DOPPLER.min(axis=-1)
SMOOTH = np.stack(np.broadcast_arrays(*np.ogrid[60:94, 100:134, 80:81]), axis=-1)[:, :, 0].astype(np.uint8)[:17, :33]


def _regions(dataset: Dataset) -> None:
    dataset.SequenceOfUltrasoundRegions = [
        modules.us_region((0, 0, 19, 15), (0.5, 0.5)),
        modules.us_region((5, 5, 11, 12), (0.5, 0.5), data_type=2),
    ]


def _planar(dataset: Dataset) -> None:
    dataset.PlanarConfiguration = 1
    dataset.PixelData = np.ascontiguousarray(DOPPLER[0].transpose(2, 0, 1)).tobytes()


def _ybr_full(dataset: Dataset) -> None:
    """Store Y, CB, CR of four colours, computed by hand from PS3.3 C.7.6.3.1.2: black, white, gray 100, red 254 0 0."""
    dataset.PhotometricInterpretation = "YBR_FULL"
    # red: Y = 0.299 * 254 = 75.9; CB = 128 - 0.1687 * 254 = 85.1; CR = 128 + 0.5 * 254 = 255
    dataset.PixelData = bytes([0, 128, 128, 255, 128, 128, 100, 128, 128, 76, 85, 255])


def _jpeg(rgb: NDArray[np.uint8], subsampling: int) -> bytes:
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(rgb).save(stream, "JPEG", quality=95, subsampling=subsampling)
    return stream.getvalue()


def _ybr_422_odd(folder: Path) -> Path:
    """Write a JPEG of 33 x 17 with colour at half the width, as scanners do."""
    from pydicom.encaps import encapsulate

    dataset = datasets.single_frames(rgb_scan(SMOOTH[None]), patient=CANARY)[0]
    dataset.PhotometricInterpretation = "YBR_FULL_422"
    dataset.LossyImageCompression, dataset.LossyImageCompressionMethod = "01", "ISO_10918_1"
    dataset.add_new(0x7FE00010, "OB", encapsulate([_jpeg(SMOOTH, 1)]))
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.50"
    return datasets.save(dataset, folder / "one.dcm")


def _palette(dataset: Dataset, bits: int) -> None:
    """Make a palette of 4 entries from stored value 10 on; 16-bit entries are 257 times the byte."""
    dataset.PhotometricInterpretation, dataset.PixelRepresentation = "PALETTE COLOR", 0
    for tag, values in ((0x1, (0, 255, 10, 90)), (0x2, (0, 128, 20, 90)), (0x3, (0, 0, 200, 90))):
        dataset.add_new(0x00281100 + tag, "US", [4, 10, bits])
        table = np.array(values, np.uint16) * 257
        data = table.astype("<u2").tobytes() if bits == 16 else bytes(values)
        dataset.add_new(0x00281200 + tag, "OW", data)
    modules_pixels = np.array([[9, 10, 11], [12, 13, 200]], np.uint8)
    dataset.Rows, dataset.Columns, dataset.PixelData = 2, 3, modules_pixels.tobytes()


_PALETTE_RGB = np.array([[[0, 0, 0], [0, 0, 0], [255, 128, 0]], [[10, 20, 200], [90, 90, 90], [90, 90, 90]]], np.uint8)


def _multiframe(scan: Scan) -> Any:
    def build(folder: Path) -> Path:
        return datasets.save(datasets.multiframe(scan, patient=CANARY), folder / "frames.dcm")

    return build


def _spect(folder: Path) -> Path:
    """Write reconstructed SPECT: 4 slices, geometry in the detector's item only, slices running to the feet."""
    dataset = datasets.multiframe(ladder("NM", (6, 5, 4), start=0, step=3), patient=CANARY)
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "RECON TOMO", "EMISSION"]
    dataset.FrameIncrementPointer, dataset.SliceVector, dataset.NumberOfSlices = 0x00540080, [1, 2, 3, 4], 4
    for keyword in ("DetectorVector", "EnergyWindowVector", "WholeBodyTechnique", "ScanLength", "ScanVelocity"):
        del dataset[keyword]
    dataset.NumberOfDetectors = 1
    detector = modules.item(
        CollimatorType="PARA", ImagePositionPatient=[-10, -20, 30], ImageOrientationPatient=[1, 0, 0, 0, 1, 0]
    )
    dataset.DetectorInformationSequence = [detector]
    dataset.PixelSpacing, dataset.SpacingBetweenSlices, dataset.SliceThickness = ["3", "2"], "-5", "5"
    dataset.FrameOfReferenceUID, dataset.PositionReferenceIndicator = modules.uid("spect"), ""
    return datasets.save(dataset, folder / "spect.dcm")


_CINE = ladder("US", (6, 5, 7), start=0, step=1, k_axis=KAxis.TIME)
_ONE_FRAME = ladder("US", (6, 5, 1), start=10, step=8, k_axis=KAxis.TIME)
_VIEWS = ladder("NM", (6, 5, 2), start=0, step=7)
_SPECT = ladder("NM", (6, 5, 4), start=0, step=3).voxels
_SPECT_LPS = np.array([[2.0, 0, 0, -10], [0, 3, 0, -20], [0, 0, -5, 30], [0, 0, 0, 1]])
_GRAY_RGB = np.repeat(np.arange(0, 240, 8, dtype=np.uint8).reshape(1, 5, 6, 1), 3, axis=-1)
_YBR = np.array([[[0, 0, 0], [255, 255, 255], [100, 100, 100], [254, 0, 0]]], np.uint8)

TRAPS = (
    Trap(
        "us-plain", one(US),
        Expect(voxels=US.voxels, units="gray level", modality="US", space=Space.DETECTOR, spacing=(2, 3, 1)),
        "spacing from the region's calibration",
    ),
    Trap(
        "us-doppler", one(rgb_scan(DOPPLER), _regions),
        Expect(rgb=DOPPLER.transpose(2, 1, 0, 3), colored=COLORFUL.transpose(2, 1, 0), listed=1),
        "colour is found and kept, byte for byte; every coloured pixel must be in the mask",
    ),
    Trap("us-planar-1", one(rgb_scan(DOPPLER), _planar), Expect(rgb=DOPPLER.transpose(2, 1, 0, 3)), "RRR GGG BBB"),
    Trap(
        "us-ybr-full", one(rgb_scan(_YBR[None]), _ybr_full),
        Expect(rgb=_YBR[None].transpose(2, 1, 0, 3), atol=2), "by hand, within rounding",
    ),
    Trap(
        "us-ybr-422-odd-width", _ybr_422_odd, Expect(rgb=SMOOTH[None].transpose(2, 1, 0, 3), atol=8),
        "33 columns: the last pair is half",
    ),
    Trap(
        "us-palette-8", one(replace(US, voxels=US.voxels), lambda d: _palette(d, 8)),
        Expect(rgb=_PALETTE_RGB[None].transpose(2, 1, 0, 3)), "values outside take the first and last entry",
    ),
    Trap(
        "us-palette-16", one(US, lambda d: _palette(d, 16)),
        Expect(rgb=_PALETTE_RGB[None].transpose(2, 1, 0, 3)), "the high byte",
    ),
    Trap(
        "us-gray-in-rgb", one(rgb_scan(_GRAY_RGB)),
        Expect(voxels=_GRAY_RGB[..., 0].transpose(2, 1, 0), gray=_GRAY_RGB[..., 0].transpose(2, 1, 0)),
        "no pixel has colour: it may be coloured like any gray image",
    ),
    Trap(
        "us-cine", _multiframe(_CINE),
        Expect(voxels=_CINE.voxels, k_axis=KAxis.TIME, listed=1, facts={"FrameTime": 40.0}), "frames are times",
    ),
    Trap(
        "us-one-frame-multiframe", _multiframe(_ONE_FRAME), Expect(voxels=US.voxels, shape=(6, 5, 1)),
        "NumberOfFrames 1",
    ),
    Trap(
        "nm-whole-body", _multiframe(_VIEWS),
        Expect(voxels=_VIEWS.voxels, k_axis=KAxis.VIEW, modality="NM", units="counts", listed=1, spacing=(2, 3, 1)),
        "anterior and posterior are no neighbours in space",
    ),
    Trap(
        "nm-spect", _spect,
        Expect(voxels=_SPECT, affine_lps=_SPECT_LPS, k_axis=KAxis.SPACE, units="counts", listed=1),
        "PS3.3 C.8.4.15: spacing between slices has a sign, against the normal when negative",
    ),
)  # fmt: skip
