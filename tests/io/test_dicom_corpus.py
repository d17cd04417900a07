"""The 287 files that pydicom, pydicom-data, pynetdicom and nibabel bring: each reads, or is refused, as it must.

``tests/data/dicom_corpus.tsv`` says for each file what reading must give. Its figures come from another decoder than
ours (pydicom with pylibjpeg); ``why`` explains every line that departs from the plain rule "stored value times slope
plus intercept".
"""

from __future__ import annotations

import csv
import hashlib
import importlib.util
import warnings
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from medcolor.errors import MedcolorWarning, ReadError
from medcolor.geometry import Space
from medcolor.io.dicom.read import list_dicom, read_dicom
from medcolor.scan import Scan

TABLE = Path(__file__).parents[1] / "data" / "dicom_corpus.tsv"
with TABLE.open(newline="") as stream:
    ROWS = list(csv.DictReader(stream, delimiter="\t"))
TEST_FILES = "pydicom/data/test_files/"
MORE_FILES = "data_store/data/"
NICOM = "nibabel/nicom/tests/data/"


def of(expected: str, *kinds: str) -> list[pytest.ParameterSet]:
    chosen = [r for r in ROWS if r["expected"] == expected and (not kinds or r["kind"] in kinds)]
    return [pytest.param(r, id=r["path"]) for r in chosen]


def corpus_file(path: str) -> Path:
    package = path.split("/")[0]
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        pytest.skip(f"the package that brings {package} is not installed (extra: test)")
    return Path(spec.submodule_search_locations[0]).parent / path


def unchanged(row: dict[str, str]) -> Path:
    file = corpus_file(row["path"])
    if not file.exists():
        pytest.fail(f"{row['path']} is not in the installed package")
    if hashlib.sha256(file.read_bytes()).hexdigest()[:16] != row["sha256_16"]:
        pytest.skip(f"{row['path']} is not the file of the table: another version of its package")
    return file


@cache
def scan_of(path: str) -> Scan:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MedcolorWarning)
        return read_dicom(corpus_file(path))


def codes(scan: Scan) -> set[str]:
    return {finding.code for finding in scan.audit}


def test_the_table_has_all_287_files() -> None:
    assert len(ROWS) == 287
    counts = {kind: sum(r["expected"] == kind for r in ROWS) for kind in ("render", "expand", "refuse")}
    assert counts == {"render": 167, "expand": 6, "refuse": 114}
    assert all(r["why"] for r in ROWS if r["kind"] == "palette")


@pytest.mark.parametrize("row", of("render", "gray"))
def test_a_gray_image_has_the_values_another_decoder_finds(row: dict[str, str]) -> None:
    unchanged(row)
    scan = scan_of(row["path"])
    assert (scan.modality, "x".join(map(str, scan.shape))) == (row["modality"], row["shape"])
    assert scan.rgb is None
    assert scan.voxels.dtype.kind in "iuf"
    values = np.asarray(scan.voxels, dtype=np.float64)
    for name, found in (("min", values.min()), ("max", values.max()), ("mean", values.mean())):
        if row[name]:
            assert found == pytest.approx(float(row[name]), abs=float(row["tolerance"])), name


@pytest.mark.parametrize("row", of("render", "color", "palette"))
def test_a_color_image_keeps_its_pixels(row: dict[str, str]) -> None:
    unchanged(row)
    scan = scan_of(row["path"])
    assert (scan.modality, "x".join(map(str, scan.shape))) == (row["modality"], row["shape"])
    assert scan.rgb is not None
    assert scan.units == "gray level"
    values = np.asarray(scan.rgb, dtype=np.float64)
    for name, found in (("min", values.min()), ("max", values.max()), ("mean", values.mean())):
        if row[name]:
            loose = 4 if name != "mean" else 1  # one pixel of a JPEG may be a few levels off, the mean may not
            assert found == pytest.approx(float(row[name]), abs=loose * float(row["tolerance"])), name


