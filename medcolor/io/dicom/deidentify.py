"""De-identification before anything is derived (PS3.15 Annex E, Basic Application Level Confidentiality Profile).

Two barriers. First, only what a derived object needs is carried over at all: the tables below, at every depth of
nesting; whatever else a file holds, private or not, known or not, stays behind. Then the profile's own action (Table
E.1-1 as the library ``dicom-anonymizer`` has it) is done to what is left. UIDs and pseudonyms are keyed with a salt:
equal for equal sources under one salt, and nobody without it can tell which source they stand for.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Literal

from medcolor.errors import PrivacyError, SettingError
from medcolor.io.dicom import header
from medcolor.io.dicom.attributes import may_hold_text
from medcolor.io.dicom.uids import uid_of
from medcolor.scan import Finding, Scan, Source
from medcolor.voi import VoiLut, Window

if TYPE_CHECKING:
    from pydicom import Dataset

PixelText = Literal["refuse", "flag"]
PROFILE = "2026c"  # edition of Table E.1-1
SALT_BYTES = 16  # at least

_MODALITIES = frozenset(
    {
        "CT", "MR", "PT", "NM", "US", "IVUS", "CR", "DX", "XR", "RG", "RF", "XA", "IO", "PX", "MG", "OT", "SC", "ES",
        "XC", "GM", "SM", "OP", "OPT", "OCT", "BMD", "TG",
    }
)  # fmt: skip
# Words that code strings may hold; anything else could be anybody's name.
_WORDS: dict[str, frozenset[str]] = {
    "Modality": _MODALITIES,
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
_UIDS = ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")
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


def deidentify(scan: Scan, salt: bytes, *, pixel_text: PixelText = "refuse") -> Scan:
    """Return a scan that no longer says whose it is, for objects to be derived from.

    Voxels and geometry stay. Quantities that need a date, a weight or a dose (SUV) are in the voxels already.

    Parameters
    ----------
    scan : Scan
        As read; its ``source.headers`` are left as they are.
    salt : bytes
        At least 16 secret bytes. One salt gives a source the same UIDs and pseudonym each time.
    pixel_text : {"refuse", "flag"}
        What to do with pictures whose pixels may hold text: those that say so (Burned In Annotation YES), and screens
        and films that say nothing. Pixels are not cleaned. "flag" makes the objects, and says in them that identity
        was **not** removed.

    Returns
    -------
    Scan
        ``source.paths`` is empty.

    Raises
    ------
    PrivacyError
        Text in the pixels.
    SettingError
        The library is not installed; the salt is too short.
    """
    if len(salt) < SALT_BYTES:
        raise SettingError(f"A salt has at least {SALT_BYTES} bytes; this one has {len(salt)}.")
    clean = _check_pixels(scan, pixel_text)
    act = _profile(salt)
    headers = tuple(_clean(each, salt, act, removed=clean) for each in scan.source.headers)
    source = Source(
        format=scan.source.format,
        digest=keyed(salt, "digest", scan.source.digest) if scan.source.digest else "",
        headers=headers,
        frames=scan.source.frames,
    )
    modality = scan.modality if scan.modality in _MODALITIES else "OT"
    note = [] if clean else [Finding("pixel-text", "Text in the pixels was not looked for: identity is not removed.")]
    return replace(
        scan,
        source=source,
        modality=modality,
        windows=tuple(replace(w, name="") if isinstance(w, Window) else VoiLut(w.first, w.table) for w in scan.windows),
        facts={keyword: value for keyword, value in scan.facts.items() if _harmless(keyword, value)},
        audit=(*scan.audit, *note),
    )


def keyed(salt: bytes, kind: str, text: str) -> str:
    """Return a hex digest that nobody without the salt can compute."""
    return hmac.new(salt, f"{kind}|{text}".encode("utf-8", "surrogateescape"), "sha256").hexdigest()


def method() -> str:
    """Return what was done, in the words of Deidentification Method (at most 64 characters)."""
    return f"PS3.15 Basic Profile {PROFILE} by dicom-anonymizer {_library()}"[:64]


def _library() -> str:
    try:
        import dicomanonymizer.simpledicomanonymizer  # noqa: F401
    except ImportError:
        raise SettingError('--deidentify needs dicom-anonymizer: pip install "medcolor[batch]"') from None
    return version("dicom-anonymizer")


def _check_pixels(scan: Scan, pixel_text: PixelText) -> bool:
    """Whether the pixels are free of text, as far as the source says; refuse where they may not be."""
    said = {header.text(each, "BurnedInAnnotation").upper() for each in scan.source.headers}
    if said <= {"NO"} and said:
        return True
    if "YES" in said:
        why = "Its pixels hold text (Burned In Annotation YES), which nobody here removes."
    elif may_hold_text(scan.modality, scan.source.format):
        why = "It is a screen or film that does not say whether text is in its pixels (no Burned In Annotation)."
    else:
        return True
    if pixel_text == "refuse":
        raise PrivacyError(f"{why} --pixel-text flag colours it, and says that identity was not removed.")
    return False


def _profile(salt: bytes) -> Callable[[Dataset], None]:
    """Return the profile's actions on one data set, UIDs replaced by keyed ones."""
    _library()
    from dicomanonymizer.simpledicomanonymizer import (
        anonymize_dataset,
        delete,
        delete_or_empty_or_replace_UID,
        initialize_actions,
        replace_UID,
    )

    def rekey(dataset: Any, tag: tuple[int, ...]) -> None:
        element = dataset.get(tag)
        if element is not None:
            element.value = uid_of(keyed(salt, "uid", str(element.value)))

    actions = initialize_actions(f"dicomfields_{PROFILE}")
    # the library writes dummy dates where the profile lets an attribute be removed or left empty: ours go
    chosen = {
        tag: rekey if action in {replace_UID, delete_or_empty_or_replace_UID} else delete
        for tag, action in actions.items()
        if len(tag) == 2  # groups that repeat (curves, overlays) are not carried over
    }

    def act(dataset: Dataset) -> None:
        here = {tag: action for tag, action in chosen.items() if tag in dataset}
        anonymize_dataset(dataset, None, base_rules_gen=lambda: dict(here))
        for element in dataset:
            if element.VR == "SQ":
                for item in element.value:
                    act(item)

    return act


