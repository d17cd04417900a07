"""What lets a reader trust the colours: legend, probe, confidence, the count of pixels that differ."""

from __future__ import annotations

import time
from typing import Any

from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QCheckBox, QLabel, QVBoxLayout, QWidget

from medcolor.viewing.canvas_legend import no_picture, picture_in
from medcolor.viewing.wording import fidelity_words, legend_title
from napari_plugin import layers
from napari_plugin.coloring import Coloring

DISCLAIMER = "Designed colours. Research use, not for diagnosis. The gray image is the reference."
_VEIL = ((0.75, 0.2, 1.0, 1.0), (0.75, 0.2, 1.0, 0.0))  # a hue that no palette has; sure is clear
_AFTER = 120  # ms between a change and its legend
_EVERY = 2.0  # s between legends while shares still grow
_LETTER = 44  # pixels that an orientation letter takes, with air around it


class TrustBox(QWidget):
    """Legend and confidence on the canvas; probe and fidelity in words."""

    def __init__(self, viewer: Any) -> None:
        super().__init__()
        self._viewer: Any = viewer
        self._coloring: Coloring | None = None
        self.legend_key: Any = None
        self._drawn, self._final = 0.0, False
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(_AFTER)
        self._soon.timeout.connect(self._draw)
        self.legend = QCheckBox("Legend on the canvas")
        self.confidence = QCheckBox("Confidence as a layer")
        self.probe, self.fidelity, self.notice = QLabel(), QLabel(), QLabel(DISCLAIMER)
        self.legend.setChecked(True)
        self.confidence.setToolTip("A violet veil: the stronger, the less the colours can be relied on.")
        self.probe.setMinimumHeight(48)
        self.probe.setAlignment(Qt.AlignmentFlag.AlignTop)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        for part in (self.legend, self.confidence, self.probe, self.fidelity, self.notice):
            if isinstance(part, QLabel):
                part.setWordWrap(True)
            column.addWidget(part)
        self.notice.setStyleSheet("font-weight: bold;")
        self.legend.toggled.connect(lambda _: self.update_from(self._coloring))
        self.confidence.toggled.connect(self._on_confidence)
        self.say("")

    def close_down(self) -> None:
        """Draw nothing any more."""
        self._soon.stop()
        self._coloring = self._viewer = None

    def get_ready(self) -> None:
        """Draw a legend of nothing, so that what draws it is ready."""
        from napari_plugin.legend_overlay import legend_of

        if self._viewer is not None and legend_of(self._viewer).picture is None:
            legend_of(self._viewer).show(no_picture())

    def say(self, words: str) -> None:
        """Show what is under the cursor."""
        self.probe.setText(words.replace(" · ", "\n") or "Move the cursor over the image to read values.")

    def update_from(self, coloring: Coloring | None) -> None:
        """Show what is true of a coloured scan; None: nothing is coloured."""
        self._coloring = coloring
        session = None if coloring is None else coloring.session
        self.confidence.setEnabled(session is not None)
        if coloring is None or session is None or not session.done:
            self.fidelity.setText("")
            self._show_legend(False)
            return
        if coloring.fidelity is None:
            self.fidelity.setText("Gray recoverable: being checked ..." if coloring.working else "")
        else:
            self.fidelity.setText(fidelity_words(*coloring.fidelity, session.law))
        wanted = self.legend.isChecked() and self._seen(coloring)
        if wanted and self._outdated(coloring) and not self._soon.isActive():
            self._soon.start()
        self._show_legend(wanted and self.legend_key is not None)

    def _outdated(self, coloring: Coloring) -> bool:
        """Whether colours, window or shares changed since the legend was drawn."""
        if self._key(coloring) != self.legend_key:
            return True
        return not self._final and (not coloring.working or time.monotonic() - self._drawn > _EVERY)

    def _key(self, coloring: Coloring) -> Any:
        session = coloring.session
        if session is None:
            return None
        return id(session), id(session.look), str(session.display), self._viewer.dims.ndisplay, self._room()

    def _seen(self, coloring: Coloring) -> bool:
        """Whether colours of the scan are on the canvas, as slices or as a volume."""
        ours = [each for kind in ("color", "volume") for each in layers.layers_of(self._viewer, kind) if each.visible]
        return any((layers.about(each) or {})["scan"] is coloring.scan for each in ours)

    def _room(self) -> tuple[int, int]:
        """Return height and width of the corner between two orientation letters."""
        height, width = self._viewer.canvas.size
        return height // 2 - _LETTER, width // 2 - _LETTER

    def _draw(self) -> None:
        """Draw the legend; after the picture, which must not wait for it."""
        from napari_plugin.legend_overlay import legend_of

        coloring = self._coloring
        session = None if coloring is None else coloring.session
        if coloring is None or session is None or not session.done or not coloring.shown:
            return
        self.legend_key, self._drawn, self._final = self._key(coloring), time.monotonic(), not coloring.working
        title = legend_title(coloring.scan, session.display)
        if self._viewer.dims.ndisplay == 3:
            title += ", blended in 3-D"
        picture = picture_in(session.legend(), self._room(), letter=_LETTER, title=title, ramps=session.ramps())
        legend_of(self._viewer).show(picture)
        self.update_from(coloring)

    def _show_legend(self, shown: bool) -> None:
        from napari_plugin.legend_overlay import NAME

        overlays = self._viewer.canvas.overlays
        if NAME in overlays and overlays[NAME].visible != shown:
            overlays[NAME].visible = shown

    def _on_confidence(self, wanted: bool) -> None:
        """Add the confidence as a layer of its own, or take it away."""
        coloring = self._coloring
        if coloring is None:
            return
        for layer in layers.layers_of(self._viewer, "confidence"):
            if (layers.about(layer) or {})["scan"] is coloring.scan:
                self._viewer.layers.remove(layer)
        if not wanted or coloring.session is None:
            return
        from napari.layers import Image
        from napari.utils import Colormap

        scan = coloring.scan
        layer = Image(
            layers.arranged(scan, coloring.session.confidence), name=f"{coloring.name} (confidence)",
            colormap=Colormap(_VEIL, name="doubt"), contrast_limits=(0, 255), interpolation2d="nearest",
            metadata=layers.metadata(scan, "confidence", session=coloring.session), **layers.spatial(scan),
        )  # fmt: skip
        active = self._viewer.layers.selection.active
        self._viewer.layers.append(layer)
        self._viewer.layers.selection.active = active
