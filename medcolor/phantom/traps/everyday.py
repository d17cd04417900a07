"""What scanners and archives do every day and the standard did not mean: jitter, odd texts, mixed leftovers."""

from __future__ import annotations

import gzip
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from medcolor.errors import AmbiguousSeriesError, ReadCode
from medcolor.phantom import datasets, modules
from medcolor.phantom.traps import encodings, mr, ultrasound
from medcolor.phantom.traps.ct_geometry import GOOD, PLAIN
from medcolor.phantom.traps.ct_values import RAMP
from medcolor.phantom.traps.hostile import ONE, UNREADABLE
from medcolor.phantom.traps.pt import dose, pet, suv
from medcolor.phantom.traps.table import CANARY, Expect, Trap, edited, one, refused, save_all, setting, slices_of
from medcolor.scan import KAxis

if TYPE_CHECKING:
    from pydicom.dataset import Dataset


def raw_value(tag: int, vr: str, value: bytes) -> Callable[..., None]:
    """Return an edit that puts bytes into an element as they are, past any check."""

    def edit(dataset: Dataset, *_: Any) -> None:
        from pydicom.dataelem import RawDataElement
        from pydicom.tag import Tag

        dataset[tag] = RawDataElement(Tag(tag), vr, len(value), value, 0, False, True)

    return edit


def _rounded(dataset: Dataset, k: int) -> None:
    """Place slices 0.625 mm apart, rounded to 0.01 mm: distances 0.63, 0.62, 0.63."""
    dataset.ImagePositionPatient = [-10, -20, ["30.00", "30.63", "31.25", "31.88"][k]]
    dataset.SliceThickness = "0.625"


def _noisy_orientation(dataset: Dataset, k: int) -> None:
    dataset.ImageOrientationPatient = [1, f"{k * 1e-6:.8f}", 0, 0, 1, f"{-k * 1e-6:.8f}"]


def _window_with_comma(dataset: Dataset) -> None:
    raw_value(0x00281050, "DS", b"40,5")(dataset)
    dataset.WindowWidth = "400"


def _same_numbers(dataset: Dataset, _: int) -> None:
    dataset.InstanceNumber = 1


def _window_of_slice(dataset: Dataset, k: int) -> None:
    dataset.WindowCenter, dataset.WindowWidth = str(40 + 10 * k), "400"


def _times_only(dataset: Dataset, n: int) -> None:
    dataset.AcquisitionTime = dataset.ContentTime = f"10150{n}"


def _directions(dataset: Dataset, n: int) -> None:
    dataset.add_new(0x00189087, "FD", [0.0, 1000.0, 1000.0][n])
    if n:
        direction = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]][n - 1]
        dataset.MRDiffusionSequence = None
        del dataset.MRDiffusionSequence
        dataset.add_new(0x00189089, "FD", direction)


def _siemens_b(dataset: Dataset, n: int) -> None:
    dataset.Manufacturer = "SIEMENS"
    dataset.private_block(0x0019, "SIEMENS MR HEADER", create=True).add_new(0x0C, "IS", str(1000 * n))


def _screenshot_beside(folder: Path) -> Path:
    """Write the series and, under the same series UID, a dose report: a colour screenshot without a position."""
    save_all(slices_of(PLAIN), folder)
    report = datasets.single_frames(ultrasound.rgb_scan(ultrasound.DOPPLER), patient=CANARY)[0]
    report.SOPClassUID, report.SOPInstanceUID = modules.SOP_CLASSES["OT"], modules.uid("dose report")
    report.Modality, report.SeriesInstanceUID = "CT", modules.uid("series", "1", "1")
    datasets.save(report, folder / "dose.dcm")
    return folder


def _two_spacings(folder: Path) -> Path:
    items = slices_of(PLAIN)
    for dataset in items[2:]:
        dataset.PixelSpacing = [1.5, 1.0]
    return save_all(items, folder)


def _longer(dataset: Dataset) -> None:
    dataset.add_new(0x7FE00010, "OW", dataset.PixelData + b"\xab" * 20)


def _voi_lut_of_hounsfield(dataset: Dataset) -> None:
    """Map -100, 40, ... : first entry for -100 HU, written signed; the pixels are unsigned and rescaled."""
    modules.pixels(dataset, (RAMP + 1024).astype(np.uint16))
    lut = modules.item(LUTExplanation="X")
    lut.add_new(0x00283002, "SS", [256, -100, 8])
    lut.add_new(0x00283006, "OW", bytes(range(256)))
    dataset.VOILUTSequence = [lut]


