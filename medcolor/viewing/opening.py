"""What a viewer does before pixels are shown: one scan if there is one, else the rows to choose from."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medcolor.errors import MedcolorError, ReadCode, ReadError
from medcolor.io import read
from medcolor.io.sniff import format_of
from medcolor.scan import Scan, Severity
from medcolor.viewing.catalog import Row, rows, thumbnail
from medcolor.viewing.placement import place

_LOOKED_AT = 400  # files of a folder; enough to see what it is, cheap on a network drive
_PICTURES = 24  # rows that get one


def looks_like_scans(path: Path | str) -> bool:
    """Whether a file or folder is worth asking :func:`medcolor.read` about; looks at names and first bytes only."""
    path = Path(path)
    if path.is_file():
        return True  # its name was accepted already; what is wrong with it is worth a message
    if not path.is_dir():
        return False
    found = (Path(root) / name for root, _, names in os.walk(path) for name in sorted(names))
    return any(_known(file) for file in islice(found, _LOOKED_AT))


def _known(path: Path) -> bool:
    from medcolor.io.dicom.files import is_dicom

    try:
        return path.is_file() and (format_of(path) is not None or is_dicom(path))
    except (MedcolorError, OSError):
        return False


def parts_of_a_series(paths: Sequence[Path | str]) -> bool:
    """Whether several files may be slices of one thing: DICOM files of one folder. A look at a few bytes only."""
    from zipfile import is_zipfile

    from medcolor.io.dicom.files import is_dicom

    files = [Path(path) for path in paths]
    if len(files) < 2 or len({file.parent for file in files}) > 1:
        return False
    try:
        return all(file.is_file() and is_dicom(file) and not is_zipfile(file) for file in files)
    except (MedcolorError, OSError):
        return False


def first_look(path: Path | str, *, files: Sequence[str] = (), modality: str | None = None) -> Scan | list[Row]:
    """Return the scan where there is one series that says its modality, else what to choose from.

    Parameters
    ----------
    path : Path or str
        As for :func:`medcolor.read`.
    files : sequence of str
        Only series with one of these files: what was dropped together from one folder.
    modality : str, optional
        Of files that do not say theirs.

    Returns
    -------
    Scan or list of Row
        One row with modality "OT": nothing said what it is.

    Raises
    ------
    FileNotFoundError, ReadError
    """
    found = rows(path)
    if files:
        wanted = {Path(file).resolve() for file in files}
        found = [row for row in found if wanted & {file.resolve() for file in row.series.paths}]
    if not found:
        raise ReadError(path, ReadCode.EMPTY, "none of these files is a scan.", "Drop the folder they are in.")
    if len(found) > 1 or (found[0].modality == "OT" and modality is None):
        return found
    return read(path, series=found[0].series.key, modality=modality)


def thumbnails(path: Path | str, *, series: Sequence[Row], size: int = 96) -> list[NDArray[np.uint8] | None]:
    """Return a small picture of each of the first rows; None where it cannot be had."""
    pictures: list[NDArray[np.uint8] | None] = []
    for row in series[:_PICTURES]:
        try:
            pictures.append(thumbnail(row.series, size))
        except (MedcolorError, OSError):
            pictures.append(None)
    return pictures


def geometry_message(scan: Scan, name: str) -> str:
    """Return what must be said about where the voxels are; empty when nothing is off."""
    said = [finding.message for finding in scan.audit if finding.severity is not Severity.NOTE]
    note = place(scan).note
    said += [note] if note and note not in said else []
    return f"{name}: " + " ".join(dict.fromkeys(said)) if said else ""


__all__ = ["first_look", "geometry_message", "looks_like_scans", "parts_of_a_series", "thumbnails"]
