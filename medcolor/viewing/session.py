"""Colouring while somebody looks: the visible slice first, the nearest next, and every change of mind at once.

The colorizer is asked once about each slice; what it says is kept at a few bytes a voxel, so that palette, strength,
colour vision and window repaint without it. One thread iterates :meth:`ColoringSession.work`; any other may look,
recolour, probe or cancel meanwhile.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from medcolor.color_scan import ColorScan
from medcolor.colorizers import Colorizer, Progress
from medcolor.colorizers.chroma_slices import LearnedSlices
from medcolor.colorizers.evidence import Evidence
from medcolor.colorizers.looks import Check, Settings, Style, checked_settings
from medcolor.colorizers.point_hints import Hint
from medcolor.errors import SettingError
from medcolor.scan import Scan, from_slices
from medcolor.viewing.apart import Apart
from medcolor.viewing.apart_slices import ApartMethod, ApartSlices
from medcolor.viewing.interrupt import Cancelled
from medcolor.viewing.live import Step
from medcolor.viewing.memory import require_memory, require_room
from medcolor.viewing.preparing import PreparedColors, warm_up
from medcolor.viewing.probing import Probe
from medcolor.vision import Deficiency
from medcolor.voi import Display
from medcolor.windowing import resolve_display

_AT_ONCE = 1 << 20  # pixels of a slice that are repainted in the thread of whoever asks


class ColoringSession(PreparedColors):
    """One scan being coloured for a viewer.

    Parameters
    ----------
    scan : Scan
    colorizer : str or Colorizer
        A spec of :func:`medcolor.load_colorizer`, loaded when work begins; or a colorizer.
    palette, strength, cvd, fade
        As for :func:`medcolor.load_colorizer`, and a palette may be a :class:`~medcolor.palettes.Palette`; None: what
        the colorizer has.
    window : Window, VoiLut, str or None
        None: as the file asks.
    apart : Apart, optional
        The process that runs trained networks for a window; without it they run in whichever thread iterates.

    Raises
    ------
    SettingError, UnknownColorizerError
        A strength or fade out of range, a window that is none, or a scan too large for the memory that is free.

    Notes
    -----
    Memory beside the scan: 6 bytes a voxel for picture, gray and confidence, and 2 (physics) or about 5 (networks)
    for what is kept: 0.6 GB and 0.9 GB for 512 x 512 x 300.
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
        apart: Apart | None = None,
    ) -> None:
        checked_settings(strength, fade)
        display = resolve_display(scan, window)
        require_memory(scan, copied=apart is not None)
        super().__init__(scan, display, colorizer, Settings(palette, strength, cvd, fade), apart)
        self._asking = threading.Lock()

    # Work

    def work(self, first: int | None = None) -> Iterator[int]:
        """Colour slice by slice, the visible one first and the nearest next; yield each when it is painted.

        Ends when every slice shows the look of now, or after :meth:`cancel`; calling it again goes on from there.
        Physics looks at the whole volume before its first slice: :attr:`step` says so.

        Parameters
        ----------
        first : int, optional
            The visible slice, as by :meth:`look_at`.

        Raises
        ------
        MedcolorError
            What the colorizer refuses.
        RuntimeError
            Somebody else iterates already.
        """
        self._stop.clear()
        if first is not None:
            self._visible = self._inside(first)
        return self._iterate()

    def _iterate(self) -> Iterator[int]:
        if not self._working.acquire(blocking=False):
            raise RuntimeError("This session is at work already.")
        try:
            self._prepare()
            self.step = Step.COLORING
            while (k := self._next(self._painted.waiting)) is not None:
                self._color(k)
                yield k
                self._afterwards(k)
            while (k := self._next(self._painted.unrated)) is not None:
                self._painted.settle(k)
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
        if self.step is Step.DONE:
            self._look_ahead()

    def color_slice(self, k: int) -> None:
        """Colour one slice now, in this thread."""
        self._prepare()
        self._color(k)
        self._painted.settle(k)

    def look_at(self, k: int) -> bool:
        """Say which slice is visible; return whether its pixels changed at once, as far as they are known."""
        with self._lock:
            self._visible = self._inside(k)
            return self._at_once()

    def cancel(self) -> None:
        """End :meth:`work` or :meth:`result` soon; what is coloured stays."""
        self._stop.set()

    def close(self) -> None:
        """Cancel, for good. Arrays stay valid for whoever holds them."""
        self._closed = True
        self._stop.set()
        if isinstance(self._slices, ApartSlices | ApartMethod):
            self._slices.close()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until nobody iterates; return whether that came about within ``timeout`` seconds."""
        if not self._working.acquire(timeout=-1 if timeout is None else timeout):
            return False
        self._working.release()
        return True

    def recolor(
        self,
        *,
        palette: Style | None = None,
        strength: float | None = None,
        cvd: str | None = "unchanged",
        window: Display | str | None = None,
        fade: float | None = None,
    ) -> bool:
        """Change what is given, and repaint the visible slice at once; :meth:`work` repaints the others.

        ``cvd=None`` is normal vision; leaving it out changes nothing. Return whether the visible slice was repainted:
        of more than a million pixels it is left to :meth:`work`, so that a window's thread never waits.

        Raises
        ------
        SettingError, PaletteError, UnknownColorizerError
            Nothing changes then.
        """
        checked_settings(strength, fade)
        display = None if window is None else resolve_display(self.scan, window)
        chosen = Settings(palette, strength, self._settings.cvd if cvd == "unchanged" else cvd, fade)
        settings = chosen.over(self._settings)
        new = settings != self._settings
        look = self._slices.look(settings) if new and self._slices is not None else None
        with self._lock:
            self._settings = settings
            if look is not None or display is not None:
                self._painted.change(look=look, display=display)
            return self._at_once()

    @property
    def takes_hints(self) -> bool:
        """Whether the network itself is told of single voxels (zhang2017)."""
        return self._slices is not None and "hints" in getattr(self._slices.colorizer, "needs", ())

    @property
    def hints(self) -> tuple[Hint, ...]:
        """What the network is told of single voxels."""
        return tuple(getattr(self._slices, "hints", ()))

    def tell(self, hints: Sequence[Hint]) -> tuple[int, ...]:
        """Tell the network these hints in place of those it knows; return the slices that look otherwise now.

        They are painted before this returns: the encoder's part is known of a slice that was looked at, so that it
        takes the decoder's time. What can wait (confidence, sums) is left to :meth:`work` or :meth:`settle`. Hints are
        part of the provenance.

        Raises
        ------
        SettingError
            Nothing is coloured yet; the colorizer takes no hints; or one is outside the scan or of no known class.
        """
        slices = self._ready()
        if not isinstance(slices, LearnedSlices):
            raise SettingError(f"{slices.colorizer.name} is told no hints by its network; zhang2017 is.")
        changed = tuple(k for k in slices.tell(hints) if self.colored(k))
        for k in changed:
            with self._lock:
                self._painted.renew(k)
            self._ask(k, self._check_open)
        return changed

    def settle(self, k: int) -> None:
        """Do what can wait until a slice is seen."""
        self._painted.settle(k)

    def result(self, *, progress: Progress | None = None) -> ColorScan:
        """Return the coloured scan, the same bytes as the colorizer called on the scan.

        Slices that were repainted from what was kept are asked about again where that was not exact. Where slices
        were amended, the provenance says so.

        Raises
        ------
        SettingError
            Slices are not coloured yet.
        RuntimeError
            The session is at work.
        Cancelled
            By :meth:`cancel`.
        """
        if not self._working.acquire(blocking=False):
            raise RuntimeError("This session is at work; wait, or cancel it.")
        try:
            self._stop.clear()
            if self.stale:
                raise SettingError(f"{self.stale} of {self.total} slices are not coloured yet: let it finish first.")
            ni, nj, nk = self.scan.shape
            rgb = np.empty((nk, nj, ni, 3), np.uint8)
            for k in range(nk):
                self._check()
                if not self._painted.exact[k] and not (self._painted.amended[k] and self.amendments):
                    self._ask(k)
                rgb[k] = self._painted.volume.rgba[k, ..., :3]
                if progress is not None:
                    progress(k + 1, nk)
            passed = 0 if self.scan.colored is None else int(np.count_nonzero(self.scan.colored))
            made = self._ready().record((from_slices(rgb), passed), self.display, self.look, seed=0)
            options = {**made.provenance.options, **self.amendments}
            return replace(made, provenance=replace(made.provenance, options=options)) if self.amendments else made
        finally:
            self._working.release()

    # Inside

    def _at_once(self) -> bool:
        ni, nj, _ = self.scan.shape
        return ni * nj <= _AT_ONCE and self._painted.refresh(self._visible)

    def _inside(self, k: int) -> int:
        return min(max(int(k), 0), self.total - 1)

    def _next(self, among: NDArray[np.intp]) -> int | None:
        self._check()
        return int(among[np.argmin(np.abs(among - self._visible))]) if among.size else None

    def _color(self, k: int) -> None:
        if self._painted.knows(k):
            self._paint(k)
        else:
            self._ask(k)

    def _check_open(self) -> None:
        """Raise where nobody looks any more; a cancel of the work in the background is no reason."""
        if self._closed:
            raise Cancelled("This session was closed.")

    def _ask(self, k: int, check: Check | None = None) -> None:
        require_room()
        with self._asking:
            evidence = self._ready().evidence(k, check=check or self._check)
        self._paint(k, evidence)

    def _paint(self, k: int, evidence: Evidence | None = None) -> None:
        """Paint beside the volume, so that nobody waits, and again where the look was changed meanwhile."""
        while True:
            with self._lock:
                painting = self._painted.begin(k, evidence)
            if painting is None:
                return
            painting.paint()
            with self._lock:
                if self._painted.hang(painting):
                    return
            self._check()

    def _afterwards(self, k: int) -> None:
        """Do what can wait until a slice is seen: keep it compactly, and show the gray of all others."""
        self._painted.settle(k)
        if self.look.table is not None:
            return
        while (unseen := self._next(self._painted.unseen)) is not None:
            self._paint(unseen)

    def _look_ahead(self) -> None:
        """Find the palettes for eyes that see otherwise, so that choosing one repaints at once."""
        try:
            if self._slices is not None and self._painted.look is not None and self._painted.look.palette is not None:
                for deficiency in Deficiency:
                    self._check()
                    self._slices.look(replace(self._settings, cvd=str(deficiency)))
        except Cancelled:
            pass


__all__ = ["Cancelled", "ColoringSession", "Probe", "Step", "warm_up"]
