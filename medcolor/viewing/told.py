"""One slice as another process saw it: painted at once in the look it was asked for, kept for every other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from medcolor.colorizers.evidence import Evidence, Index, Look


class Rest(NamedTuple):
    """What can wait until a slice is seen.

    Attributes
    ----------
    kept : Evidence
        The form to keep.
    rating : ndarray of uint8, (nj, ni)
        Confidence in the colours of the look that was asked for.
    sums : ndarray of float64, (K,)
    """

    kept: Evidence
    rating: NDArray[np.uint8]
    sums: NDArray[np.float64]

    @classmethod
    def of(cls, evidence: Evidence, look: Look) -> Rest:
        """Compute it."""
        return cls(evidence.compact(), evidence.confidence(look), evidence.totals())


@dataclass(slots=True, eq=False)
class ToldEvidence:
    """What a colorizer said of one slice.

    Parameters
    ----------
    look : Look
        What it was asked for.
    nodes : ndarray of int32, (nj, ni)
        Exact for this look.
    apart : ndarray of bool, (nj, ni)
        Where the first class leads.
    fetch : callable
        Asks for the rest; may wait, and raise where it is not wanted any more.
    """

    look: Look
    nodes: Index
    apart: NDArray[np.bool_]
    fetch: Callable[[], Rest]
    exact: bool = field(default=True, init=False)
    _rest: Rest | None = field(default=None, init=False)

    @property
    def rest(self) -> Rest:
        """What can wait; asked for once."""
        if self._rest is None:
            self._rest = self.fetch()
        return self._rest

    @property
    def nbytes(self) -> int:
        """Memory of what is here."""
        return self.nodes.nbytes + self.apart.nbytes

    def index(self, look: Look) -> Index:
        """Return the nodes."""
        return self.nodes if look is self.look else self.rest.kept.index(look)

    def posteriors(self) -> NDArray[np.float32]:
        """Return the probabilities, as kept."""
        return self.rest.kept.posteriors()

    def at(self, j: int, i: int) -> NDArray[np.float32]:
        """Return the probabilities of one voxel, as kept."""
        return self.rest.kept.at(j, i)

    def confidence(self, look: Look) -> NDArray[np.uint8]:
        """Return the confidence."""
        return self.rest.rating if look.sha256 == self.look.sha256 else self.rest.kept.confidence(look)

    def outside(self) -> NDArray[np.bool_]:
        """Return where the first class leads."""
        return self.apart

    def totals(self) -> NDArray[np.float64]:
        """Return the sums."""
        return self.rest.sums

    def compact(self) -> Evidence:
        """Return the form to keep."""
        return self.rest.kept

    def unpacked(self) -> Evidence:
        """Return itself: its look is painted without unpacking anything."""
        return self


__all__ = ["Rest", "ToldEvidence"]
