"""Volumes that are files mapped into memory: a volume larger than memory is read as it is needed, and let go of."""

from __future__ import annotations

import mmap
from typing import Any

import numpy as np
from numpy.typing import NDArray


def let_go(values: NDArray[Any]) -> None:
    """Give the system back the memory that holds a mapped file's pages; they are read again when needed.

    Does nothing for arrays in memory, and for maps that can be written to, whose pages may hold what no file does.

    Parameters
    ----------
    values : ndarray
        Any view of the array (``numpy.memmap(path, mode="r")``) that the map was made into.
    """
    base: Any = values
    while isinstance(base, np.ndarray | memoryview):
        base = base.base if isinstance(base, np.ndarray) else base.obj
    if isinstance(base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED") and memoryview(base).readonly:
        base.madvise(mmap.MADV_DONTNEED)


__all__ = ["let_go"]
