"""Colour DICOM: Secondary Capture objects beside the scan they came from (docs/dicom_output.md).

A series has one object for each slice, or one multi-frame object. Headers are encoded once for the series; for each
object only what differs is encoded again, and pixels go to the file from the array they are in.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

from medcolor.color_scan import ColorScan
from medcolor.errors import WriteError
from medcolor.io.atomic import OpenFiles, atomic_files
from medcolor.io.dicom.attributes import LABEL, shared_attributes
from medcolor.io.dicom.identity import copy_present, whole
from medcolor.io.dicom.multiframe import add_frames, frame_limit, suit_multiframe
from medcolor.io.dicom.parse import quiet_pydicom
from medcolor.io.dicom.planes import Plane, slice_planes
from medcolor.io.dicom.references import reference_sources
from medcolor.io.dicom.strip import label_strip
from medcolor.io.dicom.uids import IMPLEMENTATION_CLASS_UID, PIXEL_VERSION, derived_uid
from medcolor.io.picture import canonical
from medcolor.mapped_files import let_go
from medcolor.scan import KAxis, to_slices

if TYPE_CHECKING:
    from pydicom import Dataset

Layout = Literal["series", "multiframe"]

_SINGLE = "1.2.840.10008.5.1.4.1.1.7"  # Secondary Capture Image Storage
_MULTI = "1.2.840.10008.5.1.4.1.1.7.4"  # Multi-frame True Color Secondary Capture Image Storage
_EXPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"


@dataclass(frozen=True, slots=True)
class _Series:
    """What is worked out once for all objects of a colour series."""

    colored: ColorScan
    rgb: NDArray[np.uint8]  # (nk, nj, ni, 3)
    planes: tuple[Plane, ...] | None
    in_place: bool
    key: str
    settings: str
    multi: bool
    strip: NDArray[np.uint8] | None
    shared: dict[int, bytes]
    charset: Any
    numbers: tuple[int, ...]


def write_dicom(
    colored: ColorScan,
    folder: Path,
    *,
    layout: Layout = "series",
    force: bool = False,
    burn_in: bool = False,
    synthetic_flag: bool = True,
    modality_tag: str | None = None,
    beside: Mapping[Path, Callable[[list[Path], OpenFiles], None]] | None = None,
) -> list[Path]:
    """Write a coloured scan as a new DICOM series in the study of its source.

    Parameters
    ----------
    colored : ColorScan
    folder : Path
        Made if needed; receives 0001.dcm, 0002.dcm ... in slice order.
    layout : {"series", "multiframe"}
        One Secondary Capture for each slice, or Multi-frame True Color Secondary Capture (split below 1.5 GB).
        Cine and multi-frame sources are always written as multi-frame.
    force : bool
        Overwrite.
    burn_in : bool
        Add a strip with a label below the picture. Off, because it changes the number of rows.
    synthetic_flag : bool
        Write Synthetic Data (0008,001C) YES. Off for archives that refuse attributes newer than themselves.
    modality_tag : str, optional
        Modality to write instead of the source's, for sites that route by it.
    beside : mapping of Path to callable, optional
        Files that appear together with the images or not at all, and what writes each once the images are there.

    Returns
    -------
    list of Path
        The files, in slice order. Equal inputs and options give equal bytes.

    Raises
    ------
    OutputExistsError
        A file of that name exists and ``force`` is off; nothing is written.
    WriteError
        More than 65535 rows or columns, or the disk failed.
    GeometryError
        A grid that DICOM cannot express.
    """
    with quiet_pydicom():  # its warnings quote odd values of the source, and those may name a patient
        series = _prepare(
            colored,
            multi=layout == "multiframe" or _always_multi(colored),
            burn_in=burn_in,
            synthetic_flag=synthetic_flag,
            modality_tag=modality_tag,
        )
        parts = list(_parts(series))
        width = max(4, len(str(len(parts))))
        paths = [folder / f"{n + 1:0{width}d}.dcm" for n in range(len(parts))]
        more = dict(beside or {})
        with atomic_files([*paths, *more], force=force, obsolete=earlier_output(folder) if force else ()) as files:
            for n, (path, slices) in enumerate(zip(paths, parts, strict=True)):
                head = _head(series, n, slices)
                with files.open(path) as file:
                    file.write(head)
                    _write_pixels(file, series, slices)
            for write_more in more.values():
                write_more(paths, files)
    return paths


def earlier_output(folder: Path) -> list[Path]:
    """Return the numbered files that medcolor wrote there before: a shorter series must not leave a mixture."""
    earlier = []
    for path in folder.glob("[0-9]*.dcm"):
        with path.open("rb") as file:
            if path.stem.isdecimal() and b"MEDCOLOR_" in file.read(512):
                earlier.append(path)
    return earlier


def _always_multi(colored: ColorScan) -> bool:
    cine = colored.k_axis is KAxis.TIME and colored.shape[2] > 1
    return cine or any(int(h.get("NumberOfFrames") or 1) > 1 for h in colored.source.headers)


def _prepare(
    colored: ColorScan, *, multi: bool, burn_in: bool, synthetic_flag: bool, modality_tag: str | None
) -> _Series:
    rgb = to_slices(colored.rgb)
    planes, in_place = slice_planes(colored)
    strip = label_strip(LABEL, rgb.shape[1], rgb.shape[2]) if burn_in else None
    added = 0 if strip is None else strip.shape[0]
    if max(rgb.shape[1] + added, rgb.shape[2]) > 65535:
        raise WriteError(f"DICOM images have at most 65535 rows and columns, these have {colored.shape[1::-1]}.")
    key = source_key(colored, rgb)
    settings = canonical(
        {
            "provenance": colored.provenance.to_json(),
            "layout": "multiframe" if multi else "series",
            "transfer_syntax": _EXPLICIT_LITTLE_ENDIAN,
            "pixels": PIXEL_VERSION,
            "strip": added,
            "synthetic_flag": synthetic_flag,
            "modality": modality_tag,
        }
    )
    shared = shared_attributes(
        colored,
        source_key=key,
        settings=settings,
        placed=planes is not None,
        in_place=in_place,
        synthetic_flag=synthetic_flag,
        modality_tag=modality_tag,
        strip_rows=added,
    )
    shared.SOPClassUID = _MULTI if multi else _SINGLE
    if multi:
        suit_multiframe(shared)
    charset = shared.SpecificCharacterSet
    numbers = _instance_numbers(colored)
    return _Series(
        colored, rgb, planes, in_place, key, settings, multi, strip, encode(shared, charset), charset, numbers
    )


def source_key(colored: ColorScan, rgb: NDArray[Any]) -> str:
    """Return a content digest of the source; of the colour itself where the source is unknown."""
    source = colored.source
    if source.digest:
        return source.digest
    uids = sorted(str(h.get("SOPInstanceUID", "")) for h in source.headers)
    if uids and uids[0]:
        return hashlib.sha256("\n".join(uids).encode()).hexdigest()
    return hashlib.sha256(np.ascontiguousarray(rgb).data).hexdigest()


def _instance_numbers(colored: ColorScan) -> tuple[int, ...]:
    """Return the source's instance numbers, or 1, 2 ... where it has not one for each slice."""
    headers = colored.source.headers
    if len(headers) == len(colored.source.frames) == colored.shape[2]:
        found = [whole(headers[n], "InstanceNumber") for n, _ in colored.source.frames]
        numbers = tuple(number for number in found if number is not None)
        if len(set(numbers)) == len(found):
            return numbers
    return tuple(range(1, colored.shape[2] + 1))


