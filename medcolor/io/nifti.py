"""NIfTI-1 and NIfTI-2: headers through nibabel, pixels streamed slice by slice."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from medcolor.errors import GeometryError, ReadCode, ReadError
from medcolor.geometry import Geometry, Space
from medcolor.io.caps import check_size, check_stored
from medcolor.io.plain import PlainImage, integers_or_floats
from medcolor.io.records import parse_record, recorded_axis
from medcolor.io.series import SeriesInfo
from medcolor.io.sniff import first_bytes, nifti_version
from medcolor.scan import Finding, KAxis, Scan, Severity

_RGB24, _RGBA32 = 128, 2304
_RGB_VECTOR_INTENTS = {1007, 2003, 2004}
_UNIT_MM = {"unknown": 1.0, "mm": 1.0, "meter": 1000.0, "micron": 0.001}
MAX_NIFTI1_SIDE = 32_767


@dataclass(frozen=True, slots=True)
class NiftiFile:
    """A checked header and where its pixels are."""

    path: Path
    data_path: Path
    header: Any
    shape: tuple[int, int, int]
    volumes: int
    channels: int  # 1, 3, 4
    planar: bool  # channels as separate volumes (the 5-D vector layout)
    dtype: np.dtype[Any]
    k_axis: KAxis
    findings: tuple[Finding, ...]

    @property
    def volume_bytes(self) -> int:
        """Bytes of one volume."""
        ni, nj, nk = self.shape
        return ni * nj * nk * self.channels * self.dtype.itemsize


def list_nifti(path: Path) -> list[SeriesInfo]:
    """Return one line for each volume, from the header alone."""
    file = open_nifti(path)
    geometry, findings = nifti_geometry(file)
    record = nifti_record(path)
    spacing = None if geometry.space is Space.PIXEL else geometry.spacing
    return [
        SeriesInfo(
            key=f"#{n + 1}",
            format="nifti",
            modality=(record or {}).get("modality", "OT"),
            description=_name(path) if file.volumes == 1 else f"volume {n + 1} of {file.volumes} in {_name(path)}",
            shape=geometry.shape,
            spacing=spacing,
            audit=(*file.findings, *findings),
            paths=(path,),
        )
        for n in range(file.volumes)
    ]


def read_nifti(path: Path, *, volume: int = 0, modality: str | None = None) -> Scan:
    """Read one volume (0-based) of a NIfTI file."""
    file = open_nifti(path)
    geometry, findings = nifti_geometry(file)
    block = _read_block(file, volume)
    if file.channels == 1:
        slope, intercept = _scaling(file.header)
        block = integers_or_floats(block, slope, intercept)
    record = nifti_record(path)
    return PlainImage(
        path=path,
        format="nifti",
        slices=block,
        geometry=geometry,
        record=record,
        findings=(*file.findings, *findings),
        k_axis=recorded_axis(record, file.k_axis) if file.k_axis is not KAxis.SPACE else file.k_axis,
        part=f"#{volume + 1}" if file.volumes > 1 else "",
        paths=(path,) if file.data_path == path else (path, file.data_path),
    ).scan(modality)


def open_nifti(path: Path) -> NiftiFile:
    """Read and check a header; allocates nothing for pixels.

    Raises
    ------
    ReadError
        CORRUPT, TOO_LARGE, TRUNCATED, UNSUPPORTED_PIXEL, UNSUPPORTED_FORMAT (CIFTI).
    """
    from nibabel.nifti1 import Nifti1Header, Nifti1PairHeader
    from nibabel.nifti2 import Nifti2Header, Nifti2PairHeader
    from nibabel.spatialimages import HeaderDataError
    from nibabel.wrapstruct import WrapStructError

    head = first_bytes(path)
    version = nifti_version(head)
    pair = head[344:347] == b"ni1" or head[4:7] == b"ni2"
    kinds = {1: (Nifti1Header, Nifti1PairHeader), 2: (Nifti2Header, Nifti2PairHeader)}
    kind = kinds[version or 1][pair]
    try:
        header = kind(head[:540] if version == 2 else head[:348], check=False)
        dtype = header.get_data_dtype()
        dim = [int(n) for n in header["dim"]]
    except (HeaderDataError, WrapStructError, ValueError, KeyError) as error:
        raise ReadError(path, ReadCode.CORRUPT, "the NIfTI header cannot be understood.") from error
    if 3000 <= int(header["intent_code"]) < 3100:
        raise ReadError(
            path,
            ReadCode.UNSUPPORTED_FORMAT,
            "this is CIFTI: values on a brain surface, no image.",
            "Give the volume it was made from, or separate it with wb_command -cifti-separate.",
        )
    return _checked(path, header, dtype, dim, pair)


def _checked(path: Path, header: Any, dtype: np.dtype[Any], dim: list[int], pair: bool) -> NiftiFile:
    if not 1 <= dim[0] <= 7:
        raise ReadError(path, ReadCode.CORRUPT, f"the NIfTI header gives {dim[0]} dimensions; 1 to 7 exist.")
    sides = dim[1 : dim[0] + 1] + [1] * 7
    code, intent = int(header["datatype"]), int(header["intent_code"])
    channels = {_RGB24: 3, _RGBA32: 4}.get(code, 1)
    sample = np.dtype(np.uint8) if channels > 1 else dtype
    if sample.kind not in "iuf" or sample.itemsize > 8:
        raise ReadError(
            path,
            ReadCode.UNSUPPORTED_PIXEL,
            f"voxels are {dtype}; integers, floats of up to 64 bits and RGB are accepted.",
            "Save the magnitude as float32 first." if dtype.kind == "c" else "Save it as float32 first.",
        )
    check_size(path, sides[: dim[0]], sample.itemsize * channels)
    planar = sides[4] in (3, 4) and dtype == np.uint8 and intent in _RGB_VECTOR_INTENTS and sides[3] == 1
    shape, volumes, k_axis = (sides[0], sides[1], sides[2]), int(np.prod(sides[3:7], dtype=object)), KAxis.SPACE
    findings: tuple[Finding, ...] = ()
    if planar:
        channels, volumes = sides[4], 1
    elif sides[2] == 1 and sides[3] > 1 and volumes == sides[3]:
        shape, volumes, k_axis = (sides[0], sides[1], sides[3]), 1, KAxis.TIME
        findings = (Finding("third-axis-is-time", "One slice at several times: read as a cine.", Severity.NOTE),)
    file = NiftiFile(path, _data_path(path, pair), header, shape, volumes, channels, planar, sample, k_axis, findings)
    with file.data_path.open("rb") as stream:
        compressed = stream.read(2) == b"\x1f\x8b"
    check_stored(
        path, file.volume_bytes * volumes + _offset(file), file.data_path.stat().st_size, compressed=compressed
    )
    return file


def _data_path(path: Path, pair: bool) -> Path:
    if not pair:
        return path
    stem = path.name.removesuffix(".gz").removesuffix(".hdr").removesuffix(".img")
    for name in (f"{stem}.img", f"{stem}.img.gz"):
        if (path.parent / name).is_file():
            return path.parent / name
    raise ReadError(
        path, ReadCode.NO_PIXEL_DATA, f"the header is here and the pixels, {stem}.img, are not.", "Keep both together."
    )


def _offset(file: NiftiFile) -> int:
    offset = float(file.header["vox_offset"])
    if not 0 <= offset < 2**40 or offset != int(offset):
        raise ReadError(file.path, ReadCode.CORRUPT, "the header gives no usable position of the pixels.")
    least = 0 if file.data_path != file.path else (544 if int(file.header["sizeof_hdr"]) == 540 else 352)
    return max(int(offset), least)


@contextmanager
def _open_data(path: Path) -> Iterator[BinaryIO]:
    with path.open("rb") as stream:
        zipped = stream.read(2) == b"\x1f\x8b"
        stream.seek(0)
        if not zipped:
            yield stream
            return
        with gzip.GzipFile(fileobj=stream) as inner:
            yield cast(BinaryIO, inner)


def _read_block(file: NiftiFile, volume: int) -> NDArray[Any]:
    """Return one volume as stored, native byte order: (nk, nj, ni) or (nk, nj, ni, 3)."""
    ni, nj, nk = file.shape
    offset = _offset(file) + volume * file.volume_bytes
    form = (nk, nj, ni) if file.channels == 1 else (nk, nj, ni, file.channels)
    if file.planar:
        form = (file.channels, nk, nj, ni)
    block = np.empty(form, file.dtype)
    try:
        with _open_data(file.data_path) as stream:
            stream.seek(offset)
            for part in block:
                _fill(file.path, stream, memoryview(part).cast("B"))
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise _truncated(file.path) from error
    if file.planar:
        block = np.ascontiguousarray(np.moveaxis(block, 0, -1))
    if file.channels == 4:
        block = np.ascontiguousarray(block[..., :3])
    return block if block.dtype.isnative else block.byteswap(inplace=True).view(block.dtype.newbyteorder("="))


def _fill(path: Path, stream: BinaryIO, target: memoryview) -> None:
    done = 0
    while done < len(target):
        data = stream.read(min(len(target) - done, 1 << 24))
        if not data:
            raise _truncated(path)
        target[done : done + len(data)] = data
        done += len(data)


def _truncated(path: Path) -> ReadError:
    return ReadError(path, ReadCode.TRUNCATED, "the pixels end before the image does.", "Copy the file again.")


def _scaling(header: Any) -> tuple[float, float]:
    """Return slope and intercept; 0 and non-finite slopes mean none, as the standard says."""
    slope, intercept = float(header["scl_slope"]), float(header["scl_inter"])
    if slope == 0 or not np.isfinite(slope) or not np.isfinite(intercept):
        return 1.0, 0.0
    return slope, intercept


def nifti_geometry(file: NiftiFile) -> tuple[Geometry, tuple[Finding, ...]]:
    """Return the grid by nibabel's rule: sform if coded, else qform if coded, else no pose."""
    from nibabel.spatialimages import HeaderDataError

    header, shape = file.header, file.shape
    unit, timed = _length_unit(header), file.k_axis is not KAxis.SPACE
    scale = np.diag([_UNIT_MM.get(unit, 1.0)] * 3 + [1.0])
    findings: list[Finding] = []
    for name in ("sform", "qform"):
        try:
            affine, code = getattr(header, f"get_{name}")(coded=True)
            if code:
                affine = scale @ affine
                affine[3] = [0, 0, 0, 1]
                return Geometry(shape, affine, Space.PATIENT), tuple(findings)
        except (GeometryError, HeaderDataError, ValueError, np.linalg.LinAlgError):
            findings.append(Finding(f"bad-{name}", f"The file's {name} is no affine and was not used."))
    zooms = np.abs(np.asarray(header["pixdim"][1:4], dtype=np.float64)) * _UNIT_MM.get(unit, 1.0)
    if timed:
        zooms[2] = 1.0
    known = bool(unit in _UNIT_MM and unit != "unknown" and np.isfinite(zooms).all() and zooms.min() > 0)
    space = Space.DETECTOR if known else Space.PIXEL
    missing = "The file does not say where the image is in the patient"
    findings.append(
        Finding("no-pose", f"{missing}; sizes are known." if known else f"{missing}, nor its voxel size in mm.")
    )
    return Geometry.from_spacing(shape, zooms if known else (1, 1, 1), space), tuple(findings)


def _length_unit(header: Any) -> str:
    """Return the unit of the file's lengths; a code that no standard knows is "unknown"."""
    try:
        return str(header.get_xyzt_units()[0])
    except KeyError:
        return "unknown"


def nifti_record(path: Path) -> dict[str, Any] | None:
    """Return the JSON record medcolor wrote into a comment extension, None in files of others."""
    head = first_bytes(path, 1 << 16)
    big = int.from_bytes(head[:4], "big") in {348, 540}
    at = 540 if int.from_bytes(head[:4], "big" if big else "little") == 540 else 348
    if head[at : at + 1] != b"\x01":
        return None
    at += 4
    while at + 8 <= len(head):
        size = int.from_bytes(head[at : at + 4], "big" if big else "little")
        if size < 16 or at + size > len(head):
            return None
        text = head[at + 8 : at + size].rstrip(b"\x00")
        if text.startswith(b'{"'):
            return parse_record(text)
        at += size
    return None


def _name(path: Path) -> str:
    return path.name.removesuffix(".gz").removesuffix(".nii").removesuffix(".hdr").removesuffix(".img")
