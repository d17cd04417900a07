"""Hostile and damaged files: bombs, lying headers, odd places in a file system, broken streams."""

from __future__ import annotations

import gzip
import os
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from medcolor.errors import ReadCode
from medcolor.geometry import Space
from medcolor.phantom import datasets, modules
from medcolor.phantom.traps.ct_geometry import GOOD, PLAIN, PLAIN_LPS, TWENTY
from medcolor.phantom.traps.table import Expect, Trap, edited, one, refused, save_all, setting, slices_of

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

BROKEN = refused(ReadCode.CORRUPT, ReadCode.TOO_LARGE, ReadCode.TRUNCATED)
TOO_BIG = refused(ReadCode.TOO_LARGE, ReadCode.TRUNCATED)


def raw(name: str, data: bytes) -> Callable[[Path], Path]:
    """Return a builder: one file of these bytes."""

    def build(folder: Path) -> Path:
        path = folder / name
        path.write_bytes(data)
        return path

    return build


def _part10(folder: Path) -> bytes:
    """Return the bytes of one good file."""
    return datasets.save(slices_of(PLAIN)[0], folder / "good.tmp").read_bytes()


def _deflate_bomb(folder: Path) -> Path:
    """Write 256 MB of zeros as a deflated dataset of 0.3 MB: a private element, then the end."""
    dataset = slices_of(PLAIN)[0]
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1.99"
    path = datasets.save(dataset, folder / "bomb.dcm")
    data = path.read_bytes()
    start = 144 + struct.unpack("<I", data[140:144])[0]
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = squeeze.compress(struct.pack("<HH2sHI", 0x7FE1, 0x1010, b"OB", 0, 1 << 28))
    for _ in range(1 << 8):
        body += squeeze.compress(bytes(1 << 20))
    path.write_bytes(data[:start] + body + squeeze.flush())
    return path


def _nested(folder: Path) -> Path:
    """Nest 5000 sequences of undefined length in one another."""
    data = _part10(folder)
    deep = struct.pack("<HH2sHI", 0x0008, 0x1140, b"SQ", 0, 0xFFFFFFFF) + struct.pack(
        "<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF
    )
    start = 144 + struct.unpack("<I", data[140:144])[0]
    (folder / "good.tmp").unlink()
    path = folder / "nested.dcm"
    path.write_bytes(data[:start] + deep * 5000)
    return path


def _nifti_bomb(folder: Path) -> Path:
    """Claim 20000^3 floats in a gzip of a few bytes."""
    header = bytearray(352)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, 3, 20000, 20000, 20000, 1, 1, 1, 1)
    struct.pack_into("<hh", header, 70, 16, 32)
    struct.pack_into("<8f", header, 76, 1, 1, 1, 1, 1, 1, 1, 1)
    struct.pack_into("<f", header, 108, 352.0)
    header[344:348] = b"n+1\0"
    path = folder / "huge.nii.gz"
    with gzip.GzipFile(path, "wb", mtime=0) as stream:
        stream.write(bytes(header))
    return path


def _zip(members: Callable[[zipfile.ZipFile, Path], None]) -> Callable[[Path], Path]:
    def build(folder: Path) -> Path:
        path = folder / "study.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            members(archive, folder)
        return path

    return build


def _good_members(archive: zipfile.ZipFile, folder: Path) -> None:
    for path in sorted(save_all(slices_of(PLAIN), folder / "tmp").iterdir()):
        archive.write(path, f"study/{path.name}")


def _outside_member(archive: zipfile.ZipFile, folder: Path) -> None:
    _good_members(archive, folder)
    archive.writestr("../../evil.dcm", _part10(folder / "tmp"))


def _bomb_member(archive: zipfile.ZipFile, _: Path) -> None:
    """Add 256 MB of zeros behind a DICOM preamble."""
    with archive.open("bomb.dcm", "w", force_zip64=True) as stream:
        stream.write(bytes(128) + b"DICM")
        for _n in range(16):
            stream.write(bytes(1 << 24))


def _directory(*reference: str) -> Callable[[Path], Path]:
    """Return a builder: a DICOMDIR whose image records name these paths; its files lie in IMAGES."""

    def build(folder: Path) -> Path:
        from pydicom.dataset import FileMetaDataset

        paths = save_all(slices_of(PLAIN), folder / "IMAGES")
        for n, path in enumerate(sorted(paths.iterdir())):
            path.rename(paths / f"IM{n}")
        record = modules.item
        items = [record(DirectoryRecordType="PATIENT", PatientID="1", PatientName="CANARY^PHI")]
        items += [record(DirectoryRecordType="STUDY", StudyID="1"), record(DirectoryRecordType="SERIES")]
        for n in range(4):
            file_id = [*reference] if reference else ["IMAGES", f"IM{n}"]
            items.append(record(DirectoryRecordType="IMAGE", ReferencedFileID=file_id, InstanceNumber=n + 1))
        for one_record in items:
            one_record.OffsetOfTheNextDirectoryRecord = one_record.OffsetOfReferencedLowerLevelDirectoryEntity = 0
            one_record.RecordInUseFlag = 0xFFFF
        dataset = record(FileSetID="X", DirectoryRecordSequence=items)
        dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.1.3.10", modules.uid("dicomdir")
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = datasets.EXPLICIT
        return datasets.save(dataset, folder / "DICOMDIR")

    return build


