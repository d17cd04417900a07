"""One scan of a viewer being coloured: its session, its layer, its thread. Computing is medcolor.viewing's."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any
from weakref import WeakMethod

from medcolor.errors import MedcolorError
from medcolor.viewing.placement import place
from medcolor.viewing.session import ColoringSession, Step
from napari_plugin import desk, layers
from napari_plugin.ahead import Ahead
from napari_plugin.color_layer import ColorLayer

if TYPE_CHECKING:
    from medcolor.scan import Scan
    from medcolor.viewing.apart import Apart

_KEPT = 3  # colorizers whose work is remembered for one scan
_SLOW = {"palette", "cvd"}  # may optimize colours first: not in the window's thread
_IN_3D = 8  # ticks between uploads of a whole volume
Checked = tuple[int, int] | str | None


def steps(session: ColoringSession, first: int, stop: threading.Event) -> Generator[int, None, Checked]:
    """Colour, then compare every pixel with its gray; a refusal comes back as its sentence."""
    try:
        yield from session.work(first)
        broken = compared = 0
        for k in range(session.total):
            if stop.is_set() or session.step is not Step.DONE:
                return None
            differing, count = session.fidelity(k)
            broken, compared = broken + differing, compared + count
    except (MedcolorError, FileNotFoundError) as error:
        return desk.in_words(error)
    return broken, compared


class Coloring:
    """Colours of one scan in one viewer. Every method belongs to the window's thread.

    Parameters
    ----------
    viewer
    gray
        The layer of the scan.
    tell
        Called after every change that a panel should show.
    apart
        The process that runs networks for the viewer; None: they run in a thread.
    """

    def __init__(self, viewer: Any, gray: Any, tell: Callable[[], None], apart: Apart | None = None) -> None:
        self.viewer, self.gray, self._tell, self._apart = viewer, gray, tell, apart
        self.scan: Scan = (layers.about(gray) or {})["scan"]
        self.placement = place(self.scan)
        self.name = gray.name.rsplit(" (", 1)[0]
        self.session: ColoringSession | None = None
        self.place_of_layer = ColorLayer(viewer, gray, self.scan, self.name)
        self.fidelity: tuple[int, int] | None = None
        self.on_layer: list[Callable[[Coloring], None]] = []
        self._sessions: dict[str, ColoringSession] = {}
        self.ahead = Ahead(self.scan, apart)
        self._worker: Any = None
        self._stop, self._refused = threading.Event(), False
        self._pending: dict[str, Any] = {}
        self._painter: Any = None
        self._dirty, self._ticks, self._closed = False, 0, False
        viewer.dims.events.point.connect(self._on_dims)

    # What goes on

    @property
    def working(self) -> bool:
        """Whether a thread is at work."""
        return self._worker is not None

    @property
    def shown(self) -> bool:
        """Whether the colours are a layer of the viewer."""
        return self.place_of_layer.shown

    @property
    def layer(self) -> Any:
        """The layer of the colours, None before there are any."""
        return self.place_of_layer.layer

    @property
    def settled(self) -> bool:
        """Whether the look that was asked for last is in use."""
        return self._painter is None and not self._pending

    @property
    def visible_slice(self) -> int:
        """The slice nearest to where the viewer is."""
        position = self.gray.world_to_data(self.viewer.dims.point)[-3:]
        return min(max(self.placement.voxel(position)[2], 0), self.scan.shape[2] - 1)

    @property
    def along(self) -> bool:
        """Whether whole slices are on the screen, as acquired."""
        stepped = self.viewer.dims.ndim - 3 + self.placement.slice_axis
        return stepped not in self.viewer.dims.displayed

    # What a user does

    def start(self, *, colorizer: str = "auto", **look: Any) -> None:
        """Colour with a colorizer, or go on; one that was used before comes back at once.

        Raises
        ------
        MedcolorError
            A setting out of range, or not enough memory.
        """
        known = self._sessions.pop(colorizer, None) or self.ahead.taken(colorizer, look)
        session = known or ColoringSession(self.scan, colorizer=colorizer, apart=self._apart, **look)
        if session is not self.session:
            self.cancel()
            self.detach()
        self._sessions[colorizer] = session
        while len(self._sessions) > _KEPT:
            self._sessions.pop(next(iter(self._sessions))).close()
        self.session, self.fidelity = session, None
        if known is not None:
            session.recolor(**look)
            if session.done:
                self._show()
        self._run()

    def get_ready(self, **look: Any) -> None:
        """Let the other process load and fit what may soon be asked for, and take the place of the layer."""
        if self.session is None and not self._closed:
            self.place_of_layer.take()
            self.ahead.get_ready(**look)

    def change(self, **look: Any) -> None:
        """Repaint with another palette, strength, window, fade, or for another eye; the visible slice at once."""
        if self.session is None or not look:
            return
        if _SLOW & look.keys() or self._painter is not None:
            self._pending |= look
            self._paint_later()
            return
        try:
            self.session.recolor(**look)
        except MedcolorError as error:
            desk.refuse(error)
        self._repainted()

    def cancel(self) -> None:
        """Stop the thread soon; what is coloured stays."""
        self._stop.set()
        if self.session is not None:
            self.session.cancel()

    def detach(self) -> None:
        """Let what still winds down end by itself: another colorizer comes."""
        self._worker = None

    def resume(self) -> None:
        """Go on where something is left to paint or to check, after a cancel or a change of look."""
        if self.session is not None and (self.session.stale or self.fidelity is None) and self.settled:
            self._run()

    def close(self) -> None:
        """End everything for good; layers stay as they are. May be called twice."""
        self._closed = True
        self._stop.set()
        self.ahead.close()
        for session in self._sessions.values():
            if self.working or session.stale or session is not self.session:
                session.close()  # what is coloured can still be saved
        self.viewer.dims.events.point.disconnect(self._on_dims)

    def tick(self) -> None:
        """Show what came since the last tick, where slices are not shown one by one."""
        self._ticks += 1
        if self._dirty and not self.along and (self.viewer.dims.ndisplay == 2 or self._ticks % _IN_3D == 0):
            self.refresh()

    def refresh(self) -> None:
        """Draw the layer anew."""
        self._dirty = False
        if self.shown:
            self.layer.refresh(thumbnail=False, extent=False, highlight=False)

    # The thread

    def _run(self) -> None:
        from napari.qt.threading import GeneratorWorker

        if self.session is None or self.working or self._closed:
            return
        self._stop, self._refused = threading.Event(), False
        self._worker = worker = GeneratorWorker(steps, self.session, self.visible_slice, self._stop)
        this = id(worker)
        worker.yielded.connect(_heard(self._on_slice, this))
        worker.returned.connect(_heard(self._on_return, this))
        worker.finished.connect(_heard(self._on_end, this))
        worker.start()
        self._tell()

    def _on_slice(self, worker: int, k: int) -> None:
        if worker != id(self._worker) or self._closed:
            return
        self._dirty = True
        if not self.place_of_layer.shows(self.session):
            self._show()
        elif self.along and k == self.visible_slice:
            self.refresh()
        self._tell()

    def _on_return(self, worker: int, checked: Checked) -> None:
        if worker != id(self._worker) or self._closed:
            return
        self._refused = isinstance(checked, str)
        if isinstance(checked, str):
            desk.tell(checked)
        else:
            self.fidelity = checked

    def _on_end(self, worker: int) -> None:
        if worker != id(self._worker):
            return
        self._worker = None
        if not self._closed:
            self.refresh()
            if not self._refused and not self._stop.is_set():
                self.resume()  # a look that changed while the last slices were checked left some to paint
            self._tell()

    def _paint_later(self) -> None:
        from napari.qt.threading import FunctionWorker

        if self._painter is not None or self.session is None or self._closed:
            return
        look, self._pending = self._pending, {}
        self._painter = worker = FunctionWorker(_recolor, self.session, look)
        worker.returned.connect(_heard(self._on_painted))
        worker.start()

    def _on_painted(self, refusal: str) -> None:
        self._painter = None
        if self._closed:
            return
        if refusal:
            desk.tell(refusal)
        if self._pending:
            self._paint_later()
        self._repainted()
        self.resume()

    def _repainted(self) -> None:
        self.fidelity = None
        self.refresh()
        self._tell()

    # The layer

    def _show(self) -> None:
        """Put the picture of the session on the canvas."""
        assert self.session is not None
        first = self.place_of_layer.show(self.session)
        self._dirty = False
        for follow in self.on_layer:
            follow(self)
        if first:
            self.place_of_layer.select()  # now the status bar reads tissues, not red and green

    def _on_dims(self, event: Any = None) -> None:
        if self.session is None or self._closed:
            return
        if self.session.look_at(self.visible_slice) and self.along:
            self.refresh()


def _heard(method: Callable[..., None], *first: Any) -> Callable[..., None]:
    """Let a signal call a method and keep nothing alive: what Qt holds, Python's collector does not see."""
    weak = WeakMethod(method)

    def call(*given: Any) -> None:
        found = weak()
        if found is not None:
            found(*first, *given)

    return call


def _recolor(session: ColoringSession, look: dict[str, Any]) -> str:
    try:
        session.recolor(**look)
    except (MedcolorError, FileNotFoundError) as error:
        return desk.in_words(error)
    return ""
