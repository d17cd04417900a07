"""What a picker shows of each series of a folder before anybody waits for its pixels: a row, and a small picture."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medcolor.errors import ReadCode, ReadError
from medcolor.io import SeriesInfo, list_series, read
from medcolor.scan import Scan, Severity
from medcolor.windowing import default_display, grayscale

_DATES = ("SeriesDate", "AcquisitionDate", "ContentDate", "StudyDate")


@dataclass(frozen=True, slots=True)
class Row:
    """One series, in words.

    Attributes
    ----------
    series : SeriesInfo
        ``series.key`` is what ``read(path, series=...)`` wants.
    modality, description : str
    size : str
        "512 x 512 x 41".
    spacing : str
        "0.797 x 0.797 x 5 mm", empty where unknown.
    date : str
        "2019-03-07" of the series, else of the study; empty where unknown.
    n_files : int
    audit : tuple of str
        What is worth a warning about its geometry; notes left out.
    """

    series: SeriesInfo
    modality: str
    description: str
    size: str
    spacing: str
    date: str
    n_files: int
    audit: tuple[str, ...]


def rows(path: Path | str) -> list[Row]:
    """Return one row for each series under a path, in the order of :func:`medcolor.list_series`.

    Raises
    ------
    FileNotFoundError, ReadError
        As :func:`medcolor.list_series`.
    """
    return [row_of(series) for series in list_series(path)]


def row_of(series: SeriesInfo) -> Row:
    """Put a series in words."""
    spacing = "" if series.spacing is None else " x ".join(f"{s:.3g}" for s in series.spacing) + " mm"
    return Row(
        series,
        series.modality,
        series.description,
        " x ".join(str(n) for n in series.shape),
        spacing,
        _date(series),
        series.n_files,
        tuple(finding.message for finding in series.audit if finding.severity is not Severity.NOTE),
    )


def thumbnail(series: SeriesInfo, size: int = 96) -> NDArray[np.uint8]:
    """Return a small gray picture of the middle slice.

    Of a DICOM series in many files only the middle one is read; a volume in one file, or in an archive, is read whole.

    Parameters
    ----------
    series : SeriesInfo
    size : int
        Side in pixels; true proportions, black around.

    Returns
    -------
    ndarray of uint8, (size, size)

    Raises
    ------
    ReadError
        The file cannot be read.
    """
    from PIL import Image

    scan = _representative(series)
    middle = scan.shape[2] // 2
    gray = grayscale(scan, default_display(scan))(slice(middle, middle + 1))[0]
    i, j, _ = scan.geometry.spacing
    width, height = gray.shape[1] * i, gray.shape[0] * j
    factor = size / max(width, height)
    target = max(1, round(width * factor)), max(1, round(height * factor))
    small = np.asarray(Image.fromarray(gray).resize(target, Image.Resampling.BOX), np.uint8)
    square = np.zeros((size, size), np.uint8)
    top, left = (size - target[1]) // 2, (size - target[0]) // 2
    square[top : top + target[1], left : left + target[0]] = small
    return square


def _representative(series: SeriesInfo) -> Scan:
    if not series.paths:
        raise ReadError(series.key, ReadCode.EMPTY, "this listing names no file.", "List the folder again.")
    if series.format == "dicom" and len(set(series.paths)) > 1:
        return read(series.paths[len(series.paths) // 2], modality=series.modality)
    if series.format == "dicom":
        return read(series.paths[0], series=series.key, modality=series.modality)
    part = re.search(r"#(\d+)$", series.key)
    return read(series.paths[0], series=int(part[1]) if part else None, modality=series.modality)


def _date(series: SeriesInfo) -> str:
    """Return the date in the header of one file; from an archive, or without a header: empty."""
    if series.format != "dicom" or not series.paths:
        return ""
    from medcolor.io.dicom import header
    from medcolor.io.dicom.parse import parse, quiet_pydicom

    path = series.paths[len(series.paths) // 2]
    try:
        with quiet_pydicom():
            found = parse(path, path, pixels=False).header
    except (ReadError, OSError):
        return ""
    texts = (header.text(found, keyword) for keyword in _DATES)
    dates = (re.fullmatch(r"(\d{4})[.\-]?(\d{2})[.\-]?(\d{2})", text.strip()) for text in texts)
    return next(("-".join(match.groups()) for match in dates if match), "")


__all__ = ["Row", "row_of", "rows", "thumbnail"]
