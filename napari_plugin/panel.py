"""The colour panel: one button, and everything a reader needs to trust what it does."""

from __future__ import annotations

from functools import partial
from typing import Any

import napari.viewer  # the annotation, spelled out, is how napari hands its viewer over
from qtpy.QtCore import QEvent, QObject, Qt, QThreadPool, QTimer
from qtpy.QtWidgets import (
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from medcolor.errors import MedcolorError
from medcolor.viewing.apart import Apart
from medcolor.voi import Display
from napari_plugin import desk, layers, tabs
from napari_plugin.coloring import Coloring
from napari_plugin.panel_look import LookBox
from napari_plugin.panel_top import TopBox
from napari_plugin.panel_trust import TrustBox
from napari_plugin.probing import speak, words_at
from napari_plugin.showing import Showing
from napari_plugin.window_mouse import Windowing

_PATIENCE = 2000  # ms for threads to end with the window
_AHEAD = 300  # ms of quiet before the other process is told what may be asked for
_TICK, _IDLE = 200, 400  # ms: looking after a running thread; quiet before slices nobody sees are repainted


class _Scene:
    """What belongs to one scan."""

    def __init__(self, coloring: Coloring, showing: Showing, windowing: Windowing) -> None:
        self.coloring, self.showing, self.windowing = coloring, showing, windowing

    def close(self) -> None:
        self.windowing.release()
        self.coloring.close()


class ColorPanel(QWidget):
    """Colours the selected scan of a viewer.

    Closing the panel or the viewer ends what runs; layers stay.
    """

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self.viewer: Any = desk.bare(viewer)
        viewer = self.viewer
        self.scenes: dict[Any, _Scene] = {}  # by gray layer
        self.scene: _Scene | None = None
        self.top, self.look, self.trust = TopBox(), LookBox(), TrustBox(viewer)
        self._window: Any = None
        self._followed: Any = None
        self._closed = False
        self._apart = Apart()
        self._build()
        self._timer, self._idle, self._soon, self._ahead = QTimer(self), QTimer(self), QTimer(self), QTimer(self)
        self._ahead.setSingleShot(True)
        self._ahead.timeout.connect(self._on_ahead)
        self._soon.setSingleShot(True)
        self._soon.timeout.connect(self._update_now)
        self._timer.setInterval(_TICK)
        self._timer.timeout.connect(self._on_tick)
        self._idle.setSingleShot(True)
        self._idle.timeout.connect(self._on_idle)
        self.top.pressed.connect(self.color)
        self.top.mode_chosen.connect(self._on_mode)
        self.top.place_chosen.connect(self._on_place)
        self.look.changed.connect(self._on_look)
        self.look.colorizer_changed.connect(self._on_colorizer)
        self.look.window_chosen.connect(self._on_preset)
        viewer.layers.selection.events.active.connect(self._on_selection)
        viewer.layers.events.inserted.connect(self._on_selection)
        viewer.layers.events.removed.connect(self._on_selection)
        viewer.dims.events.ndisplay.connect(self._update)
        viewer.mouse_move_callbacks.append(self._on_move)
        viewer.mouse_drag_callbacks.append(self._on_drag_line)
        viewer.mouse_drag_callbacks.append(self._on_drag_window)
        self.destroyed.connect(partial(_end, self.scenes, self._apart))
        self._on_selection()

    # One button

    def color(self) -> None:
        """Colour the scan, or stop."""
        if self.scene is None:
            return
        if self.scene.coloring.working:
            self.scene.coloring.cancel()
            return
        try:
            self.scene.coloring.start(**self.look.arguments(), window=self.scene.windowing.display)
        except MedcolorError as error:
            desk.tell(desk.in_words(error))
        self._update()

    def close_down(self) -> None:
        """End everything that runs. May be called twice."""
        if self._closed:
            return
        self._closed = True
        self._timer.stop()
        self._idle.stop()
        self._soon.stop()
        self._ahead.stop()
        self.trust.close_down()
        _end(self.scenes, self._apart)
        for callbacks, ours in (
            (self.viewer.mouse_move_callbacks, [self._on_move]),
            (self.viewer.mouse_drag_callbacks, [self._on_drag_line, self._on_drag_window]),
        ):
            for callback in ours:
                if callback in callbacks:
                    callbacks.remove(callback)
        for event in (self.viewer.layers.events.inserted, self.viewer.layers.events.removed):
            event.disconnect(self._on_selection)
        self.viewer.layers.selection.events.active.disconnect(self._on_selection)
        self.viewer.dims.events.ndisplay.disconnect(self._update)
        if self._window is not None:
            self._window.removeEventFilter(self)
        self.scene = self._window = self.viewer = None  # nothing of a closed viewer stays

    # Following the viewer

    def _on_selection(self, event: Any = None) -> None:
        found = layers.about(layers.current(self.viewer)) or {}
        scan = found.get("scan")
        grays = layers.layers_of(self.viewer, "gray")
        gray = next((one for one in grays if (layers.about(one) or {})["scan"] is scan), None)
        if gray is None:
            gray = next((one for one, each in self.scenes.items() if each.coloring.scan is scan), None)
        if gray is None:
            self.scene = None
        elif self.scene is None or self.scene.coloring.gray is not gray:
            self.scene = self.scenes.get(gray) or self._new_scene(gray)
            self.look.offer(self.scene.coloring.scan)
            self.look.show_window(self.scene.windowing.display)
            self.trust.legend_key = None
            self._ahead.start(_AHEAD)
        self._update()

    def _new_scene(self, gray: Any) -> _Scene:
        coloring = Coloring(self.viewer, gray, self._on_news, self._apart)
        showing = Showing(coloring, self._update)
        coloring.on_layer.append(speak)
        coloring.preparing.append(self.trust.get_ready)
        scene = _Scene(coloring, showing, Windowing(gray, lambda display: self._on_window(coloring, display)))
        self.scenes[gray] = scene
        return scene

    def _on_window(self, coloring: Coloring, display: Display) -> None:
        coloring.change(window=display)
        if self.scene is not None and self.scene.coloring is coloring:
            self.look.show_window(display)
        self._idle.start(_IDLE)

    def _on_look(self, chosen: dict[str, Any]) -> None:
        if self.scene is not None:
            self.scene.coloring.change(**chosen)
            self._idle.start(_IDLE)

    def _on_colorizer(self, spec: str) -> None:
        if self.scene is not None and self.scene.coloring.session is not None:
            self.scene.coloring.cancel()
            self.scene.coloring.detach()
            self.color()
        else:
            self._ahead.start(_AHEAD)

    def _on_ahead(self) -> None:
        """Do while nothing is asked for what would hold the window up when colours come."""
        if self.scene is not None and self.scene.coloring.session is None:
            self.scene.coloring.get_ready(**self.look.arguments())

    def _on_preset(self, display: Display) -> None:
        if self.scene is not None:
            self.scene.windowing.set(display)

    def _on_mode(self, mode: str) -> None:
        if self.scene is not None:
            self.scene.showing.show(mode)

    def _on_place(self, place: float) -> None:
        if self.scene is not None:
            self.scene.showing.move(place)

    def _on_idle(self) -> None:
        if self.scene is not None:
            self.scene.coloring.resume()

    def _on_news(self) -> None:
        """Something changed in a thread's work."""
        if self.scene is not None and self.scene.coloring.working and not self._timer.isActive():
            self._timer.start()
        self._update()

    def _on_tick(self) -> None:
        busy = False
        for scene in self.scenes.values():
            if scene.coloring.working:
                busy = True
                scene.coloring.tick()
        if not busy:
            self._timer.stop()
        self._update()

    # The mouse

    def _on_move(self, viewer: Any, event: Any) -> None:
        if self.scene is not None:
            self.scene.showing.on_move(viewer, event)
            self.trust.say(words_at(self.scene.coloring, event.position))

    def _on_drag_line(self, viewer: Any, event: Any) -> Any:
        if self.scene is not None and not event.handled:
            yield from self.scene.showing.on_drag(viewer, event)

    def _on_drag_window(self, viewer: Any, event: Any) -> Any:
        if self.scene is not None and not event.handled:
            yield from self.scene.windowing.on_drag(viewer, event)

    # The widget

    def _build(self) -> None:
        inner, area = QWidget(), QScrollArea()
        column = QVBoxLayout(inner)
        for part in (self.top, self.look, self.trust):
            column.addWidget(part)
        column.addStretch(1)
        area.setWidgetResizable(True)
        area.setFrameShape(QScrollArea.Shape.NoFrame)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(inner)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(area)
        self.setMinimumWidth(300)

    def _update(self, event: Any = None) -> None:
        """Show what is true, soon: a progress bar repaints its window at once, in the middle of whatever goes on."""
        if not self._closed and not self._soon.isActive():
            self._soon.start()

    def _update_now(self) -> None:
        coloring = None if self.scene is None else self.scene.coloring
        self.top.update_from(coloring, None if self.scene is None else self.scene.showing)
        session = None if coloring is None else coloring.session
        known = coloring is not None and session is not None and session.done and coloring.settled
        if known and session is not None and self._followed is not session.look:
            self._followed = session.look
            self.look.follow(session)
        self.trust.update_from(coloring if coloring is not None and coloring.shown else None)

    def event(self, event: QEvent) -> bool:
        """Close down when napari takes the panel out of its dock."""
        if event.type() == QEvent.Type.ParentChange and self.parent() is None and self._window is not None:
            for scene in self.scenes.values():
                scene.coloring.place_of_layer.give_back()
            self.close_down()
        elif event.type() == QEvent.Type.Show and self._window is None:
            self._window = self.window()
            self._window.installEventFilter(self)
            tabs.join(self)
        return bool(super().event(event))

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 - Qt's name
        """Close down when the viewer's window goes."""
        if event.type() == QEvent.Type.Hide and not event.spontaneous():
            busy = any(scene.coloring.working for scene in self.scenes.values())
            self.close_down()
            if busy:  # nobody is left to hear what a thread says; it ends at its next slice
                QThreadPool.globalInstance().waitForDone(_PATIENCE)
        return bool(super().eventFilter(watched, event))


def _end(scenes: dict[Any, _Scene], apart: Apart, _: Any = None) -> None:
    for scene in scenes.values():
        scene.close()
    scenes.clear()
    apart.close()
