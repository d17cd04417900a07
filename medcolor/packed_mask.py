"""Yes or no for every voxel, at one bit each."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


class PackedMask:
    """A read-only boolean volume that costs an eighth of a byte a voxel and is read block by block.

    Parameters
    ----------
    values : ndarray of bool, (ni, nj, nk)

    Notes
    -----
    ``np.asarray(mask)`` gives the whole volume back as (ni, nj, nk) bool.
    """

    __slots__ = ("_bits", "shape")

    def __init__(self, values: NDArray[np.bool_]) -> None:
        if values.dtype != np.bool_ or values.ndim != 3:
            raise TypeError(f"A mask is made of bool (ni, nj, nk), got {values.dtype} of shape {values.shape}.")
        self.shape: tuple[int, ...] = values.shape
        self._bits = np.packbits(values.transpose(2, 1, 0), axis=-1)

    def slices(self, block: slice) -> NDArray[np.bool_]:
        """Return a range of slices, (n, nj, ni), as a new array."""
        return np.unpackbits(self._bits[block], axis=-1, count=self.shape[0]).view(np.bool_)

    def count(self) -> int:
        """Return how many voxels are marked."""
        return int(np.bitwise_count(self._bits).sum(dtype=np.int64))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Unpack the whole volume."""
        if copy is False:
            raise ValueError("A mask is packed: reading it as an array makes a copy.")
        whole = self.slices(slice(None)).transpose(2, 1, 0)
        return whole if dtype is None else whole.astype(dtype)

    def __repr__(self) -> str:
        return f"PackedMask({self.count()} of {int(np.prod(self.shape))} voxels)"
