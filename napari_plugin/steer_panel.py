"""Hints: a points layer on which a click says what tissue a voxel is, or which colour it should have."""

from __future__ import annotations

from typing import Any

import napari.viewer  # the annotation, spelled out, is how napari hands its viewer over
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import (
    QCheckBox,
    QColorDialog,
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
)

from medcolor.errors import MedcolorError
from medcolor.palettes import legend
from medcolor.viewing.hints import REACH, TOLERANCE, Hint
from medcolor.viewing.palette_editing import ab_of
from medcolor.viewing.placement import place
from medcolor.viewing.steering import Steering
from napari_plugin import desk, layers
from napari_plugin.docked import Docked
from napari_plugin.errand import Progress, at_work, described

_HOW = (
    "Choose a tissue or a colour, press Place hints, and click on the scan. The slice changes at once, the volume "
    "after it. Hints are yours, not the scanner's: they are written into everything that is saved."
)


def swatch(rgb: tuple[int, int, int]) -> QIcon:
    """Return a square of a colour."""
    picture = QPixmap(16, 16)
    picture.fill(QColor(*rgb))
    return QIcon(picture)


def through_volume(steering: Steering, *, progress: Progress) -> list[int]:
    """Carry hints through the volume, in a thread."""
    touched = []
    for k in steering.spread():
        touched.append(k)
        progress(len(touched), 0)
    return touched


