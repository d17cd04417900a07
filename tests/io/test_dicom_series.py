"""Files to stacks to one scan: where every voxel is, what is noticed, which series is meant."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import generate_uid

from medcolor.errors import AmbiguousSeriesError, MedcolorWarning, ReadCode, ReadError
from medcolor.geometry import Space
from medcolor.io.dicom.read import list_dicom, read_dicom
from medcolor.scan import KAxis, Scan, Severity

AXIAL = (1.0, 0, 0, 0, 1, 0)
SAGITTAL = (0.0, 1, 0, 0, 0, -1)
CLASSES = {"CT": "2", "MR": "4", "CR": "1", "US": "6.1", "NM": "20", "PT": "128", "OT": "7", "SEG": "66.4"}
ROWS, COLUMNS = 3, 4


def instance(
    modality: str = "CT", *, value: int = 100, series: str = "1.2.3", frames: int = 0, **attributes: Any
) -> Dataset:
    """Return a minimal image of 4 x 3 pixels whose values count up from ``value``."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    ds.SOPClassUID = f"1.2.840.10008.5.1.4.1.1.{CLASSES.get(modality, '7')}"
    ds.SOPInstanceUID = generate_uid()
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.Modality = "1.2", series, modality
    ds.PatientName = "CANARY^PHI"
    if modality in {"CT", "MR", "PT"}:
        ds.FrameOfReferenceUID = "1.2.9"
        ds.ImagePositionPatient, ds.ImageOrientationPatient = [0, 0, 0], list(AXIAL)
        ds.PixelSpacing = [2, 1]
    if modality == "CT":
        ds.RescaleSlope, ds.RescaleIntercept, ds.RescaleType = 1, 0, "HU"
    ds.Rows, ds.Columns, ds.SamplesPerPixel, ds.PhotometricInterpretation = ROWS, COLUMNS, 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 0
    for keyword, given_value in attributes.items():
        setattr(ds, keyword, given_value)
    size = ds.Rows * ds.Columns * max(frames, 1)
    if frames:
        ds.NumberOfFrames = frames
    ds.PixelData = (value + np.arange(size)).astype("<u2").tobytes()
    return ds


