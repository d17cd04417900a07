"""De-identification before anything is derived (PS3.15 Annex E, Basic Application Level Confidentiality Profile).

Two barriers. First, only what a derived object needs is carried over at all, at every depth of nesting (``carried``);
whatever else a file holds, private or not, known or not, stays behind. Then the profile's own action (Table E.1-1 as
the library ``dicom-anonymizer`` has it) is done to what is left. UIDs and pseudonyms are keyed with a salt: equal for
equal sources under one salt, and nobody without it can tell which source they stand for.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Literal

from medcolor.errors import PrivacyError, SettingError
from medcolor.io.dicom import header
from medcolor.io.dicom.attributes import may_hold_text
from medcolor.io.dicom.carried import MODALITIES, carried, harmless
from medcolor.io.dicom.uids import uid_of
from medcolor.scan import Finding, Scan, Source
from medcolor.voi import VoiLut, Window

if TYPE_CHECKING:
    from pydicom import Dataset

PixelText = Literal["refuse", "flag"]
PROFILE = "2026c"  # edition of Table E.1-1
SALT_BYTES = 16  # at least
_UIDS = ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")


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
    modality = scan.modality if scan.modality in MODALITIES else "OT"
    note = [] if clean else [Finding("pixel-text", "Text in the pixels was not looked for: identity is not removed.")]
    return replace(
        scan,
        source=source,
        modality=modality,
        windows=tuple(replace(w, name="") if isinstance(w, Window) else VoiLut(w.first, w.table) for w in scan.windows),
        facts={keyword: value for keyword, value in scan.facts.items() if harmless(keyword, value)},
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

    out = carried(source)
    for keyword in _UIDS:
        if found := header.text(source, keyword):
            setattr(out, keyword, found)
    act(out)
    for keyword in _UIDS:
        if keyword in out and str(out.get(keyword)) == header.text(source, keyword):
            raise PrivacyError("The profile's library left a UID as it was.")
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


__all__ = ["PROFILE", "PixelText", "deidentify", "keyed", "method"]