def _clean(source: Any, salt: bytes, act: Callable[[Dataset], None], *, removed: bool) -> Dataset:
    """Return the header of a derived object's source, without its patient."""
    from pydicom import Dataset

    out = _carried(source)
    for keyword in _UIDS:
        if found := header.text(source, keyword):
            setattr(out, keyword, found)
    for keyword in _GROUPS:
        if groups := [_group(item) for item in header.items(source, keyword)]:
            setattr(out, keyword, groups)
    if luts := header.items(source, "ModalityLUTSequence")[:1]:
        out.ModalityLUTSequence = [_lut(luts[0])]
    if views := _codes(source, "ViewCodeSequence"):
        out.ViewCodeSequence = views
    act(out)
    for keyword in _UIDS:
        if keyword in out and str(out.get(keyword)) == header.text(source, keyword):
            raise PrivacyError("The profile's library left a UID as it was.")
    if (sop_class := header.text(source, "SOPClassUID")) and _is_class(sop_class):
        out.SOPClassUID = sop_class
    who = [header.text(source, k) for k in ("IssuerOfPatientID", "PatientID")]
    who = who if who[1] else ["study", header.text(source, "StudyInstanceUID")]
    out.PatientID = keyed(salt, "patient", "\0".join(who))[:16].upper()
    out.PatientName = f"DEIDENTIFIED^{out.PatientID}"
    out.PatientIdentityRemoved = "YES" if removed else "NO"
    out.LongitudinalTemporalInformationModified = "REMOVED"
    if removed:
        code = Dataset()
        code.CodeValue, code.CodingSchemeDesignator = "113100", "DCM"
        code.CodeMeaning = "Basic Application Confidentiality Profile"
        out.DeidentificationMethod = method()
        out.DeidentificationMethodCodeSequence = [code]
    return out


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


def _harmless(keyword: str, value: Any) -> bool:
    """Whether a fact of a scan is a number, or a word that could be nobody's."""
    if isinstance(value, int | float):
        return True
    if keyword == "PatientOrientation":
        return all(_ORIENTATION.fullmatch(str(v)) for v in value)
    return isinstance(value, str) and _term(value, keyword) in _WORDS.get(keyword, frozenset())


__all__ = ["PROFILE", "PixelText", "deidentify", "keyed", "method"]
