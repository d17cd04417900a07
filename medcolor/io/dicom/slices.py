"""What places one image: a single-frame file, or one frame of a multi-frame file, in the same words.

Enhanced objects keep positions in functional groups, nuclear medicine in detector items and vectors, everybody else
at the top of the data set. Here they all become :class:`Frame`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from medcolor.errors import ReadCode, ReadError
from medcolor.io.dicom import header
from medcolor.io.dicom.parse import Instance
from medcolor.io.dicom.pixels import MAX_FRAMES
from medcolor.scan import KAxis

Vector = tuple[float, ...]
Place = tuple[Vector | None, Vector | None, Vector | None]  # position, orientation, spacing

SLICED = frozenset({"CT", "MR", "PT", "OT", "SC", ""})  # files of one series without positions are still slices
_CINE = frozenset({"US", "IVUS", "XA", "RF", "ES", "XC", "OCT"})
_POINTER_TIME = {0x00181063, 0x00181065, 0x00189151}  # FrameTime, FrameTimeVector, FrameReferenceDateTime
_POINTER_SPACE = {0x00182005}  # SliceLocationVector
_NM_VECTORS = (
    "EnergyWindowVector",
    "DetectorVector",
    "PhaseVector",
    "RotationVector",
    "RRIntervalVector",
    "TimeSlotVector",
    "AngularViewVector",
    "TimeSliceVector",
)


@dataclass(slots=True)
class Frame:
    """One image and where it is.

    Parameters
    ----------
    instance : Instance
    number : int
        0-based frame.
    order : tuple
        (no instance number, instance number, file, frame number): the order of last resort.
    groups : tuple
        Functional group items of this frame, nearest first.
    size : tuple
        (rows, columns, is colour).
    position : tuple of float or None
        Image Position (Patient), LPS mm: the centre of the first pixel.
    orientation : tuple of float or None
        Image Orientation (Patient): direction of a row, then of a column.
    spacing : tuple of float or None
        (between rows, between columns) in mm.
    reference : str
        Frame of Reference UID.
    k_axis : KAxis
        What following frames mean when no position says so.
    vectors : dict
        Nuclear medicine: this frame's value of each frame vector.
    """

    instance: Instance
    number: int
    order: tuple[Any, ...]
    groups: tuple[Any, ...]
    size: tuple[int, int, bool]
    position: Vector | None
    orientation: Vector | None
    spacing: Vector | None
    reference: str
    k_axis: KAxis
    vectors: dict[str, int] = field(default_factory=dict)

    @property
    def header(self) -> Any:
        """The data set of the file."""
        return self.instance.header

    def macro(self, *sequences: str) -> Iterable[Any]:
        """Yield the items of the functional groups named, where they are present, then the data set."""
        for group in self.groups:
            for sequence in sequences:
                yield from header.items(group, sequence)[:1]
        yield self.header


def frames_of(instance: Instance) -> list[Frame]:
    """Return the frames of a file.

    Raises
    ------
    ReadError
        More frames than are read in one file, or a number of frames that is none.
    """
    ds = instance.header
    count = frame_count(instance)
    per_frame = header.items(ds, "PerFrameFunctionalGroupsSequence")
    shared = tuple(header.items(ds, "SharedFunctionalGroupsSequence")[:1])
    color = (header.integer(ds, "SamplesPerPixel") or 1) > 1 or "PALETTE" in header.text(
        ds, "PhotometricInterpretation"
    )
    size = (header.integer(ds, "Rows") or 0, header.integer(ds, "Columns") or 0, color)
    number = header.integer(ds, "InstanceNumber")
    order = (number is None, number or 0, str(instance.file))
    reference = header.text(ds, "FrameOfReferenceUID")
    axis = _axis(ds, count)
    vectors = _vectors(ds, count)
    plain = None if per_frame or shared else _plain_places(ds, count)
    result = []
    for k in range(count):
        groups = (*per_frame[k : k + 1], *shared)
        place = plain[k] if plain is not None else _group_place(ds, groups)
        own = {name: values[k] for name, values in vectors.items()}
        result.append(Frame(instance, k, (*order, k), groups, size, *place, reference, axis, own))
    return result


def frame_count(instance: Instance) -> int:
    """Return the number of frames, 1 when the file does not say."""
    number = header.number(instance.header, "NumberOfFrames")
    if number is None:
        return 1
    if number != number or number < 0 or number != int(number):
        raise ReadError(instance.path, ReadCode.CORRUPT, "Number of Frames (0028,0008) is no whole number.")
    if number > MAX_FRAMES:
        raise ReadError(
            instance.path,
            ReadCode.TOO_LARGE,
            f"The header names {int(number)} frames, at most {MAX_FRAMES} are read.",
            "Split the object into smaller ones.",
        )
    return max(int(number), 1)


def image_type(ds: Any) -> tuple[str, ...]:
    """Return the values of Image Type, upper case."""
    return tuple(str(v).strip().upper() for v in header.values(ds, "ImageType"))


def place_name(frame: Frame) -> str:
    """Name the position of a slice for people: the RAS+ coordinate across it, in mm."""
    if frame.position is None or frame.orientation is None:
        return f"image {frame.number + 1}"
    row, column = np.array(frame.orientation).reshape(2, 3)
    axis = int(np.abs(np.cross(row, column)).argmax())
    ras = frame.position[axis] * (-1 if axis < 2 else 1)
    return f"{'xyz'[axis]} = {ras:.2f} mm"


# -- numbers that can be used ----------------------------------------------------------------------------------------


def _valid(numbers: Sequence[float], size: int) -> Vector | None:
    """Return the first ``size`` numbers, None when there are fewer or one is not finite."""
    chosen = tuple(numbers[:size])
    return chosen if len(chosen) == size and np.isfinite(chosen).all() else None


def _valid_orientation(numbers: Sequence[float]) -> Vector | None:
    """Return six direction cosines, None unless they are two unit vectors at a right angle (within 1 %)."""
    six = _valid(numbers, 6)
    if six is None:
        return None
    row, column = np.array(six[:3]), np.array(six[3:])
    lengths = np.array([row @ row, column @ column])
    return six if np.abs(lengths - 1).max() < 0.02 and abs(row @ column) < 0.01 else None


def _valid_spacing(numbers: Sequence[float]) -> Vector | None:
    """Return two positive distances, else None."""
    two = _valid(numbers, 2)
    return two if two is not None and min(two) > 0 else None


# -- where an object keeps its place ---------------------------------------------------------------------------------


def _top_spacing(ds: Any) -> Vector | None:
    for keyword in ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"):
        if spacing := _valid_spacing(header.numbers(ds, keyword)):
            return spacing
    return _ultrasound_spacing(ds)


def _ultrasound_spacing(ds: Any) -> Vector | None:
    """Return the calibration of an ultrasound image, in mm, where its tissue regions all have the same one."""
    found: set[Vector] = set()
    for region in header.items(ds, "SequenceOfUltrasoundRegions"):
        if header.integer(region, "RegionSpatialFormat") != 1:  # 2-D tissue or flow
            continue
        units = (header.integer(region, "PhysicalUnitsXDirection"), header.integer(region, "PhysicalUnitsYDirection"))
        deltas = [abs(header.number(region, f"PhysicalDelta{axis}") or 0) * 10 for axis in "YX"]
        if units != (3, 3) or _valid_spacing(deltas) is None:  # 3: cm
            return None
        found.add(tuple(round(d, 9) for d in deltas))
    return found.pop() if len(found) == 1 else None


def _plain_places(ds: Any, count: int) -> list[Place]:
    """Return position, orientation and spacing of each frame of an object without functional groups."""
    spacing = _top_spacing(ds)
    if "MOSAIC" in image_type(ds):  # its position is that of the whole sheet of tiles: no place in the patient
        return [(None, None, spacing)] * count
    position = _valid(header.numbers(ds, "ImagePositionPatient"), 3)
    orientation = _valid_orientation(header.numbers(ds, "ImageOrientationPatient"))
    if count > 1 or (position is None and header.text(ds, "Modality") == "NM"):
        return _nuclear_places(ds, count, spacing)
    return [(position, orientation, spacing)]


def _nuclear_places(ds: Any, count: int, spacing: Vector | None) -> list[Place]:
    """Place the slices of a reconstructed tomogram (PS3.3 C.8.4.15); other plain multi-frame objects have no place."""
    nowhere: list[Place] = [(None, None, spacing)] * count
    if not {"RECON TOMO", "RECON GATED TOMO"} & set(image_type(ds)):
        return nowhere
    detectors = header.items(ds, "DetectorInformationSequence")
    if not detectors:
        return nowhere
    first = _valid(header.numbers(detectors[0], "ImagePositionPatient"), 3)
    orientation = _valid_orientation(header.numbers(detectors[0], "ImageOrientationPatient"))
    step = header.number(ds, "SpacingBetweenSlices") or header.number(ds, "SliceThickness")
    if first is None or orientation is None or not step or step != step:
        return nowhere
    normal = np.cross(orientation[:3], orientation[3:])
    slices = header.numbers(ds, "SliceVector")
    index = [s - 1 for s in slices] if len(slices) == count and np.isfinite(slices).all() else list(range(count))
    # a positive spacing stacks along the normal, a negative one against it
    return [(tuple(float(x) for x in np.array(first) + k * step * normal), orientation, spacing) for k in index]


def _group_place(ds: Any, groups: Sequence[Any]) -> Place:
    """Return position, orientation and spacing from functional groups, the frame's own before the shared ones."""
    position = _first(groups, "PlanePositionSequence", "ImagePositionPatient", 3)
    orientation = _first(groups, "PlaneOrientationSequence", "ImageOrientationPatient", 6)
    spacing = _first(groups, "PixelMeasuresSequence", "PixelSpacing", 2)
    if position is None:  # ultrasound volumes: mm in the frame of the volume
        position = _first(groups, "PlanePositionVolumeSequence", "ImagePositionVolume", 3)
        orientation = _first(groups, "PlaneOrientationVolumeSequence", "ImageOrientationVolume", 6)
    return (
        position,
        None if orientation is None else _valid_orientation(orientation),
        (_valid_spacing(spacing) if spacing else None) or _top_spacing(ds),
    )


