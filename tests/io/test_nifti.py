"""NIfTI: headers that lie, volumes by index, units, poses, colour, and what is no number."""

from __future__ import annotations

import gzip
import os
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from medcolor import phantom
from medcolor.color_scan import ColorScan, Law, Provenance
from medcolor.errors import AmbiguousSeriesError, MedcolorWarning, ModalityError, ReadCode, ReadError
from medcolor.geometry import Geometry, Space
from medcolor.io import list_series, read, write
from medcolor.scan import KAxis
from medcolor.tissue_map import Segmentation

AFFINE = np.array([[-2.0, 0, 0, 90], [0, 2, 0, -120], [0, 0, 2.5, -70], [0, 0, 0, 1]])
SAMPLES = Path(nibabel.__file__).parent / "tests" / "data"
RGB24 = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])


def save(
    path: Path, data: np.ndarray, affine: Any = AFFINE, *, change: Callable[[Any], None] | None = None, kind: Any = None
) -> Path:
    image = (kind or nibabel.Nifti1Image)(data, affine, dtype=data.dtype)
    image.header.set_xyzt_units("mm")
    if change:
        change(image.header)
    nibabel.save(image, path)
    return path


def ramp(shape: tuple[int, ...] = (5, 4, 3), dtype: Any = np.int16) -> np.ndarray:
    return np.arange(np.prod(shape), dtype=dtype).reshape(shape)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
@pytest.mark.parametrize("dtype", ["u1", "i1", "<i2", ">i2", "u2", "i4", "u4", "f4", ">f8"])
def test_every_number_type_reads_as_nibabel_reads_it(name: str, kind: Any, dtype: str, tmp_path: Path) -> None:
    data = ramp(dtype=np.dtype(dtype))
    endian = ">" if dtype.startswith(">") else "<"
    header = kind.header_class(endianness=endian)
    image = kind(data, AFFINE, header=header, dtype=data.dtype)
    nibabel.save(image, tmp_path / name)
    scan = read(tmp_path / name, modality="MR")
    np.testing.assert_array_equal(scan.voxels, data)
    assert scan.voxels.dtype.isnative
    np.testing.assert_allclose(scan.geometry.affine, AFFINE)


@pytest.mark.parametrize(
    ("slope", "intercept", "dtype"),
    [(1, -1024, np.int16), (2, 0, np.int16), (0.5, 3, np.float32), (70_000, 0, np.int32)],
)
def test_the_rescale_is_applied_and_keeps_integers_where_it_can(
    slope: float, intercept: float, dtype: Any, tmp_path: Path
) -> None:
    def change(header: Any) -> None:
        header.set_slope_inter(slope, intercept)

    path = tmp_path / "a.nii"
    save(path, ramp(), change=change)
    raw = bytearray(path.read_bytes())  # nibabel divides by the slope when it saves: set it in the file instead
    raw[112:120] = np.array([slope, intercept], "<f4").tobytes()
    raw[352:] = ramp().tobytes(order="F")
    path.write_bytes(raw)
    scan = read(path, modality="MR")
    np.testing.assert_allclose(scan.voxels, nibabel.load(path).get_fdata(), rtol=1e-6)
    assert scan.voxels.dtype == dtype


def test_a_header_of_61_bytes_that_claims_a_giant_is_refused_before_allocation(tmp_path: Path) -> None:
    header = nibabel.Nifti1Header()
    header.set_data_dtype(np.int16)
    header["dim"][:4] = [3, 20_000, 20_000, 20_000]
    path = tmp_path / "bomb.nii.gz"
    path.write_bytes(gzip.compress(header.binaryblock + b"\x00" * 4, 9))
    for call in (read, list_series):
        with pytest.raises(ReadError, match="20000 x 20000 x 20000") as refused:
            call(path)
        assert refused.value.code is ReadCode.TOO_LARGE


def test_a_small_gzip_that_claims_a_gigabyte_is_refused_before_allocation(tmp_path: Path) -> None:
    header = nibabel.Nifti1Header()
    header["dim"][:4] = [3, 1000, 1000, 1000]
    path = tmp_path / "a.nii.gz"
    path.write_bytes(gzip.compress(header.binaryblock + b"\x00" * 4, 9))
    with pytest.raises(ReadError) as refused:
        read(path)
    assert refused.value.code is ReadCode.TRUNCATED


def damage(raw: bytearray, at: int, value: bytes) -> bytes:
    raw[at : at + len(value)] = value
    return bytes(raw)


