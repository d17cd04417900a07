from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from dicom_objects import image, item
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from medcolor.io.dicom.dates import date_time, date_time_of
from medcolor.io.dicom.suv import suv_factors
from medcolor.io.dicom.values import read_frames
from medcolor.voi import Window

RAMP = np.arange(16, dtype=np.int16).reshape(4, 4)
F18, GALLIUM = 6586.2, 4062.6  # half-lives in s


def pet(*, tracer: dict[str, Any] | None = None, **changes: Any) -> Dataset:
    """One slice injected at 10:00 with 370 MBq of F-18, scanned at 11:00: 70 kg, BQML, START."""
    settings_: dict[str, Any] = {
        "Units": "BQML",
        "DecayCorrection": "START",
        "CorrectedImage": ["DECY", "ATTN", "SCAT"],
        "PatientWeight": 70,
        "SeriesDate": "20200301",
        "SeriesTime": "110000",
        "AcquisitionDate": "20200301",
        "AcquisitionTime": "110000",
        "RescaleSlope": 1,
        "RescaleIntercept": 0,
    }
    injection: dict[str, Any] = {
        "RadiopharmaceuticalStartTime": "100000",
        "RadionuclideTotalDose": 370e6,
        "RadionuclideHalfLife": F18,
    } | (tracer or {})
    known = {k: v for k, v in injection.items() if v is not None}
    settings_["RadiopharmaceuticalInformationSequence"] = [item(**known)]
    return image(RAMP, modality="PT", **(settings_ | changes))


def factor(*slices: Dataset) -> float:
    factors, units, _ = suv_factors(slices)
    assert factors is not None
    assert units == "SUVbw"
    return factors[0]


def expected(seconds: float, *, weight: float = 70, dose: float = 370e6, half_life: float = F18) -> float:
    return weight * 1000 / (dose * 2 ** (-seconds / half_life))


def test_bqml_with_start_correction_decays_the_dose_to_the_series_time() -> None:
    assert factor(pet()) == pytest.approx(expected(3600), rel=1e-12)
    assert factor(pet()) == pytest.approx(2.7635e-4, rel=1e-3), "70 kg, 370 MBq, 1 h of F-18, computed by hand"


def test_admin_correction_needs_no_times() -> None:
    ds = pet(DecayCorrection="ADMIN", SeriesTime=None, AcquisitionTime=None)
    assert factor(ds) == pytest.approx(70_000 / 370e6, rel=1e-12)


def test_uncorrected_decay_is_corrected_slice_by_slice() -> None:
    times = ("110000", "111000")
    slices = [
        pet(DecayCorrection="NONE", CorrectedImage=["ATTN"], AcquisitionTime=t, ActualFrameDuration=1000) for t in times
    ]
    factors, units, _ = suv_factors(slices)
    assert units == "SUVbw"
    assert factors == pytest.approx([expected(3600.5), expected(4200.5)], rel=1e-6)


def test_the_rescale_slope_of_each_slice_is_kept() -> None:
    slices = [pet(RescaleSlope=s) for s in (0.5, 3.0)]
    block = read_frames(slices, [(0, 0), (1, 0)], [Path("a"), Path("b")], "PT")
    assert (block.units, block.voxels.dtype) == ("SUVbw", np.float32)
    for k, slope in enumerate((0.5, 3.0)):
        np.testing.assert_allclose(block.voxels[k], RAMP * slope * expected(3600), rtol=1e-6)


def test_a_window_of_the_file_is_carried_into_suv() -> None:
    ds = pet(WindowCenter=5000, WindowWidth=10000, VOILUTFunction="LINEAR_EXACT")
    (window,) = read_frames([ds], [(0, 0)], ["a"], "PT").windows
    assert isinstance(window, Window)
    assert window.bounds == pytest.approx((0, 10000 * expected(3600)))


def test_injection_before_midnight_is_the_day_before() -> None:
    ds = pet(tracer={"RadiopharmaceuticalStartTime": "233000"}, SeriesTime="003000", AcquisitionTime="003000")
    assert factor(ds) == pytest.approx(expected(3600), rel=1e-12)


def test_the_start_date_and_time_is_preferred_to_the_time_alone() -> None:
    tracer = {"RadiopharmaceuticalStartDateTime": "20200301093000", "RadiopharmaceuticalStartTime": "100000"}
    assert factor(pet(tracer=tracer)) == pytest.approx(expected(5400), rel=1e-12)


