"""One slice as another process saw it: painted at once in the look it was asked for, and kept for every other."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medcolor.colorizers.evidence import Evidence, Index, Look


@dataclass(frozen=True, slots=True, eq=False)
class ToldEvidence:
    """What a colorizer said of one slice, with all that its first look needs computed already.

    Parameters
    ----------
    look : Look
        What it was asked for; ``nodes`` are exact for this one.
    kept : Evidence
        The form to keep.
    nodes : ndarray of int32, (nj, ni)
    rating : ndarray of uint8, (nj, ni)
        Confidence in the colours of ``look``.
    apart : ndarray of bool, (nj, ni)
        Where the first class leads.
    sums : ndarray of float64, (K,)
    """

    look: Look
    kept: Evidence
    nodes: Index
    rating: NDArray[np.uint8]
    apart: NDArray[np.bool_]
    sums: NDArray[np.float64]
    exact: bool = field(default=True, init=False)

    @classmethod
    def of(cls, evidence: Evidence, look: Look) -> ToldEvidence:
        """Compute what a look needs."""
        return cls(
            look, evidence.compact(), evidence.index(look), evidence.confidence(look), evidence.outside(),
            evidence.totals(),
        )  # fmt: skip

    def under(self, look: Look | None) -> Evidence:
        """Return what to paint a look from: this, or what is kept, which is not exact."""
        return self if look is self.look else self.kept

    @property
    def nbytes(self) -> int:
        """Memory of all parts."""
        return self.kept.nbytes + self.nodes.nbytes + self.rating.nbytes + self.apart.nbytes

    def index(self, look: Look) -> Index:
        """Return the nodes."""
        return self.nodes if look is self.look else self.kept.index(look)

    def posteriors(self) -> NDArray[np.float32]:
        """Return the probabilities, as kept."""
        return self.kept.posteriors()

    def at(self, j: int, i: int) -> NDArray[np.float32]:
        """Return the probabilities of one voxel, as kept."""
        return self.kept.at(j, i)

    def confidence(self, look: Look) -> NDArray[np.uint8]:
        """Return the confidence."""
        return self.rating if look.sha256 == self.look.sha256 else self.kept.confidence(look)

    def outside(self) -> NDArray[np.bool_]:
        """Return where the first class leads."""
        return self.apart

    def totals(self) -> NDArray[np.float64]:
        """Return the sums."""
        return self.sums

    def compact(self) -> Evidence:
        """Return the form to keep."""
        return self.kept

    def unpacked(self) -> Evidence:
        """Return itself: its look is painted without unpacking anything."""
        return self


def parts_of(told: ToldEvidence) -> tuple[Any, ...]:
    """Return what has to travel; the look stays with whoever asked."""
    return told.kept, told.nodes, told.rating, told.apart, told.sums


def from_parts(look: Look, parts: tuple[Any, ...]) -> ToldEvidence:
    """Put together what :func:`parts_of` took apart."""
    return ToldEvidence(look, *parts)


__all__ = ["ToldEvidence", "from_parts", "parts_of"]
