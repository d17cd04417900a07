"""Label maps that are images: NIfTI, NRRD with what 3D Slicer adds, MHA, and the tables beside them."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK
from hypothesis import given
from hypothesis import strategies as st

from medcolor import phantom, read_segmentation, write
from medcolor.cielab import rgb_to_lab
from medcolor.errors import MedcolorError, ReadCode, ReadError
from medcolor.geometry import Geometry, Space
from medcolor.io.label_tables import read_label_table
from medcolor.scan import Finding, to_slices
from medcolor.tissue_map import Code, Segmentation

AFFINE = np.array([[0, -1.5, 0, 10], [0.8, 0, 0.3, -4], [0, 0, 4.0, 7], [0, 0, 0, 1]])
SHAPE = (5, 4, 3)


def values(seed: int = 0, top: int = 4) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, top, SHAPE).astype(np.uint8)


def ab(*rgb: float) -> tuple[float, float]:
    return tuple(rgb_to_lab(np.array(rgb, float))[1:].tolist())


def save_nifti(path: Path, array: np.ndarray, extension: bytes | None = None, **header: float) -> Path:
    image = nibabel.Nifti1Image(array, AFFINE)
    if extension is not None:
        image.header.extensions.append(nibabel.nifti1.Nifti1Extension(0, extension))
    if header:
        image.header.set_slope_inter(header["slope"], header["inter"])
    nibabel.save(image, path)
    return path


# -- files -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.float32, np.float64])
def test_a_nifti_label_map_is_read_whatever_its_type(tmp_path: Path, dtype: type) -> None:
    array = values()
    found = read_segmentation(save_nifti(tmp_path / "a.nii.gz", array.astype(dtype)))
    np.testing.assert_array_equal(found.labels, array)
    np.testing.assert_allclose(found.geometry.affine, AFFINE, atol=1e-5)
    assert dict(found.names) == {1: "label 1", 2: "label 2", 3: "label 3"}
    assert dict(found.counts) == {n: int(np.count_nonzero(array == n)) for n in (1, 2, 3)}
    assert found.volume_ml(2) == pytest.approx(found.counts[2] * 1.5 * 0.8 * 4 / 1000)


@pytest.mark.parametrize("suffix", [".nrrd", ".mha", ".nii.gz"])
def test_itk_formats_agree_with_what_simpleitk_wrote(tmp_path: Path, suffix: str) -> None:
    array = values(1)
    image = SimpleITK.GetImageFromArray(to_slices(array))
    image.SetSpacing((0.7, 0.9, 3.0))
    image.SetOrigin((5.0, -6.0, 8.0))
    image.SetDirection((0, 1, 0, -1, 0, 0, 0, 0, 1))
    SimpleITK.WriteImage(image, str(tmp_path / f"a{suffix}"))
    found = read_segmentation(tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(found.labels, array)
    expected = image.TransformIndexToPhysicalPoint((2, 1, 2))
    np.testing.assert_allclose(found.geometry.index_to_world((2, 1, 2)), np.multiply(expected, (-1, -1, 1)), atol=1e-4)


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
def test_what_medcolor_writes_it_reads_and_the_hash_is_that_of_the_value(tmp_path: Path, suffix: str) -> None:
    labels = phantom.labels("CT", shape=(32, 24, 4))
    write(labels, tmp_path / f"a{suffix}")
    found = read_segmentation(tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(found.labels, labels.labels)
    assert found.sha256 == labels.sha256
    other = np.array(found.labels)
    other[0, 0, 0] += 1
    assert Segmentation(other, found.geometry, {**found.names, 2: "x"}).sha256 != found.sha256


def test_the_label_table_in_a_nifti_of_totalsegmentator_is_read(tmp_path: Path) -> None:
    xml = b"""<?xml version="1.0" encoding="UTF-8"?> <CaretExtension> <VolumeInformation Index="0"> <LabelTable>
    <Label Key="1" Red="0.2" Green="0.4" Blue="0.6" Alpha="1">spleen</Label>
    <Label Key="2" Red="1" Green="0" Blue="0" Alpha="1">kidney &amp; ureter</Label>
    </LabelTable> </VolumeInformation> </CaretExtension>"""
    found = read_segmentation(save_nifti(tmp_path / "a.nii.gz", values(), xml))
    assert dict(found.names) == {1: "spleen", 2: "kidney & ureter", 3: "label 3"}
    np.testing.assert_allclose(found.colors[2], ab(1, 0, 0))


def slicer_file(path: Path, layers: np.ndarray, segments: list[dict[str, str]]) -> Path:
    """Write a .seg.nrrd as 3D Slicer does; ``layers`` are (nk, nj, ni) or, with overlaps, (nk, nj, ni, layers)."""
    image = SimpleITK.GetImageFromArray(layers, isVector=layers.ndim == 4)
    image.SetSpacing((0.5, 0.6, 2.0))
    image.SetMetaData("Segmentation_MasterRepresentation", "Binary labelmap")
    for number, segment in enumerate(segments):
        for key, value in segment.items():
            image.SetMetaData(f"Segment{number}_{key}", value)
    SimpleITK.WriteImage(image, str(path), useCompression=True)
    return path


TAGS = (
    "Segmentation.Status:inprogress|TerminologyEntry:Segmentation category and type - 3D Slicer General Anatomy list"
    "~SCT^123037004^Anatomical Structure~SCT^64033007^Kidney~SCT^7771000^Left~Anatomic codes~^^~^^|"
)


def test_a_segmentation_of_3d_slicer_brings_names_colours_and_codes(tmp_path: Path) -> None:
    array = to_slices(values(2)).copy()
    segments = [
        {"ID": "Segment_1", "Name": "Niere é", "Color": "0.7 0.4 0.3", "LabelValue": "1", "Layer": "0", "Tags": TAGS},
        {"ID": "Segment_2", "Name": "tumor", "Color": "0 1 0", "LabelValue": "3", "Layer": "0"},
    ]
    found = read_segmentation(slicer_file(tmp_path / "a.seg.nrrd", array, segments))
    np.testing.assert_array_equal(to_slices(found.labels), array)
    assert dict(found.names) == {1: "Niere é", 2: "label 2", 3: "tumor"}
    assert dict(found.codes) == {1: Code("SCT", "64033007", "Kidney, Left")}
    np.testing.assert_allclose(found.colors[3], ab(0, 1, 0))
    np.testing.assert_allclose(found.geometry.spacing, (0.5, 0.6, 2.0))


@pytest.mark.parametrize("count", [2, 3, 4])
def test_overlapping_segments_of_3d_slicer_lie_in_layers(tmp_path: Path, count: int) -> None:
    layers = np.random.default_rng(count).integers(0, 2, (3, 4, 5, count)).astype(np.uint8)
    segments = [
        {"Name": f"s{n}", "LabelValue": "1", "Layer": str(n), "Color": f"{n / 10} 0.5 0.5"} for n in range(count)
    ]
    found = read_segmentation(slicer_file(tmp_path / "a.seg.nrrd", layers, segments))
    numbers = (layers * np.arange(1, count + 1)).max(axis=-1)
    np.testing.assert_array_equal(to_slices(found.labels), numbers)
    assert [found.names[n + 1] for n in range(count)] == [f"s{n}" for n in range(count)]
    assert found.audit[-1].code == "overlap"


def test_a_png_of_gray_levels_is_a_label_map_without_a_pose(tmp_path: Path) -> None:
    from PIL import Image

    Image.fromarray(to_slices(values(3))[0]).save(tmp_path / "a.png")
    found = read_segmentation(tmp_path / "a.png")
    assert found.geometry.space is Space.PIXEL
    np.testing.assert_array_equal(found.labels[..., 0], values(3)[..., 0])


# -- tables ----------------------------------------------------------------------------------------------------------

ITK_SNAP = """################################################
# ITK-SnAP Label Description File
    0     0    0    0        0  0  0    "Clear Label"
    1   255    0    0        1  1  1    "left kidney"
    2     0  128  255      0.5  1  1    "liver"
