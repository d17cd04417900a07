"""NRRD and MetaImage: what the text header says, what it may not make us do, and what ITK reads of ours."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK

from medcolor import phantom
from medcolor.color_scan import ColorScan, Law, Provenance
from medcolor.errors import MedcolorWarning, ReadCode, ReadError, WriteError
from medcolor.geometry import Geometry, Space
from medcolor.io import list_series, read, write
from medcolor.scan import Scan

AXES = "space directions: (2,0,0) (0,2,0) (0,0,2.5)\nspace origin: (-90,-120,-70)\n"


def ramp(dtype: Any = "<i2") -> np.ndarray:
    return np.arange(60, dtype=dtype).reshape(3, 4, 5)


def nrrd(path: Path, extra: str = f"space: left-posterior-superior\n{AXES}", *, sizes: str = "5 4 3",
         kind: str = "short", encoding: str = "raw", data: bytes | None = None) -> Path:  # fmt: skip
    body = ramp().tobytes() if data is None else data
    head = f"NRRD0004\ntype: {kind}\ndimension: {len(sizes.split())}\n{extra}sizes: {sizes}\nendian: little\n"
    path.write_bytes(head.encode() + f"encoding: {encoding}\n\n".encode() + body)
    return path


def mha(
    path: Path, extra: str = "", *, size: str = "5 4 3", data_file: str = "LOCAL", body: bytes | None = None
) -> Path:
    head = f"ObjectType = Image\nNDims = {len(size.split())}\nBinaryData = True\n{extra}DimSize = {size}\n"
    head += f"ElementType = MET_SHORT\nElementDataFile = {data_file}\n"
    path.write_bytes(head.encode() + (b"" if data_file != "LOCAL" else ramp().tobytes() if body is None else body))
    return path


@pytest.mark.parametrize(
    ("space", "signs"),
    [("left-posterior-superior", (-1, -1, 1)), ("right-anterior-superior", (1, 1, 1)), ("LAS", (-1, 1, 1))],
)
def test_the_space_of_an_nrrd_is_honoured(space: str, signs: tuple[int, int, int], tmp_path: Path) -> None:
    scan = read(nrrd(tmp_path / "a.nrrd", f"space: {space}\n{AXES}"), modality="CT")
    expected = np.diag([*signs, 1]) @ np.array([[2, 0, 0, -90], [0, 2, 0, -120], [0, 0, 2.5, -70], [0, 0, 0, 1.0]])
    np.testing.assert_allclose(scan.geometry.affine, expected)
    np.testing.assert_array_equal(scan.voxels, ramp().transpose(2, 1, 0))


def test_files_without_a_patient_space_say_so(tmp_path: Path) -> None:
    sized = read(nrrd(tmp_path / "a.nrrd", "spacings: 2 2 2.5\n"), modality="US")
    assert sized.geometry.space is Space.DETECTOR
    assert sized.geometry.spacing == (2, 2, 2.5)
    bare = read(nrrd(tmp_path / "b.nrrd", ""), modality="US")
    assert bare.geometry.space is Space.PIXEL
    assert [f.code for f in bare.audit] == ["no-pose"]
    assert read(mha(tmp_path / "c.mha"), modality="US").geometry.space is Space.PIXEL
    posed = mha(tmp_path / "d.mha", "Offset = 1 2 3\nElementSpacing = 2 2 2.5\n")
    assert read(posed, modality="US").geometry.origin == (-1, -2, 3)


def test_the_modality_of_a_metaimage_is_read(tmp_path: Path) -> None:
    path = mha(tmp_path / "a.mha", "Modality = MET_MOD_CT\nOffset = 0 0 0\nElementSpacing = 1 1 1\n")
    assert read(path).modality == "CT"
    assert list_series(path)[0].modality == "CT"
    with pytest.warns(MedcolorWarning, match="modality"):
        assert read(nrrd(tmp_path / "a.nrrd")).modality == "OT"


BAD: list[tuple[str, Callable[[Path], Path], ReadCode]] = [
    ("giant nrrd", lambda p: nrrd(p / "a.nrrd", sizes="20000 20000 20000"), ReadCode.TOO_LARGE),
    ("giant mha", lambda p: mha(p / "a.mha", size="20000 20000 20000"), ReadCode.TOO_LARGE),
    ("wide mha", lambda p: mha(p / "a.mha", size="100000 1 1"), ReadCode.TOO_LARGE),
    ("cut nrrd", lambda p: nrrd(p / "a.nrrd", data=b"123"), ReadCode.TRUNCATED),
    ("cut gzip nrrd", lambda p: nrrd(p / "a.nrrd", encoding="gzip", data=gzip.compress(b"123")), ReadCode.TRUNCATED),
    ("cut mha", lambda p: mha(p / "a.mha", body=b"123"), ReadCode.TRUNCATED),
    ("no size", lambda p: mha(p / "a.mha", size="x y z"), ReadCode.CORRUPT),
    ("zero size", lambda p: nrrd(p / "a.nrrd", sizes="5 0 3"), ReadCode.CORRUPT),
    ("path up", lambda p: mha(p / "a.mhd", data_file="../secret.raw"), ReadCode.UNSAFE_PATH),
    ("path from the root", lambda p: mha(p / "a.mhd", data_file="/etc/hostname"), ReadCode.UNSAFE_PATH),
    ("no name", lambda p: mha(p / "a.mhd", data_file="a\0.raw"), ReadCode.CORRUPT),
    ("nrrd path up", lambda p: nrrd(p / "a.nrrd", f"{AXES}data file: ../x.raw\n"), ReadCode.UNSAFE_PATH),
    ("missing raw", lambda p: mha(p / "a.mhd", data_file="a.raw"), ReadCode.NO_PIXEL_DATA),
    ("list of files", lambda p: mha(p / "a.mhd", data_file="LIST"), ReadCode.UNSUPPORTED_FORMAT),
    ("pattern of files", lambda p: mha(p / "a.mhd", data_file="a%d.raw 1 3 1"), ReadCode.UNSUPPORTED_FORMAT),
]


@pytest.mark.parametrize(("make", "code"), [b[1:] for b in BAD], ids=[b[0] for b in BAD])
def test_bad_files_are_refused_with_their_reason(make: Callable[[Path], Path], code: ReadCode, tmp_path: Path) -> None:
    with pytest.raises(ReadError) as refused:
        read(make(tmp_path), modality="MR")
    assert refused.value.code is code


def test_a_link_that_leaves_the_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "secret.raw").write_bytes(ramp().tobytes())
    (tmp_path / "inner" / "a.raw").symlink_to(tmp_path / "secret.raw")
    with pytest.raises(ReadError) as refused:
        read(mha(tmp_path / "inner" / "a.mhd", data_file="a.raw"), modality="MR")
    assert refused.value.code is ReadCode.UNSAFE_PATH


def test_a_detached_raw_file_beside_its_header_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.raw").write_bytes(ramp().tobytes())
    scan = read(mha(tmp_path / "a.mhd", data_file="a.raw"), modality="MR")
    np.testing.assert_array_equal(scan.voxels, ramp().transpose(2, 1, 0))


@pytest.mark.parametrize("name", ["a.nrrd", "a.mha"])
@pytest.mark.parametrize("dtype", ["u1", "i1", "i2", "u2", "i4", "u4", "i8", "f4", "f8"])
def test_every_number_type_reads_as_simpleitk_wrote_it(name: str, dtype: str, tmp_path: Path) -> None:
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(ramp(dtype)), str(tmp_path / name), useCompression=True)
    np.testing.assert_array_equal(read(tmp_path / name, modality="MR").voxels, ramp().transpose(2, 1, 0))


@pytest.mark.parametrize("name", ["a.nrrd", "a.mha"])
def test_four_axes_and_vectors_read_by_volume(name: str, tmp_path: Path) -> None:
    volumes = np.stack([ramp(), ramp() + 100, ramp() + 200])
    joined = SimpleITK.JoinSeries([SimpleITK.GetImageFromArray(v) for v in volumes])
    SimpleITK.WriteImage(joined, str(tmp_path / name))
    assert [info.key for info in list_series(tmp_path / name)] == ["#1", "#2", "#3"]
    np.testing.assert_array_equal(read(tmp_path / name, series=2, modality="MR").voxels, volumes[1].transpose(2, 1, 0))
    with pytest.warns(MedcolorWarning, match="3 images"):
        read(tmp_path / name, modality="MR")
    pairs = SimpleITK.GetImageFromArray(np.moveaxis(volumes[:2], 0, -1), isVector=True)
    SimpleITK.WriteImage(pairs, str(tmp_path / f"v{name}"))
    np.testing.assert_array_equal(read(tmp_path / f"v{name}", series=2, modality="MR").voxels, volumes[1].T)


@pytest.mark.parametrize("name", ["a.nrrd", "a.mha"])
def test_a_flat_image_is_one_slice(name: str, tmp_path: Path) -> None:
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(ramp()[0]), str(tmp_path / name))
    assert read(tmp_path / name, modality="US").shape == (5, 4, 1)


@pytest.mark.parametrize("name", ["a.nrrd", "a.mha"])
def test_rgb_vectors_are_colour_and_deep_ones_are_refused(name: str, tmp_path: Path) -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (3, 4, 5, 3), dtype=np.uint8)
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(rgb, isVector=True), str(tmp_path / name))
    np.testing.assert_array_equal(read(tmp_path / name, modality="US").rgb, rgb.transpose(2, 1, 0, 3))
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(rgb.astype("u2"), isVector=True), str(tmp_path / name))
    with pytest.raises(ReadError) as refused:
        read(tmp_path / name, modality="US")
    assert refused.value.code is ReadCode.UNSUPPORTED_PIXEL


@pytest.mark.parametrize("name", ["a.nrrd", "a.mha"])
def test_simpleitk_reads_our_colour_with_its_record(name: str, tmp_path: Path, letter: Scan) -> None:
    image = ColorScan(
        phantom.letter_rgb(letter.shape), letter.geometry, Provenance("physics", Law.LIGHTNESS, "C 40 W 400"), "CT"
    )
    write(image, tmp_path / name)
    loaded = SimpleITK.ReadImage(str(tmp_path / name))
    assert loaded.GetPixelIDTypeAsString() == "vector of 8-bit unsigned integer"
    head = (tmp_path / name).read_bytes()[:4000]
    assert b"AI-COLOR NOT DIAGNOSTIC" in head
    assert b'"colorizer":"physics"' in head


def test_what_itk_formats_cannot_hold_is_refused(tmp_path: Path) -> None:
    wide = Scan(np.zeros((3, 3, 3), np.uint64), Geometry((3, 3, 3), np.eye(4)), "MR")
    with pytest.raises(WriteError, match="float32"):
        write(wide, tmp_path / "a.nrrd")


def compressed(path: Path, change: Callable[[bytes], bytes], *, said: bool = True) -> Path:
    """Write a compressed NRRD or MetaImage of noise and damage its stream."""
    pixels = np.random.default_rng(0).integers(0, 4000, (3, 40, 50)).astype("<i2").tobytes()
    if path.suffix == ".nrrd":
        fields = b"NRRD0004\ntype: short\ndimension: 3\nsizes: 50 40 3\nencoding: gzip\nendian: little\n\n"
        path.write_bytes(fields + change(gzip.compress(pixels)))
        return path
    stream = change(zlib.compress(pixels))
    size = b"CompressedDataSize = %d\n" % len(stream) if said else b""
    path.write_bytes(
        b"ObjectType = Image\nNDims = 3\nBinaryData = True\nCompressedData = True\n" + size + b"DimSize = 50 40 3\n"
        b"ElementType = MET_SHORT\nElementDataFile = LOCAL\n" + stream
    )
    return path


@pytest.mark.parametrize("name", ["a.nrrd", "a.mha"])
@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda raw: raw[: len(raw) // 2], ReadCode.TRUNCATED),
        (lambda raw: raw[:4000] + b"\xff\x00\xff" + raw[4003:], ReadCode.CORRUPT),
        (lambda raw: raw[:-8] + b"abcdefgh", ReadCode.CORRUPT),  # the check sum
        (lambda raw: zlib.compress(b"\0" * 11_998), ReadCode.TRUNCATED),
        (lambda raw: zlib.compress(b"\0" * 12_002), ReadCode.CORRUPT),
        (lambda raw: zlib.compress(b"\0" * (64 << 20), 9), ReadCode.CORRUPT),
    ],
)
def test_a_damaged_stream_is_refused_where_itk_would_hand_out_stale_memory(
    name: str, change: Callable[[bytes], bytes], code: ReadCode, tmp_path: Path
) -> None:
    assert read(compressed(tmp_path / name, bytes), modality="CT").shape == (50, 40, 3)
    with pytest.raises(ReadError) as refused:
        read(compressed(tmp_path / name, change), modality="CT")
    assert refused.value.code is code


def test_a_metaimage_that_does_not_say_the_length_of_its_stream_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReadError) as refused:
        read(compressed(tmp_path / "a.mha", bytes, said=False), modality="CT")
    assert refused.value.code is ReadCode.UNSUPPORTED_FORMAT
