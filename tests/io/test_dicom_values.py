from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from dicom_objects import image, item
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.data import get_palette_files, get_testdata_file

from medcolor.color import restore_gray
from medcolor.errors import ReadCode, ReadError
from medcolor.io.dicom.values import PixelBlock, read_frames
from medcolor.voi import VoiLut, Window, WindowFunction

CT = {"modality": "CT", "RescaleSlope": 1, "RescaleIntercept": -1024}
RAMP = np.arange(16, dtype=np.int16).reshape(4, 4)


def read(*slices: Any, modality: str | None = None) -> PixelBlock:
    frames = [(n, f) for n, ds in enumerate(slices) for f in range(int(ds.get("NumberOfFrames") or 1))]
    return read_frames(slices, frames, [Path("a.dcm")] * len(slices), modality or slices[0].get("Modality") or "OT")


def bundled(name: str) -> PixelBlock:
    path = get_testdata_file(name)
    if path is None:
        pytest.skip(f"{name} comes with the samples extra (pydicom-data)")
    return read(pydicom.dcmread(path))


def codes(block: PixelBlock) -> list[str]:
    return [f.code for f in block.findings]


def valid(block: PixelBlock) -> np.ndarray:
    return block.voxels if block.padding is None else block.voxels[~block.padding]


# known values of real files


def test_ct_small_has_the_published_hounsfield_values() -> None:
    block = bundled("CT_small.dcm")
    assert (block.units, block.voxels.dtype, block.padding) == ("HU", np.int16, None)
    assert (block.voxels.min(), block.voxels.max(), block.voxels[0, 64, 64]) == (-896, 1167, 904)
    assert block.voxels.mean() == pytest.approx(-119.074, abs=5e-4)


def test_exact_padding_is_masked_and_becomes_air() -> None:
    block = bundled("693_UNCR.dcm")
    assert block.padding is not None
    assert valid(block).min() >= -1024
    assert (block.voxels[block.padding] == -1024).all()


@pytest.mark.parametrize("name", ["693_UNCI.dcm", "693_J2KI.dcm"])
def test_padding_smeared_by_lossy_coding_is_still_padding(name: str) -> None:
    block, exact = bundled(name), bundled("693_UNCR.dcm")
    assert (block.voxels.min(), block.voxels.max()) == (-1024, 1812)
    assert block.padding is not None
    assert exact.padding is not None
    assert (block.padding != exact.padding).mean() < 2e-3
    assert "lossy-padding" in codes(block)


@pytest.mark.parametrize(
    "name",
    ["MR_small.dcm", "MR_small_expb.dcm", "MR_small_implicit.dcm", "MR_small_RLE.dcm", "MR_small_bigendian.dcm",
     "MR_small_jp2klossless.dcm", "MR_small_jpeg_ls_lossless.dcm", "MR_small_padded.dcm"],
)  # fmt: skip
def test_eight_encodings_of_one_image_are_one_image(name: str) -> None:
    block = bundled(name)
    assert np.array_equal(block.voxels, bundled("MR_small.dcm").voxels)
    assert (block.voxels.min(), block.voxels.max()) == (127, 2145)
    assert block.voxels.mean() == pytest.approx(518.881, abs=5e-4)


@pytest.mark.parametrize(
    ("name", "low", "high", "mean"),
    [
        ("emri_small.dcm", 0, 467, 109.699),
        ("mlut_18.dcm", 0, 65535, 33177.149),
        ("RG3_UNCR.dcm", 0, 1023, 332.715),
        ("J2K_pixelrep_mismatch.dcm", -2000, 1896, -658.437),
        ("bad_sequence.dcm", -1011, 1243, -76.626),
        ("MR2_UNCR.dcm", 0, 3.774114 * 595, 283.374),
    ],
)
@pytest.mark.filterwarnings("ignore:.*:UserWarning:pydicom")
def test_bundled_files_have_the_known_range_and_mean(name: str, low: float, high: float, mean: float) -> None:
    block = bundled(name)
    assert block.voxels.min() == pytest.approx(low, abs=1e-3)
    assert block.voxels.max() == pytest.approx(high, abs=1e-3)
    assert block.voxels.mean() == pytest.approx(mean, abs=5e-3)


