"""A session that is got ready before anybody asks for colours."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, NamedTuple

from medcolor.errors import MedcolorError
from medcolor.viewing.session import ColoringSession

if TYPE_CHECKING:
    from medcolor.scan import Scan
    from medcolor.viewing.apart import Apart


class _Kept(NamedTuple):
    colorizer: str
    cvd: str | None  # finding colours for an eye takes long: not in the window's thread
    session: ColoringSession
    over: threading.Event


class Ahead:
    """What may soon be asked for of one scan: a network is loaded in ``apart``, for all others there is little."""

    def __init__(self, scan: Scan, apart: Apart | None) -> None:
        self._scan, self._apart = scan, apart
        self._kept: _Kept | None = None

    @property
    def ready(self) -> bool:
        """Whether nothing is left to do before somebody asks for colours."""
        return self._kept is not None and self._kept.over.is_set()

    def get_ready(self, *, colorizer: str = "auto", **look: Any) -> None:
        """Load and fit, in a thread."""
        if self._apart is None or (self._kept is not None and self._kept.colorizer == colorizer):
            return
        from napari.qt.threading import FunctionWorker

        self.close()
        try:
            session = ColoringSession(self._scan, colorizer=colorizer, apart=self._apart, **look)
        except MedcolorError:
            return  # said when somebody asks for colours
        self._kept = _Kept(colorizer, look.get("cvd"), session, threading.Event())
        FunctionWorker(_get_ready, session, self._kept.over).start()

    def taken(self, colorizer: str, look: dict[str, Any]) -> ColoringSession | None:
        """Return the session, where it is the one that is asked for."""
        kept = self._kept
        if kept is None or (kept.colorizer, kept.cvd) != (colorizer, look.get("cvd")):
            self.close()
            return None
        self._kept = None
        return kept.session

    def close(self) -> None:
        """Let go of it."""
        if self._kept is not None:
            self._kept.session.close()
            self._kept = None


def _get_ready(session: ColoringSession, over: threading.Event) -> None:
    try:
        session.get_ready()
    finally:
        over.set()
