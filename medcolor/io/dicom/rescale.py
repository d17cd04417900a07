"""From stored to real values: rescale slope and intercept, Modality LUT, real world value mapping (PS3.3 C.11.1).

Each frame has its own transform; what they share is decided here once for the volume.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medcolor.errors import ReadCode, ReadError
from medcolor.io.dicom import header


@dataclass(frozen=True, slots=True)
class Rescale:
    """The modality transform of one frame.

    Parameters
    ----------
    slope, intercept : float
        value = slope * stored + intercept.
    kind : str
        Rescale Type or Modality LUT Type in capitals, "" when the file does not say.
    origin : str
        "none", "rescale", "lut" or "mapping" (real world value mapping).
    lut : pydicom.Dataset or None
        The dataset that holds the Modality LUT Sequence.
    units : str
        Unit code of a real world value mapping.
    repaired : str
        "slope" or "intercept" when one of the pair is missing, "invalid" when it is no use.
    """

    slope: float = 1.0
    intercept: float = 0.0
    kind: str = ""
    origin: str = "none"
    lut: Any = field(default=None, compare=False)
    units: str = ""
    repaired: str = ""

    @property
    def integral(self) -> bool:
        """Whether integers stay integers."""
        return self.origin == "lut" or (float(self.slope).is_integer() and float(self.intercept).is_integer())

    @property
    def identity(self) -> bool:
        """Whether values are the stored ones."""
        return self.lut is None and self.slope == 1 and self.intercept == 0

    def scaled(self, factor: float) -> Rescale:
        """Return the transform followed by a multiplication."""
        return Rescale(self.slope * factor, self.intercept * factor, self.kind, self.origin, self.lut, self.units)

    def __call__(self, stored: NDArray[Any], path: Path | str) -> NDArray[Any]:
        """Apply to an array; float64, or what the table holds. For the odd case: the block has a faster way."""
        if self.lut is None:
            return stored.astype(np.float64) * self.slope + self.intercept
        from pydicom.pixels import apply_modality_lut

        try:
            return np.asarray(apply_modality_lut(stored, self.lut))
        except Exception as error:
            raise ReadError(
                path, ReadCode.CORRUPT, "The Modality LUT does not fit its descriptor.", "Fetch the file again."
            ) from error


def rescale_of(ds: Any, frame: int) -> Rescale:
    """Read the transform of one frame: its functional group, else the dataset's own, else a real world mapping."""
    group = header.functional_group(ds, frame, "PixelValueTransformationSequence")
    for place in (group, ds):
        if place is None:
            continue
        luts = header.items(place, "ModalityLUTSequence")
        if luts and "LUTData" in luts[0]:
            return Rescale(kind=header.text(luts[0], "ModalityLUTType").upper(), origin="lut", lut=place)
        slope, intercept = header.number(place, "RescaleSlope"), header.number(place, "RescaleIntercept")
        if slope is not None or intercept is not None:
            return _linear(slope, intercept, header.text(place, "RescaleType").upper())
    return _mapping(ds, frame) or Rescale()


def _linear(slope: float | None, intercept: float | None, kind: str) -> Rescale:
    if slope == 0 or (slope is not None and math.isnan(slope)) or (intercept is not None and math.isnan(intercept)):
        flat = slope == 0 and not math.isnan(intercept or 0.0)
        return Rescale(0.0 if flat else math.nan, intercept or 0.0, kind, "rescale", repaired="invalid")
    repaired = "slope" if slope is None else "intercept" if intercept is None else ""
    return Rescale(1.0 if slope is None else slope, intercept or 0.0, kind, "rescale", repaired=repaired)


def _mapping(ds: Any, frame: int) -> Rescale | None:
    """Return the only linear real world value mapping (PS3.3 C.7.6.16.2.11); several would be a choice."""
    group = header.functional_group(ds, frame, "RealWorldValueMappingSequence")
    found = [group] if group is not None else header.items(ds, "RealWorldValueMappingSequence")
    if len(found) != 1:
        return None
    slope, intercept = (
        header.number(found[0], "RealWorldValueSlope"),
        header.number(found[0], "RealWorldValueIntercept"),
    )
    if not slope or intercept is None or math.isnan(slope) or math.isnan(intercept):
        return None
    codes = header.items(found[0], "MeasurementUnitsCodeSequence")
    return Rescale(slope, intercept, "", "mapping", units=header.text(codes[0], "CodeValue") if codes else "")


def settle(rescales: Sequence[Rescale], path: Path | str) -> tuple[list[Rescale], list[tuple[str, str]]]:
    """Make the transforms of a volume agree, or refuse.

    A slope of 0 or NaN on every frame leaves stored values, which then have no unit. On some frames only, the
    volume would mix two scales: refused. A slope of 0 on some frames passes: PET writes it on slices that are blank,
    and the block refuses any other such slice.

    Returns
    -------
    list of Rescale
    list of (code, message)
        Findings.

    Raises
    ------
    ReadError
        CORRUPT when only part of the slices can be rescaled.
    """
    broken = [r.repaired == "invalid" for r in rescales]
    notes: list[tuple[str, str]] = []
    if all(broken):
        notes.append(("rescale-invalid", "Rescale slope is 0 or not a number: stored values are kept, without a unit."))
        rescales = [Rescale() for _ in rescales]
    elif any(math.isnan(r.slope) for r in rescales):
        raise ReadError(
            path,
            ReadCode.CORRUPT,
            f"Rescale slope or intercept is no number in {sum(broken)} of {len(broken)} slices.",
            "Leave these slices out or have the series sent again.",
        )
    if len({r.origin for r in rescales}) > 1:
        raise ReadError(
            path,
            ReadCode.CORRUPT,
            "Some slices have a modality transform (rescale or LUT) and others have none of that kind.",
            "Leave these slices out or have the series sent again.",
        )
    for part, assumed in (("slope", "1"), ("intercept", "0")):
        count = sum(r.repaired == part for r in rescales)
        if count:
            notes.append(
                (f"rescale-{part}-missing", f"Rescale {part} is missing in {count} slices: {assumed} is used.")
            )
    return list(rescales), notes
