"""A coloured scan, the law its colours obey, and the record of how they were made."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medcolor.errors import GeometryError
from medcolor.geometry import Geometry
from medcolor.scan import Finding, KAxis, Scan, Severity, Source, frozen_view


class Law(StrEnum):
    """What a colorizer promises about the gray."""

    LIGHTNESS = "lightness"  # restore_gray(rgb) equals the displayed gray, bit for bit
    LUT = "lut"  # colour is a function of the displayed gray alone


@dataclass(frozen=True, slots=True, eq=False)
class Provenance:
    """How a colour image was made; equal inputs give equal provenance, so it holds no time and no path.

    Parameters
    ----------
    colorizer : str
        Spec that ``load_colorizer`` understands; ``"seg"`` without the path, whose labels ``options`` name by hash.
    law : Law
    window : str
        The window as displayed.
    options : Mapping
        JSON-able settings that change pixels: palette, strength, cvd ...
    palette_sha256, weights_sha256 : str or None
        Content hashes, None where there is none.
    source_digest : str
        ``Source.digest`` of the scan.
    passed_through : int
        Voxels that were colour already and were not touched.
    version : str
        medcolor version.
    modality : str
        What the scan was coloured as; it decides units, display and tissue model. :meth:`ColorScan.of` fills it in.
    """

    colorizer: str
    law: Law
    window: str
    options: Mapping[str, Any] = field(default_factory=dict)
    palette_sha256: str | None = None
    weights_sha256: str | None = None
    source_digest: str = ""
    seed: int = 0
    passed_through: int = 0
    version: str = ""
    modality: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "law", Law(self.law))
        object.__setattr__(self, "options", MappingProxyType(dict(self.options)))

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-able dict; :meth:`from_json` reads it back."""
        record = {name: getattr(self, name) for name in self.__slots__}
        return record | {"law": str(self.law), "options": dict(self.options)}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Provenance:
        """Build from :meth:`to_json` output; unknown keys are ignored."""
        return cls(**{name: record[name] for name in cls.__slots__ if name in record})

    def dumps(self) -> str:
        """Return canonical JSON: sorted keys, no spaces, ASCII."""
        return json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"), ensure_ascii=True)

    @property
    def digest(self) -> str:
        """sha256 hex of the canonical JSON: equal where pixels must be equal."""
        return hashlib.sha256(self.dumps().encode()).hexdigest()


@dataclass(frozen=True, slots=True, eq=False)
class ColorScan:
    """A coloured scan: sRGB pixels on the grid of the scan they came from.

    Parameters
    ----------
    rgb : ndarray of uint8, (ni, nj, nk, 3)
        sRGB (IEC 61966-2-1).
    geometry, modality, k_axis, audit, facts, source
        As in the :class:`Scan`.
    provenance : Provenance
    """

    rgb: NDArray[np.uint8]
    geometry: Geometry
    provenance: Provenance
    modality: str = "OT"
    k_axis: KAxis = KAxis.SPACE
    audit: tuple[Finding, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    source: Source = field(default_factory=Source)

    def __post_init__(self) -> None:
        expected = (*self.geometry.shape, 3)
        if self.rgb.shape != expected or self.rgb.dtype != np.uint8:
            raise GeometryError(
                f"ColorScan.rgb must be uint8 of shape {expected}, got {self.rgb.dtype} {self.rgb.shape}."
            )
        object.__setattr__(self, "rgb", frozen_view(self.rgb))
        object.__setattr__(self, "k_axis", KAxis(self.k_axis))
        object.__setattr__(self, "audit", tuple(self.audit))
        object.__setattr__(self, "facts", MappingProxyType(dict(self.facts)))

    @classmethod
    def of(cls, scan: Scan, rgb: NDArray[np.uint8], provenance: Provenance) -> ColorScan:
        """Put colour on the grid of ``scan``; the provenance says what it was coloured as."""
        provenance = replace(provenance, modality=scan.modality)
        return cls(rgb, scan.geometry, provenance, scan.modality, scan.k_axis, scan.audit, scan.facts, scan.source)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(ni, nj, nk)."""
        return self.geometry.shape

    @property
    def law(self) -> Law:
        """The law its colorizer obeys."""
        return self.provenance.law

    @property
    def irregular(self) -> bool:
        """Whether slice positions do not fit one affine."""
        return any(f.severity is Severity.IRREGULAR for f in self.audit)

    def __repr__(self) -> str:
        return f"ColorScan({self.provenance.colorizer}, {self.modality}, {self.geometry.describe()})"