def _garbage_stream(syntax: str) -> Callable[[Dataset], None]:
    def edit(dataset: Dataset) -> None:
        from pydicom.encaps import encapsulate

        rubbish = np.random.default_rng(1).integers(0, 256, 400, dtype=np.uint8).tobytes()
        dataset.add_new(0x7FE00010, "OB", encapsulate([b"\xff\xd8\xff" + rubbish]))
        dataset["PixelData"].is_undefined_length = True
        dataset.file_meta.TransferSyntaxUID = syntax

    return edit


def _cut(share: float) -> Callable[[Path], Path]:
    def build(folder: Path) -> Path:
        data = _part10(folder)
        (folder / "good.tmp").unlink()
        return raw("cut.dcm", data[: int(len(data) - 60 * share)])(folder)  # 60 bytes of pixels are at the end

    return build


def _with_damaged(folder: Path) -> Path:
    save_all(slices_of(TWENTY), folder)
    data = (folder / "0005.dcm").read_bytes()
    (folder / "0005.dcm").write_bytes(data[:-10])
    return folder


def _fifo_alone(folder: Path) -> Path:
    os.mkfifo(folder / "pipe.dcm")
    return folder / "pipe.dcm"


def _fifo_beside(folder: Path) -> Path:
    os.mkfifo(folder / "pipe.dcm")
    return save_all(slices_of(PLAIN), folder)


def _loop(folder: Path) -> Path:
    save_all(slices_of(PLAIN), folder / "a")
    (folder / "a" / "again").symlink_to(folder, target_is_directory=True)
    (folder / "self.dcm").symlink_to(folder / "self.dcm")
    (folder / "dangling.dcm").symlink_to(folder / "nowhere.dcm")
    return folder


def _link_outside(folder: Path) -> Path:
    save_all(slices_of(PLAIN, series="secret"), folder / "outside")
    save_all(slices_of(PLAIN), folder / "inside")
    (folder / "inside" / "link").symlink_to(folder / "outside", target_is_directory=True)
    (folder / "inside" / "file.dcm").symlink_to(folder / "outside" / "0001.dcm")
    return folder / "inside"


def _named_like_a_file(folder: Path) -> Path:
    return save_all(slices_of(PLAIN), folder / "x.dcm")


def _gzipped(folder: Path) -> Path:
    path = folder / "one.dcm.gz"
    path.write_bytes(gzip.compress(_part10(folder), mtime=0))
    (folder / "good.tmp").unlink()
    return path


def _clutter(folder: Path) -> Path:
    for name, data in ((".DS_Store", b"\0\0\0\1Bud1"), ("Thumbs.db", b"\xd0\xcf\x11\xe0"), ("notes.txt", b"hello")):
        (folder / name).write_bytes(data)
    return save_all(slices_of(PLAIN), folder)


def _no_bytes(dataset: Dataset) -> None:
    dataset.add_new(0x7FE00010, "OW", b"")


ONE = Expect(voxels=PLAIN.voxels[:, :, :1], units="HU", affine_lps=PLAIN_LPS)
_JPEG, _J2K, _JPEGLS = (f"1.2.840.10008.1.2.4.{n}" for n in (70, 90, 80))
UNREADABLE = refused(ReadCode.UNDECODABLE, ReadCode.CORRUPT, ReadCode.TRUNCATED)


def _huge(**attributes: Any) -> Callable[[Path], Path]:
    return one(PLAIN, setting(**attributes))


