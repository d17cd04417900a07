"""Three linked planes of the coloured scan with one cursor, which is the viewer's own."""

from __future__ import annotations

from typing import Any

import napari.viewer  # the annotation, spelled out, is how napari hands its viewer over
from qtpy.QtCore import QPointF, QRectF, Qt, QTimer, Signal
from qtpy.QtGui import QColor, QImage, QPainter
from qtpy.QtWidgets import QGridLayout, QLabel, QWidget

from medcolor.viewing.planes import Pane, Planes, Position, planes
from medcolor.viewing.wording import probe_words
from napari_plugin import desk, layers
from napari_plugin.docked import Docked

_LATER = 40  # ms: slices come faster than eyes
_NONE = "Colour a scan: its axial, coronal and sagittal planes appear here."
_GROUND, _LINE, _INK = QColor(28, 28, 28), QColor(235, 235, 60, 150), QColor(230, 230, 230)


class PaneView(QWidget):
    """One plane in true proportions, with letters and the cursor's lines; click, drag or turn the wheel to move it."""

    moved = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._pane: Pane | None = None
        self._position: Position = (0, 0, 0)
        self._image: QImage | None = None
        self._pixels: Any = None
        self.setMinimumSize(160, 130)

    def show_plane(self, pane: Pane, data: Any, position: Position) -> None:
        """Show the plane through a position of a layer's data: RGB, RGBA, or gray."""
        self._pane, self._position = pane, position
        colored = data.ndim == 4
        self._pixels = (pane.colors if colored else pane.picture)(data, position)  # held: the image looks into it
        rows, columns = self._pixels.shape[:2]
        form = QImage.Format.Format_RGB888 if colored else QImage.Format.Format_Grayscale8
        self._image = QImage(self._pixels.data, columns, rows, self._pixels.strides[0], form)
        self.update()

    def follow(self, position: Position) -> None:
        """Count on from a position, which is drawn soon."""
        self._position = position

    def clear(self) -> None:
        """Show nothing."""
        self._pane = self._image = self._pixels = None
        self.update()

    def target(self) -> QRectF:
        """Return where the plane lies in the widget."""
        if self._pane is None:
            return QRectF()
        tall, wide = self._pane.size
        factor = min(self.width() / wide, self.height() / tall)
        width, height = wide * factor, tall * factor
        return QRectF((self.width() - width) / 2, (self.height() - height) / 2, width, height)

    def point_of(self, position: Position) -> QPointF:
        """Return where a position is drawn."""
        assert self._pane is not None
        row, column = self._pane.to_pixel(position)
        rows, columns = self._pixels.shape[:2]
        area = self.target()
        return QPointF(
            area.x() + (column + 0.5) / columns * area.width(), area.y() + (row + 0.5) / rows * area.height()
        )

    def paintEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Draw the plane."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), _GROUND)
        if self._pane is None or self._image is None:
            return
        area = self.target()
        painter.drawImage(area, self._image)
        center = self.point_of(self._position)
        painter.setPen(_LINE)
        painter.drawLine(QPointF(center.x(), area.top()), QPointF(center.x(), area.bottom()))
        painter.drawLine(QPointF(area.left(), center.y()), QPointF(area.right(), center.y()))
        painter.setPen(_INK)
        left, right, top, bottom = self._pane.letters
        inside = QRectF(self.rect()).adjusted(4, 2, -4, -2)
        middle, sides = Qt.AlignmentFlag.AlignHCenter, Qt.AlignmentFlag.AlignVCenter
        title = f"{self._pane.title} {self._position[self._pane.axis] + 1}"
        if painter.fontMetrics().horizontalAdvance(f"{title}  ") > inside.width() / 2:  # clear of the letter
            title = f"\n{title}"
        for text, where in (
            (left, Qt.AlignmentFlag.AlignLeft | sides),
            (right, Qt.AlignmentFlag.AlignRight | sides),
            (top, Qt.AlignmentFlag.AlignTop | middle),
            (bottom, Qt.AlignmentFlag.AlignBottom | middle),
            (title, Qt.AlignmentFlag.AlignTop),
        ):
            painter.drawText(inside, where, text)

    def mousePressEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Move the cursor."""
        self._take(event.position())

    def mouseMoveEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Move the cursor."""
        if event.buttons() & Qt.MouseButton.LeftButton:
            self._take(event.position())

    def wheelEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Step to the next plane."""
        if self._pane is not None and event.angleDelta().y():
            self.moved.emit(self._pane.stepped(self._position, 1 if event.angleDelta().y() > 0 else -1))

    def _take(self, point: QPointF) -> None:
        area = self.target()
        if self._pane is None or not area.width():
            return
        rows, columns = self._pixels.shape[:2]
        row = (point.y() - area.y()) / area.height() * rows - 0.5
        column = (point.x() - area.x()) / area.width() * columns - 0.5
        self.moved.emit(self._pane.to_position(row, column, self._position))


class PlanesPanel(Docked):
    """Axial, coronal and sagittal planes of the selected coloured scan."""

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        viewer = desk.bare(viewer)
        super().__init__(viewer)
        self.position: Position = (0, 0, 0)
        self.views = (PaneView(), PaneView(), PaneView())
        self.words = QLabel(_NONE)
        self.words.setWordWrap(True)
        self.words.setAlignment(Qt.AlignmentFlag.AlignTop)
        self._grid, self._columns = QGridLayout(self), 0
        self._grid.setContentsMargins(2, 2, 2, 2)
        self._arrange()
        for each in self.views:
            each.moved.connect(self.move_to)
        self.layer: Any = None
        self.planes: Planes | None = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_LATER)
        self._timer.timeout.connect(self.draw)
        events = viewer.layers.events
        self.follow_events(self._on_layers, events.inserted, events.removed, viewer.layers.selection.events.active)
        self.follow_events(self._on_dims, viewer.dims.events.point)
        self._on_layers()

    def move_to(self, position: Position) -> None:
        """Put the cursor of all planes, and of the viewer, to a position of the layer."""
        if self.planes is None:
            return
        above = self.viewer.dims.ndim - 3
        self.viewer.dims.set_point([above, above + 1, above + 2], list(self.planes.to_world(position)))
        self._on_dims()

    def draw(self) -> None:
        """Draw all planes anew; in gray where gray is what the canvas shows."""
        if self.planes is None or self.layer is None:
            return
        session, data = (layers.about(self.layer) or {}).get("session"), self.layer.data
        if session is not None and not self.layer.visible and self.viewer.dims.ndisplay == 2:
            data = self.planes.placement.to_layer(session.gray)
        for each, pane in zip(self.views, self.planes.panes, strict=True):
            each.show_plane(pane, data, self.position)
        self.words.setText(self._words())

    def resizeEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Lay planes one below another where the panel is tall."""
        self._arrange()
        super().resizeEvent(event)

    def _arrange(self) -> None:
        columns = 1 if self.height() > 2 * self.width() else 2
        if columns == self._columns:
            return
        self._columns = columns
        for number, widget in enumerate((*self.views, self.words)):
            self._grid.addWidget(widget, number // columns, number % columns)
        for row in range(4):
            self._grid.setRowStretch(row, int(row < (3 if columns == 1 else 2)))
        self._grid.setColumnStretch(1, columns - 1)
        self._grid.setColumnStretch(0, 1)

    def _words(self) -> str:
        assert self.planes is not None
        session = (layers.about(self.layer) or {}).get("session")
        if session is None:
            return "Click or drag to move the cursor, turn the wheel to step."
        said = probe_words(session.probe(*self.planes.placement.voxel(self.position))).replace(" · ", "\n")
        note = f"\n{self.planes.placement.note}" if self.planes.placement.note else ""
        return f"{said}\nNot for diagnosis.{note}"

    def _on_layers(self, event: Any = None) -> None:
        layer = layers.current(self.viewer, "color")
        if layer is self.layer:
            return
        self._let_go()
        self.layer = layer
        if layer is None:
            self.planes = None
            self.words.setText(_NONE)
            for each in self.views:
                each.clear()
            return
        self.planes = planes((layers.about(layer) or {})["scan"])
        for event_of_layer in (layer.events.set_data, layer.events.visible):
            event_of_layer.connect(self._on_data)
        self.position = self.planes.middle
        self._on_dims()
        self.draw()

    def _on_data(self, event: Any = None) -> None:
        if not self._timer.isActive():
            self._timer.start()

    def _on_dims(self, event: Any = None) -> None:
        if self.planes is not None and self.viewer.dims.ndim >= 3:
            position = self.planes.of_world(self.viewer.dims.point)
            if position != self.position:
                self.position = position
                for each in self.views:
                    each.follow(position)
                self._on_data()

    def close_down(self) -> None:
        """Let go of the layer, too."""
        self._let_go()
        self.layer = self.planes = None
        super().close_down()

    def _let_go(self) -> None:
        if self.layer is not None:
            for event in (self.layer.events.set_data, self.layer.events.visible):
                event.disconnect(self._on_data)
