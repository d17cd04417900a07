from __future__ import annotations

import random
import time
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from dicom_objects import image
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRBigEndian, JPEG2000Lossless, RLELossless

from medcolor.errors import MedcolorError, ReadCode, ReadError
from medcolor.io.dicom.pixels import check_header
from medcolor.io.dicom.values import read_frames

RAMP = np.arange(12, dtype=np.uint16).reshape(3, 4)


def read(ds: Any, modality: str = "MR", frames: int = 1) -> Any:
    return read_frames([ds], [(0, f) for f in range(frames)], [Path("a.dcm")], modality)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"Rows": None}, ReadCode.MISSING_ATTRIBUTE),
        ({"Columns": None}, ReadCode.MISSING_ATTRIBUTE),
        ({"BitsAllocated": None}, ReadCode.MISSING_ATTRIBUTE),
        ({"PhotometricInterpretation": None}, ReadCode.MISSING_ATTRIBUTE),
        ({"Rows": 0}, ReadCode.CORRUPT),
        ({"Rows": 30000, "Columns": 30000}, ReadCode.TRUNCATED),
        ({"Rows": 65535, "Columns": 65535}, ReadCode.TOO_LARGE),
        ({"NumberOfFrames": 100_000}, ReadCode.TOO_LARGE),
        ({"NumberOfFrames": 4001}, ReadCode.TOO_LARGE),
        ({"NumberOfFrames": 3}, ReadCode.CORRUPT),
        ({"Rows": 5}, ReadCode.TRUNCATED),
        ({"BitsAllocated": 24}, ReadCode.UNSUPPORTED_PIXEL),
        ({"BitsAllocated": 64, "BitsStored": 64}, ReadCode.UNSUPPORTED_PIXEL),
        ({"BitsStored": 17}, ReadCode.CORRUPT),
        ({"BitsStored": 0}, ReadCode.CORRUPT),
        ({"PhotometricInterpretation": "CMYK"}, ReadCode.UNSUPPORTED_PIXEL),
        ({"PhotometricInterpretation": "RGB"}, ReadCode.UNSUPPORTED_PIXEL),
        ({"SamplesPerPixel": 4}, ReadCode.UNSUPPORTED_PIXEL),
    ],
    ids=str,
)
def test_a_header_that_cannot_be_true_is_refused_before_decoding(change: dict[str, Any], code: ReadCode) -> None:
    ds = image(RAMP, **change)
    with pytest.raises(ReadError) as caught:
        check_header(ds, "a.dcm")
    assert caught.value.code is code
    assert "a.dcm" in str(caught.value)


def test_thirty_two_bit_colour_is_refused() -> None:
    ds = image(np.zeros((2, 2, 3), np.uint32), SamplesPerPixel=3)
    with pytest.raises(ReadError) as caught:
        check_header(ds, "a.dcm")
    assert caught.value.code is ReadCode.UNSUPPORTED_PIXEL


def test_no_pixel_data_and_empty_pixel_data_are_told_apart() -> None:
    ds = image(RAMP)
    ds.PixelData = b""
    with pytest.raises(ReadError) as caught:
        check_header(ds, "a.dcm")
    assert caught.value.code is ReadCode.TRUNCATED
    del ds.PixelData
    with pytest.raises(ReadError) as caught:
        check_header(ds, "a.dcm")
    assert caught.value.code is ReadCode.NO_PIXEL_DATA


def test_a_missing_transfer_syntax_is_a_missing_attribute() -> None:
    ds = image(RAMP)
    del ds.file_meta.TransferSyntaxUID
    with pytest.raises(ReadError) as caught:
        check_header(ds, "a.dcm")
    assert caught.value.code is ReadCode.MISSING_ATTRIBUTE


@pytest.mark.parametrize("name", ["PixelRepresentation", "BitsStored", "SamplesPerPixel"])
def test_what_has_a_plain_default_may_be_missing(name: str) -> None:
    assert (read(image(RAMP, **{name: None})).voxels[0] == RAMP).all()


@pytest.mark.parametrize("syntax", [None, ExplicitVRBigEndian])
@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i4"])
def test_every_integer_layout_reads_as_written(dtype: str, syntax: str | None) -> None:
    info = np.iinfo(dtype)
    pixels = np.array([[info.min, info.max, 1], [0, 7, info.max - 1]]).astype(dtype)
    found = read(image(pixels, **({"syntax": syntax} if syntax else {}))).voxels
    assert np.array_equal(found[0].astype(np.int64), pixels.astype(np.int64))


@settings(deadline=None, max_examples=60)
@given(
    stored=st.integers(1, 16),
    signed=st.booleans(),
    dirt=st.integers(0, 0xFFFF),
    values=st.lists(st.integers(0, 0xFFFF), min_size=4, max_size=4),
)
def test_bits_above_bits_stored_never_matter(stored: int, signed: bool, dirt: int, values: list[int]) -> None:
    mask = (1 << stored) - 1
    raw = np.array([(v & mask) | (dirt & ~mask & 0xFFFF) for v in values], np.uint16).reshape(2, 2)
    ds = image(raw, BitsStored=stored, PixelRepresentation=int(signed))
    expected = (raw & mask).astype(np.int64)
    if signed:
        expected = np.where(expected >= 1 << (stored - 1), expected - (1 << stored), expected)
    assert np.array_equal(read(ds).voxels[0].astype(np.int64), expected)