def test_monochrome1_is_inverted_for_display_and_keeps_its_values() -> None:
    block = bundled("RG3_UNCR.dcm")
    assert block.inverted
    assert block.voxels.max() == 1023


def test_overlays_are_not_burnt_in_and_the_first_window_is_the_default() -> None:
    block = bundled("examples_overlay.dcm")
    assert (block.voxels.min(), block.voxels.max()) == (0, 1123)
    assert (block.windows[0].center, block.windows[0].width, len(block.windows)) == (450, 790, 2)


def test_a_supplemental_palette_leaves_the_gray_range() -> None:
    block = bundled("eCT_Supplemental.dcm")
    assert block.rgb is None
    assert "supplemental-palette" in codes(block)
    assert (block.voxels.min(), block.voxels.max()) == (-1024, 172)


@pytest.mark.parametrize("name", ["SC_rgb.dcm", "SC_rgb_16bit.dcm", "SC_rgb_rle.dcm", "SC_rgb_expb.dcm",
                                  "SC_rgb_jpeg_gdcm.dcm", "SC_rgb_gdcm_KY.dcm"])  # fmt: skip
def test_lossless_encodings_of_the_colour_card_are_equal(name: str) -> None:
    block = bundled(name)
    assert block.rgb is not None
    assert block.rgb.mean() == pytest.approx(127.7, abs=0.05)
    assert np.array_equal(block.rgb, bundled("SC_rgb_rle_16bit.dcm").rgb)


@pytest.mark.parametrize("name", ["SC_rgb_dcmtk_+eb+cr.dcm", "SC_rgb_dcmtk_+eb+cy+n1.dcm", "SC_rgb_dcmtk_+eb+cy+np.dcm",
                                  "SC_rgb_dcmtk_+eb+cy+s4.dcm", "SC_ybr_full_422_uncompressed.dcm",
                                  "SC_ybr_full_uncompressed.dcm", "SC_rgb_jpeg_lossy_gdcm.dcm"])  # fmt: skip
def test_lossy_and_ybr_encodings_of_the_colour_card_are_near(name: str) -> None:
    block, card = bundled(name), bundled("SC_rgb_rle_16bit.dcm")
    assert block.rgb is not None
    assert card.rgb is not None
    apart = np.abs(block.rgb.astype(int) - card.rgb.astype(int))
    assert np.percentile(apart, 90) <= 4


@pytest.mark.parametrize("name", ["OBXXXX1A.dcm", "OBXXXX1A_rle.dcm", "examples_palette.dcm"])
def test_palette_colour_is_the_palette_applied(name: str) -> None:
    from pydicom.pixels import apply_color_lut

    path = get_testdata_file(name)
    if path is None:
        pytest.skip(f"{name} comes with the samples extra (pydicom-data)")
    ds = pydicom.dcmread(path)
    expected = apply_color_lut(ds.pixel_array, ds)
    block = read(pydicom.dcmread(path))
    assert block.rgb is not None
    assert np.abs(block.rgb[0].astype(int) - (expected >> 8).astype(int)).max() <= 1
    assert block.colored is not None


@pytest.mark.parametrize(
    ("one", "other"),
    [("gdcm-US-ALOKA-16.dcm", "gdcm-US-ALOKA-16_big.dcm"), ("OBXXXX1A.dcm", "OBXXXX1A_expb.dcm")],
)
def test_palettes_are_read_alike_in_both_byte_orders(one: str, other: str) -> None:
    little, big = bundled(one), bundled(other)
    assert np.array_equal(little.rgb, big.rgb)


