"""A scan: voxels in true units, where they are, how the file wants them shown, and what the reader noticed.

Values are frozen, checked once in the constructor, and hold read-only views of their arrays. Arrays are channel-last
numpy with axes (i, j, k): i along a row of pixels, j down the columns, k through the slices. Readers lay voxels out
slice by slice in memory, so ``to_slices`` is a contiguous view, not a copy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medcolor.errors import GeometryError
from medcolor.geometry import Geometry
from medcolor.packed_mask import PackedMask
from medcolor.voi import VoiLut, Window

GRAY_LEVEL = "gray level"
XRAY_CODES = frozenset({"CR", "DX", "RG", "RF", "XA", "XR", "PX", "IO"})
MODALITIES = ("CT", "MR", "PT", "NM", "US", "XR", "MG")


def family(modality: str) -> str | None:
    """Return the palette and model family (one of :data:`MODALITIES`) of a DICOM modality code, or None."""
    code = modality.upper()
    if code in XRAY_CODES:
        return "XR"
    if code in {"IVUS"}:
        return "US"
    return code if code in MODALITIES else None


def to_slices(array: NDArray[Any]) -> NDArray[Any]:
    """View (ni, nj, nk, ...) as (nk, nj, ni, ...): slices of rows, as images are stored."""
    return array.transpose(2, 1, 0, *range(3, array.ndim))


from_slices = to_slices  # the same permutation is its own inverse


def frozen_view(array: NDArray[Any]) -> NDArray[Any]:
    """Return a read-only view; the values in this package hold nothing else."""
    view = array.view()
    view.flags.writeable = False
    return view


class Severity(StrEnum):
    """How much a finding matters."""

    NOTE = "note"
    WARNING = "warning"
    IRREGULAR = "irregular"  # positions do not fit one affine: volume formats refuse, slice formats are exact


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the audit a reader makes: a stable code and a sentence without patient data."""

    code: str
    message: str
    severity: Severity = Severity.WARNING

    def to_json(self) -> dict[str, str]:
        """Return a JSON-able description."""
        return {"code": self.code, "severity": str(self.severity), "message": self.message}


class KAxis(StrEnum):
    """What the third axis is."""

    SPACE = "space"
    TIME = "time"  # cine, dynamic series
    VIEW = "view"  # separate projections in one file, such as anterior and posterior


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """Where a scan came from: what is needed to write derived objects beside it.

    Parameters
    ----------
    format : str
        "dicom", "nifti", "nrrd", "mha", "png", "tiff", "jpeg", "phantom" or "memory".
    paths : tuple of Path
        Files read, in slice order. Never written into outputs.
    digest : str
        sha256 hex of the content (files) or of the sorted SOP instance UIDs and the choice made (DICOM).
    headers : tuple
        DICOM only: one pydicom Dataset per instance, without pixel data, in slice order.
    frames : tuple of (int, int)
        DICOM only: for each slice k, (index into ``headers``, 0-based frame number).
    """

    format: str = "memory"
    paths: tuple[Path, ...] = ()
    digest: str = ""
    headers: tuple[Any, ...] = ()
    frames: tuple[tuple[int, int], ...] = ()

    def __repr__(self) -> str:
        return f"Source({self.format}, {len(self.paths)} files, digest {self.digest[:12]})"


