"""What all objects of a colour series share: identity copied from the source, labels and lineage of our own.

The table is docs/dicom_output.md. Values of the source are copied by reference and never edited; private attributes
stay behind. Our own texts are ASCII, so any character set of the source can hold them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from medcolor.color_scan import ColorScan
from medcolor.io.dicom.icc import SRGB_PROFILE
from medcolor.io.dicom.identity import copy_identity, copy_present, put, whole
from medcolor.io.dicom.provenance import MODEL_NAME, ascii_label, describe_making, style_of
from medcolor.io.dicom.uids import derived_uid
from medcolor.scan import family

if TYPE_CHECKING:
    from pydicom import Dataset

_SERIES = ("BodyPartExamined", "PatientPosition", "ProtocolName", "AnatomicalOrientationType")
# Where DICOM needs no side: dciodvfy's own list is longer, these are the common ones it was tried with.
_UNPAIRED = frozenset(
    {
        "ABDOMEN", "ABDOMENPELVIS", "BLADDER", "BRAIN", "CHEST", "CHESTABDOMEN", "CHESTABDPELVIS", "CSPINE",
        "HEAD", "HEADNECK", "HEART", "LIVER", "LSPINE", "NECK", "PANCREAS", "PELVIS", "PROSTATE", "SKULL",
        "SPINE", "SSPINE", "SPLEEN", "STOMACH", "TSPINE", "UTERUS", "WHOLEBODY",
    }
)  # fmt: skip
_FACES = frozenset({"HEAD", "HEADNECK", "FACE"})
_MAY_HOLD_TEXT = frozenset({"US", "XR", "OT", "SC"})  # screens and films: identity is often burnt into the picture
LABEL = "AI-COLORIZED - NOT FOR DIAGNOSTIC USE"


def shared_attributes(
    colored: ColorScan,
    *,
    source_key: str,
    settings: str,
    placed: bool,
    in_place: bool,
    synthetic_flag: bool,
    modality_tag: str | None,
    strip_rows: int,
) -> Dataset:
    """Return the attributes that every object of the colour series has.

    Parameters
    ----------
    colored : ColorScan
    source_key : str
        Content digest of the source: UIDs come from it where the source has none.
    settings : str
        Canonical JSON of what shapes the output, for the series UID.
    placed : bool
        The slices have a place in the patient.
    in_place : bool
        Colour and source share their grid.
    synthetic_flag, modality_tag
        As in ``write_dicom``.
    strip_rows : int
        Height of the burned-in strip, 0 when there is none.
    """
    from pydicom import Dataset

    header = colored.source.headers[0] if colored.source.headers else Dataset()
    out = Dataset()
    copy_identity(out, header, source_key)
    describe_series(out, header, colored, source_key, settings, modality_tag)
    describe_side(out, header, volume=placed)
    if placed:
        own = derived_uid(str(header.get("SeriesInstanceUID", source_key)), "frame of reference")
        put(out, "FrameOfReferenceUID", header.get("FrameOfReferenceUID") or own)
        out.PositionReferenceIndicator = None
        copy_present(header, out, ("PositionReferenceIndicator",))
    describe_equipment(out, colored)
    _labels(out, colored, in_place=in_place, synthetic_flag=synthetic_flag, strip_rows=strip_rows)
    _pixel_history(out, colored)
    if not placed:
        _projection(out, header, colored)
    out.SamplesPerPixel = 3
    out.PhotometricInterpretation = "RGB"
    out.PlanarConfiguration = 0
    out.BitsAllocated, out.BitsStored, out.HighBit, out.PixelRepresentation = 8, 8, 7, 0
    out.Rows, out.Columns = colored.shape[1] + strip_rows, colored.shape[0]
    out.ICCProfile = SRGB_PROFILE
    out.ColorSpace = "SRGB"
    return out


def describe_series(
    out: Dataset, header: Any, colored: ColorScan, source_key: str, settings: str, modality_tag: str | None
) -> None:
    """Name the series, its modality and its dates."""
    copy_present(header, out, _SERIES)
    if out.get("BodyPartExamined") and _term(out.BodyPartExamined) in _UNPAIRED:
        out.BodyPartExamined = _term(out.BodyPartExamined)
    code = modality_tag or header.get("Modality") or colored.modality
    put(out, "Modality", "RG" if code == "XR" else code)  # XR is our family, not a DICOM term
    out.SeriesInstanceUID = derived_uid(f"{header.get('SeriesInstanceUID', '')} {source_key}", "series", settings)
    number = whole(header, "SeriesNumber") or 0
    out.SeriesNumber = 7000 + (number if 0 <= number < 10**8 else 0)
    room = 64 - len("AI COLOR  (NOT DIAGNOSTIC)")
    out.SeriesDescription = f"AI COLOR {style_of(colored.provenance)[:room]} (NOT DIAGNOSTIC)"
    date, time = source_date(header)
    if date is not None:
        for keyword in ("SeriesDate", "ContentDate", "InstanceCreationDate", "DateOfSecondaryCapture"):
            put(out, keyword, date)
    if time is not None:
        for keyword in ("SeriesTime", "ContentTime", "InstanceCreationTime", "TimeOfSecondaryCapture"):
            put(out, keyword, time)


def source_date(header: Any) -> tuple[str | None, str | None]:
    """Return the date and time of the source's series or acquisition; never now, equal inputs give equal bytes."""
    for name in ("Series", "Acquisition", "Content", "Study"):
        # 1997.04.24 and 14:04:38 are how ACR-NEMA wrote them
        date = str(header.get(f"{name}Date") or "").replace(".", "").strip()
        time = str(header.get(f"{name}Time") or "").replace(":", "").strip()
        if re.fullmatch(r"\d{8}", date):
            return date, time if re.fullmatch(r"\d{2}(\d{2}(\d{2}(\.\d{1,6})?)?)?", time) else None
    return None, None


