"""Whose picture a colour object is and what it was made from: copied, never edited, never leaked."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pydicom
import pytest
from colored_sources import PROVENANCE, colored_phantom, edited, header_source
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset

from medcolor import phantom
from medcolor.color_scan import ColorScan, Law, Provenance
from medcolor.geometry import Geometry
from medcolor.io.dicom.provenance import describe_making, read_provenance
from medcolor.io.dicom.write import write_dicom


@pytest.fixture
def ct() -> ColorScan:
    return colored_phantom(phantom.scan("CT", shape=(64, 48, 4)), patient="Canary^Jane")


def written(colored: ColorScan, folder: Path, **options: Any) -> list[Dataset]:
    return [pydicom.dcmread(path) for path in write_dicom(colored, folder, **options)]


json_values = st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False, allow_infinity=False)


def test_patient_and_study_are_copied_whole_and_private_attributes_stay_behind(ct: ColorScan, tmp_path: Path) -> None:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "77477000", "SCT", "CT"
    code.private_block(0x0009, "VENDOR", create=True).add_new(1, "LO", "secret")
    edited(
        ct, PatientWeight="70", AdditionalPatientHistory="none", AccessionNumber="A1", StudyID="S1", KVP="120",
        ClinicalTrialSponsorName="Sponsor", ClinicalTrialProtocolID="P", ProcedureCodeSequence=[code],
        WindowCenter="40", WindowWidth="400", InstitutionName="Hospital",
    )  # fmt: skip
    for header in ct.source.headers:
        header.private_block(0x0011, "VENDOR", create=True).add_new(1, "LO", "secret")
        header.add_new(0x00101000, "LO", "old id")
        header.add_new(0x60000010, "US", 3)
    dataset, header = written(ct, tmp_path)[0], ct.source.headers[0]
    for keyword in (
        "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "PatientWeight", "AdditionalPatientHistory",
        "StudyInstanceUID", "StudyDate", "StudyTime", "StudyID", "AccessionNumber", "StudyDescription",
        "ClinicalTrialSponsorName", "PatientPosition", "FrameOfReferenceUID",
    ):  # fmt: skip
        assert dataset[keyword].value == header[keyword].value, keyword
    assert dataset.ProcedureCodeSequence[0].CodeMeaning == "CT"
    assert not [e for e in dataset.iterall() if e.tag.is_private]
    for keyword in ("WindowCenter", "WindowWidth", "RescaleSlope", "KVP"):
        assert keyword not in dataset
    assert 0x00101000 not in dataset
    assert 0x60000010 not in dataset
    assert dataset.Manufacturer == "medcolor project"


@pytest.mark.parametrize(
    ("charset", "name"),
    [
        ("ISO_IR 100", "Müller^Jürgen"),
        ("ISO_IR 144", "Люкceмбypг"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        ("GB18030", "Wang^XiaoDong=王^小东"),
        ("ISO_IR 192", "Βίος^Ἑλληνικός"),
        (None, "Müller^Jürgen"),
    ],
)
def test_names_in_any_script_survive(ct: ColorScan, tmp_path: Path, charset: Any, name: str) -> None:
    edited(ct, SpecificCharacterSet=charset, PatientName=name)
    reread = []
    for header in ct.source.headers:  # through bytes, as a reader would have them
        buffer = io.BytesIO()
        if charset is None:
            header.SpecificCharacterSet = "ISO_IR 100"
        pydicom.dcmwrite(buffer, header, implicit_vr=False, little_endian=True)
        reread.append(pydicom.dcmread(buffer, force=True))
        if charset is None:
            del reread[-1].SpecificCharacterSet
    dataset = written(replace(ct, source=header_source(reread)), tmp_path)[0]
    assert str(dataset.PatientName) == name


def test_headers_of_any_encoding_give_the_same_objects(ct: ColorScan, tmp_path: Path) -> None:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "77477000", "SCT", "CT"
    edited(ct, ProcedureCodeSequence=[code], ImageLaterality="U")
    outputs = []
    for implicit, little in ((False, True), (True, True), (False, False)):
        headers = []
        for header in ct.source.headers:
            buffer = io.BytesIO()
            plain = Dataset({e.tag: e for e in header})  # no trace of an earlier encoding
            pydicom.dcmwrite(buffer, plain, implicit_vr=implicit, little_endian=little)
            headers.append(pydicom.dcmread(buffer, force=True))
        colored = replace(ct, source=header_source(headers))
        paths = write_dicom(colored, tmp_path / f"{implicit}{little}")
        outputs.append([p.read_bytes() for p in paths])
    assert outputs[0] == outputs[1] == outputs[2]


def test_dates_are_the_source_s_and_none_where_it_has_none(ct: ColorScan, tmp_path: Path) -> None:
    edited(ct, SeriesDate="20010203", SeriesTime="040506.789")
    dataset = written(ct, tmp_path / "dated")[0]
    for name in ("Series", "Content", "InstanceCreation"):
        assert dataset[f"{name}Date"].value == "20010203"
        assert dataset[f"{name}Time"].value == "040506.789"
    assert dataset.DateOfSecondaryCapture == "20010203"
    undated = {f"{n}{w}": None for n in ("Series", "Content", "Acquisition", "Study") for w in ("Date", "Time")}
    dataset = written(edited(ct, **undated), tmp_path / "undated")[0]
    assert "SeriesDate" not in dataset
    assert dataset.StudyDate == ""


def test_odd_values_of_the_source_pass_without_a_warning_that_quotes_them(ct: ColorScan, tmp_path: Path) -> None:
    """Warnings are errors in these tests; pydicom's would name the patient."""
    for header in ct.source.headers:
        for keyword, vr, value in (
            ("PatientBirthDate", "DA", "1970CANARY"), ("PatientAge", "AS", "old"), ("StudyID", "SH", "x" * 40),
            ("PatientWeight", "DS", "heavy"), ("SeriesDate", "DA", "1997.04.24"), ("SeriesTime", "TM", "14:04:38"),
            ("SeriesNumber", "IS", "first"), ("InstanceNumber", "IS", "one"), ("StudyDescription", "LO", "x" * 99),
        ):  # fmt: skip
            tag = pydicom.datadict.tag_for_keyword(keyword)
            header[tag] = pydicom.dataelem.RawDataElement(
                pydicom.tag.Tag(tag), vr, len(value), value.encode(), 0, False, True, True, True
            )
    paths = write_dicom(ct, tmp_path)
    content = paths[0].read_bytes()
    assert b"1970CANARY" in content
    assert b"19970424" in content


