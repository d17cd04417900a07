"""Where a scan lies on a canvas, checked against nibabel and SimpleITK, and the letters against the affine."""

from __future__ import annotations

from itertools import permutations, product
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from medcolor import phantom, read
from medcolor.geometry import Geometry, Space
from medcolor.scan import MODALITIES, Finding, KAxis, Scan, Severity, to_slices
from medcolor.viewing.placement import letters, place

SHAPE, SPACING, ORIGIN = (7, 6, 5), (0.8, 1.3, 4.0), (-31.5, 42.25, 118.0)
POSES = list(product(permutations(range(3)), product((1, -1), repeat=3)))


def scan_on(geometry: Geometry, **more: object) -> Scan:
    ni, nj, nk = geometry.shape
    voxels = np.arange(ni * nj * nk, dtype=np.int16).reshape(nk, nj, ni).transpose(2, 1, 0)
    return Scan(voxels, geometry, "CT", "HU", **more)  # type: ignore[arg-type]


def posed(order: tuple[int, ...], signs: tuple[int, ...], shape: tuple[int, int, int] = SHAPE) -> Geometry:
    """A grid whose i, j, k run along world axes ``order`` in directions ``signs``."""
    affine = np.eye(4)
    affine[:3, :3] = 0
    for voxel, (world, sign) in enumerate(zip(order, signs, strict=True)):
        affine[world, voxel] = sign * SPACING[voxel]
    affine[:3, 3] = ORIGIN
    return Geometry(shape, affine)


def on_canvas(scan: Scan, i: int, j: int, k: int) -> np.ndarray:
    """Where a viewer draws a voxel: (z, y, x)."""
    where = place(scan)
    layer = where.to_layer(to_slices(scan.voxels))
    position = where.position(i, j, k)
    assert layer[position] == scan.voxels[i, j, k]
    assert where.voxel(position) == (i, j, k)
    return np.array(position) * where.scale + where.translate


@pytest.mark.parametrize(("order", "signs"), POSES)
def test_every_straight_pose_lies_where_nibabel_says(order: tuple[int, ...], signs: tuple[int, ...]) -> None:
    scan = scan_on(posed(order, signs))
    for index in ((0, 0, 0), (6, 0, 0), (0, 5, 0), (0, 0, 4), (6, 5, 4), (3, 2, 1)):
        right, front, up = nib.affines.apply_affine(scan.geometry.affine, index)
        np.testing.assert_allclose(on_canvas(scan, *index), (up, -front, -right), atol=1e-9)
    where = place(scan)
    assert where.units == ("mm", "mm", "mm")
    assert where.axis_labels == ("z", "y", "x")
    assert where.note is None
    assert where.affine is None
    assert np.shares_memory(where.to_layer(to_slices(scan.voxels)), scan.voxels)


@pytest.mark.parametrize(
    ("direction", "name"),
    [
        ((1, 0, 0, 0, 1, 0, 0, 0, 1), "axial"),
        ((1, 0, 0, 0, 0, 1, 0, -1, 0), "coronal"),
        ((0, 0, -1, 1, 0, 0, 0, -1, 0), "sagittal"),
        ((-1, 0, 0, 0, -1, 0, 0, 0, 1), "prone"),
    ],
)
def test_a_file_written_by_simpleitk_lies_where_simpleitk_says(
    tmp_path: Path, direction: tuple[float, ...], name: str
) -> None:
    image = sitk.GetImageFromArray(np.arange(5 * 6 * 7, dtype=np.int16).reshape(5, 6, 7))
    image.SetSpacing(SPACING)
    image.SetOrigin(ORIGIN)
    image.SetDirection(direction)
    sitk.WriteImage(image, str(tmp_path / f"{name}.nrrd"))
    scan = read(tmp_path / f"{name}.nrrd", modality="CT")
    values = {int(value): index for index, value in np.ndenumerate(scan.voxels)}
    for point in ((0, 0, 0), (6, 5, 4), (2, 3, 1)):
        x, y, z = image.TransformIndexToPhysicalPoint(point)
        np.testing.assert_allclose(on_canvas(scan, *values[image.GetPixel(*point)]), (z, y, x), atol=1e-3)


