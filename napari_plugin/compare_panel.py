"""A segmenter on gray and on colour, side by side on the open scan. It proves nothing, and says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import napari.viewer  # the annotation, spelled out, is how napari hands its viewer over
from qtpy.QtWidgets import QCheckBox, QComboBox, QFileDialog, QGridLayout, QLabel, QPushButton

from medcolor.errors import MedcolorError
from medcolor.io import read_segmentation
from medcolor.scan import from_slices, to_slices
from medcolor.viewing.annotations import empty_drawing
from medcolor.viewing.comparison import METHODS, NO_EVIDENCE, Compared, compare, in_words
from medcolor.viewing.placement import place
from napari_plugin import desk, layers
from napari_plugin.docked import Docked
from napari_plugin.errand import at_work, described

_SLICE, _ALL = "visible slice", "all slices"


class ComparePanel(Docked):
    """Compares on the selected coloured scan."""

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        viewer = desk.bare(viewer)
        super().__init__(viewer)
        self.compared: Compared | None = None
        self.mask: Any = None
        self.seeds: Any = None
        self._scan: Any = None
        self._errand = self.errand(self._on_busy)
        self.method, self.extent = QComboBox(), QComboBox()
        self.method.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        for method in METHODS:
            self.method.addItem(f"{method.name}: {method.meaning}", method.name)
        self.extent.addItems([_SLICE, _ALL])
        self.paint, self.go = QPushButton("Paint seeds"), QPushButton("Compare")
        self.jump, self.load = QPushButton("Largest disagreement"), QPushButton("Mask ...")
        self.overlay = QCheckBox("Overlays")
        self.overlay.setChecked(True)
        self.words, self.notice = QLabel("Paint two labels or more, then compare."), QLabel(NO_EVIDENCE)
        self.notice.setStyleSheet("font-weight: bold;")
        column, grid = self.scrolled(), QGridLayout()
        for widget in (self.notice, self.method, self.extent):
            column.addWidget(widget)
        for number, button in enumerate((self.paint, self.go, self.load, self.jump)):
            grid.addWidget(button, number // 2, number % 2)
        column.addLayout(grid)
        for widget in (self.overlay, self.words):
            column.addWidget(widget)
        column.addStretch(1)
        for label in (self.words, self.notice):
            label.setWordWrap(True)
        self.jump.setEnabled(False)
        self.paint.clicked.connect(self.paint_seeds)
        self.go.clicked.connect(self.run)
        self.load.clicked.connect(self._on_load)
        self.jump.clicked.connect(self.jump_to_disagreement)
        self.overlay.toggled.connect(self._on_overlay)

    def paint_seeds(self) -> None:
        """Add a layer to paint seeds on."""
        found = at_work(self.viewer)
        if found is None:
            desk.tell("Colour a scan first.")
            return
        from napari.layers import Labels

        scan = found[1].scan
        self.seeds = Labels(
            empty_drawing(scan), name=f"{described(found[0])} (seeds)", opacity=0.8,
            **layers.spatial(scan), metadata=layers.metadata(scan, "seeds"),
        )  # fmt: skip
        self.viewer.layers.append(self.seeds)
        self.viewer.layers.selection.active = self.seeds
        self.seeds.mode = "paint"
        self.seeds.brush_size = 6

    def run(self) -> None:
        """Segment both, in a thread."""
        found = at_work(self.viewer)
        if found is None:
            desk.tell("Colour a scan first.")
            return
        session = found[1]
        scan = session.scan
        seeds = None
        if self.seeds is not None and self.seeds in self.viewer.layers:
            seeds = layers.to_scan_slices(scan, self.seeds.data).copy()
        k = place(scan).voxel(found[0].world_to_data(self.viewer.dims.point)[-3:])[2]
        numbers = range(k, k + 1) if self.extent.currentText() == _SLICE else None
        self._errand.run(
            compare,
            lambda made: self._show(made, found[0], scan),
            session,
            str(self.method.currentData()),
            seeds=seeds,
            mask=self.mask,
            slices=numbers,
        )

    def load_mask(self, path: Path) -> None:
        """Take a mask from a file, for Dice."""
        try:
            self.mask = read_segmentation(path)
        except (MedcolorError, FileNotFoundError) as error:
            desk.tell(desk.in_words(error))
        else:
            self.words.setText(f"Mask: {', '.join(self.mask.names[label] for label in self.mask.counts)}.")

    def jump_to_disagreement(self) -> None:
        """Move the viewer to where the two results differ most."""
        spot = None if self.compared is None else self.compared.largest_disagreement()
        if spot is None:
            self.words.setText("The two results are the same.")
            return
        layer = self._overlays().get("colour")
        position = place(self._scan).position(*spot)
        where = place(self._scan)
        world = [p * s + t for p, s, t in zip(position, where.scale, where.translate, strict=True)]
        above = self.viewer.dims.ndim - 3
        self.viewer.dims.set_point([above, above + 1, above + 2], world)
        self.viewer.scene.camera.center = tuple(world)
        if layer is not None:
            self.viewer.layers.selection.active = layer

    def _show(self, made: Compared, layer: Any, scan: Any) -> None:
        from napari.layers import Labels

        self.compared, self._scan = made, scan
        for old in self._overlays().values():
            self.viewer.layers.remove(old)
        for name, data, shown in (
            ("gray", made.gray.labels, True),
            ("colour", made.color.labels, True),
            ("disagreement", from_slices(made.disagreement), False),
        ):
            self.viewer.layers.append(
                Labels(
                    layers.arranged(scan, to_slices(data)).astype("uint16"),
                    opacity=0.4,
                    visible=shown,
                    name=f"{described(layer)} ({made.method.name} on {name})"
                    if shown
                    else f"{described(layer)} ({name})",
                    **layers.spatial(scan),
                    metadata=layers.metadata(scan, "compared", of=name),
                )
            )
            self.viewer.layers[-1].contour = 1 if shown else 0
        self._on_overlay(self.overlay.isChecked())
        self.jump.setEnabled(True)
        self.words.setText(in_words(made))

    def _overlays(self) -> dict[str, Any]:
        found = layers.layers_of(self.viewer, "compared")
        return {(layers.about(layer) or {})["of"]: layer for layer in found}

    def _on_overlay(self, shown: bool) -> None:
        for layer in self._overlays().values():
            layer.visible = shown

    def _on_load(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "A mask on the grid of the scan")
        if path:
            self.load_mask(Path(path))

    def _on_busy(self, busy: bool) -> None:
        self.go.setEnabled(not busy)
        self.go.setText("Comparing ..." if busy else "Compare")
