"""Values are right from the constructor on, or are not made."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from medcolor.color_scan import ColorScan, Law, Provenance
from medcolor.errors import GeometryError
from medcolor.geometry import Geometry, Space
from medcolor.packed_mask import PackedMask
from medcolor.scan import Finding, KAxis, Scan, Severity, family, from_slices, to_slices
from medcolor.tissue_map import Segmentation, TissueMap
from medcolor.voi import Window

GRID = Geometry((4, 3, 2), np.diag([1.0, 2.0, 5.0, 1.0]))
VOXELS = np.arange(24, dtype=np.int16).reshape(4, 3, 2)
RGB = np.zeros((4, 3, 2, 3), np.uint8)


@pytest.mark.parametrize(
    ("fields", "error", "says"),
    [
        ({"voxels": VOXELS[:3]}, GeometryError, r"\(3, 3, 2\).*\(4, 3, 2\)"),
        ({"voxels": VOXELS.astype(bool)}, TypeError, "bool"),
        ({"voxels": VOXELS.astype(complex)}, TypeError, "complex"),
        ({"padding": np.zeros((4, 3, 1), bool)}, GeometryError, "padding"),
        ({"padding": np.zeros((4, 3, 2))}, TypeError, "bool"),
        ({"rgb": RGB.astype(float)}, GeometryError, "uint8"),
        ({"rgb": RGB[..., :2]}, GeometryError, "rgb"),
        ({"colored": np.ones((4, 3, 2), bool)}, ValueError, "needs Scan.rgb"),
        ({"rgb": RGB, "colored": np.ones((4, 3, 2))}, GeometryError, "bool"),
    ],
)
def test_a_scan_that_contradicts_itself_is_not_made(fields: dict[str, Any], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        Scan(**{"voxels": VOXELS, "geometry": GRID} | fields)


def test_arrays_of_values_are_read_only_and_the_callers_own_stays_writable() -> None:
    voxels = VOXELS.copy()
    scan = Scan(voxels, GRID)
    with pytest.raises(ValueError, match="read-only"):
        scan.voxels[0, 0, 0] = 1
    voxels[0, 0, 0] = 7  # no copy was made, and the caller keeps its rights
    assert scan.voxels[0, 0, 0] == 7


def test_a_value_shares_no_list_with_its_maker_and_knows_its_axis_by_name() -> None:
    windows, audit = [Window(40, 400)], [Finding("gap", "One slice is missing.", Severity.IRREGULAR)]
    scan = Scan(VOXELS, GRID, windows=windows, audit=audit, k_axis="time")  # type: ignore[arg-type]
    colored = ColorScan(RGB, GRID, Provenance("physics", Law.LIGHTNESS, ""), k_axis="view", audit=audit)  # type: ignore[arg-type]
    windows.clear()
    audit.clear()
    assert scan.windows == (Window(40, 400),)
    assert scan.irregular
    assert colored.irregular
    assert (scan.k_axis, colored.k_axis) == (KAxis.TIME, KAxis.VIEW)
    assert scan.k_axis is KAxis.TIME
    with pytest.raises(ValueError, match="depth"):
        Scan(VOXELS, GRID, k_axis="depth")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("code", "expected"),
    [("CT", "CT"), ("ct", "CT"), ("CR", "XR"), ("DX", "XR"), ("RG", "XR"), ("XR", "XR"), ("MG", "MG"), ("OT", None)],
)
def test_modality_codes_have_families(code: str, expected: str | None) -> None:
    assert family(code) == expected


def test_an_irregular_finding_makes_the_scan_irregular() -> None:
    assert not Scan(VOXELS, GRID, audit=(Finding("oblique", "tilted", Severity.NOTE),)).irregular
    assert Scan(VOXELS, GRID, audit=(Finding("gap", "a slice is missing", Severity.IRREGULAR),)).irregular


@given(arrays(np.bool_, st.tuples(*[st.integers(1, 20)] * 3)))
def test_a_packed_mask_is_the_mask_it_was_made_of(values: np.ndarray) -> None:
    mask = PackedMask(values)
    np.testing.assert_array_equal(np.asarray(mask), values)
    assert mask.count() == np.count_nonzero(values)
    for k in range(values.shape[2]):
        np.testing.assert_array_equal(from_slices(mask.slices(slice(k, k + 1))), values[:, :, k : k + 1])


def test_slices_are_a_view_and_their_own_inverse() -> None:
    assert np.shares_memory(to_slices(VOXELS), VOXELS)
    np.testing.assert_array_equal(from_slices(to_slices(RGB)), RGB)


def test_a_coloured_scan_keeps_grid_and_source_and_refuses_other_sizes() -> None:
    scan = Scan(VOXELS, GRID, modality="CT", facts={"BodyPartExamined": "HEAD"})
    colored = ColorScan.of(scan, RGB, Provenance("physics", Law.LIGHTNESS, "C 40 W 400"))
    assert colored.geometry is scan.geometry
    assert dict(colored.facts) == {"BodyPartExamined": "HEAD"}
    with pytest.raises(GeometryError, match="uint8"):
        ColorScan.of(scan, RGB[:2], colored.provenance)
    with pytest.raises(TypeError):
        colored.facts["PatientName"] = "X"  # type: ignore[index]


@given(
    st.dictionaries(st.text(max_size=5), st.none() | st.floats(allow_nan=False) | st.text(max_size=5), max_size=4),
    st.sampled_from(list(Law)),
)
def test_provenance_survives_json_and_its_digest_follows_every_option(options: dict[str, Any], law: Law) -> None:
    record = Provenance("physics", law, "C 1 W 2", options=options, version="0")
    again = Provenance.from_json(json.loads(record.dumps()) | {"unknown key": 1})
    assert again.dumps() == record.dumps()
    changed = Provenance("physics", law, "C 1 W 2", options=options | {"strength": "changed"}, version="0")
    assert changed.digest != record.digest


def test_tissue_maps_give_labels_with_names_and_volumes() -> None:
    posteriors = np.zeros((4, 3, 2, 2), np.float32)
    posteriors[..., 0] = 1
    posteriors[0, 0, 0] = (0.2, 0.8)
    labels = TissueMap(posteriors, ("outside", "fat"), GRID, "CT").segmentation()
    assert dict(labels.names) == {1: "outside", 2: "fat"}
    assert labels.volume_ml(2) == pytest.approx(0.010)  # one voxel of 1 x 2 x 5 mm
    pixels = Geometry.from_spacing((4, 3, 2), (1, 1, 1), Space.PIXEL)
    with pytest.raises(GeometryError, match="pixel size"):
        Segmentation(labels.labels, pixels, labels.names).volume_ml(2)
    film = Geometry.from_spacing((4, 3, 1), (0.2, 0.2, 1), Space.DETECTOR)  # a projection: its depth is a convention
    with pytest.raises(GeometryError, match="depth"):
        Segmentation(labels.labels[..., :1], film, labels.names).volume_ml(2)
    sized = Geometry.from_spacing((4, 3, 2), (1, 2, 5), Space.DETECTOR)  # a volume in mm without a pose
    assert Segmentation(labels.labels, sized, labels.names).volume_ml(2) == pytest.approx(0.010)


def test_a_label_without_a_name_is_refused() -> None:
    with pytest.raises(ValueError, match=r"without a name: \[3\]"):
        Segmentation(np.full((4, 3, 2), 3, np.uint16), GRID, {1: "liver"})
    with pytest.raises(ValueError, match="differ"):
        TissueMap(np.zeros((4, 3, 2, 2)), ("a", "a"), GRID, "CT")