def test_frames_of_single_bits_may_begin_inside_a_byte() -> None:
    bits = np.random.default_rng(0).integers(0, 2, (3, 3, 5), np.uint8)
    raw = np.packbits(bits.reshape(-1), bitorder="little").tobytes()
    ds = image(raw, Rows=3, Columns=5, NumberOfFrames=3, BitsAllocated=1, BitsStored=1, PixelRepresentation=0,
               SamplesPerPixel=1, PhotometricInterpretation="MONOCHROME2")  # fmt: skip
    assert np.array_equal(read(ds, frames=3).voxels, bits)


def test_eight_bits_written_as_big_endian_words_come_unswapped_also_in_odd_frames() -> None:
    pixels = np.arange(18, dtype=np.uint8).reshape(2, 3, 3)
    ds = image(pixels, syntax=ExplicitVRBigEndian)
    swapped = np.frombuffer(pixels.tobytes(), "<u2").astype(">u2").tobytes()
    ds.add_new("PixelData", "OW", swapped)
    assert np.array_equal(read(ds, frames=2).voxels, pixels)


def test_frames_are_placed_in_the_order_asked_for_and_pixel_data_is_dropped() -> None:
    pixels = np.arange(24, dtype=np.uint16).reshape(4, 2, 3)
    first, second = image(pixels), image(pixels + 100)
    block = read_frames([first, second], [(1, 3), (0, 0), (1, 1)], [Path("a"), Path("b")], "MR")
    assert np.array_equal(block.voxels, [pixels[3] + 100, pixels[0], pixels[1] + 100])
    assert block.voxels.flags.c_contiguous
    assert "PixelData" not in first
    assert "PixelData" not in second


def test_pixel_data_may_be_deferred_on_disk(tmp_path: Path) -> None:
    path = tmp_path / "a.dcm"
    image(RAMP).save_as(path, enforce_file_format=True)
    ds = pydicom.dcmread(path, defer_size=4)
    assert check_header(ds, path).columns == 4
    assert ds.get_item("PixelData", keep_deferred=True).value is None, "the check must not read the pixels"
    assert np.array_equal(read_frames([ds], [(0, 0)], [path], "MR").voxels[0], RAMP)


def test_surplus_pixel_data_is_reported_not_read() -> None:
    block = read(image(RAMP.tobytes() + b"\1" * 6, Rows=3, Columns=4, BitsAllocated=16, SamplesPerPixel=1,
                       PhotometricInterpretation="MONOCHROME2"))  # fmt: skip
    assert np.array_equal(block.voxels[0], RAMP)
    assert [f.code for f in block.findings] == ["pixel-data-excess"]


@pytest.mark.parametrize("planar", [0, 1])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_rgb_is_the_same_in_both_planar_configurations(planar: int, dtype: Any) -> None:
    rgb = np.random.default_rng(1).integers(0, 256, (3, 5, 3)).astype(np.uint8)
    wide = rgb.astype(dtype) * (257 if dtype is np.uint16 else 1)
    stored = wide.transpose(2, 0, 1) if planar else wide
    ds = image(wide.astype(dtype), SamplesPerPixel=3, PlanarConfiguration=planar)
    ds.PixelData = np.ascontiguousarray(stored.astype(dtype)).tobytes() + b"\0" * (stored.nbytes % 2)
    assert np.array_equal(read(ds).rgb[0], rgb)


