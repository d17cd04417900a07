"""The controls of the look: colorizer, palette, strength, fade, colour vision, window."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import QComboBox, QFormLayout, QLabel, QSlider, QWidget

from medcolor.scan import Scan
from medcolor.viewing import choices
from medcolor.viewing.session import ColoringSession
from medcolor.voi import Display

_OTHER = "by hand"


class LookBox(QWidget):
    """Says what was chosen; knows nothing of layers.

    ``changed`` carries what :meth:`ColoringSession.recolor` takes; ``colorizer_changed`` a spec; ``window_chosen`` a
    :class:`~medcolor.voi.Window` or table.
    """

    changed = Signal(dict)
    colorizer_changed = Signal(str)
    window_chosen = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.colorizer, self.palette, self.cvd, self.window = QComboBox(), QComboBox(), QComboBox(), QComboBox()
        self.strength, self.fade = _slider(100), _slider(0)
        self._windows: dict[str, Display] = {}
        form = QFormLayout(self)
        form.setContentsMargins(0, 0, 0, 0)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        for name, control, tip in (
            ("Window", self.window, "Gray and colours follow it. Drag with the right mouse button on the image."),
            ("Colorizer", self.colorizer, "auto: the trained one of this modality where it is the better one."),
            ("Palette", self.palette, "Colours are designed, none is the true one."),
            ("Strength", self.strength, "How much colour; the gray is the same at every strength."),
            ("Fade", self.fade, "Less colour where the network is less sure."),
            ("Colour vision", self.cvd, "Colours that stay apart for eyes that see otherwise."),
        ):
            control.setToolTip(tip)
            control.setAccessibleName(name)
            form.addRow(QLabel(name), control)
            if isinstance(control, QComboBox):
                control.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
                control.setMinimumContentsLength(8)
        self.cvd.addItems(list(choices.EYES))
        self.colorizer.currentTextChanged.connect(self._on_colorizer)
        self.palette.currentTextChanged.connect(lambda style: self.changed.emit({"palette": style}))
        self.cvd.currentTextChanged.connect(lambda eye: self.changed.emit({"cvd": choices.EYES[eye]}))
        self.strength.valueChanged.connect(lambda value: self.changed.emit({"strength": value / 100}))
        self.fade.valueChanged.connect(lambda value: self.changed.emit({"fade": value / 100}))
        self.window.activated.connect(self._on_window)

    def offer(self, scan: Scan) -> None:
        """Offer what fits a scan; what was chosen before stays chosen where it still exists."""
        self._windows = choices.windows(scan)
        for control, names in (
            (self.colorizer, choices.colorizers(scan)),
            (self.palette, choices.palettes(scan)),
            (self.window, (*self._windows, _OTHER)),
        ):
            before = control.currentText()
            with QSignalBlocker(control):
                control.clear()
                control.addItems(list(names))
                control.setCurrentIndex(max(control.findText(before), 0))
        self.window.setEnabled(scan.rgb is None)
        self._allow(choices.takes(self.colorizer.currentText()))

    def arguments(self) -> dict[str, Any]:
        """Return the choices as arguments of :class:`ColoringSession`; only those that the colorizer knows."""
        spec = self.colorizer.currentText()
        known = choices.takes(spec)
        chosen: dict[str, Any] = {"strength": self.strength.value() / 100, "cvd": choices.EYES[self.cvd.currentText()]}
        if self.palette.currentText():
            chosen["palette"] = self.palette.currentText()
        if self.fade.value():
            chosen["fade"] = self.fade.value() / 100
        return {"colorizer": spec} | {name: value for name, value in chosen.items() if name in known}

    def follow(self, session: ColoringSession) -> None:
        """Show the look of a session that knows it, and which controls act on it."""
        look = session.look
        for slider, value in ((self.strength, look.strength), (self.fade, look.fade)):
            with QSignalBlocker(slider):
                slider.setValue(round(100 * value))
        with QSignalBlocker(self.palette):
            if look.style is not None and self.palette.findText(look.style) >= 0:
                self.palette.setCurrentText(look.style)
        self._allow(choices.takes(session.colorizer))

    def show_window(self, display: Display) -> None:
        """Show which window is in use."""
        with QSignalBlocker(self.window):
            for name, known in self._windows.items():
                if known is display or (type(known) is type(display) and str(known) == str(display)):
                    self.window.setCurrentText(name)
                    return
            last = self.window.count() - 1
            self.window.setItemText(last, f"{display} ({_OTHER})")
            self.window.setCurrentIndex(last)

    def _allow(self, known: frozenset[str]) -> None:
        for name in ("palette", "strength", "cvd", "fade"):
            getattr(self, name).setEnabled(name in known)

    def _on_colorizer(self, spec: str) -> None:
        self._allow(choices.takes(spec))
        self.colorizer_changed.emit(spec)

    def _on_window(self, index: int) -> None:
        display = self._windows.get(self.window.itemText(index))
        if display is not None:
            self.window_chosen.emit(display)


def _slider(value: int) -> QSlider:
    slider = QSlider(Qt.Orientation.Horizontal)
    slider.setRange(0, 100)
    slider.setValue(value)
    return slider


__all__ = ["LookBox"]
