"""NRRD and MetaImage, written here and not by ITK: streamed, exact in every digit, and without a time stamp."""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from medcolor.errors import GeometryError, WriteError
from medcolor.geometry import Geometry, Space
from medcolor.io.atomic import OpenFiles
from medcolor.io.deterministic_gzip import gzip_stream
from medcolor.io.itk import RECORD_KEY
from medcolor.io.picture import Picture

_NRRD_TYPE = {
    "uint8": "uint8",
    "int8": "int8",
    "uint16": "uint16",
    "int16": "int16",
    "uint32": "uint32",
    "int32": "int32",
    "float32": "float",
    "float64": "double",
}
_MET_TYPE = {
    "uint8": "MET_UCHAR",
    "int8": "MET_CHAR",
    "uint16": "MET_USHORT",
    "int16": "MET_SHORT",
    "uint32": "MET_UINT",
    "int32": "MET_INT",
    "float32": "MET_FLOAT",
    "float64": "MET_DOUBLE",
}
_MET_MODALITY = {"CT", "MR", "NM", "US"}
_SHEAR_MM = 1e-4


def check_itk(picture: Picture, name: str) -> None:
    """Refuse what an ITK format would misplace.

    Raises
    ------
    GeometryError
        Uneven slices, a third axis that is not space, or sheared axes (gantry tilt).
    WriteError
        A kind of number the format does not have.
    """
    picture.require_volume(name)
    if picture.slices.dtype.name not in _NRRD_TYPE:
        raise WriteError(f"{name} cannot hold {picture.slices.dtype} here. Convert to float32, or write nifti.")
    if _shear_mm(picture.geometry) > _SHEAR_MM:
        raise GeometryError(
            f"The grid is sheared by {picture.geometry.shear_degrees:.3g} degrees (gantry tilt?), and ITK formats hold "
            "right angles only. Write nifti or dicom, which keep it exactly."
        )


def write_nrrd(picture: Picture, path: Path, files: OpenFiles) -> None:
    """Write one .nrrd file, gzip-encoded."""
    with files.open(path) as stream:
        stream.write(_nrrd_header(picture))
        with gzip_stream(stream) as packed:
            _pour(picture.slices, packed)


def write_mha(picture: Picture, path: Path, files: OpenFiles) -> None:
    """Write one .mha file, or an .mhd header and its .raw pixels."""
    data = raw_beside(path)
    with files.open(path) as stream:
        stream.write(_mha_header(picture, data.name if data else "LOCAL"))
        if data is None:
            _pour(picture.slices, stream)
    if data is not None:
        with files.open(data) as stream:
            _pour(picture.slices, stream)


def raw_beside(path: Path) -> Path | None:
    """Return where the pixels of an .mhd go, None for .mha."""
    return path.with_suffix(".raw") if path.suffix.lower() == ".mhd" else None


def _pour(slices: NDArray[Any], stream: BinaryIO) -> None:
    little = slices.dtype.newbyteorder("<")
    for part in slices:
        stream.write(np.ascontiguousarray(part, dtype=little).data)


def _nrrd_header(picture: Picture) -> bytes:
    geometry, color = picture.geometry, picture.color
    nk, nj, ni = picture.slices.shape[:3]
    lps = geometry.to_lps()
    posed = geometry.space is Space.PATIENT
    lines = [
        "NRRD0004",
        f"# {picture.label}",
        f"type: {_NRRD_TYPE[picture.slices.dtype.name]}",
        f"dimension: {4 if color else 3}",
    ]
    if posed:
        lines.append("space: left-posterior-superior")
    lines.append(f"sizes: {'3 ' if color else ''}{ni} {nj} {nk}")
    if posed:
        axes = " ".join(_vector(lps[:3, axis]) for axis in range(3))
        lines.append(f"space directions: {'none ' if color else ''}{axes}")
    elif geometry.space is Space.DETECTOR:
        lines.append(f"spacings: {'nan ' if color else ''}{_numbers(geometry.spacing)}")
    lines += [f"kinds: {'RGB-color ' if color else ''}domain domain domain", "endian: little", "encoding: gzip"]
    if posed:
        lines.append(f"space origin: {_vector(lps[:3, 3])}")
    return ("\n".join([*lines, f"{RECORD_KEY}:={picture.text}"]) + "\n\n").encode("ascii")


def _mha_header(picture: Picture, data_file: str) -> bytes:
    geometry = picture.geometry
    nk, nj, ni = picture.slices.shape[:3]
    lps = geometry.to_lps()
    lines = [
        "ObjectType = Image",
        "NDims = 3",
        f"Comment = {picture.label}",
        "BinaryData = True",
        "BinaryDataByteOrderMSB = False",
        "CompressedData = False",
    ]
    if geometry.space is Space.PATIENT:
        direction = lps[:3, :3] / np.asarray(geometry.spacing)
        lines += [f"TransformMatrix = {_numbers(direction.T.ravel())}", f"Offset = {_numbers(lps[:3, 3])}"]
    if geometry.space is not Space.PIXEL:
        lines.append(f"ElementSpacing = {_numbers(geometry.spacing)}")
    lines.append(f"DimSize = {ni} {nj} {nk}")
    if picture.record["modality"] in _MET_MODALITY:
        lines.append(f"Modality = MET_MOD_{picture.record['modality']}")
    lines.append(f"{RECORD_KEY} = {picture.text}")
    if picture.color:
        lines.append("ElementNumberOfChannels = 3")
    lines += [f"ElementType = {_MET_TYPE[picture.slices.dtype.name]}", f"ElementDataFile = {data_file}"]
    return ("\n".join(lines) + "\n").encode("ascii")


def _shear_mm(geometry: Geometry) -> float:
    """Largest displacement, in mm, when the nearest right-angled axes stand in for the real ones."""
    direction = geometry.direction
    u, _, vt = np.linalg.svd(direction)
    extent = np.asarray(geometry.spacing) * np.maximum(np.asarray(geometry.shape) - 1, 1)
    return float(np.abs((u @ vt - direction) * extent).sum(axis=1).max())


def _vector(values: Any) -> str:
    return "(" + ",".join(repr(float(v)) for v in values) + ")"


def _numbers(values: Any) -> str:
    return " ".join(repr(float(v)) for v in values)