BAD: list[tuple[str, Callable[[bytearray], bytes], ReadCode]] = [
    ("zero side", lambda raw: damage(raw, 42, b"\x00\x00"), ReadCode.CORRUPT),
    ("negative side", lambda raw: damage(raw, 42, b"\xff\xff"), ReadCode.CORRUPT),
    ("nine dimensions", lambda raw: damage(raw, 40, b"\x09\x00"), ReadCode.CORRUPT),
    ("unknown type", lambda raw: damage(raw, 70, b"\x39\x30"), ReadCode.CORRUPT),
    ("complex", lambda raw: damage(raw, 70, b"\x20\x00"), ReadCode.UNSUPPORTED_PIXEL),
    ("surface", lambda raw: damage(raw, 68, b"\xb9\x0b"), ReadCode.UNSUPPORTED_FORMAT),
    ("offset not a number", lambda raw: damage(raw, 108, np.float32(np.nan).tobytes()), ReadCode.CORRUPT),
    ("cut", lambda raw: bytes(raw[:-1]), ReadCode.TRUNCATED),
    ("header only", lambda raw: bytes(raw[:348]), ReadCode.TRUNCATED),
]


@pytest.mark.parametrize(("change", "code"), [b[1:] for b in BAD], ids=[b[0] for b in BAD])
@pytest.mark.parametrize("zipped", [False, True])
def test_damaged_files_are_refused_with_their_reason(
    change: Callable[[bytearray], bytes], code: ReadCode, zipped: bool, tmp_path: Path
) -> None:
    plain = save(tmp_path / "good.nii", ramp((40, 40, 40)))
    raw = change(bytearray(plain.read_bytes()))
    path = tmp_path / ("a.nii.gz" if zipped else "a.nii")
    path.write_bytes(gzip.compress(raw) if zipped else raw)
    with pytest.raises(ReadError) as refused:
        read(path, modality="MR")
    assert refused.value.code is code
    assert str(path) in str(refused.value)


@pytest.mark.parametrize("keep", [20, -20])
def test_a_cut_gzip_stream_is_refused(keep: int, tmp_path: Path) -> None:
    good = save(tmp_path / "a.nii.gz", np.random.default_rng(0).integers(0, 9000, (20, 20, 20)).astype(np.int16))
    good.write_bytes(good.read_bytes()[:keep])
    with pytest.raises(ReadError) as refused:
        read(good, modality="MR")
    assert refused.value.code in {ReadCode.TRUNCATED, ReadCode.CORRUPT}


def test_several_volumes_read_by_key_and_the_first_with_a_warning(tmp_path: Path) -> None:
    data = ramp((5, 4, 3, 4))
    path = save(tmp_path / "a.nii.gz", data)
    assert [info.key for info in list_series(path)] == ["#1", "#2", "#3", "#4"]
    with pytest.warns(MedcolorWarning, match="4 images.*#2, #3, #4"):
        np.testing.assert_array_equal(read(path, modality="MR").voxels, data[..., 0])
    for key, n in (("#3", 2), ("3", 2), (4, 3)):
        np.testing.assert_array_equal(read(path, series=key, modality="MR").voxels, data[..., n])
    assert read(path, series=1, modality="MR").source.digest != read(path, series=2, modality="MR").source.digest
    with pytest.raises(AmbiguousSeriesError, match='no series "#5"'):
        read(path, series="#5")


def test_one_slice_at_several_times_is_a_cine(tmp_path: Path) -> None:
    data = ramp((5, 4, 1, 6))
    scan = read(save(tmp_path / "a.nii", data), modality="US")
    assert scan.k_axis is KAxis.TIME
    np.testing.assert_array_equal(scan.voxels, data[:, :, 0])


def test_the_modality_is_asked_for_and_never_guessed(tmp_path: Path) -> None:
    path = save(tmp_path / "ct_head.nii", ramp())
    with pytest.warns(MedcolorWarning, match="--modality"):
        assert read(path).modality == "OT"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read(path, modality="ct").modality == "CT"
    with pytest.raises(ModalityError):
        read(path, modality="x-ray!")


def test_units_of_a_ct_are_said_and_doubted(tmp_path: Path) -> None:
    hu = read(save(tmp_path / "hu.nii", ramp() - np.int16(30)), modality="CT")
    assert (hu.units, [f.code for f in hu.audit]) == ("HU", ["hu-by-convention"])
    raw = read(save(tmp_path / "raw.nii", ramp() + np.int16(1000)), modality="CT")
    assert [f.code for f in raw.audit] == ["hu-unsure"]
    gray = read(save(tmp_path / "gray.nii", ramp(dtype=np.uint8)), modality="CT")
    assert gray.units == "gray level"
    assert read(save(tmp_path / "mr.nii", ramp()), modality="MR").units == "arbitrary"


