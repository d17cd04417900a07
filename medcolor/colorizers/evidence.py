"""What a colorizer knows of one slice before anybody chose a palette, a strength or a window.

The expensive part of colouring, in a form that is painted in milliseconds: a place in the table of (a*, b*) for each
voxel (:meth:`Evidence.index`), to which the display gray is added. ``compact`` is the form that is kept for a whole
volume.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from medcolor.color import ab_index, index_from_posteriors
from medcolor.palettes import Palette
from medcolor.recoloring import Recoloring

Index = NDArray[np.int32]


_FULL = np.float32(255)


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """What may change without asking the colorizer again.

    Attributes
    ----------
    palette : Palette or None
        None for a table, and for colours that a method learned without classes.
    cvd : str or None
        As chosen; ``palette`` has it in its colours already.
    strength, fade : float
    table : ndarray of uint8, (256, 3), or None
        The colours of a table, strength included.
    recoloring : Recoloring or None
        What the eye in question needs, of colours that come from no palette.
    """

    palette: Palette | None
    cvd: str | None = None
    strength: float = 1.0
    fade: float = 0.0
    table: NDArray[np.uint8] | None = None
    recoloring: Recoloring | None = None

    @property
    def style(self) -> str | None:
        """Style of the palette."""
        return None if self.palette is None else self.palette.style

    @property
    def sha256(self) -> str | None:
        """Hash of the palette; empty where colours come from none, and None for a table."""
        if self.palette is None:
            return "" if self.table is None else None
        return self.palette.sha256

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

    def confidence(self, look: Look) -> NDArray[np.uint8]:
        """Return how far the colours of a look can be relied on, (nj, ni), 255 is 1."""
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

    def unpacked(self) -> Evidence:
        """Return the form that is painted again and again, of the slice somebody looks at."""
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

    def confidence(self, look: Look) -> NDArray[np.uint8]:
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

    def unpacked(self) -> TableEvidence:
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

    def confidence(self, look: Look) -> NDArray[np.uint8]:
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

    def unpacked(self) -> LabelEvidence:
        """Return itself."""
        return self


__all__ = ["Evidence", "Index", "LabelEvidence", "Look", "TableBook", "TableEvidence"]