@dataclass(frozen=True, slots=True, eq=False)
class Scan:
    """One image or volume in true units.

    Parameters
    ----------
    voxels : ndarray, (ni, nj, nk)
        Rescaled values in ``units`` (not stored values); integer where the rescale keeps integers, else float32.
        For images that were colour already: their luminance gray, 0..255.
    geometry : Geometry
    modality : str
        DICOM (0008,0060) code; "OT" when nothing said.
    units : str
        "HU", "SUVbw", "Bq/ml", "counts", "arbitrary", "gray level", ...
    windows : tuple of Window or VoiLut
        What the file asks to be displayed with; the first is the default.
    inverted : bool
        Low values are shown bright (MONOCHROME1). Voxels stay as they are; display turns them.
    padding : PackedMask or None
        Where the file has no image (pixel padding): shown black, never coloured. Bool (ni, nj, nk) is packed.
    rgb : ndarray of uint8, (ni, nj, nk, 3), or None
        Source pixels of an image that has colour already.
    colored : ndarray of bool or None
        Where ``rgb`` is colour that must pass through byte-identical (Doppler, annotations). Needs ``rgb``.
    k_axis : KAxis
    audit : tuple of Finding
        What the reader noticed about geometry and values.
    facts : Mapping
        DICOM keyword -> value for what colorizers and reports use and that identifies nobody
        (BodyPartExamined, ImageLaterality, ViewPosition, PatientPosition, FrameTime ...).
    source : Source
    """

    voxels: NDArray[Any]
    geometry: Geometry
    modality: str = "OT"
    units: str = "arbitrary"
    windows: tuple[Window | VoiLut, ...] = ()
    inverted: bool = False
    padding: PackedMask | NDArray[np.bool_] | None = None
    rgb: NDArray[np.uint8] | None = None
    colored: NDArray[np.bool_] | None = None
    k_axis: KAxis = KAxis.SPACE
    audit: tuple[Finding, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    source: Source = field(default_factory=Source)

    def __post_init__(self) -> None:
        shape = self.geometry.shape
        if self.voxels.shape != shape:
            raise GeometryError(f"Scan voxels have shape {self.voxels.shape}, its geometry says {shape}.")
        if self.voxels.dtype.kind not in "iuf":
            raise TypeError(f"Scan voxels must be integers or floats, got {self.voxels.dtype}.")
        if self.padding is not None and not isinstance(self.padding, PackedMask):
            object.__setattr__(self, "padding", PackedMask(self.padding))
        if self.padding is not None and self.padding.shape != shape:
            raise GeometryError(f"Scan.padding must have shape {shape}, got {self.padding.shape}.")
        if self.colored is not None and (self.colored.shape != shape or self.colored.dtype != np.bool_):
            raise GeometryError(
                f"Scan.colored must be bool of shape {shape}, got {self.colored.dtype} {self.colored.shape}."
            )
        if self.rgb is not None and (self.rgb.shape != (*shape, 3) or self.rgb.dtype != np.uint8):
            raise GeometryError(
                f"Scan.rgb must be uint8 of shape {(*shape, 3)}, got {self.rgb.dtype} {self.rgb.shape}."
            )
        if self.colored is not None and self.rgb is None:
            raise ValueError("Scan.colored needs Scan.rgb: the pixels that pass through.")
        for name in ("voxels", "rgb", "colored"):
            array = getattr(self, name)
            if array is not None:
                object.__setattr__(self, name, frozen_view(array))
        object.__setattr__(self, "modality", (self.modality or "OT").upper())
        object.__setattr__(self, "windows", tuple(self.windows))
        object.__setattr__(self, "k_axis", KAxis(self.k_axis))
        object.__setattr__(self, "audit", tuple(self.audit))
        object.__setattr__(self, "facts", MappingProxyType(dict(self.facts)))

    @property
    def shape(self) -> tuple[int, int, int]:
        """(ni, nj, nk)."""
        return self.geometry.shape

    @property
    def family(self) -> str | None:
        """Palette and model family of the modality, None when unknown."""
        return family(self.modality)

    def padded(self, block: slice) -> NDArray[np.bool_]:
        """Return where a range of slices has no image, (n, nj, ni)."""
        if isinstance(self.padding, PackedMask):
            return self.padding.slices(block)
        return np.zeros(to_slices(self.voxels)[block].shape, np.bool_)

    @property
    def irregular(self) -> bool:
        """Whether slice positions do not fit one affine (gaps, uneven spacing)."""
        return any(f.severity is Severity.IRREGULAR for f in self.audit)

    def __repr__(self) -> str:
        return f"Scan({self.modality} in {self.units}, {self.voxels.dtype}, {self.geometry.describe()})"
