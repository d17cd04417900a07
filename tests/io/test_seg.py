"""DICOM SEG: written by hand with pydicom, and by highdicom where it is installed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dicom_objects import image, item
from pydicom.dataset import Dataset
from pydicom.pixels import pack_bits
from pydicom.uid import RLELossless

from medcolor import phantom, read, read_segmentation
from medcolor.cielab import rgb_to_lab
from medcolor.errors import AmbiguousSeriesError, MedcolorError, ReadCode, ReadError
from medcolor.geometry import Space
from medcolor.scan import to_slices
from medcolor.tissue_map import Code

# an oblique, right-handed pair of axes (LPS), anisotropic
ROW = np.array([0.8, 0.6, 0.0])
COLUMN = np.array([-0.36, 0.48, -0.8])
NORMAL = np.cross(ROW, COLUMN)
ORIGIN = np.array([-20.0, 13.5, 102.25])
SPACING = (0.75, 1.5, 4.0)  # i, j, k
NI, NJ = 11, 7  # frames of 77 bits: they do not start at whole bytes
Frame = tuple[int, int, np.ndarray]  # (slice, segment, (nj, ni))


def described(number: int, label: str, lab: Sequence[int] | None = None, **more: Any) -> Dataset:
    entry = item(SegmentNumber=number, SegmentLabel=label, SegmentAlgorithmType="MANUAL", **more)
    if lab is not None:
        entry.RecommendedDisplayCIELabValue = list(lab)
    return entry


def coded(value: str, meaning: str, **more: Any) -> Dataset:
    return item(CodeValue=value, CodingSchemeDesignator="SCT", CodeMeaning=meaning, **more)


def write_seg(
    path: Path,
    frames: Sequence[Frame],
    *,
    kind: str = "BINARY",
    segments: Sequence[Dataset] = (),
    top: int = 255,
    **changes: Any,
) -> Path:
    block = np.stack([pixels for _, _, pixels in frames])
    binary = kind == "BINARY"
    groups = []
    for k, segment, _ in frames:
        position = (ORIGIN + k * SPACING[2] * NORMAL).round(5).tolist()
        group = item(PlanePositionSequence=[item(ImagePositionPatient=position)])
        if kind != "LABELMAP":
            group.SegmentIdentificationSequence = [item(ReferencedSegmentNumber=segment)]
        groups.append(group)
    shared = item(
        PlaneOrientationSequence=[item(ImageOrientationPatient=[*ROW, *COLUMN])],
        PixelMeasuresSequence=[item(PixelSpacing=[SPACING[1], SPACING[0]], SliceThickness=SPACING[2])],
    )
    numbers = sorted({segment for _, segment, _ in frames})
    bits = 1 if binary else block.dtype.itemsize * 8
    attributes: dict[str, Any] = {
        "SOPClassUID": f"1.2.840.10008.5.1.4.1.1.66.{7 if kind == 'LABELMAP' else 4}",
        "SegmentationType": kind,
        "SegmentSequence": list(segments) or [described(n, f"part {n}") for n in numbers],
        "FrameOfReferenceUID": "1.2.3.4",
        "SeriesInstanceUID": "1.2.3.5",
        "PerFrameFunctionalGroupsSequence": groups,
        "SharedFunctionalGroupsSequence": [shared],
        "Rows": NJ,
        "Columns": NI,
        "NumberOfFrames": len(frames),
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "PixelRepresentation": 0,
        "BitsAllocated": bits,
        "BitsStored": bits,
        "MaximumFractionalValue": top if kind == "FRACTIONAL" else None,
    }
    ds = image(pack_bits(block.astype(np.uint8)) if binary else block, modality="SEG", **(attributes | changes))
    ds.save_as(path, enforce_file_format=True)
    return path


def masks(seed: int, count: int) -> np.ndarray:
    return np.random.default_rng(seed).random((count, NJ, NI)) < 0.4


def test_binary_frames_in_any_order_become_labels_where_they_are(tmp_path: Path) -> None:
    bits = masks(1, 6)
    bits[3:] &= ~bits[:3]  # segment 5 beside segment 2
    frames = [(k, s, bits[k + 3 * (s == 5)]) for s, k in [(5, 1), (2, 2), (2, 0), (5, 0), (2, 1), (5, 2)]]
    found = read_segmentation(write_seg(tmp_path / "a.dcm", frames))
    expected = np.where(bits[:3], 2, np.where(bits[3:], 5, 0))
    np.testing.assert_array_equal(to_slices(found.labels), expected)
    assert dict(found.names) == {2: "part 2", 5: "part 5"}
    assert found.frame_of_reference == "1.2.3.4"
    assert found.geometry.shape == (NI, NJ, 3)
    np.testing.assert_allclose(found.geometry.spacing, SPACING, rtol=1e-5)
    lps = found.geometry.index_to_world((3, 2, 1)) * (-1, -1, 1)
    np.testing.assert_allclose(lps, ORIGIN + 3 * 0.75 * ROW + 2 * 1.5 * COLUMN + 4.0 * NORMAL, atol=1e-4)
    assert found.audit == ()


def test_empty_frames_that_were_left_out_leave_empty_slices(tmp_path: Path) -> None:
    bits = masks(2, 3)
    found = read_segmentation(write_seg(tmp_path / "a.dcm", [(7, 1, bits[2]), (0, 1, bits[0]), (3, 1, bits[1])]))
    assert found.geometry.shape == (NI, NJ, 8)
    np.testing.assert_allclose(found.geometry.spacing, SPACING, rtol=1e-5)
    slices = to_slices(found.labels)
    np.testing.assert_array_equal(slices[[0, 3, 7]], bits)
    assert not slices[[1, 2, 4, 5, 6]].any()


def test_a_single_frame_has_the_thickness_of_its_slice(tmp_path: Path) -> None:
    found = read_segmentation(write_seg(tmp_path / "a.dcm", [(0, 1, masks(3, 1)[0])]))
    assert found.geometry.shape == (NI, NJ, 1)
    np.testing.assert_allclose(found.geometry.spacing, SPACING, rtol=1e-5)


def test_where_segments_overlap_the_higher_number_wins_and_voxels_are_counted(tmp_path: Path) -> None:
    a, b = masks(4, 2)
    expected = np.where(b, 2, np.where(a, 1, 0))
    for name, frames in [("up", [(0, 1, a), (0, 2, b)]), ("down", [(0, 2, b), (0, 1, a)])]:
        found = read_segmentation(write_seg(tmp_path / f"{name}.dcm", frames))
        np.testing.assert_array_equal(to_slices(found.labels)[0], expected)
        assert found.audit[0].code == "overlap"
        assert f" {np.count_nonzero(a & b)} voxels" in found.audit[0].message


@pytest.mark.parametrize("top", [255, 100, 1])
def test_fractions_are_cut_at_one_half_and_the_largest_wins(tmp_path: Path, top: int) -> None:
    values = np.random.default_rng(5).integers(0, top + 1, (2, NJ, NI)).astype(np.uint8)
    frames = [(0, 1, values[0]), (0, 2, values[1])]
    found = read_segmentation(write_seg(tmp_path / "a.dcm", frames, kind="FRACTIONAL", top=top))
    first, second = values.astype(float) / top
    expected = np.where((second >= 0.5) & (second >= first), 2, np.where(first >= 0.5, 1, 0))
    np.testing.assert_array_equal(to_slices(found.labels)[0], expected)
    assert "fractional" in [finding.code for finding in found.audit]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_label_map_frames_hold_segment_numbers(tmp_path: Path, dtype: type) -> None:
    values = np.random.default_rng(6).choice(np.array([0, 1, 7], dtype), (2, NJ, NI))
    segments = [described(0, "background"), described(1, "liver"), described(7, "spleen")]
    frames = [(1, 0, values[1]), (0, 0, values[0])]
    found = read_segmentation(write_seg(tmp_path / "a.dcm", frames, kind="LABELMAP", segments=segments))
    np.testing.assert_array_equal(to_slices(found.labels), values)
    assert dict(found.names) == {1: "liver", 7: "spleen"}


def test_compressed_fractions_read_as_uncompressed_ones(tmp_path: Path) -> None:
    import pydicom

    values = np.random.default_rng(7).integers(0, 256, (2, NJ, NI)).astype(np.uint8)
    plain = write_seg(tmp_path / "a.dcm", [(0, 1, values[0]), (1, 1, values[1])], kind="FRACTIONAL")
    ds = pydicom.dcmread(plain)
    ds.compress(RLELossless, encoding_plugin="pydicom")  # gdcm crashes on frames as small as these
    ds.save_as(tmp_path / "rle.dcm")
    np.testing.assert_array_equal(read_segmentation(tmp_path / "rle.dcm").labels, read_segmentation(plain).labels)


def test_names_codes_and_recommended_colours_are_taken_over(tmp_path: Path) -> None:
    kidney = coded("64033007", "Kidney", SegmentedPropertyTypeModifierCodeSequence=[coded("7771000", "Left")])
    segments = [
        described(1, "left one", (30000, 65535, 0), SegmentedPropertyTypeCodeSequence=[kidney]),
        described(2, "", SegmentedPropertyTypeCodeSequence=[coded("10200004", "Liver")]),
        described(3, "", (30000, 32896, 32896)),
    ]
    found = read_segmentation(write_seg(tmp_path / "a.dcm", [(0, 1, masks(8, 1)[0])], segments=segments))
    assert dict(found.names) == {1: "left one", 2: "Liver", 3: "segment 3"}
    assert found.codes[1] == Code("SCT", "64033007", "Kidney, Left")
    assert str(found.codes[2]) == "Liver (SCT 10200004)"
    np.testing.assert_allclose(found.colors[1], (127, -128))
    np.testing.assert_allclose(found.colors[3], (0, 0), atol=1e-9)
    assert 2 not in found.colors


def test_a_projection_without_positions_is_one_slice_without_a_pose(tmp_path: Path) -> None:
    a, b = masks(9, 2)
    empty = [item(SegmentIdentificationSequence=[item(ReferencedSegmentNumber=n)]) for n in (1, 2)]
    path = write_seg(
        tmp_path / "a.dcm",
        [(0, 1, a), (0, 2, b & ~a)],
        PerFrameFunctionalGroupsSequence=empty,
        SharedFunctionalGroupsSequence=[item(PixelMeasuresSequence=[item(PixelSpacing=[0.2, 0.1])])],
    )
    found = read_segmentation(path)
    assert found.geometry.space is Space.DETECTOR
    assert found.geometry.spacing[:2] == (0.1, 0.2)
    np.testing.assert_array_equal(to_slices(found.labels)[0], np.where(a, 1, np.where(b, 2, 0)))


def moved(ds: Dataset, frame: int, by: Sequence[float]) -> None:
    place = ds.PerFrameFunctionalGroupsSequence[frame].PlanePositionSequence[0]
    place.ImagePositionPatient = [float(x) + d for x, d in zip(place.ImagePositionPatient, by, strict=True)]


def turned(ds: Dataset) -> None:
    ds.PerFrameFunctionalGroupsSequence[1].PlaneOrientationSequence = [
        item(ImageOrientationPatient=[1.0, 0, 0, 0, 1, 0])
    ]


BROKEN = {
    "uneven slices": (lambda ds: moved(ds, 1, 1.9 * NORMAL), ReadCode.UNSUPPORTED_PIXEL),
    "a frame beside the others": (lambda ds: moved(ds, 1, 3 * ROW), ReadCode.UNSUPPORTED_PIXEL),
    "two orientations": (turned, ReadCode.UNSUPPORTED_PIXEL),
    "an unknown segment": (
        lambda ds: setattr(
            ds.PerFrameFunctionalGroupsSequence[0].SegmentIdentificationSequence[0], "ReferencedSegmentNumber", 9
        ),
        ReadCode.CORRUPT,
    ),
    "no segments": (lambda ds: delattr(ds, "SegmentSequence"), ReadCode.MISSING_ATTRIBUTE),
    "a segment twice": (lambda ds: ds.SegmentSequence.append(described(1, "again")), ReadCode.CORRUPT),
    "a segment number too large": (lambda ds: ds.SegmentSequence.append(described(0, "x")), None),
    "no positions": (
        lambda ds: [delattr(g, "PlanePositionSequence") for g in ds.PerFrameFunctionalGroupsSequence],
        ReadCode.MISSING_ATTRIBUTE,
    ),
    "an unknown type": (lambda ds: setattr(ds, "SegmentationType", "SURFACE"), ReadCode.UNSUPPORTED_PIXEL),
    "too few bits": (lambda ds: setattr(ds, "PixelData", b"\x00" * 8), ReadCode.TRUNCATED),
    "a grid without end": (lambda ds: moved(ds, 3, 4e9 * NORMAL), ReadCode.TOO_LARGE),
}


@pytest.mark.parametrize("damage", BROKEN)
def test_a_broken_seg_is_refused_with_its_reason(tmp_path: Path, damage: str) -> None:
    import pydicom

    change, code = BROKEN[damage]
    path = write_seg(tmp_path / "a.dcm", [(k, 1, m) for k, m in enumerate(masks(10, 4))])
    ds = pydicom.dcmread(path)
    change(ds)
    ds.save_as(path)
    if code is None:
        assert dict(read_segmentation(path).names) == {1: "part 1"}
        return
    with pytest.raises(ReadError) as caught:
        read_segmentation(path)
    assert caught.value.code is code
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("cut", [0.2, 0.6, 0.99])
def test_a_cut_off_file_is_a_typed_error(tmp_path: Path, cut: float) -> None:
    path = write_seg(tmp_path / "a.dcm", [(k, 1, m) for k, m in enumerate(masks(11, 4))])
    path.write_bytes(path.read_bytes()[: int(cut * path.stat().st_size)])
    with pytest.raises(MedcolorError):
        read_segmentation(path)


def test_damaged_bytes_give_a_segmentation_or_a_typed_error(tmp_path: Path) -> None:
    generator = np.random.default_rng(20)
    values = masks(20, 3)
    kinds = [("BINARY", values), ("FRACTIONAL", (values * 200).astype(np.uint8)), ("LABELMAP", values.astype(np.uint8))]
    for kind, pixels in kinds:
        whole = write_seg(tmp_path / "a.dcm", [(k, 1, m) for k, m in enumerate(pixels)], kind=kind).read_bytes()
        refused = 0
        for _ in range(80):
            content, at = bytearray(whole), int(generator.integers(132, len(whole)))
            content[at : at + int(generator.integers(0, 4))] = generator.bytes(int(generator.integers(1, 5)))
            (tmp_path / "b.dcm").write_bytes(content)
            try:
                assert read_segmentation(tmp_path / "b.dcm").names
            except MedcolorError:
                refused += 1
        assert 0 < refused < 80


def test_a_folder_with_one_seg_is_read_and_with_two_a_choice_is_asked_for(tmp_path: Path) -> None:
    phantom.write_dicom(phantom.scan("CT", shape=(16, 12, 2)), tmp_path)
    with pytest.raises(ReadError, match="no DICOM segmentation"):
        read_segmentation(tmp_path)
    bits = masks(12, 2)
    write_seg(tmp_path / "a.dcm", [(0, 1, bits[0])], SOPInstanceUID="1.2.3.6")
    np.testing.assert_array_equal(to_slices(read_segmentation(tmp_path).labels)[0], bits[0])
    write_seg(tmp_path / "b.dcm", [(0, 1, bits[1])], SOPInstanceUID="1.2.3.7")
    with pytest.raises(AmbiguousSeriesError) as caught:
        read_segmentation(tmp_path)
    assert len(caught.value.choices) == 2
    for wanted, number in (("1.2.3.7", 1), (1, 0), ("2", 1)):
        np.testing.assert_array_equal(to_slices(read_segmentation(tmp_path, series=wanted).labels)[0], bits[number])


# -- the oracle ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Dataset], np.ndarray]:
    import pydicom

    pytest.importorskip("highdicom", reason="highdicom is not installed: it is in the extra medcolor[batch]")
    folder = tmp_path_factory.mktemp("series")
    scan = phantom.letter()
    phantom.write_dicom(scan, folder)
    ordered = read(folder).source
    headers = [pydicom.dcmread(path) for path in ordered.paths]
    ni, nj, nk = scan.shape
    labels = np.random.default_rng(13).choice(np.array([0, 1, 2], np.uint8), (nk, nj, ni), p=[0.6, 0.3, 0.1])
    labels[1] = 0
    return folder, headers, labels


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("kind", ["BINARY", "FRACTIONAL", "LABELMAP"])
@pytest.mark.parametrize("omit", [True, False])
def test_what_highdicom_writes_is_read_back(
    source: tuple[Path, list[Dataset], np.ndarray], tmp_path: Path, kind: str, omit: bool
) -> None:
    import highdicom as hd
    from highdicom.sr.coding import CodedConcept

    folder, headers, labels = source
    colors = {1: (200, 60, 40), 2: (10, 120, 220)}
    algorithm = hd.AlgorithmIdentificationSequence(
        name="t", family=CodedConcept("123110", "DCM", "Artificial Intelligence"), version="1"
    )
    descriptions = [
        hd.seg.SegmentDescription(
            segment_number=n,
            segment_label=name,
            segmented_property_category=CodedConcept("123037004", "SCT", "Anatomical Structure"),
            segmented_property_type=CodedConcept(value, "SCT", name.title()),
            algorithm_type="AUTOMATIC",
            algorithm_identification=algorithm,
            display_color=hd.color.CIELabColor.from_rgb(*colors[n]),
        )
        for n, name, value in ((1, "liver", "10200004"), (2, "spleen", "78961009"))
    ]
    seg = hd.seg.Segmentation(
        source_images=headers,
        pixel_array=labels,
        segmentation_type=kind,
        segment_descriptions=descriptions,
        series_instance_uid="1.2.3.8",
        series_number=9,
        sop_instance_uid="1.2.3.9",
        instance_number=1,
        manufacturer="m",
        manufacturer_model_name="m",
        software_versions="1",
        device_serial_number="1",
        omit_empty_frames=omit,
    )
    seg.save_as(tmp_path / "seg.dcm")
    found = read_segmentation(tmp_path / "seg.dcm")
    scan = read(folder)
    np.testing.assert_array_equal(to_slices(found.labels), labels)
    assert found.geometry.matches(scan.geometry, atol=1e-2)
    assert str(found.codes[2]) == "Spleen (SCT 78961009)"
    assert dict(found.names) == {1: "liver", 2: "spleen"}
    for n, rgb in colors.items():
        np.testing.assert_allclose(found.colors[n], rgb_to_lab(np.array(rgb, np.uint8))[1:], atol=0.1)
