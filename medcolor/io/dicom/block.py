"""The block that decoded frames are written into: as narrow as the values allow, padding replaced at the end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medcolor.errors import ReadCode, ReadError
from medcolor.io.dicom.padding import HU_AIR, HU_TOP
from medcolor.io.dicom.rescale import Rescale

_LADDER = tuple(np.dtype(name) for name in ("uint8", "int16", "uint16", "int32", "uint32"))


class ValueBlock:
    """Values of (nk, nj, ni), filled slice by slice.

    Integers stay integers when every slope and intercept is whole; the dtype grows only when a value needs it, so a
    CT takes two bytes a voxel.

    Parameters
    ----------
    shape : (int, int, int)
        (nk, nj, ni).
    rescales : sequence of Rescale
        One for each slice.
    hounsfield : bool
        Padding becomes -1024 instead of the least valid value.
    """

    def __init__(self, shape: tuple[int, int, int], rescales: Sequence[Rescale], *, hounsfield: bool) -> None:
        self._shape, self._rescales, self._hounsfield = shape, rescales, hounsfield
        self._integral = all(r.integral for r in rescales)
        self._array: NDArray[Any] | None = None
        self._padding: NDArray[np.bool_] | None = None
        self._clamped = 0
        self.low, self.high = np.inf, -np.inf
        self.notes: list[tuple[str, str]] = []

    def put(
        self, k: int, stored: NDArray[Any], padding: NDArray[np.bool_] | None, path: Path | str, *, clamp: bool
    ) -> None:
        """Write slice ``k``: stored values (nj, ni), where they are padding, whether to clamp to the HU scale."""
        rescale = self._rescales[k]
        if rescale.slope == 0 and stored.any():
            raise ReadError(
                path, ReadCode.CORRUPT, "Rescale slope is 0 on a slice that is not blank.", "Leave this slice out."
            )
        if stored.dtype.kind == "f" and not np.isfinite(stored).all():
            padding = ~np.isfinite(stored) if padding is None else padding | ~np.isfinite(stored)
        valid = stored if padding is None else stored[~padding]
        integral = self._integral and stored.dtype.kind in "iu"
        if rescale.lut is not None:
            stored = rescale(stored, path)
            valid = stored if padding is None else stored[~padding]
            rescale = Rescale()
        low, high = _range(valid, rescale)
        if clamp and valid.size:
            self._clamped += int(np.count_nonzero(_outside(valid, rescale)))
            low, high = max(low, float(HU_AIR)), min(high, float(HU_TOP))
            low, high = min(low, high), max(low, high)
        self.low, self.high = min(self.low, low), max(self.high, high)
        array = self._room(stored.dtype if rescale.identity else None, integral)
        _rescale_into(array[k], stored, rescale)
        if clamp:
            np.clip(array[k], HU_AIR, HU_TOP, out=array[k])
        if padding is not None:
            if self._padding is None:
                self._padding = np.zeros(self._shape, np.bool_)
            self._padding[k] = padding

    def finish(self) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
        """Return (values, padding or None); padding holds -1024 or the least valid value."""
        if self._array is None:
            raise ValueError("No slice was written.")
        if not np.isfinite(self.low):
            self.low = self.high = float(HU_AIR if self._hounsfield else 0)
            self.notes.append(("constant-image", "Every pixel is padding or not a number."))
        elif self.low == self.high:
            self.notes.append(("constant-image", "Every pixel has the same value."))
        if self._clamped:
            self.notes.append(
                (
                    "lossy-padding",
                    f"Lossy coding smeared the padding: {self._clamped} voxels were clamped to {HU_AIR}..{HU_TOP} HU.",
                )
            )
        if self._padding is not None:
            fill = float(HU_AIR) if self._hounsfield else self.low
            self.low, self.high = min(self.low, fill), max(self.high, fill)
            array = self._room(self._array.dtype, self._array.dtype.kind in "iu")
            for values, padding in zip(array, self._padding, strict=True):
                values[padding] = fill
        return self._array, self._padding

    def _room(self, like: np.dtype[Any] | None, integral: bool) -> NDArray[Any]:
        """Return the array, made or widened so that low..high fits."""
        have = None if self._array is None else self._array.dtype
        if not integral or (have is not None and have.kind == "f"):
            # a few values beyond 32 bits need 64 to stay apart; DICOM doubles keep their precision
            want = np.dtype(np.float64 if like == np.float64 or (have == np.float64) else np.float32)
        else:
            want = _narrowest(self.low, self.high, have, like)
        if self._array is None:
            self._array = np.empty(self._shape, want)
        elif want != have:
            self._array = self._array.astype(want)
        return self._array


def _narrowest(low: float, high: float, have: np.dtype[Any] | None, like: np.dtype[Any] | None) -> np.dtype[Any]:
    """Return ``have`` if low..high fits it, else the stored dtype of unscaled values, else the next that fits."""
    for candidate in (have, like if have is None else None):
        if candidate is not None and _fits(candidate, low, high):
            return candidate
    least = 1 if have is None else have.itemsize
    ladder = [d for d in _LADDER if d.itemsize >= max(least, 2)]
    return next((d for d in ladder if _fits(d, low, high)), np.dtype(np.float64))


def _fits(dtype: np.dtype[Any], low: float, high: float) -> bool:
    if dtype.kind == "f":
        return True
    if not np.isfinite(low):
        return True
    info = np.iinfo(dtype)
    return bool(info.min <= low and high <= info.max)


def _range(valid: NDArray[Any], rescale: Rescale) -> tuple[float, float]:
    if valid.size == 0:
        return np.inf, -np.inf
    ends = sorted(float(v) * rescale.slope + rescale.intercept for v in (valid.min(), valid.max()))
    return ends[0], ends[1]


def _outside(valid: NDArray[Any], rescale: Rescale) -> NDArray[np.bool_]:
    low, high = ((hu - rescale.intercept) / rescale.slope for hu in (HU_AIR, HU_TOP))
    return (valid < low) | (valid > high)


def _rescale_into(out: NDArray[Any], stored: NDArray[Any], rescale: Rescale) -> None:
    if rescale.identity:
        out[...] = stored.astype(out.dtype, copy=False)
    elif out.dtype.kind == "f":
        out[...] = stored.astype(np.float64) * rescale.slope + rescale.intercept
    else:
        # modular arithmetic: the result fits although a step, or padding that is replaced later, may not
        wide = np.dtype(out.dtype)
        slope, intercept = (np.array([int(x)]).astype(wide) for x in (rescale.slope, rescale.intercept))
        if rescale.slope == 1:
            np.add(stored, intercept, out=out, casting="unsafe", dtype=wide)
        else:
            np.multiply(stored, slope, out=out, casting="unsafe", dtype=wide)
            np.add(out, intercept, out=out)
