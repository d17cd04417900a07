"""What colour DICOM objects say, and that they always say the same."""

from __future__ import annotations

import errno
import io
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from colored_sources import PROVENANCE, colored_phantom, edited, with_source
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset

from medcolor import load_colorizer, phantom, read
from medcolor.color_scan import ColorScan, Law
from medcolor.errors import GeometryError, OutputExistsError, WriteError
from medcolor.geometry import Geometry, Space
from medcolor.io.dicom.icc import SRGB_PROFILE
from medcolor.io.dicom.provenance import read_provenance
from medcolor.io.dicom.uids import derived_uid
from medcolor.io.dicom.write import write_dicom
from medcolor.scan import KAxis, Scan, Source, from_slices, to_slices
from medcolor.voi import Window

SINGLE, MULTI = "1.2.840.10008.5.1.4.1.1.7", "1.2.840.10008.5.1.4.1.1.7.4"
LABEL = "AI-COLORIZED - NOT FOR DIAGNOSTIC USE"


@pytest.fixture
def ct() -> ColorScan:
    return colored_phantom(phantom.scan("CT", shape=(64, 48, 4)), patient="Canary^Jane")


def written(colored: ColorScan, folder: Path, **options: Any) -> list[Dataset]:
    return [pydicom.dcmread(path) for path in write_dicom(colored, folder, **options)]


def test_a_series_has_one_secondary_capture_with_the_same_pixels_for_each_slice(ct: ColorScan, tmp_path: Path) -> None:
    objects = written(ct, tmp_path)
    assert [Path(o.filename).name for o in objects] == ["0001.dcm", "0002.dcm", "0003.dcm", "0004.dcm"]
    for k, dataset in enumerate(objects):
        assert dataset.SOPClassUID == dataset.file_meta.MediaStorageSOPClassUID == SINGLE
        assert dataset.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
        assert np.array_equal(dataset.pixel_array, to_slices(ct.rgb)[k])


def test_a_multiframe_object_has_all_slices_in_order(ct: ColorScan, tmp_path: Path) -> None:
    (dataset,) = written(ct, tmp_path, layout="multiframe")
    assert dataset.SOPClassUID == MULTI
    assert np.array_equal(dataset.pixel_array, to_slices(ct.rgb))


@pytest.mark.parametrize("layout", ["series", "multiframe"])
def test_the_gray_comes_back_from_the_object_alone(tmp_path: Path, layout: Any) -> None:
    from medcolor.color import apply_color, restore_gray

    scan = phantom.scan("CT", shape=(32, 24, 3))
    rng = np.random.default_rng(7)
    gray = rng.integers(0, 256, (3, 24, 32), np.uint8)
    rgb = apply_color(gray, rng.uniform(-80, 80, (*gray.shape, 2)).astype(np.float32))
    objects = written(replace(colored_phantom(scan), rgb=from_slices(rgb)), tmp_path, layout=layout)
    pixels = objects[0].pixel_array if layout == "multiframe" else np.stack([o.pixel_array for o in objects])
    assert np.array_equal(restore_gray(pixels), gray)
    record = read_provenance(objects[0])
    assert record is not None
    assert (record.law, record.colorizer) == (Law.LIGHTNESS, "physics")


def test_pixel_data_of_odd_length_is_padded(tmp_path: Path) -> None:
    scan = Scan(np.zeros((5, 3, 1), np.uint8), Geometry((5, 3, 1), np.eye(4), Space.PIXEL), "OT")
    (dataset,) = written(with_source(scan, Source("png", digest="d")), tmp_path)
    assert len(dataset.PixelData) == 46
    assert dataset.pixel_array.shape == (3, 5, 3)


@pytest.mark.parametrize("layout", ["series", "multiframe"])
def test_two_runs_give_the_same_bytes(tmp_path: Path, layout: Any) -> None:
    runs = []
    for name in ("first", "second"):
        colored = colored_phantom(phantom.scan("MR", shape=(32, 24, 3)))
        paths = write_dicom(colored, tmp_path / name, layout=layout)
        runs.append([path.read_bytes() for path in paths])
    assert runs[0] == runs[1]


