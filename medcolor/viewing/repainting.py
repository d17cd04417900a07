"""What is known of each slice, and which look it shows: painting again without asking again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from medcolor.colorizers.evidence import Evidence, Index, Look
from medcolor.scan import Scan
from medcolor.viewing.painted import PaintedVolume, gray_pixels, index_pixels, table_pixels
from medcolor.viewing.told import ToldEvidence
from medcolor.voi import Display
from medcolor.windowing import grayscale

_AT_HAND = 3  # slices kept unpacked, with their places in the table
_OUTSIDE = {"outside", "air"}  # first classes that are no part of the body


@dataclass(slots=True, eq=False)
class Painting:
    """One slice being painted, in any thread, beside the volume; :meth:`Repainter.hang` shows it."""

    k: int
    version: tuple[int, int]
    look: Look | None
    evidence: Evidence | None
    gray_of: Callable[[slice], NDArray[np.uint8]]
    bound: bool
    index: Index | None = None
    gray: NDArray[np.uint8] = field(init=False)
    pixels: NDArray[np.uint32] = field(init=False)
    outside: NDArray[np.bool_] | None = field(default=None, init=False)

    def paint(self) -> Painting:
        """Compute the pixels."""
        self.gray = self.gray_of(slice(self.k, self.k + 1))[0]
        if self.look is None:
            self.pixels = gray_pixels(self.gray)
        elif self.look.table is not None:
            self.pixels = table_pixels(self.gray, self.look.table)
        elif self.evidence is not None:
            index = self.evidence.index(self.look) if self.index is None else self.index
            self.pixels = index_pixels(self.gray, index)
            self.outside = self.evidence.outside() if self.bound else None
        return self


class Repainter:
    """Slices of one scan in the look of now. Call it under a lock; only :meth:`Painting.paint` needs none.

    Parameters
    ----------
    scan : Scan
    display : Display

    Attributes
    ----------
    volume : PaintedVolume
    look : Look or None
        None until a colorizer is at work.
    display : Display
    kept : list of Evidence or None
    totals : dict
        Slice -> probabilities summed over it, (K,).
    shown : list of (Look or None, Display)
        What each slice was painted with; no look: gray.
    exact : ndarray of bool
        Whether a slice has the very bytes of the colorizer.
    amended : ndarray of bool
        Whether somebody else had the last word on a slice.
    """

    def __init__(self, scan: Scan, display: Display) -> None:
        nk = scan.shape[2]
        self.volume = PaintedVolume(scan)
        self.look: Look | None = None
        self.display = display
        self.kept: list[Evidence | None] = [None] * nk
        self.totals: dict[int, NDArray[np.float64]] = {}
        self.shown: list[tuple[Look | None, Display]] = [(None, display)] * nk
        self.exact, self.amended = np.zeros(nk, np.bool_), np.zeros(nk, np.bool_)
        self._scan, self._gray_of = scan, grayscale(scan, display)
        self._version, self._gray_version = 0, 0
        self._colored = np.full(nk, -1)  # the version each slice was painted in
        self._grayed = np.full(nk, -1)
        self._bound = np.zeros(nk, np.bool_)  # whether a slice's alpha is that of the colorizer
        self._rated: list[str | None] = [None] * nk  # hash of the palette that each slice's confidence is for
        self._coming: dict[int, ToldEvidence] = {}  # shown, and not all of it is here yet
        self._at_hand: dict[int, tuple[Evidence, Evidence, Look, Index]] = {}

    def change(self, *, look: Look | None = None, display: Display | None = None) -> None:
        """Change what slices are painted with from now on."""
        if look is not None:
            self.look = look
        if display is not None:
            self.display, self._gray_of = display, grayscale(self._scan, display)
            self._gray_version += 1
        self._version += 1

    @property
    def waiting(self) -> NDArray[np.intp]:
        """Slices that do not show the look of now."""
        return np.flatnonzero(self._colored != self._version)

    @property
    def unseen(self) -> NDArray[np.intp]:
        """Slices that show nothing at all yet."""
        return np.flatnonzero((self._grayed < 0) & (self._colored < 0))

    @property
    def unrated(self) -> NDArray[np.intp]:
        """Slices whose confidence is not that of the colours they show: what can be relied on depends on them."""
        wanted = None if self.look is None else self.look.sha256
        kept = [k for k, e in enumerate(self.kept) if e is not None and self._rated[k] != wanted]
        return np.array(sorted({*kept, *self._coming}), np.intp)

    @property
    def colored(self) -> int:
        """How many slices have colours, of whatever look."""
        return int(np.count_nonzero(self._colored >= 0))

    @property
    def nbytes(self) -> int:
        """Memory of what is kept."""
        return sum(evidence.nbytes for evidence in self.kept if evidence is not None)

    def begun(self, k: int) -> bool:
        """Whether a slice has colours, of whatever look."""
        return bool(self._colored[k] >= 0)

    def knows(self, k: int) -> bool:
        """Whether a slice can be coloured without asking the colorizer."""
        return self.kept[k] is not None or (self.look is not None and self.look.table is not None)

    def begin(self, k: int, evidence: Evidence | None = None) -> Painting | None:
        """Begin to paint a slice as far as it is known; None where it shows that already.

        ``evidence`` is what a colorizer has just said of it.
        """
        if evidence is None and self._colored[k] == self._version:
            return None
        version, evidence = (self._version, self._gray_version), evidence or self._coming.get(k) or self.kept[k]
        if isinstance(evidence, ToldEvidence) and evidence.look is not self.look:
            return None  # nobody waits for the rest here: whoever colours asks again, or settles it first
        if self.look is not None and (evidence is not None or self.look.table is not None):
            names = () if self.look.palette is None else self.look.palette.names
            bound = bool(names) and names[0] in _OUTSIDE and not self._bound[k]
            return Painting(k, version, self.look, evidence, self._gray_of, bound)
        if self._grayed[k] == self._gray_version:
            return None
        return Painting(k, version, None, None, self._gray_of, False)

    def hang(self, painting: Painting) -> bool:
        """Show what was painted; False where somebody changed the look meanwhile."""
        k = painting.k
        if painting.version != (self._version, self._gray_version):
            return False
        self.volume.put(k, painting.gray, painting.pixels, painting.outside)
        self.shown[k] = painting.look, self.display
        if painting.look is None:
            self._grayed[k] = self._gray_version
            return True
        self._colored[k] = self._version
        self._bound[k] |= painting.outside is not None
        self.exact[k] = painting.evidence is None or painting.evidence.exact
        if self.kept[k] is None:
            if isinstance(painting.evidence, ToldEvidence):
                self._coming[k] = painting.evidence
            else:
                self.kept[k] = painting.evidence
        return True

    def refresh(self, k: int) -> bool:
        """Paint a slice that somebody looks at, as far as it is known; return whether its pixels changed."""
        painting = self.begin(k)
        if painting is None:
            return False
        if painting.evidence is not None and painting.look is not None:
            painting.index = self._index_at_hand(k, painting.evidence, painting.look)
        return self.hang(painting.paint())

    def renew(self, k: int) -> None:
        """Forget what is known of a slice, because its colorizer says something else now; it shows what it did."""
        self._coming.pop(k, None)
        self.totals.pop(k, None)
        self.kept[k] = self._rated[k] = None
        self._colored[k] = min(self._colored[k], self._version - 1)

    def settle(self, k: int) -> None:
        """Do what can wait until a slice is seen: confidence, sums, and the compact form of what is known.

        Safe without a lock while others paint: each is one assignment.
        """
        told = self._coming.get(k)
        if told is not None:
            rest = told.rest
            if self._coming.get(k) is told:  # nobody amended it meanwhile
                self.volume.confidence[k], self._rated[k] = rest.rating, told.look.sha256
                self.totals[k], self.kept[k] = rest.sums, rest.kept
                self._coming.pop(k, None)
        evidence, look = self.kept[k], self.look
        if evidence is not None and look is not None and self._rated[k] != look.sha256:
            self.volume.confidence[k] = evidence.confidence(look)
            self._rated[k] = look.sha256
        if evidence is not None and k not in self.totals:
            totals, compact = evidence.totals(), evidence.compact()
            if self.kept[k] is evidence:  # nobody amended it meanwhile
                self.totals[k], self.kept[k] = totals, compact

    def amend(self, k: int, evidence: Evidence) -> None:
        """Replace what is known of a slice by what somebody says of it, and paint it; alpha stays."""
        self._coming.pop(k, None)
        self.kept[k] = evidence
        self.amended[k] = True
        self.totals.pop(k, None)
        self._rated[k], self._colored[k] = None, self._version - 1
        self.refresh(k)
        self.settle(k)

    def _index_at_hand(self, k: int, evidence: Evidence, look: Look) -> Index:
        """Return the nodes of a slice somebody looks at: dragging a window or a slider unpacks nothing twice."""
        found = self._at_hand.pop(k, None)
        if found is None or found[0] is not evidence:
            while len(self._at_hand) >= _AT_HAND:
                del self._at_hand[next(iter(self._at_hand))]
            shown = evidence.unpacked()
            found = evidence, shown, look, shown.index(look)
        elif found[2] is not look:
            found = evidence, found[1], look, found[1].index(look)
        self._at_hand[k] = found
        return found[3]


__all__ = ["Painting", "Repainter"]