def test_a_palette_of_pydicom_colours_a_ramp() -> None:
    palette = pydicom.dcmread(next(p for p in get_palette_files() if Path(p).stem == "hotiron"))
    ds = image(np.arange(256, dtype=np.uint8).reshape(16, 16), PhotometricInterpretation="PALETTE COLOR")
    for color in ("Red", "Green", "Blue"):
        for part in ("Descriptor", "Data"):
            name = f"{color}PaletteColorLookupTable{part}"
            ds[name] = palette[name]
    block = read(ds)
    assert block.rgb is not None
    for channel, color in enumerate(("Red", "Green", "Blue")):
        table = np.frombuffer(palette[f"{color}PaletteColorLookupTableData"].value, np.uint8)
        assert np.array_equal(block.rgb[0].reshape(-1, 3)[:, channel], table)


# rescale


def test_each_slice_has_its_own_slope() -> None:
    slices = [image(RAMP, RescaleSlope=s, RescaleIntercept=s / 2) for s in (0.5, 2.0, 0.125)]
    block = read(*slices)
    assert block.voxels.dtype == np.float32
    for k, slope in enumerate((0.5, 2.0, 0.125)):
        assert np.array_equal(block.voxels[k], RAMP * slope + slope / 2)


@settings(deadline=None, max_examples=50)
@given(
    dtype=st.sampled_from(["u1", "i2", "u2", "i4"]),
    rescales=st.lists(st.tuples(st.sampled_from([1, 2, -1, 37]), st.integers(-40000, 40000)), min_size=1, max_size=3),
    seed=st.integers(0, 999),
)
def test_whole_rescale_keeps_exact_integers(dtype: str, rescales: list[tuple[int, int]], seed: int) -> None:
    draw = np.random.default_rng(seed)
    bound = min(np.iinfo(dtype).max, 50_000_000)
    pixels = [draw.integers(0, bound, (2, 3), endpoint=True).astype(dtype) for _ in rescales]
    slices = [image(p, RescaleSlope=s, RescaleIntercept=b) for p, (s, b) in zip(pixels, rescales, strict=True)]
    block = read(*slices)
    expected = [p.astype(np.int64) * s + b for p, (s, b) in zip(pixels, rescales, strict=True)]
    assert block.voxels.dtype.kind in "iu"
    assert np.array_equal(block.voxels.astype(np.int64), expected)


def test_functional_groups_rescale_and_window_frame_by_frame() -> None:
    pixels = np.stack([RAMP, RAMP])
    groups = [
        item(
            PixelValueTransformationSequence=[item(RescaleSlope=s, RescaleIntercept=0, RescaleType="US")],
            FrameVOILUTSequence=[item(WindowCenter=c, WindowWidth=10)],
        )
        for s, c in ((2, 5), (3, 15))
    ]
    block = read(image(pixels, PerFrameFunctionalGroupsSequence=groups))
    assert np.array_equal(block.voxels, [RAMP * 2, RAMP * 3])
    assert block.windows == (Window(10, 10, WindowFunction.LINEAR),)
    assert codes(block) == ["window-varies"]


@pytest.mark.parametrize("slope", [0, "NaN"])
def test_a_slope_that_is_no_slope_keeps_stored_values_without_a_unit(slope: Any) -> None:
    ds = image(RAMP, modality="CT", RescaleIntercept=-1024)
    ds.add_new("RescaleSlope", "DS", "0")
    if slope == "NaN":
        ds["RescaleSlope"]._value = float("nan")
    block = read(ds)
    assert np.array_equal(block.voxels[0], RAMP)
    assert block.units == "arbitrary"
    assert codes(block)[0] == "rescale-invalid"