def save(ds: Dataset, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPClassUID, ds.SOPInstanceUID
    ds.save_as(path, enforce_file_format=True)
    return path


def save_all(folder: Path, datasets: Sequence[Dataset]) -> Path:
    for number, ds in enumerate(datasets):
        save(ds, folder / f"{number:03d}")
    return folder


def axial(zs: Sequence[float], modality: str = "CT", **attributes: Any) -> list[Dataset]:
    """Return slices at the heights given, numbered in this order."""
    return [
        instance(modality, value=100 * n, ImagePositionPatient=[0, 0, z], InstanceNumber=n, **attributes)
        for n, z in enumerate(zs, start=1)
    ]


def item(**attributes: Any) -> Dataset:
    ds = Dataset()
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    return ds


def finding(scan: Scan, code: str) -> str:
    (found,) = [f for f in scan.audit if f.code == code]
    return found.message


def codes(scan: Scan) -> set[str]:
    return {f.code for f in scan.audit}


# -- where voxels are ------------------------------------------------------------------------------------------------


@st.composite
def placed_stacks(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, tuple[float, float], list[int], list[int]]:
    """Return (direction cosines (2, 3), positions (n, 3), spacing, order of files, instance numbers)."""
    a, b, c = (draw(st.floats(-np.pi, np.pi)) for _ in range(3))
    turn = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    turn = turn @ np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    turn = turn @ np.array([[np.cos(c), 0, np.sin(c)], [0, 1, 0], [-np.sin(c), 0, np.cos(c)]])
    row, column, normal = turn.T
    n = draw(st.integers(2, 6))
    tilt = draw(st.sampled_from([0, 0, 0.2]))  # as a share of the slice spacing, along columns
    step = draw(st.floats(0.5, 8)) * (normal + tilt * column)
    origin = np.array([draw(st.floats(-400, 400)) for _ in range(3)])
    positions = origin + np.arange(n)[:, None] * step
    spacing = (draw(st.floats(0.3, 4)), draw(st.floats(0.3, 4)))
    return np.stack([row, column]), positions, spacing, draw(st.permutations(range(n))), draw(st.permutations(range(n)))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(stack=placed_stacks())
def test_every_voxel_is_where_its_header_puts_it(
    tmp_path_factory: pytest.TempPathFactory,
    stack: tuple[np.ndarray, np.ndarray, tuple[float, float], list[int], list[int]],
) -> None:
    cosines, positions, spacing, order, numbers = stack
    folder = tmp_path_factory.mktemp("stack")
    for k in order:
        ds = instance(
            value=100 * k,
            ImageOrientationPatient=[f"{x:.10f}"[:16] for x in cosines.ravel()],
            ImagePositionPatient=[f"{x:.8f}"[:16] for x in positions[k]],
            PixelSpacing=[f"{x:.10f}"[:16] for x in spacing],
            InstanceNumber=int(numbers[k]),
        )
        save(ds, folder / f"{order.index(k)}")
    scan = read_dicom(folder)
    assert scan.geometry.space is Space.PATIENT
    for k, j, i in itertools.product(range(len(positions)), range(ROWS), range(COLUMNS)):
        value = 100 * k + COLUMNS * j + i
        (index,) = np.argwhere(scan.voxels == value)
        lps = positions[k] + i * spacing[1] * cosines[0] + j * spacing[0] * cosines[1]
        assert scan.geometry.index_to_world(index) == pytest.approx(lps * [-1, -1, 1], abs=1e-3)
    assert np.linalg.det(scan.geometry.to_lps()[:3, :3]) > 0  # sorted along the normal
    assert not scan.irregular


def test_simpleitk_puts_an_oblique_series_at_the_same_place(tmp_path: Path) -> None:
    sitk = pytest.importorskip("SimpleITK")
    from medcolor import phantom

    scan = phantom.letter()
    phantom.write_dicom(scan, tmp_path)
    names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(tmp_path))
    image = sitk.ReadImage(names)
    ours = read_dicom(tmp_path)
    assert np.array_equal(sitk.GetArrayFromImage(image).transpose(2, 1, 0), ours.voxels)
    corner = [n - 1 for n in ours.shape]
    for index in ([0, 0, 0], corner, [corner[0], 0, 0], [0, corner[1], 0]):
        lps = np.array(image.TransformIndexToPhysicalPoint(index))
        assert ours.geometry.index_to_world(index) == pytest.approx(lps * [-1, -1, 1], abs=1e-3)


def test_enhanced_frames_are_placed_by_their_functional_groups(tmp_path: Path) -> None:
    ds = instance("MR", frames=3, SOPClassUID="1.2.840.10008.5.1.4.1.1.4.1")
    del ds.ImagePositionPatient, ds.ImageOrientationPatient, ds.PixelSpacing
    shared = item(
        PlaneOrientationSequence=[item(ImageOrientationPatient=list(AXIAL))],
        PixelMeasuresSequence=[item(PixelSpacing=[2, 1], SliceThickness=3)],
    )
    ds.SharedFunctionalGroupsSequence = [shared]
    ds.PerFrameFunctionalGroupsSequence = [
        item(PlanePositionSequence=[item(ImagePositionPatient=[0, 0, z])]) for z in (3, 9, 6)
    ]
    scan = read_dicom(save(ds, tmp_path / "enhanced"))
    assert scan.voxels[0, 0].tolist() == [100, 124, 112]
    assert scan.geometry.spacing == (1, 2, 3)
    assert scan.source.frames == ((0, 0), (0, 2), (0, 1))


# -- the audit -------------------------------------------------------------------------------------------------------

TWO_GONE = "2 slices are missing between z = 2.50 mm and z = 10.00 mm (spacing 2.5 mm elsewhere)"
ONE_GONE = "1 slice is missing between z = 2.00 mm and z = 4.00 mm"
AUDITS: list[tuple[str, list[float], str, Severity, str]] = [
    ("two slices away", [0, 2.5, 10, 12.5], "gap", Severity.IRREGULAR, TWO_GONE),
    ("one slice away", [0, 1, 2, 4, 5], "gap", Severity.IRREGULAR, ONE_GONE),
    ("one of four away", [0, 2, 3], "gap", Severity.IRREGULAR, "1 slice is missing between z = 0.00 mm and"),
    ("uneven", [0, 1, 2.2, 3.2], "nonuniform-spacing", Severity.IRREGULAR, "from 1 to 1.2 mm, first between z = 1.00"),
    ("a bed overlap", [0, 3.27, 6.46, 9.73], "nonuniform-spacing", Severity.WARNING, "from an even grid"),
    ("rounded", [0, 1.667, 3.33, 5, 6.67], "rounded-positions", Severity.NOTE, "are rounded"),
]