"""
FREESURFER = """#No. Label Name:                R   G   B   A

0   Unknown                         0   0   0   0
1   Left-Cerebral-Exterior          255  0  0   0
2   liver with spaces               0 128 255 255
"""


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (ITK_SNAP, {1: "left kidney", 2: "liver"}),
        (FREESURFER, {1: "Left-Cerebral-Exterior", 2: "liver with spaces"}),
        (json.dumps({"labels": {"background": 0, "a": 1, "b": 2}}), {1: "a", 2: "b"}),
        (json.dumps({"labels": {"0": "background", "1": "a", "2": "b"}}), {1: "a", 2: "b"}),
        (
            json.dumps({"labels": {"background": 0, "whole": [1, 2, 3], "core": [2, 3], "core in core": [3]}}),
            {1: "whole, label 1", 2: "core, label 2", 3: "core in core"},
        ),
    ],
    ids=["itk-snap", "freesurfer", "nnunet", "decathlon", "regions"],
)
def test_tables_name_labels(tmp_path: Path, text: str, names: dict[int, str]) -> None:
    (tmp_path / "table").write_text(text, encoding="utf-8")
    table = read_label_table(tmp_path / "table")
    assert table.names == names
    if not text.startswith("{"):
        np.testing.assert_allclose(table.colors[1], ab(1, 0, 0))
        np.testing.assert_allclose(table.colors[2], ab(0, 128 / 255, 1))


def test_a_table_wins_over_the_file_and_may_name_labels_that_are_not_there(tmp_path: Path) -> None:
    path = save_nifti(tmp_path / "a.nii.gz", values(4, top=3))
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": {"bg": 0, "liver": 1, "absent": 9}}))
    found = read_segmentation(path, table=tmp_path / "dataset.json")
    assert dict(found.names) == {1: "liver", 2: "label 2", 9: "absent"}
    assert 9 not in found.counts


BAD_TABLES = {
    "prose": "these are my labels",
    "a level too large": '1 300 0 0 1 1 1 "x"',
    "a label twice": "1 a 0 0 0 0\n1 b 0 0 0 0",
    "a label too large": "70000 a 0 0 0 0",
    "only background": "0 a 0 0 0 0",
    "no labels": '{"modality": {}}',
    "labels as a list": '{"labels": [1, 2]}',
    "broken json": '{"labels": {',
    "a strange value": '{"labels": {"a": 1.5}}',
    "a deep json": '{"labels":' + "[" * 100_000,
    "nothing": "",
}


@pytest.mark.parametrize("case", BAD_TABLES)
def test_a_bad_table_is_refused_and_named(tmp_path: Path, case: str) -> None:
    (tmp_path / "t.txt").write_text(BAD_TABLES[case])
    with pytest.raises(ReadError, match=r"t\.txt"):
        read_label_table(tmp_path / "t.txt")


@given(st.binary(max_size=200))
def test_any_bytes_are_a_table_or_a_typed_error(content: bytes) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t"
        path.write_bytes(content)
        with contextlib.suppress(MedcolorError):
            assert read_label_table(path).names


# -- refusals ----------------------------------------------------------------------------------------------------------

BAD_VALUES = {
    "a scan in HU": (np.linspace(-1000, 1000, 60).reshape(SHAPE).astype(np.int16), "label map"),
    "probabilities": (np.linspace(0, 1, 60).reshape(SHAPE).astype(np.float32), "between whole numbers"),
    "labels that were interpolated": (values().astype(np.float32) + np.float32(0.25), "between whole numbers"),
    "labels beyond 16 bit": (np.full(SHAPE, 70_000, np.int32), "65535"),
    "not a number": (np.full(SHAPE, np.nan, np.float32), "NaN"),
}


@pytest.mark.parametrize("case", BAD_VALUES)
def test_what_is_no_label_map_is_refused(tmp_path: Path, case: str) -> None:
    array, why = BAD_VALUES[case]
    with pytest.raises(ReadError, match=why):
        read_segmentation(save_nifti(tmp_path / "a.nii.gz", array))


def test_other_files_are_refused(tmp_path: Path) -> None:
    from PIL import Image

    with pytest.raises(FileNotFoundError):
        read_segmentation(tmp_path / "no.nii.gz")
    with pytest.raises(FileNotFoundError):
        read_segmentation(save_nifti(tmp_path / "a.nii", values()), table=tmp_path / "no.txt")
    (tmp_path / "empty.nii").write_bytes(b"")
    (tmp_path / "b.nrrd").write_bytes(b"NRRD0004\ntype: uint8\n\nxx")
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (8, 8, 3), np.uint8)).save(tmp_path / "rgb.png")
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "lossy.jpg")
    for name in ("empty.nii", "b.nrrd", "rgb.png", "lossy.jpg"):
        with pytest.raises(ReadError):
            read_segmentation(tmp_path / name)


@pytest.mark.parametrize(
    "change", [{"Layer": "7"}, {"LabelValue": "0"}, {"LabelValue": "-3"}, {"LabelValue": "x"}, {"Layer": "-1"}]
)
def test_a_slicer_header_that_contradicts_its_pixels_is_refused(tmp_path: Path, change: dict[str, str]) -> None:
    segment = {"Name": "a", "LabelValue": "1", "Layer": "0"} | change
    path = slicer_file(tmp_path / "a.seg.nrrd", to_slices(values()).copy(), [segment])
    with pytest.raises(ReadError) as caught:
        read_segmentation(path)
    assert caught.value.code is ReadCode.CORRUPT


def test_a_damaged_stream_of_3d_slicer_is_refused_where_itk_would_hand_out_stale_memory(tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(0, 2, (8, 16, 16)).astype(np.uint8)
    path = slicer_file(tmp_path / "a.seg.nrrd", array, [{"Name": "a", "LabelValue": "1", "Layer": "0"}])
    whole = path.read_bytes()
    for damaged, code in (
        (whole[:-8] + b"abcdefgh", ReadCode.CORRUPT),  # the check sum
        (whole[:-150] + b"\xff\x00\xff" + whole[-147:], ReadCode.CORRUPT),  # ITK alone: wrong labels, no error
        (whole[:-60], ReadCode.TRUNCATED),
    ):
        path.write_bytes(damaged)
        with pytest.raises(ReadError) as caught:
            read_segmentation(path)
        assert caught.value.code is code


# -- the value -------------------------------------------------------------------------------------------------------


def test_a_segmentation_is_frozen_and_checked() -> None:
    grid = Geometry(SHAPE, AFFINE)
    labels = values().astype(np.uint16)
    names = {1: "a", 2: "b", 3: "c"}
    code = Code("SCT", "1", "A")
    good = Segmentation(labels, grid, names, {1: (3, 4)}, {2: code}, (Finding("x", "y"),), "1.2")
    assert good.colors[1] == (3.0, 4.0)
    with pytest.raises(TypeError):
        good.colors[1] = (0.0, 0.0)  # type: ignore[index]
    with pytest.raises(ValueError, match="read-only"):
        good.labels[0] = 1
    with pytest.raises(ValueError, match=r"colours for labels that have no name: \[8\]"):
        Segmentation(labels, grid, names, {8: (0, 0)})
    with pytest.raises(ValueError, match="codes for labels"):
        Segmentation(labels, grid, names, codes={8: code})
    for wrong in ((float("nan"), 0), (0, 200)):
        with pytest.raises(ValueError, match="label 1"):
            Segmentation(labels, grid, names, {1: wrong})