@pytest.mark.parametrize("row", of("expand"))
def test_a_directory_lists_its_series_and_is_not_read_without_a_choice(row: dict[str, str]) -> None:
    from medcolor.errors import AmbiguousSeriesError

    listed = list_dicom(unchanged(row))
    assert len(listed) == 24
    assert len({entry.key for entry in listed}) == 24
    with pytest.raises(AmbiguousSeriesError) as refused:
        read_dicom(corpus_file(row["path"]))
    assert len(refused.value.choices) == 24


@pytest.mark.parametrize("row", of("refuse"))
def test_what_is_no_scan_is_refused_with_file_code_and_reason(row: dict[str, str]) -> None:
    file = unchanged(row)
    with pytest.raises(ReadError) as refused:
        read_dicom(file)
    assert refused.value.code == row["code"]
    assert refused.value.path == file
    assert refused.value.reason


@pytest.mark.parametrize("row", of("render"))
def test_a_listing_says_the_shape_and_modality_that_reading_gives(row: dict[str, str]) -> None:
    (entry,) = list_dicom(unchanged(row))
    assert ("x".join(map(str, entry.shape)), entry.modality) == (row["shape"], row["modality"])
    scan = scan_of(row["path"])
    assert entry.spacing == (None if scan.geometry.space is Space.PIXEL else scan.geometry.spacing)
    assert {f.code for f in entry.audit} <= codes(scan)


# -- several encodings of one image are one image --------------------------------------------------------------------

SAME = {
    "MR_small": [
        f"{TEST_FILES}MR_small{suffix}.dcm"
        for suffix in ("", "_RLE", "_bigendian", "_expb", "_implicit", "_jp2klossless", "_jpeg_ls_lossless", "_padded")
    ]
    + [f"{TEST_FILES}zipMR.gz", "pynetdicom/tests/dicom_files/MRImageStorage_JPG2000_Lossless.dcm"],
    "emri_small": [
        f"{MORE_FILES}emri_small{suffix}.dcm"
        for suffix in ("", "_RLE", "_big_endian", "_jpeg_2k_lossless", "_jpeg_ls_lossless")
    ],
    "SC_rgb": [f"{MORE_FILES}SC_rgb{suffix}.dcm" for suffix in ("", "_16bit", "_expb", "_gdcm2k_uncompressed")]
    + [f"{TEST_FILES}SC_rgb{suffix}.dcm" for suffix in ("_rle", "_rle_16bit", "_jpeg_gdcm")],
    "SC_rgb two frames": [f"{MORE_FILES}SC_rgb{suffix}.dcm" for suffix in ("_2frame", "_16bit_2frame", "_expb_2frame")]
    + [f"{TEST_FILES}SC_rgb{suffix}.dcm" for suffix in ("_rle_2frame", "_rle_16bit_2frame")],
    "SC_rgb small odd": [f"{TEST_FILES}SC_rgb_small_odd{suffix}.dcm" for suffix in ("", "_big_endian")],
    "693 lossless": [f"{MORE_FILES}693_{name}.dcm" for name in ("UNCR", "J2KR")],
    "693 lossy": [f"{MORE_FILES}693_UNCI.dcm", f"{TEST_FILES}693_J2KI.dcm"],
    "MR2 lossless": [f"{MORE_FILES}MR2_{name}.dcm" for name in ("UNCR", "J2KR")],
    "MR2 lossy": [f"{MORE_FILES}MR2_{name}.dcm" for name in ("UNCI", "J2KI")],
    "RG1 lossless": [f"{MORE_FILES}RG1_{name}.dcm" for name in ("UNCR", "J2KR")],
    "RG1 lossy": [f"{MORE_FILES}RG1_{name}.dcm" for name in ("UNCI", "J2KI")],
    "RG3 lossless": [f"{MORE_FILES}RG3_{name}.dcm" for name in ("UNCR", "J2KR")],
    "RG3 lossy": [f"{MORE_FILES}RG3_{name}.dcm" for name in ("UNCI", "J2KI")],
    "US1 lossless": [f"{MORE_FILES}US1_{name}.dcm" for name in ("UNCR", "J2KR")] + [f"{TEST_FILES}examples_jpeg2k.dcm"],
    "US1 lossy": [f"{MORE_FILES}US1_{name}.dcm" for name in ("UNCI", "J2KI")],
    "palette": [f"{MORE_FILES}OBXXXX1A{suffix}.dcm" for suffix in ("", "_expb", "_rle")],
    "palette two frames": [f"{MORE_FILES}OBXXXX1A{suffix}_2frame.dcm" for suffix in ("", "_expb", "_rle")],
    "palette 16 bit": [f"{MORE_FILES}gdcm-US-ALOKA-16{suffix}.dcm" for suffix in ("", "_big")],
    "planes and pixels": [f"{MORE_FILES}color-{name}.dcm" for name in ("pl", "px")],
    "CT_small": [f"{TEST_FILES}CT_small.dcm"]
    + [f"pynetdicom/tests/dicom_files/CTImageStorage{s}.dcm" for s in ("", "_bad_meta")],
    "deflated": [f"{TEST_FILES}image_dfl.dcm", "pynetdicom/tests/dicom_files/SCImageStorage_Deflated.dcm"],
    "NM": [f"{TEST_FILES}JPEG2000.dcm", f"{MORE_FILES}JPEG2000_UNC.dcm"],
    "NM 12 bit": [f"{TEST_FILES}JPGExtended.dcm", f"{TEST_FILES}JPEG-lossy.dcm"],
}