@pytest.mark.parametrize(("zs", "code", "severity", "text"), [a[1:] for a in AUDITS], ids=[a[0] for a in AUDITS])
def test_uneven_positions_are_reported_in_millimetres(
    tmp_path: Path, zs: list[float], code: str, severity: Severity, text: str
) -> None:
    scan = read_dicom(save_all(tmp_path, axial(zs)))
    (found,) = scan.audit
    assert (found.code, found.severity) == (code, severity)
    assert text in found.message
    assert scan.shape[2] == len(zs)


def test_a_gap_does_not_stretch_the_rest(tmp_path: Path) -> None:
    scan = read_dicom(save_all(tmp_path, axial([0, 1, 2, 30, 31])))
    assert scan.geometry.spacing[2] == pytest.approx(1)


def test_an_even_stack_has_an_empty_audit(tmp_path: Path) -> None:
    assert read_dicom(save_all(tmp_path, axial([0, 1.5, 3]))).audit == ()


def test_gantry_tilt_is_reported_and_sheared(tmp_path: Path) -> None:
    tilted = [instance(value=n, ImagePositionPatient=[0, 0.2 * n, n], InstanceNumber=n) for n in range(4)]
    scan = read_dicom(save_all(tmp_path, tilted))
    assert "11.3 degrees" in finding(scan, "gantry-tilt")
    assert scan.geometry.to_lps()[:3, 2] == pytest.approx([0, 0.2, 1])
    assert not scan.irregular


def test_a_slice_beside_the_others_is_reported(tmp_path: Path) -> None:
    slices = axial([0, 1, 2, 3])
    slices[2].ImagePositionPatient = [0.5, 0, 2]
    scan = read_dicom(save_all(tmp_path, slices))
    assert "z = 2.00 mm lies 0.5 mm off" in finding(scan, "shifted-slices")
    assert scan.irregular


def test_oblique_and_mixed_kernel_are_reported(tmp_path: Path) -> None:
    slices = axial([0, 1, 2])
    cos, sin = np.cos(0.3), np.sin(0.3)
    for ds, kernel in zip(slices, ("B30", "B30", "B70"), strict=True):
        ds.ImageOrientationPatient = [1, 0, 0, 0, f"{cos:.10f}", f"{sin:.10f}"]
        ds.ImagePositionPatient = [0, f"{-sin * ds.InstanceNumber:.8f}", f"{cos * ds.InstanceNumber:.8f}"]
        ds.ConvolutionKernel = kernel
    assert codes(read_dicom(save_all(tmp_path, slices))) == {"oblique", "mixed-kernel"}


def test_duplicate_positions_keep_the_lowest_instance_number(tmp_path: Path) -> None:
    again = instance(value=9000, ImagePositionPatient=[0, 0, 1], InstanceNumber=9)
    scan = read_dicom(save_all(tmp_path, [again, *axial([0, 1, 2])]))
    assert scan.voxels[0, 0].tolist() == [100, 200, 300]
    assert "1 more image is at a position taken already (z = 1.00 mm)" in finding(scan, "duplicate-position")


def test_slices_without_positions_go_by_number_and_say_so(tmp_path: Path) -> None:
    slices = axial([5, 3, 1], SliceThickness=4)
    for ds in slices:
        del ds.ImagePositionPatient
    scan = read_dicom(save_all(tmp_path, slices[::-1]))
    assert scan.voxels[0, 0].tolist() == [100, 200, 300]
    assert "order of their numbers" in finding(scan, "no-position")
    assert (scan.geometry.space, scan.geometry.spacing) == (Space.DETECTOR, (1, 2, 4))


# -- copies ----------------------------------------------------------------------------------------------------------


def test_a_file_in_two_places_counts_once(tmp_path: Path) -> None:
    slices = axial([0, 1])
    save_all(tmp_path / "a", slices)
    save_all(tmp_path / "b", slices)
    scan = read_dicom(tmp_path)
    assert scan.shape[2] == 2
    assert codes(scan) == {"duplicate-instance"}


