"""A segmentation as colours, as it is asked for: Python, command line, report, DICOM SEG."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from label_scenes import SHAPE, blobs, gray_of, scan_on

from medcolor import load_colorizer, phantom, read, read_segmentation, write
from medcolor.cli import run
from medcolor.color import restore_gray
from medcolor.colorizers import list_colorizers
from medcolor.colorizers.segmentation import SegmentationColorizer
from medcolor.errors import GeometryError, MedcolorWarning, ReadError
from medcolor.geometry import Geometry, Space
from medcolor.scan import to_slices


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    scan = phantom.scan("CT", shape=(48, 40, 4))
    phantom.write_dicom(scan, tmp_path / "ct")
    write(phantom.labels("CT", shape=(48, 40, 4)), tmp_path / "labels.nii.gz")
    return tmp_path / "ct", tmp_path / "labels.nii.gz"


def test_load_colorizer_makes_one_from_a_path_and_keeps_the_path_to_itself(files: tuple[Path, Path]) -> None:
    folder, labels = files
    colorizer = load_colorizer(f"seg:{labels}", soft_edge=1.0, bleed=2.0, strength=0.8)
    colored = colorizer(read(folder))
    record = colored.provenance.dumps()
    assert str(labels.parent) not in record
    assert "labels.nii" not in record
    assert colored.provenance.colorizer == colorizer.name == "seg"
    assert colored.provenance.options["labels_sha256"] == read_segmentation(labels).sha256
    assert colored.provenance.options["soft_edge_mm"] == 1.0
    again = load_colorizer(f"seg:{labels}", soft_edge=1.0, bleed=2.0, strength=0.8)(read(folder))
    assert again.provenance.digest == colored.provenance.digest
    np.testing.assert_array_equal(again.rgb, colored.rgb)


def test_a_table_is_given_as_the_palette(files: tuple[Path, Path], tmp_path: Path) -> None:
    table = tmp_path / "t.txt"
    table.write_text('1 255 0 0 1 1 1 "around"\n')
    palette = load_colorizer(f"seg:{files[1]}", palette=str(table)).palette_for(read(files[0]))
    assert palette is not None
    assert palette.names[:2] == ("background", "around")


def test_the_registry_lists_the_family_and_refuses_what_does_not_belong(files: tuple[Path, Path]) -> None:
    listed = [info for info in list_colorizers() if info.pattern]
    assert [info.name for info in listed] == ["seg:PATH"]
    with pytest.raises(FileNotFoundError):
        load_colorizer("seg:no_such_file.nii.gz")
    with pytest.raises(ReadError, match="no DICOM segmentation"):
        load_colorizer(f"seg:{files[0]}")
    for spec in ("physics", "lut:hot_iron"):
        with pytest.raises(ValueError, match="seg:PATH"):
            load_colorizer(spec, soft_edge=1.0)


def test_nothing_is_warned_about_where_the_grids_are_the_same(files: tuple[Path, Path]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", MedcolorWarning)
        colored = load_colorizer(f"seg:{files[1]}")(read(files[0]))
    assert all(not f.code.startswith("labels-resampled") for f in colored.audit)


def test_the_command_line_colours_and_the_report_shows_names_and_volumes(
    files: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, labels = files
    table, page, out = tmp_path / "t.txt", tmp_path / "page.html", tmp_path / "out"
    table.write_text('6 200 80 60 1 1 1 "muscle & co"\n')
    arguments = ["colorize", folder, "-o", out, "--to", "png", "--colorizer", f"seg:{labels}", "--palette", table]
    assert run([str(a) for a in [*arguments, "--soft-edge", 1.5, "--bleed", 1, "--report", page]]) == 0
    text = page.read_text()
    segmentation = read_segmentation(labels)
    assert "muscle &amp; co" in text
    assert "volume of the label map" in text
    assert f"{segmentation.volume_ml(6):.0f} ml" in text
    assert "0 of 7680 pixels differ" in text
    assert str(tmp_path) not in text
    assert str(tmp_path) not in (out / "provenance.json").read_text()
    gray = read(folder)
    for path in sorted(out.glob("*.png")):
        assert read(path, modality="CT").shape == (48, 40, 1)
    np.testing.assert_array_equal(
        restore_gray(to_slices(load_colorizer(f"seg:{labels}")(gray).rgb)), to_slices(gray_of(gray))
    )
    capsys.readouterr()


def test_the_command_line_says_that_labels_were_resampled_and_refuses_without_a_trace(
    files: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, _ = files
    scan = read(folder)
    half = Geometry((24, 20, 4), scan.geometry.affine @ np.diag([2.0, 2, 1, 1]))
    write(blobs(half), tmp_path / "half.nii.gz")
    out = tmp_path / "out"
    assert run(["colorize", str(folder), "-o", str(out), "--colorizer", f"seg:{tmp_path / 'half.nii.gz'}"]) == 0
    assert "resampled to the nearest voxel" in capsys.readouterr().err
    for spec, message in ((f"seg:{tmp_path / 'no.nii'}", "no such file"), (f"seg:{folder}", "no DICOM segmentation")):
        assert run(["colorize", str(folder), "-o", str(tmp_path / "none"), "--colorizer", spec]) in (1, 2)
        assert message in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


def test_a_legend_counts_voxels_where_there_are_no_millimetres() -> None:
    flat = Geometry.from_spacing(SHAPE, (1, 1, 1), Space.PIXEL)
    labels = blobs(flat)
    legend = SegmentationColorizer(labels).legend_for(scan_on(flat))
    assert legend.measure == "size of the label map"
    assert [row.amount for row in legend.rows] == [f"{count} voxels" for count in labels.counts.values()]
    assert max(row.share for row in legend.rows) == 1.0


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
def test_a_dicom_seg_colours_its_series_and_no_other(tmp_path: Path) -> None:
    hd = pytest.importorskip("highdicom", reason="highdicom is not installed: it is in the extra medcolor[batch]")
    import pydicom
    from highdicom.sr.coding import CodedConcept

    phantom.write_dicom(phantom.scan("CT", shape=(48, 40, 4)), tmp_path / "ct")
    scan = read(tmp_path / "ct")
    labels = to_slices(phantom.labels("CT", shape=(48, 40, 4)).labels)
    mask = np.isin(labels, [6]).astype(np.uint8)
    mask[0] = 0  # its frame is left out
    description = hd.seg.SegmentDescription(
        segment_number=1,
        segment_label="muscle",
        segmented_property_category=CodedConcept("85756007", "SCT", "Tissue"),
        segmented_property_type=CodedConcept("91727004", "SCT", "Skeletal muscle"),
        algorithm_type="MANUAL",
    )
    seg = hd.seg.Segmentation(
        source_images=[pydicom.dcmread(path) for path in scan.source.paths],
        pixel_array=mask,
        segmentation_type="BINARY",
        segment_descriptions=[description],
        series_instance_uid="1.2.3.8",
        series_number=9,
        sop_instance_uid="1.2.3.9",
        instance_number=1,
        manufacturer="m",
        manufacturer_model_name="m",
        software_versions="1",
        device_serial_number="1",
    )
    seg.save_as(tmp_path / "seg.dcm")
    colorizer = load_colorizer(f"seg:{tmp_path / 'seg.dcm'}", soft_edge=0.0)
    colored = colorizer(scan)
    gray = to_slices(gray_of(scan))
    shown = (np.ptp(to_slices(colored.rgb), axis=-1) > 0)[(gray > 60) & (gray < 200)]
    np.testing.assert_array_equal(shown, (mask > 0)[(gray > 60) & (gray < 200)])
    assert [f.code for f in colored.audit if f.code.startswith("labels")] == ["labels-reordered"]
    legend = colorizer.legend_for(scan)
    assert legend is not None
    assert legend.rows[0].entry.meaning == "Skeletal muscle (SCT 91727004)"
    seg.FrameOfReferenceUID = "1.2.3.99"
    seg.save_as(tmp_path / "other.dcm")
    with pytest.raises(GeometryError, match="frames of reference"):
        load_colorizer(f"seg:{tmp_path / 'other.dcm'}")(scan)
