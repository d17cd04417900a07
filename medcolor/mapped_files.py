"""Volumes that are files mapped into memory: a volume larger than memory is read as it is needed, and let go of."""

from __future__ import annotations

import math
import mmap
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np
from numpy.typing import NDArray

_ON_DISK_ABOVE: ContextVar[int | None] = ContextVar("_ON_DISK_ABOVE", default=None)


class _Scratch(mmap.mmap):
    """A shared map of a file that has no name any more: what is written to it is the file's."""


@contextmanager
def on_disk_above(size: int) -> Iterator[None]:
    """Have :func:`room_for` put arrays of more bytes than that into temporary files."""
    token = _ON_DISK_ABOVE.set(size)
    try:
        yield
    finally:
        _ON_DISK_ABOVE.reset(token)


def room_for(shape: tuple[int, ...], dtype: Any = np.uint8) -> NDArray[Any]:
    """Return an array to be filled: in memory, or where it is large and somebody asked for it, a mapped file.

    Such a file lies in the folder for temporary files, has no name, and goes with the array.

    Raises
    ------
    OSError
        No room on the disk: said now, because a full disk under a map is a crash.
    """
    size, above = math.prod(shape) * np.dtype(dtype).itemsize, _ON_DISK_ABOVE.get()
    if above is None or size <= above or not hasattr(os, "posix_fallocate"):
        return np.empty(shape, dtype)
    with tempfile.TemporaryFile(prefix="medcolor-") as file:
        os.posix_fallocate(file.fileno(), 0, size)
        return np.frombuffer(_Scratch(file.fileno(), size), dtype).reshape(shape)


def let_go(values: NDArray[Any]) -> None:
    """Give the system back the memory that holds a mapped file's pages; they are read again when needed.

    Does nothing for arrays in memory, and for maps that others made to be written to, whose pages may hold what no file
    does.

    Parameters
    ----------
    values : ndarray
        Any view of the array (``numpy.memmap(path, mode="r")``) that the map was made into.
    """
    base: Any = values
    while isinstance(base, np.ndarray | memoryview):
        base = base.base if isinstance(base, np.ndarray) else base.obj
    if not isinstance(base, mmap.mmap) or not hasattr(mmap, "MADV_DONTNEED"):
        return
    if isinstance(base, _Scratch) or memoryview(base).readonly:
        base.madvise(mmap.MADV_DONTNEED)


__all__ = ["let_go", "on_disk_above", "room_for"]
