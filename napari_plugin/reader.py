"""Opening scans: a DICOM folder, zip or file, NIfTI, NRRD, MHA, an image. Decoders run in a child process."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from medcolor.errors import AmbiguousSeriesError, MedcolorError
from medcolor.io.isolated import Isolated
from medcolor.scan import Scan
from medcolor.viewing.opening import geometry_message, looks_like_scans
from napari_plugin import desk, layers
from napari_plugin.canvas import attach
from napari_plugin.preferences import preference
from napari_plugin.welcome import greet

NOTHING: list[Any] = [(None,)]  # napari's word for: handled, and no layer to add
Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


def get_reader(path: Paths) -> Callable[[Paths], list[Any]] | None:
    """Return a reader for paths that look like scans, None for others."""
    paths = _listed(path)
    return read_layers if paths and any(looks_like_scans(each) for each in paths) else None


def read_layers(path: Paths) -> list[Any]:
    """Read as layers; what cannot be read becomes one message, and the viewer stays as it was."""
    try:
        return _read(_listed(path))
    except desk.Cancelled:
        return NOTHING
    except (MedcolorError, FileNotFoundError) as error:
        desk.refuse(error)
    except Exception as error:  # the viewer survives whatever a file does to us
        desk.refuse(error)
    return NOTHING


def _listed(path: Paths) -> list[str]:
    return [os.fspath(each) for each in ([path] if isinstance(path, str | os.PathLike) else path)]


def _read(paths: list[str]) -> list[Any]:
    place, files = paths[0], list[str]()
    if len(paths) > 1:
        folders = {Path(path).parent for path in paths}
        if len(folders) > 1:
            return [layer for path in paths for layer in _read([path]) if layer[0] is not None] or NOTHING
        place, files = str(folders.pop()), paths
    limit = float(preference("opening", "seconds", otherwise=900))
    found = desk.wait(
        Isolated("medcolor.viewing.opening:first_look", place, files=files, modality=_preferred()),
        f"Reading {Path(place).name}",
        seconds=limit,
    )
    if isinstance(found, Scan):
        return [_layer(found, _described(found) or _name(place))]
    added = []
    for row in _chosen(place, found):
        modality = row.modality if row.modality != "OT" else _asked(row)
        job = Isolated("medcolor.io.reading:read", place, series=row.series.key, modality=modality)
        scan = desk.wait(job, f"Reading {row.description or row.series.key}", seconds=limit)
        added.append(_layer(scan, row.description or _name(place)))
    return added or NOTHING


def _chosen(place: str, rows: list[Any]) -> list[Any]:
    """Return the series the user wants; nothing is ever picked for them."""
    if len(rows) == 1:
        return rows
    if desk.viewer() is None:
        raise AmbiguousSeriesError(place, [str(row.series) for row in rows])
    from napari_plugin.picker import pick_series

    return pick_series(place, rows, parent=desk.window_of(desk.viewer()))


def _asked(row: Any) -> str | None:
    """Return the modality of a file that does not say it; None reads it as it is, without tissue colours."""
    preferred = _preferred()
    if preferred or desk.viewer() is None:
        return preferred
    from napari_plugin.picker import pick_modality

    return pick_modality(row.description or Path(row.series.paths[0]).name, parent=desk.window_of(desk.viewer()))


def _preferred() -> str | None:
    said = str(preference("opening", "modality", otherwise="ask"))
    return None if said == "ask" else said


def _layer(scan: Scan, name: str) -> layers.LayerData:
    viewer = desk.viewer()
    if viewer is not None:
        attach(viewer)
        greet(viewer)
        desk.tell(geometry_message(scan, name))
    return layers.gray_layer(scan, name)


def _described(scan: Scan) -> str:
    """Return how the scanner called the series; a folder's name seldom tells two of them apart."""
    headers = scan.source.headers
    return str(headers[0].get("SeriesDescription", "") or "").strip() if headers else ""


def _name(path: str) -> str:
    name = Path(path).name
    for suffix in (".nii.gz", ".nii", ".nrrd", ".mha", ".mhd", ".dcm", ".zip"):
        name = name.removesuffix(suffix)
    return name or "scan"
