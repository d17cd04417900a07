"""From scan values to a network's input: one number for each pixel, in [-1, 1].

Where values have a unit (HU, SUV) the mapping is fixed, so that the same tissue looks the same in every scan; where
they have none it is fitted once to the whole volume, never slice by slice, or the colours of a slice would depend on
what else it shows. It belongs to the bundle: the window somebody looks through does not change what the network sees.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from medcolor.mapped_files import let_go
from medcolor.scan import GRAY_LEVEL, Scan, to_slices

Kind = Literal["hu", "suv", "linear", "percentile"]

_SAMPLE = 2_000_000  # values looked at: enough for 0.1 %, cheap on any volume
_PIECES = MappingProxyType(
    {  # value -> input. Half of the range belongs to where most tissue lies; the rest is kept, not clipped.
        "hu": ((-1024.0, -1.0), (-160.0, -0.5), (240.0, 0.5), (1200.0, 0.85), (3071.0, 1.0)),
        "suv": ((0.0, -1.0), (2.5, -0.25), (6.0, 0.4), (15.0, 0.8), (40.0, 1.0)),
    }
)


@dataclass(frozen=True, slots=True)
class Normalization:
    """How values become input.

    Parameters
    ----------
    kind : {"hu", "suv", "linear", "percentile"}
        "hu" and "suv": linear pieces over the unit's range. "linear": ``low`` to ``high``. "percentile": to be fitted
        to a volume first, ``low`` and ``high`` in percent of its foreground (values above its smallest).
    low, high : float
        Become -1 and 1; beyond is clipped. Without meaning for "hu" and "suv", where they are the percentiles used
        when the unit is lost.
    inverted : bool
        Low values are shown bright (MONOCHROME1): the sign is turned, so that the network sees the usual sense.
    side : int or None
        Longest side, in pixels, of the images the network was trained on; much larger ones are shown to it reduced.
        None: images of any size as they are.

    Raises
    ------
    ValueError
        An unknown kind, or bounds out of order.
    """

    kind: Kind
    low: float = 0.5
    high: float = 99.5
    inverted: bool = False
    side: int | None = None

    def __post_init__(self) -> None:
        if self.kind not in ("hu", "suv", "linear", "percentile"):
            raise ValueError(f'Normalization kind must be "hu", "suv", "linear" or "percentile", got "{self.kind}".')
        if not self.low < self.high or (self.kind != "linear" and not 0 <= self.low < self.high <= 100):
            raise ValueError(
                f"Normalization needs low < high (percent, from 0 to 100, unless the kind is linear), "
                f"got {self.low:g} and {self.high:g}."
            )

    @classmethod
    def default(cls, family: str) -> Normalization:
        """Return the usual one of a modality family ("CT", "MR", "PT", "NM", "US", "XR", "MG")."""
        match family:
            case "CT":
                return cls("hu")
            case "PT":
                return cls("suv", 0.0, 99.5)
            case "NM":
                return cls("percentile", 0.0, 99.5)
            case _:
                return cls("percentile")

    def fit(self, scan: Scan) -> Normalization:
        """Return what to call on this scan's values: statistics are of the whole volume, padding left out.

        A scan whose unit is not the one of ``kind`` (a CT saved as PNG) is mapped by its gray: 8-bit gray as it is,
        other values by percentiles.
        """
        known = self.of_unit(scan.units, scan.inverted, eight_bit=scan.voxels.dtype == np.uint8)
        return known or self._between(spread_sample(scan), scan.inverted)

    def fit_values(self, values: NDArray[Any], *, units: str | None = None, inverted: bool = False) -> Normalization:
        """Return what to call on values of a volume, :meth:`fit` without a scan.

        Parameters
        ----------
        values : ndarray
            Of the whole volume, or a sample that stands for it.
        units : str, optional
            As in a scan; left out, the values are in the unit of ``kind``. Gray levels within 0..255 count as 8-bit.
        inverted : bool
        """
        inverted = inverted or self.inverted
        if units is None and self.kind != "percentile":
            return replace(self, inverted=inverted)
        flat = np.asarray(values).reshape(-1)
        flat = flat[:: max(1, flat.size // _SAMPLE)]
        flat = flat[np.isfinite(flat)]
        eight_bit = bool(flat.size) and flat.min() >= 0 and flat.max() <= 255
        return self.of_unit(units or "", inverted, eight_bit=eight_bit) or self._between(flat, inverted)

    def of_unit(self, units: str, inverted: bool, *, eight_bit: bool) -> Normalization | None:
        """Return the fixed mapping of a unit; None where it has to be fitted."""
        has_unit = {"hu": units == "HU", "suv": units.startswith("SUV"), "linear": True}
        if has_unit.get(self.kind, False):
            return replace(self, inverted=inverted)
        if self.kind == "hu" and units == GRAY_LEVEL and eight_bit:
            return Normalization("linear", 0.0, 255.0, inverted, self.side)
        return None

    def __call__(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """Map values of any shape, usually (n, nj, ni), to float32 in [-1, 1]; what is not finite becomes -1.

        Raises
        ------
        ValueError
            Percentiles that were not fitted.
        """
        if self.kind == "percentile":
            raise ValueError("Percentiles belong to a volume: call fit(scan) or fit_values(values) first.")
        if values.dtype.kind in "iu" and values.dtype.itemsize <= 2:
            table = _table(self, values.dtype.str)
            return table[values.view(f"u{values.dtype.itemsize}")]
        return self._mapped(values)

    def _mapped(self, values: NDArray[Any]) -> NDArray[np.float32]:
        knots = _PIECES.get(self.kind, ((self.low, -1.0), (self.high, 1.0)))
        x, y = np.array(knots).T
        mapped = np.interp(values, x, -y if self.inverted else y).astype(np.float32)
        if values.dtype.kind == "f":
            mapped[~np.isfinite(values)] = -1
        return mapped

    def _between(self, sample: NDArray[Any], inverted: bool) -> Normalization:
        foreground = sample[sample > sample.min()] if sample.size else sample
        if foreground.size == 0:  # one value everywhere: the middle
            level = float(sample[0]) if sample.size else 0.0
            return Normalization("linear", level - 1 - abs(level), level + 1 + abs(level), inverted, self.side)
        low, high = (float(v) for v in np.percentile(foreground.astype(np.float64), (self.low, self.high)))
        least = float(np.finfo(np.float32).eps) * max(abs(low), abs(high), 1e-6)
        return Normalization("linear", low, max(high, low + least), inverted, self.side)


def spread_sample(scan: Scan, *, at_most: int = _SAMPLE) -> NDArray[Any]:
    """Return values spread evenly over the image parts of a volume, about ``at_most``, always the same ones."""
    slices = to_slices(scan.voxels)
    stride = max(1, -(-slices.size // at_most))
    stride += stride > 1 and stride % 2 == 0  # even ones would meet the same columns in every row
    parts = []
    for k in range(len(slices)):
        span = slice(k % stride, None, stride)  # another start in each slice: no column is favoured
        part = slices[k].reshape(-1)[span]
        keep = np.isfinite(part)
        if scan.padding is not None:
            keep &= ~scan.padded(slice(k, k + 1)).reshape(-1)[span]
        parts.append(part[keep])
        let_go(scan.voxels)
    return np.concatenate(parts)


@lru_cache(maxsize=8)
def _table(normalization: Normalization, dtype: str) -> NDArray[np.float32]:
    """Input of every value of a small integer type: a gather is cheaper than the pieces."""
    kind = np.dtype(dtype)
    codes = np.arange(1 << (8 * kind.itemsize)).astype(f"u{kind.itemsize}").view(kind.newbyteorder("="))
    return normalization._mapped(codes)


__all__ = ["Kind", "Normalization", "spread_sample"]
