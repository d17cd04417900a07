"""Files with a canary in every place that could say whose they are: texts, names, dates, UIDs, private elements."""

from __future__ import annotations

import warnings
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from dicom_objects import image
from pydicom.datadict import DicomDictionary, dictionary_VR, tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from medcolor import phantom

WORD, DATE, TIME, UID_ROOT, WEIGHT = "CANARY", "19010203", "040506.77", "1.2.826.0.1.3680043.10.77777", "77.7773"
PLANTED = (WORD, DATE, "1901-02-03", TIME, UID_ROOT, WEIGHT)
_TEXTS = {
    "PN": "CANARY^NAME", "LO": "CANARY lo", "SH": "CANARY sh", "LT": "CANARY lt", "ST": "CANARY st", "UT": "CANARY ut",
    "UC": "CANARY uc", "CS": "CANARY_CS", "AE": "CANARYAE", "UR": "http://CANARY", "DA": DATE, "TM": TIME,
    "DT": DATE + TIME, "UI": UID_ROOT + ".1.2",
}  # fmt: skip
# without these the files could not be read, or would be read as something else; each is tried in a test of its own
_SENSE = frozenset(
    {
        "Modality", "SOPClassUID", "PhotometricInterpretation", "RescaleType", "Units", "DecayCorrection",
        "CorrectedImage", "PresentationLUTShape", "VOILUTFunction", "ImageType", "SpecificCharacterSet",
        "LossyImageCompression", "BurnedInAnnotation", "PixelPresentation", "PresentationIntentType",
        "VolumetricProperties", "TimezoneOffsetFromUTC", "CountsSource", "SeriesType", "StudyInstanceUID",
        "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID", "DimensionOrganizationType",
        "MediaStorageSOPClassUID", "TransferSyntaxUID", "FileSetID",
    }
)  # fmt: skip
_STRUCTURE = frozenset(
    {
        "PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence", "ModalityLUTSequence", "VOILUTSequence",
        "RealWorldValueMappingSequence", "SequenceOfUltrasoundRegions", "DetectorInformationSequence",
        "RadiopharmaceuticalInformationSequence", "DimensionIndexSequence", "ViewCodeSequence",
        "PixelValueTransformationSequence", "EnhancedPaletteColorLookupTableSequence",
    }
)  # fmt: skip

_DEEP = frozenset(
    {
        "ReferencedStudySequence", "ReferencedPatientSequence", "OtherPatientIDsSequence", "SourceImageSequence",
        "RequestAttributesSequence", "ContributingEquipmentSequence", "ReferencedSeriesSequence", "ContentSequence",
        "ProcedureCodeSequence", "AnatomicRegionSequence", "ReferencedImageSequence", "OriginalAttributesSequence",
        "PersonIdentificationCodeSequence", "DeidentificationMethodCodeSequence", "PatientSizeCodeSequence",
    }
)  # fmt: skip


@cache
def _everything() -> Dataset:
    """Return a data set of every text, date, time and UID there is, and of every sequence with some inside."""
    ds = Dataset()
    for tag, (vr, _, _, retired, keyword) in DicomDictionary.items():
        if not keyword or retired or keyword in _SENSE or tag >> 16 in {0x0000, 0x0002, 0x0004, 0xFFFE}:
            continue
        if vr in _TEXTS:
            ds.add_new(tag, vr, _TEXTS[vr])
        elif vr == "SQ" and keyword not in _STRUCTURE:
            ds.add_new(tag, "SQ", Sequence([_item(deep=keyword in _DEEP)]))
    ds.add_new(0x60000022, "LO", "CANARY overlay")
    ds.add_new(0x60001500, "LO", "CANARY overlay label")
    ds.add_new(0x50002500, "LO", "CANARY curve label")
    ds.private_block(0x0011, "CANARY creator", create=True).add_new(1, "LO", "CANARY private")
    return ds


def plant(ds: Dataset, number: int) -> None:
    """Plant canaries in a data set, in its sequences, and in the sequences of those."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ds.update(_everything())
        for keyword in ("RadiopharmaceuticalInformationSequence", "VOILUTSequence", "ModalityLUTSequence"):
            for item in ds.get(keyword, ()):
                item.update(_sprinkled())
        ds.PatientWeight = WEIGHT
        ds.WindowCenter, ds.WindowWidth, ds.WindowCenterWidthExplanation = "100", "400", "CANARY window"
        for keyword, part in (("StudyInstanceUID", 1), ("SeriesInstanceUID", 2), ("FrameOfReferenceUID", 3)):
            setattr(ds, keyword, f"{UID_ROOT}.{part}")
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"{UID_ROOT}.4.{number}"


def _item(*, deep: bool) -> Dataset:
    item = Dataset()
    if not deep:
        item.CodeMeaning, item.ReferencedSOPInstanceUID, item.StudyDate = "CANARY lo", UID_ROOT + ".5", DATE
        return item
    item.update(_sprinkled())
    for keyword in ("SourceImageSequence", "PurposeOfReferenceCodeSequence", "RequestAttributesSequence"):
        setattr(item, keyword, Sequence([_sprinkled()]))
    return item


def _sprinkled() -> Dataset:
    """Return an item with a few of each kind."""
    item = Dataset()
    for keyword in (
        *("PatientName", "PatientID", "OperatorsName", "StationName", "CodeMeaning", "CodeValue", "TextValue"),
        *("Manufacturer", "ContributionDescription", "LUTExplanation", "RetrieveAETitle", "RetrieveURL"),
        *("ReferencedSOPInstanceUID", "UID", "StudyDate", "StudyTime", "ContributionDateTime"),
    ):
        tag = tag_for_keyword(keyword)
        assert tag is not None
        item.add_new(tag, dictionary_VR(tag), _TEXTS[dictionary_VR(tag)])
    item.private_block(0x0011, "CANARY creator", create=True).add_new(1, "UN", b"CANARY private")
    return item


def write_series(folder: Path, modality: str, **names: Any) -> list[Path]:
    """Write a small series of a modality, full of canaries, under file names of canaries."""
    folder = folder / f"CANARY^NAME {DATE}" / modality
    if modality == "US":
        pixels = np.random.default_rng(1).integers(0, 256, (24, 32, 3)).astype(np.uint8)
        said = {"SamplesPerPixel": 3, "BurnedInAnnotation": "NO"} | names
        datasets = [image(pixels, modality="US", **said)]
        datasets[0].SOPClassUID = "1.2.840.10008.5.1.4.1.1.6.1"
        datasets[0].file_meta.MediaStorageSOPClassUID = datasets[0].SOPClassUID
        folder.mkdir(parents=True, exist_ok=True)
        paths = [folder / "0001.dcm"]
    else:
        paths = phantom.write_dicom(phantom.scan(modality, shape=(24, 20, 2)), folder)
        datasets = [pydicom.dcmread(path) for path in paths]
    for number, (ds, path) in enumerate(zip(datasets, paths, strict=True), start=1):
        plant(ds, number)
        for part in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "SOPInstanceUID"):
            setattr(ds, part, f"{ds.get(part)}.{len(modality) + ord(modality[0])}")
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
        for keyword, value in names.items():
            setattr(ds, keyword, value)
        ds.save_as(path, enforce_file_format=True)
    return paths


def elements(ds: Dataset) -> int:
    """Return how many elements a file has that hold a canary, at any depth."""
    count = 0
    for element in ds.iterall():
        count += element.VR != "SQ" and any(planted in str(element.value) for planted in PLANTED)
    return count


__all__ = ["PLANTED", "elements", "plant", "write_series"]
