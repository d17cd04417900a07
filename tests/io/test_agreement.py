"""One asymmetric phantom through every pair of writer and reader: each voxel stays where it is in the patient."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from numpy.typing import NDArray

from medcolor import phantom
from medcolor.color_scan import ColorScan, Law, Provenance
from medcolor.errors import GeometryError
from medcolor.geometry import Geometry, Space
from medcolor.io import read, write
from medcolor.scan import Scan
from tests.strategies import geometries

LIMIT_MM = 1e-3
# nibabel's and ITK's SWIG layers, at import
pytestmark = pytest.mark.filterwarnings("ignore:builtin type .* has no __module__ attribute:DeprecationWarning")

VOLUMES = ["a.nii.gz", "a.nii", "a.nrrd", "a.mha", "a.mhd"]
EVERY = [*VOLUMES, "a.tif", "slices"]
MANY = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def colored(geometry: Geometry) -> ColorScan:
    return ColorScan(phantom.letter_rgb(geometry.shape), geometry, Provenance("physics", Law.LIGHTNESS, "w"), "CT")


def gap_mm(affine: NDArray[Any], geometry: Geometry) -> float:
    """Largest distance between where two affines (RAS) put any voxel."""
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in geometry.shape])).reshape(3, -1)
    moved = (affine - geometry.affine)[:3] @ np.vstack([corners, np.ones(corners.shape[1])])
    return float(np.linalg.norm(moved, axis=0).max())


def with_nibabel(path: Path) -> tuple[NDArray[Any], NDArray[Any]]:
    import nibabel

    image = nibabel.load(path)
    pixels = np.asarray(image.dataobj)
    if pixels.dtype.fields:
        pixels = np.stack([pixels[c] for c in "RGB"], axis=-1)
    return pixels, image.affine


def with_itk(path: Path) -> tuple[NDArray[Any], NDArray[Any]]:
    import SimpleITK

    image = SimpleITK.ReadImage(str(path))
    direction = np.reshape(image.GetDirection(), (3, 3))
    affine = np.eye(4)
    affine[:3, :3] = direction * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    pixels = SimpleITK.GetArrayFromImage(image)
    return pixels.transpose(2, 1, 0, *range(3, pixels.ndim)), np.diag([-1.0, -1, 1, 1]) @ affine


OUTSIDE: list[tuple[str, Callable[[Path], tuple[NDArray[Any], NDArray[Any]]]]] = [
    ("a.nii.gz", with_nibabel),
    ("a.nii.gz", with_itk),
    ("a.nii", with_itk),
    ("a.nrrd", with_itk),
    ("a.mha", with_itk),
    ("a.mhd", with_itk),
]


@pytest.mark.parametrize("name", EVERY)
@MANY
@given(geometry=geometries())
def test_colour_comes_back_at_its_place_through_our_own_reader(name: str, geometry: Geometry) -> None:
    with TemporaryDirectory() as folder:
        image = colored(geometry)
        write(image, Path(folder) / name)
        back = read(Path(folder) / name)
        assert back.geometry.matches(geometry, atol=LIMIT_MM)
        pixels = back.rgb if back.rgb is not None else np.repeat(back.voxels[..., None], 3, axis=-1)
        np.testing.assert_array_equal(pixels, image.rgb)
        assert back.modality == "CT"


@pytest.mark.parametrize(("name", "load"), OUTSIDE)
@MANY
@example(geometry=phantom.oblique((5, 4, 3), (1, 1, 1), angles=(0, 0, 180), origin=(1000.0, -900.0, 800.0)))
@example(geometry=phantom.oblique((9, 8, 6), (0.3, 0.4, 12), angles=(179.99, 0.01, 0), origin=(-2000.0, 0, 2000.0)))
@given(geometry=geometries())
def test_nibabel_and_simpleitk_put_our_colour_where_it_belongs(
    name: str, load: Callable[[Path], tuple[NDArray[Any], NDArray[Any]]], geometry: Geometry
) -> None:
    with TemporaryDirectory() as folder:
        image = colored(geometry)
        (path, *_) = write(image, Path(folder) / name)
        pixels, affine = load(path)
        np.testing.assert_array_equal(pixels, image.rgb)
        assert gap_mm(affine, geometry) < LIMIT_MM


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nrrd", "a.mha"])
@MANY
@given(geometry=geometries())
def test_our_reader_agrees_with_files_that_simpleitk_wrote(name: str, geometry: Geometry) -> None:
    import SimpleITK

    letter = phantom.letter(geometry)
    image = SimpleITK.GetImageFromArray(letter.voxels.transpose(2, 1, 0))
    image.SetSpacing(geometry.spacing)
    lps = geometry.to_lps()
    image.SetOrigin(lps[:3, 3])
    image.SetDirection((lps[:3, :3] / np.asarray(geometry.spacing)).ravel())
    with TemporaryDirectory() as folder:
        path = Path(folder) / name
        SimpleITK.WriteImage(image, str(path))
        back = read(path, modality="MR")
    np.testing.assert_array_equal(back.voxels, letter.voxels)
    expected = gap_mm(back.geometry.affine, geometry)
    # SimpleITK stores a NIfTI pose as a single-precision quaternion too; near half turns that is its own error
    assert expected < (LIMIT_MM if name != "a.nii.gz" else 0.05)


@MANY
@given(geometry=geometries(shear=True))
def test_our_reader_agrees_with_files_that_nibabel_wrote(geometry: Geometry) -> None:
    import nibabel

    letter = phantom.letter(geometry)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.nii"
        nibabel.save(nibabel.Nifti1Image(np.asarray(letter.voxels), geometry.affine), path)
        back = read(path, modality="MR")
    np.testing.assert_array_equal(back.voxels, letter.voxels)
    assert gap_mm(back.geometry.affine, geometry) < LIMIT_MM


@MANY
@given(geometry=geometries(shear=True))
def test_a_tilted_gantry_is_kept_by_nifti_and_refused_by_itk_formats(geometry: Geometry) -> None:
    image = colored(geometry)
    with TemporaryDirectory() as folder:
        (path,) = write(image, Path(folder) / "a.nii")
        assert gap_mm(with_nibabel(path)[1], geometry) < LIMIT_MM
        assert read(path).geometry.matches(geometry, atol=LIMIT_MM)
        for name in ("a.nrrd", "a.mha"):
            if geometry.shear_degrees > 0.01 and min(geometry.shape[1:]) > 1:
                with pytest.raises(GeometryError, match="nifti"):
                    write(image, Path(folder) / name)
                assert not list(Path(folder).glob(f"{name}*"))
            else:
                with contextlib.suppress(GeometryError):
                    (path,) = write(image, Path(folder) / name)
                    assert gap_mm(with_itk(path)[1], geometry) < LIMIT_MM


@pytest.mark.parametrize("name", [*VOLUMES, "a.tif"])
def test_a_gray_phantom_keeps_values_and_place(name: str, tmp_path: Path, letter: Scan) -> None:
    write(letter, tmp_path / name)
    back = read(tmp_path / name)
    np.testing.assert_array_equal(back.voxels, letter.voxels)
    assert back.voxels.dtype == letter.voxels.dtype
    assert (back.modality, back.units, back.windows) == (letter.modality, letter.units, letter.windows)
    assert back.geometry.matches(letter.geometry, atol=LIMIT_MM)


@pytest.mark.parametrize("name", [*VOLUMES, "slices", "a.tif"])
@pytest.mark.parametrize("space", [Space.DETECTOR, Space.PIXEL])
def test_an_image_without_a_pose_comes_back_without_one(name: str, space: Space, tmp_path: Path) -> None:
    spacing = (0.1, 0.2, 1.0) if space is Space.DETECTOR else (1, 1, 1)
    geometry = Geometry.from_spacing((6, 5, 1), spacing, space)
    write(colored(geometry), tmp_path / name)
    back = read(tmp_path / name)
    assert back.geometry.space is space
    assert back.geometry.matches(geometry, atol=1e-6)


@pytest.mark.parametrize("layout", ["dicom", "dicom-multiframe"])
def test_dicom_in_and_volume_out_agree_voxel_for_voxel(layout: str, tmp_path: Path, letter: Scan) -> None:
    phantom.write_dicom(letter, tmp_path / "source")
    scan = read(tmp_path / "source")
    np.testing.assert_array_equal(scan.voxels, letter.voxels)
    image = ColorScan.of(scan, phantom.letter_rgb(scan.shape), Provenance("physics", Law.LIGHTNESS, "w"))
    write(image, tmp_path / "color", format=layout)
    for name in VOLUMES:
        write(image, tmp_path / name)
        assert read(tmp_path / name).geometry.matches(letter.geometry, atol=LIMIT_MM)
    back = read(tmp_path / "color")
    assert back.geometry.matches(letter.geometry, atol=LIMIT_MM)
    np.testing.assert_array_equal(back.rgb, image.rgb)


def test_png_rows_are_the_rows_of_the_slice(tmp_path: Path, letter: Scan) -> None:
    from PIL import Image

    image = colored(letter.geometry)
    paths = write(image, tmp_path / "slices")
    assert [p.name for p in paths] == [f"{k + 1:04d}.png" for k in range(letter.shape[2])]
    for k, path in enumerate(paths):
        with Image.open(path) as opened:
            pixels = np.array(opened)
        assert pixels.shape == (letter.shape[1], letter.shape[0], 3)
        np.testing.assert_array_equal(pixels, image.rgb[:, :, k].transpose(1, 0, 2))
    one = read(paths[4])
    expected = letter.geometry.index_to_world((0, 0, 4))
    np.testing.assert_allclose(one.geometry.origin, expected, atol=LIMIT_MM)


def test_one_png_of_one_slice_may_be_named(tmp_path: Path, letter: Scan) -> None:
    flat = colored(replace(letter.geometry, shape=(23, 17, 1)))
    assert write(flat, tmp_path / "one.png") == [tmp_path / "one.png"]
    np.testing.assert_array_equal(read(tmp_path / "one.png").rgb, flat.rgb)