@pytest.mark.parametrize("name", SAME)
def test_all_encodings_of_one_image_give_one_result(name: str) -> None:
    first, *others = (scan_of(path) for path in SAME[name])
    for other in others:
        assert np.array_equal(first.voxels, other.voxels)
        assert first.voxels.dtype == other.voxels.dtype
        assert (first.rgb is None) == (other.rgb is None)
        if first.rgb is not None and other.rgb is not None:
            assert np.array_equal(first.rgb, other.rgb)
        assert (first.units, first.inverted, first.geometry.matches(other.geometry)) == (
            other.units, other.inverted, True,
        )  # fmt: skip


_BARS = ("SC_rgb_jpeg_dcmtk.dcm", "SC_rgb_jpeg_lossy_gdcm.dcm")


@pytest.mark.parametrize(
    "path",
    [r["path"] for r in ROWS if "/SC_rgb_dcmtk" in r["path"] or r["path"].endswith(_BARS)]
    + [f"{MORE_FILES}SC_ybr_full_uncompressed.dcm", f"{TEST_FILES}SC_ybr_full_422_uncompressed.dcm"],
)
def test_lossy_and_ybr_encodings_of_the_color_bars_are_within_jpeg_tolerance(path: str) -> None:
    bars, scan = scan_of(f"{MORE_FILES}SC_rgb.dcm").rgb, scan_of(path).rgb
    assert bars is not None
    assert scan is not None
    off = np.abs(bars.astype(int) - scan.astype(int))
    assert np.median(off) <= 2
    assert off.mean() < 3  # subsampled chroma bleeds at the edges of the bars


# -- known values ----------------------------------------------------------------------------------------------------


def test_ct_small_is_in_hounsfield_units_at_the_right_place() -> None:
    scan = scan_of(f"{TEST_FILES}CT_small.dcm")
    assert scan.units == "HU"
    assert scan.voxels[64, 64, 0] == 1928 - 1024
    assert (scan.voxels.min(), scan.voxels.max()) == (-896, 1167)
    # Image Position (Patient) is LPS -158.135803, -179.035797, -75.699997
    assert scan.geometry.origin == pytest.approx((158.135803, 179.035797, -75.699997))
    assert scan.geometry.spacing == pytest.approx((0.661468, 0.661468, 5.0))


