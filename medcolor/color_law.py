"""What the colour law says, apart from how colours are made: which gray an sRGB triple shows.

With c = channel / 255, linear = c / 12.92 for c <= 0.04045, else ((c + 0.055) / 1.055)^2.4;
Y = 0.2126 R + 0.7152 G + 0.0722 B; encoded = 12.92 Y for Y <= 0.0031308, else 1.055 Y^(1/2.4) - 0.055;
gray = 255 x encoded, rounded half to even (IEC 61966-2-1).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from medcolor.cielab import XYZ_FROM_RGB, srgb_to_linear

_CELLS = 1 << 16  # luminance cells: so narrow (the darkest grays hold 20) that one never holds two borders
_CHUNK = 1 << 14  # pixels at a time: a constant 0.7 MB beside the result, and it stays in the core's own cache


@lru_cache(maxsize=1)
def luminance_of_channels() -> NDArray[np.float64]:
    """Return the luminance each value 0..255 of R, G and B adds, (3, 256), Y = 1 at white."""
    linear = srgb_to_linear(np.arange(256) / 255.0)
    return np.stack([weight * linear for weight in XYZ_FROM_RGB[1]])


@lru_cache(maxsize=1)
def gray_thresholds() -> NDArray[np.float64]:
    """Return the luminance from which on each gray 1..255 begins (255 values).

    Half to even cannot matter, nor can the last bits of a machine's powers: of the 2^24 triples none lies nearer
    than 1e-11 to a border (a test tries them all).
    """
    return np.asarray(srgb_to_linear((np.arange(255) + 0.5) / 255.0), dtype=np.float64)


@lru_cache(maxsize=1)
def _cells() -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """For each luminance cell: the gray at its start, and by gray: where the next one begins."""
    starts = np.arange(_CELLS + 1) / _CELLS
    gray = np.searchsorted(gray_thresholds(), starts, side="right").astype(np.uint8)
    return gray, np.append(gray_thresholds(), np.inf)


def restore_gray(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the display gray that colours were made from.

    Parameters
    ----------
    rgb : ndarray of uint8, (..., 3)
        sRGB; any triples. Those a lightness-preserving colorizer made give its input back, bit for bit.

    Returns
    -------
    ndarray of uint8, (...)
        Relative luminance, sRGB-encoded, times 255, rounded half to even: exact for all 2^24 triples.

    Raises
    ------
    TypeError, ValueError
        Not uint8, or no last axis of 3.
    """
    if not isinstance(rgb, np.ndarray) or rgb.dtype != np.uint8:
        raise TypeError(f"rgb must be an array of uint8, got {getattr(rgb, 'dtype', type(rgb).__name__)}.")
    if rgb.ndim == 0 or rgb.shape[-1] != 3:
        raise ValueError(f"rgb must have shape (..., 3), got {rgb.shape}.")
    order = sorted(range(rgb.ndim - 1), key=lambda axis: -abs(rgb.strides[axis]))
    straight = rgb.transpose(*order, rgb.ndim - 1)
    if straight.flags.c_contiguous and not rgb.flags.c_contiguous:
        return restore_gray(straight).transpose(np.argsort(order))  # (i, j, k) views: as they lie in memory
    gray = np.empty(rgb.shape[:-1], dtype=np.uint8)
    if gray.ndim > 1 and not rgb.flags.c_contiguous:  # without copying the whole: one index of the first axis at a time
        for k in range(len(rgb)):
            gray[k] = restore_gray(rgb[k])
        return gray
    pixels, flat = rgb.reshape(-1, 3), gray.reshape(-1)
    weight, (start, following) = luminance_of_channels(), _cells()
    for first in range(0, flat.size, _CHUNK):
        part = pixels[first : first + _CHUNK]
        Y = weight[0].take(part[:, 0])
        Y += weight[1].take(part[:, 1])
        Y += weight[2].take(part[:, 2])
        level = start.take((Y * _CELLS).astype(np.intp))
        level += following.take(level) <= Y
        flat[first : first + _CHUNK] = level
    return gray
