"""What a colorizer knows of one slice before anybody chose a palette, a strength or a window.

The expensive part of colouring, in a form that is painted in milliseconds: a place in the table of (a*, b*) for each
voxel (:meth:`Evidence.index`), to which the display gray is added. ``compact`` is the form that is kept for a whole
volume.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from medcolor.color import ab_index, index_from_posteriors
from medcolor.palettes import Palette

Index = NDArray[np.int32]
FAINTEST = 4  # of 255: weights below that share of the largest one move no colour by a step

_FULL = np.float32(255)


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """What may change without asking the colorizer again.

    Attributes
    ----------
    palette : Palette or None
        None for a table.
    cvd : str or None
        As chosen; ``palette`` has it in its colours already.
    strength, fade : float
    table : ndarray of uint8, (256, 3), or None
        The colours of a table, strength included.
    """

    palette: Palette | None
    cvd: str | None = None
    strength: float = 1.0
    fade: float = 0.0
    table: NDArray[np.uint8] | None = None

    @property
    def style(self) -> str | None:
        """Style of the palette."""
        return None if self.palette is None else self.palette.style

    @property
    def sha256(self) -> str | None:
        """Hash of the palette."""
        return None if self.palette is None else self.palette.sha256

    @property
    def ab(self) -> NDArray[np.float32]:
        """Colours of the classes, (K, 2); of a table none."""
        return np.zeros((1, 2), np.float32) if self.palette is None else self.palette.ab


class Evidence(Protocol):
    """One slice of (nj, ni) voxels, seen by a colorizer."""

    @property
    def exact(self) -> bool:
        """Whether what is painted from it has the very bytes of the colorizer."""
        ...

    @property
    def nbytes(self) -> int:
        """Memory it holds, shared tables left out."""
        ...

    def index(self, look: Look) -> Index:
        """Return the place of each voxel among the nodes of (a*, b*), (nj, ni)."""
        ...

    def posteriors(self) -> NDArray[np.float32]:
        """Return the probabilities of all classes, (K, nj, ni)."""
        ...

    def at(self, j: int, i: int) -> NDArray[np.float32]:
        """Return the probabilities of one voxel, (K,)."""
        ...

    def confidence(self) -> NDArray[np.uint8]:
        """Return how far colours can be relied on, (nj, ni), 255 is 1."""
        ...

    def outside(self) -> NDArray[np.bool_]:
        """Return where the first class is the most probable one, (nj, ni)."""
        ...

    def totals(self) -> NDArray[np.float64]:
        """Return the probabilities summed over the slice, (K,)."""
        ...

    def compact(self) -> Evidence:
        """Return the form to keep."""
        ...


class TableBook:
    """The table of a physics model, and what a look makes of each of its entries.

    Parameters
    ----------
    tables : ndarray of float32, (K, entries)
    """

    def __init__(self, tables: NDArray[np.float32]) -> None:
        self.tables = np.ascontiguousarray(tables)
        self.confidence = np.rint(self.tables.max(axis=0) * _FULL).astype(np.uint8)
        self.outside = self.tables.argmax(axis=0) == 0
        self._latest: tuple[Look, Index] | None = None

    def index(self, look: Look) -> Index:
        """Return the node of each entry; that of the latest look is remembered."""
        latest = self._latest
        if latest is None or latest[0] is not look:
            latest = (look, index_from_posteriors(self.tables, look.ab, strength=look.strength))
            self._latest = latest
        return latest[1]


@dataclass(frozen=True, slots=True, eq=False)
class TableEvidence:
    """An entry of a physics model's table for each voxel: small, and exact for every look."""

    book: TableBook
    entries: NDArray[np.uint16] | NDArray[np.int32]
    exact: bool = field(default=True, init=False)

    @property
    def nbytes(self) -> int:
        """Memory of the entries."""
        return self.entries.nbytes

    def index(self, look: Look) -> Index:
        """Return the node of each voxel's entry."""
        return self.book.index(look).take(self.entries)

    def posteriors(self) -> NDArray[np.float32]:
        """Return the probabilities of each voxel's entry."""
        return self.book.tables.take(self.entries, axis=1)

    def at(self, j: int, i: int) -> NDArray[np.float32]:
        """Return one column of the table."""
        return self.book.tables[:, int(self.entries[j, i])]

    def confidence(self) -> NDArray[np.uint8]:
        """Return the largest probability."""
        return self.book.confidence.take(self.entries)

    def outside(self) -> NDArray[np.bool_]:
        """Return where the first class leads."""
        return self.book.outside.take(self.entries)

    def totals(self) -> NDArray[np.float64]:
        """Return the sums, by counting entries."""
        tables = self.book.tables
        return tables.astype(np.float64) @ np.bincount(self.entries.reshape(-1), minlength=tables.shape[1])

    def compact(self) -> TableEvidence:
        """Return itself."""
        return self


