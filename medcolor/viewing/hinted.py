"""What a colorizer says of a slice, with hints on top of it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from medcolor.color import index_from_posteriors
from medcolor.colorizers.evidence import Evidence, Index, Look

_FULL = np.float32(255)


@dataclass(frozen=True, slots=True, eq=False)
class HintedEvidence:
    """What a colorizer says of a slice, and what somebody says on top of it.

    Parameters
    ----------
    base : Evidence
    classes : tuple of (int, ndarray of uint8 (nj, ni))
        Class of the palette, and how much a hint of it counts; 255 is 1.
    colors : tuple of ((a*, b*), ndarray of uint8 (nj, ni))
        The same of hints of a colour.
    """

    base: Evidence
    classes: tuple[tuple[int, NDArray[np.uint8]], ...]
    colors: tuple[tuple[tuple[float, float], NDArray[np.uint8]], ...]
    exact: bool = field(default=True, init=False)  # there is no other account of hints

    @property
    def nbytes(self) -> int:
        """Memory of the base and the weights."""
        return self.base.nbytes + sum(part.nbytes for _, part in (*self.classes, *self.colors))

    def index(self, look: Look) -> Index:
        """Return the nodes of the mean of all colours; a fade of the colorizer's own applies where no hint counts."""
        hinted = self._hinted() > 0
        index = self.base.index(look)
        if not hinted.any():
            return index
        rows, columns = _window(hinted)
        part = hinted[rows, columns]
        planes = self.posteriors()[:, rows, columns][:, part]
        ab = look.ab
        if self.colors:
            weights = np.stack([w[rows, columns][part] for _, w in self.colors]).astype(np.float32) / _FULL
            planes = np.concatenate([planes * (1 - weights.sum(axis=0)), weights])
            ab = np.concatenate([ab, np.array([color for color, _ in self.colors], np.float32)])
        index = index.copy()
        index[rows, columns][part] = index_from_posteriors(np.ascontiguousarray(planes), ab, strength=look.strength)
        return index

    def posteriors(self) -> NDArray[np.float32]:
        """Return the probabilities, hints included; a hint of a colour leaves them alone."""
        whole = self.base.posteriors()
        if self.classes:
            weights = np.stack([w for _, w in self.classes]).astype(np.float32) / _FULL
            whole = whole * (1 - weights.sum(axis=0))
            for (number, _), one in zip(self.classes, weights, strict=True):
                whole[number] += one
        return whole

    def at(self, j: int, i: int) -> NDArray[np.float32]:
        """Return the probabilities of one voxel."""
        values = self.base.at(j, i).astype(np.float32)
        counted = {number: float(w[j, i]) / 255 for number, w in self.classes}
        values = values * np.float32(1 - sum(counted.values()))
        for number, one in counted.items():
            values[number] += np.float32(one)
        return values

    def confidence(self, look: Look) -> NDArray[np.uint8]:
        """Return the colorizer's, and 255 where a hint counts in full."""
        own, hinted = self.base.confidence(look).astype(np.float32), self._hinted()
        return np.rint(own + (_FULL - own) * hinted).astype(np.uint8)

    def outside(self) -> NDArray[np.bool_]:
        """Return where the colorizer says that no body is."""
        return self.base.outside()

    def totals(self) -> NDArray[np.float64]:
        """Return the sums, hints included."""
        return np.asarray(self.posteriors().sum(axis=(1, 2), dtype=np.float64))

    def compact(self) -> HintedEvidence:
        """Return it with the base as it is kept."""
        return HintedEvidence(self.base.compact(), self.classes, self.colors)

    def unpacked(self) -> HintedEvidence:
        """Return it with the base as it is painted again and again."""
        return HintedEvidence(self.base.unpacked(), self.classes, self.colors)

    def _hinted(self) -> NDArray[np.float32]:
        total = np.zeros(self.base.outside().shape, np.float32)
        for _, part in (*self.classes, *self.colors):
            total += part
        return np.minimum(total / _FULL, 1)


def _window(mask: NDArray[np.bool_]) -> tuple[slice, slice]:
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


__all__ = ["HintedEvidence"]
