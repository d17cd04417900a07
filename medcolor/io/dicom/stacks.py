"""From the frames of one series to stacks: images of one size and orientation that follow each other along one line.

A series may hold several: two scouts, a radial localizer, the phases of a beating heart, the echoes of a sequence.
Each becomes a stack of its own; nothing is merged, resampled or dropped without a finding.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from medcolor.io.dicom import header
from medcolor.io.dicom.phases import phases_of
from medcolor.io.dicom.slices import SLICED, Frame, image_type, place_name
from medcolor.scan import Finding, KAxis

_SAME_DIRECTION = 2e-3  # difference of direction cosines, 0.1 degree: rounding, no second orientation


@dataclass(slots=True)
class Stack:
    """Frames that become one scan, in slice order.

    Parameters
    ----------
    frames : list of Frame
    placed : bool
        Every frame has position, orientation and spacing, and they differ along the normal.
    k_axis : KAxis
    label : str
        What tells this stack from its siblings, for people.
    findings : list of Finding
    """

    frames: list[Frame]
    placed: bool
    k_axis: KAxis = KAxis.SPACE
    label: str = ""
    findings: list[Finding] = field(default_factory=list)


def stacks_of(frames: Sequence[Frame]) -> list[Stack]:
    """Split the frames of one series into stacks, ordered as the series is numbered."""
    classes = _classes(frames)
    notes = _class_findings(list(classes))
    stacks: list[Stack] = []
    for (placed, _), members in classes.items():
        found = _placed(members) if placed else _unplaced(members)
        for stack in found:
            stack.findings.extend(notes)
            if len(classes) > 1:
                stack.label = ", ".join(filter(None, [_class_label(members[0], placed=placed), stack.label]))
        stacks.extend(found)
    return stacks


def _class_label(frame: Frame, *, placed: bool) -> str:
    """Name what the frames of a class share: the plane they lie in, or their size."""
    rows, columns, _ = frame.size
    if not placed:
        return f"{columns} x {rows}, no position"
    row, column = np.array(frame.orientation).reshape(2, 3)
    normal = np.abs(np.cross(row, column))
    oblique = "" if normal.max() > 0.999 else "oblique "
    return f"{oblique}{('sagittal', 'coronal', 'axial')[int(normal.argmax())]} {columns} x {rows}"


def _classes(frames: Sequence[Frame]) -> dict[tuple[bool, Hashable], list[Frame]]:
    """Group frames by everything that one grid must share, in order of first appearance."""
    directions: list[np.ndarray[Any, Any]] = []
    classes: dict[tuple[bool, Hashable], list[Frame]] = defaultdict(list)
    for frame in sorted(frames, key=lambda f: f.order):
        placed = None not in (frame.position, frame.orientation, frame.spacing)
        direction = _direction(directions, frame) if placed else -1
        spacing = None if frame.spacing is None else tuple(round(s, 5) for s in frame.spacing)
        classes[placed, (frame.size, direction, frame.reference if placed else "", spacing)].append(frame)
    return classes


def _direction(known: list[np.ndarray[Any, Any]], frame: Frame) -> int:
    cosines = np.array(frame.orientation)
    for number, other in enumerate(known):
        if np.abs(cosines - other).max() < _SAME_DIRECTION:
            return number
    known.append(cosines)
    return len(known) - 1


def _class_findings(keys: Sequence[tuple[bool, Any]]) -> list[Finding]:
    """Say why a series falls into classes."""
    found = []
    sizes = {key[0] for _, key in keys}
    directions = {key[1] for placed, key in keys if placed}
    references = {key[2] for placed, key in keys if placed}
    spacings = {key[3] for _, key in keys}
    if len(sizes) > 1:
        text = ", ".join(f"{columns} x {rows}" for rows, columns, _ in sorted(sizes))
        what = f"This series mixes images of {text} pixels, or gray and colour; each is read apart."
        found.append(Finding("mixed-size", what))
    elif len(spacings) > 1:
        found.append(Finding("mixed-size", f"This series mixes {len(spacings)} pixel spacings; each is read apart."))
    if len(directions) > 1:
        text = f"This series holds {len(directions)} orientations; each is read as a stack of its own."
        found.append(Finding("mixed-orientation", text))
    if len(references) > 1:
        text = f"This series holds {len(references)} frames of reference, whose positions cannot be compared."
        found.append(Finding("several-frames-of-reference", text))
    if {placed for placed, _ in keys} == {True, False}:
        found.append(Finding("no-position", "Some images of this series have no position; they are read apart."))
    return found


# -- frames without a place ------------------------------------------------------------------------------------------


def _unplaced(frames: list[Frame]) -> list[Stack]:
    """Stack frames that say nothing of where they are: by file for projections, else by number."""
    by_file: dict[str, list[Frame]] = defaultdict(list)
    for frame in frames:
        by_file[str(frame.instance.file)].append(frame)
    if any(len(group) > 1 for group in by_file.values()):
        return [stack for group in by_file.values() for stack in _unplaced_file(group)]
    modality = header.text(frames[0].header, "Modality").upper()
    if "MOSAIC" in image_type(frames[0].header):
        return [Stack(frames, placed=False, k_axis=KAxis.TIME)]
    if modality in SLICED:
        return [Stack(frames, placed=False)]
    return [Stack([frame], placed=False, label=_image_label(frame)) for frame in frames]


def _image_label(frame: Frame) -> str:
    number = header.integer(frame.header, "InstanceNumber")
    return "" if number is None else f"image {number}"


def _unplaced_file(frames: list[Frame]) -> list[Stack]:
    """Return the stacks of one multi-frame file: nuclear medicine may interleave energies and detectors."""
    axis = frames[0].k_axis
    names = ("EnergyWindowVector",) if axis is KAxis.VIEW else ("EnergyWindowVector", "DetectorVector")
    groups: dict[tuple[int, ...], list[Frame]] = defaultdict(list)
    for frame in frames:
        groups[tuple(frame.vectors.get(name, 0) for name in names)].append(frame)
    stacks = []
    for key, group in groups.items():
        label = ", ".join(f"{n.removesuffix('Vector')} {v}" for n, v in zip(names, key, strict=True))
        stacks.append(Stack(group, placed=False, k_axis=axis, label=label if len(groups) > 1 else ""))
    return stacks


# -- frames with a place ---------------------------------------------------------------------------------------------


def _placed(frames: list[Frame]) -> list[Stack]:
    slots = _slots(frames)
    phases = phases_of(frames, slots)
    stacks = []
    for phase in phases:
        kept, repeated = _first_of_each(phase.frames, slots) if phase.k_axis is KAxis.SPACE else (phase.frames, [])
        stack = Stack(kept, placed=True, k_axis=phase.k_axis, label=phase.label)
        if repeated:
            stack.findings.append(_duplicates(repeated))
        stacks.append(stack)
    return stacks


def along_normal(frames: Sequence[Frame]) -> np.ndarray[Any, Any]:
    """Return each frame's position along the common normal, in mm."""
    first = np.array(frames[0].orientation)
    normal = np.cross(first[:3], first[3:])
    positions = np.array([frame.position for frame in frames], dtype=np.float64)
    return positions @ (normal / np.linalg.norm(normal))