def _term(body_part: Any) -> str:
    """Return a body part as the defined terms of PS3.16 Annex L are spelled: WHOLEBODY for "Whole Body"."""
    return "".join(c for c in str(body_part or "").upper() if c.isalnum())


def unpaired(header: Any) -> bool:
    """Whether the body has one of the part examined."""
    return _term(header.get("BodyPartExamined")) in _UNPAIRED


def describe_side(out: Dataset, header: Any, *, volume: bool) -> None:
    """State the side as the source does; where nobody knows it, say so in the way the object allows."""
    if header.get("ImageLaterality"):
        copy_present(header, out, ("ImageLaterality",))
    elif header.get("Laterality"):
        copy_present(header, out, ("Laterality",))
    elif not unpaired(header):
        if volume:
            out.ImageLaterality = "U"
        else:
            out.Laterality = None


def describe_equipment(out: Dataset, colored: ColorScan) -> None:
    """Name medcolor as the equipment, and the scanner and how colours were made as contributors."""
    from pydicom import Dataset

    provenance = colored.provenance
    version = provenance.version or "unversioned"
    software = [f"medcolor {version}"]
    if provenance.weights_sha256:
        software.append(ascii_label(provenance.colorizer)[:64])
    out.Manufacturer = "medcolor project"
    out.ManufacturerModelName = MODEL_NAME
    out.DeviceSerialNumber = "none"
    out.SoftwareVersions = software
    out.ConversionType = "WSD"
    items = []
    header = colored.source.headers[0] if colored.source.headers else Dataset()
    if header.get("Manufacturer"):
        item = Dataset()
        copy_present(header, item, ("Manufacturer", "ManufacturerModelName", "SoftwareVersions", "DeviceSerialNumber"))
        item.PurposeOfReferenceCodeSequence = [coded("109101", "Acquisition Equipment")]
        items.append(item)
    for text in describe_making(provenance):
        item = Dataset()
        item.Manufacturer = out.Manufacturer
        item.ManufacturerModelName = MODEL_NAME
        item.SoftwareVersions = software
        item.ContributionDescription = text
        item.PurposeOfReferenceCodeSequence = [coded("109102", "Processing Equipment")]
        items.append(item)
    out.ContributingEquipmentSequence = items