def test_one_uid_with_two_contents_is_a_conflict(tmp_path: Path) -> None:
    slices = axial([0, 1])
    save_all(tmp_path / "a", slices)
    slices[0].PixelData = bytes(24)
    save_all(tmp_path / "b", slices)
    scan = read_dicom(tmp_path)
    assert scan.voxels[0, 0, 0] == 100
    assert codes(scan) == {"duplicate-instance", "conflicting-instance"}


# -- stacks and phases -----------------------------------------------------------------------------------------------


def _echo(ds: Dataset, n: int) -> None:
    ds.EchoTime = 10 * n


def _trigger(ds: Dataset, n: int) -> None:
    ds.TriggerTime = 25 * n


def _b_value(ds: Dataset, n: int) -> None:
    ds.DiffusionBValue = float(1000 * n)


def _siemens_b_value(ds: Dataset, n: int) -> None:
    ds.add_new(0x00190010, "LO", "SIEMENS MR HEADER")
    ds.add_new(0x0019100C, "IS", 1000 * n)


def _temporal(ds: Dataset, n: int) -> None:
    ds.TemporalPositionIdentifier = n


def _acquisition(ds: Dataset, n: int) -> None:
    ds.AcquisitionNumber = n


def _component(ds: Dataset, n: int) -> None:
    ds.ImageType = ["ORIGINAL", "PRIMARY", "MPR"[n]]


def _number_only(ds: Dataset, n: int) -> None:
    pass


@pytest.mark.parametrize(
    "tell", [_echo, _trigger, _b_value, _siemens_b_value, _temporal, _acquisition, _component, _number_only]
)
def test_phases_are_stacks_of_their_own(tmp_path: Path, tell: Callable[[Dataset, int], None]) -> None:
    for n in range(3):
        for ds in axial([0, 1, 2, 3], "MR"):
            ds.InstanceNumber = ds.InstanceNumber + 4 * n
            tell(ds, n)
            save(ds, tmp_path / f"{n}-{ds.InstanceNumber}")
    listed = list_dicom(tmp_path)
    assert [entry.key for entry in listed] == ["1.2.3#1", "1.2.3#2", "1.2.3#3"]
    assert {entry.shape for entry in listed} == {(COLUMNS, ROWS, 4)}
    with pytest.raises(AmbiguousSeriesError, match=r"1\.2\.3#2"):
        read_dicom(tmp_path)
    scans = [read_dicom(tmp_path, series=entry.key) for entry in listed]
    assert len({scan.source.digest for scan in scans}) == 3
    assert all(codes(scan) == set() for scan in scans)


def test_b_values_with_directions_are_split_twice(tmp_path: Path) -> None:
    for n, (b, direction) in enumerate([(0, None), (1000, [1, 0, 0]), (1000, [0, 1, 0]), (1000, [0, 0, 1])]):
        for ds in axial([0, 1, 2], "MR", DiffusionBValue=float(b)):
            if direction:
                ds.DiffusionGradientOrientation = direction
            ds.InstanceNumber = ds.InstanceNumber * 10 + n
            save(ds, tmp_path / f"{n}-{ds.InstanceNumber}")
    descriptions = [entry.description for entry in list_dicom(tmp_path)]
    assert descriptions == [
        "b-value 0.0",
        *(f"b-value 1000.0, direction {d}" for d in ("0.0/0.0/1.0", "0.0/1.0/0.0", "1.0/0.0/0.0")),
    ]


def test_a_phase_that_misses_a_slice_is_still_a_phase(tmp_path: Path) -> None:
    for n in range(3):
        for ds in axial(range(10), "MR", TemporalPositionIdentifier=n + 1):
            if (n, ds.InstanceNumber) != (1, 5):
                save(ds, tmp_path / f"{n}-{ds.InstanceNumber}")
    listed = list_dicom(tmp_path)
    assert [entry.shape[2] for entry in listed] == [10, 9, 10]
    assert [f.code for f in listed[1].audit] == ["gap"]


def test_one_slice_through_time_is_a_time_series(tmp_path: Path) -> None:
    beats = [instance("MR", value=n, TriggerTime=100 - n, InstanceNumber=n) for n in range(5)]
    scan = read_dicom(save_all(tmp_path, beats))
    assert (scan.k_axis, scan.voxels[0, 0].tolist()) == (KAxis.TIME, [4, 3, 2, 1, 0])
    assert scan.geometry.space is Space.PATIENT


