"""Colour pixels of any kind to 8-bit RGB: YBR, deep RGB, palettes."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medcolor.errors import ReadCode, ReadError
from medcolor.io.dicom import header
from medcolor.io.dicom.pixels import Layout

_MOST_ENTRIES = 1 << 16
_DISCRETE, _LINEAR = 0, 1  # segment types; 2 is indirect: earlier segments again


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

        _check_segments(ds, path, layout)
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


def _check_segments(ds: Any, path: Path | str, layout: Layout) -> None:
    """Refuse segmented tables (PS3.3 C.7.9.2) whose few bytes expand beyond what a table can hold."""
    for color in ("Red", "Green", "Blue"):
        data = header.value(ds, f"Segmented{color}PaletteColorLookupTableData")
        bits = header.numbers(ds, f"{color}PaletteColorLookupTableDescriptor")[2:]
        if not isinstance(data, bytes) or not bits:
            continue
        dtype = "u1" if bits[0] == 8 else ">u2" if layout.big_endian else "<u2"
        entries = np.frombuffer(data[: len(data) & ~1], dtype).tolist()
        # an offset is two 16-bit entries, or four 8-bit ones: least significant first, or swapped in pairs
        places = (0, 16) if bits[0] != 8 else (16, 24, 0, 8) if layout.big_endian else (0, 8, 16, 24)
        try:
            _expanded_length(entries, 0, len(entries), _MOST_ENTRIES, places)
        except (IndexError, OverflowError) as error:
            raise ReadError(path, ReadCode.CORRUPT, f"The segmented {color.lower()} palette is damaged.") from error


def _expanded_length(entries: list[int], at: int, segments: int, room: int, places: tuple[int, ...]) -> int:
    """Count what ``segments`` segments from ``at`` expand to; OverflowError beyond ``room``. No places: no offsets."""
    total = 0
    while segments > 0 and at + 1 < len(entries):
        kind, length = entries[at], entries[at + 1]
        at, segments = at + 2, segments - 1
        if kind == _DISCRETE:
            at += length
        elif kind == _LINEAR:
            at += 1
        elif not places:
            raise OverflowError("an indirect segment within an indirect one")
        else:
            offset = sum(entries[at + n] << place for n, place in enumerate(places))
            at += len(places)
            length = _expanded_length(entries, offset, length, room - total, ())
        total += length
        if total > room:
            raise OverflowError("more entries than a table holds")
    return total