def test_slope_zero_on_one_slice_is_refused_unless_the_slice_is_blank() -> None:
    good, bad = image(RAMP, RescaleSlope=0.5, RescaleIntercept=0), image(RAMP, RescaleSlope=0, RescaleIntercept=0)
    with pytest.raises(ReadError) as caught:
        read(good, bad)
    assert caught.value.code is ReadCode.CORRUPT
    good, blank = image(RAMP, RescaleSlope=0.5, RescaleIntercept=0), image(RAMP * 0, RescaleSlope=0, RescaleIntercept=0)
    assert not read(good, blank).voxels[1].any()


def test_a_slice_without_the_rescale_of_the_others_is_refused() -> None:
    with pytest.raises(ReadError, match="modality transform"):
        read(image(RAMP, **CT), image(RAMP, modality="CT"))


def test_a_missing_slope_or_intercept_is_said() -> None:
    assert codes(read(image(RAMP, modality="CT", RescaleIntercept=-1024))) == ["rescale-slope-missing"]
    assert codes(read(image(RAMP - 5, modality="CT", RescaleSlope=1))) == ["rescale-intercept-missing"]


def test_a_single_real_world_mapping_gives_units_and_carries_the_window() -> None:
    mapping = item(RealWorldValueSlope=0.5, RealWorldValueIntercept=10.0,
                   MeasurementUnitsCodeSequence=[item(CodeValue="ms", CodingSchemeDesignator="UCUM")])  # fmt: skip
    ds = image(RAMP, RealWorldValueMappingSequence=[mapping], WindowCenter=8, WindowWidth=16,
               VOILUTFunction="LINEAR_EXACT")  # fmt: skip
    block = read(ds)
    assert block.units == "ms"
    assert np.array_equal(block.voxels[0], RAMP * 0.5 + 10)
    assert block.windows == (Window(14, 8),)


def test_floating_point_pixels_are_read_and_what_is_no_number_is_padding() -> None:
    values = np.array([[0.25, np.nan], [np.inf, -3.5]], np.float32)
    ds = image(np.zeros((2, 2), np.uint16))
    del ds.PixelData
    ds.FloatPixelData = values.tobytes()
    block = read(ds)
    assert block.padding is not None
    assert np.array_equal(block.padding[0], ~np.isfinite(values))
    assert block.voxels[0].tolist() == [[0.25, -3.5], [-3.5, -3.5]]


@pytest.mark.parametrize("size", ["", "Double"])
def test_padding_of_floating_point_pixels_may_be_any_number_and_a_range(size: str) -> None:
    values = np.array([[-0.1, 2.0], [-1000.5, 7.25]], np.float64 if size else np.float32)
    ds = image(np.zeros((2, 2), np.uint16))
    del ds.PixelData
    setattr(ds, f"{size}FloatPixelData", values.tobytes())
    setattr(ds, f"{size}FloatPixelPaddingValue", float(values[1, 0]))
    alone = read(deepcopy(ds))
    assert alone.padding is not None
    assert alone.padding[0].tolist() == [[False, False], [True, False]]
    setattr(ds, f"{size}FloatPixelPaddingRangeLimit", float(values[0, 0]))
    both = read(ds)
    assert both.padding is not None
    assert both.padding[0].tolist() == [[True, False], [True, False]]
    assert both.voxels[0].tolist() == [[2.0, 2.0], [2.0, 7.25]]


# CT units


def test_ct_says_hu_only_where_the_file_lets_it() -> None:
    stored = (RAMP * 100).astype(np.uint16)
    assert read(image(stored, **CT)).units == "HU"
    assert read(image(stored, **CT, RescaleType="HU")).units == "HU"
    unsigned = read(image(stored, modality="CT", RescaleSlope=1, RescaleIntercept=0))
    assert (unsigned.units, codes(unsigned)) == ("arbitrary", ["units-unknown"])
    typed = read(image(stored, modality="CT", RescaleSlope=1, RescaleIntercept=0, RescaleType="HU"))
    assert typed.units == "HU"
    none = read(image(stored, modality="CT"))
    assert (none.units, codes(none)) == ("arbitrary", ["units-unknown"])
    other = read(image(stored, **CT | {"RescaleSlope": 2}, RescaleType="US"))
    assert (other.units, codes(other)) == ("arbitrary", ["units-not-hu"])
    assumed = read(image(stored, **CT, RescaleType="US"))
    assert (assumed.units, codes(assumed)) == ("HU", ["units-assumed-hu"])