def _parts(series: _Series) -> Iterator[range]:
    """Yield the slices of each object."""
    nk, nj, ni, _ = series.rgb.shape
    size = frame_limit(nj, ni, series.colored) if series.multi else 1
    for first in range(0, nk, size):
        yield range(first, min(first + size, nk))


def _head(series: _Series, number: int, slices: range) -> bytes:
    """Return one file up to and including the length of its pixel data."""
    from pydicom import Dataset

    own = Dataset()
    own.SOPInstanceUID = derived_uid(_instance_key(series, slices), "instance", series.settings)
    own.InstanceNumber = number + 1 if series.multi else series.numbers[slices[0]]
    source = series.colored.source
    header = source.headers[source.frames[slices[0]][0]] if series.in_place and source.frames else Dataset()
    own.PatientOrientation = None
    copy_present(header, own, ("PatientOrientation",))
    if source.headers:
        frames = slices if len(source.frames) == series.colored.shape[2] else range(len(source.frames))
        reference_sources(own, source, frames, in_place=series.in_place)
    planes = None if series.planes is None else [series.planes[k] for k in slices]
    if series.multi:
        add_frames(own, series.colored, slices, planes, dated={0x00080023, 0x00080033} <= series.shared.keys())
    elif planes is not None:
        plane = planes[0]
        own.ImagePositionPatient = list(plane.position)
        own.ImageOrientationPatient = list(plane.orientation)
        own.PixelSpacing = list(plane.spacing)
        own.SliceThickness = plane.thickness or None
        copy_present(header, own, ("SliceLocation",))
    elements = series.shared | encode(own, series.charset)
    rows = series.rgb.shape[1] + (0 if series.strip is None else series.strip.shape[0])
    length = len(slices) * rows * series.rgb.shape[2] * 3
    pixels = struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OB", 0, length + length % 2)
    meta = file_head(_MULTI if series.multi else _SINGLE, own.SOPInstanceUID)
    return b"".join([meta, *(elements[tag] for tag in sorted(elements)), pixels])


