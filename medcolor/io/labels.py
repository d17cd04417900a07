"""``read_segmentation``: any label map in, one value out. DICOM SEG has its own module; all others are images."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medcolor.errors import ReadCode, ReadError
from medcolor.geometry import Geometry
from medcolor.io.label_tables import LabelTable, ab_of_srgb, read_label_table
from medcolor.io.reading import read, typed_failures
from medcolor.io.sniff import first_bytes, format_of
from medcolor.scan import Finding, from_slices, to_slices
from medcolor.tissue_map import Code, Segmentation

_MOST_LABELS = (1 << 16) - 1
_SLICER_FIELD = re.compile(r"^segment(\d+)_(name|color|labelvalue|layer|tags)$")
_NIFTI_LABEL = re.compile(rb"<Label\s([^>]*)>([^<]*)</Label>")
_ATTRIBUTE = re.compile(rb'(\w+)="([^"]*)"')


@dataclass(frozen=True, slots=True)
class _Found:
    """What a file holds: voxels of one or more layers (nk, nj, ni), and what it says of its labels."""

    layers: list[NDArray[Any]]
    geometry: Geometry
    table: LabelTable = field(default_factory=LabelTable)
    codes: dict[int, Code] = field(default_factory=dict)
    audit: tuple[Finding, ...] = ()
    members: dict[tuple[int, int], int] = field(default_factory=dict)  # (layer, value) -> label, where they differ


def read_segmentation(
    path: Path | str, *, table: Path | str | None = None, series: str | int | None = None
) -> Segmentation:
    """Read a label map.

    Parameters
    ----------
    path : Path or str
        NIfTI, NRRD (with the names and colours of 3D Slicer's .seg.nrrd), MHA, TIFF or PNG with whole numbers as
        voxels; or a DICOM SEG, or a folder or archive that holds one.
    table : Path or str, optional
        Names and colours, see :func:`~medcolor.io.label_tables.read_label_table`; wins over the file.
    series : str or int, optional
        Which DICOM SEG, or which volume of a file with several.

    Returns
    -------
    Segmentation
        Labels that nothing names are called "label N".

    Raises
    ------
    FileNotFoundError
    AmbiguousSeriesError
        Several segmentations, and none chosen.
    ReadError
        The file is no label map, and why.
    """
    with typed_failures(path):
        return _segmentation(Path(path), LabelTable() if table is None else read_label_table(table), series)


def _segmentation(path: Path, named: LabelTable, series: str | int | None) -> Segmentation:
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file or folder.")
    if path.is_dir() or _is_dicom(path):
        from medcolor.io.dicom.seg import read_seg

        found = read_seg(path, series=series)
        return replace(found, names={**found.names, **named.names}, colors={**found.colors, **named.colors})
    image = _slicer(path) or _plain(path, series)
    labels, overlap = _merged(image, path)
    present = np.flatnonzero(_presence(labels))
    names = {int(n): f"label {n}" for n in present if n} | image.table.names | named.names
    audit = image.audit
    if overlap:
        audit += (
            Finding("overlap", f"Segments overlap in {overlap} voxels; there the one of the later layer is kept."),
        )
    return Segmentation(
        from_slices(labels), image.geometry, names, image.table.colors | named.colors, image.codes, audit
    )


def _is_dicom(path: Path) -> bool:
    from medcolor.io.dicom.files import is_dicom

    return path.stat().st_size > 0 and format_of(path) in {"dicom", "zip", None} and is_dicom(path)


def _plain(path: Path, series: str | int | None) -> _Found:
    scan = read(path, series=series, modality="SEG")
    if scan.rgb is not None or scan.source.format == "jpeg":
        raise ReadError(
            path,
            ReadCode.UNSUPPORTED_PIXEL,
            "this is a picture in colour or JPEG; a label map has one whole number for each voxel.",
            "Save the labels as NIfTI, NRRD or MHA.",
        )
    table = _nifti_table(path) if scan.source.format == "nifti" else LabelTable()
    audit = tuple(f for f in scan.audit if f.code not in {"hu-unsure", "hu-by-convention"})
    return _Found([to_slices(scan.voxels)], scan.geometry, table, audit=audit)


def _merged(image: _Found, path: Path) -> tuple[NDArray[np.uint16], int]:
    """Check that voxels are labels, and put layers over each other; return how many voxels two of them claim."""
    out = np.zeros(image.layers[0].shape, np.uint16)
    overlap = 0
    for number, layer in enumerate(image.layers):
        table = np.arange(1 << 16, dtype=np.uint16)
        for (where, value), label in image.members.items():
            if where == number:
                table[value] = label
        for target, values in zip(out, layer, strict=True):
            labels = table[_whole(values, path)]
            inside = labels > 0
            overlap += int(np.count_nonzero(inside & (target > 0)))
            np.copyto(target, labels, where=inside)
    return out, overlap


def _whole(values: NDArray[Any], path: Path) -> NDArray[np.uint16]:
    low, high = values.min(), values.max()
    if not (low >= 0 and high <= _MOST_LABELS):
        reason = f"values go from {low:g} to {high:g}; labels are whole numbers from 0 to {_MOST_LABELS}."
        raise ReadError(path, ReadCode.UNSUPPORTED_PIXEL, reason, "Is this the scan, not its label map?")
    labels = values.astype(np.uint16)
    if values.dtype.kind == "f" and not np.array_equal(labels, values):
        raise ReadError(
            path,
            ReadCode.UNSUPPORTED_PIXEL,
            "there are values between whole numbers: probabilities, or labels that were interpolated.",
            "Save the label of each voxel, resampled to the nearest one.",
        )
    return labels


def _presence(labels: NDArray[np.uint16]) -> NDArray[np.bool_]:
    seen = np.zeros(1 << 16, np.bool_)
    for block in labels:
        seen[block] = True
    return seen


# -- NIfTI: the label table of Connectome Workbench, which TotalSegmentator writes -------------------------------------


def _nifti_table(path: Path) -> LabelTable:
    table = LabelTable()
    for found in _NIFTI_LABEL.finditer(first_bytes(path, 1 << 20)):
        said = dict(_ATTRIBUTE.findall(found[1]))
        try:
            label, rgb = int(said[b"Key"]), [float(said[c]) for c in (b"Red", b"Green", b"Blue")]
            name = unescape(found[2].decode()).strip()
        except (KeyError, ValueError):
            continue
        if 0 < label <= _MOST_LABELS and name:
            table.names[label] = name
            if all(0 <= c <= 1 for c in rgb):
                table.colors[label] = ab_of_srgb(rgb)
    return table


# -- NRRD: what 3D Slicer writes ---------------------------------------------------------------------------------------


def _slicer(path: Path) -> _Found | None:
    """Read a .seg.nrrd, None for any other file: segments, in layers where they overlap."""
    if path.stat().st_size == 0 or format_of(path) != "nrrd":
        return None
    from medcolor.io.itk import header_fields

    segments = _slicer_segments(header_fields(path, "nrrd"))
    if not segments:
        return None
    layers, geometry, audit = _slicer_layers(path)
    table, codes, members = LabelTable(), {}, {}
    taken: set[int] = set()
    for segment in segments:
        layer, value = _number(segment, "layer", 0), _number(segment, "labelvalue", 1)
        if not (0 <= layer < len(layers) and 0 < value <= _MOST_LABELS) or (layer, value) in members:
            raise ReadError(path, ReadCode.CORRUPT, "the segments of the header are not those of the pixels.")
        label = value if value not in taken else next(n for n in range(1, _MOST_LABELS) if n not in taken)
        taken.add(label)
        members[layer, value] = label
        table.names[label] = segment.get("name") or f"label {label}"
        rgb = _floats(segment.get("color", ""))
        if len(rgb) == 3 and all(0 <= c <= 1 for c in rgb):
            table.colors[label] = ab_of_srgb(rgb)
        if code := _terminology(segment.get("tags", "")):
            codes[label] = code
    return _Found(layers, geometry, table, codes, audit, members)


def _slicer_segments(fields: Mapping[str, str]) -> list[dict[str, str]]:
    segments: dict[int, dict[str, str]] = {}
    for key, value in fields.items():
        if found := _SLICER_FIELD.match(key):
            text = value.encode("latin-1").decode("utf-8", "replace")
            segments.setdefault(int(found[1]), {})[found[2]] = text
    return [segments[n] for n in sorted(segments)]


def _slicer_layers(path: Path) -> tuple[list[NDArray[Any]], Geometry, tuple[Finding, ...]]:
    from medcolor.io.itk import decoded, open_itk

    file, reader = open_itk(path, "nrrd")
    if len(reader.GetSize()) > 3:
        raise ReadError(path, ReadCode.UNSUPPORTED_PIXEL, "the segmentation changes over time; save one time of it.")
    ni, nj, nk = file.shape
    block = decoded(file, reader).reshape(nk, nj, ni, file.components)
    return [block[..., n] for n in range(file.components)], file.geometry, file.findings


def _number(segment: Mapping[str, str], key: str, default: int) -> int:
    text = segment.get(key, str(default))
    return int(text) if text.isdecimal() else -1


def _floats(text: str) -> list[float]:
    try:
        return [float(word) for word in text.split()]
    except ValueError:
        return []


def _terminology(tags: str) -> Code | None:
    """Return the type of a segment out of "TerminologyEntry:CONTEXT~CATEGORY~TYPE~MODIFIER~..."."""
    for tag in tags.split("|"):
        key, _, entry = tag.partition(":")
        parts = entry.split("~")
        if key.endswith("TerminologyEntry") and len(parts) >= 3:
            scheme, value, meaning, *_ = [*parts[2].split("^"), "", "", ""]
            modifier = [*parts[3].split("^"), "", "", ""][2] if len(parts) > 3 else ""
            if scheme and value and meaning:
                return Code(scheme, value, f"{meaning}, {modifier}" if modifier else meaning)
    return None
