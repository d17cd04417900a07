"""What derived objects take from the header of a source, and nothing else: numbers, and words from lists.

Whatever is not here stays behind when a scan is de-identified: a list of what to leave out would fail open.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from medcolor.io.dicom import header

if TYPE_CHECKING:
    from pydicom import Dataset

MODALITIES = frozenset(
    {
        "CT", "MR", "PT", "NM", "US", "IVUS", "CR", "DX", "XR", "RG", "RF", "XA", "IO", "PX", "MG", "OT", "SC", "ES",
        "XC", "GM", "SM", "OP", "OPT", "OCT", "BMD", "TG",
    }
)  # fmt: skip
# Words that code strings may hold; anything else could be anybody's name.
_WORDS: dict[str, frozenset[str]] = {
    "Modality": MODALITIES,
    "PatientPosition": frozenset({"HFS", "HFP", "HFDR", "HFDL", "FFS", "FFP", "FFDR", "FFDL", "SITTING"}),
    "AnatomicalOrientationType": frozenset({"BIPED", "QUADRUPED"}),
    "Laterality": frozenset({"L", "R"}),
    "ImageLaterality": frozenset({"L", "R", "U", "B"}),
    "LossyImageCompression": frozenset({"00", "01"}),
    "LossyImageCompressionMethod": frozenset(
        {"ISO_10918_1", "ISO_14495_1", "ISO_15444_1", "ISO_15444_2", "ISO_13818_2", "ISO_14496_10", "ISO_23008_2"}
    ),
    "BurnedInAnnotation": frozenset({"YES", "NO"}),
    "RecognizableVisualFeatures": frozenset({"YES", "NO"}),
    "BodyPartExamined": frozenset(
        {
            "ABDOMEN", "ABDOMENPELVIS", "ANKLE", "ARM", "BLADDER", "BRAIN", "BREAST", "CHEST", "CHESTABDOMEN",
            "CHESTABDPELVIS", "CLAVICLE", "CSPINE", "EAR", "ELBOW", "EXTREMITY", "EYE", "FACE", "FEMUR", "FINGER",
            "FOOT", "FOREARM", "HAND", "HEAD", "HEADNECK", "HEART", "HIP", "HUMERUS", "JAW", "KIDNEY", "KNEE", "LEG",
            "LIVER", "LSPINE", "LUNG", "MANDIBLE", "NECK", "PANCREAS", "PELVIS", "PROSTATE", "RIB", "SCAPULA",
            "SHOULDER", "SKULL", "SPINE", "SPLEEN", "SSPINE", "STERNUM", "STOMACH", "THIGH", "TIBIA", "TOE", "TSPINE",
            "UTERUS", "WHOLEBODY", "WRIST",
        }
    ),
    "ModalityLUTType": frozenset({"HU", "OD", "US", "MGML", "Z_EFF", "ED", "EDW", "HU_MOD", "PCT"}),
}  # fmt: skip
_ORIENTATION = re.compile(r"[LRAPHF]{1,3}")
_NUMBERS = (
    "SeriesNumber", "InstanceNumber", "Rows", "Columns", "NumberOfFrames", "PixelRepresentation",
    "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness", "SliceLocation",
    "SpacingBetweenSlices", "ImagerPixelSpacing", "NominalScannedPixelSpacing", "LossyImageCompressionRatio",
    "FrameTime", "FrameTimeVector", "CineRate", "RecommendedDisplayFrameRate", "FrameDelay",
    "PreferredPlaybackSequencing", "EffectiveDuration", "RescaleSlope", "RescaleIntercept",
)  # fmt: skip
_TABLES = ("LUTDescriptor", "LUTData")  # numbers inside a Modality LUT
_GROUPS = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
_MACROS = (
    "PlanePositionSequence", "PlaneOrientationSequence", "PixelMeasuresSequence", "PixelValueTransformationSequence",
)  # fmt: skip
_VIEWS = ("ViewCodeSequence", "ViewModifierCodeSequence")


def carried(source: Any) -> Dataset:
    """Return a new header with what derived objects take from ``source``, its UIDs not among it."""
    out = _carried(source)
    for keyword in _GROUPS:
        if groups := [_group(item) for item in header.items(source, keyword)]:
            setattr(out, keyword, groups)
    if luts := header.items(source, "ModalityLUTSequence")[:1]:
        out.ModalityLUTSequence = [_lut(luts[0])]
    if views := _codes(source, "ViewCodeSequence"):
        out.ViewCodeSequence = views
    if (sop_class := header.text(source, "SOPClassUID")) and _is_class(sop_class):
        out.SOPClassUID = sop_class
    return out


def harmless(keyword: str, value: Any) -> bool:
    """Whether a fact of a scan is a number, or a word that could be nobody's."""
    if isinstance(value, int | float):
        return True
    if keyword == "PatientOrientation":
        return all(_ORIENTATION.fullmatch(str(v)) for v in value)
    return isinstance(value, str) and _term(value, keyword) in _WORDS.get(keyword, frozenset())


