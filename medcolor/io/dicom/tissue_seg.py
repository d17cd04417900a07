"""A DICOM Segmentation of what tissue each voxel is: binary, a segment for each class (PS3.3 A.51).

Binary, not fractional: the classes exclude one another, so the most probable one is the whole map; every viewer draws
binary segments, few draw fractions; and the fractions of a tissue model are no measured probabilities, which 256
levels in an archive would suggest. Segment n is class n of the palette; what is in no segment is outside (class 0).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from medcolor.color_scan import ColorScan
from medcolor.errors import GeometryError, WriteError
from medcolor.io.atomic import OpenFiles, atomic_files
from medcolor.io.dicom.attributes import coded
from medcolor.io.dicom.companions import begin, content_date, referenced, settings_of
from medcolor.io.dicom.identity import copy_present
from medcolor.io.dicom.parse import quiet_pydicom
from medcolor.io.dicom.planes import Plane, decimal, slice_planes
from medcolor.io.dicom.tissue_segments import segment_item
from medcolor.io.dicom.uids import derived_uid
from medcolor.io.dicom.write import earlier_output, encode, file_head, source_key
from medcolor.scan import KAxis, to_slices
from medcolor.tissue_map import Segmentation

if TYPE_CHECKING:
    from pydicom import Dataset

_SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
_LARGEST = 0xFFFFFFFE


class _Frame(NamedTuple):
    segment: int
    k: int


def write_tissue_seg(
    colored: ColorScan,
    folder: Path,
    segmentation: Segmentation,
    *,
    omit_empty_frames: bool = True,
    force: bool = False,
    beside: Mapping[Path, Callable[[list[Path], OpenFiles], None]] | None = None,
) -> list[Path]:
    """Write the tissue map of a scan as one DICOM SEG in the study of its source.

    Parameters
    ----------
    colored : ColorScan
        The colours made from the same tissues: where they came from and how they were made.
    folder : Path
        Made if needed; receives 0001.dcm.
    segmentation : Segmentation
        On the grid of ``colored``. Labels become segments; 0 is in none. Names, colours and codes are written.
    omit_empty_frames : bool
        Leave out frames without a voxel. Kept where no frame has one: an object has at least one frame.
    force, beside
        As in ``write_dicom``.

    Returns
    -------
    list of Path
        One file. Equal inputs and options give equal bytes.

    Raises
    ------
    OutputExistsError
    GeometryError
        The labels are on another grid, or on one that DICOM cannot express.
    WriteError
        A picture without a place in the patient that was no DICOM object: a SEG could not say what it is of.
    """
    if segmentation.labels.shape != colored.shape or not segmentation.geometry.matches(colored.geometry):
        raise GeometryError("The labels are not on the grid of the scan; a SEG would put them elsewhere.")
    path, more = folder / "0001.dcm", dict(beside or {})
    with quiet_pydicom():
        labels = to_slices(segmentation.labels)
        frames = _frames(labels, sorted(segmentation.names), omit_empty=omit_empty_frames)
        head = _head(colored, segmentation, frames, omit_empty=omit_empty_frames)
        with atomic_files([path, *more], force=force, obsolete=earlier_output(folder) if force else ()) as files:
            with files.open(path) as file:
                file.write(head)
                for packed in _packed(labels, frames):
                    file.write(packed)
            for write_more in more.values():
                write_more([path], files)
    return [path]


def _frames(labels: NDArray[np.uint16], numbers: Sequence[int], *, omit_empty: bool) -> list[_Frame]:
    """Return which segment and slice each frame is, segment by segment."""
    if not numbers or numbers[0] != 1 or numbers[-1] != len(numbers):
        raise WriteError("The labels of a DICOM SEG are numbered 1, 2 ... without a gap.")
    everything = [_Frame(n, k) for n in numbers for k in range(len(labels))]
    if not omit_empty:
        return everything
    there = {(int(n), k) for k, plane in enumerate(labels) for n in np.flatnonzero(np.bincount(plane.reshape(-1)))}
    return [frame for frame in everything if frame in there] or everything


def _head(colored: ColorScan, segmentation: Segmentation, frames: list[_Frame], *, omit_empty: bool) -> bytes:
    """Return the file up to its first pixel."""
    import struct

    ds = _dataset(colored, segmentation, frames, omit_empty=omit_empty)
    length = -(-len(frames) * colored.shape[0] * colored.shape[1] // 8)
    if length > _LARGEST:
        raise WriteError("The segmentation is larger than the 4 GiB that a DICOM object can hold.")
    elements = encode(ds, ds.SpecificCharacterSet)
    pixels = struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OB", 0, length + length % 2)
    return b"".join([file_head(_SEGMENTATION, ds.SOPInstanceUID), *(elements[t] for t in sorted(elements)), pixels])


def _dataset(colored: ColorScan, segmentation: Segmentation, frames: list[_Frame], *, omit_empty: bool) -> Dataset:
    planes, in_place = slice_planes(colored)
    exact = in_place and bool(colored.source.headers) and len(colored.source.frames) == colored.shape[2]
    key = source_key(colored, segmentation.labels)
    options: dict[str, Any] = {"labels_sha256": segmentation.sha256, "names": list(segmentation.names.values())}
    options |= {"omit_empty_frames": omit_empty, "colors": [list(c) for c in segmentation.colors.values()]}
    settings = settings_of(colored, "seg", options)
    ds = begin(
        colored, source_key=key, settings=settings, modality="SEG", title="TISSUE MAP", number=8000,
        placed=planes is not None,
    )  # fmt: skip
    ds.SOPClassUID = _SEGMENTATION
    ds.SOPInstanceUID = derived_uid(key, "instance", settings)
    ds.InstanceNumber = 1
    ds.ContentDate, ds.ContentTime = content_date(colored)
    ds.ImageType = ["DERIVED", "PRIMARY"]
    ds.ContentLabel, ds.ContentDescription, ds.ContentCreatorName = "TISSUE MAP", "Tissue classes, for colour", None
    sources = referenced(colored, range(colored.shape[2]), in_place=in_place)
    if "ReferencedSeriesSequence" in sources:
        ds.ReferencedSeriesSequence = sources.ReferencedSeriesSequence
    derived = [_derivation(colored, k) for k in range(colored.shape[2])] if exact else None
    if planes is None and (derived is None or any(d is None for d in derived)):
        raise WriteError(
            "This picture has no place in the patient and was no DICOM object: a SEG could not say what it is of. "
            "Write dicom, png or nifti."
        )
    if "Laterality" in ds:  # a side belongs to the pictures; here it would be one of Frame Anatomy
        del ds.Laterality
    if planes is None:
        ds.PatientOrientation = None
        copy_present(colored.source.headers[0], ds, ("PatientOrientation",))
    _pixels(ds, colored, len(frames))
    ds.SegmentationType = "BINARY"
    ds.SegmentSequence = [segment_item(n, segmentation, colored) for n in sorted(segmentation.names)]
    _functional_groups(ds, colored, frames, planes, derived, key)
    if derived is None and "SourceImageSequence" in sources:  # on a grid of its own: from all of them
        ds.SharedFunctionalGroupsSequence[0].DerivationImageSequence = [_derivation_item(sources)]
    return ds


def _pixels(ds: Dataset, colored: ColorScan, count: int) -> None:
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PixelRepresentation = 1, "MONOCHROME2", 0
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 1, 1, 0
    ds.Columns, ds.Rows, ds.NumberOfFrames = colored.shape[0], colored.shape[1], count
    lossy = any(str(h.get("LossyImageCompression", "")) == "01" for h in colored.source.headers)
    ds.LossyImageCompression = "01" if lossy else "00"
    for header in colored.source.headers:
        if str(header.get("LossyImageCompression", "")) == "01":
            copy_present(header, ds, ("LossyImageCompressionRatio", "LossyImageCompressionMethod"))
            break


def _derivation(colored: ColorScan, k: int) -> Dataset | None:
    """Return the Derivation Image item of a slice; None where its source cannot be named."""
    found = referenced(colored, [k], in_place=True)
    return _derivation_item(found) if "SourceImageSequence" in found else None


def _derivation_item(sources: Dataset) -> Dataset:
    from pydicom import Dataset

    item = Dataset()
    item.SourceImageSequence = sources.SourceImageSequence
    item.DerivationCodeSequence = [coded("113076", "Segmentation")]
    return item


def _functional_groups(
    ds: Dataset,
    colored: ColorScan,
    frames: list[_Frame],
    planes: Sequence[Plane] | None,
    derived: list[Dataset | None] | None,
    key: str,
) -> None:
    from pydicom import Dataset

    by_place = planes is not None and colored.k_axis is KAxis.SPACE
    rank = _ranks(planes, {f.k for f in frames}) if by_place and planes is not None else None
    _dimensions(ds, key, by_place=rank is not None)
    alike = planes is None or len({(p.orientation, p.spacing, p.thickness) for p in planes}) == 1
    shared = Dataset()
    if alike and planes:  # a projection is measured in its source: readers want a thickness with a pixel size
        _put_plane(shared, colored, planes[0], _step(planes))
    ds.SharedFunctionalGroupsSequence = [shared]
    groups = []
    for number, k in frames:
        group, content, segment = Dataset(), Dataset(), Dataset()
        if rank is None:
            content.StackID, content.InStackPositionNumber = "1", k + 1
        content.DimensionIndexValues = [number, k + 1 if rank is None else rank[k]]
        segment.ReferencedSegmentNumber = number
        group.FrameContentSequence, group.SegmentIdentificationSequence = [content], [segment]
        if planes is not None:
            position = Dataset()
            position.ImagePositionPatient = list(planes[k].position)
            group.PlanePositionSequence = [position]
            if not alike:
                _put_plane(group, colored, planes[k], None)
        if derived is not None and derived[k] is not None:
            group.DerivationImageSequence = [derived[k]]
        groups.append(group)
    ds.PerFrameFunctionalGroupsSequence = groups


def _ranks(planes: Sequence[Plane], used: set[int]) -> dict[int, int] | None:
    """Return the place of each slice along the normal, from 1; None where two slices are at one place."""
    order = sorted(used, key=lambda k: planes[k].location)
    same = any(planes[k].position == planes[m].position for k, m in pairwise(order))
    return None if same else {k: n for n, k in enumerate(order, start=1)}


def _step(planes: Sequence[Plane] | None) -> str | None:
    gaps = np.diff([plane.location for plane in planes or ()])
    even = len(gaps) and np.ptp(gaps) <= 1e-3 and abs(gaps[0]) > 1e-3
    return decimal(round(abs(float(gaps.mean())), 6)) if even else None


def _put_plane(group: Dataset, colored: ColorScan, plane: Plane, step: str | None) -> None:
    """Add pixel size and orientation."""
    from pydicom import Dataset

    measures, orientation = Dataset(), Dataset()
    measures.PixelSpacing = list(plane.spacing)
    # required here, and the distance of the slices is all that is known where the source does not say
    measures.SliceThickness = plane.thickness or decimal(colored.geometry.spacing[2])
    orientation.ImageOrientationPatient = list(plane.orientation)
    group.PlaneOrientationSequence = [orientation]
    if step is not None:
        measures.SpacingBetweenSlices = step
    group.PixelMeasuresSequence = [measures]


def _dimensions(ds: Dataset, key: str, *, by_place: bool) -> None:
    from pydicom import Dataset

    uid = derived_uid(key, "dimensions", ds.SOPInstanceUID)
    organization = Dataset()
    organization.DimensionOrganizationUID = uid
    ds.DimensionOrganizationSequence = [organization]
    place = (0x00200032, 0x00209113, "Image Position") if by_place else (0x00209057, 0x00209111, "Place in the source")
    items = []
    for pointer, group, label in ((0x0062000B, 0x0062000A, "Segment"), place):
        item = Dataset()
        item.DimensionOrganizationUID = uid
        item.DimensionIndexPointer, item.FunctionalGroupPointer = pointer, group
        item.DimensionDescriptionLabel = label
        items.append(item)
    ds.DimensionIndexSequence = items


def _packed(labels: NDArray[np.uint16], frames: list[_Frame]) -> Iterator[bytes]:
    """Yield the bits of all frames without a gap between them, least significant first (PS3.5 8.1.1)."""
    left, written = np.zeros(0, np.bool_), 0
    for segment, k in frames:
        bits = np.concatenate([left, (labels[k] == segment).reshape(-1)])
        whole = bits.size // 8 * 8
        left = bits[whole:]
        written += whole // 8
        yield np.packbits(bits[:whole], bitorder="little").tobytes()
    rest = np.packbits(left, bitorder="little").tobytes()
    written += len(rest)
    yield rest + b"\0" * (written % 2)


__all__ = ["write_tissue_seg"]