def test_a_series_time_later_than_the_acquisition_is_not_the_scan() -> None:
    slices = [pet(SeriesTime="150000", AcquisitionTime=t) for t in ("110500", "110000")]
    factors, _, notes = suv_factors(slices)
    assert factors is not None
    assert factors == pytest.approx([expected(3600)] * 2)
    assert [code for code, _ in notes] == ["scan-time"]


def test_frame_reference_times_that_contradict_the_acquisition_are_reported() -> None:
    first_bed_missing = [
        pet(SeriesTime="150000", AcquisitionTime=t, FrameReferenceTime=r, ActualFrameDuration=180_000)
        for t, r in (("111000", 690_000), ("111500", 990_000))
    ]
    _, _, notes = suv_factors(first_bed_missing)
    assert [code for code, _ in notes] == ["scan-time", "scan-time-disagrees"]
    assert "10.0 min earlier" in notes[1][1]


def test_the_scan_time_of_ge_is_used_when_the_series_was_rewritten() -> None:
    ds = pet(SeriesTime="150000", AcquisitionTime="110500")
    block = ds.private_block(0x0009, "GEMS_PETD_01", create=True)
    block.add_new(0x0D, "DT", "20200301110000.00")
    assert factor(ds) == pytest.approx(expected(3600))


def test_gml_is_suv_already_and_names_its_kind() -> None:
    for kind, name in ((None, "SUVbw"), ("BW", "SUVbw"), ("LBM", "SUVlbm"), ("BSA", "SUVbsa")):
        block = read_frames([pet(Units="GML", SUVType=kind, PatientWeight=None)], [(0, 0)], ["a"], "PT")
        assert block.units == name
        assert np.array_equal(block.voxels[0], RAMP)


@pytest.mark.parametrize("vr", ["DS", "UN"])
def test_philips_counts_become_suv_by_the_vendor_factor(vr: str) -> None:
    ds = pet(Units="CNTS", PatientWeight=None)
    block = ds.private_block(0x7053, "Philips PET Private Group", create=True)
    block.add_new(0x00, vr, b"0.000551 " if vr == "UN" else "0.000551")
    assert factor(ds) == pytest.approx(0.000551)


def test_philips_counts_without_suv_factor_go_through_activity() -> None:
    ds = pet(Units="CNTS")
    block = ds.private_block(0x7053, "Philips PET Private Group", create=True)
    block.add_new(0x00, "DS", "0")
    block.add_new(0x09, "DS", "1.25")
    assert factor(ds) == pytest.approx(1.25 * expected(3600))


@pytest.mark.parametrize(
    ("changes", "why", "units"),
    [
        ({"PatientWeight": None}, "weight", "Bq/ml"),
        ({"PatientWeight": 0}, "weight", "Bq/ml"),
        ({"Units": "CNTS"}, "vendor factor", "counts"),
        ({"Units": None}, "does not say its unit", "arbitrary"),
        ({"Units": "PROPCPS"}, "PROPCPS", "counts/s"),
        ({"DecayCorrection": None}, "Decay Correction", "Bq/ml"),
        ({"DecayCorrection": "NONE", "CorrectedImage": ["ATTN"]}, "frame duration", "Bq/ml"),
        ({"CorrectedImage": ["DECY"]}, "attenuation", "Bq/ml"),
        ({"CorrectedImage": ["ATTN"]}, "decay was corrected and that it was not", "Bq/ml"),
        ({"RadiopharmaceuticalInformationSequence": None}, "radiopharmaceutical", "Bq/ml"),
        ({"tracer": {"RadionuclideTotalDose": None}}, "activity", "Bq/ml"),
        ({"tracer": {"RadionuclideTotalDose": 370}}, "too small", "Bq/ml"),
        ({"tracer": {"RadionuclideHalfLife": 0}}, "half-life", "Bq/ml"),
        ({"tracer": {"RadiopharmaceuticalStartTime": None}}, "time of injection", "Bq/ml"),
        ({"tracer": {"RadiopharmaceuticalStartDateTime": "20200301120000"}}, "after the scan", "Bq/ml"),
        ({"tracer": {"RadiopharmaceuticalStartDateTime": "20190301100000"}}, "half-lives apart", "Bq/ml"),
        ({"SeriesTime": None, "AcquisitionTime": None}, "time of the scan", "Bq/ml"),
    ],
    ids=str,
)
def test_without_what_it_takes_there_is_no_suv_but_a_reason(changes: dict[str, Any], why: str, units: str) -> None:
    ds = pet(**changes)
    block = read_frames([ds], [(0, 0)], ["a"], "PT")
    assert block.units == units
    assert np.array_equal(block.voxels[0], RAMP), "values stay what they were"
    (finding,) = [f for f in block.findings if f.code == "suv-not-computed"]
    assert why in finding.message