@pytest.mark.parametrize("columns", [4, 5])
def test_subsampled_ybr_of_even_and_odd_width_is_gray_where_chroma_is_neutral(columns: int) -> None:
    even = columns + columns % 2
    luma = np.arange(2 * even, dtype=np.uint8).reshape(2, even) * 9
    pairs = np.full((2, even // 2, 4), 128, np.uint8)
    pairs[..., :2] = luma.reshape(2, even // 2, 2)
    ds = image(pairs.tobytes(), Rows=2, Columns=columns, BitsAllocated=8, BitsStored=8, SamplesPerPixel=3,
               PlanarConfiguration=0, PhotometricInterpretation="YBR_FULL_422")  # fmt: skip
    rgb = read(ds).rgb[0]
    assert np.array_equal(rgb, np.repeat(luma[:, :columns, None], 3, axis=2))


def _rle(name: str = "MR_small_RLE.dcm") -> pydicom.Dataset:
    return pydicom.dcmread(get_testdata_file(name))


def test_rle_that_claims_more_than_packbits_can_hold_never_reaches_the_codec() -> None:
    ds = _rle()
    ds.Rows = ds.Columns = 20000  # under the size cap, 16 bits
    start = time.perf_counter()
    with pytest.raises(ReadError) as caught:
        read(ds)
    assert caught.value.code is ReadCode.CORRUPT
    assert time.perf_counter() - start < 1


@pytest.mark.parametrize(
    "name", ["MR_small_jp2klossless.dcm", "MR_small_jpeg_ls_lossless.dcm", "SC_rgb_small_odd_jpeg.dcm"]
)
def test_a_codestream_of_another_size_than_the_header_never_reaches_the_codec(name: str) -> None:
    ds = pydicom.dcmread(get_testdata_file(name))
    ds.Rows = int(ds.Rows) - 1
    with pytest.raises(ReadError) as caught:
        read(ds)
    assert caught.value.code is ReadCode.UNDECODABLE
    assert "the compressed image is" in str(caught.value)


def test_fewer_compressed_frames_than_the_header_says_is_corrupt() -> None:
    ds = _rle()
    ds.NumberOfFrames = 2
    with pytest.raises(ReadError) as caught:
        read(ds, frames=2)
    assert caught.value.code is ReadCode.CORRUPT


def test_a_codestream_that_no_codec_decodes_is_named_with_the_codecs_tried() -> None:
    ds = pydicom.dcmread(get_testdata_file("MR_small_jp2klossless.dcm"))
    codestream = b"\xff\x4f\xff\x51" + b"\0" * 60  # states no usable size
    ds.PixelData = encapsulate([codestream])
    assert ds.file_meta.TransferSyntaxUID == JPEG2000Lossless
    with pytest.raises(ReadError) as caught:
        read(ds)
    assert caught.value.code is ReadCode.UNDECODABLE


def test_a_transfer_syntax_without_codec_says_so() -> None:
    ds = _rle()
    ds.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.100"  # MPEG-2
    with pytest.raises(ReadError) as caught:
        read(ds)
    assert caught.value.code is ReadCode.UNDECODABLE
    assert "MPEG2" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "low", "high", "mean"),
    [
        ("JPGExtended.dcm", 0, 264, 14.383),  # 12-bit JPEG
        ("JPEG2000.dcm", -30, 245, 13.458),
        ("J2K_pixelrep_mismatch.dcm", -2000, 1896, -658.437),
        ("JPEGLSNearLossless_16.dcm", 0, 65535, 12014.5),
        ("emri_small_RLE.dcm", 0, 467, 109.699),
    ],
)
def test_codecs_give_the_known_values(name: str, low: int, high: int, mean: float) -> None:
    path = get_testdata_file(name)
    if path is None:
        pytest.skip(f"{name} comes with the samples extra (pydicom-data)")
    ds = pydicom.dcmread(path)
    voxels = read(ds, frames=int(ds.get("NumberOfFrames", 1))).voxels
    assert (voxels.min(), voxels.max()) == (low, high)
    assert voxels.mean() == pytest.approx(mean, abs=0.02)


@pytest.mark.parametrize(
    "segments",
    [
        [0, 1, 0, 1, 65535, 9, 1, 65535, 9],  # two long ramps: 131 071 entries
        [0, 1, 0, 1, 60000, 9, 2, 2, 0, 0],  # an indirect one that repeats the ramp
        [0, 1, 0, 2, 1, 3, 0],  # an indirect one that points at itself
        [0, 500, 1],
    ],
)
def test_a_segmented_palette_that_explodes_is_refused(segments: list[int]) -> None:
    ds = image(np.zeros((2, 2), np.uint8), PhotometricInterpretation="PALETTE COLOR")
    for color in ("Red", "Green", "Blue"):
        setattr(ds, f"{color}PaletteColorLookupTableDescriptor", [256, 0, 16])
        setattr(ds, f"Segmented{color}PaletteColorLookupTableData", np.array(segments, "<u2").tobytes())
    with pytest.raises(ReadError) as caught:
        read(ds)
    assert caught.value.code is ReadCode.CORRUPT


@pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small_RLE.dcm", "SC_rgb_rle_2frame.dcm", "MR_small_expb.dcm"])
def test_mutants_read_or_are_refused_with_a_typed_error(name: str) -> None:
    """300 files with 8 random bytes changed each; JPEG kinds are left to the process that survives their codecs."""
    original = Path(get_testdata_file(name)).read_bytes()
    draw = random.Random(name)
    refused: list[str] = []
    for _ in range(300):
        mutant = bytearray(original)
        for _ in range(8):
            mutant[draw.randrange(132, len(mutant))] = draw.randrange(256)
        try:
            ds = pydicom.dcmread(BytesIO(bytes(mutant)))
            if ds.file_meta.TransferSyntaxUID not in (RLELossless, "1.2.840.10008.1.2.1", ExplicitVRBigEndian):
                continue
        except Exception:  # parsing is another module's promise
            continue
        try:
            layout = check_header(ds, "mutant.dcm")
            read_frames([ds], [(0, f) for f in range(layout.frames)], [Path("mutant.dcm")], "CT")
        except MedcolorError as error:
            refused.append(str(error))
    assert len(refused) < 300
    assert all("mutant.dcm" in message for message in refused)
