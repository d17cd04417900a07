"""One scan of a viewer being coloured: its session, its layer, its thread. Computing is medcolor.viewing's."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from medcolor.errors import MedcolorError
from medcolor.viewing.placement import place
from medcolor.viewing.session import ColoringSession
from napari_plugin import desk, layers
from napari_plugin.ahead import Ahead
from napari_plugin.color_layer import ColorLayer
from napari_plugin.turns import Turns
from napari_plugin.work import Checked, heard, repaint, steps

if TYPE_CHECKING:
    from medcolor.scan import Scan
    from medcolor.viewing.apart import Apart

_KEPT = 3  # colorizers whose work is remembered for one scan
_SLOW = {"palette", "cvd"}  # may optimize colours first: not in the window's thread
_IN_3D = 8  # ticks between uploads of a whole volume


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
        self.turns, self._room = Turns(viewer), threading.Event()
        self.preparing: list[Callable[[], object]] = []
        self._soon: dict[str, Any] = {}
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
        self._make_room()
        self._sessions[colorizer] = session
        while len(self._sessions) > _KEPT:
            self._sessions.pop(next(iter(self._sessions))).close()
        self.session, self.fidelity = session, None
        if known is not None:
            session.recolor(**look)
            if session.done:
                self._show()
        self._run()

    @property
    def prepared(self) -> bool:
        """Whether nothing is left to do before somebody asks for colours."""
        return self.ahead.ready and self.turns.idle

    def get_ready(self, **look: Any) -> None:
        """Make room on the canvas, then let the other process load and fit what may soon be asked for."""
        if self.session is None and not self._closed:
            self._soon = look
            self._make_room()
            self.turns.then(self._load)

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
        self.turns.close()
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
        self._worker = worker = GeneratorWorker(steps, self.session, self.visible_slice, self._stop, self._room)
        this = id(worker)
        worker.yielded.connect(heard(self._on_slice, this))
        worker.returned.connect(heard(self._on_return, this))
        worker.finished.connect(heard(self._on_end, this))
        worker.start()
        self._tell()

    def _on_slice(self, worker: int, k: int) -> None:
        if worker != id(self._worker) or self._closed:
            return
        self._dirty = True
        if not self.place_of_layer.shows(self.session):
            self._show_soon()
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
        self._painter = worker = FunctionWorker(repaint, self.session, look)
        worker.returned.connect(heard(self._on_painted))
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

    def _make_room(self) -> None:
        """Add the layer, let it be drawn, and do what else takes the window long; each in a turn of its own."""
        if self.place_of_layer.taken:
            self._room.set()
        else:
            self._room.clear()
            self.turns.then(self.place_of_layer.take, self.place_of_layer.wake, *self.preparing, self._room.set)

    def _load(self) -> None:
        if self.session is None:
            self.ahead.get_ready(**self._soon)

    def _show_soon(self) -> None:
        """Put the picture on the canvas, at once where its place is taken."""
        if self.place_of_layer.taken:
            self._show()
        else:
            if self._room.is_set():  # somebody removed the layer meanwhile
                self._make_room()
            self.turns.then(self._show)

    def _show(self) -> None:
        """Put the picture of the session on the canvas."""
        if self.session is None or self.place_of_layer.shows(self.session):
            return
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