def test_orientations_sizes_and_frames_of_reference_are_parted(tmp_path: Path) -> None:
    other = axial([7, 8], ImageOrientationPatient=list(SAGITTAL))
    for ds in other:
        ds.ImagePositionPatient = [ds.InstanceNumber, 0, 0]
    large = axial([0, 1], Rows=5)
    apart = axial([0, 1], FrameOfReferenceUID="1.2.10")
    listed = list_dicom(save_all(tmp_path, [*axial([0, 1]), *other, *large, *apart]))
    assert len(listed) == 4
    for entry in listed:
        found = {f.code for f in entry.audit}
        assert found >= {"mixed-orientation", "mixed-size", "several-frames-of-reference"}


def test_projections_of_one_series_are_images_of_their_own(tmp_path: Path) -> None:
    views = [instance("CR", InstanceNumber=n, ImagerPixelSpacing=[0.2, 0.1]) for n in (1, 2)]
    listed = list_dicom(save_all(tmp_path, views))
    assert [entry.spacing for entry in listed] == [(0.1, 0.2, 1.0)] * 2
    assert read_dicom(tmp_path / "000").geometry.space is Space.DETECTOR


def test_a_single_file_of_several_phases_reads_its_first_and_names_the_others(tmp_path: Path) -> None:
    ds = instance("MR", frames=4, SOPClassUID="1.2.840.10008.5.1.4.1.1.4.1")
    ds.SharedFunctionalGroupsSequence = [
        item(
            PlaneOrientationSequence=[item(ImageOrientationPatient=list(AXIAL))],
            PixelMeasuresSequence=[item(PixelSpacing=[2, 1], SliceThickness=3)],
        )
    ]
    ds.PerFrameFunctionalGroupsSequence = [
        item(
            PlanePositionSequence=[item(ImagePositionPatient=[0, 0, z])],
            MREchoSequence=[item(EffectiveEchoTime=float(echo))],
        )
        for z, echo in itertools.product((0, 4), (80, 20))
    ]
    file = save(ds, tmp_path / "echoes")
    with pytest.warns(MedcolorWarning, match="2 stacks or phases; the first was read.*#2 echo time 80"):
        scan = read_dicom(file)
    assert scan.voxels[0, 0].tolist() == [112, 136]
    assert read_dicom(file, series="#2").voxels[0, 0].tolist() == [100, 124]
    assert read_dicom(file, series=2).voxels[0, 0].tolist() == [100, 124]


# -- nuclear medicine and ultrasound ---------------------------------------------------------------------------------


def nuclear(kind: str, frames: int, **attributes: Any) -> Dataset:
    return instance("NM", frames=frames, ImageType=["ORIGINAL", "PRIMARY", kind, "EMISSION"], **attributes)


@pytest.mark.parametrize("step", [4, -4])
def test_spect_slices_are_placed_by_the_detector_item(tmp_path: Path, step: float) -> None:
    detector = item(ImagePositionPatient=[1, 2, 3], ImageOrientationPatient=list(AXIAL))
    ds = nuclear(
        "RECON TOMO", 3, DetectorInformationSequence=[detector], PixelSpacing=[2, 1], SpacingBetweenSlices=step
    )
    scan = read_dicom(save(ds, tmp_path / "spect"))
    first = np.argwhere(scan.voxels == 100)[0]
    last = np.argwhere(scan.voxels == 124)[0]
    assert scan.geometry.index_to_world(first) == pytest.approx([-1, -2, 3])
    assert scan.geometry.index_to_world(last) == pytest.approx([-1, -2, 3 + 2 * step])


def test_whole_body_views_are_views(tmp_path: Path) -> None:
    scan = read_dicom(save(nuclear("WHOLE BODY", 2, PixelSpacing=[2, 2], DetectorVector=[1, 2]), tmp_path / "bone"))
    assert (scan.k_axis, scan.geometry.space, scan.shape[2]) == (KAxis.VIEW, Space.DETECTOR, 2)


def test_a_dynamic_study_is_time_for_each_detector(tmp_path: Path) -> None:
    ds = nuclear("DYNAMIC", 6, PixelSpacing=[2, 2], DetectorVector=[1, 2, 1, 2, 1, 2])
    with pytest.warns(MedcolorWarning, match="2 stacks or phases"):
        scan = read_dicom(save(ds, tmp_path / "renal"))
    assert (scan.k_axis, scan.shape[2]) == (KAxis.TIME, 3)
    assert scan.voxels[0, 0].tolist() == [100, 124, 148]


