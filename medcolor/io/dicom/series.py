"""Which scans a collection of DICOM files holds, and which one a user means."""

from __future__ import annotations

import filecmp
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from medcolor.errors import AmbiguousSeriesError, ReadCode, ReadError
from medcolor.geometry import Geometry, Space
from medcolor.io.dicom import header
from medcolor.io.dicom.files import Collection, collect
from medcolor.io.dicom.parse import Instance, quiet_pydicom
from medcolor.io.dicom.placement import place
from medcolor.io.dicom.slices import Frame, frame_count, frames_of
from medcolor.io.dicom.stacks import Stack, stacks_of
from medcolor.io.series import SeriesInfo
from medcolor.scan import Finding, Severity

_NO_UID = "no-series-uid"  # files without one are taken together; stacks part what does not belong together
_NO_SCAN_MODALITIES = frozenset({"SEG", "RTDOSE", "RTIMAGE", "SM"})
_NO_SCAN_CLASSES = {  # objects with pixels that are not a picture of the patient in gray
    "1.2.840.10008.5.1.4.1.1.66.4": "a segmentation",
    "1.2.840.10008.5.1.4.1.1.66.7": "a label map segmentation",
    "1.2.840.10008.5.1.4.1.1.30": "a parametric map",
    "1.2.840.10008.5.1.4.1.1.481.1": "a radiotherapy image",
    "1.2.840.10008.5.1.4.1.1.481.2": "a radiotherapy dose",
    "1.2.840.10008.5.1.4.1.1.77.1.6": "a whole slide microscopy image",
}


@dataclass(slots=True)
class Candidate:
    """A stack that :func:`medcolor.read` can be asked for.

    Parameters
    ----------
    key : str
        SeriesInstanceUID, with "#1", "#2" ... where the series has several stacks.
    uid : str
        SeriesInstanceUID.
    stack : Stack
    geometry : Geometry
    audit : list of Finding
    """

    key: str
    uid: str
    stack: Stack
    geometry: Geometry
    audit: list[Finding] = field(default_factory=list)

    @property
    def instances(self) -> list[Instance]:
        """The files of the stack, in slice order."""
        return list({id(f.instance): f.instance for f in self.stack.frames}.values())

    def info(self) -> SeriesInfo:
        """Return the line of a listing."""
        first = self.stack.frames[0].header
        description = " ".join(header.text(first, "SeriesDescription").split())  # one line
        if self.stack.label:
            description = f"{description} ({self.stack.label})" if description else self.stack.label
        instances = self.instances
        return SeriesInfo(
            key=self.key,
            format="dicom",
            modality=header.text(first, "Modality").upper() or "OT",
            description=description,
            shape=self.geometry.shape,
            spacing=None if self.geometry.space is Space.PIXEL else self.geometry.spacing,
            n_files=len(instances),
            audit=tuple(self.audit),
            paths=tuple(dict.fromkeys(i.path for i in instances)),
        )


def list_dicom(path: Path | str, *, files: Iterable[Path] | None = None) -> list[SeriesInfo]:
    """List the series of a file, folder, DICOMDIR or archive without reading pixels; ``files``: of these in a folder.

    Returns
    -------
    list of SeriesInfo
        In the order of their series numbers; ``read`` accepts each key, or the 1-based place in this list.

    Raises
    ------
    FileNotFoundError
    ReadError
        Nothing in it is an image.
    """
    with quiet_pydicom(), collect(Path(path), pixels=False, files=files) as found:
        return [candidate.info() for candidate in candidates_of(found)]


def refusal(instance: Instance) -> ReadError | None:
    """Return why a parsed file is no scan, None when it may be one."""
    ds, path = instance.header, instance.path
    if not instance.has_pixels:
        return ReadError(path, ReadCode.NO_PIXEL_DATA, f"A DICOM object without pixel data ({_what(instance)}).")
    try:
        frame_count(instance)
    except ReadError as error:
        return error
    kind = _NO_SCAN_CLASSES.get(header.text(ds, "SOPClassUID"), "")
    if kind or header.text(ds, "Modality").upper() in _NO_SCAN_MODALITIES:
        return ReadError(
            path,
            ReadCode.UNSUPPORTED_OBJECT,
            f"This is {kind or 'an object'} ({_what(instance)}), not a scan.",
            "Pass the image series it belongs to.",
        )
    if not header.text(getattr(ds, "file_meta", None), "TransferSyntaxUID"):
        return ReadError(
            path,
            ReadCode.MISSING_ATTRIBUTE,
            "No file header names the Transfer Syntax UID (0002,0010), so the pixels cannot be understood.",
            "Repair it, for example with dcmtk: dcmconv +f in.dcm out.dcm.",
        )
    for keyword, tag in (("Rows", "0028,0010"), ("Columns", "0028,0011"), ("BitsAllocated", "0028,0100")):
        if not (header.integer(ds, keyword) or 0) > 0:
            return ReadError(path, ReadCode.MISSING_ATTRIBUTE, f"{keyword} ({tag}) is missing or no positive number.")
    return None


