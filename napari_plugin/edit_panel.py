"""Crop, annotate and export. Drawings are layers of their own: no colour pixel is ever drawn over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import napari.viewer  # the annotation, spelled out, is how napari hands its viewer over
from qtpy.QtWidgets import QFileDialog, QGridLayout, QGroupBox, QLabel, QPushButton, QSpinBox

from medcolor.errors import MedcolorError
from medcolor.io import write
from medcolor.scan import to_slices
from medcolor.viewing.annotations import annotation, empty_drawing, volumes_in_words
from medcolor.viewing.cropping import Box, crop, crop_color
from medcolor.viewing.placement import place
from medcolor.viewing.sharing import picture_with_legend, save_film, save_picture, write_report
from napari_plugin import desk, layers
from napari_plugin.docked import Docked
from napari_plugin.errand import Progress, at_work, described

_FIRST, _THEN = "Colour a scan first. Not for diagnosis.", "Crop, draw, or save the colours. Not for diagnosis."
_SAVED = {  # button -> (is a folder, filter of the dialog, format)
    "Colour DICOM ...": (True, "", "dicom"),
    "NIfTI ...": (False, "NIfTI (*.nii.gz *.nii)", "nifti"),
    "PNG ...": (True, "", "png"),
}


def saved(session: Any, path: Path, form: str, *, progress: Progress) -> str:
    """Write the colours of a session, in a thread."""
    written = write(session.result(progress=progress), path, format=form, force=path.is_file())
    return f"Saved {len(written)} file{'s' if len(written) > 1 else ''} to {path}, provenance beside."


def filmed(session: Any, path: Path, axis: int, *, progress: Progress) -> str:
    """Write a film, in a thread."""
    return f"Saved {save_film(session, path, axis=axis, force=True, progress=progress)}."


def reported(session: Any, path: Path, *, progress: Progress) -> str:
    """Write the report, in a thread."""
    return f"Saved {write_report(session, path, force=True)}: it holds pictures and is as confidential as the scan."


def cropped(session: Any, box: Box, *, progress: Progress) -> tuple[Any, Any]:
    """Crop scan and colours, in a thread."""
    return crop(session.scan, box), crop_color(session.result(progress=progress), box)


class EditPanel(Docked):
    """Works on the selected coloured scan."""

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        viewer = desk.bare(viewer)
        super().__init__(viewer)
        self.box: Any = None
        self.drawing: Any = None
        self._errand = self.errand(self._on_busy)
        self.first, self.last = QSpinBox(), QSpinBox()
        self.words = QLabel(_FIRST)
        self.words.setWordWrap(True)
        self.buttons: dict[str, QPushButton] = {}
        column = self.scrolled()
        for title, actions in (
            ("Crop", {"Draw a box": self.draw_box, "Crop to it": self.crop}),
            (
                "Annotate",
                {"New annotation": self.annotate, "Volumes": self.measure, "Save it ...": self._on_annotation},
            ),
            ("Save the colours", {name: lambda name=name: self._on_save(name) for name in _SAVED}),
            (
                "Share",
                {"Screenshot ...": self._on_screenshot, "Film ...": self._on_film, "Report ...": self._on_report},
            ),
        ):
            column.addWidget(self._group(title, actions))
        column.addWidget(self.words)
        column.addStretch(1)
        self.follow_events(self._on_layers, viewer.layers.selection.events.active, viewer.layers.events.inserted)
        self._on_layers()

    # Crop

    def draw_box(self) -> None:
        """Add a layer to draw a rectangle on."""
        found = self._found()
        if found is None:
            return
        from napari.layers import Shapes

        scan = found[1].scan
        self.box = Shapes(
            ndim=3, name=f"{described(found[0])} (box)", face_color="transparent", edge_color="yellow", edge_width=1,
            **layers.spatial(scan), metadata=layers.metadata(scan, "box"),
        )  # fmt: skip
        self.viewer.layers.append(self.box)
        self.viewer.layers.selection.active = self.box
        self.box.mode = "add_rectangle"
        self.words.setText("Draw a rectangle, choose the slices, then crop.")

    def crop(self) -> None:
        """Make new layers of what is inside the rectangle and between the slices chosen."""
        found = self._found()
        if found is None:
            return
        scan, where = found[1].scan, place(found[1].scan)
        drawn = self.box is not None and len(self.box.data) > 0
        corners = [where.voxel(point) for point in self.box.data[-1]] if drawn else [(0, 0, 0), _last(scan)]
        slices = (self.first.value() - 1, self.last.value() - 1)
        ends = [(i, j, k) for i, j, _ in corners for k in slices]
        try:
            box = Box.around(ends, scan.shape)
        except MedcolorError as error:
            desk.tell(desk.in_words(error))
            return
        self._errand.run(cropped, lambda pair: self._show_cropped(pair, described(found[0])), found[1], box)

    def _show_cropped(self, pair: tuple[Any, Any], name: str) -> None:
        part, color = pair
        data, about, _ = layers.gray_layer(part, f"{name}, cropped")
        self.viewer.add_image(data, **about)
        about = {**layers.spatial(part), "metadata": layers.metadata(part, "color", color=color)}
        self.viewer.add_image(
            layers.arranged(part, to_slices(color.rgb)), rgb=True, name=f"{name}, cropped (colour)", **about
        )
        self.words.setText(f"Cropped to {part.geometry.describe()}. Save it with File > Save selected layers.")

    # Annotate

    def annotate(self) -> None:
        """Add a labels layer on the grid of the scan, with the brush in hand."""
        found = self._found()
        if found is None:
            return
        from napari.layers import Labels

        scan = found[1].scan
        self.drawing = Labels(
            empty_drawing(scan), name=f"{described(found[0])} (annotation)", opacity=0.5,
            **layers.spatial(scan), metadata=layers.metadata(scan, "annotation"),
        )  # fmt: skip
        self.viewer.layers.append(self.drawing)
        self.viewer.layers.selection.active = self.drawing
        self.drawing.mode = "paint"

    def measure(self) -> None:
        """Say how large each label is."""
        drawn = self._drawn()
        if drawn is not None:
            self.words.setText(volumes_in_words(drawn))

    def save_annotation(self, path: Path) -> None:
        """Write the drawing on the scan's grid."""
        drawn = self._drawn()
        if drawn is None:
            return
        try:
            write(drawn, path, force=path.is_file())
        except MedcolorError as error:
            desk.tell(desk.in_words(error))
        else:
            self.words.setText(f"Saved {path}.\n{volumes_in_words(drawn)}")

    def _drawn(self) -> Any:
        layer = layers.current(self.viewer, "annotation")
        if layer is None:
            desk.tell("There is no annotation yet: press New annotation and draw.")
            return None
        scan = (layers.about(layer) or {})["scan"]
        try:
            return annotation(scan, layers.to_scan_slices(scan, layer.data))
        except MedcolorError as error:
            desk.tell(desk.in_words(error))
            return None

    # Save and share

    def save(self, path: Path, form: str) -> None:
        """Write the colours, in a thread."""
        found = self._found()
        if found is not None:
            self._errand.run(saved, self.words.setText, found[1], path, form)

    def screenshot(self, path: Path) -> None:
        """Write what the canvas shows, with the legend beside it."""
        found = self._found()
        if found is None:
            return
        picture = self.viewer.screenshot(canvas_only=True, flash=False)
        try:
            save_picture(picture_with_legend(found[1], picture), path, force=True)
        except MedcolorError as error:
            desk.tell(desk.in_words(error))
        else:
            self.words.setText(f"Saved {path}.")

    def film(self, path: Path) -> None:
        """Write a film through the slices along the axis that the viewer steps through."""
        found = self._found()
        if found is not None:
            axis = max(int(self.viewer.dims.order[-3]) - (self.viewer.dims.ndim - 3), 0)
            self._errand.run(filmed, self.words.setText, found[1], path, axis)

    def report(self, path: Path) -> None:
        """Write the HTML report, in a thread."""
        found = self._found()
        if found is not None:
            self._errand.run(reported, self.words.setText, found[1], path)

    def _on_save(self, name: str) -> None:
        folder, kinds, form = _SAVED[name]
        path = self._folder(name) if folder else self._file(name, kinds)
        if path is not None:
            self.save(path, form)

    def _on_annotation(self) -> None:
        if (path := self._file("Save the annotation", "NIfTI (*.nii.gz);;NRRD (*.nrrd)")) is not None:
            self.save_annotation(path)

    def _on_screenshot(self) -> None:
        if (path := self._file("Screenshot with legend", "PNG (*.png)")) is not None:
            self.screenshot(path)

    def _on_film(self) -> None:
        if (path := self._file("Film", "GIF, 256 colours (*.gif);;Animated PNG, all colours (*.png)")) is not None:
            self.film(path)

    def _on_report(self) -> None:
        if (path := self._file("Report", "HTML (*.html)")) is not None:
            self.report(path)

    def _file(self, title: str, kinds: str) -> Path | None:
        path, _ = QFileDialog.getSaveFileName(self, title, filter=kinds)
        return Path(path) if path else None

    def _folder(self, title: str) -> Path | None:
        path = QFileDialog.getExistingDirectory(self, f"{title}: an empty folder")
        return Path(path) if path else None

    # Inside

    def _found(self) -> Any:
        found = at_work(self.viewer)
        if found is None or not found[1].done:
            desk.tell("Colour a scan first.")
            return None
        return found

    def _on_layers(self, event: Any = None) -> None:
        found = at_work(self.viewer)
        if found is not None and self.words.text() == _FIRST:
            self.words.setText(_THEN)
        if found is not None and self.last.maximum() != found[1].total:
            for box, value in ((self.first, 1), (self.last, found[1].total)):
                box.setRange(1, found[1].total)
                box.setValue(value)

    def _on_busy(self, busy: bool) -> None:
        for button in self.buttons.values():
            button.setEnabled(not busy)

    def _group(self, title: str, actions: dict[str, Any]) -> QGroupBox:
        group = QGroupBox(title)
        grid = QGridLayout(group)
        grid.setContentsMargins(4, 4, 4, 4)  # three buttons in a row fit a narrow panel
        for number, (name, action) in enumerate(actions.items()):
            self.buttons[name] = button = QPushButton(name)
            button.clicked.connect(lambda _=False, action=action: action())
            grid.addWidget(button, 0, number)
        if title == "Crop":
            for number, part in enumerate((QLabel("slices, from and to"), self.first, self.last)):
                grid.addWidget(part, 1, number)
        return group


def _last(scan: Any) -> tuple[int, int, int]:
    i, j, k = (side - 1 for side in scan.shape)
    return i, j, k
