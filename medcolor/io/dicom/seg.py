"""DICOM Segmentation objects in, one label map out: binary, fractional and label map, with pydicom alone.

Frames may come in any order, empty ones may be left out, and segments may overlap; positions decide where a frame
belongs, never its number.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medcolor.errors import AmbiguousSeriesError, ReadCode, ReadError
from medcolor.io.caps import MAX_BYTES
from medcolor.io.dicom import header
from medcolor.io.dicom.files import Collection, collect
from medcolor.io.dicom.frames import stored_frames
from medcolor.io.dicom.parse import Instance, quiet_pydicom
from medcolor.io.dicom.pixels import check_header
from medcolor.io.dicom.seg_grid import seg_grid
from medcolor.scan import Finding, Severity, from_slices
from medcolor.tissue_map import Code, Segmentation

SEG_CLASSES = frozenset({"1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7"})
_MAX_FRAMES = 1 << 18  # a hundred organs in a few hundred slices are tens of thousands of frames
_PIXELS_PER_STEP = 65535 / 255  # RecommendedDisplayCIELabValue: a*, b* from -128 to 127 over 16 bits


def read_seg(path: Path | str, *, series: str | int | None = None) -> Segmentation:
    """Read a DICOM SEG.

    Parameters
    ----------
    path : Path or str
        The file, or a folder or archive that holds one.
    series : str or int, optional
        Which one, where there are several: SeriesInstanceUID, SOPInstanceUID or the number in the listing.

    Returns
    -------
    Segmentation
        Label n is segment n. Where segments overlap, the higher number wins, and ``audit`` counts the voxels. Fractions
        are cut at one half. Colours are the a*, b* of RecommendedDisplayCIELabValue, taken under D65, as highdicom
        converts sRGB (the standard says D50).

    Raises
    ------
    FileNotFoundError
    AmbiguousSeriesError
        Several, and none chosen.
    ReadError
        No SEG, damaged, or frames that do not lie on one even grid.
    """
    path = Path(path)
    with quiet_pydicom(), collect(path, pixels=True) as found:
        instance = _choose(found, series)
        ds, where = instance.header, instance.path
        layout = check_header(ds, where, max_frames=_MAX_FRAMES, max_bytes=MAX_BYTES)
        kind = _kind(ds, where, layout.allocated)
        names, colors, codes = _segments(ds, where)
        segments = [] if kind == "LABELMAP" else _segment_of_frames(ds, layout.frames, names, where)
        grid = seg_grid(ds, layout.frames, (layout.columns, layout.rows), where)
        frame_of_reference = header.text(ds, "FrameOfReferenceUID")
        stored = stored_frames(ds, where, layout, range(layout.frames))
        ni, nj, nk = grid.geometry.shape
        labels = np.zeros((nk, nj, ni), np.uint16)
        if kind == "LABELMAP":
            for frame, values in stored:
                labels[grid.slices[frame]] = _whole_labels(values, where)
            overlap = 0
        else:
            top = int(header.integer(ds, "MaximumFractionalValue") or 255) if kind == "FRACTIONAL" else 1
            overlap = _paint(labels, ((grid.slices[f], segments[f], v) for f, v in stored), top)
    return Segmentation(
        from_slices(labels),
        grid.geometry,
        {n: names.get(n, f"segment {n}") for n in names.keys() | set(_present(labels))},
        colors,
        codes,
        _findings(kind, overlap),
        frame_of_reference,
    )


def _choose(found: Collection, series: str | int | None) -> Instance:
    instances = [i for i in found.instances if header.text(i.header, "SOPClassUID") in SEG_CLASSES]
    if not instances:
        if found.refusals and not found.instances:
            raise found.refusals[0]
        raise ReadError(
            found.path,
            ReadCode.UNSUPPORTED_OBJECT,
            "there is no DICOM segmentation (SEG) in it.",
            "Give a SEG, or a label map as NIfTI, NRRD or MHA. RTSTRUCT contours must be converted first.",
        )
    sizes = [len(header.items(i.header, "SegmentSequence")) for i in instances]
    listing = [
        f"{number}. {header.text(i.header, 'SOPInstanceUID')}  {size} segments"
        for number, (i, size) in enumerate(zip(instances, sizes, strict=True), start=1)
    ]
    if series is None and len(instances) == 1:
        return instances[0]
    if str(series).isdecimal() and 1 <= int(str(series)) <= len(instances):
        return instances[int(str(series)) - 1]
    uids = ("SOPInstanceUID", "SeriesInstanceUID")
    chosen = [i for i in instances if str(series) in [header.text(i.header, uid) for uid in uids]]
    if len(chosen) == 1:
        return chosen[0]
    reason = f"{found.path}: {len(instances)} segmentations found, one expected. Give its file, or choose with series=:"
    raise AmbiguousSeriesError(found.path, listing, reason)


def _kind(ds: Any, path: Path, bits: int) -> str:
    kind = header.text(ds, "SegmentationType").upper() or "BINARY"
    if kind == "FRACTIONAL" and bits != 8:
        raise ReadError(path, ReadCode.UNSUPPORTED_PIXEL, f"fractions have {bits} bits; 8 are expected.")
    if kind not in {"BINARY", "FRACTIONAL", "LABELMAP"}:
        reason = "the segmentation is neither BINARY, FRACTIONAL nor LABELMAP."
        raise ReadError(path, ReadCode.UNSUPPORTED_PIXEL, reason)
    return kind


# -- segments --------------------------------------------------------------------------------------------------------


def _segments(ds: Any, path: Path) -> tuple[dict[int, str], dict[int, tuple[float, float]], dict[int, Code]]:
    names: dict[int, str] = {}
    colors: dict[int, tuple[float, float]] = {}
    codes: dict[int, Code] = {}
    for item in header.items(ds, "SegmentSequence"):
        number = header.integer(item, "SegmentNumber")
        if number == 0:
            continue  # the background of a label map
        if number is None or not 1 <= number < 1 << 16 or number in names:
            raise ReadError(path, ReadCode.CORRUPT, "segment numbers must be whole, from 1, and differ.")
        code = _code(item)
        names[number] = header.text(item, "SegmentLabel") or (code.meaning if code else f"segment {number}")
        lab = header.numbers(item, "RecommendedDisplayCIELabValue")
        if len(lab) == 3 and all(0 <= v <= 65535 for v in lab):
            colors[number] = (lab[1] / _PIXELS_PER_STEP - 128, lab[2] / _PIXELS_PER_STEP - 128)
        if code:
            codes[number] = code
    if not names:
        raise ReadError(path, ReadCode.MISSING_ATTRIBUTE, "the SEG describes no segment.")
    return names, colors, codes


def _code(item: Any) -> Code | None:
    """Return the property type, with its modifiers: "Kidney, Left"."""
    for kind in header.items(item, "SegmentedPropertyTypeCodeSequence")[:1]:
        value, meaning = header.text(kind, "CodeValue"), header.text(kind, "CodeMeaning")
        modifiers = header.items(kind, "SegmentedPropertyTypeModifierCodeSequence")
        extra = [header.text(m, "CodeMeaning") for m in modifiers]
        if value and meaning:
            return Code(header.text(kind, "CodingSchemeDesignator"), value, ", ".join([meaning, *filter(None, extra)]))
    return None


def _segment_of_frames(ds: Any, frames: int, names: dict[int, str], path: Path) -> list[int]:
    numbers = []
    for frame in range(frames):
        group = header.functional_group(ds, frame, "SegmentIdentificationSequence")
        number = None if group is None else header.integer(group, "ReferencedSegmentNumber")
        if number is None and len(names) == 1:
            number = next(iter(names))
        if number not in names:
            raise ReadError(path, ReadCode.CORRUPT, f"frame {frame + 1} belongs to no segment that the SEG describes.")
        numbers.append(number)
    return numbers


# -- voxels ----------------------------------------------------------------------------------------------------------


def _paint(labels: NDArray[np.uint16], frames: Any, top: int) -> int:
    """Put segments into ``labels`` in any order of frames; return how many voxels more than one segment claims."""
    best = np.zeros(labels.shape, np.uint8) if top > 1 else None
    overlap = 0
    for place, segment, stored in frames:
        target = labels[place]
        inside = stored.astype(np.int32) * 2 >= top if top > 1 else stored != 0
        overlap += int(np.count_nonzero(inside & (target > 0)))
        wins = inside & (target < segment)
        if best is not None:
            strongest = best[place]
            wins = inside & ((stored > strongest) | ((stored == strongest) & (target < segment)))
            strongest[wins] = stored[wins]
        target[wins] = segment
    return overlap


def _whole_labels(values: NDArray[Any], path: Path) -> NDArray[Any]:
    if values.dtype.kind != "u" or values.dtype.itemsize > 2:
        raise ReadError(path, ReadCode.UNSUPPORTED_PIXEL, f"labels are {values.dtype}; 8 or 16 unsigned bits expected.")
    return values


def _present(labels: NDArray[np.uint16]) -> list[int]:
    seen = np.zeros(1 << 16, np.bool_)
    for block in labels:
        seen[block] = True
    return [int(n) for n in np.flatnonzero(seen) if n]


def _findings(kind: str, overlap: int) -> tuple[Finding, ...]:
    found = []
    if overlap:
        found.append(
            Finding("overlap", f"Segments overlap in {overlap} voxels; there the one with the higher number is kept.")
        )
    if kind == "FRACTIONAL":
        found.append(
            Finding("fractional", "The segmentation holds fractions; voxels of one half and more count.", Severity.NOTE)
        )
    return tuple(found)
