"""The palette editor: a colour for each class, how well every eye tells them apart, load, save, match."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import napari.viewer  # the annotation, spelled out, is how napari hands its viewer over
from qtpy.QtGui import QColor
from qtpy.QtWidgets import (
    QColorDialog,
    QFileDialog,
    QGridLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QPushButton,
)

from medcolor.errors import MedcolorError
from medcolor.io import read
from medcolor.palettes import load_palette
from medcolor.viewing.palette_editing import Match, PaletteEditor, match
from napari_plugin import desk
from napari_plugin.docked import Docked
from napari_plugin.errand import Progress, at_work, repaint
from napari_plugin.steer_panel import swatch

_FILES = "Palettes (*.yaml *.yml)"


def matched(session: Any, path: Path, *, progress: Progress) -> Match:
    """Match the palette to a file, in a thread."""
    return match(session, read(path, modality=session.scan.modality))


class PalettePanel(Docked):
    """Edits the palette of the selected coloured scan; the canvas follows every change."""

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        viewer = desk.bare(viewer)
        super().__init__(viewer)
        self.editor: PaletteEditor | None = None
        self._session: Any = None
        self._layer: Any = None
        self._errand = self.errand(lambda busy: self.match.setEnabled(not busy))
        self._rest = self.errand(lambda busy: None if busy else self._redraw())
        self.classes, self.apart = QListWidget(), QLabel("Colour a scan: its palette can be edited here.")
        self.apart.setWordWrap(True)
        self.classes.setMinimumHeight(150)
        self.undo, self.reset = QPushButton("Undo"), QPushButton("As shipped")
        self.load, self.save = QPushButton("Load ..."), QPushButton("Save ...")
        self.match = QPushButton("Match a coloured image ...")
        column, grid = self.scrolled(), QGridLayout()
        hint = QLabel("Double-click a class to choose its hue and chroma; lightness belongs to the scan.")
        hint.setWordWrap(True)
        for widget in (hint, self.classes, self.apart):
            column.addWidget(widget)
        for number, button in enumerate((self.undo, self.reset, self.load, self.save, self.match)):
            grid.addWidget(button, number // 2, number % 2, 1, 1 if number < 4 else 2)
        column.addLayout(grid)
        self.classes.itemDoubleClicked.connect(self._on_class)
        self.undo.clicked.connect(self.take_back)
        self.reset.clicked.connect(self.as_shipped)
        self.load.clicked.connect(self._on_load)
        self.save.clicked.connect(self._on_save)
        self.match.clicked.connect(self._on_match)
        self.follow_events(self.follow, viewer.layers.selection.events.active, viewer.layers.events.inserted)
        self.follow()

    def follow(self, event: Any = None) -> None:
        """Edit the palette of the selected coloured scan."""
        found = at_work(self.viewer)
        if found is None or not found[1].done:
            return
        self._layer, session = found
        palette = session.look.palette
        if palette is None:
            self.editor = None
            self.classes.clear()
            self.apart.setText("A colour table has no classes.")
        elif session is not self._session or self.editor is None or self.editor.palette.names != palette.names:
            self.editor = PaletteEditor(palette)
            self._show()
        self._session = session

    def set_rgb(self, name: str, rgb: tuple[int, int, int]) -> None:
        """Give a class the hue and chroma of a colour."""
        if self.editor is not None:
            self.editor.set_rgb(name, rgb)
            self._apply()

    def take_back(self) -> None:
        """Undo the last change."""
        if self.editor is not None and self.editor.undo():
            self._apply()

    def as_shipped(self) -> None:
        """Become the palette that travels with medcolor, of the style that was edited."""
        if self.editor is None:
            return
        self._try(lambda editor: editor.take(load_palette(editor.palette.modality, editor.palette.style)))

    def load_from(self, path: Path) -> None:
        """Load a personal palette."""
        self._try(lambda editor: editor.load(path))

    def match_to(self, path: Path) -> None:
        """Take the colours that classes have in a coloured image."""
        self.follow()
        if self.editor is not None:
            self._errand.run(matched, self._on_matched, self._session, path)

    def _on_matched(self, found: Match) -> None:
        self._try(lambda editor: editor.take(found.palette))
        kept = f" Not seen there, so kept: {', '.join(found.unseen)}." if found.unseen else ""
        self.apart.setText(f"{self.apart.text()}\nMatched {found.how}.{kept}")

    def _try(self, change: Any) -> None:
        if self.editor is None:
            return
        try:
            change(self.editor)
        except MedcolorError as error:
            desk.tell(desk.in_words(error))
            return
        self._apply()

    def _apply(self) -> None:
        assert self.editor is not None
        self._session.recolor(palette=self.editor.palette, cvd=None)
        self._redraw()
        self._rest.run(repaint, lambda _: None, self._session)
        self._show()

    def _redraw(self) -> None:
        if self._layer in self.viewer.layers:
            self._layer.refresh(thumbnail=False, extent=False, highlight=False)

    def _show(self) -> None:
        assert self.editor is not None
        self.classes.clear()
        for entry, color in zip(self.editor.legend(), self.editor.palette.classes, strict=True):
            item = QListWidgetItem(swatch(entry.swatch), f"{entry.label}   a* {color.ab[0]:g}, b* {color.ab[1]:g}")
            item.setToolTip(f"{entry.meaning}\n{color.source}")
            item.setData(256, entry.name)  # Qt.UserRole
            self.classes.addItem(item)
        self.apart.setText("\n".join(str(apart) for apart in self.editor.apart()))

    def _on_class(self, item: QListWidgetItem) -> None:
        if self.editor is None:
            return
        name = str(item.data(256))
        now = next(entry.swatch for entry in self.editor.legend() if entry.name == name)
        chosen = QColorDialog.getColor(QColor(*now), self)
        if chosen.isValid():
            self.set_rgb(name, chosen.getRgb()[:3])

    def _on_load(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Load a palette", filter=_FILES)
        if path:
            self.load_from(Path(path))

    def _on_save(self) -> None:
        path, _ = QFileDialog.getSaveFileName(self, "Save the palette", filter=_FILES)
        if not path or self.editor is None:
            return
        try:
            self.editor.save(Path(path), force=True)  # the dialog has asked
        except MedcolorError as error:
            desk.tell(desk.in_words(error))

    def _on_match(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "A coloured image")
        if path:
            self.match_to(Path(path))