def _labels(out: Dataset, colored: ColorScan, *, in_place: bool, synthetic_flag: bool, strip_rows: int) -> None:
    provenance = colored.provenance
    out.ImageType = ["DERIVED", "SECONDARY", "OTHER", "AI_COLOR"]
    if synthetic_flag:
        out.SyntheticData = "YES"
    out.ContentQualification = "RESEARCH"
    out.ImageComments = f"{LABEL}. Colour is synthetic."
    weights = f" sha256:{provenance.weights_sha256[:16]}" if provenance.weights_sha256 else ""
    sentences = [
        f"Synthetic colour by medcolor {provenance.version or 'unversioned'}, "
        f"model {ascii_label(provenance.colorizer)}{weights}, style {style_of(provenance)}.",
        "Colour is generated, not measured; for visualisation only, not for diagnostic use.",
        "The gray-scale original governs.",
        f"Shown with window {ascii_label(provenance.window)}." if provenance.window else "",
        f"{provenance.passed_through} voxels were colour in the source and are unchanged."
        if provenance.passed_through
        else "",
        f"A strip of {strip_rows} rows with the text '{LABEL}' is added at the bottom." if strip_rows else "",
        "The source's quantity cannot be read from the colours." if colored.modality in {"PT", "NM"} else "",
        "" if in_place else "Resampled: not on the grid of the source.",
        "" if colored.source.headers else "The source was no DICOM object: study and identity are made up.",
    ]
    out.DerivationDescription = " ".join(s for s in sentences if s)[:1024]


def _pixel_history(out: Dataset, colored: ColorScan) -> None:
    """Carry over what cannot be undone: lossy compression, burnt-in text, faces."""
    headers = colored.source.headers
    lossy = next((h for h in headers if str(h.get("LossyImageCompression", "")) == "01"), None)
    out.LossyImageCompression = "00" if lossy is None else "01"
    if lossy is not None:
        copy_present(lossy, out, ("LossyImageCompressionRatio", "LossyImageCompressionMethod"))
    burned = burned_in(colored)
    if burned is not None:
        out.BurnedInAnnotation = burned
    header = headers[0] if headers else {}
    copy_present(header, out, ("RecognizableVisualFeatures",))
    head = _term(header.get("BodyPartExamined")) in _FACES
    if "RecognizableVisualFeatures" not in out and head and colored.modality in {"CT", "MR"} and colored.shape[2] > 1:
        out.RecognizableVisualFeatures = "YES"


def burned_in(colored: ColorScan) -> str | None:
    """Return YES, NO, or None where the source is silent and its kind often has text in the picture."""
    said = {str(h.get("BurnedInAnnotation") or "") for h in colored.source.headers}
    if "YES" in said:
        return "YES"
    silent = not said or "" in said
    return None if silent and may_hold_text(colored.modality, colored.source.format) else "NO"


def may_hold_text(modality: str, source_format: str) -> bool:
    """Whether images of this kind often have text in the picture."""
    return (family(modality) or "OT") in _MAY_HOLD_TEXT or source_format in {"png", "tiff", "jpeg"}


def _projection(out: Dataset, header: Any, colored: ColorScan) -> None:
    """Keep what a picture without a place in the patient knows of its size, side and view."""
    from medcolor.geometry import Space
    from medcolor.io.dicom.planes import decimal, decimals

    known = [keyword for keyword in ("PixelSpacing", "NominalScannedPixelSpacing") if _positive(header.get(keyword))]
    copy_present(header, out, (*known, "ViewCodeSequence"))
    for view in out.get("ViewCodeSequence") or ():
        if not view.get("ViewModifierCodeSequence", True):
            del view.ViewModifierCodeSequence  # empty is allowed in DX and MG, not here
    if "PixelSpacing" in known:
        copy_present(header, out, ("PixelSpacingCalibrationType", "PixelSpacingCalibrationDescription"))
    if "NominalScannedPixelSpacing" not in known and _positive(header.get("ImagerPixelSpacing")):
        out.NominalScannedPixelSpacing = list(decimals(header.get("ImagerPixelSpacing")))
    elif not known and colored.geometry.space is Space.DETECTOR:
        step_i, step_j, _ = colored.geometry.spacing
        keyword = "NominalScannedPixelSpacing" if family(colored.modality) in {"XR", "MG"} else "PixelSpacing"
        setattr(out, keyword, [decimal(step_j), decimal(step_i)])


def _positive(spacing: Any) -> bool:
    try:
        return len(spacing) == 2 and min(float(s) for s in spacing) > 0
    except (TypeError, ValueError):
        return False


def coded(value: str, meaning: str) -> Dataset:
    """Return one item of a code sequence, from DICOM's own scheme."""
    from pydicom import Dataset

    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "DCM", meaning
    return item