def _first(groups: Sequence[Any], sequence: str, keyword: str, size: int) -> Vector | None:
    for group in groups:
        for item in header.items(group, sequence)[:1]:
            if found := _valid(header.numbers(item, keyword), size):
                return found
    return None


def _axis(ds: Any, count: int) -> KAxis:
    """Say what the frames of a multi-frame object without positions are."""
    if count == 1:
        return KAxis.SPACE
    modality, kinds = header.text(ds, "Modality"), image_type(ds)
    if modality == "NM":
        if {"DYNAMIC", "GATED"} & set(kinds):
            return KAxis.TIME
        return KAxis.SPACE if any("RECON" in kind for kind in kinds) else KAxis.VIEW
    pointers = {int(tag) for tag in header.values(ds, "FrameIncrementPointer")}
    if pointers & _POINTER_TIME or header.number(ds, "FrameTime") or modality in _CINE:
        return KAxis.TIME
    if pointers & _POINTER_SPACE or modality in {"CT", "MR", "PT"}:
        return KAxis.SPACE
    return KAxis.VIEW


def _vectors(ds: Any, count: int) -> dict[str, list[int]]:
    """Return the frame vectors of nuclear medicine that have a value for each frame."""
    if header.text(ds, "Modality") != "NM" or count == 1:
        return {}
    found = {}
    for keyword in _NM_VECTORS:
        values = header.numbers(ds, keyword)
        if len(values) == count and np.isfinite(values).all():
            found[keyword] = [int(v) for v in values]
    return found
