"""Three planes through one voxel: every pixel is a voxel, in its place, turned as radiologists read it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medcolor import phantom
from medcolor.scan import Scan, to_slices
from medcolor.viewing.planes import planes

FLIPS = st.tuples(st.booleans(), st.booleans(), st.booleans())


def aligned(flip: tuple[bool, bool, bool]) -> Scan:
    return phantom.letter(phantom.oblique((7, 6, 5), (1.0, 1.5, 3.0), flip=flip, origin=(4, -5, 6)))


@given(flip=FLIPS, where=st.tuples(st.integers(0, 4), st.integers(0, 5), st.integers(0, 6)))
@settings(max_examples=25, deadline=None)
def test_each_pixel_of_each_pane_is_the_voxel_it_says(flip: tuple[bool, bool, bool], where: tuple[int, ...]) -> None:
    scan = aligned(flip)
    found = planes(scan)
    layer = found.placement.to_layer(to_slices(scan.voxels))
    position = found.of_world(found.to_world((where[0], where[1], where[2])))
    assert position == where
    for pane in found.panes:
        picture = pane.picture(layer, position)
        row, column = pane.to_pixel(position)
        assert picture[row, column] == layer[position]
        assert pane.to_position(row, column, position) == position
        assert pane.to_position(0, 0, position)[pane.axis] == position[pane.axis]
        corner = pane.to_position(0, picture.shape[1] - 1, position)
        assert picture[0, -1] == layer[corner]


@given(flip=FLIPS)
@settings(max_examples=8, deadline=None)
def test_left_is_on_the_right_and_the_head_is_up_however_the_grid_runs(flip: tuple[bool, bool, bool]) -> None:
    scan = aligned(flip)
    found = planes(scan)
    by_title = {pane.title: pane for pane in found.panes}
    assert by_title["axial"].letters == ("R", "L", "A", "P")
    assert by_title["coronal"].letters == ("R", "L", "S", "I")
    assert by_title["sagittal"].letters == ("A", "P", "S", "I")

    def ras(pane_title: str, row: int, column: int) -> np.ndarray:
        pane = by_title[pane_title]
        return scan.geometry.index_to_world(found.placement.voxel(pane.to_position(row, column, (2, 2, 2))))

    assert ras("axial", 0, 0)[0] > ras("axial", 0, 5)[0]  # RAS x falls toward the patient's left
    assert ras("axial", 0, 0)[1] > ras("axial", 4, 0)[1]
    assert ras("coronal", 0, 0)[2] > ras("coronal", 4, 0)[2]
    assert ras("coronal", 0, 0)[0] > ras("coronal", 0, 5)[0]
    assert ras("sagittal", 0, 0)[2] > ras("sagittal", 4, 0)[2]
    assert ras("sagittal", 0, 0)[1] > ras("sagittal", 0, 4)[1]


def test_the_acquired_plane_comes_first_and_sizes_are_true() -> None:
    coronal = planes(phantom.scan("PT", shape=(24, 40, 9)))
    assert [pane.title for pane in coronal.panes] == ["coronal", "axial", "sagittal"]
    scan = aligned((False, False, False))
    axial = planes(scan).panes[0]
    assert axial.size == pytest.approx((6 * 1.5, 7 * 1.0))
    assert [pane.title for pane in planes(phantom.letter()).panes] == ["across slices", "across rows", "across columns"]


def test_steps_stay_inside_the_scan() -> None:
    found = planes(aligned((False, False, False)))
    pane = found.panes[0]
    assert pane.stepped(found.middle, 99)[pane.axis] == pane.shape[pane.axis] - 1
    assert pane.stepped(found.middle, -99)[pane.axis] == 0
    assert found.of_world((0.0, 1e6, -1e6, 1e6))[0] in {0, 4}


def test_a_pane_shows_colours_and_is_never_the_layer_itself() -> None:
    found = planes(aligned((False, False, False)))
    layer = np.zeros((*found.shape, 4), np.uint8)
    for pane in found.panes:
        for made in (pane.picture(layer, found.middle), pane.colors(layer, found.middle)):
            made[...] = 7
            assert made.flags.c_contiguous
        assert made.shape[-1] == 3
    assert not layer.any()