@pytest.mark.parametrize(
    "change",
    [
        {"provenance": replace(PROVENANCE, window="C 50 W 400")},
        {"provenance": replace(PROVENANCE, options={"palette": "contrast", "strength": 1.0})},
        {"provenance": replace(PROVENANCE, weights_sha256="b" * 64)},
        {"layout": "multiframe"},
        {"burn_in": True},
        {"modality_tag": "OT"},
        {"synthetic_flag": False},
        {"series": "2"},
    ],
)
def test_whatever_shapes_the_output_changes_its_uids(tmp_path: Path, change: dict[str, Any]) -> None:
    options = {k: v for k, v in change.items() if k in {"layout", "burn_in", "modality_tag", "synthetic_flag"}}
    made = {k: v for k, v in change.items() if k not in options}
    scan = phantom.scan("CT", shape=(64, 48, 1))
    plain = written(colored_phantom(scan), tmp_path / "plain")[0]
    other = written(colored_phantom(scan, **made), tmp_path / "other", **options)[0]
    assert plain.SOPInstanceUID != other.SOPInstanceUID
    assert plain.SeriesInstanceUID != other.SeriesInstanceUID
    assert plain.StudyInstanceUID == other.StudyInstanceUID


@pytest.mark.parametrize("spec", ["physics", "lut:pet"])
def test_one_file_coloured_as_two_modalities_gives_objects_of_two_names(spec: str, tmp_path: Path) -> None:
    phantom.write_dicom(phantom.scan("PT", shape=(24, 24, 2)), tmp_path / "source")
    objects = []
    for modality in ("PT", "NM"):  # SUV, and what the file stores: other values in one window, from the same palette
        scan = read(tmp_path / "source", modality=modality)
        colored = load_colorizer(spec)(scan, window=Window(3, 6))
        objects.append(written(colored, tmp_path / modality)[0])
    assert objects[0].PixelData != objects[1].PixelData
    assert objects[0].SOPInstanceUID != objects[1].SOPInstanceUID


@given(st.text(), st.text(), st.text())
def test_derived_uids_are_valid_version_8_uuids_and_depend_on_every_part(a: str, b: str, c: str) -> None:
    uid = derived_uid(a, b, c)
    assert pydicom.uid.UID(uid).is_valid
    number = uuid.UUID(int=int(uid.removeprefix("2.25.")))
    assert (number.version, number.variant) == (8, uuid.RFC_4122)
    assert len({uid, derived_uid(a + "x", b, c), derived_uid(a, b + "x", c), derived_uid(a, b, c + "x")}) == 4


def test_no_two_objects_of_a_series_share_a_uid_and_none_is_the_source_s(ct: ColorScan, tmp_path: Path) -> None:
    objects = written(ct, tmp_path)
    uids = {o.SOPInstanceUID for o in objects}
    assert len(uids) == 4
    assert not uids & {h.SOPInstanceUID for h in ct.source.headers}
    assert len({o.SeriesInstanceUID for o in objects} | {ct.source.headers[0].SeriesInstanceUID}) == 2


def test_the_labels_say_what_it_is(ct: ColorScan, tmp_path: Path) -> None:
    dataset = written(ct, tmp_path)[0]
    assert dataset.SyntheticData == "YES"
    assert list(dataset.ImageType) == ["DERIVED", "SECONDARY", "OTHER", "AI_COLOR"]
    assert dataset.SeriesDescription == "AI COLOR physics anatomical (NOT DIAGNOSTIC)"
    assert dataset.ImageComments.startswith(LABEL)
    assert "Colour is generated, not measured" in dataset.DerivationDescription
    assert "C 40 W 400" in dataset.DerivationDescription
    assert dataset.ContentQualification == "RESEARCH"
    assert dataset.Modality == "CT"
    assert dataset.SeriesNumber == 7001
    assert dataset.file_meta.ImplementationVersionName.startswith("MEDCOLOR_")


def test_the_synthetic_flag_can_be_left_out_and_the_modality_replaced(ct: ColorScan, tmp_path: Path) -> None:
    dataset = written(ct, tmp_path, synthetic_flag=False, modality_tag="OT")[0]
    assert "SyntheticData" not in dataset
    assert dataset.Modality == "OT"


@pytest.mark.parametrize(
    "colorizer", ["x" * 200, "lut:pet_20_step", "physics\\evil", "couleur-é", "", "very long name with spaces " * 4]
)
def test_the_series_description_fits_and_keeps_its_warning(ct: ColorScan, tmp_path: Path, colorizer: str) -> None:
    colored = replace(ct, provenance=replace(PROVENANCE, colorizer=colorizer, window=colorizer))
    description = written(colored, tmp_path)[0].SeriesDescription
    assert isinstance(description, str)
    assert len(description) <= 64
    assert description.isascii()
    assert description.startswith("AI COLOR ")
    assert description.endswith("(NOT DIAGNOSTIC)")


def test_the_color_profile_is_srgb_for_an_input_device() -> None:
    from PIL import Image, ImageCms

    assert len(SRGB_PROFILE) == 588
    assert SRGB_PROFILE[12:16] == b"scnr"
    ours, reference = ImageCms.ImageCmsProfile(io.BytesIO(SRGB_PROFILE)), ImageCms.createProfile("sRGB")
    rgb = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    converted = ImageCms.profileToProfile(Image.fromarray(rgb), ours, reference)
    assert converted is not None
    assert np.abs(np.asarray(converted).astype(int) - rgb).max() <= 1


