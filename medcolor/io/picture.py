"""What every writer is given: pixels slice by slice, their grid, and the record that travels with them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import medcolor
from medcolor.color_scan import ColorScan, Law
from medcolor.errors import GeometryError
from medcolor.geometry import Geometry
from medcolor.scan import KAxis, Scan, to_slices
from medcolor.tissue_map import Segmentation
from medcolor.voi import Window

STATEMENT = "AI-COLOR. NOT DIAGNOSTIC. Colour is synthetic: generated, not measured; for visualisation only."

Writable = ColorScan | Scan | Segmentation


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A value ready to be written.

    Parameters
    ----------
    slices : ndarray, (nk, nj, ni) or (nk, nj, ni, 3)
        As images are stored; three channels are uint8 sRGB.
    geometry : Geometry
    record : dict
        JSON-able provenance, without time, path or identity.
    k_axis : KAxis
    irregular : bool
        Slice positions do not fit the affine.
    """

    slices: NDArray[Any]
    geometry: Geometry
    record: dict[str, Any]
    k_axis: KAxis = KAxis.SPACE
    irregular: bool = False

    @property
    def color(self) -> bool:
        """Whether pixels have three channels."""
        return self.slices.ndim == 4

    @property
    def text(self) -> str:
        """The record as canonical one-line ASCII JSON."""
        return canonical(self.record)

    @property
    def label(self) -> str:
        """A line of at most 79 characters for formats with a short description field."""
        if self.record["kind"] == "color":
            head = f"AI-COLOR NOT DIAGNOSTIC {self.record['provenance']['colorizer']}"
        else:
            head = str(self.record["kind"])
        return f"{head} medcolor {medcolor.__version__}".encode("ascii", "replace").decode()[:79]

    def require_volume(self, name: str, *, time: bool = False) -> None:
        """Refuse a stack that a format with one affine would misplace."""
        if self.irregular:
            raise GeometryError(
                f"The slices are not evenly spaced, and {name} has one spacing for all: anatomy would be misplaced. "
                "Write png or dicom, which keep every slice where it is."
            )
        if self.k_axis is not KAxis.SPACE and not time:
            raise GeometryError(
                f"The third axis of this image is {self.k_axis}, and {name} would call it space. "
                "Write dicom, nifti, tiff or png."
            )


def canonical(record: Mapping[str, Any]) -> str:
    """Return sorted, compact, one-line ASCII JSON."""
    return json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def picture_of(value: Writable) -> Picture:
    """Prepare a value for writing.

    Raises
    ------
    TypeError
        Not a ColorScan, Scan or Segmentation.
    """
    if isinstance(value, ColorScan):
        record = _common("color", value.geometry, value.modality, value.k_axis, value.irregular)
        record |= {
            "statement": STATEMENT,
            "provenance": value.provenance.to_json(),
            "provenance_sha256": value.provenance.digest,
            "gray": _gray(value),
        }
        return Picture(to_slices(value.rgb), value.geometry, record, value.k_axis, value.irregular)
    if isinstance(value, Scan):
        record = _common("scan", value.geometry, value.modality, value.k_axis, value.irregular)
        record |= {
            "units": value.units,
            "inverted": value.inverted,
            "windows": [[w.center, w.width, str(w.function), w.name] for w in value.windows if isinstance(w, Window)],
            "source_digest": value.source.digest,
        }
        pixels = value.voxels if value.rgb is None else value.rgb
        return Picture(to_slices(pixels), value.geometry, record, value.k_axis, value.irregular)
    if isinstance(value, Segmentation):
        record = _common("labels", value.geometry, "OT", KAxis.SPACE, irregular=False)
        record["names"] = {str(label): name for label, name in value.names.items()}
        return Picture(to_slices(value.labels), value.geometry, record)
    raise TypeError(f"write takes a ColorScan, a Scan or a Segmentation, got {type(value).__name__}.")


def _common(kind: str, geometry: Geometry, modality: str, k_axis: KAxis, irregular: bool) -> dict[str, Any]:
    return {
        "medcolor": medcolor.__version__,
        "kind": kind,
        "modality": modality,
        "k_axis": str(k_axis),
        "geometry": None if irregular else geometry.to_json(),
    }


def _gray(value: ColorScan) -> dict[str, Any]:
    """Say whether the gray can be had back from the pixels, and by what."""
    if value.law is Law.LIGHTNESS:
        return {"recoverable": True, "by": "the luminance of each pixel (IEC 61966-2-1), rounded"}
    from medcolor.io.tables import lut_table, merged_levels

    table = lut_table(value.provenance)
    if table is None:
        return {"recoverable": False, "because": "the colour table is not known here"}
    merged = merged_levels(table)
    if merged:
        return {"recoverable": False, "because": f"the colour table merges {merged} of 256 gray levels with others"}
    if value.provenance.passed_through:
        return {"recoverable": False, "because": "some pixels were colour already and are not in the colour table"}
    return {"recoverable": True, "by": "the inverse of the colour table"}


def is_color(slices: NDArray[Any]) -> bool:
    """Whether any pixel of (..., 3) has channels that differ."""
    return bool(np.any(slices[..., 0] != slices[..., 1]) or np.any(slices[..., 1] != slices[..., 2]))