@dataclass(frozen=True, slots=True, eq=False)
class LabelEvidence:
    """One class for each voxel: labels with hard edges.

    Parameters
    ----------
    classes : ndarray of uint16, (nj, ni)
    count : int
        K.
    """

    classes: NDArray[np.uint16]
    count: int
    exact: bool = field(default=True, init=False)

    @property
    def nbytes(self) -> int:
        """Memory of the labels."""
        return self.classes.nbytes

    def index(self, look: Look) -> Index:
        """Return the node of each voxel's class."""
        return ab_index(look.ab * np.float32(look.strength))[self.classes]

    def posteriors(self) -> NDArray[np.float32]:
        """Return 1 for each voxel's class."""
        return (self.classes == np.arange(self.count)[:, None, None]).astype(np.float32)

    def at(self, j: int, i: int) -> NDArray[np.float32]:
        """Return 1 for the voxel's class."""
        return (np.arange(self.count) == self.classes[j, i]).astype(np.float32)

    def confidence(self) -> NDArray[np.uint8]:
        """Return 255: labels do not doubt."""
        return np.full(self.classes.shape, 255, np.uint8)

    def outside(self) -> NDArray[np.bool_]:
        """Return where the first class is."""
        return self.classes == 0

    def totals(self) -> NDArray[np.float64]:
        """Return how many voxels each class has."""
        return np.bincount(self.classes.reshape(-1), minlength=self.count).astype(np.float64)

    def compact(self) -> LabelEvidence:
        """Return itself."""
        return self


@dataclass(frozen=True, slots=True, eq=False)
class SoftEvidence:
    """Posteriors as a colorizer computed them.

    Parameters
    ----------
    planes : ndarray of float32, (n, nj, ni)
        Of the classes present.
    classes : tuple of int
        Which of the palette's they are.
    count : int
        K.
    trust : ndarray of uint8, (nj, ni), or None
        Confidence that the colorizer computes itself; None: the largest posterior.
    direct : callable, optional
        How the colorizer itself finds the nodes, where it goes another way than the posteriors.
    """

    planes: NDArray[np.float32]
    classes: tuple[int, ...]
    count: int
    trust: NDArray[np.uint8] | None = None
    direct: Callable[[Look], Index] | None = None
    exact: bool = field(default=True, init=False)

    @property
    def nbytes(self) -> int:
        """Memory of posteriors and confidence."""
        return self.planes.nbytes + (0 if self.trust is None else self.trust.nbytes)

    def index(self, look: Look) -> Index:
        """Return the nodes as the colorizer finds them."""
        if self.direct is not None:
            return self.direct(look)
        return index_from_posteriors(self.planes, look.ab[list(self.classes)], strength=look.strength)

    def posteriors(self) -> NDArray[np.float32]:
        """Return the probabilities, classes that are absent included."""
        whole = np.zeros((self.count, *self.planes.shape[1:]), np.float32)
        whole[list(self.classes)] = self.planes / np.maximum(self.planes.sum(axis=0), np.float32(1e-12))
        return whole

    def at(self, j: int, i: int) -> NDArray[np.float32]:
        """Return the probabilities of one voxel."""
        values = np.zeros(self.count, np.float32)
        values[list(self.classes)] = self.planes[:, j, i]
        return values / max(float(values.sum()), 1e-12)

    def confidence(self) -> NDArray[np.uint8]:
        """Return the colorizer's confidence, or the largest posterior."""
        if self.trust is not None:
            return self.trust
        total = np.maximum(self.planes.sum(axis=0), np.float32(1e-12))
        return np.rint(self.planes.max(axis=0) / total * _FULL).astype(np.uint8)

    def outside(self) -> NDArray[np.bool_]:
        """Return where the first class leads."""
        if 0 not in self.classes:
            return np.zeros(self.planes.shape[1:], np.bool_)
        return np.asarray(self.planes.argmax(axis=0) == self.classes.index(0))

    def totals(self) -> NDArray[np.float64]:
        """Return the sums."""
        sums = np.zeros(self.count)
        total = np.maximum(self.planes.sum(axis=0), np.float32(1e-12))
        sums[list(self.classes)] = [float((plane / total).sum(dtype=np.float64)) for plane in self.planes]
        return sums

    def compact(self) -> SparseEvidence:
        """Return the weights that matter at 8 bits each; see :class:`SparseEvidence`."""
        largest = np.maximum(self.planes.max(axis=0), np.float32(1e-12))
        kept, weights = [], []
        for number, plane in zip(self.classes, self.planes, strict=True):
            quantized = np.rint(plane / largest * _FULL).astype(np.uint8)
            quantized[quantized < FAINTEST] = 0
            if quantized.any():
                kept.append(number)
                weights.append(quantized)
        stack = np.stack(weights) if weights else np.zeros((0, *largest.shape), np.uint8)
        present = stack != 0
        return SparseEvidence(
            np.packbits(present), stack[present], stack.shape, tuple(kept), self.count, self.confidence()
        )