def _instance_key(series: _Series, slices: range) -> str:
    """Name what an object shows: the source instance and frame, or the source and the range of slices."""
    source = series.colored.source
    if not series.multi and series.in_place and source.frames:
        n, frame = source.frames[slices[0]]
        uid = source.headers[n].get("SOPInstanceUID")
        if uid:
            return f"{uid} {frame}"
    return f"{series.key} {slices.start}-{slices.stop}"


def _write_pixels(file: BinaryIO, series: _Series, slices: range) -> None:
    written = 0
    for k in slices:
        for block in (series.rgb[k], series.strip):
            if block is not None:
                written += file.write(np.ascontiguousarray(block).data.cast("B"))
    if written % 2:
        file.write(b"\0")
    let_go(series.rgb)


def encode(attributes: Dataset, charset: Any) -> dict[int, bytes]:
    """Return each element as bytes, by tag: what objects share need not be encoded for each of them."""
    from pydicom.filebase import DicomBytesIO
    from pydicom.filewriter import write_data_element

    encoded = {}
    for element in attributes:
        buffer = DicomBytesIO()
        buffer.is_little_endian, buffer.is_implicit_VR = True, False
        write_data_element(buffer, element, charset)
        encoded[int(element.tag)] = buffer.getvalue()
    return encoded


def file_head(sop_class: str, instance: str) -> bytes:
    """Return preamble and file meta information of an object."""
    from pydicom.dataset import FileMetaDataset
    from pydicom.filewriter import write_file_meta_info

    from medcolor import __version__

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = sop_class
    meta.MediaStorageSOPInstanceUID = instance
    meta.TransferSyntaxUID = _EXPLICIT_LITTLE_ENDIAN
    meta.ImplementationClassUID = IMPLEMENTATION_CLASS_UID
    meta.ImplementationVersionName = f"MEDCOLOR_{__version__}"[:16]
    buffer = BytesIO()
    buffer.write(b"\0" * 128 + b"DICM")
    write_file_meta_info(buffer, meta, enforce_standard=True)
    return buffer.getvalue()