def _slots(frames: Sequence[Frame]) -> dict[int, int]:
    """Return the number of each frame's position along the normal; frames closer than rounding share one."""
    distance = along_normal(frames)
    spacing = frames[0].spacing or (1.0, 1.0)
    tolerance = min(0.01, 0.1 * min(spacing))
    order = np.argsort(distance, kind="stable")
    number = np.concatenate([[0], np.cumsum(np.diff(distance[order]) > tolerance)])
    return {id(frames[int(i)]): int(n) for i, n in zip(order, number, strict=True)}


def _first_of_each(frames: Sequence[Frame], slots: dict[int, int]) -> tuple[list[Frame], list[Frame]]:
    """Return one frame for each position, sorted by position, and the others; the lowest instance number wins."""
    kept: dict[int, Frame] = {}
    repeated = []
    for frame in sorted(frames, key=lambda f: f.order):
        if slots[id(frame)] in kept:
            repeated.append(frame)
        else:
            kept[slots[id(frame)]] = frame
    return [kept[slot] for slot in sorted(kept)], repeated


def _duplicates(repeated: Sequence[Frame]) -> Finding:
    places = sorted({place_name(frame) for frame in repeated})
    where = ", ".join(places[:3]) + (f" and {len(places) - 3} more places" if len(places) > 3 else "")
    count = len(repeated)
    what = "1 more image is" if count == 1 else f"{count} more images are"
    text = f"{what} at a position taken already ({where}); the lowest instance number was read."
    return Finding("duplicate-position", text)
