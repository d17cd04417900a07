"""The coloured scan in three dimensions: presets of opacity, views from all sides, never mirrored."""

from __future__ import annotations

from typing import Any

import napari.viewer  # the annotation, spelled out, is how napari hands its viewer over
from qtpy.QtWidgets import QCheckBox, QComboBox, QGridLayout, QLabel, QPushButton

from medcolor.errors import MedcolorError
from medcolor.viewing.placement import place
from medcolor.viewing.volume import VIEWS, Volume, depth_grows, presets, require_volume, view, volume
from napari_plugin import desk, layers
from napari_plugin.docked import Docked
from napari_plugin.errand import at_work, described
from napari_plugin.probing import say_no_colors

_NOTE = (
    "A picture of a volume blends many voxels along each ray: its colours are an impression. Read values in planes. "
    "Not for diagnosis."
)


class VolumePanel(Docked):
    """Shows the selected coloured scan as a volume, and goes back to planes."""

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        viewer = desk.bare(viewer)
        super().__init__(viewer)
        self.layer: Any = None
        self._scan: Any = None
        self._hidden: list[Any] = []
        self._before: Any = None
        self._errand = self.errand(self._on_busy)
        self.preset, self.by_confidence = QComboBox(), QCheckBox("Unsure colours more transparent")
        self.preset.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.go, self.back, self.note = QPushButton("Show in 3-D"), QPushButton("Back to planes"), QLabel(_NOTE)
        self.note.setWordWrap(True)
        self.views = {name: QPushButton(f"from the {name}") for name in VIEWS}
        column, grid = self.scrolled(), QGridLayout()
        for widget in (self.preset, self.by_confidence, self.go):
            column.addWidget(widget)
        column.addLayout(grid)
        for number, (name, button) in enumerate(self.views.items()):
            grid.addWidget(button, number // 2, number % 2)
            button.clicked.connect(lambda _=False, name=name: self.look_from(name))
        for widget in (self.back, self.note):
            column.addWidget(widget)
        column.addStretch(1)
        self.go.clicked.connect(self.show_volume)
        self.back.clicked.connect(self.leave)
        self.preset.activated.connect(self._on_choice)
        self.by_confidence.toggled.connect(self._on_choice)
        self.follow_events(self._offer, viewer.layers.events.inserted, viewer.layers.selection.events.active)
        self.follow_events(self._on_removed, viewer.layers.events.removed)
        self.follow_events(self._on_ndisplay, viewer.dims.events.ndisplay)
        self._offer()

    def show_volume(self) -> None:
        """Build the volume in a thread, then show it."""
        found = at_work(self.viewer)
        if found is None:
            desk.tell("Colour a scan first: then it can be looked into.")
            return
        layer, session = found
        try:
            require_volume(session.scan)
        except MedcolorError as error:
            desk.tell(desk.in_words(error))
            return
        chosen = self.preset.currentData()
        self._errand.run(
            volume,
            lambda made: self._show(made, layer, session),
            session,
            chosen,
            by_confidence=self.by_confidence.isChecked(),
        )

    def look_from(self, where: str) -> None:
        """Turn the volume: the patient seen from the front, the left ..."""
        if self.layer is None or self.viewer.dims.ndisplay != 3:
            return
        toward, up = view(self._scan, where)
        self.viewer.scene.camera.set_view_direction(view_direction=toward, up_direction=up)
        self.viewer.fit_to_view()  # a body is taller from the front than from the head

    def leave(self) -> None:
        """Remove the volume and show planes again."""
        layer, self.layer = self.layer, None
        if layer is not None and layer in self.viewer.layers:
            self.viewer.layers.remove(layer)
        self._restore()
        if self.viewer.layers.selection.active is None:  # keys and the status bar need a layer
            self.viewer.layers.selection.active = layers.current(self.viewer, "color")

    def _show(self, made: Volume, layer: Any, session: Any) -> None:
        from napari.layers import Image

        if layer not in self.viewer.layers:
            return
        viewer, scan = self.viewer, session.scan
        first = self.layer is None or self.layer not in viewer.layers
        if first:
            self._before = viewer.scene.camera.orientation, tuple(viewer.dims.order)
        elif self.layer is not None:
            viewer.layers.events.removed.disconnect(self._on_removed)
            viewer.layers.remove(self.layer)
            viewer.layers.events.removed.connect(self._on_removed)
        where = place(scan)
        about = layers.metadata(scan, "volume", preset=made.preset.name, note_on_size=made.note)
        self.layer = Image(
            made.rgba, rgb=True, name=f"{described(layer)} (3-D)", rendering="translucent", scale=made.scale,
            translate=made.translate, units=where.units, axis_labels=where.axis_labels, metadata=about,
        )  # fmt: skip
        say_no_colors(self.layer)
        self._scan = scan
        viewer.layers.append(self.layer)
        for each in viewer.layers:
            if each is not self.layer and each.visible:
                each.visible = False
                self._hidden.append(each)
        if first:
            viewer.dims.order = tuple(range(viewer.dims.ndim))  # views are told in the order of the layer's axes
            viewer.dims.ndisplay = 3
            viewer.scene.camera.orientation = (depth_grows(scan), "down", "right")
            viewer.reset_view()
            self.look_from("front")
        viewer.layers.selection.active = self.layer
        self.note.setText(" ".join(text for text in (made.note, _NOTE) if text))

    def _restore(self) -> None:
        if self._before is None:
            return
        before, self._before = self._before, None
        for each in self._hidden:
            if each in self.viewer.layers:
                each.visible = True
        self._hidden.clear()
        self.viewer.dims.ndisplay = 2
        self.viewer.scene.camera.orientation, order = before
        if len(order) == self.viewer.dims.ndim:
            self.viewer.dims.order = order
        self.viewer.reset_view()

    def _offer(self, event: Any = None) -> None:
        """Offer the presets that suit the selected scan."""
        found = at_work(self.viewer)
        if found is None:
            return
        session = found[1]
        names: tuple[str, ...] = ()
        if session.done and session.look.palette is not None:
            names = session.look.palette.names
        offered = [preset.name for preset in presets(session.scan, names)]
        if offered == [self.preset.itemData(n) for n in range(self.preset.count())]:
            return
        self.preset.clear()
        for preset in presets(session.scan, names):
            self.preset.addItem(f"{preset.name}: {preset.meaning}", preset.name)

    def _on_choice(self, chosen: Any = None) -> None:
        if self.layer is not None:
            self.show_volume()

    def _on_removed(self, event: Any) -> None:
        if event.value is self.layer:
            self.layer = None
            self._restore()

    def _on_ndisplay(self, event: Any = None) -> None:
        """Clear up when somebody goes back by napari's own button."""
        if self.viewer.dims.ndisplay == 2 and self.layer is not None:
            self.leave()

    def _on_busy(self, busy: bool) -> None:
        self.go.setEnabled(not busy)
        self.go.setText("Building ..." if busy else "Show in 3-D")
