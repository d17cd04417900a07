"""Cropping: voxels, colours and places of what remains are those of before."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import medcolor
from medcolor import phantom
from medcolor.errors import GeometryError, SettingError
from medcolor.scan import Finding, Scan, Severity
from medcolor.viewing.cropping import Box, crop, crop_color

BOX = Box((10, 40), (8, 30), (1, 4))


@st.composite
def boxes(draw: st.DrawFn, shape: tuple[int, int, int]) -> Box:
    ranges = []
    for side in shape:
        first = draw(st.integers(0, side - 1))
        ranges.append((first, draw(st.integers(first + 1, side))))
    return Box(*ranges)


@given(box=boxes((23, 17, 11)))
@settings(max_examples=40, deadline=None)
def test_every_voxel_keeps_its_value_and_its_place(box: Box) -> None:
    scan = phantom.letter()
    part = crop(scan, box)
    assert part.shape == box.shape
    index = phantom.letter_index(part.voxels, scan.shape)
    places = np.moveaxis(np.indices(part.shape), 0, -1)
    assert np.allclose(part.geometry.index_to_world(places), scan.geometry.index_to_world(index))
    assert part.voxels.transpose(2, 1, 0).flags.c_contiguous


def test_colour_is_cut_with_its_scan_and_says_so(ct_scan: Scan) -> None:
    whole = medcolor.load_colorizer("physics")(ct_scan)
    part = crop_color(whole, BOX)
    assert np.array_equal(part.rgb, whole.rgb[10:40, 8:30, 1:4])
    assert part.geometry.matches(crop(ct_scan, BOX).geometry)
    assert part.provenance.options["crop"] == {"i": [10, 40], "j": [8, 30], "k": [1, 4]}
    assert part.provenance.digest != whole.provenance.digest


def test_padding_and_source_colour_are_cut_too(ct_scan: Scan) -> None:
    padding = np.zeros(ct_scan.shape, bool)
    padding[:12] = True
    rgb = np.zeros((*ct_scan.shape, 3), np.uint8)
    rgb[20, 20, 2] = 9
    scan = replace(ct_scan, padding=padding, rgb=rgb, colored=padding)
    part = crop(scan, BOX)
    assert np.array_equal(part.padding, padding[10:40, 8:30, 1:4])
    assert np.array_equal(part.colored, padding[10:40, 8:30, 1:4])
    assert part.rgb[10, 12, 1, 0] == 9
    assert crop(scan, Box((20, 40), (8, 30), (1, 4))).padding is None


@pytest.mark.parametrize("box", [BOX, Box((0, 64), (0, 48), (2, 5))])
def test_cropped_colour_dicom_lies_where_the_source_lay(
    ct_series: Path, tmp_path: Path, dciodvfy: object, box: Box
) -> None:
    scan = medcolor.read(ct_series)
    colored = crop_color(medcolor.load_colorizer("physics")(scan), box)
    written = medcolor.write(colored, tmp_path / "out", format="dicom")
    uids = {pydicom.dcmread(p, stop_before_pixels=True).SOPInstanceUID for p in written}
    whole = medcolor.write(medcolor.load_colorizer("physics")(scan), tmp_path / "whole", format="dicom")
    assert uids.isdisjoint(pydicom.dcmread(p, stop_before_pixels=True).SOPInstanceUID for p in whole)
    for number, path in enumerate(written):
        head = pydicom.dcmread(path)
        world = scan.geometry.to_lps() @ [box.i[0], box.j[0], box.k[0] + number, 1]
        assert np.allclose([float(x) for x in head.ImagePositionPatient], world[:3], atol=1e-3)
        assert (head.Columns, head.Rows) == box.shape[:2]
        assert np.array_equal(head.pixel_array, colored.rgb[:, :, number].transpose(1, 0, 2))
        assert not [line for line in dciodvfy(path) if line.startswith("Error")]  # type: ignore[operator]


def test_a_box_is_drawn_around_voxels_and_stays_inside(ct_scan: Scan) -> None:
    assert Box.around([[-5, 3.2, 1], [9.6, 70, 1.4]], ct_scan.shape) == Box((0, 11), (3, 48), (1, 2))
    with pytest.raises(SettingError, match="inside"):
        Box.around([[100, 3, 1], [120, 9, 1]], ct_scan.shape)
    with pytest.raises(SettingError, match="along k"):
        crop(ct_scan, Box((0, 64), (0, 48), (0, 7)))


def test_unevenly_spaced_slices_lose_slices_only(ct_scan: Scan) -> None:
    uneven = replace(ct_scan, audit=(Finding("gap", "a slice is missing", Severity.IRREGULAR),))
    assert crop(uneven, Box((0, 64), (0, 48), (1, 3))).irregular
    with pytest.raises(GeometryError, match="unevenly"):
        crop(uneven, BOX)
