"""Coloured scans to write: phantoms with the headers their scanner would make, and colour that names each voxel."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from medcolor import phantom
from medcolor.color_scan import ColorScan, Law, Provenance
from medcolor.geometry import Geometry, Space
from medcolor.phantom.datasets import multiframe, single_frames
from medcolor.scan import KAxis, Scan, Source, family

PROVENANCE = Provenance(
    "physics", Law.LIGHTNESS, "C 40 W 400", {"palette": "anatomical", "strength": 1.0}, palette_sha256="a" * 64,
    version="0.1.0",
)  # fmt: skip


def header_source(headers: Sequence[Any], frames: Sequence[tuple[int, int]] | None = None) -> Source:
    """Return what the reader would keep of these datasets."""
    for header in headers:
        if "PixelData" in header:
            del header.PixelData
    order = frames or [(n, f) for n, h in enumerate(headers) for f in range(int(h.get("NumberOfFrames") or 1))]
    digest = hashlib.sha256("\n".join(sorted(str(h.get("SOPInstanceUID")) for h in headers)).encode()).hexdigest()
    return Source("dicom", (), digest, tuple(headers), tuple(order))


def colored_phantom(
    scan: Scan, *, layout: str = "auto", provenance: Provenance = PROVENANCE, **names: str
) -> ColorScan:
    """Return ``scan`` in colour as if read from the DICOM files of its scanner."""
    single = layout == "series" or (layout == "auto" and scan.modality != "NM" and scan.k_axis is not KAxis.TIME)
    headers = single_frames(scan, **names) if single else [multiframe(scan, **names)]
    return with_source(scan, header_source(headers), provenance)


def with_source(scan: Scan, source: Source, provenance: Provenance = PROVENANCE) -> ColorScan:
    """Return ``scan`` in colour (red i, green j, blue k) with another source."""
    made = replace(provenance, source_digest=source.digest)
    return ColorScan.of(replace(scan, source=source), phantom.letter_rgb(scan.shape), made)


def colored_file(path: Path | str, *, k_axis: KAxis = KAxis.SPACE) -> ColorScan:
    """Return a coloured scan in place of one DICOM file of any kind, on the grid its header gives."""
    import pydicom

    from medcolor.io.dicom.planes import plane_of

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        header = pydicom.dcmread(path, stop_before_pixels=True)
        planes = [plane_of(header, f) for f in range(int(header.get("NumberOfFrames") or 1))]
        modality = header.get("Modality") or "OT"
    shape = (header.Columns, header.Rows, len(planes))
    geometry = Geometry(shape, np.eye(4), Space.PIXEL)
    if all(planes) and family(modality) not in {"XR", "MG"}:
        first, last = planes[0].numbers, planes[-1].numbers
        affine = np.eye(4)
        affine[:3, [0, 1, 3]] = first
        step = (last[:, 2] - first[:, 2]) / max(1, len(planes) - 1)
        affine[:3, 2] = step if np.abs(step).max() > 1e-6 else np.cross(affine[:3, 0], affine[:3, 1])
        geometry = Geometry.from_lps(shape, affine)
    scan = Scan(np.zeros(shape, np.uint8), geometry, modality, k_axis=k_axis)
    return with_source(scan, header_source([header]))


def edited(colored: ColorScan, **attributes: Any) -> ColorScan:
    """Change the source headers; None deletes."""
    for header in colored.source.headers:
        for keyword, value in attributes.items():
            if value is None:
                if keyword in header:
                    delattr(header, keyword)
            else:
                setattr(header, keyword, value)
    return colored
