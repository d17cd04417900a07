"""What a session shows and can be asked, at any moment and from any thread."""

from __future__ import annotations

import threading
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medcolor.color_scan import Law
from medcolor.colorizers import Colorizer
from medcolor.colorizers.chroma_slices import LearnedSlices
from medcolor.colorizers.evidence import Evidence, Look
from medcolor.colorizers.slicewise import Slicewise
from medcolor.errors import SettingError
from medcolor.report.legend import Legend
from medcolor.scan import Finding, Scan
from medcolor.viewing.legends import class_legend, ramps, recolored, table_legend
from medcolor.viewing.painted import PaintedVolume
from medcolor.viewing.probing import Probe, broken_pixels, probe_voxel
from medcolor.viewing.repainting import Repainter
from medcolor.voi import Display


class Step(StrEnum):
    """What a session is doing."""

    WAITING = "waiting"
    LOADING = "loading the colorizer"
    FITTING = "looking at the whole volume"
    COLORING = "colouring"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"


class LiveColors:
    """The readable side of :class:`~medcolor.viewing.session.ColoringSession`."""

    def __init__(self, scan: Scan, display: Display) -> None:
        self.scan = scan
        self.step = Step.WAITING
        self._painted = Repainter(scan, display)
        self._slices: Slicewise | None = None
        self.amendments: dict[str, Any] = {}
        self._lock, self._working = threading.RLock(), threading.Lock()

    @property
    def volume(self) -> PaintedVolume:
        """The arrays themselves; reading them paints nothing."""
        return self._painted.volume

    @property
    def rgba(self) -> NDArray[np.uint8]:
        """RGBA, (nk, nj, ni, 4), live: slices that are not coloured yet show the gray.

        While :meth:`work` runs, nothing is waited for: a slice it has not come to in its first moments is still empty
        (0, transparent).
        """
        self._show_all()
        return self._painted.volume.rgba

    @property
    def gray(self) -> NDArray[np.uint8]:
        """Display gray, (nk, nj, ni), live: that which each slice of :attr:`rgba` was painted from."""
        self._show_all()
        return self._painted.volume.gray

    @property
    def confidence(self) -> NDArray[np.uint8]:
        """How far colours can be relied on, (nk, nj, ni), live; 255 is 1, and 0 where nothing is coloured yet."""
        return self._painted.volume.confidence

    @property
    def display(self) -> Display:
        """The window in use."""
        return self._painted.display

    @property
    def ready(self) -> bool:
        """Whether the colorizer is at work on the scan, so that the next slice is all there is to wait for."""
        return self._slices is not None

    @property
    def done(self) -> int:
        """How many slices are coloured, in whatever look."""
        return self._painted.colored

    @property
    def total(self) -> int:
        """How many slices there are."""
        return self.scan.shape[2]

    @property
    def stale(self) -> int:
        """How many slices do not show the look of now, or its confidence: whether :meth:`work` has something to do."""
        return len(np.union1d(self._painted.waiting, self._painted.unrated))

    @property
    def status(self) -> str:
        """One line about what is going on."""
        if self.step is Step.COLORING:
            return f"{self._ready().colorizer.name}: {self.total - self.stale} of {self.total} slices"
        return str(self.step)

    @property
    def colorizer(self) -> Colorizer:
        """Who colours: what "auto" chose, too. Known once :attr:`step` is COLORING."""
        return self._ready().colorizer

    @property
    def law(self) -> Law:
        """The law that the colours obey."""
        return self._ready().colorizer.law

    @property
    def look(self) -> Look:
        """Palette (with colours for the eye in question), strength and fade in use."""
        self._ready()
        if self._painted.look is None:
            raise SettingError("No look was chosen yet.")
        return self._painted.look

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What a user should know about how colours came to the scan."""
        return () if self._slices is None else self._slices.findings

    @property
    def nbytes(self) -> int:
        """Memory in use: picture, gray, confidence, and what is kept."""
        volume = self._painted.volume
        return volume.rgba.nbytes + volume.gray.nbytes + volume.confidence.nbytes + self._painted.nbytes

    def probe(self, i: int, j: int, k: int) -> Probe:
        """Return what is known of one voxel.

        Raises
        ------
        IndexError
            Outside the scan.
        """
        if not all(0 <= n < side for n, side in zip((i, j, k), self.scan.shape, strict=True)):
            raise IndexError(f"Voxel ({i}, {j}, {k}) is outside the scan of {self.scan.shape}.")
        with self._lock:
            if k in self._painted.unseen:
                self._painted.refresh(k)
            return probe_voxel(self.scan, self._painted, i, j, k)

    def evidence(self, k: int) -> Evidence | None:
        """Return what is known of a slice; None before it is coloured, and of a table."""
        return self._painted.kept[k]

    def colored(self, k: int) -> bool:
        """Whether a slice has colours, of whatever look; all that is known of it may still be on its way."""
        return self._painted.begun(k)

    def posteriors(self, k: int) -> NDArray[np.float32] | None:
        """Return the probabilities of all classes in a slice, (K, nj, ni); None as for :meth:`evidence`."""
        evidence = self.evidence(k)
        return None if evidence is None else evidence.posteriors()

    def amend(self, k: int, evidence: Evidence) -> None:
        """Paint a slice from what somebody says of it, in place of what the colorizer said.

        Whoever amends writes into :attr:`amendments` what was said: it becomes part of the provenance.
        """
        with self._lock:
            self._painted.amend(k, evidence)

    def fidelity(self, k: int | None = None) -> tuple[int, int]:
        """Return (pixels that break the law, pixels compared) of a slice, or of the volume: None.

        Lightness: the gray of the scan must come back from the colour. Table: the colour must be that of the gray.
        Pixels that were colour already are not ours and not compared.
        """
        if k is None:
            counts = [self.fidelity(number) for number in range(self.total)]
            return sum(broken for broken, _ in counts), sum(compared for _, compared in counts)
        with self._lock:
            self._painted.refresh(k)
            rgb, shown = self._painted.volume.rgba[k, ..., :3].copy(), self._painted.shown[k]
        return broken_pixels(self.scan, k, rgb, *shown)

    def legend(self) -> Legend:
        """Return what the colours mean in the look of now, with shares over the slices coloured so far."""
        slices, look = self._ready(), self.look
        if look.table is not None:
            return table_legend(self.scan, self.display, look.table)
        own = slices.colorizer.legend_for(self.scan) if look.palette and look.palette.modality == "SEG" else None
        if own is not None:
            return recolored(own, look)
        with self._lock:
            totals = list(self._painted.totals.values())
        among = f"in {len(totals)} of {self.total} slices, by {slices.colorizer.name}"
        if isinstance(slices, LearnedSlices):
            return slices.legend(totals, among, look)
        return class_legend(look, totals, among, bounds=self.scan.units.startswith("SUV"))

    def ramps(self) -> NDArray[np.uint8]:
        """Return the colour of each class for each gray, (K, 256, 3), in the look of now; of a table (1, 256, 3)."""
        return ramps(self.look)

    def _ready(self) -> Slicewise:
        if self._slices is None:
            raise SettingError("Nothing is coloured yet: this is known once work has begun.")
        return self._slices

    def _show_all(self) -> None:
        if self._working.locked():
            return
        for k in self._painted.unseen.tolist():
            with self._lock:
                self._painted.refresh(k)


__all__ = ["LiveColors", "Step"]
