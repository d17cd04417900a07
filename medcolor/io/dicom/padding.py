"""Pixels that are not image: Pixel Padding Value and Range Limit (PS3.3 C.7.5.1.1.2), also after lossy coding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medcolor.io.dicom import header
from medcolor.io.dicom.native import mask_unused_bits
from medcolor.io.dicom.pixels import Layout
from medcolor.io.dicom.rescale import Rescale

HU_AIR, HU_TOP = -1024, 3071  # the 12-bit Hounsfield scale
_ALWAYS_LOSSY = frozenset({"1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"})  # JPEG baseline, extended
# JPEG-LS near-lossless, JPEG 2000, JPEG 2000 part 2, HTJ2K: lossy unless the header says they are not
_MAYBE_LOSSY = frozenset(f"1.2.840.10008.1.2.4.{n}" for n in (81, 91, 93, 203))


def is_lossy(ds: Any, layout: Layout) -> bool:
    """Whether pixel values went through lossy coding, now or ever."""
    said = header.text(ds, "LossyImageCompression")
    return said == "01" or layout.syntax in _ALWAYS_LOSSY or (said != "00" and layout.syntax in _MAYBE_LOSSY)


@dataclass(frozen=True, slots=True)
class Padding:
    """Which stored values of one instance are padding.

    Parameters
    ----------
    low, high : float
        Inclusive range of stored values; ``low`` is -inf for CT padding below air, where anything lower is
        outside too.
    unmasked : bool
        The value uses bits above BitsStored, so it must be looked for before these are masked.
    clamp : bool
        CT after lossy coding: what is left is clamped to the Hounsfield scale.
    """

    low: float
    high: float
    unmasked: bool = False
    clamp: bool = False

    def mask(self, stored: NDArray[Any]) -> NDArray[np.bool_]:
        """Return True where a stored value is padding."""
        if self.low == self.high:
            return stored == self.low
        if self.low == -np.inf:
            return stored <= self.high
        return (stored >= self.low) & (stored <= self.high)


def padding_of(ds: Any, layout: Layout, rescale: Rescale, *, hounsfield: bool, least: float | None) -> Padding | None:
    """Read the padding of one instance.

    Parameters
    ----------
    ds, layout, rescale
        The instance and how its stored values become real ones.
    hounsfield : bool
        Values will be HU.
    least : float or None
        Least stored value of the frame, to recognize lossy coding that nobody declared.

    Notes
    -----
    CT fills the corners outside the reconstruction circle with a value below air (-2000 stored, often). Lossy coding
    smears it: 693_J2KI has -2971..-1030 there. So in CT everything at or below a padding value that lies below
    -1024 HU is outside; after lossy coding, everything nearer to it than to -1024 HU.
    """
    if layout.keyword != "PixelData":
        return _float_padding(ds, "Double" if layout.allocated == 64 else "")
    value = header.integer(ds, "PixelPaddingValue")
    if value is None:
        return None
    limit = header.integer(ds, "PixelPaddingRangeLimit")
    ends = sorted(_as_sample(v, layout) for v in ((value,) if limit is None else (value, limit)))
    low, high = ends[0], ends[-1]
    bottom, top = layout.stored_range
    unmasked = not (bottom <= low and high <= top)
    if not hounsfield or unmasked or rescale.lut is not None or rescale.slope <= 0:
        return Padding(low, high, unmasked)
    air = (HU_AIR - rescale.intercept) / rescale.slope
    if high >= air:
        return Padding(low, high)
    lossy = is_lossy(ds, layout) or (least is not None and least < low)
    return Padding(-np.inf, (high + air) / 2 if lossy else high, clamp=lossy)


def _float_padding(ds: Any, size: str) -> Padding | None:
    """Read the padding of floating point pixels (PS3.3 C.7.6.24, C.7.6.25)."""
    value, limit = (header.number(ds, f"{size}FloatPixelPadding{what}") for what in ("Value", "RangeLimit"))
    if value is None or np.isnan(value):
        return None  # what is no number is padding anyway
    ends = (value, value if limit is None or np.isnan(limit) else limit)
    return Padding(min(ends), max(ends))


def _as_sample(value: int, layout: Layout) -> int:
    """Read a value written with the wrong one of US and SS as the sample it means."""
    size = 1 << layout.allocated
    value %= size
    return value - size if layout.signed and value >= size // 2 else value


def split(raw: NDArray[Any], layout: Layout, padding: Padding | None) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
    """Return (stored values with unused bits masked, padding mask or None)."""
    mask = padding.mask(raw) if padding is not None and padding.unmasked else None
    stored = raw if layout.encapsulated else mask_unused_bits(raw, layout)
    if padding is not None and mask is None:
        mask = padding.mask(stored)
    return stored, mask if mask is not None and mask.any() else None
