"""A colorizer set to work on a scan: loaded, fitted, in this process or another, before anybody asks for a colour."""

from __future__ import annotations

import gc
import threading
from contextlib import suppress
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from medcolor.color import law_table
from medcolor.colorizers import Colorizer, load_colorizer
from medcolor.colorizers.looks import Settings
from medcolor.colorizers.slicewise import Slicewise, slicewise
from medcolor.errors import MedcolorError
from medcolor.scan import Scan
from medcolor.viewing.apart import Apart
from medcolor.viewing.apart_slices import apart_slices
from medcolor.viewing.interrupt import Cancelled, interruptible
from medcolor.viewing.live import LiveColors, Step
from medcolor.viewing.named_bundles import card_of
from medcolor.voi import Display

if TYPE_CHECKING:
    from medcolor.bundle_files import BundleCard

_LOOK = 0.05  # s between looks whether something is still wanted


class PreparedColors(LiveColors):
    """The side of :class:`~medcolor.viewing.session.ColoringSession` that comes before the first slice.

    Parameters
    ----------
    scan : Scan
    display : Display
    wanted : str or Colorizer
    settings : Settings
        What was chosen.
    apart : Apart or None
    """

    def __init__(
        self, scan: Scan, display: Display, wanted: str | Colorizer, settings: Settings, apart: Apart | None
    ) -> None:
        super().__init__(scan, display)
        self._wanted, self._settings = wanted, settings
        self._apart, self._preparing = apart, threading.Lock()
        self._stop, self._closed = threading.Event(), False
        self._visible = scan.shape[2] // 2

    def get_ready(self) -> None:
        """Have another process load and fit, before anybody asks for colours; only there: it costs nobody a wait.

        Where no network colours, the table of colours is made, and nothing else.

        :meth:`cancel` and :meth:`close` end it. What is refused is refused again by :meth:`work`, which is where
        somebody hears it.
        """
        with suppress(MedcolorError, FileNotFoundError):
            if self._bundle() is not None:
                self._prepare()
            else:
                warm_up()
        if self.step is Step.LOADING:
            self.step = Step.WAITING

    def _unwanted(self) -> bool:
        return self._stop.is_set() or self._closed

    def _check(self) -> None:
        if self._unwanted():
            raise Cancelled("Colouring was cancelled.")

    def _prepare(self) -> None:
        self._check()
        while not self._preparing.acquire(timeout=_LOOK):  # somebody gets it ready
            self._check()
        try:
            if self._slices is None:
                self.step = Step.LOADING
                self._set_up()
        finally:
            self._preparing.release()

    def _set_up(self) -> None:
        if self._apart is not None and self._bundle() is not None:
            self._apart.start()  # while this process does its part
        warm_up()
        self._check()
        slices = self._at_work()
        while self._slices is None:
            chosen = self._settings
            cvd = slices.own.cvd if chosen.cvd is None else chosen.cvd
            settings = replace(chosen.over(slices.own), cvd=cvd)
            look = slices.look(settings)
            with self._lock:
                if chosen is self._settings:  # nobody changed their mind meanwhile
                    self._painted.change(look=look)
                    self._slices, self._settings = slices, settings

    def _at_work(self) -> Slicewise:
        """Set the colorizer to work on the scan: its network in the other process, where there is one."""
        card = self._bundle()
        if card is not None and self._apart is not None:
            return apart_slices(self._apart, card, self.scan, lambda: self.look, first=self._visible, check=self._check)
        wanted = load_colorizer(self._wanted) if isinstance(self._wanted, str) else self._wanted
        self._check()
        self.step = Step.FITTING
        with interruptible(self._unwanted):
            return slicewise(wanted, self.scan)

    def _bundle(self) -> BundleCard | None:
        if self._apart is None or not isinstance(self._wanted, str):
            return None
        return card_of(self._wanted, self.scan)


def warm_up() -> None:
    """Do in advance what the first slice of a process would wait for: the table of colours. Takes about a second."""
    law_table()
    _spare_the_heap()


@cache
def _spare_the_heap() -> None:
    """Keep the garbage collector away from what lives already: a full pass over a window's heap stops it for 0.2 s.

    Our work makes objects and so sets such passes off. Once for each process: later garbage is collected as ever.
    """
    gc.freeze()


__all__ = ["PreparedColors", "warm_up"]