def _what(instance: Instance) -> str:
    """Name the kind of object in the words of the standard, never in the file's own."""
    from pydicom.uid import UID

    uid = UID(header.text(instance.header, "SOPClassUID"))
    return uid.name if uid and uid.name != str(uid) else "of unknown kind"


def candidates_of(found: Collection) -> list[Candidate]:
    """Return every stack of every image series, in the order of a listing.

    Raises
    ------
    ReadError
        No image among the files: the first refusal.
    """
    images, refused = [], list(found.refusals)
    others: list[ReadError] = []
    for instance in found.instances:
        error = refusal(instance)
        if error is None:
            images.append(instance)
        elif error.code in {ReadCode.NO_PIXEL_DATA, ReadCode.UNSUPPORTED_OBJECT}:
            others.append(error)
        else:
            refused.append(error)
    if not images:
        raise _nothing(found, [*refused, *others])
    found.refusals = refused
    notes = list(found.findings())
    if others:
        text = f"Left aside as no images (plans, reports, segmentations ...): {len(others)} DICOM objects."
        notes.append(Finding("other-objects", text, Severity.NOTE))
    by_series: dict[str, list[Instance]] = defaultdict(list)
    for instance in images:
        by_series[header.text(instance.header, "SeriesInstanceUID") or _NO_UID].append(instance)
    ordered = sorted(by_series.items(), key=lambda item: (_series_number(item[1]), item[0]))
    return [candidate for uid, members in ordered for candidate in _series(uid, members, notes)]


def _nothing(found: Collection, errors: list[ReadError]) -> ReadError:
    """Return the refusal of a path that holds no image: the file's own, or one about the whole collection."""
    first = errors[0]
    if found.single:
        return first
    text = f"None of the {len(errors)} DICOM files in it is a scan; the first: {first.reason}"
    return ReadError(found.path, first.code, text, first.remedy)


def _series_number(members: Sequence[Instance]) -> float:
    number = header.number(members[0].header, "SeriesNumber")
    return float("inf") if number is None or number != number else number


def _series(uid: str, members: list[Instance], notes: list[Finding]) -> list[Candidate]:
    instances, duplicates = _without_copies(members)
    frames: list[Frame] = [frame for instance in instances for frame in frames_of(instance)]
    stacks = stacks_of(frames)
    candidates = []
    for number, stack in enumerate(stacks, start=1):
        geometry, findings = place(stack)
        key = uid if len(stacks) == 1 else f"{uid}#{number}"
        candidates.append(Candidate(key, uid, stack, geometry, [*findings, *duplicates, *notes]))
    return candidates


def _without_copies(members: list[Instance]) -> tuple[list[Instance], list[Finding]]:
    """Keep the first file of each SOP instance; say how many others there were, and whether they differ."""
    first: dict[str, Instance] = {}
    kept, copies, conflicts = [], 0, 0
    for instance in members:
        uid = header.text(instance.header, "SOPInstanceUID")
        if uid and uid in first:
            copies += 1
            conflicts += not filecmp.cmp(first[uid].file, instance.file, shallow=False)
            continue
        first[uid] = instance
        kept.append(instance)
    findings = []
    if copies:
        what = "1 file repeats" if copies == 1 else f"{copies} files repeat"
        text = f"{what} the instance of another file; each instance was read once."
        findings.append(Finding("duplicate-instance", text, Severity.NOTE))
    if conflicts:
        what = "1 file claims" if conflicts == 1 else f"{conflicts} files claim"
        text = f"{what} the identity of another file with other content; the first by name was read."
        findings.append(Finding("conflicting-instance", text))
    return kept, findings


# -- choosing --------------------------------------------------------------------------------------------------------


def choose(found: Collection, candidates: list[Candidate], series: str | int | None) -> Candidate:
    """Return the candidate that ``series`` names, or the only one.

    Parameters
    ----------
    found : Collection
    candidates : list of Candidate
        As listed.
    series : str, int or None
        A key, a SeriesInstanceUID, or a 1-based number of the listing.

    Raises
    ------
    AmbiguousSeriesError
        Several are left; one file with several stacks gives its first instead.
    """
    left = candidates if series is None else _named(candidates, str(series).strip())
    if not left:
        reason = f"{found.path}: no series {series!r}. Choose one of these with series=KEY (--series KEY):"
        raise AmbiguousSeriesError(found.path, _lines(candidates), reason)
    if len(left) > 1 and not found.single:
        raise AmbiguousSeriesError(found.path, _lines(left))
    return left[0]


def _named(candidates: list[Candidate], series: str) -> list[Candidate]:
    exact = [c for c in candidates if c.key == series] or [c for c in candidates if c.uid == series]
    if exact:
        return exact
    if series.isdecimal() and 1 <= int(series) <= len(candidates):
        return [candidates[int(series) - 1]]
    # "#2" alone is clear where there is one series
    alone = len({c.uid for c in candidates}) == 1
    return [c for c in candidates if alone and series.startswith("#") and c.key.endswith(series)]


def _lines(candidates: Sequence[Candidate]) -> list[str]:
    return [str(candidate.info()) for candidate in candidates]
