"""What objects beside the colour series share with it: identity, series, equipment, source, dates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from medcolor.color_scan import ColorScan
from medcolor.io.dicom.attributes import describe_equipment, describe_series, describe_side, source_date, unpaired
from medcolor.io.dicom.identity import copy_identity, copy_present, put, whole
from medcolor.io.dicom.multiframe import NO_DATE
from medcolor.io.dicom.provenance import style_of
from medcolor.io.dicom.references import reference_sources
from medcolor.io.dicom.uids import PIXEL_VERSION, derived_uid
from medcolor.io.picture import canonical

if TYPE_CHECKING:
    from pydicom import Dataset

_NOT_HERE = ("ConversionType", "DateOfSecondaryCapture", "TimeOfSecondaryCapture")  # of Secondary Capture alone


def settings_of(colored: ColorScan, layout: str, options: Mapping[str, Any]) -> str:
    """Return canonical JSON of all that shapes an object, for its UIDs."""
    record = {"provenance": colored.provenance.to_json(), "layout": layout, "pixels": PIXEL_VERSION}
    return canonical(record | dict(options))


def begin(
    colored: ColorScan, *, source_key: str, settings: str, modality: str, title: str, number: int, placed: bool
) -> Dataset:
    """Return identity, series and equipment of an object that is no picture.

    Parameters
    ----------
    colored : ColorScan
    source_key : str
        Content digest of the source.
    settings : str
        Canonical JSON of what shapes the object.
    modality : str
        "SEG" or "PR".
    title : str
        First words of the series description.
    number : int
        Added to the source's series number.
    placed : bool
        Its slices have a place in the patient.
    """
    from pydicom import Dataset

    header = colored.source.headers[0] if colored.source.headers else Dataset()
    out = Dataset()
    copy_identity(out, header, source_key)
    describe_series(out, header, colored, source_key, settings, modality)
    describe_side(out, header, volume=False)
    if "ImageLaterality" in out:  # of pictures; the series has the other one
        side = out.ImageLaterality
        del out.ImageLaterality
        if side in {"L", "R"} or not unpaired(header):
            out.Laterality = side if side in {"L", "R"} else None
    known = whole(header, "SeriesNumber") or 0
    out.SeriesNumber = number + (known if 0 <= known < 10**8 else 0)
    room = 64 - len(f"{title}  (NOT DIAGNOSTIC)")
    out.SeriesDescription = f"{title} {style_of(colored.provenance)[:room]} (NOT DIAGNOSTIC)"
    if placed:
        own = derived_uid(str(header.get("SeriesInstanceUID", source_key)), "frame of reference")
        put(out, "FrameOfReferenceUID", header.get("FrameOfReferenceUID") or own)
        out.PositionReferenceIndicator = None
        copy_present(header, out, ("PositionReferenceIndicator",))
    describe_equipment(out, colored)
    for keyword in _NOT_HERE:
        if keyword in out:
            delattr(out, keyword)
    return out


def content_date(colored: ColorScan) -> tuple[str, str]:
    """Return date and time for objects that must have them; 19000101 stands for unknown."""
    date, time = source_date(colored.source.headers[0] if colored.source.headers else {})
    return (NO_DATE[0] if date is None else date), (NO_DATE[1] if time is None else time)


def referenced(colored: ColorScan, slices: Iterable[int], *, in_place: bool) -> Dataset:
    """Return SourceImageSequence and ReferencedSeriesSequence of some slices, as far as they can be named."""
    from pydicom import Dataset

    out = Dataset()
    if colored.source.headers:
        exact = len(colored.source.frames) == colored.shape[2]
        frames = slices if exact else range(len(colored.source.frames))
        reference_sources(out, colored.source, frames, in_place=in_place)
    return out
