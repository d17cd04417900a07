"""The multi-frame part of colour objects: where each frame lies, or when it was taken (PS3.3 A.8.5)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from medcolor.color_scan import ColorScan
from medcolor.io.dicom.identity import copy_present
from medcolor.io.dicom.planes import Plane, decimal, decimals
from medcolor.scan import KAxis

if TYPE_CHECKING:
    from pydicom import Dataset

_LARGEST = 1_500_000_000  # bytes of pixels in one object; many toolkits stop at 2 GiB
_LONGEST_VECTOR = 3800  # values of 16 characters in an element whose length has 16 bits
NO_DATE = "19000101", "000000"  # stands for "unknown", as in de-identified data; now() would differ at each run
_CINE = ("CineRate", "RecommendedDisplayFrameRate", "FrameDelay", "PreferredPlaybackSequencing", "EffectiveDuration")


def frame_limit(rows: int, columns: int, colored: ColorScan) -> int:
    """Return how many frames one object may hold."""
    by_size = max(1, _LARGEST // (rows * columns * 3))
    return by_size if _frame_time(colored) is not None else min(by_size, _LONGEST_VECTOR)


def suit_multiframe(shared: Dataset) -> None:
    """Change what the multi-frame object demands otherwise than the single one."""
    if "BurnedInAnnotation" not in shared:
        shared.BurnedInAnnotation = "YES"  # has to say; where the source is silent, the safe side
    nominal = shared.get("NominalScannedPixelSpacing")
    if nominal is not None:  # only for film scanners and digitizers here
        if "PixelSpacing" not in shared:
            shared.PixelSpacing = list(decimals(nominal))
        del shared.NominalScannedPixelSpacing


def add_frames(out: Dataset, colored: ColorScan, slices: range, planes: Sequence[Plane] | None, *, dated: bool) -> None:
    """Add frame count, frame increment and functional groups for one object.

    Parameters
    ----------
    out : pydicom.Dataset
    colored : ColorScan
    slices : range
        The slices this object holds.
    planes : sequence of Plane or None
        Their places, where they have one.
    dated : bool
        The source has a date. Functional groups require one.
    """
    out.NumberOfFrames = len(slices)
    if len(slices) == 1:
        pass  # no increment to point to; the pointer is not allowed then
    elif colored.k_axis is KAxis.TIME:
        _time(out, colored, slices)
    elif planes is not None:
        out.FrameIncrementPointer = 0x00182005
        out.SliceLocationVector = [decimal(plane.location) for plane in planes]
    else:
        _pages(out, slices)
    if planes is not None:
        _functional_groups(out, colored, planes)
        if not dated:
            out.ContentDate, out.ContentTime = NO_DATE


def _pages(out: Dataset, slices: range) -> None:
    out.FrameIncrementPointer = 0x00182001
    out.PageNumberVector = [k + 1 for k in slices]


def _time(out: Dataset, colored: ColorScan, slices: range) -> None:
    header = colored.source.headers[0] if colored.source.headers else None
    interval = _frame_time(colored)
    vector = None if header is None else header.get("FrameTimeVector")
    frames = [colored.source.frames[k][1] for k in slices] if len(colored.source.frames) == colored.shape[2] else []
    if interval is not None:
        out.FrameIncrementPointer = 0x00181063
        out.FrameTime = interval
    elif vector is not None and frames and len(colored.source.headers) == 1 and max(frames) < len(vector):
        out.FrameIncrementPointer = 0x00181065
        out.FrameTimeVector = [decimal(float(vector[f])) if n else "0" for n, f in enumerate(frames)]
    else:
        _pages(out, slices)  # a dynamic series whose times we do not know: frames in order, no more
        return
    if header is not None:
        copy_present(header, out, _CINE)


def _frame_time(colored: ColorScan) -> str | None:
    """Return the time between frames in ms as the source has it, None where it is not constant or not known."""
    if colored.k_axis is not KAxis.TIME:
        return None
    header: Any = colored.source.headers[0] if colored.source.headers else colored.facts
    value = header.get("FrameTime")
    if value not in (None, "") and float(value) > 0:
        text = str(value).strip()
        return text if len(text) <= 16 else decimal(float(text))
    rate = header.get("CineRate")
    if header.get("FrameTimeVector") is None and rate and float(rate) > 0:
        return decimal(1000 / float(rate))
    return None


def _functional_groups(out: Dataset, colored: ColorScan, planes: Sequence[Plane]) -> None:
    """Add the three macros this object allows: Pixel Measures, Plane Orientation, Plane Position."""
    from pydicom import Dataset

    measures, orientation, shared = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing = list(planes[0].spacing)
    if planes[0].thickness:
        measures.SliceThickness = planes[0].thickness
    gaps = np.diff([plane.location for plane in planes])
    if len(gaps) and colored.k_axis is KAxis.SPACE and np.ptp(gaps) <= 1e-3 and abs(gaps[0]) > 1e-3:
        measures.SpacingBetweenSlices = decimal(round(abs(float(gaps.mean())), 6))
    orientation.ImageOrientationPatient = list(planes[0].orientation)
    shared.PixelMeasuresSequence = [measures]
    shared.PlaneOrientationSequence = [orientation]
    out.SharedFunctionalGroupsSequence = [shared]
    groups = []
    for plane in planes:
        position, group = Dataset(), Dataset()
        position.ImagePositionPatient = list(plane.position)
        group.PlanePositionSequence = [position]
        groups.append(group)
    out.PerFrameFunctionalGroupsSequence = groups
