"""Labels on the grid of a scan: the right voxel, or a refusal, and never silently another one."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
from label_scenes import SHAPE, blobs, gray_of, oblique, scan_on

from medcolor.color import restore_gray
from medcolor.colorizers.label_grid import place
from medcolor.colorizers.segmentation import SegmentationColorizer
from medcolor.errors import GeometryError, MedcolorWarning
from medcolor.geometry import Geometry, Space
from medcolor.scan import Finding, KAxis, Severity, Source, from_slices, to_slices
from medcolor.tissue_map import Segmentation


def moved(labels: Segmentation, axes: tuple[int, int, int], flips: tuple[bool, bool, bool]) -> Segmentation:
    """Store the same voxels along other axes; the world stays."""
    array, affine = labels.labels, labels.geometry.affine
    order = np.eye(4)[:, [*axes, 3]]
    array, affine = array.transpose(axes), affine @ order
    for axis, flip in enumerate(flips):
        if flip:
            turn = np.eye(4)
            turn[axis, axis], turn[axis, 3] = -1, array.shape[axis] - 1
            array, affine = np.flip(array, axis), affine @ turn
    return Segmentation(np.ascontiguousarray(array), Geometry(array.shape, affine), labels.names)


@pytest.mark.parametrize("axes", [(0, 1, 2), (1, 0, 2), (2, 0, 1), (2, 1, 0)])
@pytest.mark.parametrize("flips", [(False, False, False), (True, False, False), (True, True, True)])
def test_axes_in_another_order_give_the_same_colours_and_it_is_said(
    axes: tuple[int, int, int], flips: tuple[bool, bool, bool]
) -> None:
    scan = scan_on(oblique())
    labels = blobs(scan.geometry)
    expected = SegmentationColorizer(labels)(scan)
    other = moved(labels, axes, flips)
    found = SegmentationColorizer(other)(scan)
    np.testing.assert_array_equal(found.rgb, expected.rgb)
    same = axes == (0, 1, 2) and not any(flips)
    assert [f.code for f in found.audit] == ([] if same else ["labels-reordered"])


def test_a_part_of_the_scan_is_coloured_where_it_is() -> None:
    scan = scan_on(oblique())
    labels = blobs(scan.geometry)
    affine = scan.geometry.affine.copy()
    affine[:3, 3] = scan.geometry.index_to_world((3, 2, 1))
    part = Segmentation(labels.labels[3:10, 2:9, 1:5], Geometry((7, 7, 4), affine), labels.names)
    placed = place(part, scan)
    expected = np.zeros(SHAPE, np.uint16)
    expected[3:10, 2:9, 1:5] = labels.labels[3:10, 2:9, 1:5]
    np.testing.assert_array_equal(np.stack([placed.slice_of(k) for k in range(6)]), to_slices(expected))
    assert placed.findings[0].severity is Severity.NOTE


def test_another_grid_is_resampled_to_the_nearest_voxel_and_said_aloud() -> None:
    scan = scan_on(oblique((12, 10, 8), (1.1, 0.8, 2.0)))
    grid = Geometry((20, 18, 16), np.array([[-1.0, 0, 0, 41], [0, 1.2, 0.1, -16], [0, 0, 1.4, 0], [0, 0, 0, 1]]))
    labels = np.random.default_rng(4).integers(0, 4, grid.shape).astype(np.uint16)
    segmentation = Segmentation(labels, grid, {1: "a", 2: "b", 3: "c"})
    placed = place(segmentation, scan)
    found = from_slices(np.stack([placed.slice_of(k) for k in range(8)]))
    index = np.stack(np.meshgrid(*[np.arange(n) for n in scan.shape], indexing="ij"), axis=-1)
    place_there = grid.world_to_index(scan.geometry.index_to_world(index))
    nearest = np.rint(place_there).astype(int)
    inside = ((nearest >= 0) & (nearest < grid.shape)).all(axis=-1)
    clipped = np.clip(nearest, 0, np.array(grid.shape) - 1)
    expected = np.where(inside, labels[tuple(np.moveaxis(clipped, -1, 0))], 0)
    undecided = (np.abs(np.abs(place_there - nearest) - 0.5) < 1e-4).any(axis=-1)
    np.testing.assert_array_equal(found[~undecided], expected[~undecided])
    assert inside.any()
    assert not inside.all()
    with pytest.warns(MedcolorWarning, match="resampled"):
        colored = SegmentationColorizer(segmentation)(scan)
    assert [f.code for f in colored.audit] == ["labels-resampled"]
    np.testing.assert_array_equal(restore_gray(colored.rgb), gray_of(scan))


def header(uid: str) -> SimpleNamespace:
    return SimpleNamespace(get=lambda keyword, default=None: {"FrameOfReferenceUID": uid}.get(keyword, default))


def test_another_frame_of_reference_is_refused_and_an_unknown_one_is_not() -> None:
    geometry = oblique()
    scan = scan_on(geometry, source=Source("dicom", headers=(header("1.2.3"),)))
    labels = blobs(geometry)
    for uid in ("", "1.2.3"):
        assert place(dataclasses.replace(labels, frame_of_reference=uid), scan).findings == ()
    with pytest.raises(GeometryError, match="frames of reference") as caught:
        place(dataclasses.replace(labels, frame_of_reference="1.2.99"), scan)
    assert "1.2.99" not in str(caught.value)


def test_labels_that_cannot_be_brought_to_the_scan_are_refused() -> None:
    geometry = oblique()
    far = geometry.affine.copy()
    far[:3, 3] += 500
    thin = oblique((14, 11, 12), (0.9, 1.3, 1.25))
    gap = (Finding("gap", "x", Severity.IRREGULAR),)
    flat = Geometry.from_spacing(SHAPE, (1, 1, 1), Space.PIXEL)
    small = Geometry.from_spacing((7, 11, 6), (1, 1, 1), Space.PIXEL)
    cases = [
        (blobs(Geometry(SHAPE, far)), scan_on(geometry), "No label is within the scan"),
        (blobs(thin), scan_on(geometry, audit=gap), "not evenly spaced"),
        (blobs(thin), scan_on(geometry, k_axis=KAxis.TIME), "not evenly spaced"),
        (blobs(flat), scan_on(geometry), "without a position"),
        (blobs(small), scan_on(flat), "without a position"),
    ]
    for labels, scan, why in cases:
        with pytest.raises(GeometryError, match=why):
            SegmentationColorizer(labels)(scan)
    assert place(blobs(flat), scan_on(flat)).findings == ()
    assert place(blobs(geometry), scan_on(geometry, audit=gap)).findings == ()


def test_a_header_in_single_precision_is_the_same_grid() -> None:
    scan = scan_on(oblique())
    rounded = Geometry(SHAPE, scan.geometry.affine.astype(np.float32))
    assert place(blobs(rounded), scan).findings == ()
