"""A folder of PNG slices that medcolor wrote: its provenance.json says that they are one stack, and where it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from medcolor.errors import ReadCode, ReadError
from medcolor.geometry import Geometry, Space
from medcolor.io.caps import check_size
from medcolor.io.plain import PlainImage
from medcolor.io.raster import raster_head, read_pixels
from medcolor.io.records import recorded_axis, recorded_geometry, sidecar_record
from medcolor.io.series import SeriesInfo
from medcolor.scan import Finding, KAxis, Scan, Severity


def recorded_stack(folder: Path) -> tuple[dict[str, Any], list[Path]] | None:
    """Return the record and the PNG slices of a folder that medcolor wrote, None for any other folder."""
    record = sidecar_record(folder / "provenance.json")
    names = sorted(record["files"], key=lambda name: (len(name), name)) if record else []  # 9999.png, 10000.png
    if record is None or not names or not all(name.endswith(".png") and Path(name).name == name for name in names):
        return None
    paths = [folder / name for name in names]
    for path in paths:
        if not path.is_file():
            raise ReadError(
                path, ReadCode.TRUNCATED, "this slice is named in provenance.json and is missing.", "Copy it again."
            )
    return record, paths


def list_stack(folder: Path) -> list[SeriesInfo]:
    """Return the one line of a folder that :func:`recorded_stack` knows."""
    found = recorded_stack(folder)
    if found is None:
        return []
    record, paths = found
    head = raster_head(paths[0], "png")
    shape = (head.width, head.height, len(paths))
    geometry = recorded_geometry(record, shape)
    spacing = None if geometry is None or geometry.space is Space.PIXEL else geometry.spacing
    return [
        SeriesInfo("#1", "png", str(record.get("modality", "OT")), "", shape, spacing, len(paths), (), tuple(paths))
    ]


def read_stack(folder: Path, *, modality: str | None = None) -> Scan:
    """Read the slices as one scan."""
    found = recorded_stack(folder)
    if found is None:
        raise ReadError(folder, ReadCode.EMPTY, "no stack that medcolor wrote is here.")
    record, paths = found
    heads = [raster_head(path, "png") for path in paths]
    first = heads[0]
    for path, head in zip(paths, heads, strict=True):
        if head != first:
            raise ReadError(path, ReadCode.CORRUPT, "this slice differs in size or depth from the first one.")
    shape = (first.width, first.height, len(paths))
    check_size(folder, shape, first.channels * first.bits // 8)
    slices = [read_pixels(path, "png", first)[0] for path in paths]
    geometry = recorded_geometry(record, shape)
    findings: tuple[Finding, ...] = ()
    if geometry is None:
        geometry = Geometry.from_spacing(shape, (1, 1, 1), Space.PIXEL)
        text = "The slices were not evenly spaced; as PNG they have no position."
        findings = (Finding("no-pose", text, Severity.IRREGULAR),)
    return PlainImage(
        path=folder,
        format="png",
        slices=np.stack(slices),
        geometry=geometry,
        record=record,
        findings=findings,
        k_axis=recorded_axis(record, KAxis.SPACE),
        paths=tuple(paths),
    ).scan(modality)
