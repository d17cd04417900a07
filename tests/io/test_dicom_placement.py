"""Colour objects lie where their source lies: exact text, and the opinion of other readers."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from colored_sources import colored_phantom, edited, header_source, with_source
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from strategies import geometries

from medcolor import phantom
from medcolor.color_scan import ColorScan
from medcolor.geometry import Geometry, Space
from medcolor.io.dicom.planes import Plane, decimal, plane_of, slice_planes
from medcolor.io.dicom.write import write_dicom
from medcolor.scan import Finding, KAxis, Scan, Severity, Source

LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
PLANE = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness", "SliceLocation")


def texts(dataset: Any, keyword: str) -> list[str]:
    value = dataset[keyword].value
    return [str(v) for v in (value if dataset[keyword].VM > 1 else [value])]


def sources() -> dict[str, ColorScan]:
    letter = phantom.letter()
    tilted = letter.geometry.affine.copy()
    tilted[:3, 2] += 0.4 * letter.geometry.direction[:, 1]
    return {
        "series": colored_phantom(letter),
        "enhanced": colored_phantom(letter, layout="multiframe"),
        "nifti": with_source(letter, Source("nifti", digest="n")),
        "tilted": with_source(phantom.letter(Geometry(letter.shape, tilted)), Source("nifti", digest="t")),
    }


def world_error(colored: ColorScan, rgb: NDArray[np.uint8], affine: NDArray[np.float64]) -> float:
    """Return how far the voxels of ``rgb``, placed by a RAS affine, are from where their colour says, in mm."""
    index = np.indices(rgb.shape[:3]).reshape(3, -1).T
    claimed = index @ affine[:3, :3].T + affine[:3, 3]
    return float(np.abs(claimed - colored.geometry.index_to_world(rgb.reshape(-1, 3))).max())


def simpleitk_view(paths: list[Path]) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    sitk = pytest.importorskip("SimpleITK")
    image = sitk.ReadImage([str(p) for p in paths] if len(paths) > 1 else str(paths[0]))
    affine = np.eye(4)
    affine[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) @ np.diag(image.GetSpacing())
    affine[:3, 3] = image.GetOrigin()
    return sitk.GetArrayFromImage(image).transpose(2, 1, 0, 3), LPS @ affine


def highdicom_view(paths: list[Path]) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    highdicom = pytest.importorskip("highdicom")
    if len(paths) == 1:
        volume = highdicom.imread(paths[0]).get_volume()
    else:
        images = [highdicom.Image.from_dataset(pydicom.dcmread(p)) for p in paths]
        volume = highdicom.get_volume_from_series(images)
    return volume.array, LPS @ volume.affine


def dcm2niix_view(paths: list[Path]) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    nibabel = pytest.importorskip("nibabel")
    if shutil.which("dcm2niix") is None:
        pytest.skip("dcm2niix is not installed (a Debian package)")
    out = paths[0].parent / "nii"
    out.mkdir()
    subprocess.run(["dcm2niix", "-z", "n", "-f", "x", "-o", out, paths[0].parent], check=True, capture_output=True)
    image = nibabel.load(out / "x.nii")
    data = np.asanyarray(image.dataobj)
    return np.stack([data[c] for c in "RGB"], axis=-1), image.affine


@pytest.mark.parametrize("view", [simpleitk_view, highdicom_view, dcm2niix_view])
@pytest.mark.parametrize("layout", ["series", "multiframe"])
@pytest.mark.parametrize("source", ["series", "enhanced", "nifti"])
def test_other_readers_see_every_voxel_where_it_was(
    tmp_path: Path, source: str, layout: Any, view: Callable[[list[Path]], Any]
) -> None:
    colored = sources()[source]
    rgb, affine = view(write_dicom(colored, tmp_path, layout=layout))
    assert rgb[..., 0].size == colored.rgb[..., 0].size
    assert world_error(colored, rgb, affine) < 1e-3


@pytest.mark.parametrize("layout", ["series", "multiframe"])
@pytest.mark.parametrize("source", list(sources()))
def test_our_own_reader_gets_the_same_grid_and_the_same_colour(tmp_path: Path, source: str, layout: Any) -> None:
    from medcolor.io.dicom.read import read_dicom

    colored = sources()[source]
    write_dicom(colored, tmp_path, layout=layout)
    scan = read_dicom(tmp_path)
    assert scan.rgb is not None
    assert scan.geometry.space is Space.PATIENT
    assert world_error(colored, scan.rgb, scan.geometry.affine) < 1e-3


def test_planes_are_the_source_s_own_text(tmp_path: Path) -> None:
    colored = colored_phantom(phantom.letter())
    header = colored.source.headers[3]
    header.ImagePositionPatient = ["-198.199997", "+1.0E1", "0007.50"]
    for h in colored.source.headers:
        h.PixelSpacing, h.SliceThickness, h.SliceLocation = ["1.10", "0.800000"], "2.50", "-175.000000"
    colored = replace(colored, audit=(Finding("gap", "uneven", Severity.IRREGULAR),))
    for k, path in enumerate(write_dicom(colored, tmp_path)):
        dataset = pydicom.dcmread(path)
        for keyword in PLANE:
            assert texts(dataset, keyword) == texts(colored.source.headers[k], keyword)
        assert dataset.FrameOfReferenceUID == header.FrameOfReferenceUID


def test_functional_groups_hold_the_source_s_own_text(tmp_path: Path) -> None:
    colored = colored_phantom(phantom.letter())
    (path,) = write_dicom(colored, tmp_path, layout="multiframe")
    dataset, header = pydicom.dcmread(path), colored.source.headers[0]
    shared = dataset.SharedFunctionalGroupsSequence[0]
    assert texts(shared.PixelMeasuresSequence[0], "PixelSpacing") == texts(header, "PixelSpacing")
    assert texts(shared.PlaneOrientationSequence[0], PLANE[1]) == texts(header, PLANE[1])
    for k, group in enumerate(dataset.PerFrameFunctionalGroupsSequence):
        assert list(group.keys()) == [0x00209113]
        assert texts(group.PlanePositionSequence[0], PLANE[0]) == texts(colored.source.headers[k], PLANE[0])
    assert dataset.FrameIncrementPointer == 0x00182005
    assert np.ptp(np.diff(np.array(dataset.SliceLocationVector, float))) < 1e-6
    assert float(shared.PixelMeasuresSequence[0].SpacingBetweenSlices) == pytest.approx(2.5)


def test_a_position_too_long_for_dicom_is_shortened_but_stays_in_place(tmp_path: Path) -> None:
    colored = colored_phantom(phantom.letter())
    long = "-198.19999694824219"
    for header in colored.source.headers:
        element = header["ImagePositionPatient"]
        value = pydicom.multival.MultiValue(str, [long, "0", str(header.ImagePositionPatient[2])])
        header[element.tag] = pydicom.DataElement(element.tag, "DS", value, already_converted=True)
    colored = replace(colored, audit=(Finding("gap", "uneven", Severity.IRREGULAR),))
    dataset = pydicom.dcmread(write_dicom(colored, tmp_path)[0])
    text = texts(dataset, "ImagePositionPatient")[0]
    assert len(text) <= 16
    assert abs(float(text) - float(long)) < 1e-9


def test_a_resampled_colour_gets_its_own_place_and_says_so(tmp_path: Path) -> None:
    colored = colored_phantom(phantom.scan("CT", shape=(16, 12, 4)))
    moved = colored.geometry.affine.copy()
    moved[:3, 3] += [3.0, -2.0, 1.0]
    shifted = replace(colored, geometry=Geometry(colored.shape, moved))
    fewer = replace(
        colored, rgb=colored.rgb[:8, :, :2],
        geometry=Geometry((8, 12, 2), colored.geometry.affine @ np.diag([2, 1, 2, 1])),
    )  # fmt: skip
    for name, other in (("shifted", shifted), ("fewer", fewer)):
        objects = [pydicom.dcmread(p) for p in write_dicom(other, tmp_path / name)]
        expected = other.geometry.to_lps()[:3, 3]
        assert np.abs(np.array(objects[0].ImagePositionPatient, float) - expected).max() < 1e-6
        assert objects[0].SourceImageSequence[0].SpatialLocationsPreserved == "NO"
        assert "Resampled" in objects[0].DerivationDescription
        assert objects[0].FrameOfReferenceUID == colored.source.headers[0].FrameOfReferenceUID
    assert len(objects[0].SourceImageSequence) == 4


@pytest.mark.parametrize("family", ["XR", "MG", "US", "NM"])
def test_projections_have_no_place_in_the_patient(tmp_path: Path, family: str) -> None:
    colored = colored_phantom(phantom.scan(family, shape=(32, 24, 2 if family == "NM" else 1)))
    dataset = pydicom.dcmread(write_dicom(colored, tmp_path)[0])
    for keyword in ("FrameOfReferenceUID", "ImagePositionPatient", "SharedFunctionalGroupsSequence"):
        assert keyword not in dataset


def test_projections_keep_pixel_size_side_and_view(tmp_path: Path) -> None:
    colored = colored_phantom(phantom.scan("MG", shape=(32, 24, 1)))
    header = colored.source.headers[0]
    dataset = pydicom.dcmread(write_dicom(colored, tmp_path / "s")[0])
    assert texts(dataset, "NominalScannedPixelSpacing") == texts(header, "ImagerPixelSpacing")
    assert dataset.ImageLaterality == header.ImageLaterality
    assert dataset.PatientOrientation == header.PatientOrientation
    assert dataset.ViewCodeSequence[0].CodeValue == header.ViewCodeSequence[0].CodeValue
    multi = pydicom.dcmread(write_dicom(colored, tmp_path / "m", layout="multiframe")[0])
    assert texts(multi, "PixelSpacing") == texts(header, "ImagerPixelSpacing")
    edited(colored, PixelSpacing=["0", "0"], ImagerPixelSpacing=None)
    dataset = pydicom.dcmread(write_dicom(colored, tmp_path / "z")[0])
    assert "PixelSpacing" not in dataset


@given(st.floats(-1e6, 1e6) | st.floats(allow_nan=False, allow_infinity=False, min_value=-1e30, max_value=1e30))
def test_decimal_strings_fit_and_are_as_near_as_they_can_be(value: float) -> None:
    text = decimal(value)
    assert len(text) <= 16
    assert pydicom.valuerep.DSfloat(text, validation_mode=pydicom.config.RAISE) == float(text)
    assert abs(float(text) - value) <= max(1e-9 * abs(value), 1e-12)
    assert text != "-0.0"


@settings(max_examples=60, deadline=None)
@given(geometries(shear=True))
def test_planes_made_from_any_grid_put_every_corner_in_place(geometry: Geometry) -> None:
    scan = Scan(np.zeros(geometry.shape, np.uint8), geometry, "MR")
    planes, in_place = slice_planes(with_source(scan, Source("nifti", digest="d")))
    assert in_place
    assert planes is not None
    ni, nj, nk = geometry.shape
    for k in (0, nk - 1):
        for i in (0, ni - 1):
            for j in (0, nj - 1):
                lps = planes[k].numbers @ [i, j, 1]
                assert np.abs(lps * [-1, -1, 1] - geometry.index_to_world((i, j, k))).max() < 1e-3


def test_plane_of_reads_classic_and_enhanced_headers_and_refuses_incomplete_ones() -> None:
    scan = phantom.letter()
    classic, enhanced = colored_phantom(scan), colored_phantom(scan, layout="multiframe")
    for k in range(scan.shape[2]):
        one, other = plane_of(classic.source.headers[k], 0), plane_of(enhanced.source.headers[0], k)
        assert isinstance(one, Plane)
        assert isinstance(other, Plane)
        assert np.allclose(one.numbers, other.numbers)
    broken = classic.source.headers[0]
    broken.PixelSpacing = None
    assert plane_of(broken, 0) is None
    assert plane_of(enhanced.source.headers[0], 99) is None


def test_nuclear_slices_take_their_place_from_the_geometry(tmp_path: Path) -> None:
    """SPECT objects keep positions in the detector; the reader has put them into the geometry."""
    geometry = phantom.oblique((16, 12, 3), (4.0, 4.0, 4.0), origin=(-30.0, 20.0, 5.0))
    scan = Scan(np.zeros(geometry.shape, np.uint8), geometry, "NM")
    header = colored_phantom(phantom.scan("NM", shape=(16, 12, 2))).source.headers[0]
    header.NumberOfFrames = 3
    colored = with_source(scan, header_source([header]))
    dataset = pydicom.dcmread(write_dicom(colored, tmp_path)[0])
    assert dataset.SourceImageSequence[0].SpatialLocationsPreserved == "YES"
    position = dataset.PerFrameFunctionalGroupsSequence[0].PlanePositionSequence[0].ImagePositionPatient
    assert np.abs(np.array(position, float) - geometry.to_lps()[:3, 3]).max() < 1e-6


def test_views_of_one_file_have_no_place_and_are_numbered(tmp_path: Path) -> None:
    colored = colored_phantom(phantom.scan("NM", shape=(16, 24, 2)))
    assert colored.k_axis is KAxis.VIEW
    dataset = pydicom.dcmread(write_dicom(colored, tmp_path)[0])
    assert dataset.FrameIncrementPointer == 0x00182001
    assert list(dataset.PageNumberVector) == [1, 2]


def test_slices_a_little_off_an_even_grid_keep_their_own_positions(tmp_path: Path) -> None:
    """The reader calls slices within 5 % even and gives one affine; the text still says where each of them is."""
    colored = colored_phantom(phantom.scan("CT", shape=(16, 12, 4)))
    header = colored.source.headers[2]
    step = colored.geometry.spacing[2]
    x, y, z = header.ImagePositionPatient
    header.ImagePositionPatient = [x, y, decimal(float(z) + 0.04 * step)]
    dataset = pydicom.dcmread(write_dicom(colored, tmp_path)[2])
    assert texts(dataset, "ImagePositionPatient") == texts(header, "ImagePositionPatient")
    assert dataset.SourceImageSequence[0].SpatialLocationsPreserved == "YES"
