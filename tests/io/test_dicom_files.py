"""What a path means to the DICOM reader, and what hostile files cannot make it do."""

from __future__ import annotations

import contextlib
import gzip
import logging
import os
import tempfile
import time
import warnings
import zipfile
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence

from medcolor import phantom
from medcolor.errors import AmbiguousSeriesError, MedcolorError, MedcolorWarning, ReadCode, ReadError
from medcolor.io.dicom import archives
from medcolor.io.dicom.archives import Limits
from medcolor.io.dicom.files import is_dicom
from medcolor.io.dicom.read import list_dicom, read_dicom


@pytest.fixture
def series(tmp_path: Path) -> Path:
    """A folder with three CT slices."""
    folder = tmp_path / "series"
    phantom.write_dicom(phantom.scan("CT", shape=(32, 24, 3)), folder)
    return folder


def code_of(path: Path) -> ReadCode:
    with pytest.raises(ReadError) as refused:
        read_dicom(path)
    assert refused.value.path == path
    return refused.value.code


# -- where files may be ----------------------------------------------------------------------------------------------


def test_folders_are_read_deep_whatever_the_names(series: Path, tmp_path: Path) -> None:
    for number, file in enumerate(sorted(series.iterdir())):
        target = tmp_path / "deep" / str(number) / "a b" / "ünï.txt"
        target.parent.mkdir(parents=True)
        file.rename(target)
    (tmp_path / "deep" / "directory.dcm").mkdir()
    assert read_dicom(tmp_path / "deep").shape == (32, 24, 3)


def test_links_are_followed_inside_the_folder_only(series: Path, tmp_path: Path) -> None:
    other = phantom.scan("MR", shape=(32, 24, 3))
    phantom.write_dicom(other, tmp_path / "outside", series="2")
    (series / "out").symlink_to(tmp_path / "outside")
    (series / "loop").symlink_to(series)
    (series / "self").symlink_to(series / "self")
    (series / "dangling").symlink_to(series / "nothing")
    (series / "again.dcm").symlink_to(next(series.glob("*.dcm")))
    scan = read_dicom(series)
    assert (scan.modality, scan.shape) == ("CT", (32, 24, 3))
    assert scan.audit == ()


def test_pipes_and_sockets_are_not_opened(series: Path, tmp_path: Path) -> None:
    os.mkfifo(series / "pipe.dcm")
    assert read_dicom(series).shape == (32, 24, 3)
    assert code_of(series / "pipe.dcm") is ReadCode.NOT_AN_IMAGE_FILE
    assert not is_dicom(series / "pipe.dcm")


def test_a_missing_path_is_file_not_found(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_dicom(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("empty.dcm", b"", ReadCode.EMPTY),
        ("text.dcm", b"hello " * 100, ReadCode.NOT_AN_IMAGE_FILE),
        ("bare.dcm", bytes(128) + b"DICM", ReadCode.NO_PIXEL_DATA),
        ("short.dcm", bytes(128) + b"DIC", ReadCode.NOT_AN_IMAGE_FILE),
        ("empty.zip", b"PK\x05\x06" + bytes(18), ReadCode.EMPTY),
        ("damaged.zip", b"PK\x03\x04" + bytes(50), ReadCode.CORRUPT),
        ("damaged.dcm.gz", b"\x1f\x8b\x08\x00" + bytes(30), ReadCode.CORRUPT),
        ("cut.dcm.gz", gzip.compress(bytes(128) + b"DICM" + os.urandom(500))[:-300], ReadCode.TRUNCATED),
    ],
)
def test_what_is_no_dicom_file_is_refused(tmp_path: Path, name: str, content: bytes, code: ReadCode) -> None:
    (tmp_path / name).write_bytes(content)
    assert code_of(tmp_path / name) is code


