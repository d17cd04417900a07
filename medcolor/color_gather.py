"""The inner loop of colour: from (a*, b*) in buffers to bytes, one gather for each pixel.

Work goes chunk by chunk through buffers that stay in a core's cache. The place in the table is found by single
float32 operations, so it depends neither on the machine nor on the chunks. The mean of a palette is a matrix
product, whose last bit is the BLAS's own: on another make of processor one pixel in some 100 000 may take the
neighbouring node (1 unit of a* or b*; the gray is exact all the same).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from medcolor.color_table import CENTER, LIMIT, NODES, law_table

_CHUNK = 1 << 15  # pixels at a time: the working set of about 1 MB stays in a core's own cache
_PRODUCT = 1 << 13  # pixels of one matrix product; longer ones wake the BLAS's threads, which costs more than it gives
_LIMIT = np.float32(LIMIT)
_FEWEST, _MOST = np.float32(1e-12), np.float32(1e12)  # sums of squared posteriors that neither under- nor overflow


class Scratch(threading.local):
    """Buffers of a chunk, one set for each thread, kept between calls: fresh memory costs as much as the work."""

    def __init__(self) -> None:
        self._float = np.zeros((3, _CHUNK), dtype=np.float32)
        self._squared = np.zeros((0, _PRODUCT), dtype=np.float32)
        self._place = np.empty(_CHUNK, dtype=np.intp)
        self._packed = np.empty(_CHUNK, dtype="<u4")
        self._table = law_table().reshape(-1)

    def ab(self, count: int) -> NDArray[np.float32]:
        """Return the (2, count) buffers of a* and b*, in node units."""
        return self._float[:2, :count]

    def annealed_mean(self, weights: NDArray[np.float32], posteriors: NDArray[np.floating], span: slice) -> None:
        """Put the mean (a*, b*) of a span of pixels, in node units, into the buffers.

        ``weights`` are (3, K): a*, b* and 1 of each class; ``posteriors`` (K, pixels).
        """
        if len(self._squared) != len(posteriors):
            self._squared = np.zeros((len(posteriors), _PRODUCT), dtype=np.float32)
        count = span.stop - span.start
        for first in range(0, count, _PRODUCT):
            p = posteriors[:, span.start + first : min(span.start + first + _PRODUCT, span.stop)]
            np.multiply(p, p, out=self._squared[:, : p.shape[1]], casting="same_kind")
            # Always of one shape, whatever the span: a BLAS rounds short products by another rule.
            np.matmul(weights, self._squared, out=self._float[:, first : first + _PRODUCT])
        a, b, total = self._float[:, :count]
        if not (total.min() >= _FEWEST and total.max() <= _MOST):  # also true for NaN
            broken = ~((total >= _FEWEST) & (total <= _MOST))
            a[broken], b[broken], total[broken] = 0, 0, 1
        a /= total
        b /= total

    def gather(self, gray: NDArray[np.uint8], rgb: NDArray[np.uint8]) -> None:
        """Look the buffered (a*, b*) up in the table and write the colours."""
        a, b = self._float[:2, : gray.size]
        place, packed = self._place[: gray.size], self._packed[: gray.size]
        # Whole numbers below 2^24: float32 holds the flat index exactly.
        np.rint(a, out=a)
        np.rint(b, out=b)
        a *= np.float32(NODES)
        a += b
        a += np.float32(CENTER)
        a *= np.float32(256)
        a += gray
        np.copyto(place, a, casting="unsafe")
        self._table.take(place, out=packed, mode="clip")  # in range by construction; "clip" spares a copy
        channels = packed.view(np.uint8).reshape(-1, 4)
        for c in range(3):
            rgb[:, c] = channels[:, c]


def in_chunks(paint: Callable[[Scratch, slice], None], pixels: int) -> None:
    """Call ``paint`` for chunks that cover all pixels.

    One thread: each step lasts microseconds, so a second one spends what it gains on the interpreter lock.
    """
    scratch = _scratch()
    for start in range(0, pixels, _CHUNK):
        paint(scratch, slice(start, min(start + _CHUNK, pixels)))


@lru_cache(maxsize=1)
def _scratch() -> Scratch:
    return Scratch()


def as_float32(values: ArrayLike) -> NDArray[np.float32]:
    """Return values as float32, without a copy where they are."""
    with np.errstate(over="ignore", invalid="ignore"):  # beyond float32 is infinite, and infinite is gray
        return np.asarray(values).astype(np.float32, copy=False)


def contained(ab: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale float32 (a*, b*) into the table, and make pairs that are not finite gray."""
    if ab.size == 0 or (ab.max() <= _LIMIT and ab.min() >= -_LIMIT):
        return ab
    finite = np.isfinite(ab).all(axis=-1, keepdims=True)
    ab = np.where(finite, ab, np.float32(0))
    largest = np.abs(ab).max(axis=-1, keepdims=True)
    return np.where(largest > _LIMIT, ab * (_LIMIT / np.maximum(largest, _LIMIT)), ab)