TRAPS = (
    Trap("file-of-no-bytes", raw("empty.dcm", b""), refused(ReadCode.EMPTY, ReadCode.TRUNCATED)),
    Trap("file-of-text", raw("notes.dcm", b"CANARY^PHI wrote this. " * 40), refused(ReadCode.NOT_AN_IMAGE_FILE)),
    Trap("file-preamble-alone", raw("pre.dcm", bytes(128) + b"DICM"), refused(), "any typed reason"),
    Trap("file-that-is-not-there", lambda folder: folder / "nowhere.dcm", Expect(error=FileNotFoundError)),
    Trap("folder-empty", lambda folder: folder, refused(ReadCode.EMPTY)),
    Trap("folder-named-like-a-file", _named_like_a_file, GOOD),
    Trap("folder-with-clutter", _clutter, GOOD, "hidden files, thumbnails and notes are no scans"),
    Trap("fifo-alone", _fifo_alone, refused(), "opening it for reading would wait for ever"),
    Trap("fifo-beside-a-series", _fifo_beside, GOOD),
    Trap("symlink-loop", _loop, GOOD, "loops, dangling links"),
    Trap("symlink-out-of-the-folder", _link_outside, GOOD, "links that leave the folder are not followed"),
    Trap("gzip-of-dicom", _gzipped, ONE),
    Trap("zip-of-a-series", _zip(_good_members), GOOD),
    Trap("zip-with-traversal-names", _zip(_outside_member), refused(ReadCode.UNSAFE_PATH)),
    Trap("zip-bomb", _zip(_bomb_member), refused(ReadCode.TOO_LARGE), "256 MB in 0.3 MB"),
    Trap("dicomdir", _directory(), GOOD),
    Trap("dicomdir-with-dots", _directory("..", "..", "etc", "passwd"), refused(ReadCode.UNSAFE_PATH)),
    Trap("dicomdir-of-missing-files", _directory("IMAGES", "GONE"), refused(ReadCode.EMPTY)),
    Trap("deflate-bomb", _deflate_bomb, refused(ReadCode.TOO_LARGE), "256 MB in 0.3 MB"),
    Trap("nested-5000", _nested, BROKEN, "no RecursionError"),
    Trap("nifti-20000-cubed", _nifti_bomb, TOO_BIG, "29 TiB in 60 bytes"),
    Trap("header-30000-squared", _huge(Rows=30000, Columns=30000), TOO_BIG),
    Trap("header-65535-squared", _huge(Rows=65535, Columns=65535, BitsAllocated=32), TOO_BIG),
    Trap("header-100000-frames", _huge(NumberOfFrames=100000), TOO_BIG),
    Trap(
        "header-huge-rle",
        one(PLAIN, lambda d: (_garbage_stream("1.2.840.10008.1.2.5")(d), setting(Rows=65535, Columns=65535)(d))[0]),
        refused(ReadCode.TOO_LARGE, ReadCode.TRUNCATED, ReadCode.CORRUPT, ReadCode.UNDECODABLE),
        "a decoder that believes the header allocates 8 GB, or aborts the process",
    ),
    Trap("header-negative-frames", _huge(NumberOfFrames=-3), refused(ReadCode.CORRUPT), "less than one frame"),
    Trap("header-without-rows", one(PLAIN, setting(Rows=None)), refused(ReadCode.MISSING_ATTRIBUTE)),
    Trap("header-rows-0", one(PLAIN, setting(Rows=0)), refused(ReadCode.CORRUPT, ReadCode.MISSING_ATTRIBUTE)),
    Trap(
        "header-24-bits",
        one(PLAIN, setting(BitsAllocated=24)),
        refused(ReadCode.UNSUPPORTED_PIXEL, ReadCode.TRUNCATED),
    ),
    Trap("header-two-samples", one(PLAIN, setting(SamplesPerPixel=2)), refused(ReadCode.UNSUPPORTED_PIXEL)),
    Trap("pixels-of-no-bytes", one(PLAIN, _no_bytes), refused(ReadCode.TRUNCATED, ReadCode.NO_PIXEL_DATA)),
    Trap("pixels-cut-in-half", _cut(0.5), refused(ReadCode.TRUNCATED)),
    Trap("pixels-one-byte-short", _cut(1 / 60), refused(ReadCode.TRUNCATED)),
    Trap("pixels-garbage-jpeg-lossless", one(PLAIN, _garbage_stream(_JPEG)), UNREADABLE),
    Trap("pixels-garbage-jpeg-2000", one(PLAIN, _garbage_stream(_J2K)), UNREADABLE),
    Trap("pixels-garbage-jpeg-ls", one(PLAIN, _garbage_stream(_JPEGLS)), UNREADABLE),
    Trap(
        "pixels-unknown-transfer-syntax",
        one(PLAIN, _garbage_stream("1.2.840.10008.1.2.4.106")),
        refused(ReadCode.UNDECODABLE, ReadCode.UNSUPPORTED_PIXEL),
        "video",
    ),
    Trap(
        "folder-with-one-damaged-file",
        _with_damaged,
        Expect(
            voxels=np.delete(TWENTY.voxels, 4, axis=2), irregular=True, warns=True,
            findings=["unreadable-files", "gap"],
        ),
        "the rest is read; that one is missing is said, and where",
    ),
    Trap(
        "plane-orientation-of-zeros",
        one(PLAIN, setting(ImageOrientationPatient=[0, 0, 0, 0, 0, 0])),
        Expect(voxels=PLAIN.voxels[:, :, :1], space=Space.DETECTOR, findings=["bad-plane"]),
        "no direction: the sizes are known, the pose is not",
    ),
    Trap(
        "plane-spacing-0",
        one(PLAIN, setting(PixelSpacing=[0, 0])),
        Expect(voxels=PLAIN.voxels[:, :, :1], space=Space.PIXEL, findings=["no-spacing"]),
        "no size",
    ),
    Trap("rows-of-slices-without-position", edited(PLAIN, setting(ImagePositionPatient=None)),
         Expect(voxels=PLAIN.voxels, findings=["no-position"]), "in order of instance numbers, and it is said"),
)  # fmt: skip