def test_slices_in_different_units_have_no_suv() -> None:
    factors, _, notes = suv_factors([pet(), pet(Units="GML")])
    assert factors is None
    assert "different units" in notes[0][1]


def test_a_real_world_mapping_in_suv_is_taken_as_it_is() -> None:
    units = item(CodeValue="{SUVbw}g/ml", CodingSchemeDesignator="UCUM")
    mapping = item(RealWorldValueSlope=0.25, RealWorldValueIntercept=0.0, MeasurementUnitsCodeSequence=[units])
    ds = pet(RescaleSlope=None, RescaleIntercept=None, Units=None, RealWorldValueMappingSequence=[mapping])
    block = read_frames([ds], [(0, 0)], ["a"], "PT")
    assert block.units == "SUVbw"
    assert np.array_equal(block.voxels[0], RAMP * 0.25)


@settings(deadline=None, max_examples=60)
@given(
    weight=st.floats(3, 200),
    dose=st.floats(1e6, 1e9),
    minutes=st.integers(0, 300),
    start=st.integers(0, 24 * 60 - 1),
    half_life=st.sampled_from([F18, GALLIUM]),
)
def test_suv_follows_its_formula_at_any_time_of_day(
    weight: float, dose: float, minutes: int, start: int, half_life: float
) -> None:
    scan = start + minutes

    def clock(minute: int) -> str:
        return f"{minute // 60 % 24:02d}{minute % 60:02d}00"

    ds = pet(
        tracer={
            "RadiopharmaceuticalStartTime": clock(start),
            "RadionuclideTotalDose": f"{dose:.6g}",
            "RadionuclideHalfLife": half_life,
        },
        PatientWeight=f"{weight:.6g}",
        SeriesDate=f"202003{1 + scan // 1440:02d}",
        AcquisitionDate=f"202003{1 + scan // 1440:02d}",
        SeriesTime=clock(scan),
        AcquisitionTime=clock(scan),
    )
    ideal = expected(minutes * 60, weight=float(f"{weight:.6g}"), dose=float(f"{dose:.6g}"), half_life=half_life)
    assert factor(ds) == pytest.approx(ideal, rel=1e-9)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("10", 36000), ("1030", 37800), ("103015", 37815), ("103015.5", 37815.5), ("10:30:15", 37815), ("103060", 37860)],
)
def test_every_spelling_of_a_time_is_read(text: str, seconds: float) -> None:
    found = date_time("20200301", text)
    midnight = date_time("2020.03.01", "00")
    assert found is not None
    assert midnight is not None
    assert (found - midnight).total_seconds() == seconds


@pytest.mark.parametrize("text", ["", "2560", "99", "abc", "1", "10 30"])
def test_what_is_no_time_is_none(text: str) -> None:
    assert date_time("20200301", text) is None


def test_an_offset_is_turned_into_the_zone_of_the_file_when_it_has_one() -> None:
    place = item(RadiopharmaceuticalStartDateTime="20200301093000+0000")
    ds = Dataset()
    assert str(date_time_of(place, "RadiopharmaceuticalStartDateTime", ds)) == "2020-03-01 09:30:00"
    ds.TimezoneOffsetFromUTC = "+0100"
    assert str(date_time_of(place, "RadiopharmaceuticalStartDateTime", ds)) == "2020-03-01 10:30:00"


@pytest.mark.data
def test_the_whole_body_pet_has_the_suv_that_a_hand_computes() -> None:
    root = os.environ.get("MEDCOLOR_DATA")
    folder = Path(root or "", "dicom", "pet_wholebody", "image")
    if root is None or not folder.is_dir():
        pytest.skip("MEDCOLOR_DATA names no folder with dicom/pet_wholebody")
    paths = sorted(folder.glob("*.dcm"))
    headers = [pydicom.dcmread(p) for p in paths]
    stored = headers[40].pixel_array
    slope = float(headers[40].RescaleSlope)
    block = read_frames(headers, [(n, 0) for n in range(len(headers))], paths, "PT")
    # 71 kg, 388.777472 MBq at 10:35:00, half-life 6588 s, scan at 11:20:11
    by_hand = stored * slope * 71_000 / (388_777_472 * 0.5 ** ((45 * 60 + 11) / 6588))
    assert block.units == "SUVbw"
    np.testing.assert_allclose(block.voxels[40], by_hand, rtol=1e-6)
    assert block.findings == ()
    body = block.voxels[block.voxels > 0.3]
    assert 0.5 < np.median(body) < 1.2, "the body's mean SUV is about 1 by definition"