def _region(delta: float, units: int = 3) -> Dataset:
    return item(
        RegionSpatialFormat=1, PhysicalUnitsXDirection=units, PhysicalUnitsYDirection=units,
        PhysicalDeltaX=delta, PhysicalDeltaY=-delta,
    )  # fmt: skip


def test_ultrasound_takes_its_spacing_from_the_region(tmp_path: Path) -> None:
    scan = read_dicom(save(instance("US", SequenceOfUltrasoundRegions=[_region(0.05)]), tmp_path / "us"))
    assert (scan.geometry.space, scan.geometry.spacing[:2]) == (Space.DETECTOR, (0.5, 0.5))


@pytest.mark.parametrize("regions", [[_region(0.05), _region(0.07)], [_region(0.05, units=4)], []])
def test_ultrasound_without_one_calibration_has_no_spacing(tmp_path: Path, regions: list[Dataset]) -> None:
    scan = read_dicom(save(instance("US", SequenceOfUltrasoundRegions=regions), tmp_path / "us"))
    assert scan.geometry.space is Space.PIXEL
    assert "no-spacing" in codes(scan)


def test_pixels_of_unknown_size_keep_their_aspect(tmp_path: Path) -> None:
    scan = read_dicom(save(instance("US", PixelAspectRatio=[6, 5]), tmp_path / "us"))
    assert (scan.geometry.space, scan.geometry.spacing) == (Space.PIXEL, (1, 1.2, 1))


def test_frames_with_a_frame_time_are_time(tmp_path: Path) -> None:
    ds = instance("US", frames=3, FrameTime=40, FrameIncrementPointer=0x00181063)
    scan = read_dicom(save(ds, tmp_path / "cine"))
    assert (scan.k_axis, scan.facts["FrameTime"]) == (KAxis.TIME, 40)


# -- which series ----------------------------------------------------------------------------------------------------


@pytest.fixture
def two_series(tmp_path: Path) -> Path:
    save_all(tmp_path / "a", axial([0, 1], series="1.2.50", SeriesNumber=2, SeriesDescription="late"))
    save_all(tmp_path / "b", axial([0, 1, 2], series="1.2.60", SeriesNumber=1, SeriesDescription="early"))
    return tmp_path


def test_several_series_are_listed_and_never_chosen_silently(two_series: Path) -> None:
    with pytest.raises(AmbiguousSeriesError) as refused:
        read_dicom(two_series)
    assert [line.split()[0] for line in refused.value.choices] == ["1.2.60", "1.2.50"]
    assert "CT  4 x 3 x 3 at 1 x 2 x 1 mm, 3 files, early" in refused.value.choices[0]


@pytest.mark.parametrize(("series", "slices"), [("1.2.60", 3), ("1.2.50", 2), (1, 3), ("2", 2)])
def test_a_series_is_chosen_by_key_or_number(two_series: Path, series: str | int, slices: int) -> None:
    assert read_dicom(two_series, series=series).shape[2] == slices


@pytest.mark.parametrize("series", ["1.2.70", 3, 0, "#1"])
def test_a_choice_that_is_not_there_names_those_that_are(two_series: Path, series: str | int) -> None:
    with pytest.raises(AmbiguousSeriesError, match=r"no series .*\n.*1\.2\.60"):
        read_dicom(two_series, series=series)


def test_other_objects_beside_one_series_are_left_aside(tmp_path: Path) -> None:
    save_all(tmp_path, axial([0, 1]))
    plan = instance("RTSTRUCT", series="1.2.99")
    del plan.PixelData
    save(plan, tmp_path / "plan")
    save(instance("SEG", series="1.2.98"), tmp_path / "seg")
    (tmp_path / "notes.txt").write_text("not an image")
    scan = read_dicom(tmp_path)
    assert scan.shape[2] == 2
    assert codes(scan) == {"other-objects", "skipped-files"}
    assert all(f.severity is Severity.NOTE for f in scan.audit)


@pytest.mark.parametrize(
    ("modality", "pixels", "code"),
    [("RTSTRUCT", False, ReadCode.NO_PIXEL_DATA), ("SEG", True, ReadCode.UNSUPPORTED_OBJECT)],
)
def test_other_objects_alone_are_refused(tmp_path: Path, modality: str, pixels: bool, code: ReadCode) -> None:
    ds = instance(modality)
    if not pixels:
        del ds.PixelData
    for path in (save(ds, tmp_path / "object"), tmp_path):
        with pytest.raises(ReadError) as refused:
            read_dicom(path)
        assert refused.value.code is code
        assert refused.value.path == path
        with pytest.raises(ReadError):
            list_dicom(path)


