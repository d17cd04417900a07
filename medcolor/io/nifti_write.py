"""NIfTI: colour as RGB24 (datatype 128), one byte triple a voxel, which viewers know; pixels streamed as they lie."""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from medcolor.errors import WriteError
from medcolor.geometry import Geometry, Space
from medcolor.io.atomic import OpenFiles
from medcolor.io.deterministic_gzip import gzip_stream
from medcolor.io.nifti import MAX_NIFTI1_SIDE
from medcolor.io.picture import Picture
from medcolor.scan import KAxis

_RGB24 = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])
_COMMENT = 6
_SCANNER = 1
_QFORM_MM = 5e-4  # a qform is a rotation in single precision; where it would misplace voxels only the sform is written


def check_nifti(picture: Picture) -> None:
    """Refuse what NIfTI would misplace or cannot hold."""
    picture.require_volume("NIfTI", time=True)
    dtype = picture.slices.dtype
    if not picture.color and (dtype.kind not in "iuf" or dtype == np.float16 or dtype.itemsize > 8):
        raise WriteError(f"NIfTI cannot hold {dtype}. Convert to float32 first.")


def write_nifti(picture: Picture, path: Path, files: OpenFiles) -> None:
    """Write one .nii or .nii.gz file."""
    header = nifti_header(picture)
    with files.open(path) as stream:
        if path.name.lower().endswith(".gz"):
            with gzip_stream(stream) as packed:
                _write(picture, header, packed)
        else:
            _write(picture, header, stream)


def _write(picture: Picture, header: Any, stream: BinaryIO) -> None:
    from io import BytesIO

    head = BytesIO()
    header.write_to(head)
    head.write(b"\x00" * (int(header["vox_offset"]) - head.tell()))
    stream.write(head.getvalue())
    little = picture.slices.dtype.newbyteorder("<")
    for part in picture.slices:
        stream.write(np.ascontiguousarray(part, dtype=little).data)


def nifti_header(picture: Picture) -> Any:
    """Return the nibabel header, its record extension included, for a picture."""
    from nibabel.nifti1 import Nifti1Extension, Nifti1Header
    from nibabel.nifti2 import Nifti2Header

    geometry = picture.geometry
    ni, nj, nk = geometry.shape
    timed = picture.k_axis is not KAxis.SPACE
    header = (Nifti2Header if max(geometry.shape) > MAX_NIFTI1_SIDE else Nifti1Header)(endianness="<")
    header.set_data_dtype(_RGB24 if picture.color else picture.slices.dtype)
    header.set_data_shape((ni, nj, 1, nk) if timed else (ni, nj, nk))
    _set_pose(header, geometry, timed=timed)
    header["descrip"] = picture.label.encode("ascii")
    header["scl_slope"], header["scl_inter"] = (0, 0) if picture.color else (1, 0)
    header.extensions.append(Nifti1Extension(_COMMENT, picture.text.encode("ascii")))
    header["vox_offset"] = header.single_vox_offset + header.extensions.get_sizeondisk()
    return header


def _set_pose(header: Any, geometry: Geometry, *, timed: bool) -> None:
    spacing = list(geometry.spacing)
    if timed:
        spacing = [*spacing[:2], 1.0, 1.0]
    header.set_zooms([float(np.float32(s)) for s in spacing])
    header.set_xyzt_units("unknown" if geometry.space is Space.PIXEL else "mm", None)
    if geometry.space is not Space.PATIENT:
        header.set_qform(None, 0)
        header.set_sform(None, 0)
        return
    header.set_sform(geometry.affine, _SCANNER)
    header.set_qform(geometry.affine, _SCANNER)
    corners = np.array(np.meshgrid(*[(0, n) for n in geometry.shape])).reshape(3, -1)
    gap = (header.get_qform() - geometry.affine)[:3] @ np.vstack([corners, np.ones(corners.shape[1])])
    if np.abs(gap).max() > _QFORM_MM:
        header.set_qform(None, 0)