def _big_endian_bytes(folder: Path) -> Path:
    """Write 8-bit pixels as OW in Explicit VR Big Endian: every pair of bytes is swapped in the file (PS3.5 8.1.1)."""
    dataset = slices_of(ultrasound.US)[0]
    swapped = np.frombuffer(dataset.PixelData, "<u2").byteswap().tobytes()
    dataset.add_new(0x7FE00010, "OW", swapped)
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.2"
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.save_as(folder / "one.dcm", enforce_file_format=True, implicit_vr=False, little_endian=False)
    return folder / "one.dcm"


def _stream_of_another_size(folder: Path) -> Path:
    """Change Rows of a JPEG 2000 file of 40 x 36: the header promises more than the stream has."""
    import pydicom

    path = sorted(encodings.encoded(encodings.UNSIGNED, encodings.SYNTAXES["jpeg-2000"])(folder).iterdir())[0]
    dataset = pydicom.dcmread(path)
    dataset.Rows = 72
    dataset.save_as(path)
    return path


def _missing_frame(folder: Path) -> Path:
    """Promise three RLE frames and hold two."""
    dataset = datasets.multiframe(replace(ultrasound.US, k_axis=KAxis.TIME), patient=CANARY)
    two = np.stack([np.arange(1024, dtype=np.uint16).reshape(32, 32).astype(np.uint8)] * 2)
    modules.pixels(dataset, two)
    dataset.compress("1.2.840.10008.1.2.5", encoding_plugin="pydicom", generate_instance_uid=False)
    dataset.NumberOfFrames = 3
    return datasets.save(dataset, folder / "frames.dcm")