@pytest.mark.parametrize(("unit", "factor"), [("micron", 0.001), ("meter", 1000.0), ("mm", 1.0)])
def test_lengths_come_in_millimetres(unit: str, factor: float, tmp_path: Path) -> None:
    path = save(tmp_path / "a.nii", ramp(), change=lambda header: header.set_xyzt_units(unit))
    expected = np.diag([factor] * 3 + [1]) @ AFFINE
    np.testing.assert_allclose(read(path, modality="MR").geometry.affine, expected, rtol=1e-6)


def unpose(header: Any) -> None:
    header.set_sform(None, 0)
    header.set_qform(None, 0)


def test_a_unit_no_standard_knows_is_no_unit(tmp_path: Path) -> None:
    path = save(tmp_path / "a.nii", ramp())
    path.write_bytes(damage(bytearray(path.read_bytes()), 123, b"\x48"))
    assert read(path, modality="MR").voxels.shape == ramp().shape


def test_the_sform_wins_then_the_qform_as_in_nibabel(tmp_path: Path) -> None:
    other = AFFINE + np.array([[0, 0, 0, 7.0], [0] * 4, [0] * 4, [0] * 4])

    def both(header: Any) -> None:
        header.set_sform(AFFINE, 1)
        header.set_qform(other, 1)

    def qform(header: Any) -> None:
        header.set_sform(AFFINE, 0)
        header.set_qform(other, 1)

    for change, affine in ((both, AFFINE), (qform, other)):
        path = save(tmp_path / "a.nii", ramp(), None, change=change)
        np.testing.assert_allclose(read(path, modality="MR").geometry.affine, affine, atol=1e-4)
        np.testing.assert_allclose(nibabel.load(path).affine, affine, atol=1e-4)


def test_a_file_without_a_pose_says_so(tmp_path: Path) -> None:
    path = save(tmp_path / "a.nii", ramp(), None, change=unpose)
    scan = read(path, modality="MR")
    assert scan.geometry.space is Space.DETECTOR
    assert scan.geometry.spacing == (1, 1, 1)
    assert [f.code for f in scan.audit] == ["no-pose"]
    raw = bytearray(path.read_bytes())
    raw[123] = 0  # units unknown
    path.write_bytes(raw)
    assert read(path, modality="MR").geometry.space is Space.PIXEL
    assert list_series(path)[0].spacing is None


def test_a_zero_sform_is_reported_and_the_qform_used(tmp_path: Path) -> None:
    def change(header: Any) -> None:
        header.set_qform(AFFINE, 1)
        header["sform_code"] = 1
        header["srow_x"] = header["srow_y"] = header["srow_z"] = 0

    scan = read(save(tmp_path / "a.nii", ramp(), None, change=change), modality="MR")
    np.testing.assert_allclose(scan.geometry.affine, AFFINE, atol=1e-4)
    assert [f.code for f in scan.audit] == ["bad-sform"]


def test_what_is_no_number_is_kept_out(tmp_path: Path) -> None:
    data = ramp(dtype=np.float32) + 10
    data[1, 2, 0], data[3, 3, 2] = np.nan, np.inf
    scan = read(save(tmp_path / "a.nii", data), modality="MR")
    assert scan.padding is not None
    np.testing.assert_array_equal(scan.padding, ~np.isfinite(data))
    assert np.isfinite(scan.voxels).all()
    assert scan.voxels.min() == 10
    assert [f.code for f in scan.audit] == ["not-a-number"]
    with pytest.raises(ReadError, match="no voxel holds a number"):
        read(save(tmp_path / "b.nii", np.full((3, 3, 3), np.nan, np.float32)), modality="MR")


def test_rgb24_and_the_vector_layout_of_itk_read_alike(tmp_path: Path) -> None:
    import SimpleITK

    rgb = np.random.default_rng(0).integers(0, 256, (3, 4, 5, 3), dtype=np.uint8)
    structured = np.ascontiguousarray(rgb.transpose(2, 1, 0, 3)).view(RGB24)[..., 0]
    first = read(save(tmp_path / "a.nii", structured), modality="US")
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(rgb, isVector=True), str(tmp_path / "b.nii"))
    second = read(tmp_path / "b.nii", modality="US")
    for scan in (first, second):
        np.testing.assert_array_equal(scan.rgb, rgb.transpose(2, 1, 0, 3))
        assert scan.colored is not None
        assert scan.units == "gray level"
    np.testing.assert_array_equal(first.voxels, second.voxels)


def test_gray_stored_as_rgb_is_gray(tmp_path: Path) -> None:
    gray = ramp(dtype=np.uint8)
    structured = np.repeat(gray[..., None], 3, axis=-1).view(RGB24)[..., 0]
    scan = read(save(tmp_path / "a.nii", structured), modality="US")
    assert scan.rgb is None
    np.testing.assert_array_equal(scan.voxels, gray)


