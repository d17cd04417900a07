from __future__ import annotations

import dataclasses

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nibabel.affines import voxel_sizes

from medcolor.errors import GeometryError
from medcolor.geometry import Geometry, Space

angles = st.floats(-180, 180)
spacings = st.tuples(*[st.floats(0.1, 10)] * 3)
origins = st.tuples(*[st.floats(-1000, 1000)] * 3)
shapes = st.tuples(*[st.integers(1, 40)] * 3)


@st.composite
def geometries(draw: st.DrawFn) -> Geometry:
    from scipy.spatial.transform import Rotation

    rotation = Rotation.from_euler("xyz", draw(st.tuples(angles, angles, angles)), degrees=True).as_matrix()
    flips = np.diag(draw(st.tuples(*[st.sampled_from([-1.0, 1.0])] * 3)))
    affine = np.eye(4)
    affine[:3, :3] = rotation @ flips @ np.diag(draw(spacings))
    affine[:3, 3] = draw(origins)
    return Geometry(draw(shapes), affine)


@given(geometries())
def test_index_to_world_and_back_is_identity(geometry: Geometry) -> None:
    index = np.array([[0, 0, 0], [1, 2, 3], [-4.5, 10, 0.25]])
    np.testing.assert_allclose(geometry.world_to_index(geometry.index_to_world(index)), index, atol=1e-6)


@given(geometries())
def test_lps_and_back_is_the_same_grid(geometry: Geometry) -> None:
    again = Geometry.from_lps(geometry.shape, geometry.to_lps())
    assert geometry.matches(again, atol=1e-12)
    np.testing.assert_array_equal(again.affine[:2], geometry.affine[:2])


@given(geometries())
def test_spacing_and_axcodes_agree_with_nibabel(geometry: Geometry) -> None:
    np.testing.assert_allclose(geometry.spacing, voxel_sizes(geometry.affine), rtol=1e-9)
    direction = np.abs(geometry.direction)
    if np.sort(direction, axis=0)[-1].min() - np.sort(direction, axis=0)[-2].max() > 0.1:  # clear of ties
        assert geometry.axcodes == "".join(nib.aff2axcodes(geometry.affine))


@given(geometries(), geometries())
def test_matches_is_symmetric_and_reflexive(a: Geometry, b: Geometry) -> None:
    assert a.matches(a)
    assert a.matches(b) == b.matches(a)


@pytest.mark.parametrize("change", ["shape", "origin", "spacing", "space"])
def test_matches_is_false_after_changing_one_field(change: str) -> None:
    geometry = Geometry((4, 5, 6), np.diag([1.0, 2.0, 3.0, 1.0]))
    affine = geometry.affine.copy()
    match change:
        case "shape":
            other = dataclasses.replace(geometry, shape=(4, 5, 7))
        case "origin":
            affine[0, 3] += 0.01
            other = dataclasses.replace(geometry, affine=affine)
        case "spacing":
            affine[1, 1] += 0.01
            other = dataclasses.replace(geometry, affine=affine)
        case _:
            other = dataclasses.replace(geometry, space=Space.PIXEL)
    assert not geometry.matches(other)


@pytest.mark.parametrize(
    ("shape", "affine", "says"),
    [
        ((4, 5), np.eye(4), "shape"),
        ((4, 5, 0), np.eye(4), "shape"),
        ((4, 5, 6), np.eye(3), "4 x 4"),
        ((4, 5, 6), np.diag([1, 1, 1, 2]), "last row"),
        ((4, 5, 6), np.diag([1, 0, 1, 1]), "singular"),
        ((4, 5, 6), np.diag([1, np.nan, 1, 1]), "finite"),
        ((4, 5, 6), np.array([[1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]), "singular"),
    ],
)
def test_a_bad_grid_is_refused_with_what_is_wrong(shape: tuple[int, ...], affine: np.ndarray, says: str) -> None:
    with pytest.raises(GeometryError, match=says):
        Geometry(shape, affine)  # type: ignore[arg-type]


def test_very_small_spacing_is_not_taken_for_singular() -> None:
    assert Geometry((2, 2, 2), np.diag([1e-3, 1e-3, 1e-3, 1])).spacing == pytest.approx((1e-3,) * 3)


def test_the_affine_is_a_read_only_copy() -> None:
    affine = np.eye(4)
    geometry = Geometry((2, 2, 2), affine)
    affine[0, 0] = 5
    assert geometry.affine[0, 0] == 1
    with pytest.raises(ValueError, match="read-only"):
        geometry.affine[0, 0] = 2


def test_gantry_tilt_is_kept_as_shear_and_measured() -> None:
    affine = np.eye(4)
    affine[1, 2] = np.tan(np.radians(10))
    assert Geometry((2, 2, 2), affine).shear_degrees == pytest.approx(10, abs=1e-9)


def test_voxel_volume_of_a_sheared_grid_is_that_of_the_parallelepiped() -> None:
    affine = np.diag([2.0, 3.0, 5.0, 1.0])
    affine[1, 2] = 4
    assert Geometry((2, 2, 2), affine).voxel_volume == pytest.approx(30)


def test_require_match_names_both_grids() -> None:
    a, b = Geometry((4, 4, 4), np.eye(4)), Geometry((2, 4, 4), np.diag([2, 1, 1, 1]))
    with pytest.raises(GeometryError, match=r"4 x 4 x 4 at 1 x 1 x 1 mm.*2 x 4 x 4 at 2 x 1 x 1 mm"):
        a.require_match(b, "Scan and mask")