def test_eight_bit_ct_is_rescaled() -> None:
    block = read(image(RAMP.astype(np.uint8), modality="CT", RescaleSlope=10, RescaleIntercept=-100))
    assert block.voxels.dtype == np.int16
    assert np.array_equal(block.voxels[0], RAMP * 10 - 100)


def test_only_ct_is_in_hu() -> None:
    assert read(image(RAMP, modality="MR", RescaleSlope=1, RescaleIntercept=-1024)).units == "arbitrary"


# padding


def test_the_padding_value_inside_the_body_is_padding_too() -> None:
    pixels = np.full((4, 4), 500, np.int16)
    pixels[0, 0] = pixels[2, 2] = 7
    block = read(image(pixels, PixelPaddingValue=7))
    assert block.padding is not None
    assert np.argwhere(block.padding[0]).tolist() == [[0, 0], [2, 2]]
    assert (block.voxels == 500).all(), "padding takes the least valid value"


def test_padding_may_be_a_range() -> None:
    block = read(image(RAMP.astype(np.uint16), modality="DX", PixelPaddingValue=3, PixelPaddingRangeLimit=0))
    assert block.padding is not None
    assert np.array_equal(block.padding[0], RAMP <= 3)
    assert valid(block).min() == block.voxels.min() == 4


def test_a_signed_padding_value_written_as_unsigned_is_understood() -> None:
    pixels = np.where(RAMP < 3, -2000, RAMP + 1000).astype(np.int16)
    ds = image(pixels, **CT)
    ds.add_new("PixelPaddingValue", "US", 63536)
    block = read(ds)
    assert block.padding is not None
    assert np.array_equal(block.padding[0], RAMP < 3)
    assert block.voxels.dtype == np.int16


def test_padding_in_the_unused_high_bits_is_found_before_they_are_masked() -> None:
    pixels = np.where(RAMP < 3, 0xF830, RAMP + 1000).astype(np.uint16)
    ds = image(pixels, **CT, BitsStored=12, PixelPaddingValue=0xF830)
    block = read(ds)
    assert block.padding is not None
    assert np.array_equal(block.padding[0], RAMP < 3)
    assert (block.voxels[0][RAMP >= 3] == (RAMP + 1000 - 1024)[RAMP >= 3]).all()


def test_ct_below_its_padding_value_is_outside_and_lossy_values_are_clamped() -> None:
    stored = np.array([[-2000, -2971, -1500, -300], [0, 1024, 4095, 5000]], np.int16)
    block = read(image(stored, **CT, PixelPaddingValue=-2000, LossyImageCompression="01"))
    assert block.padding is not None
    assert block.padding[0].tolist() == [[True, True, True, False], [False] * 4]
    assert block.voxels[0].tolist() == [[-1024, -1024, -1024, -1024], [-1024, 0, 3071, 3071]]
    exact = read(image(stored[:, [0, 3]], **CT, PixelPaddingValue=-2000))
    assert exact.voxels[0].tolist() == [[-1024, -1324], [-1024, 3976]], "without lossy coding nothing is clamped"


def test_everything_padding_is_a_constant_image_with_a_finding() -> None:
    block = read(image(np.full((2, 2), -2000, np.int16), **CT, PixelPaddingValue=-2000))
    assert "constant-image" in codes(block)
    assert (block.voxels == -1024).all()


def test_a_constant_image_is_reported_once() -> None:
    assert codes(read(image(RAMP * 0), image(RAMP * 0))) == ["constant-image"]