def test_five_slices_are_sorted_by_position() -> None:
    scan = read_dicom(corpus_file(f"{TEST_FILES}dicomdirtests/98892001/CT5N"))
    assert scan.shape == (16, 16, 5)
    assert scan.geometry.spacing == pytest.approx((0.488281, 0.488281, 2.5))
    assert scan.geometry.to_lps()[:3, 3] == pytest.approx((-72.2, -143, -1.2375), abs=1e-4)
    assert not scan.audit


def test_a_gap_of_20_cm_is_named_and_not_filled() -> None:
    scan = read_dicom(corpus_file(f"{TEST_FILES}dicomdirtests/77654033/CT2"))
    assert scan.shape == (16, 16, 4)
    (gap,) = scan.audit
    assert (gap.code, gap.severity) == ("gap", "irregular")
    assert "161 slices are missing between z = -99.48 mm and z = 103.02 mm (spacing 1.25 mm elsewhere)" in gap.message


@pytest.mark.parametrize(
    ("folder", "count"),
    [("98892001/CT2N", 2), ("98892003/MR1", 3), ("98892003/MR2", 7), ("98892003/MR700", 7)],
)
def test_scouts_localizers_and_radial_slices_are_parted(folder: str, count: int) -> None:
    listed = list_dicom(corpus_file(f"{TEST_FILES}dicomdirtests/{folder}"))
    assert [entry.shape for entry in listed] == [(16, 16, 1)] * count


@pytest.mark.parametrize(
    "path", [f"{MORE_FILES}693_UNCR.dcm", f"{TEST_FILES}693_J2KI.dcm", f"{MORE_FILES}693_UNCI.dcm"]
)
def test_padding_is_no_tissue_even_after_lossy_coding(path: str) -> None:
    scan = scan_of(path)
    assert scan.padding is not None
    assert np.asarray(scan.padding).any()
    assert scan.voxels.min() >= -1024
    assert scan.voxels.max() <= 3071


@pytest.mark.parametrize("path", ["RG1_UNCR.dcm", "RG3_UNCR.dcm"])
def test_monochrome1_is_marked_inverted(path: str) -> None:
    assert scan_of(MORE_FILES + path).inverted


def test_a_cine_has_time_on_its_third_axis() -> None:
    scan = scan_of(f"{TEST_FILES}examples_ybr_color.dcm")
    assert (scan.k_axis, scan.shape[2]) == ("time", 30)
    assert scan.facts["FrameTime"] == pytest.approx(33.333)


@pytest.mark.parametrize("name", ["0.dcm", "1.dcm", "siemens_dwi_0.dcm.gz", "siemens_dwi_1000.dcm.gz"])
def test_a_siemens_mosaic_is_said_to_be_one_and_gets_no_place(name: str) -> None:
    with pytest.warns(MedcolorWarning, match="mosaic"):
        scan = read_dicom(corpus_file(NICOM + name))
    assert "mosaic" in codes(scan)
    assert scan.geometry.space is Space.DETECTOR


@pytest.mark.parametrize("name", ["decimal_rescale.dcm", "philips_mprage.dcm.gz", "siemens_dwi_0.dcm.gz"])
def test_a_blank_image_is_said_to_be_constant(name: str) -> None:
    scan = scan_of(NICOM + name)
    assert "constant-image" in codes(scan)
    assert np.isfinite(scan.voxels.astype(float)).all()


def test_no_value_of_a_file_reaches_warnings_or_log(
    caplog: pytest.LogCaptureFixture, recwarn: pytest.WarningsRecorder
) -> None:
    # pydicom warns of this file's dates and numbers, quoting them
    scan_of.cache_clear()
    for path in (f"{MORE_FILES}bad_sequence.dcm", f"{TEST_FILES}MR_small.dcm", f"{MORE_FILES}explicit_VR-UN.dcm"):
        read_dicom(corpus_file(path))
    assert not recwarn.list
    assert not caplog.records
