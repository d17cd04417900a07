"""Saving layers: colour DICOM, NIfTI and its kin, PNG; written by medcolor with provenance, on the scan's own grid."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from medcolor import io
from medcolor.color_scan import ColorScan
from medcolor.errors import MedcolorError, WriteError
from medcolor.scan import Scan
from medcolor.viewing.saving import checked_color, checked_scan
from napari_plugin import layers


def write_dicom(path: str, data: Any, meta: dict[str, Any]) -> list[str]:
    """Write a coloured layer as DICOM objects into a folder named like ``path`` without its ending."""
    return _write(Path(path).with_suffix(""), data, meta, "dicom")


def write_volume(path: str, data: Any, meta: dict[str, Any]) -> list[str]:
    """Write a layer as NIfTI, NRRD or MHA."""
    return _write(Path(path), data, meta, None)


def write_png(path: str, data: Any, meta: dict[str, Any]) -> list[str]:
    """Write one slice as PNG; several into a folder named like ``path`` without its ending."""
    target = Path(path)
    found = _about(meta)
    return _write(target if found["scan"].shape[2] == 1 else target.with_suffix(""), data, meta, "png")


def _write(path: Path, data: Any, meta: dict[str, Any], form: str | None) -> list[str]:
    try:
        value = as_value(data, meta)
        # the dialog has asked about a file that exists; nobody has about a folder
        return [str(written) for written in io.write(value, path, format=form, force=path.is_file())]
    except WriteError:
        raise
    except MedcolorError as error:  # napari takes a ValueError for "no writer", and would say just that
        raise WriteError(str(error)) from error


def as_value(data: Any, meta: dict[str, Any]) -> ColorScan | Scan:
    """Return what a layer holds as a value of medcolor, checked against what it was made from.

    Raises
    ------
    WriteError
        The layer is not medcolor's, is still being coloured, or was changed so that its gray is lost.
    """
    found = _about(meta)
    scan = found["scan"]
    block = layers.to_scan_slices(scan, data)
    if found["kind"] == "gray":
        if scan.rgb is not None:
            raise WriteError("This image was colour already: its file is the original. Colour it first, then save.")
        return checked_scan(scan, block)
    if found["kind"] != "color":
        raise WriteError(f"A layer of kind {found['kind']} is no image to save; save the gray or the coloured one.")
    color = found.get("color")
    if color is None:
        try:
            color = found["session"].result()
        except RuntimeError as error:
            raise WriteError("This layer is still being coloured: wait until it is done, or cancel.") from error
    return checked_color(color, block)


def _about(meta: dict[str, Any]) -> dict[str, Any]:
    found = meta.get("metadata", {}).get(layers.KEY)
    if not isinstance(found, dict) or not isinstance(found.get("scan"), Scan):
        raise WriteError("medcolor saves layers that it has made: open or colour the scan with medcolor first.")
    return found