def test_lineage_names_the_source_of_each_object(ct: ColorScan, tmp_path: Path) -> None:
    for k, dataset in enumerate(written(ct, tmp_path / "s")):
        (item,) = dataset.SourceImageSequence
        assert item.ReferencedSOPInstanceUID == ct.source.headers[k].SOPInstanceUID
        assert item.SpatialLocationsPreserved == "YES"
        assert item.PurposeOfReferenceCodeSequence[0].CodeValue == "121322"
        (series,) = dataset.ReferencedSeriesSequence
        assert series.SeriesInstanceUID == ct.source.headers[0].SeriesInstanceUID
        assert [r.ReferencedSOPInstanceUID for r in series.ReferencedInstanceSequence] == [
            item.ReferencedSOPInstanceUID
        ]
    (dataset,) = written(ct, tmp_path / "m", layout="multiframe")
    named = [item.ReferencedSOPInstanceUID for item in dataset.SourceImageSequence]
    assert named == [h.SOPInstanceUID for h in ct.source.headers]


def test_frames_of_a_multiframe_source_are_named_when_not_all_are_used(tmp_path: Path) -> None:
    colored = colored_phantom(phantom.scan("CT", shape=(16, 12, 5)), layout="multiframe")
    chosen = replace(
        colored, rgb=colored.rgb[:, :, :2], geometry=Geometry((16, 12, 2), colored.geometry.affine),
        source=replace(colored.source, frames=((0, 0), (0, 1))),
    )  # fmt: skip
    (dataset,) = written(chosen, tmp_path)
    assert list(dataset.SourceImageSequence[0].ReferencedFrameNumber) == [1, 2]
    (whole,) = written(colored, tmp_path / "whole")
    assert "ReferencedFrameNumber" not in whole.SourceImageSequence[0]


def test_equipment_names_the_scanner_and_the_making(ct: ColorScan, tmp_path: Path) -> None:
    made = replace(PROVENANCE, weights_sha256="c" * 64, colorizer="ct_tissue")
    scanner, medcolor = written(replace(ct, provenance=made), tmp_path)[0].ContributingEquipmentSequence
    assert scanner.Manufacturer == "medcolor phantom"
    assert scanner.PurposeOfReferenceCodeSequence[0].CodeValue == "109101"
    assert medcolor.ContributionDescription.startswith(f"weights sha256:{'c' * 64}")
    assert list(medcolor.SoftwareVersions) == ["medcolor 0.1.0", "ct_tissue"]
    plain = written(ct, tmp_path / "plain")[0].ContributingEquipmentSequence[-1]
    assert plain.ContributionDescription.startswith("no weights: physics/lut")


@given(
    st.builds(
        Provenance,
        st.text(),
        st.sampled_from(Law),
        st.text(),
        st.dictionaries(st.text(), json_values | st.text(' ab\\"é', min_size=900, max_size=2500), max_size=4),
        st.none() | st.just("e" * 64),
        st.none() | st.just("f" * 64),
    )
)
def test_provenance_comes_back_from_the_object_whatever_it_holds(provenance: Provenance) -> None:
    header = Dataset()
    items = []
    for text in describe_making(provenance):
        assert len(text) <= 1024
        item = Dataset()
        item.ManufacturerModelName, item.ContributionDescription = "medcolor", text
        items.append(item)
    header.ContributingEquipmentSequence = items
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, header, implicit_vr=False, little_endian=True)
    back = read_provenance(pydicom.dcmread(buffer, force=True))
    assert back is not None
    assert back.to_json() == provenance.to_json()


def test_provenance_comes_back_from_a_file_and_is_absent_elsewhere(ct: ColorScan, tmp_path: Path) -> None:
    back = read_provenance(written(ct, tmp_path)[0])
    assert back is not None
    assert back.to_json() == ct.provenance.to_json()
    assert read_provenance(ct.source.headers[0]) is None
