"""What is known of each slice, and which look it shows: painting again without asking again."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medcolor.colorizers.evidence import Evidence, Index, Look
from medcolor.scan import Scan
from medcolor.viewing.painted import PaintedVolume
from medcolor.voi import Display

_INDICES = 3  # slices at hand, unpacked
_OUTSIDE = {"outside", "air"}  # first classes that are no part of the body


class Repainter:
    """Slices of one scan in the look of now; not for several threads at once.

    Parameters
    ----------
    scan : Scan
    display : Display

    Attributes
    ----------
    volume : PaintedVolume
    look : Look or None
        None until a colorizer is at work.
    kept : list of Evidence or None
    totals : dict
        Slice -> probabilities summed over it, (K,).
    shown : list of (Look or None, Display)
        What each slice was painted with; no look: gray.
    exact : ndarray of bool
        Whether a slice has the very bytes of the colorizer.
    """

    def __init__(self, scan: Scan, display: Display) -> None:
        nk = scan.shape[2]
        self.volume = PaintedVolume(scan, display)
        self.look: Look | None = None
        self.kept: list[Evidence | None] = [None] * nk
        self.totals: dict[int, NDArray[np.float64]] = {}
        self.shown: list[tuple[Look | None, Display]] = [(None, display)] * nk
        self.exact = np.zeros(nk, np.bool_)
        self._version, self._gray_version = 0, 0
        self._colored = np.full(nk, -1)  # the version each slice was painted in
        self._grayed = np.full(nk, -1)
        self._rated: list[str | None] = [None] * nk  # hash of the palette that each slice's confidence is for
        self._indices: dict[int, tuple[Evidence, Evidence, Look, Index]] = {}

    def change(self, *, look: Look | None = None, display: Display | None = None) -> None:
        """Change what slices are painted with from now on."""
        if look is not None:
            self.look = look
        if display is not None:
            self.volume.display = display
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
        return np.array([k for k, e in enumerate(self.kept) if e is not None and self._rated[k] != wanted], np.intp)

    @property
    def colored(self) -> int:
        """How many slices have colours, of whatever look."""
        return int(np.count_nonzero(self._colored >= 0))

    @property
    def nbytes(self) -> int:
        """Memory of what is kept."""
        return sum(evidence.nbytes for evidence in self.kept if evidence is not None)

    def learn(self, k: int, evidence: Evidence | None) -> None:
        """Take what a colorizer says of a slice, and paint it; None: a table."""
        if self.look is None:
            raise RuntimeError("No look was chosen.")
        if evidence is None:
            self.refresh(k)
            return
        first = self.kept[k] is None
        if first:
            self.kept[k] = evidence
        names = () if self.look.palette is None else self.look.palette.names
        outside = evidence.outside() if first and names and names[0] in _OUTSIDE else None
        self._paint(k, evidence, self.look, outside)

    def settle(self, k: int) -> None:
        """Do what can wait until a slice is seen: confidence, sums, and the compact form of what is known.

        Safe while others paint: each is one assignment.
        """
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
        self.kept[k] = evidence
        self.totals.pop(k, None)
        self._rated[k], self._colored[k] = None, self._version - 1
        self.refresh(k, remember=True)
        self.settle(k)

    def refresh(self, k: int, *, remember: bool = False) -> bool:
        """Paint a slice as far as it is known; return whether its pixels changed.

        ``remember`` is for the slice somebody looks at.
        """
        if self._colored[k] == self._version:
            return False
        look, evidence = self.look, self.kept[k]
        if look is not None and look.table is not None:
            self.volume.paint_table(k, look.table)
            self.exact[k] = True
            self._painted(k, look)
        elif look is not None and evidence is not None:
            self._paint(k, evidence, look, None, remember=remember)
        elif self._grayed[k] == self._gray_version:
            return False
        else:
            self.volume.paint_gray(k)
            self._grayed[k] = self._gray_version
            self.shown[k] = None, self.volume.display
        return True

    def _paint(
        self, k: int, evidence: Evidence, look: Look, outside: NDArray[np.bool_] | None, *, remember: bool = False
    ) -> None:
        index = self._at_hand(k, evidence, look) if remember else evidence.index(look)
        self.volume.paint_index(k, index, outside)
        self.exact[k] = evidence.exact
        self._painted(k, look)

    def _at_hand(self, k: int, evidence: Evidence, look: Look) -> Index:
        """Return the nodes of a slice somebody looks at: dragging a window or a slider unpacks nothing twice."""
        found = self._indices.pop(k, None)
        if found is None or found[0] is not evidence:
            while len(self._indices) >= _INDICES:
                del self._indices[next(iter(self._indices))]
            shown = evidence.unpacked()
            found = evidence, shown, look, shown.index(look)
        elif found[2] is not look:
            found = evidence, found[1], look, found[1].index(look)
        self._indices[k] = found
        return found[3]

    def _painted(self, k: int, look: Look) -> None:
        self._colored[k] = self._version
        self.shown[k] = look, self.volume.display


__all__ = ["Repainter"]