def test_a_folder_without_dicom_is_empty(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    assert code_of(tmp_path) is ReadCode.EMPTY
    assert not is_dicom(tmp_path)


def test_is_dicom_looks_at_content(series: Path, tmp_path: Path) -> None:
    file = next(series.iterdir())
    (tmp_path / "packed.gz").write_bytes(gzip.compress(file.read_bytes()))
    (tmp_path / "volume.nii.gz").write_bytes(gzip.compress(bytes(400)))
    (tmp_path / "fake.dcm").write_text("not")
    assert [is_dicom(p) for p in (file, series, tmp_path / "packed.gz")] == [True, True, True]
    assert [is_dicom(tmp_path / p) for p in ("volume.nii.gz", "fake.dcm", "nothing")] == [False, False, False]


# -- archives --------------------------------------------------------------------------------------------------------


def _zip(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def test_a_zip_file_reads_as_its_folder_and_leaves_nothing_behind(series: Path, tmp_path: Path) -> None:
    members = {f"CANARY^PHI/{f.name}": f.read_bytes() for f in series.iterdir()}
    archive = _zip(tmp_path / "series.zip", {**members, "readme.txt": b"hello"})
    before = set(Path(tempfile.gettempdir()).glob("medcolor-*"))
    scan, folder = read_dicom(archive), read_dicom(series)
    assert set(Path(tempfile.gettempdir()).glob("medcolor-*")) == before
    assert np.array_equal(scan.voxels, folder.voxels)
    assert scan.geometry.matches(folder.geometry)
    assert scan.source.digest == folder.source.digest
    assert scan.source.paths == (archive,) * 3
    assert [f.code for f in scan.audit] == ["skipped-files"]
    assert "CANARY" not in str(scan.audit)
    assert scan.source.headers[0].Modality == "CT"
    (entry,) = list_dicom(archive)
    assert (entry.shape, entry.n_files) == ((32, 24, 3), 3)


@pytest.mark.parametrize("name", ["../evil.dcm", "a/../../evil", "/etc/evil", "C:/evil", "..\\evil"])
def test_a_zip_file_that_points_outside_is_refused(tmp_path: Path, name: str) -> None:
    assert code_of(_zip(tmp_path / "a.zip", {name: b"x"})) is ReadCode.UNSAFE_PATH


def test_an_encrypted_zip_file_is_refused(tmp_path: Path) -> None:
    archive = _zip(tmp_path / "a.zip", {"a": bytes(200)})
    content = bytearray(archive.read_bytes())
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(content)
    assert code_of(archive) is ReadCode.UNSUPPORTED_FORMAT


@pytest.mark.parametrize(
    "limits",
    [
        Limits(members=2),
        Limits(member_bytes=999_999),
        Limits(total_bytes=2_500_000),
        Limits(ratio_floor=500_000),
        Limits(ratio_floor=1_500_000),
    ],
)
def test_a_zip_file_is_counted_while_it_unpacks(tmp_path: Path, limits: Limits) -> None:
    archive = _zip(tmp_path / "a.zip", {str(n): bytes(1_000_000) for n in range(3)})
    (tmp_path / "out").mkdir()
    with pytest.raises(ReadError) as refused:
        list(archives.unzip(archive, tmp_path / "out", 132, limits))
    assert refused.value.code is ReadCode.TOO_LARGE


def test_a_gzip_bomb_is_stopped_while_it_unpacks(tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.dcm.gz"
    with gzip.open(bomb, "wb") as stream:
        stream.write(bytes(128) + b"DICM")
        for _ in range(64):
            stream.write(bytes(1 << 20))
    assert code_of(bomb) is ReadCode.TOO_LARGE


def test_a_deflate_bomb_is_stopped_before_it_is_parsed(tmp_path: Path) -> None:
    file = Path(get_testdata_file("image_dfl.dcm") or "").read_bytes()
    meta = 132 + 12 + int.from_bytes(file[140:144], "little")
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    bomb = b"".join([*(squeeze.compress(bytes(1 << 20)) for _ in range(64)), squeeze.flush()])
    (tmp_path / "bomb.dcm").write_bytes(file[:meta] + bomb)
    assert code_of(tmp_path / "bomb.dcm") is ReadCode.TOO_LARGE
    (tmp_path / "cut.dcm").write_bytes(file[:-1000])
    assert code_of(tmp_path / "cut.dcm") is ReadCode.TRUNCATED
    (tmp_path / "noise.dcm").write_bytes(file[:meta] + b"\xff" * 100)
    assert code_of(tmp_path / "noise.dcm") is ReadCode.CORRUPT


# -- DICOMDIR --------------------------------------------------------------------------------------------------------


def _directory(path: Path, *records: tuple[str, ...]) -> Path:
    """Write a DICOMDIR that names the files of ``records``, component by component."""
    ds = dcmread(get_testdata_file("DICOMDIR-empty.dcm"))
    ds.DirectoryRecordSequence = [Dataset() for _ in records]
    for record, parts in zip(ds.DirectoryRecordSequence, records, strict=True):
        record.DirectoryRecordType = "IMAGE"
        record.ReferencedFileID = list(parts)
    ds.save_as(path)
    return path


def test_a_dicomdir_reads_the_files_it_names(series: Path, tmp_path: Path) -> None:
    disc = tmp_path / "disc"
    names = [("IMAGES", f"IM{n}") for n in range(3)]
    (disc / "IMAGES").mkdir(parents=True)
    for file, name in zip(sorted(series.iterdir()), names, strict=True):
        file.rename(disc.joinpath(*name))
    phantom.write_dicom(phantom.scan("MR", shape=(32, 24, 3)), disc / "unlisted", series="2")
    scan = read_dicom(_directory(disc / "DICOMDIR", *names, ("IMAGES", "GONE")))
    assert (scan.modality, scan.shape) == ("CT", (32, 24, 3))
    assert [f.code for f in scan.audit] == ["missing-files"]
    with pytest.raises(AmbiguousSeriesError):
        read_dicom(disc)


@pytest.mark.filterwarnings("ignore:Invalid value for VR CS:UserWarning")  # pydicom, while the trap is built
@pytest.mark.parametrize("parts", [("..", "..", "etc", "passwd"), ("", "etc", "passwd"), ("a/../../b",), (".",)])
def test_a_dicomdir_that_points_outside_is_refused(tmp_path: Path, parts: tuple[str, ...]) -> None:
    assert code_of(_directory(tmp_path / "DICOMDIR", parts)) is ReadCode.UNSAFE_PATH


def test_a_dicomdir_without_its_files_says_so(tmp_path: Path) -> None:
    file = tmp_path / "DICOMDIR"
    file.write_bytes(Path(get_testdata_file("DICOMDIR") or "").read_bytes())
    with pytest.raises(ReadError, match="table of contents") as refused:
        read_dicom(file)
    assert refused.value.code is ReadCode.EMPTY


# -- damaged and hostile files ---------------------------------------------------------------------------------------


def test_sequences_nested_5000_deep_are_refused(tmp_path: Path) -> None:
    ct = dcmread(get_testdata_file("CT_small.dcm"))
    deep = b"\x08\x00\x15\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff" * 5000
    head = BytesIO()
    del ct[0x00081000:]
    ct.save_as(head)
    (tmp_path / "deep.dcm").write_bytes(head.getvalue() + deep)
    assert code_of(tmp_path / "deep.dcm") in {ReadCode.CORRUPT, ReadCode.TRUNCATED}


def test_a_header_of_100_000_frames_is_refused(tmp_path: Path) -> None:
    ct = dcmread(get_testdata_file("CT_small.dcm"))
    ct.NumberOfFrames = 100_000
    ct.save_as(tmp_path / "many.dcm")
    assert code_of(tmp_path / "many.dcm") is ReadCode.TOO_LARGE


def test_a_data_set_without_file_header_says_what_is_missing(tmp_path: Path) -> None:
    ct = dcmread(get_testdata_file("CT_small.dcm"))
    stream = DicomBytesIO()
    stream.is_little_endian, stream.is_implicit_VR = True, True
    bare = Dataset()
    bare.update({tag: ct[tag] for tag in list(ct.keys()) if tag.group in (8, 0x20, 0x28)})
    bare.PixelData, bare["PixelData"].VR = ct.PixelData, "OW"
    write_dataset(stream, bare)
    (tmp_path / "bare").write_bytes(stream.getvalue())
    assert code_of(tmp_path / "bare") is ReadCode.MISSING_ATTRIBUTE


@pytest.mark.parametrize("name", ["CT_small.dcm", "rtdose.dcm", "DICOMDIR", "examples_overlay.dcm", "emri_small.dcm"])
def test_random_damage_gives_a_scan_or_a_typed_refusal(tmp_path: Path, name: str) -> None:
    original = Path(get_testdata_file(name) or "").read_bytes()
    rng = np.random.default_rng(7)
    file = tmp_path / "mutant"
    for _ in range(60):
        mutant = bytearray(original)
        for at in rng.integers(0, min(len(mutant), 3000), 8):
            mutant[at] = rng.integers(256)
        file.write_bytes(mutant)
        _read_or_refuse(file)
    for cut in rng.integers(0, len(original), 30):
        file.write_bytes(original[:cut])
        _read_or_refuse(file)


def _read_or_refuse(file: Path) -> None:
    for action in (read_dicom, list_dicom):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", MedcolorWarning)
            with contextlib.suppress(MedcolorError):
                action(file)


# -- nothing of the patient in what is said --------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:.*CANARY.*:UserWarning")
def test_values_of_the_file_appear_in_no_message(
    tmp_path: Path, series: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    for number, file in enumerate(sorted(series.iterdir())):
        ds = dcmread(file)
        ds.PatientName, ds.PatientID, ds.InstitutionName = "CANARY^PHI", "CANARY", "CANARY"
        ds.add_new(0x00080020, "DA", "1970CANARY")
        ds.add_new(0x00280030, "DS", "1.0")
        ds["PixelSpacing"]._value = "CANARY"
        if number == 0:
            ds["Rows"]._value = 0
        ds.save_as(file)
    caplog.clear()
    caplog.set_level(logging.DEBUG)
    said = ""
    for action in (read_dicom, list_dicom):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            result = action(series)
        assert all(issubclass(w.category, MedcolorWarning) for w in caught)
        said += f"{result} {getattr(result, 'audit', '')} {[w.message for w in caught]}"
    out, err = capfd.readouterr()
    assert "CANARY" not in said + out + err + caplog.text


def test_pydicom_is_heard_again_afterwards(series: Path) -> None:
    level = logging.getLogger("pydicom").level
    read_dicom(series)
    assert logging.getLogger("pydicom").level == level


def test_a_sequence_survives_in_the_header_that_is_kept(tmp_path: Path, series: Path) -> None:
    file = next(series.iterdir())
    ds = dcmread(file)
    item = Dataset()
    item.CodeMeaning = "x" * 60
    ds.AnatomicRegionSequence = Sequence([item] * 100)  # longer than what is read at once
    ds.save_as(tmp_path / "long.dcm")
    (header,) = read_dicom(tmp_path / "long.dcm").source.headers
    assert len(header.AnatomicRegionSequence) == 100


@pytest.mark.parametrize("pixels", [False, True])
def test_a_file_that_goes_on_in_zeros_is_refused_at_once(pixels: bool, tmp_path: Path) -> None:
    path = tmp_path / "a.dcm"
    path.write_bytes(Path(get_testdata_file("CT_small.dcm")).read_bytes()[:3000])
    os.truncate(path, 40 << 20)  # as an interrupted download leaves it; 17 s to read as 5 million empty attributes
    start = time.monotonic()
    with pytest.raises(ReadError) as refused:
        read_dicom(path) if pixels else list_dicom(path)
    assert refused.value.code is ReadCode.CORRUPT
    assert time.monotonic() - start < 8
