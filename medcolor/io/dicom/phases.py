"""Several images at each place: the phases of a heart beat, echoes, diffusion directions, reconstructions.

What tells them apart is looked for in the headers; an attribute counts when it splits the images into whole volumes.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from medcolor.io.dicom import header
from medcolor.io.dicom.slices import Frame
from medcolor.scan import KAxis

Reader = Callable[[Frame], Hashable]


@dataclass(slots=True)
class Phase:
    """Frames that belong together at one time, echo, direction ...; repeats in it are duplicates."""

    label: str
    frames: list[Frame]
    k_axis: KAxis = KAxis.SPACE


def _attribute(keyword: str, *sequences: str) -> Reader:
    def read(frame: Frame) -> Hashable:
        for item in frame.macro(*sequences):
            if values := header.values(item, keyword):
                return tuple(values) if len(values) > 1 else values[0]
        return None

    return read


def _private(group: int, element: int) -> Reader:
    def read(frame: Frame) -> Hashable:
        try:
            value = frame.header.get((group, element))
            return None if value is None else str(value.value)
        except Exception:  # a damaged private value
            return None

    return read


def _vector(name: str) -> Reader:
    return lambda frame: frame.vectors.get(name)


def _in_plane(frame: Frame) -> Hashable:
    row, column = np.array(frame.orientation).reshape(2, 3)
    return tuple(round(float(axis @ np.array(frame.position)), 1) for axis in (row, column))


# What may tell the images at one position apart, most telling first; the flag says that it is time.
_TELLING: tuple[tuple[str, Reader, bool], ...] = (
    ("stack", _attribute("StackID", "FrameContentSequence"), False),
    ("echo time", _attribute("EchoTime"), False),
    ("echo time", _attribute("EffectiveEchoTime", "MREchoSequence"), False),
    ("echo", _attribute("EchoNumbers"), False),
    ("b-value", _attribute("DiffusionBValue", "MRDiffusionSequence"), False),
    ("b-value", _private(0x0019, 0x100C), False),
    ("b-value", _private(0x0043, 0x1039), False),
    ("b-value", _private(0x2001, 0x1003), False),
    ("direction", _attribute("DiffusionGradientOrientation", "DiffusionGradientDirectionSequence"), False),
    ("direction", _private(0x0019, 0x100E), False),
    ("image type", _attribute("ImageType"), False),
    ("frame type", _attribute("FrameType", "MRImageFrameTypeSequence", "CTImageFrameTypeSequence"), False),
    ("component", _attribute("ComplexImageComponent", "MRImageFrameTypeSequence"), False),
    ("inversion time", _attribute("InversionTime"), False),
    ("flip angle", _attribute("FlipAngle"), False),
    ("kernel", _attribute("ConvolutionKernel", "CTReconstructionSequence"), False),
    ("energy window", _vector("EnergyWindowVector"), False),
    ("R-R interval", _vector("RRIntervalVector"), True),
    ("time slot", _vector("TimeSlotVector"), True),
    ("time slice", _vector("TimeSliceVector"), True),
    ("temporal position", _attribute("TemporalPositionIdentifier"), True),
    ("temporal position", _attribute("TemporalPositionIndex", "FrameContentSequence"), True),
    ("time offset", _attribute("TemporalPositionTimeOffset", "TemporalPositionSequence"), True),
    ("trigger time", _attribute("TriggerTime"), True),
    ("trigger delay", _attribute("NominalCardiacTriggerDelayTime", "CardiacSynchronizationSequence"), True),
    ("phase", _attribute("NominalPercentageOfCardiacPhase", "CardiacSynchronizationSequence"), True),
    ("frame reference time", _attribute("FrameReferenceTime"), True),
    ("acquisition", _attribute("AcquisitionNumber"), True),
    ("acquisition", _attribute("FrameAcquisitionNumber", "FrameContentSequence"), True),
    ("acquisition time", _attribute("AcquisitionTime"), True),
    ("acquisition time", _attribute("FrameAcquisitionDateTime", "FrameContentSequence"), True),
    ("content time", _attribute("ContentTime"), True),
    ("in-plane position", _in_plane, False),
)
_CLOCK = {"acquisition time", "content time"}  # when somebody was scanned is nobody's business: numbered instead


def phases_of(frames: list[Frame], slots: Mapping[int, int]) -> list[Phase]:
    """Split frames of one orientation so that no phase repeats a position, except by duplicates.

    Parameters
    ----------
    frames : list of Frame
    slots : Mapping
        id(frame) -> number of its position along the normal.
    """
    return _split(frames, slots, [])


def _split(frames: list[Frame], slots: Mapping[int, int], labels: list[str]) -> list[Phase]:
    """Split frames that repeat positions by the first attribute that accounts for the repeats, then go on."""
    label = ", ".join(labels)
    counts = Counter(slots[id(f)] for f in frames)
    if max(counts.values()) == 1:
        return [Phase(label, frames)]
    for name, read, is_time in _TELLING:
        groups: dict[Hashable, list[Frame]] = defaultdict(list)
        for frame in frames:
            groups[read(frame)].append(frame)
        if len(groups) < 2 or not _accounts_for(list(groups.values()), slots, counts):
            continue
        keys = sorted(groups, key=_sort_key)
        if is_time and len(counts) == 1 and all(len(group) == 1 for group in groups.values()):
            return [Phase(label, [groups[key][0] for key in keys], KAxis.TIME)]  # one slice through time
        found = []
        for number, key in enumerate(keys, start=1):
            text = str(number) if name in _CLOCK else _text(key)
            found.extend(_split(groups[key], slots, [*labels, f"{name} {text}"]))
        return found
    return _by_rank(frames, slots, counts, labels)


def _accounts_for(groups: Sequence[Sequence[Frame]], slots: Mapping[int, int], counts: Counter[int]) -> bool:
    """Whether groups are whole phases: each covers the positions evenly, or misses few of them and repeats none."""
    repeats = max(counts.values())
    for group in groups:
        own = Counter(slots[id(f)] for f in group)
        even = len(own) == len(counts) and len(set(own.values())) == 1
        almost = len(groups) == repeats and max(own.values()) == 1 and len(own) >= 0.8 * len(counts)
        if not (even or almost):
            return False
    return True


def _by_rank(frames: list[Frame], slots: Mapping[int, int], counts: Counter[int], labels: list[str]) -> list[Phase]:
    """Split by the order of instance numbers where every position repeats equally often and nothing else tells."""
    label = ", ".join(labels)
    if len(counts) == 1 or len(set(counts.values())) != 1:
        return [Phase(label, frames)]
    by_slot: dict[int, list[Frame]] = defaultdict(list)
    for frame in sorted(frames, key=lambda f: f.order):
        by_slot[slots[id(frame)]].append(frame)
    distinct = all(len({(f.order[0], f.order[1], f.number) for f in group}) == len(group) for group in by_slot.values())
    if not distinct:
        return [Phase(label, frames)]
    ranks = zip(*by_slot.values(), strict=True)
    return [Phase(", ".join([*labels, f"repeat {n}"]), list(rank)) for n, rank in enumerate(ranks, start=1)]


def _sort_key(value: Hashable) -> tuple[int, float, str]:
    if value is None:
        return (0, 0.0, "")
    try:
        return (1, float(value), "")  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return (2, 0.0, str(value))


def _text(value: Hashable) -> str:
    if value is None:
        return "absent"
    return "/".join(str(v) for v in value) if isinstance(value, tuple) else str(value)