@pytest.mark.parametrize(("order", "signs"), POSES)
def test_the_acquired_plane_is_shown_as_radiologists_read_it(order: tuple[int, ...], signs: tuple[int, ...]) -> None:
    scan = scan_on(posed(order, signs))
    where = place(scan)
    stepped, down, right = where.order
    assert stepped == where.slice_axis
    assert where.to_layer(to_slices(scan.voxels)).shape[stepped] == scan.shape[2]
    assert down < right
    shown = letters(scan, stepped, (where.upward, False))
    through = ("LR", "AP", "SI")[order[2]]
    expected = {"SI": ("R", "L", "A", "P"), "AP": ("R", "L", "S", "I"), "LR": ("A", "P", "S", "I")}
    assert shown == expected[through]


@settings(max_examples=60, deadline=None)
@given(
    pose=st.sampled_from(POSES),
    axis=st.integers(0, 2),
    flipped=st.tuples(st.booleans(), st.booleans()),
)
def test_letters_say_where_the_canvas_ends(
    pose: tuple[tuple[int, ...], tuple[int, ...]], axis: int, flipped: tuple[bool, bool]
) -> None:
    scan = scan_on(posed(*pose))
    left, right, top, bottom = letters(scan, axis, flipped)
    world = {"S": (1, 0, 0), "I": (-1, 0, 0), "P": (0, 1, 0), "A": (0, -1, 0), "L": (0, 0, 1), "R": (0, 0, -1)}
    down, across = (n for n in range(3) if n != axis)
    assert np.dot(world[bottom], np.eye(3)[down]) == (-1 if flipped[0] else 1)
    assert np.dot(world[right], np.eye(3)[across]) == (-1 if flipped[1] else 1)
    assert np.add(world[left], world[right]).tolist() == [0, 0, 0]
    assert np.add(world[top], world[bottom]).tolist() == [0, 0, 0]


def test_an_oblique_grid_keeps_its_own_axes_and_true_spacing_and_says_so() -> None:
    geometry = phantom.oblique(SHAPE, SPACING, angles=(20, 0, 0), origin=ORIGIN)
    scan = scan_on(geometry)
    where = place(scan)
    np.testing.assert_allclose(np.abs(where.scale), SPACING[::-1])
    assert where.axis_labels == ("slice", "row", "column")
    assert where.order == where.axes == (0, 1, 2)
    assert where.note is not None
    assert "Oblique" in where.note
    assert where.affine is not None
    np.testing.assert_array_equal(where.affine, geometry.affine)
    down = geometry.to_lps()[:3, 1]
    assert letters(scan, 0) == (("R", "L", "AI", "PS") if down[2] > 0 else ("R", "L", "AS", "PI"))


@settings(max_examples=60, deadline=None)
@given(pose=st.sampled_from(POSES), angles=st.tuples(*[st.floats(-25, 25)] * 3))
def test_an_oblique_grid_is_turned_as_the_nearest_straight_one(
    pose: tuple[tuple[int, ...], tuple[int, ...]], angles: tuple[float, float, float]
) -> None:
    straight = posed(*pose)
    turned = np.eye(4)
    turned[:3, :3] = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
    scan = scan_on(Geometry(straight.shape, turned @ straight.affine))
    there, where = place(scan_on(straight)), place(scan)
    assert (where.axes, where.order, where.upward) == (there.axes, there.order, there.upward)
    np.testing.assert_allclose(where.scale, there.scale, rtol=1e-6 if where.affine is not None else 0.1)
    for axis in range(3):
        flipped = (where.upward, False)
        said, expected = letters(scan, axis, flipped), letters(scan_on(straight), axis, flipped)
        assert [one[0] for one in said] == list(expected)


