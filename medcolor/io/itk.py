"""NRRD and MetaImage (MHA, MHD): headers checked here, pixels through SimpleITK."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medcolor.errors import ReadCode, ReadError
from medcolor.geometry import Geometry, Space
from medcolor.io.caps import check_size, check_stored
from medcolor.io.itk_streams import check_stream
from medcolor.io.plain import PlainImage, integers_or_floats
from medcolor.io.records import parse_record
from medcolor.io.series import SeriesInfo
from medcolor.scan import Finding, Scan

RECORD_KEY = "medcolor_record"
_HEADER_BYTES = 1 << 20
_MET_MODALITY = {"MET_MOD_CT": "CT", "MET_MOD_MR": "MR", "MET_MOD_NM": "NM", "MET_MOD_US": "US"}
_PATIENT_SPACE = re.compile(r"^(left|right)-(anterior|posterior)-(superior|inferior)(-time)?$|^(LPS|RAS|LAS)T?$")


@dataclass(frozen=True, slots=True)
class ItkFile:
    """A checked header."""

    path: Path
    format: str
    fields: Mapping[str, str]
    shape: tuple[int, int, int]
    volumes: int
    components: int
    geometry: Geometry
    findings: tuple[Finding, ...]
    pixel_bytes: int

    @property
    def color(self) -> bool:
        """Whether components are colour channels (else they are volumes of one kind)."""
        return self.components in (3, 4)


def list_itk(path: Path, form: str) -> list[SeriesInfo]:
    """Return one line for each volume, from the header alone."""
    file, _ = open_itk(path, form)
    spacing = None if file.geometry.space is Space.PIXEL else file.geometry.spacing
    return [
        SeriesInfo(
            key=f"#{n + 1}",
            format=form,
            modality=_modality(file) or (itk_record(file.fields) or {}).get("modality", "OT"),
            description=path.stem if file.volumes == 1 else f"volume {n + 1} of {file.volumes} in {path.stem}",
            shape=file.shape,
            spacing=spacing,
            audit=file.findings,
            paths=(path,),
        )
        for n in range(file.volumes)
    ]


def read_itk(path: Path, form: str, *, volume: int = 0, modality: str | None = None) -> Scan:
    """Read one volume (0-based)."""
    file, reader = open_itk(path, form)
    size = list(reader.GetSize())
    if len(size) == 4:
        reader.SetExtractIndex([0, 0, 0, volume])
        reader.SetExtractSize([*size[:3], 0])
    block = decoded(file, reader)
    ni, nj, nk = file.shape
    block = block.reshape(nk, nj, ni, -1) if file.components > 1 else block.reshape(nk, nj, ni)
    if file.color:
        block = np.ascontiguousarray(block[..., :3])
    else:
        if file.components > 1:
            block = np.ascontiguousarray(block[..., volume])
        block = integers_or_floats(block, 1, 0)
    return PlainImage(
        path=path,
        format=form,
        slices=block,
        geometry=file.geometry,
        record=itk_record(file.fields),
        findings=file.findings,
        part=f"#{volume + 1}" if file.volumes > 1 else "",
        paths=(path, *_data_files(path, form, file.fields)),
        modality=_modality(file),
    ).scan(modality)


def decoded(file: ItkFile, reader: Any) -> NDArray[Any]:
    """Return the pixels that ``reader`` is set to read, as ITK lays them out.

    Raises
    ------
    ReadError
        CORRUPT, TRUNCATED: compressed pixels are checked first, because ITK hands out whatever it has.
    """
    import SimpleITK

    path, form = file.path, file.format
    if _deflated(form, file.fields):
        data = _data_files(path, form, file.fields)
        check_stream(path, form, file.fields, data[0] if data else None, file.pixel_bytes)
    try:
        image = reader.Execute()
    except RuntimeError as error:
        raise ReadError(
            path, ReadCode.TRUNCATED, "the pixels cannot be read; they end early or are damaged.", "Copy it again."
        ) from error
    pixels: NDArray[Any] = SimpleITK.GetArrayFromImage(image)
    return pixels


def open_itk(path: Path, form: str) -> tuple[ItkFile, Any]:
    """Read and check a header; return it with a SimpleITK reader that has read no pixels.

    Raises
    ------
    ReadError
        CORRUPT, TOO_LARGE, TRUNCATED, UNSUPPORTED_PIXEL, UNSAFE_PATH.
    """
    import SimpleITK

    fields = header_fields(path, form)
    data = _data_files(path, form, fields)
    reader = SimpleITK.ImageFileReader()
    reader.SetImageIO("NrrdImageIO" if form == "nrrd" else "MetaImageIO")
    reader.SetFileName(str(path))
    _check_sides(path, form, fields)
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        if "irection" in str(error) or "orthonormal" in str(error):
            raise ReadError(
                path,
                ReadCode.UNSUPPORTED_PIXEL,
                "the axes of this volume are sheared or flat, which ITK formats cannot say.",
                "Save it as NIfTI with an sform.",
            ) from error
        raise ReadError(path, ReadCode.CORRUPT, f"the {form.upper()} header cannot be understood.") from error
    size, components = [int(n) for n in reader.GetSize()], int(reader.GetNumberOfComponents())
    dtype = _dtype(path, reader)
    if not 2 <= len(size) <= 4:
        raise ReadError(path, ReadCode.UNSUPPORTED_PIXEL, f"the image has {len(size)} axes; 2 to 4 are accepted.")
    needed = check_size(path, size, dtype.itemsize * components)
    stored = sum(p.stat().st_size for p in (data or (path,)))
    if (compressed := _deflated(form, fields)) is not None:
        check_stored(path, needed, stored, compressed=compressed)
    if components in (3, 4) and dtype != np.uint8:
        raise ReadError(
            path,
            ReadCode.UNSUPPORTED_PIXEL,
            f"voxels have {components} components of {dtype}; colour is accepted as 8 bit.",
            "Save one component, or 8-bit RGB.",
        )
    color = components in (3, 4)
    geometry, findings = _geometry(reader, form, fields, (*size, 1)[:3])
    volumes = (size[3] if len(size) == 4 else 1) * (1 if color else components)
    if len(size) == 4 and components > 1:
        raise ReadError(path, ReadCode.UNSUPPORTED_PIXEL, "four axes of vectors; split the volumes into files first.")
    return ItkFile(path, form, fields, geometry.shape, volumes, components, geometry, findings, needed), reader


def header_fields(path: Path, form: str) -> dict[str, str]:
    """Return the text header as lower-case key -> value, read without ITK."""
    with path.open("rb") as stream:
        head = stream.read(_HEADER_BYTES)
    fields: dict[str, str] = {}
    separators = re.compile(rb":=|: ?") if form == "nrrd" else re.compile(rb" ?= ?")
    for line in head.split(b"\n")[1 if form == "nrrd" else 0 :]:
        text = line.rstrip(b"\r")
        if form == "nrrd" and not text:
            break
        parts = separators.split(text, maxsplit=1)
        if len(parts) == 2 and not text.startswith(b"#"):
            key = parts[0].decode("latin-1").strip().lower()
            fields.setdefault(key, parts[1].decode("latin-1").strip())
            if form == "mha" and key == "elementdatafile":
                break
    return fields


def _check_sides(path: Path, form: str, fields: Mapping[str, str]) -> None:
    """Check the size in the text before ITK sees the file: it may allocate by it."""
    try:
        sides = [int(n) for n in fields["sizes" if form == "nrrd" else "dimsize"].split()]
    except (KeyError, ValueError) as error:
        raise ReadError(path, ReadCode.CORRUPT, "the header gives no size of the image.") from error
    check_size(path, sides, 1)


def _data_files(path: Path, form: str, fields: Mapping[str, str]) -> tuple[Path, ...]:
    """Return the separate pixel files; empty when pixels are in the file itself."""
    if form == "nrrd":
        name = fields.get("data file") or fields.get("datafile")
        if not name:
            return ()
    else:
        name = fields.get("elementdatafile", "")
        if name.upper() == "LOCAL":
            return ()
    if not name or name.upper().startswith("LIST") or "%" in name:
        raise ReadError(
            path, ReadCode.UNSUPPORTED_FORMAT, "the pixels are spread over several files.", "Save it as one file."
        )
    if "\0" in name:
        raise ReadError(path, ReadCode.CORRUPT, "the header names a pixel file that cannot exist.")
    data = path.parent / name
    root = path.parent.resolve()
    if Path(name).is_absolute() or not data.resolve().is_relative_to(root):
        raise ReadError(
            path,
            ReadCode.UNSAFE_PATH,
            "the header points to pixels outside its own folder; that is not followed.",
            "Move the pixel file beside the header and name it there.",
        )
    if not data.is_file():
        raise ReadError(path, ReadCode.NO_PIXEL_DATA, "the separate pixel file is missing.", "Keep both together.")
    return (data,)


def _deflated(form: str, fields: Mapping[str, str]) -> bool | None:
    """Whether pixels are deflated; None for encodings whose length says nothing about the size (text, bzip2)."""
    if form == "mha":
        return fields.get("compresseddata", "false").lower() == "true"
    return {"raw": False, "gzip": True, "gz": True}.get(fields.get("encoding", "raw").lower())


def _dtype(path: Path, reader: Any) -> np.dtype[Any]:
    import SimpleITK

    names = {
        SimpleITK.sitkUInt8: "u1",
        SimpleITK.sitkInt8: "i1",
        SimpleITK.sitkUInt16: "u2",
        SimpleITK.sitkInt16: "i2",
        SimpleITK.sitkUInt32: "u4",
        SimpleITK.sitkInt32: "i4",
        SimpleITK.sitkUInt64: "u8",
        SimpleITK.sitkInt64: "i8",
        SimpleITK.sitkFloat32: "f4",
        SimpleITK.sitkFloat64: "f8",
        SimpleITK.sitkVectorUInt8: "u1",
        SimpleITK.sitkVectorInt8: "i1",
        SimpleITK.sitkVectorUInt16: "u2",
        SimpleITK.sitkVectorInt16: "i2",
        SimpleITK.sitkVectorUInt32: "u4",
        SimpleITK.sitkVectorInt32: "i4",
        SimpleITK.sitkVectorFloat32: "f4",
        SimpleITK.sitkVectorFloat64: "f8",
    }
    name = names.get(reader.GetPixelID())
    if name is None:
        raise ReadError(
            path, ReadCode.UNSUPPORTED_PIXEL, "voxels are complex or of an unknown kind; numbers are accepted."
        )
    return np.dtype(name)


def _geometry(
    reader: Any, form: str, fields: Mapping[str, str], shape: tuple[int, ...]
) -> tuple[Geometry, tuple[Finding, ...]]:
    size3 = (int(shape[0]), int(shape[1]), int(shape[2]))
    dims = len(reader.GetSize())
    spatial = min(dims, 3)
    spacing = np.ones(3)
    spacing[:spatial] = np.abs(reader.GetSpacing()[:spatial])
    if form == "nrrd":
        posed = bool(_PATIENT_SPACE.match(fields.get("space", ""))) and "space directions" in fields
        sized = "space directions" in fields or "spacings" in fields
    else:
        posed = bool(fields.keys() & {"transformmatrix", "orientation", "rotation", "offset", "position", "origin"})
        sized = bool(fields.keys() & {"elementspacing", "elementsize"})
    if posed and spatial == 3:
        direction = np.reshape(reader.GetDirection(), (dims, dims))[:3, :3]
        affine = np.eye(4)
        affine[:3, :3] = direction * spacing
        affine[:3, 3] = reader.GetOrigin()[:3]
        return Geometry.from_lps(size3, affine), ()
    finding = Finding(
        "no-pose",
        "The file does not say where the image is in the patient" + ("." if sized else ", nor its voxel size in mm."),
    )
    if sized:
        return Geometry.from_spacing(size3, spacing, Space.DETECTOR), (finding,)
    return Geometry.from_spacing(size3, (1, 1, 1), Space.PIXEL), (finding,)


def _modality(file: ItkFile) -> str | None:
    return _MET_MODALITY.get(file.fields.get("modality", "").upper())


def itk_record(fields: Mapping[str, str]) -> dict[str, Any] | None:
    """Return the JSON record medcolor wrote into the header, None in files of others."""
    return parse_record(fields.get(RECORD_KEY, ""))