def test_a_burned_in_label_adds_rows_below_and_is_recorded(ct: ColorScan, tmp_path: Path) -> None:
    plain = written(ct, tmp_path / "plain")[0]
    dataset = written(ct, tmp_path / "label", burn_in=True)[0]
    added = dataset.Rows - plain.Rows
    assert added > 0
    assert np.array_equal(dataset.pixel_array[: plain.Rows], plain.pixel_array)
    strip = dataset.pixel_array[plain.Rows :]
    assert set(np.unique(strip)) == {0, 255}
    assert dataset.ImagePositionPatient == plain.ImagePositionPatient
    assert f"A strip of {added} rows" in dataset.DerivationDescription
    assert "strip" not in plain.DerivationDescription
    (multi,) = written(ct, tmp_path / "multi", burn_in=True, layout="multiframe")
    assert np.array_equal(multi.pixel_array[:, : plain.Rows], to_slices(ct.rgb))
    assert np.array_equal(multi.pixel_array[2, plain.Rows :], strip)


def test_an_image_too_narrow_for_the_label_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WriteError, match="48 columns"):
        write_dicom(colored_phantom(phantom.scan("CT", shape=(32, 24, 1))), tmp_path, burn_in=True)


def test_existing_files_are_kept_unless_forced_and_no_mixture_remains(ct: ColorScan, tmp_path: Path) -> None:
    write_dicom(ct, tmp_path)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    with pytest.raises(OutputExistsError):
        write_dicom(ct, tmp_path, layout="multiframe")
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before
    (tmp_path / "0099.dcm").write_bytes(b"somebody else's")
    (tmp_path / "notes.txt").write_text("kept")
    write_dicom(ct, tmp_path, layout="multiframe", force=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["0001.dcm", "0099.dcm", "notes.txt"]


def test_more_rows_than_dicom_can_count_are_refused(tmp_path: Path) -> None:
    shape = (1, 65536, 1)
    scan = Scan(np.zeros(shape, np.uint8), Geometry(shape, np.eye(4), Space.PIXEL), "OT")
    colored = ColorScan.of(scan, from_slices(np.zeros((1, 65536, 1, 3), np.uint8)), PROVENANCE)
    with pytest.raises(WriteError, match="65535"):
        write_dicom(colored, tmp_path)
    assert not list(tmp_path.iterdir())


def test_rows_and_columns_that_are_not_at_right_angles_are_refused(tmp_path: Path) -> None:
    affine = np.eye(4)
    affine[0, 1] = 0.2
    scan = Scan(np.zeros((8, 6, 2), np.uint8), Geometry((8, 6, 2), affine), "MR")
    with pytest.raises(GeometryError, match="right angles"):
        write_dicom(with_source(scan, Source("nifti", digest="d")), tmp_path)


def test_a_long_series_is_split_into_objects_with_uids_of_their_own(tmp_path: Path) -> None:
    shape = (2, 2, 4000)
    scan = Scan(np.zeros(shape, np.uint8), phantom.oblique(shape, (1, 1, 0.5)), "CT")
    objects = written(with_source(scan, Source("nifti", digest="d")), tmp_path, layout="multiframe")
    assert [o.NumberOfFrames for o in objects] == [3800, 200]
    assert [o.InstanceNumber for o in objects] == [1, 2]
    assert len({o.SOPInstanceUID for o in objects}) == 2
    assert len({o.SeriesInstanceUID for o in objects}) == 1


def test_a_source_that_is_not_dicom_becomes_a_study_of_its_own(tmp_path: Path) -> None:
    scan = phantom.scan("MR", shape=(16, 12, 2))
    first = written(with_source(scan, Source("nifti", digest="a" * 64)), tmp_path / "a")[0]
    same = written(with_source(scan, Source("nifti", digest="a" * 64), replace(PROVENANCE, seed=1)), tmp_path / "b")[0]
    other = written(with_source(scan, Source("nifti", digest="b" * 64)), tmp_path / "c")[0]
    assert (first.PatientName, first.PatientID, first.StudyDate) == ("", "", "")
    assert first.StudyInstanceUID == same.StudyInstanceUID != other.StudyInstanceUID
    assert first.FrameOfReferenceUID == same.FrameOfReferenceUID != other.FrameOfReferenceUID
    assert first.SeriesInstanceUID != same.SeriesInstanceUID
    assert "SourceImageSequence" not in first
    assert "no DICOM" in first.DerivationDescription


def test_the_family_xr_is_written_as_a_dicom_modality(tmp_path: Path) -> None:
    scan = Scan(np.zeros((8, 6, 1), np.uint8), Geometry((8, 6, 1), np.eye(4), Space.PIXEL), "XR")
    assert written(with_source(scan, Source("png", digest="d")), tmp_path)[0].Modality == "RG"


def test_a_cine_keeps_its_time(tmp_path: Path) -> None:
    scan = phantom.scan("US", shape=(32, 24, 5))
    (dataset,) = written(colored_phantom(scan), tmp_path / "cine")
    assert dataset.SOPClassUID == MULTI
    assert (dataset.FrameIncrementPointer, dataset.FrameTime, dataset.CineRate) == (0x00181063, 40, 25)
    irregular = colored_phantom(scan)
    edited(irregular, FrameTime=None, CineRate=None, FrameTimeVector=[0, 40, 41.5, 40, 40])
    (dataset,) = written(irregular, tmp_path / "irregular")
    assert dataset.FrameIncrementPointer == 0x00181065
    assert list(dataset.FrameTimeVector) == [0, 40, 41.5, 40, 40]
    untimed = edited(colored_phantom(scan), FrameTime=None, CineRate=None)
    (dataset,) = written(untimed, tmp_path / "untimed")
    assert dataset.FrameIncrementPointer == 0x00182001
    assert "FrameTime" not in dataset


def test_a_time_series_of_single_frames_is_one_object(tmp_path: Path) -> None:
    scan = replace(phantom.scan("MR", shape=(16, 12, 4)), k_axis=KAxis.TIME)
    colored = colored_phantom(scan, layout="series")
    for header in colored.source.headers:
        header.ImagePositionPatient = colored.source.headers[0].ImagePositionPatient
    (dataset,) = written(colored, tmp_path)
    assert dataset.NumberOfFrames == 4
    positions = {
        tuple(g.PlanePositionSequence[0].ImagePositionPatient) for g in dataset.PerFrameFunctionalGroupsSequence
    }
    assert len(positions) == 1


DAMAGED = [
    ((0x0010, 0x0030), b"DA", b"ZQ"),  # no VR of the standard
    ((0x0010, 0x1030), b"DS", b"DS"),
    ((0x0018, 0x0050), b"DS", b"DS"),
    ((0x0008, 0x0020), b"DA", b"D?"),
    ((0x0008, 0x0016), b"UI", b"Uj"),
    ((0x0008, 0x0020), b"DA", b"US"),  # a VR of the standard, and not this attribute's
    ((0x0010, 0x0020), b"LO", b"FD"),
    ((0x0020, 0x000E), b"UI", b"PN"),
    ((0x0020, 0x000E), b"UI", b"\\"),
]


@pytest.mark.parametrize(("tag", "vr", "other"), DAMAGED)
@pytest.mark.parametrize("layout", ["series", "multiframe"])
def test_damage_in_the_source_header_is_left_behind_and_does_not_stop_the_writer(
    tag: tuple[int, int], vr: bytes, other: bytes, layout: Any, tmp_path: Path
) -> None:
    (path,) = phantom.write_dicom(phantom.scan("CT", shape=(32, 24, 1)), tmp_path / "in")
    source = pydicom.dcmread(path)
    source.PatientWeight, source.SliceThickness = "70.5", "2.5"
    source.save_as(path)
    raw = bytearray(path.read_bytes())
    at = raw.index(np.array(tag, "<u2").tobytes() + vr)
    if other == b"\\":
        raw[at + 20 : at + 21] = other  # two values where one is allowed
    else:
        raw[at + 4 : at + 6] = other
    if other == b"DS":
        raw[at + 9 : at + 10] = b"-"  # a number no more
    path.write_bytes(raw)
    scan = read(path)
    colored = load_colorizer("lut:viridis")(scan)
    (dataset,) = written(colored, tmp_path / "out", layout=layout)
    assert np.array_equal(np.atleast_3d(dataset.pixel_array.squeeze()), to_slices(colored.rgb)[0])
    assert not dataset.get(tag) or dataset[tag].is_empty or tag in {(0x0008, 0x0016), (0x0020, 0x000E)}


def test_images_and_what_lies_beside_them_appear_together_or_not_at_all(ct: ColorScan, tmp_path: Path) -> None:
    def no_space(written: list[Path], files: Any) -> None:
        assert len(written) == 4
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(WriteError, match="no space"):
        write_dicom(ct, tmp_path / "out", beside={tmp_path / "out" / "provenance.json": no_space})
    assert list(tmp_path.iterdir()) == []
