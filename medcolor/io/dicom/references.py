"""From which source instances and frames a colour object was made (PS3.3 C.12.4, C.12.2)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from medcolor.io.dicom.attributes import coded
from medcolor.io.dicom.identity import put
from medcolor.scan import Source

if TYPE_CHECKING:
    from pydicom import Dataset


_UID = re.compile(r"[0-9.]{1,64}")


def reference_sources(out: Dataset, source: Source, slices: Iterable[int], *, in_place: bool) -> None:
    """Add SourceImageSequence and ReferencedSeriesSequence for slices ``slices`` of ``source``.

    Sources whose SOP class or instance UID is missing or is no UID cannot be named and are left out.
    """
    from pydicom import Dataset

    wanted: dict[int, list[int]] = {}
    for k in slices:
        n, frame = source.frames[k]
        wanted.setdefault(n, []).append(frame)
    images: list[Dataset] = []
    series: dict[str, list[Dataset]] = {}
    for n, frames in wanted.items():
        header = source.headers[n]
        if not all(_UID.fullmatch(str(header.get(keyword))) for keyword in ("SOPClassUID", "SOPInstanceUID")):
            continue
        item, plain = Dataset(), Dataset()
        for target in (item, plain):
            put(target, "ReferencedSOPClassUID", header.SOPClassUID)
            put(target, "ReferencedSOPInstanceUID", header.SOPInstanceUID)
        total = int(header.get("NumberOfFrames") or 1)
        if total > 1 and frames != list(range(total)):
            item.ReferencedFrameNumber = [frame + 1 for frame in frames]
        item.SpatialLocationsPreserved = "YES" if in_place else "NO"
        item.PurposeOfReferenceCodeSequence = [coded("121322", "Source image for image processing operation")]
        images.append(item)
        if header.get("SeriesInstanceUID"):
            series.setdefault(header.SeriesInstanceUID, []).append(plain)
    if images:
        out.SourceImageSequence = images
    if series:
        out.ReferencedSeriesSequence = [_series_item(uid, instances) for uid, instances in series.items()]


def _series_item(uid: str, instances: list[Dataset]) -> Dataset:
    from pydicom import Dataset

    item = Dataset()
    put(item, "SeriesInstanceUID", uid)
    item.ReferencedInstanceSequence = instances
    return item
