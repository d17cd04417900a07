"""The picture itself: RGBA and gray of every slice, repainted slice by slice while others read it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medcolor.color import law_table
from medcolor.colorizers.evidence import Index
from medcolor.scan import Scan, to_slices
from medcolor.windowing import look_up

_ALPHA = np.uint32(0xFF000000)
_GRAYS = np.arange(256, dtype="<u4") * np.uint32(0x010101)


def packed(rgb: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """Return triples (..., 3) as R + 256 G + 65536 B."""
    parts = rgb.astype("<u4")
    return parts[..., 0] | parts[..., 1] << np.uint32(8) | parts[..., 2] << np.uint32(16)


def gray_pixels(gray: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """Return gray without colour, packed."""
    return look_up(_GRAYS, gray, np.empty(gray.shape, "<u4"))


def index_pixels(gray: NDArray[np.uint8], index: Index) -> NDArray[np.uint32]:
    """Return the colours of pixels whose place in the table of (a*, b*) is known, packed."""
    place = index.astype(np.intp)
    place *= 256
    place += gray
    return law_table().reshape(-1).take(place, mode="clip")


def table_pixels(gray: NDArray[np.uint8], table: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """Return the colours of a table (256, 3), packed."""
    return look_up(packed(table), gray, np.empty(gray.shape, "<u4"))


def nothing_painted(scan: Scan) -> NDArray[np.uint8]:
    """Return a transparent picture of a scan, (nk, nj, ni, 4), read-only, that takes no memory."""
    ni, nj, nk = scan.shape
    return np.broadcast_to(np.zeros(4, np.uint8), (nk, nj, ni, 4))


class PaintedVolume:
    """RGBA, display gray and confidence of a scan.

    A slice is painted beside the volume and then copied pixel by pixel, four bytes at once: whoever reads meanwhile
    finds every pixel's gray in its colour. Pages of memory are taken when a slice is first painted.

    Parameters
    ----------
    scan : Scan

    Attributes
    ----------
    rgba : ndarray of uint8, (nk, nj, ni, 4)
        Alpha is 0 where no image is, and where a colorizer says "outside"; else 255. A slice that was never painted
        is 0.
    gray : ndarray of uint8, (nk, nj, ni)
        The display gray that each slice of ``rgba`` was painted from.
    confidence : ndarray of uint8, (nk, nj, ni)
        0 where nothing was coloured yet.
    """

    def __init__(self, scan: Scan) -> None:
        ni, nj, nk = scan.shape
        self._scan = scan
        self._pixels = np.zeros((nk, nj, ni), "<u4")
        self.rgba = self._pixels.view(np.uint8).reshape(nk, nj, ni, 4)
        self.gray = np.zeros((nk, nj, ni), np.uint8)
        self.confidence = np.zeros((nk, nj, ni), np.uint8)
        self._colored = None if scan.colored is None else to_slices(scan.colored)
        self._source = None if scan.rgb is None else to_slices(scan.rgb)
        self._begun = np.zeros(nk, np.bool_)

    def put(
        self, k: int, gray: NDArray[np.uint8], pixels: NDArray[np.uint32], outside: NDArray[np.bool_] | None = None
    ) -> None:
        """Show a slice; transparent ``outside`` from now on.

        Parameters
        ----------
        k : int
        gray : ndarray of uint8, (nj, ni)
        pixels : ndarray of uint32, (nj, ni)
            :func:`packed` colours of that gray; changed.
        outside : ndarray of bool, (nj, ni), optional
        """
        if self._begun[k]:
            pixels |= self._pixels[k] & _ALPHA
        else:
            pixels |= _ALPHA
            if self._scan.padding is not None:
                pixels[self._scan.padded(slice(k, k + 1))[0]] &= ~_ALPHA
        if outside is not None:
            pixels[outside] &= ~_ALPHA
        if self._colored is not None and self._source is not None and self._colored[k].any():
            mask = self._colored[k]
            pixels[mask] = packed(self._source[k][mask]) | _ALPHA
        np.copyto(self._pixels[k], pixels)
        np.copyto(self.gray[k], gray)
        self._begun[k] = True


__all__ = ["PaintedVolume", "gray_pixels", "index_pixels", "nothing_painted", "packed", "table_pixels"]