@dataclass(frozen=True, slots=True, eq=False)
class SparseEvidence:
    """Posteriors kept at a few bytes a voxel: of each class its share of the largest, in 255 steps, where not faint.

    For K classes whose colours lie within D of each other, the mean colour is off by at most D sqrt(K - 1) / 510 from
    rounding and D (K - 1) (FAINTEST / 255)^2 from what is left out: below one node of the table (one unit of a* or
    b*) for every palette that travels with medcolor. The gray is exact: it is not touched.

    Parameters
    ----------
    bits : ndarray of uint8
        Packed: where a class has a weight.
    weights : ndarray of uint8
        Those weights.
    shape : tuple of int
        (n, nj, ni).
    classes, count
        As in :class:`SoftEvidence`.
    trust : ndarray of uint8, (nj, ni)
    """

    bits: NDArray[np.uint8]
    weights: NDArray[np.uint8]
    shape: tuple[int, ...]
    classes: tuple[int, ...]
    count: int
    trust: NDArray[np.uint8]
    exact: bool = field(default=False, init=False)

    @property
    def nbytes(self) -> int:
        """Memory of bits, weights and confidence."""
        return self.bits.nbytes + self.weights.nbytes + self.trust.nbytes

    def index(self, look: Look) -> Index:
        """Return the nodes, each within one of what the colorizer gives."""
        ab = look.ab[list(self.classes)]
        if not len(ab):
            return np.full(self.shape[1:], ab_index(np.zeros(2, np.float32)), np.int32)
        if look.fade == 0:
            return index_from_posteriors(self._planes(), ab, strength=look.strength)
        weights = self._planes() ** 2
        total = np.maximum(weights.sum(axis=0), np.float32(1e-12))
        mean = np.tensordot(weights, ab, axes=(0, 0)) / total[..., None]
        factor = np.float32(look.strength) * (1 - np.float32(look.fade) * (1 - self.trust / _FULL))
        return ab_index(mean * factor[..., None])

    def posteriors(self) -> NDArray[np.float32]:
        """Return the probabilities, faint ones as 0."""
        whole = np.zeros((self.count, *self.shape[1:]), np.float32)
        planes = self._planes()
        whole[list(self.classes)] = planes / np.maximum(planes.sum(axis=0), np.float32(1e-12))
        return whole

    def at(self, j: int, i: int) -> NDArray[np.float32]:
        """Return the probabilities of one voxel."""
        return self.posteriors()[:, j, i]

    def confidence(self) -> NDArray[np.uint8]:
        """Return the colorizer's confidence."""
        return self.trust

    def outside(self) -> NDArray[np.bool_]:
        """Return where the first class leads."""
        return np.asarray(self.posteriors().argmax(axis=0) == 0)

    def totals(self) -> NDArray[np.float64]:
        """Return the sums."""
        return self.posteriors().sum(axis=(1, 2), dtype=np.float64)

    def compact(self) -> SparseEvidence:
        """Return itself."""
        return self

    def _planes(self) -> NDArray[np.float32]:
        present = np.unpackbits(self.bits, count=int(np.prod(self.shape))).view(np.bool_)
        planes = np.zeros(self.shape, np.float32)
        planes.reshape(-1)[present] = self.weights
        return planes
