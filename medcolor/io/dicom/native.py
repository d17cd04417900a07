"""Frames of uncompressed pixel data, straight from the bytes (PS3.5 section 8)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from medcolor.io.dicom.color_space import to_rgb8
from medcolor.io.dicom.pixels import Layout


def frame(raw: bytes, layout: Layout, index: int) -> NDArray[Any]:
    """Return frame ``index`` of uncompressed data.

    Returns
    -------
    ndarray
        (rows, columns) in native byte order with the high bits as stored, or (rows, columns, 3) uint8 RGB.
    """
    if layout.allocated == 1:
        return _bits(raw, layout, index)
    if layout.photometric == "YBR_FULL_422":
        return _subsampled(raw, layout, index)
    samples = _samples(raw, layout, index)
    if layout.samples == 1:
        return samples.reshape(layout.rows, layout.columns)
    if layout.planar:
        samples = samples.reshape(layout.samples, layout.rows, layout.columns).transpose(1, 2, 0)
    else:
        samples = samples.reshape(layout.rows, layout.columns, layout.samples)
    return to_rgb8(mask_unused_bits(samples, layout), layout.photometric, layout.stored)


def mask_unused_bits(samples: NDArray[Any], layout: Layout) -> NDArray[Any]:
    """Clear the bits above ``stored`` and extend the sign: they need not be zero (PS3.5 8.1.1)."""
    shift = layout.dtype.itemsize * 8 - layout.stored
    if layout.allocated == 1 or shift == 0 or samples.dtype.kind == "f":
        return samples
    return (samples << shift) >> shift


def _samples(raw: bytes, layout: Layout, index: int) -> NDArray[Any]:
    count, size = layout.frame_samples, layout.dtype.itemsize
    start = index * count * size
    if layout.big_endian and layout.words and layout.allocated == 8:
        # PS3.5 annex A.3: 8-bit samples written as 16-bit words of a big endian file come swapped in pairs
        first, last = start - start % 2, start + count + (start + count) % 2
        last = min(last, len(raw) - len(raw) % 2)
        swapped = np.frombuffer(raw, ">u2", (last - first) // 2, first).astype("<u2").view(layout.dtype)
        return swapped[start - first : start - first + count]
    dtype = layout.dtype.newbyteorder(">" if layout.big_endian else "<")
    samples = np.frombuffer(raw, dtype, count, start)
    return samples.astype(layout.dtype, copy=False)


def _bits(raw: bytes, layout: Layout, index: int) -> NDArray[np.uint8]:
    count = layout.frame_samples
    start = index * count  # frames are packed without a gap: they may begin inside a byte
    first, last = start // 8, -(-(start + count) // 8)
    data = np.frombuffer(raw, np.uint8, last - first, first)
    if layout.big_endian and layout.words:
        whole = np.frombuffer(raw, np.uint8, len(raw) - len(raw) % 2)
        data = whole.reshape(-1, 2)[:, ::-1].reshape(-1)[first:last]
    bits = np.unpackbits(data, bitorder="little")[start - 8 * first :][:count]
    return bits.reshape(layout.rows, layout.columns)


def _subsampled(raw: bytes, layout: Layout, index: int) -> NDArray[np.uint8]:
    """Y1 Y2 Cb Cr for each pair of pixels (PS3.3 C.7.6.3.1.2); rows of odd width end with a whole pair."""
    rows, columns = layout.rows, layout.columns
    even = columns + columns % 2
    if len(raw) >= rows * even * 2 * layout.frames or columns % 2 == 0:
        data = np.frombuffer(raw, np.uint8, rows * even * 2, index * rows * even * 2)
    else:  # pairs run on over the ends of rows
        even, count = columns, -(-rows * columns // 2) * 4
        data = np.frombuffer(raw[index * rows * columns * 2 :][:count].ljust(count, b"\x80"), np.uint8)
    pairs = data.reshape(-1, 4)
    ybr = np.empty((pairs.shape[0], 2, 3), np.uint8)
    ybr[:, :, 0] = pairs[:, :2]
    ybr[:, :, 1:] = pairs[:, None, 2:]
    full = ybr.reshape(-1, 3)[: rows * even].reshape(rows, even, 3)[:, :columns]
    return to_rgb8(full, "YBR_FULL", 8)