# -- modality, facts, source -----------------------------------------------------------------------------------------


def test_a_missing_modality_is_ot_with_a_warning_and_can_be_said(tmp_path: Path) -> None:
    file = save(instance("OT", Modality=""), tmp_path / "image")
    with pytest.warns(MedcolorWarning, match="no modality"):
        scan = read_dicom(file)
    assert (scan.modality, codes(scan)) == ("OT", {"no-modality", "no-spacing"})
    assert read_dicom(file, modality="cr").modality == "CR"


def test_facts_identify_nobody(tmp_path: Path) -> None:
    ds = instance("CT", BodyPartExamined="CHEST", PatientPosition="HFS", PatientID="CANARY", StudyID="CANARY")
    scan = read_dicom(save(ds, tmp_path / "image"))
    assert scan.facts["BodyPartExamined"] == "CHEST"
    assert scan.facts["PatientPosition"] == "HFS"
    assert "CANARY" not in f"{scan.facts} {scan.audit} {scan!r} {scan.source!r}"


def test_the_source_keeps_headers_in_slice_order_without_pixels(tmp_path: Path) -> None:
    slices = axial([3, 2, 1])
    slices[0].add_new(0x00091001, "OB", bytes(10_000))
    scan = read_dicom(save_all(tmp_path, slices))
    assert [h.InstanceNumber for h in scan.source.headers] == [3, 2, 1]
    assert scan.source.frames == ((0, 0), (1, 0), (2, 0))
    assert [p.name for p in scan.source.paths] == ["002", "001", "000"]
    for header in scan.source.headers:
        assert "PixelData" not in header
        assert 0x00091001 not in header  # bulk stays in the file


def test_the_digest_depends_on_instances_and_not_on_paths(tmp_path: Path) -> None:
    slices = axial([0, 1])
    one = read_dicom(save_all(tmp_path / "one", slices)).source.digest
    assert read_dicom(save_all(tmp_path / "two", slices[::-1])).source.digest == one
    assert read_dicom(save_all(tmp_path / "three", slices[:1])).source.digest != one


def test_listing_reads_no_pixels(tmp_path: Path) -> None:
    folder = save_all(tmp_path, axial([0, 1]))
    file = folder / "000"
    file.write_bytes(file.read_bytes()[:-10])
    (entry,) = list_dicom(folder)
    assert (entry.shape, entry.n_files) == ((COLUMNS, ROWS, 2), 2)


def test_a_damaged_slice_is_left_out_and_said(tmp_path: Path) -> None:
    folder = save_all(tmp_path, axial([0, 1, 2, 3]))
    file = folder / "001"
    file.write_bytes(file.read_bytes()[:-10])
    with pytest.warns(MedcolorWarning, match="damaged"):
        scan = read_dicom(folder)
    assert scan.voxels[0, 0].tolist() == [100, 300, 400]
    assert codes(scan) == {"unreadable-files", "gap"}


def test_a_slice_that_cannot_be_decoded_is_left_out_and_said(tmp_path: Path) -> None:
    slices = axial([0, 1, 2, 3])
    slices[1].file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.5"  # says RLE
    slices[
        1
    ].PixelData = b"\xfe\xff\x00\xe0\x00\x00\x00\x00\xfe\xff\x00\xe0\x04\x00\x00\x00abcd\xfe\xff\xdd\xe0\0\0\0\0"
    slices[1]["PixelData"].VR = "OB"
    slices[1]["PixelData"].is_undefined_length = True
    with pytest.warns(MedcolorWarning, match="damaged"):
        scan = read_dicom(save_all(tmp_path, slices))
    assert scan.voxels[0, 0].tolist() == [100, 300, 400]
    assert codes(scan) == {"unreadable-files", "gap"}


def test_a_series_of_damaged_slices_is_refused(tmp_path: Path) -> None:
    folder = save_all(tmp_path, axial([0, 1]))
    for file in folder.iterdir():
        file.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(ReadError, match="000") as refused:
        read_dicom(folder)
    assert refused.value.code is ReadCode.TRUNCATED