class SteerPanel(Docked):
    """Hints on the selected coloured scan."""

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        viewer = desk.bare(viewer)
        super().__init__(viewer)
        self.steering: Steering | None = None
        self.points: Any = None
        self._layer: Any = None
        self._session: Any = None
        self._known: dict[int, Steering] = {}
        self._rgb: tuple[int, int, int] | None = None
        self._busy_with_points = False
        self._errand = self.errand(self._on_busy)
        self.tissue, self.color = QComboBox(), QPushButton("another colour ...")
        self.reach, self.tolerance = QDoubleSpinBox(), QDoubleSpinBox()
        self.volume = QCheckBox("through the volume")
        self.volume.setChecked(True)
        self.place, self.undo, self.clear = QPushButton("Place hints"), QPushButton("Undo"), QPushButton("Clear")
        self.words = QLabel(_HOW)
        self._build()
        events = viewer.layers.events
        self.follow_events(self._on_layers, events.inserted, events.removed, viewer.layers.selection.events.active)
        self._on_layers()

    # What a user does

    def start(self) -> None:
        """Add the points layer of hints, or select it."""
        self._on_layers()
        if self._session is None:
            desk.tell("Colour a scan first: hints change its colours.")
            return
        self._offer()
        if self.points is None or self.points not in self.viewer.layers:
            from napari.layers import Points

            scan = self._session.scan
            self.points = Points(
                ndim=3, name=f"{described(self._layer)} (hints)", size=3, face_color="white", border_color="black",
                **layers.spatial(scan), metadata=layers.metadata(scan, "hints"),
            )  # fmt: skip
            self.points.size = 4
            self.viewer.layers.append(self.points)
            self.points.events.data.connect(self._on_points)
        self.viewer.layers.selection.active = self.points
        self.points.mode = "add"

    def add(self, voxel: tuple[int, int, int]) -> bool:
        """Take a hint at a voxel with what is chosen; return whether it was taken."""
        if self.steering is None or self._session is None:
            return False
        try:
            self.steering.add(self._hint(voxel))
        except MedcolorError as error:
            desk.tell(desk.in_words(error))
            return False
        self._redraw()
        self._suggest(voxel)
        self._carry()
        return True

    def take_back(self) -> None:
        """Undo the last hint."""
        if self.steering is None or not self.steering.hints:
            return
        self.steering.undo()
        self._drop_points(1)
        self._redraw()

    def clear_all(self) -> None:
        """Undo all hints."""
        if self.steering is None:
            return
        self.steering.clear()
        self._drop_points(len(self.points.data) if self.points is not None else 0)
        self._redraw()

    # Inside

    def _hint(self, voxel: tuple[int, int, int]) -> Hint:
        reach, tolerance = self.reach.value(), self.tolerance.value()
        if self._rgb is not None:
            return Hint(voxel, ab=ab_of(self._rgb), reach=reach, tolerance=tolerance)
        return Hint(voxel, str(self.tissue.currentData()), reach=reach, tolerance=tolerance)

    def _on_points(self, event: Any) -> None:
        """Take the hint of a click; take hints back where points were removed."""
        self._on_layers()
        if (
            self.points is None
            or self._busy_with_points
            or self.steering is None
            or str(event.action) not in {"added", "removed"}
        ):
            return
        if str(event.action) == "removed":
            self.clear_all()
            self.words.setText("Points were removed: all hints were taken back. Use Undo for the last one.")
            return
        voxel = place(self._session.scan).voxel(self.points.data[-1])
        if not self.add(voxel):
            self._drop_points(1)

    def _drop_points(self, count: int) -> None:
        if self.points is None or not count:
            return
        self._busy_with_points = True
        try:
            self.points.data = self.points.data[: max(len(self.points.data) - count, 0)]
        finally:
            self._busy_with_points = False

    def _carry(self) -> None:
        if self.volume.isChecked() and self.steering is not None and self.steering.waiting:
            self._errand.run(through_volume, lambda _: self._carried(), self.steering)

    def _carried(self) -> None:
        self._redraw()
        self._carry()  # what was hinted meanwhile

    def _redraw(self) -> None:
        if self._layer is not None and self._layer in self.viewer.layers:
            self._layer.refresh(thumbnail=False, extent=False, highlight=False)

    def _suggest(self, voxel: tuple[int, int, int]) -> None:
        assert self.steering is not None
        said = [f"{s.label} {100 * s.probability:.0f} %" for s in self.steering.suggest(*voxel, count=3)]
        count = len(self.steering.hints)
        here = f" Here now: {', '.join(said)}." if said else ""
        self.words.setText(f"{count} hint{'s' if count > 1 else ''}.{here}")

    def suggest_at_cursor(self, viewer: Any, event: Any) -> None:
        """Show what the voxel under the mouse may be, the most probable first in the list of tissues."""
        if self.steering is None or self._session is None or not self._session.done or self.isHidden():
            return
        where = place(self._session.scan)
        voxel = where.voxel(self._layer.world_to_data(event.position)[-3:])
        if all(0 <= n < side for n, side in zip(voxel, self._session.scan.shape, strict=True)):
            try:
                said = self.steering.suggest(*voxel, count=3)
            except MedcolorError:
                return
            if said:
                self.words.setText("May be " + ", ".join(f"{s.label} {100 * s.probability:.0f} %" for s in said))

    def _on_layers(self, event: Any = None) -> None:
        found = at_work(self.viewer)
        layer, session = found if found is not None else (None, None)
        if session is not self._session:
            self._layer, self._session = layer, session
            self.points = None
            self.steering = None if session is None else self._known.setdefault(id(session), Steering(session))
        self._offer()

    def _offer(self) -> None:
        """Offer the classes of the palette in use."""
        session = self._session
        palette = None if session is None or self.steering is None else self.steering.palette
        entries = [] if palette is None else legend(palette)
        names = [self.tissue.itemData(n) for n in range(self.tissue.count())]
        if names == [entry.name for entry in entries]:
            return
        self.tissue.clear()
        for entry in entries:
            self.tissue.addItem(swatch(entry.swatch), entry.label, entry.name)
            self.tissue.setItemData(self.tissue.count() - 1, entry.meaning, 3)  # its tool tip
        self._on_tissue()

    def _on_tissue(self, index: int = 0) -> None:
        self._rgb = None
        self.color.setIcon(QIcon())

    def choose_color(self, rgb: tuple[int, int, int]) -> None:
        """Hint a colour instead of a tissue, until a tissue is chosen again."""
        self._rgb = rgb
        self.color.setIcon(swatch(rgb))

    def _on_color(self) -> None:
        chosen = QColorDialog.getColor(parent=self)
        if chosen.isValid():
            self.choose_color(chosen.getRgb()[:3])

    def _on_busy(self, busy: bool) -> None:
        self.place.setText("Spreading ..." if busy else "Place hints")

    def _build(self) -> None:
        for box, value, top, unit in (
            (self.reach, REACH, 500, " mm"),
            (self.tolerance, TOLERANCE, 255, " gray levels"),
        ):
            box.setRange(1, top)
            box.setValue(value)
            box.setDecimals(0)
            box.setSuffix(unit)
        self.words.setWordWrap(True)
        form, row, column = QFormLayout(), QHBoxLayout(), self.scrolled()
        form.addRow("tissue", self.tissue)
        form.addRow("or", self.color)
        form.addRow("reaches", self.reach)
        form.addRow("same within", self.tolerance)
        form.addRow("", self.volume)
        for button in (self.place, self.undo, self.clear):
            row.addWidget(button)
        column.addLayout(form)
        column.addLayout(row)
        column.addWidget(self.words)
        column.addStretch(1)
        self.tissue.activated.connect(self._on_tissue)
        self.color.clicked.connect(self._on_color)
        self.place.clicked.connect(self.start)
        self.undo.clicked.connect(self.take_back)
        self.clear.clicked.connect(self.clear_all)
        self.viewer.mouse_move_callbacks.append(self.suggest_at_cursor)

    def close_down(self) -> None:
        """Let go of the mouse, too."""
        if self.suggest_at_cursor in self.viewer.mouse_move_callbacks:
            self.viewer.mouse_move_callbacks.remove(self.suggest_at_cursor)
        super().close_down()