def _encrypted_zip(folder: Path) -> Path:
    """Set the flag of encryption on the members of a zip."""
    save_all(slices_of(PLAIN), folder / "tmp")
    path = folder / "study.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(folder / "tmp" / "0001.dcm", "0001.dcm")
    data = bytearray(path.read_bytes())
    data[6] |= 1
    data[data.rindex(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(bytes(data))
    return path


def _cut_gzip(folder: Path) -> Path:
    data = gzip.compress(datasets.save(slices_of(PLAIN)[0], folder / "tmp").read_bytes(), mtime=0)
    path = folder / "one.dcm.gz"
    path.write_bytes(data[:-30])
    (folder / "tmp").unlink()
    return path


def _odd_path(folder: Path) -> Path:
    return save_all(slices_of(PLAIN), folder / "Ünïcode 患者 with spaces\nand a line break")


def _named_png(folder: Path) -> Path:
    return datasets.save(slices_of(PLAIN)[0], folder / "picture.png")


def _one_time(folder: Path) -> Path:
    """Write an Enhanced MR whose frames are two stacks of different orientation."""
    dataset = datasets.multiframe(mr.PLAIN, patient=CANARY)
    orientation = dataset.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence
    del dataset.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence
    for n, group in enumerate(dataset.PerFrameFunctionalGroupsSequence):
        turned = modules.item(ImageOrientationPatient=[0, 1, 0, 0, 0, -1])
        group.PlaneOrientationSequence = [turned] if n >= 2 else list(orientation)
        if n >= 2:
            group.PlanePositionSequence[0].ImagePositionPatient = [5.0 * n, -20, 30]
            group.FrameContentSequence[0].StackID = "2"
    return datasets.save(dataset, folder / "stacks.dcm")


_CINE_RGB = np.concatenate([ultrasound.DOPPLER, ultrasound.DOPPLER[:, ::-1], ultrasound.DOPPLER[:, :, ::-1]])


def _color_cine(folder: Path) -> Path:
    return datasets.save(datasets.multiframe(ultrasound.rgb_scan(_CINE_RGB), patient=CANARY), folder / "cine.dcm")


NO_WINDOW = replace(ONE, windows=0)
SEVERAL = Expect(error=AmbiguousSeriesError, listed=2)
TRAPS = (
    Trap(
        "ct-positions-rounded", edited(PLAIN, _rounded),
        Expect(voxels=PLAIN.voxels, irregular=False, spacing=(2.0, 3.0, 1.88 / 3)),
        "0.625 mm written with two decimals fits one grid",
    ),
    Trap("ct-orientation-noise", edited(PLAIN, _noisy_orientation), GOOD, "1e-6 between slices is one orientation"),
    Trap("ct-instance-numbers-all-1", edited(PLAIN, _same_numbers), GOOD, "positions rule"),
    Trap(
        "ct-thickness-is-not-spacing", edited(PLAIN, setting(SliceThickness="10", SpacingBetweenSlices="2.5")), GOOD,
        "overlapping slices: the distance of positions counts",
    ),
    Trap("ct-thickness-missing", edited(PLAIN, setting(SliceThickness=None)), GOOD),
    Trap("ct-frames-1", edited(PLAIN, setting(NumberOfFrames=1)), GOOD, "a number of frames where none belongs"),
    Trap("ct-frames-empty", edited(PLAIN, raw_value(0x00280008, "IS", b"")), GOOD),
    Trap("ct-two-pixel-spacings", _two_spacings, SEVERAL, "two fields of view in one series are two grids"),
    Trap(
        "ct-dose-report-in-the-series", _screenshot_beside, SEVERAL,
        "a screenshot under the series' own UID is no slice of it",
    ),
    Trap("ct-phases-by-time-alone", mr.volumes(2, _times_only), SEVERAL, "same positions, another acquisition time"),
    Trap(
        "ct-window-per-slice", edited(PLAIN, _window_of_slice), Expect(voxels=PLAIN.voxels, windows=1),
        "one display for the volume",
    ),
    Trap("ct-window-with-comma", one(PLAIN, _window_with_comma), NO_WINDOW, "no number"),
    Trap("ct-window-empty", one(PLAIN, setting(WindowCenter="", WindowWidth="")), NO_WINDOW),
    Trap(
        "ct-slope-with-spaces", one(PLAIN, raw_value(0x00281053, "DS", b" +1.0E0  ")), ONE,
        "plus, exponent and spaces are legal",
    ),
    Trap(
        "ct-slope-of-30-digits",
        one(PLAIN, raw_value(0x00281053, "DS", b"1.0000000000000000000000000000")),
        ONE, "longer than 16 characters, and clear",
    ),
    Trap("ct-pixels-longer-than-needed", one(PLAIN, _longer), ONE, "the first rows times columns count"),
    Trap(
        "ct-voi-lut-of-hounsfield", one(PLAIN, _voi_lut_of_hounsfield),
        Expect(voxels=RAMP.T[:, :, None], gray=np.array([0, 0, 40, 140, 240, 255, 255, 255], np.uint8)[:, None, None]),
        "PS3.3 C.11.2.1.1: the table is entered after the rescale; -100 -> 0, 40 -> 140",
    ),
    Trap(
        "ct-position-of-two-numbers", one(PLAIN, raw_value(0x00200032, "DS", b"1\\2 ")),
        Expect(voxels=PLAIN.voxels[:, :, :1], findings=["no-position"]), "no position",
    ),
    Trap("mr-dwi-directions", mr.volumes(3, _directions), mr.several(3), "two directions with one b value"),
    Trap("mr-dwi-siemens-private", mr.volumes(2, _siemens_b), mr.several(2), "(0019,100C)"),
    Trap(
        "mr-enhanced-two-stacks", _one_time, Expect(voxels=mr.PLAIN.voxels[:, :, :2], warns=True, listed=2),
        "one file, two orientations: the first, with a warning",
    ),
    Trap(
        "us-color-cine", _color_cine,
        Expect(rgb=_CINE_RGB.transpose(2, 1, 0, 3), k_axis=KAxis.TIME, shape=(20, 16, 3)), "colour in every frame",
    ),
    Trap("us-big-endian-8-bit", _big_endian_bytes, Expect(voxels=ultrasound.US.voxels), "pairs of bytes are swapped"),
    Trap("pt-time-of-four-digits", pet(dose(RadiopharmaceuticalStartTime="0915")), suv(), "hours and minutes"),
    Trap(
        "pt-injection-with-offset",
        pet(lambda d, k: (
            dose(RadiopharmaceuticalStartTime=None, RadiopharmaceuticalStartDateTime="20200102091500.00+0100")(d, k),
            setting(TimezoneOffsetFromUTC="+0100")(d),
        )[0]),
        suv(), "the same zone as the series",
    ),
    Trap(
        "pt-proportional-counts", pet(setting(Units="PROPCPS")),
        Expect(voxels=None, findings=["suv-not-computed"], modality="PT"), "no activity, so no SUV",
    ),
    Trap("stream-of-another-size", _stream_of_another_size, UNREADABLE, "header and stream disagree"),
    Trap("stream-without-its-last-frame", _missing_frame, UNREADABLE, "three frames promised, two there"),
    Trap("zip-encrypted", _encrypted_zip, refused(), "any typed reason"),
    Trap("gzip-cut", _cut_gzip, refused(ReadCode.TRUNCATED, ReadCode.CORRUPT)),
    Trap("path-of-all-kinds", _odd_path, GOOD, "spaces, accents, Han characters, a line break"),
    Trap("dicom-named-png", _named_png, ONE, "the content decides"),
)  # fmt: skip
