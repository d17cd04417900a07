"""The phantoms keep their promises: known classes, deterministic, true geometry in the files."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from strategies import geometries

from medcolor import phantom
from medcolor.errors import ModalityError
from medcolor.geometry import Geometry, Space
from medcolor.phantom import datasets, modules
from medcolor.scan import MODALITIES, KAxis, Scan, to_slices
from medcolor.windowing import display_gray

CLASSES = {  # as agreed for palettes and tissue models
    "CT": "outside gas lung fat fluid soft_tissue enhanced spongy_bone cortical_bone metal",
    "MR": "outside dark low intermediate high bright",
    "PT": "outside background low moderate high intense",
    "NM": "outside background low moderate high intense",
    "US": "outside anechoic hypoechoic isoechoic hyperechoic bright",
    "XR": "outside air soft_tissue dense bone metal",
    "MG": "air skin fat fibroglandular pectoral calcification",
}


@pytest.mark.parametrize("family", MODALITIES)
def test_a_phantom_is_of_its_family_and_its_labels_lie_on_its_grid(family: str) -> None:
    scan, truth = phantom.scan(family), phantom.labels(family)
    assert scan.family == family
    assert truth.geometry.matches(scan.geometry)
    assert list(truth.names.values()) == CLASSES[family].split()


@pytest.mark.parametrize("family", MODALITIES)
def test_every_class_of_the_family_is_somewhere_in_the_phantom(family: str) -> None:
    truth = phantom.labels(family)
    assert set(np.unique(truth.labels)) == set(truth.names)


@pytest.mark.parametrize("family", MODALITIES)
def test_equal_seeds_give_equal_bytes_and_other_seeds_other_noise(family: str) -> None:
    shape = (96, 80, 2)
    first, again, other = (phantom.scan(family, seed=s, shape=shape) for s in (3, 3, 4))
    assert first.voxels.tobytes() == again.voxels.tobytes()
    assert first.source.digest == again.source.digest != other.source.digest
    assert not np.array_equal(first.voxels, other.voxels)


def test_a_phantom_is_made_in_less_than_a_second() -> None:
    for family in MODALITIES:
        start = time.process_time()
        phantom.scan(family)
        assert time.process_time() - start < 1.0, family


@pytest.mark.parametrize("family", MODALITIES)
@pytest.mark.parametrize("shape", [(1, 1, 1), (7, 5, 3)])
def test_any_shape_can_be_asked_for(family: str, shape: tuple[int, int, int]) -> None:
    assert phantom.scan(family, shape=shape).shape == shape == phantom.labels(family, shape=shape).geometry.shape


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("gas", -1024, -800),
        ("lung", -900, -700),
        ("fat", -115, -85),
        ("fluid", 5, 20),
        ("soft_tissue", 40, 75),
        ("enhanced", 150, 300),
        ("spongy_bone", 200, 400),
        ("cortical_bone", 450, 1000),
        ("metal", 1500, 3071),
    ],
)
def test_ct_tissues_have_the_hounsfield_values_of_textbooks(name: str, low: int, high: int) -> None:
    scan, truth = phantom.scan("CT"), phantom.labels("CT")
    label = {v: k for k, v in truth.names.items()}[name]
    assert low <= np.median(scan.voxels[truth.labels == label]) <= high


def test_the_pet_phantom_is_in_suv_with_brain_and_bladder_hottest() -> None:
    scan, truth = phantom.scan("PT"), phantom.labels("PT")
    medians = [float(np.median(scan.voxels[truth.labels == n])) for n in sorted(truth.names)]
    assert scan.units == "SUVbw"
    assert medians == sorted(medians)
    assert 0.4 < medians[1] < 0.8
    assert 2 < medians[3] < 3.6
    assert medians[5] > 7


def test_the_ultrasound_phantom_is_black_outside_its_sector() -> None:
    scan, truth = phantom.scan("US"), phantom.labels("US")
    assert scan.voxels[truth.labels == 1].max() == 0
    assert np.median(scan.voxels[truth.labels == 2]) < 15 < np.median(scan.voxels[truth.labels == 4])


@pytest.mark.parametrize("family", ["XR", "MG"])
def test_monochrome1_stores_other_values_and_shows_the_same_picture(family: str) -> None:
    plain, inverted = phantom.scan(family), phantom.scan(family, inverted=True)
    assert inverted.inverted
    assert not np.array_equal(plain.voxels, inverted.voxels)
    difference = display_gray(plain).astype(int) - display_gray(inverted)
    assert abs(difference).mean() < 1.5  # the percentile window is taken from the other end


def test_an_unknown_family_and_an_inverted_ct_are_refused_by_name() -> None:
    with pytest.raises(ModalityError, match="CT, MR, PT, NM, US, XR, MG"):
        phantom.scan("XX")
    with pytest.raises(ModalityError, match="MONOCHROME1"):
        phantom.scan("CT", inverted=True)


def test_views_of_the_bone_scan_are_seen_from_the_front_and_from_the_back() -> None:
    scan, truth = phantom.scan("NM"), phantom.labels("NM")
    assert scan.k_axis is KAxis.VIEW
    assert scan.geometry.space is Space.DETECTOR
    hot = truth.labels == 6
    rib = [np.argwhere(hot[:, 120:200, k])[:, 0].mean() for k in (0, 1)]
    assert rib[0] > 96 > rib[1]  # the left rib is on the viewer's right from the front, on the left from the back


def test_a_letter_voxel_tells_where_it_was_written(letter: Scan) -> None:
    index = np.moveaxis(np.indices(letter.shape), 0, -1)
    assert np.array_equal(phantom.letter_index(letter.voxels, letter.shape), index)
    assert len(np.unique(letter.voxels)) == letter.voxels.size
    assert np.array_equal(phantom.letter_rgb(letter.shape), index.astype(np.uint8))


def test_the_letter_looks_like_no_mirror_image_of_itself(letter: Scan) -> None:
    stroke = letter.voxels >= 16_000
    assert not any(np.array_equal(stroke, np.flip(stroke, axis)) for axis in (0, 1, 2))


def _affine_by_pydicom(files: list[Path]) -> np.ndarray:
    """Compute the LPS affine from the attributes as PS3.3 C.7.6.2.1.1 writes it, without Geometry."""
    first, last = pydicom.dcmread(files[0]), pydicom.dcmread(files[-1])
    row, column = np.array(first.ImageOrientationPatient[:3], float), np.array(first.ImageOrientationPatient[3:], float)
    start, end = np.array(first.ImagePositionPatient, float), np.array(last.ImagePositionPatient, float)
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1] = row * first.PixelSpacing[1], column * first.PixelSpacing[0]
    affine[:3, 2] = (end - start) / max(len(files) - 1, 1) if len(files) > 1 else np.cross(row, column)
    affine[:3, 3] = start
    return affine


@settings(max_examples=25, deadline=None)
@given(geometry=geometries(shape=(5, 4, 3), shear=True))
def test_dicom_files_put_every_voxel_where_the_geometry_has_it(
    tmp_path_factory: pytest.TempPathFactory, geometry: Geometry
) -> None:
    scan = phantom.letter(geometry)
    files = phantom.write_dicom(scan, tmp_path_factory.mktemp("g"))
    index = np.array(np.meshgrid(*[(0, n - 1) for n in scan.shape])).reshape(3, -1).T
    lps = index @ _affine_by_pydicom(files)[:3, :3].T + _affine_by_pydicom(files)[:3, 3]
    assert np.abs(lps * [-1, -1, 1] - geometry.index_to_world(index)).max() < 1e-3


def test_a_ct_file_gives_back_its_hounsfield_values(ct_series: Path, ct_scan: Scan) -> None:
    for k, path in enumerate(sorted(ct_series.iterdir())):
        dataset = pydicom.dcmread(path)
        hu = dataset.pixel_array.astype(float) * dataset.RescaleSlope + dataset.RescaleIntercept
        assert np.array_equal(hu, to_slices(ct_scan.voxels)[k])


def test_a_pet_file_gives_back_its_suv_by_the_formula_of_the_standard(tmp_path: Path) -> None:
    scan = phantom.scan("PT", shape=(32, 48, 4))
    for k, path in enumerate(phantom.write_dicom(scan, tmp_path)):
        dataset = pydicom.dcmread(path)
        activity = dataset.pixel_array * float(dataset.RescaleSlope) + float(dataset.RescaleIntercept)
        # 70 kg; 370 MBq injected one hour before the series: 370e6 * 2^(-3600/6586.2) = 253.312 MBq are left
        suv = activity * 70_000 / 253.312e6
        assert np.abs(suv - to_slices(scan.voxels)[k]).max() < 1e-3


def test_two_runs_write_the_same_bytes(tmp_path: Path) -> None:
    scan = phantom.scan("MR", shape=(24, 20, 3))
    first, second = (phantom.write_dicom(scan, tmp_path / name) for name in "ab")
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]


@pytest.mark.parametrize("family", MODALITIES)
def test_files_are_valid_objects_of_their_modality(family: str, tmp_path: Path, dciodvfy) -> None:
    shape = {"XR": None, "MG": None}.get(family, (64, 48, 2))
    for path in phantom.write_dicom(phantom.scan(family, shape=shape), tmp_path):
        accepted = ("for value 3 of attribute <Image Type>", "attribute <View Position>")
        assert [line for line in dciodvfy(path) if not any(a in line for a in accepted)] == []


def test_cr_storage_and_a_cine_are_valid_too(tmp_path: Path, dciodvfy) -> None:
    radiograph = replace(phantom.scan("XR", shape=(64, 80, 1)), modality="CR")
    (cr,) = phantom.write_dicom(radiograph, tmp_path / "cr")
    (cine,) = phantom.write_dicom(phantom.scan("US", shape=(64, 48, 5)), tmp_path / "us")
    assert dciodvfy(cr) == dciodvfy(cine) == []
    assert pydicom.dcmread(cine).NumberOfFrames == 5


def test_enhanced_objects_hold_a_position_for_each_frame(letter: Scan) -> None:
    dataset = datasets.multiframe(letter)
    positions = [g.PlanePositionSequence[0].ImagePositionPatient for g in dataset.PerFrameFunctionalGroupsSequence]
    expected = letter.geometry.index_to_world([[0, 0, k] for k in range(11)]) * [-1, -1, 1]
    assert np.abs(np.array(positions, float) - expected).max() < 1e-3


def test_uids_are_valid_and_depend_on_their_name_alone() -> None:
    assert modules.uid("a", 1) == modules.uid("a", 1) != modules.uid("a", 2)
    assert pydicom.uid.UID(modules.uid("a")).is_valid