def test_oblique_letters_follow_nibabel() -> None:
    for angles in ((20, -15, 35), (50, 0, 0), (0, 40, 0), (10, 80, 5)):
        scan = scan_on(phantom.oblique(SHAPE, SPACING, angles=angles))
        where, codes = place(scan), nib.aff2axcodes(scan.geometry.affine)
        opposite = dict(zip("LRPASI", "RLAPIS", strict=True))
        for axis in range(3):
            down, across = (n for n in range(3) if n != axis)
            _, right, _, bottom = letters(scan, axis)
            for layer, letter in ((down, bottom), (across, right)):
                code = codes[2 - where.axes[layer]]
                assert letter[0] == (code if where.scale[layer] > 0 else opposite[code])


def test_a_tilt_of_less_than_half_a_voxel_is_no_obliquity_and_a_gantry_tilt_is() -> None:
    straight = posed((0, 1, 2), (-1, -1, 1), (50, 50, 10)).affine
    for shear, expected in ((0.01, True), (0.5, False)):
        affine = straight.copy()
        affine[1, 2] += shear
        assert (place(scan_on(Geometry((50, 50, 10), affine))).affine is None) is expected


def test_uneven_slices_are_said() -> None:
    finding = Finding("uneven", "gap", Severity.IRREGULAR)
    scan = scan_on(posed((0, 1, 2), (-1, -1, 1)), audit=(finding,))
    assert "evenly" in (place(scan).note or "")


@pytest.mark.parametrize(
    ("space", "k_axis", "units", "first"),
    [
        (Space.PIXEL, KAxis.SPACE, ("pixel",) * 3, "slice"),
        (Space.DETECTOR, KAxis.SPACE, ("mm",) * 3, "slice"),
        (Space.DETECTOR, KAxis.TIME, ("pixel", "mm", "mm"), "frame"),
        (Space.DETECTOR, KAxis.VIEW, ("pixel", "mm", "mm"), "view"),
        (Space.PATIENT, KAxis.TIME, ("pixel", "mm", "mm"), "frame"),
    ],
)
def test_what_has_no_place_in_the_patient_lies_at_zero_with_its_own_spacing(
    space: Space, k_axis: KAxis, units: tuple[str, ...], first: str
) -> None:
    geometry = Geometry.from_spacing(SHAPE, SPACING if space is not Space.PIXEL else (1, 1, 1), space)
    where = place(scan_on(geometry, k_axis=k_axis))
    assert where.units == units
    assert where.axis_labels == (first, "row", "column")
    assert where.scale[1:] == (geometry.spacing[1], geometry.spacing[0])
    assert where.scale[0] == (1.0 if units[0] == "pixel" else geometry.spacing[2])
    assert where.translate == (0, 0, 0)


def test_a_projection_has_the_letters_of_its_file_or_none() -> None:
    geometry = Geometry.from_spacing((7, 6, 1), (1, 1, 1), Space.DETECTOR)
    assert letters(scan_on(geometry), 0) == ("", "", "", "")
    said = scan_on(geometry, facts={"PatientOrientation": ("L", "F")})
    assert letters(said, 0) == ("R", "L", "S", "I")
    assert letters(said, 0, (True, True)) == ("L", "R", "I", "S")
    odd = scan_on(geometry, facts={"PatientOrientation": ("LEFT", "7")})
    assert letters(odd, 0) == ("", "", "", "")


@pytest.mark.parametrize("family", MODALITIES)
def test_every_phantom_can_be_placed(family: str) -> None:
    scan = phantom.scan(family)
    where = place(scan)
    assert where.to_layer(to_slices(scan.voxels)).ndim == 3
    assert len(letters(scan, where.order[0], (where.upward, False))) == 4
    assert all(np.isfinite((*where.scale, *where.translate)))
