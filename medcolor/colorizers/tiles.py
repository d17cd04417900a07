"""How a large slice is cut so that memory stays constant and no seam shows.

A tile is computed with a halo as wide as the network sees, and cut off to its inner part: the result is what the
whole slice would have given.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil, sqrt
from typing import NamedTuple

_SIDE = 1024  # pixels of a tile's inner part
_WHOLE = 1 << 21  # pixels of a slice up to which it is computed in one piece


class Tile(NamedTuple):
    """One piece of a block of slices.

    Attributes
    ----------
    kept : tuple of slice
        Where its result belongs: slices, rows, columns.
    seen : tuple of slice
        What the network is shown: the same with a halo.
    inner : tuple of slice
        Rows and columns of ``kept`` within ``seen``.
    """

    kept: tuple[slice, slice, slice]
    seen: tuple[slice, slice, slice]
    inner: tuple[slice, slice]


def tiles(shape: tuple[int, ...], *, reach: int, multiple: int, batch: int) -> Iterator[Tile]:
    """Cut slices of (n, nj, ni) into tiles of at most ``batch`` slices.

    Parameters
    ----------
    shape : tuple of int
    reach : int
        How many pixels away an input can matter.
    multiple : int
        Tiles are shown from multiples of this on, so that every tile is sampled on the same grid.
    batch : int
    """
    n, nj, ni = shape
    whole = nj * ni <= _WHOLE
    halo = -(-reach // multiple) * multiple
    side = max(_SIDE // multiple, 1) * multiple
    rows = [(slice(0, nj),) * 2] if whole else list(_spans(nj, side, halo))
    columns = [(slice(0, ni),) * 2] if whole else list(_spans(ni, side, halo))
    for start in range(0, n, batch):
        together = slice(start, min(start + batch, n))
        for row, seen_row in rows:
            for column, seen_column in columns:
                yield Tile(
                    (together, row, column),
                    (together, seen_row, seen_column),
                    (_within(row, seen_row), _within(column, seen_column)),
                )


def whole_factor(shape: tuple[int, ...]) -> int:
    """Return by what whole number slices (n, nj, ni) are reduced to be computed in one piece."""
    return max(1, ceil(sqrt(shape[1] * shape[2] / _WHOLE)))


class Band(NamedTuple):
    """Some rows of a slice that was computed at a reduced size.

    Attributes
    ----------
    kept : slice
        Rows of the slice.
    seen : slice
        Rows at the reduced size that they are enlarged from: one more on each side where there is one.
    inner : slice
        Rows of ``kept`` within ``seen`` enlarged.
    """

    kept: slice
    seen: slice
    inner: slice


def bands(shape: tuple[int, ...], factor: int) -> Iterator[Band]:
    """Cut a slice of (nj, ni), reduced by ``factor``, into bands of rows of about a megapixel."""
    nj, ni = shape
    reduced = -(-nj // factor)
    rows = max(1, _SIDE * _SIDE // (ni * factor))
    for start in range(0, reduced, rows):
        stop = min(start + rows, reduced)
        first, last = max(start - 1, 0), min(stop + 1, reduced)
        kept = slice(start * factor, min(stop * factor, nj))
        offset = first * factor
        yield Band(kept, slice(first, last), slice(kept.start - offset, kept.stop - offset))


def _spans(length: int, side: int, halo: int) -> Iterator[tuple[slice, slice]]:
    for start in range(0, length, side):
        stop = min(start + side, length)
        yield slice(start, stop), slice(max(start - halo, 0), min(stop + halo, length))


def _within(inner: slice, outer: slice) -> slice:
    return slice(inner.start - outer.start, inner.stop - outer.start)


__all__ = ["Band", "Tile", "bands", "tiles", "whole_factor"]
