"""Colour pixels of any kind to 8-bit RGB: YBR, deep RGB, palettes."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medcolor.errors import ReadCode, ReadError
from medcolor.io.dicom.pixels import Layout


def to_rgb8(samples: NDArray[Any], photometric: str, stored: int) -> NDArray[np.uint8]:
    """Convert (rows, columns, 3) samples to contiguous uint8 RGB.

    Parameters
    ----------
    samples : ndarray of unsigned integers, (rows, columns, 3)
    photometric : str
        RGB, or YBR_FULL for full-range YCbCr (PS3.3 C.7.6.3.1.2). What a JPEG 2000 decoder returns for YBR_RCT and
        YBR_ICT is RGB already.
    stored : int
        Bits that carry the value. 0 .. 2**stored - 1 maps linearly to 0..255, rounded: 16-bit white is 8-bit white.
    """
    if stored != 8:
        samples = scale_to_8(samples, (1 << stored) - 1)
    samples = samples.astype(np.uint8, copy=False)
    if not photometric.startswith("YBR_FULL"):
        return np.ascontiguousarray(samples)
    from pydicom.pixels import convert_color_space

    return np.ascontiguousarray(convert_color_space(np.ascontiguousarray(samples), "YBR_FULL", "RGB"))


def scale_to_8(samples: NDArray[Any], top: int) -> NDArray[np.uint8]:
    """Map 0..top linearly to 0..255, rounded half up; integer arithmetic, exact."""
    wide = np.clip(samples, 0, top).astype(np.uint64)
    return ((wide * 510 + top) // (2 * top)).astype(np.uint8)


class PaletteTable:
    """The colours of PALETTE COLOR stored values (PS3.3 C.7.6.3.1.5, C.7.9).

    One table over all values that the samples can take, so a frame costs one gather. pydicom expands
    segmented tables and applies the descriptors.
    """

    def __init__(self, ds: Any, path: Path | str, layout: Layout) -> None:
        low, high = layout.stored_range
        every = np.arange(low, high + 1).astype(layout.dtype)
        from pydicom.pixels import apply_color_lut

        try:
            table = np.asarray(apply_color_lut(every, ds))
        except Exception as error:
            raise ReadError(
                path,
                ReadCode.CORRUPT,
                "The palette (Red, Green, Blue Palette Color Lookup Table) is missing, or does not fit its descriptor.",
            ) from error
        self._low = low
        self.table = _eight_bits(table[..., :3], ds)

    def rgb(self, stored: NDArray[Any]) -> NDArray[np.uint8]:
        """Look up (rows, columns) stored values -> (rows, columns, 3) uint8."""
        return self.table[stored.astype(np.int64) - self._low]


def _eight_bits(table: NDArray[Any], ds: Any) -> NDArray[np.uint8]:
    bits = 8
    with contextlib.suppress(Exception):
        bits = int(ds.RedPaletteColorLookupTableDescriptor[2])
    if table.dtype.itemsize == 1 or bits <= 8 or table.max(initial=0) < 256:
        # entries that never leave 8 bits are 8-bit ones, whatever the descriptor says; a known fault of writers
        return np.ascontiguousarray(table.astype(np.uint8))
    if not (table & 0xFF).any():  # 8-bit colours shifted up: shifting back keeps white white
        return np.ascontiguousarray((table >> 8).astype(np.uint8))
    return scale_to_8(table, 65535)
