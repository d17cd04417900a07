"""The gray back: from any image medcolor wrote, exactly, or a reason why not."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medcolor.color_scan import Law, Provenance
from medcolor.errors import RestoreError
from medcolor.io.sniff import format_of
from medcolor.io.tables import color_codes, lut_table, merged_levels
from medcolor.scan import GRAY_LEVEL, Scan, from_slices, to_slices


def restore(path: Path | str, *, series: str | int | None = None, assume_law: bool = False) -> Scan:
    """Return the displayed gray of a coloured image.

    Parameters
    ----------
    path : Path or str
        What ``write`` made: a DICOM folder or file, NIfTI, NRRD, MHA, TIFF, a PNG folder or file.
    series : str or int, optional
        As for ``read``.
    assume_law : bool
        Take the luminance of an image that does not say how it was coloured. What comes back is then the displayed
        gray only if the pixels are still those a lightness-preserving colorizer made.

    Returns
    -------
    Scan
        uint8 gray on the grid of the image, equal to what was displayed, pixel for pixel.

    Raises
    ------
    RestoreError
        Lossy pixels, no record of the colouring, a colour table that merges gray levels, changed pixels.
    """
    from medcolor.io.reading import read

    path = Path(path)
    if path.is_file() and format_of(path) == "jpeg":
        raise RestoreError(f"{path}: JPEG keeps colours only nearly, so the gray cannot come back exactly.")
    scan = read(path, series=series, modality=None if _says_modality(path) else "OT")
    provenance = _provenance(path, scan)
    if provenance is None and not assume_law:
        raise RestoreError(
            f"{path}: no record of how this image was coloured. If a lightness-preserving colorizer of medcolor made "
            "it, pass assume_law=True (--assume-law)."
        )
    rgb = to_slices(scan.rgb) if scan.rgb is not None else _neutral(path, scan)
    by_table = provenance is not None and provenance.law is Law.LUT
    gray = _inverse(path, rgb, provenance) if provenance and by_table else _luminance(rgb)
    geometry, strip = scan.geometry, _strip_rows(scan)
    if strip:
        gray, geometry = (
            gray[:, :-strip],
            replace(geometry, shape=(gray.shape[2], gray.shape[1] - strip, gray.shape[0])),
        )
    return Scan(
        from_slices(gray),
        geometry,
        modality=scan.modality,
        units=GRAY_LEVEL,
        k_axis=scan.k_axis,
        audit=scan.audit,
        source=scan.source,
    )


def restore_to(
    path: Path | str,
    output: Path | str,
    *,
    series: str | int | None = None,
    assume_law: bool = False,
    force: bool = False,
) -> list[Path]:
    """Restore the gray and write it: to a folder of PNG slices, or to a file such as gray.nii.gz."""
    from medcolor.io.writing import FILE_SUFFIXES, write

    target = Path(output)
    form = None if target.name.lower().endswith(FILE_SUFFIXES) else "png"
    return write(restore(path, series=series, assume_law=assume_law), target, format=form, force=force)


def _luminance(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    from medcolor.color import restore_gray

    gray = np.empty(rgb.shape[:3], np.uint8)
    for k in range(len(rgb)):
        gray[k] = restore_gray(rgb[k])
    return gray


def _inverse(path: Path, rgb: NDArray[np.uint8], provenance: Provenance) -> NDArray[np.uint8]:
    table = lut_table(provenance)
    if table is None:
        raise RestoreError(f"{path}: coloured with the table {provenance.colorizer}, which is not known here.")
    if merged := merged_levels(table):
        raise RestoreError(
            f"{path}: {provenance.colorizer} at this strength gives {merged} of 256 gray levels a colour they share "
            "with another level, so the gray cannot be told from the colour. Colour the source again with a table "
            "of 256 different colours, or with physics."
        )
    codes = color_codes(table)
    order = np.argsort(codes)
    ranked, levels = codes[order], order.astype(np.uint8)
    gray = np.empty(rgb.shape[:3], np.uint8)
    for k in range(len(rgb)):
        found = color_codes(rgb[k])
        place = np.minimum(np.searchsorted(ranked, found), 255)
        if strange := int(np.count_nonzero(ranked[place] != found)):
            why = "were colour already" if provenance.passed_through else "have been changed since"
            raise RestoreError(f"{path}: {strange} pixels of slice {k + 1} are not in the colour table: they {why}.")
        gray[k] = levels[place]
    return gray


def _neutral(path: Path, scan: Scan) -> NDArray[np.uint8]:
    """Return RGB of an image that turned out gray (strength 0, or a table of grays)."""
    if scan.voxels.dtype != np.uint8:
        raise RestoreError(f"{path}: this is no coloured image: {scan.voxels.dtype} values in {scan.units}.")
    return np.repeat(to_slices(scan.voxels)[..., None], 3, axis=-1)


def _strip_rows(scan: Scan) -> int:
    """Return the height of the label strip burned in below the picture on request (it is no part of the scan)."""
    for header in scan.source.headers[:1]:
        found = re.search(r"A strip of (\d+) rows", str(header.get("DerivationDescription", "")))
        if found and int(found[1]) < scan.shape[1]:
            return int(found[1])
    return 0


def _record(path: Path) -> Mapping[str, Any] | None:
    """Return the record in a file of ours, or beside the slices of a folder of ours."""
    from medcolor.io.itk import header_fields, itk_record
    from medcolor.io.nifti import nifti_record
    from medcolor.io.raster import png_record
    from medcolor.io.records import sidecar_record
    from medcolor.io.tiff import tiff_record

    if path.is_dir():
        return sidecar_record(path / "provenance.json")
    match format_of(path):
        case "nifti":
            return nifti_record(path)
        case "nrrd" | "mha" as form:
            return itk_record(header_fields(path, form))
        case "png":
            return png_record(path)
        case "tiff":
            record, lossy = tiff_record(path)
            if lossy:
                raise RestoreError(f"{path}: compressed with loss; the gray cannot come back exactly.")
            return record
        case _:
            return None


def _says_modality(path: Path) -> bool:
    """Whether reading without a modality is quiet: a record of ours, or DICOM."""
    return path.exists() and (_record(path) is not None or path.is_dir() or format_of(path) in {None, "dicom", "zip"})


def _provenance(path: Path, scan: Scan) -> Provenance | None:
    if scan.source.headers:
        return _dicom_provenance(path, scan)
    record = _record(path)
    if record is None or record.get("kind") != "color":
        return None
    _check_hashes(path)
    try:
        return Provenance.from_json(record["provenance"])
    except (KeyError, TypeError, ValueError):
        return None


def _dicom_provenance(path: Path, scan: Scan) -> Provenance | None:
    from medcolor.io.dicom.provenance import read_provenance

    found = [read_provenance(header) for header in scan.source.headers]
    if any(p is None for p in found):
        return None
    for header in scan.source.headers:
        meta = getattr(header, "file_meta", None)
        syntax = getattr(meta, "TransferSyntaxUID", None)
        if syntax is not None and syntax.is_compressed and syntax not in _LOSSLESS:
            raise RestoreError(
                f"{path}: these objects were compressed with loss after medcolor wrote them ({syntax.name}); the gray "
                "cannot come back exactly. Restore from the objects as written."
            )
    return found[0]


_LOSSLESS = frozenset(
    {
        "1.2.840.10008.1.2.1.99",  # deflated
        "1.2.840.10008.1.2.5",  # RLE
        "1.2.840.10008.1.2.4.57",  # JPEG lossless
        "1.2.840.10008.1.2.4.70",
        "1.2.840.10008.1.2.4.80",  # JPEG-LS lossless
        "1.2.840.10008.1.2.4.90",  # JPEG 2000 lossless
        "1.2.840.10008.1.2.4.201",  # HTJ2K lossless
        "1.2.840.10008.1.2.4.202",
    }
)


def _check_hashes(path: Path) -> None:
    """Refuse files that are not, byte for byte, those their provenance file names."""
    from medcolor.io.itk_write import raw_beside
    from medcolor.io.records import sidecar_record

    folder, sidecars, own = path, [path / "provenance.json"], None
    if path.is_file():  # its own record, or that of the folder of slices it belongs to
        folder, sidecars = path.parent, [path.with_name(f"{path.name}.json"), path.with_name("provenance.json")]
        own = {path.name} | ({raw.name} if (raw := raw_beside(path)) else set())
    for sidecar in sidecars:
        for name, expected in (sidecar_record(sidecar) or {"files": {}})["files"].items():
            if own is not None and name not in own:
                continue
            with (folder / Path(name).name).open("rb") as stream:
                if hashlib.file_digest(stream, "sha256").hexdigest() != expected:
                    raise RestoreError(
                        f"{path}: {name} was changed after medcolor wrote it; its gray cannot be trusted."
                    )