# display


@pytest.mark.parametrize("width", [0, -5, "NaN"])
def test_an_impossible_window_is_ignored_with_a_finding(width: Any) -> None:
    ds = image(RAMP, WindowCenter=5, WindowWidth=0 if width == "NaN" else width)
    if width == "NaN":
        ds["WindowWidth"]._value = float("nan")
    block = read(ds)
    assert (block.windows, codes(block)) == ((), ["window-invalid"])


def test_width_one_is_a_threshold_for_linear_and_half_is_only_for_exact() -> None:
    assert read(image(RAMP, WindowCenter=5, WindowWidth=1)).windows == (Window(5, 1, WindowFunction.LINEAR),)
    assert read(image(RAMP, WindowCenter=5, WindowWidth=0.5)).windows == ()
    exact = read(image(RAMP, WindowCenter=5, WindowWidth=0.5, VOILUTFunction="LINEAR_EXACT"))
    assert exact.windows == (Window(5, 0.5),)


@pytest.mark.parametrize("function", list(WindowFunction))
def test_the_function_of_a_window_is_kept(function: WindowFunction) -> None:
    block = read(image(RAMP, WindowCenter=[5, 7], WindowWidth=[10, 20], VOILUTFunction=str(function),
                       WindowCenterWidthExplanation=["A", "B"]))  # fmt: skip
    assert block.windows == (Window(5, 10, function, "A"), Window(7, 20, function, "B"))


def test_an_unknown_function_is_linear_with_a_finding() -> None:
    block = read(image(RAMP, WindowCenter=5, WindowWidth=10, VOILUTFunction="CUBIC"))
    assert block.windows == (Window(5, 10, WindowFunction.LINEAR),)
    assert codes(block) == ["window-function-unknown"]


def test_windows_that_vary_by_slice_become_their_median() -> None:
    block = read(*[image(RAMP, WindowCenter=c, WindowWidth=w) for c, w in ((1, 10), (5, 30), (90, 20))])
    assert block.windows == (Window(5, 20, WindowFunction.LINEAR),)
    assert codes(block) == ["window-varies"]


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_a_voi_lut_is_scaled_to_gray_and_comes_before_windows(bits: int) -> None:
    top = (1 << bits) - 1
    table = np.linspace(0, top, 16).round().astype(np.uint16)
    lut = item(LUTDescriptor=[16, 0, bits], LUTExplanation="curve")
    lut.add_new("LUTData", "OW", (table.astype("u1") if bits == 8 else table.astype("<u2")).tobytes())
    block = read(image(RAMP, VOILUTSequence=[lut], WindowCenter=5, WindowWidth=10))
    first = block.windows[0]
    assert isinstance(first, VoiLut)
    assert isinstance(block.windows[1], Window)
    assert first.name == "curve"
    assert np.abs(first.gray(RAMP).astype(int).reshape(-1) - np.linspace(0, 255, 16)).max() <= 0.6


def test_a_voi_lut_of_signed_input_begins_below_zero() -> None:
    lut = item()
    lut.add_new("LUTDescriptor", "SS", [4, -2, 8])
    lut.add_new("LUTData", "OW", bytes([0, 85, 170, 255]))
    block = read(image(RAMP, VOILUTSequence=[lut]))
    assert block.windows[0].gray(np.array([-9, -2, -1, 0, 1, 9])).tolist() == [0, 0, 85, 170, 255, 255]


def test_a_voi_lut_shorter_than_its_descriptor_is_ignored_with_a_finding() -> None:
    lut = item(LUTDescriptor=[400, 0, 16])
    lut.add_new("LUTData", "OW", b"\0" * 8)
    block = read(image(RAMP, VOILUTSequence=[lut]))
    assert (block.windows, codes(block)) == ((), ["voi-lut-invalid"])


