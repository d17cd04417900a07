"""The inner loop of colour: from (a*, b*) in buffers to bytes, one gather for each pixel.

Work goes chunk by chunk through buffers that stay in a core's cache. Every step is a single float32 operation
per element, so the result depends neither on the machine nor on the chunks.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from medcolor.color_table import CENTER, LIMIT, NODES, PLANE, law_table

_CHUNK = 1 << 15  # pixels at a time: the working set of about 1 MB stays in a core's own cache
_LIMIT = np.float32(LIMIT)
_FEWEST, _MOST = np.float32(1e-12), np.float32(1e12)  # sums of squared posteriors that neither under- nor overflow
Class = tuple[NDArray[np.float32], np.float32, np.float32]  # posterior plane, a*, b* in node units


class Scratch:
    """Buffers, reused for every chunk."""

    def __init__(self, size: int) -> None:
        self._float = np.empty((5, size), dtype=np.float32)
        self._place = np.empty(size, dtype=np.intp)
        self._packed = np.empty(size, dtype="<u4")
        self._table = law_table().reshape(-1)

    def ab(self, count: int) -> NDArray[np.float32]:
        """Return the (2, count) buffers of a* and b*, in node units."""
        return self._float[:2, :count]

    def annealed_mean(self, classes: list[Class], span: slice) -> None:
        """Put the mean (a*, b*) of a span of pixels, in node units, into the buffers."""
        a, b, total, square, product = self._float[:, : span.stop - span.start]
        for k, (plane, weight_a, weight_b) in enumerate(classes):
            p = plane[span]
            if k == 0:
                np.multiply(p, p, out=total)
                np.multiply(total, weight_a, out=a)
                np.multiply(total, weight_b, out=b)
                continue
            np.multiply(p, p, out=square)
            total += square
            for channel, weight in ((a, weight_a), (b, weight_b)):
                if weight:  # gray classes are common, and adding their zeros is not free
                    np.multiply(square, weight, out=product)
                    channel += product
        if not (total.min() >= _FEWEST and total.max() <= _MOST):  # also true for NaN
            broken = ~((total >= _FEWEST) & (total <= _MOST))
            a[broken], b[broken], total[broken] = 0, 0, 1
        a /= total
        b /= total

    def gather(self, gray: NDArray[np.uint8], rgb: NDArray[np.uint8]) -> None:
        """Look the buffered (a*, b*) up in the table and write the colours."""
        a, b, level = self._float[:3, : gray.size]
        place, packed = self._place[: gray.size], self._packed[: gray.size]
        # Whole numbers below 2^24: float32 holds the flat index exactly.
        np.rint(a, out=a)
        np.rint(b, out=b)
        a *= np.float32(NODES)
        a += b
        np.multiply(gray, np.float32(PLANE), out=level)
        level += np.float32(CENTER)
        a += level
        np.copyto(place, a, casting="unsafe")
        self._table.take(place, out=packed, mode="clip")  # in range by construction; "clip" spares a copy
        channels = packed.view(np.uint8).reshape(-1, 4)
        for c in range(3):
            rgb[:, c] = channels[:, c]


def in_chunks(paint: Callable[[Scratch, slice], None], pixels: int) -> None:
    """Call ``paint`` for chunks that cover all pixels.

    One thread: each step lasts microseconds, so a second one spends what it gains on the interpreter lock.
    """
    chunk = min(pixels, _CHUNK)
    scratch = Scratch(chunk)
    for start in range(0, pixels, max(chunk, 1)):
        paint(scratch, slice(start, min(start + chunk, pixels)))


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
