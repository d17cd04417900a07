"""DICOM as a task: a folder for each patient with one image series and one SEG, or one RTSTRUCT."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medcolor.comparison.task_masks import masks_on
from medcolor.comparison.tasks import Load, Masks
from medcolor.errors import SettingError
from medcolor.scan import Scan

RTSTRUCT = "1.2.840.10008.5.1.4.1.1.481.3"
_ON_SLICE = 0.1  # of the distance between slices: contours lie that near to one


def dicom_subjects(folder: Path, layout: str) -> tuple[dict[str, Load], dict[int, str], str]:
    """Return how each patient is read, the labels by number, and the modality.

    Segments and regions of the same name are one label in all patients; numbers are in order of the names.

    Raises
    ------
    SettingError
        Folders without images or masks, or of several modalities.
    """
    from medcolor.io import list_series

    patients = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    if not patients:
        raise SettingError(f"{folder}: no dataset.json, and no folders of patients. {layout}")
    names: set[str] = set()
    modalities: set[str] = set()
    for path in patients:
        series = list_series(path)
        if len(series) != 1:
            raise SettingError(f"{path} holds {len(series)} image series; a patient's folder has one, and its masks.")
        modalities.add(series[0].modality)
        names |= set(_named(path, layout))
    if len(modalities) > 1:
        raise SettingError(f"{folder} holds {', '.join(sorted(modalities))}; a task is of one modality.")
    labels = dict(enumerate(sorted(names), start=1))
    numbers = {name: number for number, name in labels.items()}
    return {path.name: partial(_read, path, numbers) for path in patients}, labels, modalities.pop()


def _named(path: Path, layout: str) -> list[str]:
    """Return the names of the segments or regions of a patient that are not empty."""
    structures = _structures(path)
    if len(structures) > 1:
        raise SettingError(f"{path} holds {len(structures)} RTSTRUCT; one is accepted.")
    if structures:
        return [name for name, contours in _regions(structures[0]) if contours]
    drawn = _segmentation(path, layout)
    return [drawn.names[label] for label in drawn.counts]


def _segmentation(path: Path, layout: str) -> Any:
    from medcolor.errors import ReadError
    from medcolor.io import read_segmentation

    try:
        return read_segmentation(path)
    except ReadError as error:
        raise SettingError(f"{path}: no SEG and no RTSTRUCT that can be read here ({error.code}). {layout}") from error


def _read(path: Path, numbers: Mapping[str, int]) -> tuple[Scan, Masks]:
    from medcolor.io import read

    scan = read(path)
    if structures := _structures(path):
        return scan, fill(scan, [(numbers[name], c) for name, c in _regions(structures[0]) if c], str(path))
    drawn = _segmentation(path, "")
    table = np.zeros(1 << 16, np.uint8)
    for label in drawn.counts:
        table[label] = numbers[drawn.names[label]]
    return scan, table[masks_on(scan, drawn, path)]


def _structures(path: Path) -> list[Any]:
    from medcolor.io.dicom.files import collect
    from medcolor.io.dicom.parse import quiet_pydicom

    with quiet_pydicom(), collect(path, pixels=False) as found:
        return [one.header for one in found.instances if one.header.get("SOPClassUID") == RTSTRUCT]


def _regions(structures: Any) -> Iterator[tuple[str, list[NDArray[np.float64]]]]:
    """Yield the name of each region and its closed planar contours, (n, 3) LPS mm."""
    names = {int(item.ROINumber): str(item.ROIName) for item in structures.get("StructureSetROISequence", [])}
    for region in structures.get("ROIContourSequence", []):
        contours = [
            np.asarray(contour.ContourData, np.float64).reshape(-1, 3)
            for contour in region.get("ContourSequence", [])
            if contour.get("ContourGeometricType") in {"CLOSED_PLANAR", "CLOSEDPLANAR_XOR"}
        ]
        yield names.get(int(region.ReferencedROINumber), "region"), contours


def fill(scan: Scan, regions: Sequence[tuple[int, Sequence[NDArray[np.float64]]]], where: str) -> Masks:
    """Return contours as labels on a scan, (nk, nj, ni).

    A pixel belongs to a region when its centre is inside an odd number of its contours on that slice, so that holes
    are holes. Where regions overlap the later one stays.

    Parameters
    ----------
    scan : Scan
    regions : sequence of (label, contours)
        Contours are (n, 3) in LPS mm, each on one slice.
    where : str
        For messages.

    Raises
    ------
    SettingError
        A contour that lies on none of the slices.
    """
    ni, nj, nk = scan.shape
    inverse = np.linalg.inv(scan.geometry.to_lps())
    out = np.zeros((nk, nj, ni), np.uint8)
    for label, contours in regions:
        odd = np.zeros(out.shape, np.bool_)
        for contour in contours:
            index = contour @ inverse[:3, :3].T + inverse[:3, 3]
            k = round(float(index[:, 2].mean()))
            if not 0 <= k < nk or np.abs(index[:, 2] - k).max() > _ON_SLICE:
                raise SettingError(f"{where}: a contour of the RTSTRUCT lies on no slice of the images.")
            odd[k] ^= _inside(index[:, :2], (nj, ni))
        out[odd] = label
    return out


def _inside(outline: NDArray[np.float64], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Return which pixel centres are inside a closed outline of (i, j), by counting the edges to their left."""
    out = np.zeros(shape, np.bool_)
    for (i0, j0), (i1, j1) in zip(outline, np.roll(outline, -1, axis=0), strict=True):
        low, high = sorted((j0, j1))
        rows = np.arange(max(int(np.ceil(low)), 0), min(int(np.ceil(high)), shape[0]))  # half open: no edge twice
        if rows.size:
            crossing = i0 + (rows - j0) * (i1 - i0) / (j1 - j0)
            out[rows] ^= crossing[:, None] < np.arange(shape[1])
    return out


__all__ = ["RTSTRUCT", "dicom_subjects", "fill"]