def _carried(source: Any) -> Dataset:
    """Return the numbers and known words of a data set that derived objects take from their source."""
    from pydicom import Dataset

    out = Dataset()
    for keyword in _NUMBERS:
        found = header.numbers(source, keyword)
        if found and keyword in source and all(n == n for n in found):  # no NaN: what is no number is a text
            out[keyword] = source[keyword]
    for keyword, words in _WORDS.items():
        word = _term(header.text(source, keyword), keyword)
        if word in words:
            setattr(out, keyword, word)
    orientation = [str(v).strip() for v in header.values(source, "PatientOrientation")]
    if orientation and all(_ORIENTATION.fullmatch(v) for v in orientation):
        out.PatientOrientation = orientation
    return out


def _term(word: str, keyword: str) -> str:
    upper = word.upper()
    return "".join(c for c in upper if c.isalnum()) if keyword == "BodyPartExamined" else upper


def _group(item: Any) -> Dataset:
    from pydicom import Dataset

    out = Dataset()
    for macro in _MACROS:
        if inner := header.items(item, macro)[:1]:
            carried = _carried(inner[0])
            if luts := header.items(inner[0], "ModalityLUTSequence")[:1]:
                carried.ModalityLUTSequence = [_lut(luts[0])]
            setattr(out, macro, [carried])
    return out


def _lut(item: Any) -> Dataset:
    out = _carried(item)
    for keyword in _TABLES:
        if keyword in item:
            out[keyword] = item[keyword]
    if "ModalityLUTType" not in out:
        out.ModalityLUTType = "US"  # unspecified
    return out


def _codes(source: Any, keyword: str) -> list[Dataset]:
    """Return the views that DICOM's own lists know, in their words; others could say anything."""
    from pydicom import Dataset

    out = []
    for item in header.items(source, keyword)[:1]:
        code = _known_views().get((header.text(item, "CodingSchemeDesignator"), header.text(item, "CodeValue")))
        if code is None:
            continue
        view = Dataset()
        view.CodeValue, view.CodingSchemeDesignator, view.CodeMeaning = code.value, code.scheme_designator, code.meaning
        if modifiers := _codes(item, "ViewModifierCodeSequence"):
            view.ViewModifierCodeSequence = modifiers
        out.append(view)
    return out


@cache
def _known_views() -> Mapping[tuple[str, str], Any]:
    from pydicom.sr._snomed_dict import mapping
    from pydicom.sr.codedict import codes

    old = {new: srt for srt, new in mapping["SRT"].items()}
    found: dict[tuple[str, str], Any] = {}
    for cid in (4014, 4015, 4010, 4011):  # views and their modifiers: mammography, projections
        for code in getattr(codes, f"cid{cid}").concepts.values():
            found[code.scheme_designator, code.value] = code
            if code.scheme_designator == "SCT" and code.value in old:
                found["SRT", old[code.value]] = found["SNM3", old[code.value]] = code
    return found


def _is_class(uid: str) -> bool:
    from pydicom.uid import UID_dictionary

    return UID_dictionary.get(uid, ("", ""))[1] == "SOP Class"


__all__ = ["MODALITIES", "carried", "harmless"]
