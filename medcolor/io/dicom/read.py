"""A DICOM file, folder, DICOMDIR or archive in, one scan out."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from medcolor.errors import MedcolorWarning, ReadError
from medcolor.io.dicom import header
from medcolor.io.dicom.files import Collection, collect
from medcolor.io.dicom.parse import Instance, drop_bulk, parse, quiet_pydicom
from medcolor.io.dicom.series import Candidate, candidates_of, choose, list_dicom
from medcolor.io.dicom.values import PixelBlock, read_frames
from medcolor.scan import Finding, KAxis, Scan, Source, from_slices

__all__ = ["list_dicom", "read_dicom"]

_FACT_TEXTS = (
    "BodyPartExamined",
    "ImageLaterality",
    "Laterality",
    "ViewPosition",
    "PatientPosition",
)
_FACT_LISTS = ("PatientOrientation", "ImageType")
_FACT_NUMBERS = ("FrameTime", "CineRate", "SeriesNumber", "SliceThickness")
_NAMED = 8  # other stacks that one warning names
_ALOUD = frozenset({"mosaic", "unreadable-files"})  # said even to those who read no audit


def read_dicom(
    path: Path | str,
    series: str | int | None = None,
    modality: str | None = None,
    *,
    files: Iterable[Path] | None = None,
) -> Scan:
    """Read one scan.

    Parameters
    ----------
    path : Path or str
        A DICOM file (also gzipped), a folder (read recursively), a DICOMDIR or a zip file.
    series : str, int or None
        Which one, where there are several: a key or 1-based number of :func:`~medcolor.io.dicom.series.list_dicom`,
        or a SeriesInstanceUID.
    modality : str or None
        Overrides what the file says.
    files : iterable of Path, optional
        Read these alone of the folder ``path``: whoever listed a large folder once need not search it again.

    Returns
    -------
    Scan
        Values in true units on an RAS+ mm grid; its ``audit`` says what was noticed.

    Raises
    ------
    FileNotFoundError
    AmbiguousSeriesError
        Several series, or several stacks of one, and none chosen.
    ReadError
        Not a scan, damaged, or unsafe; carries file, code, reason and remedy.

    Warns
    -----
    MedcolorWarning
        No modality in the file; one file of several stacks, of which the first was read; a mosaic; files left out
        because they are damaged.
    """
    path = Path(path)
    with quiet_pydicom(), collect(path, pixels=True, files=files) as found:
        candidates = candidates_of(found)
        chosen = choose(found, candidates, series)
        findings = _choice_findings(found, candidates, chosen, series)
        code, said = _modality(chosen, modality)
        block, chosen = _decode(found, chosen, code)
        scan = _scan(chosen, block, code, [*said, *findings])
        for finding in scan.audit:
            if finding.code in _ALOUD or finding in (*said, *findings):
                warnings.warn(f"{path}: {finding.message}", MedcolorWarning, stacklevel=3)
        return scan


def _choice_findings(
    found: Collection, candidates: list[Candidate], chosen: Candidate, series: str | int | None
) -> list[Finding]:
    if len(candidates) == 1 or not found.single or (series is not None and str(series) != chosen.uid):
        return []
    others = [f"{c.key[len(c.uid) :] or c.key} {c.stack.label}".strip() for c in candidates if c is not chosen]
    more = f" and {len(others) - _NAMED} more" if len(others) > _NAMED else ""
    text = (
        f"The file holds {len(candidates)} stacks or phases; the first was read"
        f"{f' ({chosen.stack.label})' if chosen.stack.label else ''}. "
        f"The others, for series=: {', '.join(others[:_NAMED])}{more}."
    )
    return [Finding("several-stacks", text)]


def _modality(chosen: Candidate, modality: str | None) -> tuple[str, list[Finding]]:
    said = header.text(chosen.stack.frames[0].header, "Modality").upper()
    if modality:
        return modality.strip().upper(), []
    if said:
        return said, []
    text = "The file names no modality; it is read as OT. Pass modality= (--modality) to say what it is."
    return "OT", [Finding("no-modality", text)]


# -- decoding --------------------------------------------------------------------------------------------------------


def _decode(found: Collection, chosen: Candidate, modality: str) -> tuple[PixelBlock, Candidate]:
    """Decode the stack; damaged files of a larger stack are left out and reported, as if they were missing."""
    try:
        return _read_frames(chosen, modality), chosen
    except ReadError as error:
        bad = _undecodable(chosen, modality)
        if not bad or len(bad) == len(chosen.instances):
            raise
        first = error
    found.instances = [parse(i.file, i.path, pixels=True) for i in found.instances if str(i.file) not in bad]
    again = [c for c in candidates_of(found) if c.uid == chosen.uid and c.stack.label == chosen.stack.label]
    if not again:
        raise first
    what = "1 file of this stack is" if len(bad) == 1 else f"{len(bad)} files of this stack are"
    text = f"{what} damaged and left out; the first: {first.reason} [{first.code}]"
    again[0].audit.append(Finding("unreadable-files", text))
    return _read_frames(again[0], modality), again[0]


def _undecodable(chosen: Candidate, modality: str) -> set[str]:
    """Return the files of a stack that cannot be decoded on their own."""
    bad = set()
    for instance in chosen.instances:
        fresh = parse(instance.file, instance.path, pixels=True)
        frames = [(0, f.number) for f in chosen.stack.frames if f.instance is instance]
        try:
            read_frames([fresh.header], frames, [fresh.path], modality)
        except ReadError:
            bad.add(str(instance.file))
    return bad


def _read_frames(chosen: Candidate, modality: str) -> PixelBlock:
    instances = chosen.instances
    return read_frames([i.header for i in instances], _pairs(chosen, instances), [i.path for i in instances], modality)


def _pairs(chosen: Candidate, instances: list[Instance]) -> list[tuple[int, int]]:
    index = {id(instance): number for number, instance in enumerate(instances)}
    return [(index[id(frame.instance)], frame.number) for frame in chosen.stack.frames]


# -- the scan --------------------------------------------------------------------------------------------------------


def _scan(chosen: Candidate, block: PixelBlock, modality: str, findings: list[Finding]) -> Scan:
    instances = chosen.instances
    frames = _pairs(chosen, instances)
    for number, instance in enumerate(instances):
        drop_bulk(instance.header, deep=number == 0)  # what a series shares is copied from its first header
    source = Source(
        format="dicom",
        paths=tuple(instance.path for instance in instances),
        digest=_digest(instances, frames),
        headers=tuple(instance.header for instance in instances),
        frames=tuple(frames),
    )
    return Scan(
        voxels=from_slices(block.voxels),
        geometry=chosen.geometry,
        modality=modality,
        units=block.units,
        windows=block.windows,
        inverted=block.inverted,
        padding=None if block.padding is None else from_slices(block.padding),
        rgb=None if block.rgb is None else from_slices(block.rgb),
        colored=None if block.colored is None else from_slices(block.colored),
        k_axis=chosen.stack.k_axis,
        audit=tuple(dict.fromkeys([*findings, *chosen.audit, *block.findings])),
        facts=_facts(instances[0].header, chosen.stack.k_axis),
        source=source,
    )


def _digest(instances: list[Instance], frames: list[tuple[int, int]]) -> str:
    """Return a sha256 over the SOP instances and frames chosen; the bytes stand in for a missing UID."""
    uids = []
    for instance in instances:
        uid = header.text(instance.header, "SOPInstanceUID")
        uids.append(uid or hashlib.sha256(instance.file.read_bytes()).hexdigest())
    lines = sorted(f"{uids[index]} {frame}" for index, frame in frames)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _facts(ds: Any, k_axis: KAxis) -> dict[str, Any]:
    """Return what colorizers and reports use and that identifies nobody."""
    facts: dict[str, Any] = {}
    for keyword in _FACT_TEXTS:
        if found := header.text(ds, keyword).upper():
            facts[keyword] = found
    for keyword in _FACT_LISTS:
        if values := [str(v).strip() for v in header.values(ds, keyword)]:
            facts[keyword] = tuple(values)
    for keyword in _FACT_NUMBERS:
        number = header.number(ds, keyword)
        if number is not None and np.isfinite(number):
            facts[keyword] = number
    times = [t for t in header.numbers(ds, "FrameTimeVector")[1:] if np.isfinite(t)]
    if k_axis is KAxis.TIME and "FrameTime" not in facts and times:
        facts["FrameTime"] = float(np.mean(times))
    for item in header.items(ds, "ViewCodeSequence")[:1]:
        if meaning := header.text(item, "CodeMeaning"):
            facts["ViewCodeMeaning"] = meaning
    return facts
