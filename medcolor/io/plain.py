"""From pixels and a grid to a Scan, for files that say less than DICOM does."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medcolor.errors import MedcolorWarning, ReadCode, ReadError
from medcolor.geometry import Geometry
from medcolor.io.color_pixels import scan_fields
from medcolor.scan import GRAY_LEVEL, Finding, KAxis, Scan, Severity, Source, from_slices
from medcolor.voi import Window


@dataclass(frozen=True, slots=True, eq=False)
class PlainImage:
    """What a reader found in a file.

    Parameters
    ----------
    path : Path
        File or folder, for messages.
    format : str
    slices : ndarray, (nk, nj, ni) numbers or (nk, nj, ni, 3) uint8
    geometry : Geometry
    record : Mapping or None
        What medcolor itself wrote into the file.
    findings : tuple of Finding
    k_axis : KAxis
    part : str
        Which of several images of the file, part of the digest.
    paths : tuple of Path
        Files read, in slice order.
    modality : str or None
        What the file says.
    lossy : bool
        Pixels were compressed with loss.
    padding : ndarray of bool, (nk, nj, ni), or None
    """

    path: Path
    format: str
    slices: NDArray[Any]
    geometry: Geometry
    record: Mapping[str, Any] | None = None
    findings: tuple[Finding, ...] = ()
    k_axis: KAxis = KAxis.SPACE
    part: str = ""
    paths: tuple[Path, ...] = ()
    modality: str | None = None
    lossy: bool = False
    padding: NDArray[np.bool_] | None = None

    def scan(self, modality: str | None) -> Scan:
        """Build the Scan; ``modality`` is what the user says and wins over the file."""
        record = self.record or {}
        said = modality or self.modality or _text(record, "modality")
        if said is None:
            warnings.warn(
                f"{self.path}: the file does not say its modality, so it reads as OT (other). "
                'Say it with modality="CT" (--modality CT) to colour it.',
                MedcolorWarning,
                stacklevel=5,
            )
        code = (said or "OT").upper()
        findings = list(self.findings)
        fields: dict[str, Any]
        if self.slices.ndim == 4:
            fields, units = scan_fields(self.slices, lossy=self.lossy), GRAY_LEVEL
            findings.append(_color_finding(fields))
        else:
            fields, units = self._values(findings), self._units(code, record, findings)
        if self.padding is not None:
            fields["padding"] = from_slices(self.padding)
        return Scan(
            **fields,
            geometry=self.geometry,
            modality=code,
            units=units,
            windows=_windows(record),
            inverted=record.get("inverted") is True,
            k_axis=self.k_axis,
            audit=tuple(findings),
            source=Source(format=self.format, paths=self.paths, digest=self._digest()),
        )

    def _digest(self) -> str:
        digest = hashlib.sha256()
        for path in self.paths:
            with path.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
        digest.update(self.part.encode())
        return digest.hexdigest()

    def _values(self, findings: list[Finding]) -> dict[str, Any]:
        slices = self.slices
        if slices.dtype.kind != "f":
            return {"voxels": from_slices(slices)}
        missing = ~np.isfinite(slices)
        count = int(np.count_nonzero(missing))
        if not count:
            return {"voxels": from_slices(slices)}
        if count == slices.size:
            raise ReadError(self.path, ReadCode.CORRUPT, "no voxel holds a number: all are NaN or infinite.")
        slices = slices if slices.flags.writeable else slices.copy()
        slices[missing] = slices[~missing].min()
        findings.append(
            Finding("not-a-number", f"{count} voxels hold no number (NaN or infinite); they are shown black.")
        )
        return {"voxels": from_slices(slices), "padding": from_slices(missing)}

    def _units(self, code: str, record: Mapping[str, Any], findings: list[Finding]) -> str:
        if units := _text(record, "units"):
            return units
        if self.slices.dtype == np.uint8:
            return GRAY_LEVEL
        if code != "CT" or self.format in {"png", "jpeg", "tiff"}:
            return "arbitrary"
        low, high = float(self.slices.min()), float(self.slices.max())
        if low >= 0 and high <= 255:
            return GRAY_LEVEL
        if low >= 0:
            findings.append(
                Finding(
                    "hu-unsure",
                    f"Values of this CT run from {low:g} to {high:g}, none below 0: they may lack the rescale to HU.",
                )
            )
        else:
            findings.append(
                Finding("hu-by-convention", "The file has no units; a CT is taken to hold HU.", Severity.NOTE)
            )
        return "HU"


def integers_or_floats(block: NDArray[Any], slope: float, intercept: float) -> NDArray[Any]:
    """Apply a rescale: integers stay integers when the rescale keeps them, all else is float32.

    Parameters
    ----------
    block : ndarray, (nk, nj, ni)
    slope, intercept : float
    """
    if slope == 1 and intercept == 0:
        if block.dtype.kind == "f":
            return block if block.dtype == np.float32 else block.astype(np.float32)
        return _narrow(block) if block.dtype.itemsize == 8 else block
    if block.dtype.kind in "iu" and slope == int(slope) and intercept == int(intercept):
        ends = [int(block.min()) * int(slope) + int(intercept), int(block.max()) * int(slope) + int(intercept)]
        for kind in (np.int16, np.int32):
            if np.iinfo(kind).min <= min(ends) and max(ends) <= np.iinfo(kind).max:
                exact = np.empty(block.shape, kind)
                for k in range(len(block)):
                    exact[k] = block[k].astype(np.int64) * int(slope) + int(intercept)
                return exact
    values = np.empty(block.shape, np.float32)
    for k in range(len(block)):
        values[k] = block[k].astype(np.float64) * slope + intercept
    return values


def _narrow(block: NDArray[Any]) -> NDArray[Any]:
    low, high = int(block.min()), int(block.max())
    fits = np.iinfo(np.int32).min <= low and high <= np.iinfo(np.int32).max
    return block.astype(np.int32 if fits else np.float32)


def _color_finding(fields: Mapping[str, Any]) -> Finding:
    if fields["rgb"] is None:
        return Finding("gray-as-rgb", "Gray stored as RGB: read as gray.", Severity.NOTE)
    count = int(np.count_nonzero(fields["colored"]))
    return Finding("colored", f"{count} pixels are colour already; they pass through unchanged.", Severity.NOTE)


def _windows(record: Mapping[str, Any]) -> tuple[Window, ...]:
    try:
        return tuple(Window(*w) for w in record.get("windows", ()))
    except (TypeError, ValueError):
        return ()


def _text(record: Mapping[str, Any], key: str) -> str | None:
    value = record.get(key)
    return value if isinstance(value, str) and value else None