def test_presentation_lut_inverse_and_monochrome1_are_one_inversion() -> None:
    assert not read(image(RAMP)).inverted
    assert read(image(RAMP, PhotometricInterpretation="MONOCHROME1")).inverted
    assert read(image(RAMP, PresentationLUTShape="INVERSE")).inverted
    assert read(image(RAMP, PresentationLUTShape="INVERSE", PhotometricInterpretation="MONOCHROME1")).inverted


def test_slices_of_one_stack_must_agree_in_size_and_polarity() -> None:
    with pytest.raises(ReadError, match="inverted"):
        read(image(RAMP), image(RAMP, PhotometricInterpretation="MONOCHROME1"))
    with pytest.raises(ReadError, match="differ in size"):
        read(image(RAMP), image(RAMP[:2]))


# intent


def test_a_mammogram_for_processing_is_refused_and_dx_is_warned_about() -> None:
    with pytest.raises(ReadError) as caught:
        read(image(RAMP.astype(np.uint16), modality="MG", PresentationIntentType="FOR PROCESSING"))
    assert caught.value.code is ReadCode.FOR_PROCESSING
    dx = read(image(RAMP.astype(np.uint16), modality="DX", PresentationIntentType="FOR PROCESSING"))
    assert codes(dx) == ["for-processing"]
    assert codes(read(image(RAMP.astype(np.uint16), modality="MG", PresentationIntentType="FOR PRESENTATION"))) == []


# colour


def _doppler(rgb: np.ndarray, **attributes: Any) -> PixelBlock:
    return read(image(rgb, modality="US", SamplesPerPixel=3, **attributes))


def test_in_a_lossless_image_everything_not_exactly_gray_is_colour() -> None:
    rgb = np.full((2, 4, 3), 90, np.uint8)
    rgb[0, 1] = 90, 91, 90
    rgb[1, 2] = 255, 0, 0
    block = _doppler(rgb)
    assert block.colored is not None
    assert np.argwhere(block.colored[0]).tolist() == [[0, 1], [1, 2]]
    assert np.array_equal(block.voxels[0], restore_gray(rgb))
    assert np.array_equal(block.rgb, rgb[None])


def test_in_a_lossy_image_faint_colour_counts_only_where_flow_is_measured() -> None:
    rgb = np.full((4, 4, 3), 90, np.uint8)
    rgb[0, 0] = rgb[3, 3] = 90, 95, 90
    rgb[0, 3] = 200, 60, 60
    region = item(RegionDataType=2, RegionLocationMinX0=2, RegionLocationMinY0=2, RegionLocationMaxX1=3,
                  RegionLocationMaxY1=3)  # fmt: skip
    block = _doppler(rgb, LossyImageCompression="01", SequenceOfUltrasoundRegions=[region])
    assert block.colored is not None
    assert np.argwhere(block.colored[0]).tolist() == [[0, 3], [3, 3]]
    tissue = item(RegionDataType=1, RegionLocationMinX0=0, RegionLocationMinY0=0, RegionLocationMaxX1=3,
                  RegionLocationMaxY1=3)  # fmt: skip
    other = _doppler(rgb, LossyImageCompression="01", SequenceOfUltrasoundRegions=[tissue])
    assert other.colored is not None
    assert np.argwhere(other.colored[0]).tolist() == [[0, 3]]


def test_gray_kept_as_rgb_has_no_coloured_pixel() -> None:
    rgb = np.repeat(np.arange(12, dtype=np.uint8).reshape(3, 4, 1), 3, axis=2)
    block = _doppler(rgb)
    assert block.colored is None
    assert block.rgb is not None
    assert np.array_equal(block.voxels[0], rgb[..., 0])


def test_colour_flow_of_a_real_ultrasound_is_found() -> None:
    block = bundled("examples_rgb_color.dcm")
    assert block.units == "gray level"
    assert block.colored is not None
    assert 0.01 < block.colored.mean() < 0.3
