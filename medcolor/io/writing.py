"""Writing: one table from format to writer, everything checked before the first byte."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medcolor.color_scan import ColorScan
from medcolor.errors import WriteError
from medcolor.io.atomic import OpenFiles, atomic_files
from medcolor.io.itk_write import check_itk, raw_beside, write_mha, write_nrrd
from medcolor.io.nifti_write import check_nifti, write_nifti
from medcolor.io.picture import Picture, Writable, picture_of
from medcolor.io.raster_write import check_png, check_tiff, png_paths, write_pngs, write_tiff

SIDECAR = "provenance.json"


@dataclass(frozen=True, slots=True)
class FileFormat:
    """A format of one file."""

    suffixes: tuple[str, ...]
    check: Callable[[Picture], None]
    write: Callable[[Picture, Path, OpenFiles], None]


_FILES: dict[str, FileFormat] = {
    "nifti": FileFormat((".nii.gz", ".nii"), check_nifti, write_nifti),
    "nrrd": FileFormat((".nrrd",), lambda picture: check_itk(picture, "NRRD"), write_nrrd),
    "mha": FileFormat((".mha", ".mhd"), lambda picture: check_itk(picture, "MetaImage"), write_mha),
    "tiff": FileFormat((".tif", ".tiff"), check_tiff, write_tiff),
}
FORMATS = ("dicom", "dicom-multiframe", "seg", "presentation", "nifti", "nrrd", "mha", "png", "tiff", "thumbnail")
COMPANIONS = frozenset({"seg", "presentation"})  # DICOM objects beside the colour series
FILE_SUFFIXES = (*(s for form in _FILES.values() for s in form.suffixes), ".png")


def write(
    value: Writable,
    path: Path | str,
    *,
    format: str | None = None,  # noqa: A002
    force: bool = False,
    **options: Any,
) -> list[Path]:
    """Write a coloured scan, a scan or a segmentation, with its provenance beside it.

    Equal values and options give equal bytes; no time, no path and no identity go into any file but the DICOM
    attributes that DICOM objects need.

    Parameters
    ----------
    value : ColorScan, Scan or Segmentation
    path : Path or str
        A file for nifti, nrrd, mha and tiff; a folder for dicom and png (0001.png ... in slice order). A name ending
        in .png takes an image of one slice.
    format : str, optional
        One of "dicom", "dicom-multiframe", "seg", "presentation", "nifti", "nrrd", "mha", "png", "tiff", "thumbnail".
        Default: by the name; a name without a known ending is a folder of dicom if the value came from DICOM, else of
        png. "seg" and "presentation" are written beside colours and need what ``medcolor.colorizers.companions`` gives.
    force : bool
        Overwrite. An earlier output of more slices leaves no slice behind.
    **options
        Of "dicom", "dicom-multiframe": ``burn_in``, ``synthetic_flag``, ``modality_tag``. Of "seg": ``segmentation``
        (Segmentation), ``omit_empty_frames``. Of "presentation": ``scan`` (Scan), ``display`` (Window or VoiLut). Of
        "thumbnail": ``size`` in pixels.

    Returns
    -------
    list of Path
        The image files, in slice order. The provenance is OUT/provenance.json for folders, FILE.json for files.

    Raises
    ------
    OutputExistsError
        Something of these names is there and ``force`` is not set; nothing was written.
    GeometryError
        The format would misplace voxels: unevenly spaced slices in a volume format, sheared axes in an ITK format.
    WriteError
        The format cannot hold the values, or the disk is full or failed; no partial file stays.
    """
    target = Path(path)
    form = _format(value, target, format)
    if options and not (form.startswith("dicom") or form in COMPANIONS or form == "thumbnail"):
        raise TypeError(f"{', '.join(options)}: options of DICOM output, and this is {form}.")
    if form == "thumbnail":
        return _write_thumbnail(value, target, force=force, **options)
    if form in COMPANIONS:
        return _write_companion(value, target, form, force=force, options=options)
    if form.startswith("dicom"):
        return _write_dicom(value, target, form, force=force, options=options)
    picture = picture_of(value)
    if form == "png":
        return _write_png(picture, target, force=force)
    return _write_file(picture, target, _FILES[form], force=force)


def _format(value: Writable, path: Path, wanted: str | None) -> str:
    name = path.name.lower()
    by_name = next((form for form, kind in _FILES.items() if name.endswith(kind.suffixes)), None)
    by_name = "png" if name.endswith(".png") else by_name
    if wanted is not None and wanted not in FORMATS:
        raise WriteError(f'"{wanted}" is no output format. Available: {", ".join(FORMATS)}.')
    if wanted in _FILES and by_name != wanted:
        raise WriteError(f"{path}: {wanted} needs a file name ending in {' or '.join(_FILES[wanted].suffixes)}.")
    if wanted == "thumbnail" and by_name == "png":
        return wanted
    if wanted is not None and by_name not in {None, wanted} and not path.is_dir():
        raise WriteError(f"{path}: the name says {by_name}, the format asked for is {wanted}. Name a folder instead.")
    if wanted is not None:
        return wanted
    if by_name is None and name.endswith((".jpg", ".jpeg", ".gif", ".bmp", ".dcm", ".hdr", ".img", ".nhdr", ".json")):
        raise WriteError(
            f"{path}: this ending is not written. Use one of {', '.join(FILE_SUFFIXES)}, or name a folder for "
            "dicom or png."
        )
    source = getattr(value, "source", None)
    return by_name or ("dicom" if isinstance(value, ColorScan) and source and source.format == "dicom" else "png")


def _write_file(picture: Picture, path: Path, form: FileFormat, *, force: bool) -> list[Path]:
    form.check(picture)
    raw = raw_beside(path)
    written = [path] if raw is None else [path, raw]
    sidecar = path.with_name(f"{path.name}.json")
    with atomic_files([*written, sidecar], force=force) as files:
        form.write(picture, path, files)
        _write_record(picture.record, sidecar, written, files)
    return written


def _write_png(picture: Picture, path: Path, *, force: bool) -> list[Path]:
    check_png(picture)
    if path.suffix.lower() == ".png":
        if len(picture.slices) > 1:
            raise WriteError(
                f"{path}: a PNG holds one slice, and this image has {len(picture.slices)}. Name a folder instead."
            )
        paths, sidecar = [path], path.with_name(f"{path.name}.json")
    else:
        paths, sidecar = png_paths(picture, path), path / SIDECAR
    with atomic_files([*paths, sidecar], force=force, obsolete=_earlier(sidecar) if force else ()) as files:
        write_pngs(picture, paths, files)
        _write_record(picture.record, sidecar, paths, files)
    return paths


def _write_dicom(value: Writable, folder: Path, form: str, *, force: bool, options: dict[str, Any]) -> list[Path]:
    from medcolor.io.dicom.write import Layout, write_dicom

    if not isinstance(value, ColorScan):
        raise WriteError(
            f"DICOM output is written for coloured scans; this is a {type(value).__name__}. Write nifti, nrrd or tiff."
        )
    picture, sidecar = picture_of(value), folder / SIDECAR

    def record(written: list[Path], files: OpenFiles) -> None:
        _write_record(picture.record, sidecar, written, files)

    layout: Layout = "multiframe" if form == "dicom-multiframe" else "series"
    return write_dicom(value, folder, layout=layout, force=force, beside={sidecar: record}, **options)


def _write_companion(value: Writable, folder: Path, form: str, *, force: bool, options: dict[str, Any]) -> list[Path]:
    if not isinstance(value, ColorScan):
        raise WriteError(f"{form} is written beside a coloured scan; this is a {type(value).__name__}.")
    needed = {"seg": ("segmentation",), "presentation": ("scan", "display")}[form]
    if missing := [name for name in needed if options.get(name) is None]:
        raise TypeError(f"{form} needs {', '.join(missing)}: see medcolor.colorizers.companions.options_for.")
    picture, sidecar = picture_of(value), folder / SIDECAR

    def record(written: list[Path], files: OpenFiles) -> None:
        _write_record(picture.record | {"kind": form}, sidecar, written, files)

    if form == "seg":
        from medcolor.io.dicom.tissue_seg import write_tissue_seg

        return write_tissue_seg(value, folder, force=force, beside={sidecar: record}, **options)
    from medcolor.io.dicom.presentation import write_presentation

    return write_presentation(value, folder, force=force, beside={sidecar: record}, **options)


def _write_thumbnail(value: Writable, path: Path, *, force: bool, **options: Any) -> list[Path]:
    from medcolor.io.thumbnail import SIZE, thumbnail_png

    if not isinstance(value, ColorScan):
        raise WriteError(f"Thumbnails are made of coloured scans; this is a {type(value).__name__}.")
    single = path.suffix.lower() == ".png"
    target = path if single else path / "thumbnail.png"
    sidecar = path.with_name(f"{path.name}.json") if single else path / SIDECAR
    size = options.pop("size", SIZE)
    if options:
        raise TypeError(f"{', '.join(options)}: no option of a thumbnail.")
    data = thumbnail_png(value, size=size)
    with atomic_files([target, sidecar], force=force) as files:
        with files.open(target) as stream:
            stream.write(data)
        record = {name: part for name, part in picture_of(value).record.items() if name not in {"geometry", "gray"}}
        _write_record(record | {"kind": "thumbnail", "size": size}, sidecar, [target], files)
    return [target]


def _write_record(record: dict[str, Any], sidecar: Path, written: list[Path], files: OpenFiles) -> None:
    """Write the provenance with the hash of every image file, finished or still under its temporary name."""
    import hashlib

    hashes = {}
    for path in written:
        with files.parts.get(path, path).open("rb") as stream:
            hashes[path.name] = hashlib.file_digest(stream, "sha256").hexdigest()
    with files.open(sidecar) as stream:
        stream.write(json.dumps(record | {"files": hashes}, sort_keys=True, indent=1, allow_nan=False).encode("ascii"))
        stream.write(b"\n")


def _earlier(sidecar: Path) -> list[Path]:
    """Return the images of an earlier output of ours at this place, so that none of them is left among the new."""
    from medcolor.io.records import sidecar_record

    record = sidecar_record(sidecar) or {}
    return [sidecar.parent / Path(name).name for name in record.get("files", {}) if name.endswith(".png")]