@pytest.mark.parametrize("name", ["a.img", "a.hdr"])
def test_a_pair_of_header_and_image_is_read_by_its_header(name: str, tmp_path: Path) -> None:
    data = ramp()
    nibabel.save(nibabel.Nifti1Pair(data, AFFINE), tmp_path / name)
    np.testing.assert_array_equal(read(tmp_path / "a.hdr", modality="MR").voxels, data)
    (tmp_path / "a.img").unlink()
    with pytest.raises(ReadError) as refused:
        read(tmp_path / "a.hdr", modality="MR")
    assert refused.value.code is ReadCode.NO_PIXEL_DATA


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("anatomical.nii", (-610, 30393)),
        ("standard.nii.gz", (0, 255)),
        ("example4d.nii.gz", (0, 1162)),
        ("functional.nii", None),
        ("example_nifti2.nii.gz", None),
        ("reoriented_anat_moved.nii", None),
    ],
)
def test_real_files_read_as_nibabel_reads_them(name: str, expected: tuple[int, int] | None) -> None:
    path, image = SAMPLES / name, nibabel.load(SAMPLES / name)
    scan = read(path, series="#1", modality="MR")
    values = image.get_fdata()
    values = values if values.ndim == 3 else values[..., 0]
    np.testing.assert_allclose(scan.voxels, values, rtol=1e-6)
    np.testing.assert_allclose(scan.geometry.affine, image.affine, atol=1e-6)
    if expected:
        assert (scan.voxels.min(), scan.voxels.max()) == expected


FOREIGN = ["row_major.dconn.nii", "test.mgz", "T1.PAR", "tiny.mnc", "small.mnc", "scaled+tlrc.BRIK", "scaled+tlrc.HEAD",
           "analyze.hdr", "example4d+orig.BRIK.gz", "simple.trk"]  # fmt: skip


@pytest.mark.parametrize("name", FOREIGN)
def test_other_formats_of_the_field_are_named_with_what_to_do(name: str) -> None:
    with pytest.raises(ReadError) as refused:
        read(SAMPLES / name)
    assert refused.value.code is ReadCode.UNSUPPORTED_FORMAT
    assert refused.value.remedy


def test_content_decides_and_not_the_name(tmp_path: Path) -> None:
    good = save(tmp_path / "a.nii.gz", ramp())
    for name in ("a.dcm", "a.png", "nothing"):
        shutil.copy(good, tmp_path / name)
        assert read(tmp_path / name, modality="MR").source.format == "nifti"


def test_nan_in_the_file_name_or_a_pipe_is_no_image(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.nii")
    with pytest.raises(ReadError, match="neither a file nor a folder"):
        read(tmp_path / "pipe.nii")
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "missing.nii")


def test_our_colour_nifti_says_what_it_is(tmp_path: Path) -> None:
    geometry = phantom.letter().geometry
    image = ColorScan(phantom.letter_rgb(geometry.shape), geometry, Provenance("physics", Law.LIGHTNESS, "w"), "MR")
    (path,) = write(image, tmp_path / "a.nii.gz")
    loaded = nibabel.load(path)
    assert int(loaded.header["datatype"]) == 128
    assert (int(loaded.header["sform_code"]), int(loaded.header["qform_code"])) == (1, 1)
    assert loaded.header["descrip"].item().startswith(b"AI-COLOR NOT DIAGNOSTIC physics")
    assert b'"colorizer":"physics"' in loaded.header.extensions[0].get_content()
    raw = path.read_bytes()
    assert raw[3] & 0x08 == 0  # gzip: no file name
    assert raw[4:8] == b"\x00" * 4  # gzip: no time


def test_a_segmentation_is_written_as_labels(tmp_path: Path) -> None:
    geometry = Geometry((4, 3, 2), AFFINE)
    labels = np.zeros((4, 3, 2), np.uint16)
    labels[1:3] = 2
    write(Segmentation(labels, geometry, {2: "bone"}), tmp_path / "a.nii.gz")
    image = nibabel.load(tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(np.asarray(image.dataobj), labels)
    np.testing.assert_allclose(image.affine, AFFINE)


def test_a_side_beyond_nifti1_is_written_as_nifti2(tmp_path: Path) -> None:
    geometry = Geometry.from_spacing((40_000, 1, 1), (1, 1, 1), Space.DETECTOR)
    image = ColorScan(np.zeros((40_000, 1, 1, 3), np.uint8), geometry, Provenance("physics", Law.LIGHTNESS, "w"), "US")
    (path,) = write(image, tmp_path / "a.nii.gz")
    assert isinstance(nibabel.load(path), nibabel.Nifti2Image)
    assert read(path).shape == (40_000, 1, 1)
