"""What panels have in common: they scroll where the window is small, and let go of the viewer when they are closed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QEvent, Qt
from qtpy.QtWidgets import QScrollArea, QVBoxLayout, QWidget

from napari_plugin import tabs
from napari_plugin.errand import Errand

_NARROWEST = 350  # pixels: three buttons in a row


class Docked(QWidget):
    """A panel of one viewer."""

    def __init__(self, viewer: Any) -> None:
        super().__init__()
        self.viewer = viewer
        self._followed: list[tuple[Any, Callable[..., None]]] = []
        self._errands: list[Errand] = []
        self._shown = self._closed = self._joined = False

    def follow_events(self, slot: Callable[..., None], *events: Any) -> None:
        """Call ``slot`` at events of the viewer, until the panel is closed."""
        for event in events:
            event.connect(slot)
            self._followed.append((event, slot))

    def errand(self, busy: Callable[[bool], None]) -> Errand:
        """Return a thread's worth of work that ends with the panel."""
        made = Errand(busy, self)
        self._errands.append(made)
        return made

    def scrolled(self) -> QVBoxLayout:
        """Return a column that scrolls."""
        inner, area, outer = QWidget(), QScrollArea(), QVBoxLayout(self)
        area.setWidgetResizable(True)
        area.setFrameShape(QScrollArea.Shape.NoFrame)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(inner)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(area)
        self.setMinimumWidth(_NARROWEST)
        return QVBoxLayout(inner)

    def close_down(self) -> None:
        """Let go of the viewer and give up what runs. May be called twice."""
        if self._closed:
            return
        self._closed = True
        for made in self._errands:
            made.close()
        for event, slot in self._followed:
            event.disconnect(slot)

    def event(self, event: QEvent) -> bool:
        """Close down when napari takes the panel out of its dock."""
        if event.type() == QEvent.Type.ParentChange:
            if self.parent() is None and self._shown:
                self.close_down()
            self._shown = self.parent() is not None
        elif event.type() == QEvent.Type.Show and not self._joined:
            self._joined = True
            tabs.join(self)
        return bool(super().event(event))

    def closeEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Close down."""
        self.close_down()
        super().closeEvent(event)
