"""Colouring while somebody looks: the visible slice first, the nearest next, and every change of mind at once.

The colorizer is asked once about each slice; what it says is kept at a few bytes a voxel, so that palette, strength,
colour vision and window repaint without it. One thread iterates :meth:`ColoringSession.work`; any other may look,
recolour, probe or cancel meanwhile.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from medcolor.color import restore_gray
from medcolor.color_scan import ColorScan, Law
from medcolor.colorizers import Colorizer, Progress, load_colorizer
from medcolor.colorizers.evidence import Evidence, Index, Look
from medcolor.colorizers.slicewise import Slicewise, Style, slicewise
from medcolor.errors import SettingError
from medcolor.report.legend import Legend
from medcolor.scan import Finding, Scan, from_slices, to_slices
from medcolor.viewing.interrupt import Cancelled, interruptible
from medcolor.viewing.legends import class_legend, ramps, recolored, table_legend
from medcolor.viewing.memory import require_memory
from medcolor.viewing.painted import PaintedVolume
from medcolor.voi import Display
from medcolor.windowing import grayscale, resolve_display

_INDICES = 3  # slices whose places in the table are remembered: dragging a window touches nothing else


class Step(StrEnum):
    """What a session is doing."""

    WAITING = "waiting"
    LOADING = "loading the colorizer"
    FITTING = "looking at the whole volume"
    COLORING = "colouring"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Probe:
    """What is known of one voxel.

    Attributes
    ----------
    value : float
        In ``unit``.
    unit : str
    gray : int
        As displayed.
    rgb : tuple of int
    tissue : tuple of (name, probability)
        Classes from the most probable on; empty before the slice is coloured, and for a table.
    confidence : float or None
        0..1; None where there is none.
    gray_recoverable : bool
        Whether the gray comes back from the colour.
    """

    value: float
    unit: str
    gray: int
    rgb: tuple[int, int, int]
    tissue: tuple[tuple[str, float], ...]
    confidence: float | None
    gray_recoverable: bool


@dataclass(frozen=True, slots=True)
class Settings:
    """What was asked for; None: as the colorizer has it."""

    palette: Style | None = None
    strength: float | None = None
    cvd: str | None = None
    fade: float | None = None


class ColoringSession:
    """One scan being coloured for a viewer.

    Parameters
    ----------
    scan : Scan
    colorizer : str or Colorizer
        A spec of :func:`medcolor.load_colorizer`, loaded when work begins; or a colorizer.
    palette, strength, cvd, fade
        As for :func:`medcolor.load_colorizer`; None: what the colorizer has.
    window : Window, VoiLut, str or None
        None: as the file asks.

    Raises
    ------
    SettingError, UnknownColorizerError
        A window that is none.
    """

    def __init__(
        self,
        scan: Scan,
        *,
        colorizer: str | Colorizer = "auto",
        palette: Style | None = None,
        strength: float | None = None,
        cvd: str | None = None,
        window: Display | str | None = None,
        fade: float | None = None,
    ) -> None:
        self.scan = scan
        self._wanted = colorizer
        self._settings = Settings(palette, strength, cvd, fade)
        display = resolve_display(scan, window)
        require_memory(scan)
        self.volume = PaintedVolume(scan, display)
        nk = scan.shape[2]
        self._kept: list[Evidence | None] = [None] * nk
        self._exact = np.zeros(nk, np.bool_)
        self._painted = np.full(nk, -1)  # which version of the look each slice shows
        self._colored = np.zeros(nk, np.bool_)
        self._version, self._visible = 0, nk // 2
        self._look: Look | None = None
        self._slices: Slicewise | None = None
        self._shown: list[tuple[Look | None, Display]] = [(None, display)] * nk
        self._indices: dict[int, tuple[Look, Evidence, Index]] = {}
        self._totals: dict[int, NDArray[np.float64]] = {}
        self._lock, self._working = threading.RLock(), threading.Lock()
        self._stop = threading.Event()
        self._opened = False
        self.step = Step.WAITING

    # What is shown

    @property
    def rgba(self) -> NDArray[np.uint8]:
        """RGBA, (nk, nj, ni, 4), live: slices that are not coloured yet show the gray."""
        self._open()
        return self.volume.rgba

    @property
    def gray(self) -> NDArray[np.uint8]:
        """Display gray, (nk, nj, ni), live."""
        self._open()
        return self.volume.gray

    @property
    def confidence(self) -> NDArray[np.uint8]:
        """How far colours can be relied on, (nk, nj, ni), live; 255 is 1, and 0 where nothing is coloured yet."""
        return self.volume.confidence

    @property
    def done(self) -> int:
        """How many slices are coloured, in whatever look."""
        return int(self._colored.sum())

    @property
    def total(self) -> int:
        """How many slices there are."""
        return len(self._kept)

    @property
    def stale(self) -> int:
        """How many slices do not show the latest look yet; call :meth:`work` where that is not 0."""
        return int((self._painted != self._version).sum())

    @property
    def law(self) -> Law:
        """The law that the colours obey."""
        return self._ready().colorizer.law

    @property
    def colorizer(self) -> Colorizer:
        """Who colours: what "auto" chose, too. Known once work has begun."""
        return self._ready().colorizer

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What a user should know about how colours came to the scan."""
        return () if self._slices is None else self._slices.findings

    # Work

    def color_slice(self, k: int) -> None:
        """Colour one slice now, in this thread."""
        self._prepare()
        self._color(k)

    def work(self, first: int | None = None) -> Iterator[int]:
        """Colour slice by slice, the visible one first and the nearest next; yield each when it is painted.

        Ends when every slice shows the latest look, or after :meth:`cancel`; calling it again goes on.

        Raises
        ------
        MedcolorError
            What the colorizer refuses.
        RuntimeError
            Somebody else iterates already.
        """
        if not self._working.acquire(blocking=False):
            raise RuntimeError("This session is at work already.")
        try:
            self._stop.clear()
            if first is not None:
                self.look_at(first)
            self._open()
            self._prepare()
            self.step = Step.COLORING
            while (k := self._next()) is not None:
                self._color(k)
                yield k
            self.step = Step.DONE
        except Cancelled:
            self.step = Step.CANCELLED
        except GeneratorExit:
            self.step = Step.CANCELLED
            raise
        except BaseException:
            self.step = Step.FAILED
            raise
        finally:
            self._working.release()

    def look_at(self, k: int) -> bool:
        """Say which slice is visible; return whether it was repainted at once (its colours were known)."""
        with self._lock:
            self._visible = min(max(int(k), 0), self.total - 1)
            return self._repaint(self._visible)

    def cancel(self) -> None:
        """End :meth:`work` soon; what is coloured stays."""
        self._stop.set()

    def recolor(
        self,
        *,
        palette: Style | None = None,
        strength: float | None = None,
        cvd: str | None = "unchanged",
        window: Display | str | None = None,
        fade: float | None = None,
    ) -> None:
        """Change what is given, and repaint the visible slice at once; :meth:`work` repaints the others.

        ``cvd=None`` is normal vision; leaving it out changes nothing.

        Raises
        ------
        SettingError, PaletteError, UnknownColorizerError
            Nothing changes then.
        """
        old = self._settings
        settings = Settings(
            old.palette if palette is None else palette,
            old.strength if strength is None else float(strength),
            old.cvd if cvd == "unchanged" else cvd,
            old.fade if fade is None else float(fade),
        )
        display = None if window is None else resolve_display(self.scan, window)
        look = self._look if settings == old or self._slices is None else self._make_look(settings)
        with self._lock:
            self._settings, self._look = settings, look
            if display is not None:
                self.volume.display = display
            self._version += 1
            self._repaint(self._visible)

    # What is known

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
            self._open()
            kept, look = self._kept[k], self._look
            gray, (r, g, b) = int(self.volume.gray[k, j, i]), self.volume.rgba[k, j, i, :3].tolist()
            confidence = int(self.volume.confidence[k, j, i]) / 255 if kept is not None else None
        tissue: list[tuple[str, float]] = []
        if kept is not None and look is not None and look.palette is not None:
            named = zip(look.palette.names, kept.at(j, i).tolist(), strict=True)
            tissue = sorted(named, key=lambda pair: -pair[1])
        value = self.scan.voxels[i, j, k].item()
        back = int(restore_gray(np.array([r, g, b], np.uint8)))
        return Probe(value, self.scan.units, gray, (r, g, b), tuple(tissue), confidence, back == gray)

    def fidelity(self, k: int | None = None) -> tuple[int, int]:
        """Return (pixels that break the law, pixels compared) of a slice, or of the volume: None.

        Lightness: the gray of the scan must come back from the colour. Table: the colour must be that of the gray.
        Pixels that were colour already are not ours and not compared.
        """
        if k is None:
            counts = [self.fidelity(number) for number in range(self.total)]
            return sum(broken for broken, _ in counts), sum(compared for _, compared in counts)
        self._open()
        with self._lock:
            rgb, (look, display) = self.volume.rgba[k, ..., :3].copy(), self._shown[k]
        gray = grayscale(self.scan, display)(slice(k, k + 1))[0]
        if look is None or look.table is None:
            differs = restore_gray(rgb) != gray
        else:
            differs = (look.table.take(gray, axis=0) != rgb).any(axis=-1)
        if self.scan.colored is None:
            return int(np.count_nonzero(differs)), differs.size
        ours = ~to_slices(self.scan.colored)[k]
        return int(np.count_nonzero(differs & ours)), int(np.count_nonzero(ours))

    def legend(self) -> Legend:
        """Return what the colours mean in the look of now, with shares over the slices coloured so far."""
        with self._lock:
            slices, look, display, totals = self._ready(), self._look, self.volume.display, list(self._totals.values())
        assert look is not None
        if look.table is not None:
            return table_legend(self.scan, display, look.table)
        assert look.palette is not None
        if look.palette.modality == "SEG":
            own = slices.colorizer.legend_for(self.scan)
            assert own is not None
            return recolored(own, look)
        shares = np.sum(totals, axis=0) if totals else np.zeros(len(look.palette.classes))
        measure = f"share of the image in {len(totals)} of {self.total} slices, by {slices.colorizer.name}"
        return class_legend(look.palette, look, shares, measure)

    def ramps(self) -> NDArray[np.uint8]:
        """Return the colour of each class for each gray, (K, 256, 3), in the look of now; of a table (1, 256, 3)."""
        self._ready()
        assert self._look is not None
        return ramps(self._look)

    def result(self, *, progress: Progress | None = None) -> ColorScan:
        """Return the coloured scan, the same bytes as the colorizer called on the scan.

        Slices that were repainted from what was kept are asked about again where that was not exact.

        Raises
        ------
        SettingError
            Slices are not coloured yet.
        RuntimeError
            The session is at work.
        """
        if not self._working.acquire(blocking=False):
            raise RuntimeError("This session is at work; wait, or cancel it.")
        try:
            if self.stale:
                raise SettingError(f"{self.stale} of {self.total} slices are not coloured yet: let it finish first.")
            for number in range(self.total):
                if not self._exact[number]:
                    self._color(number, again=True)
                if progress is not None:
                    progress(number + 1, self.total)
            slices, look = self._ready(), self._look
            assert look is not None
            rgb = np.ascontiguousarray(self.volume.rgba[..., :3])
            passed = 0 if self.scan.colored is None else int(np.count_nonzero(self.scan.colored))
            return slices.record((from_slices(rgb), passed), self.volume.display, look, seed=0)
        finally:
            self._working.release()

    # Inside

    def _check(self) -> None:
        if self._stop.is_set():
            raise Cancelled

    def _ready(self) -> Slicewise:
        if self._slices is None:
            raise SettingError("Nothing is coloured yet: this is known once work has begun.")
        return self._slices

    def _open(self) -> None:
        with self._lock:
            if not self._opened:
                for k in range(self.total):
                    self.volume.show_gray(k)
                self._opened = True

    def _prepare(self) -> None:
        if self._slices is not None:
            return
        self.step = Step.LOADING
        wanted = load_colorizer(self._wanted) if isinstance(self._wanted, str) else self._wanted
        self._check()
        self.step = Step.FITTING
        with interruptible(self._check):
            slices = slicewise(wanted, self.scan)
        with self._lock:
            self._slices = slices
            self._look = self._make_look(self._settings)

    def _make_look(self, settings: Settings) -> Look:
        slices = self._ready()
        by = slices.colorizer
        strength = getattr(by, "strength", 1.0) if settings.strength is None else settings.strength
        cvd = getattr(by, "cvd", None) if settings.cvd is None else settings.cvd
        fade = getattr(by, "fade", 0.0) if settings.fade is None else settings.fade
        own = getattr(by, "palette", None)
        palette = own if settings.palette is None and isinstance(own, str) else settings.palette
        return slices.look(palette, strength, cvd, fade)

    def _next(self) -> int | None:
        self._check()
        with self._lock:
            waiting = np.flatnonzero(self._painted != self._version)
            if not waiting.size:
                return None
            return int(waiting[np.argmin(np.abs(waiting - self._visible))])

    def _color(self, k: int, *, again: bool = False) -> None:
        slices = self._ready()
        with self._lock:
            if not again and self._repaint(k):
                return
        evidence = slices.evidence(k, check=self._check)
        compact = None if evidence is None else evidence.compact()
        with self._lock:
            if evidence is not None and compact is not None:
                if self._kept[k] is None:
                    self._kept[k] = compact
                    self._totals[k] = evidence.totals()
                    self.volume.confidence[k] = evidence.confidence()
                    if self._look and self._look.palette and self._look.palette.names[0] in {"outside", "air"}:
                        self.volume.limit(k, evidence.outside())
                self._paint(k, evidence)
            else:
                self._paint(k, None)
            self._colored[k] = True

    def _repaint(self, k: int) -> bool:
        """Paint a slice again from what is kept; return whether anything changed."""
        if self._painted[k] == self._version or self._look is None or not self._opened:
            return False
        if self._kept[k] is None and self._look.table is None:
            self.volume.show_gray(k)  # the window may have changed
            self._shown[k] = None, self.volume.display
            return False
        self._paint(k, self._kept[k])
        self._colored[k] = True
        return True

    def _paint(self, k: int, evidence: Evidence | None) -> None:
        look = self._look
        assert look is not None
        if evidence is None:
            assert look.table is not None
            self.volume.paint_table(k, look.table)
            self._exact[k] = True
        else:
            self.volume.paint_index(k, self._index(k, evidence, look))
            self._exact[k] = evidence.exact
        self._painted[k] = self._version
        self._shown[k] = look, self.volume.display

    def _index(self, k: int, evidence: Evidence, look: Look) -> Index:
        """Return the places in the table; those of the last slices are at hand while a window is dragged."""
        found = self._indices.get(k)
        if found is not None and found[0] is look and found[1] is evidence:
            return found[2]
        index = evidence.index(look)
        if k == self._visible:
            self._indices.pop(k, None)
            while len(self._indices) >= _INDICES:
                self._indices.pop(next(iter(self._indices)))
            self._indices[k] = look, evidence, index
        return index


__all__ = ["ColoringSession", "Probe", "Step"]
