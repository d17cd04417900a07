"""The top of the colour panel: the button, how far it is, and gray or colour."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import (
    QButtonGroup,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QSlider,
    QVBoxLayout,
    QWidget,
)

from medcolor.viewing.session import Step
from napari_plugin.coloring import Coloring
from napari_plugin.showing import MODES, Showing

_CHECKED = "QPushButton:checked { background-color: #6f6f6f; color: white; font-weight: bold; }"
_BUSY = {Step.WAITING, Step.LOADING, Step.FITTING}
_STOPPED = {Step.CANCELLED, Step.FAILED}
_STEPS = 1000  # of the slider that moves the line
_TIPS = {
    "colour": "The colours (C)",
    "gray": "The gray they were made from (C)",
    "split": "Gray beside colour; drag the line",
    "swipe": "Gray beside colour; the line follows the mouse",
}


class TopBox(QWidget):
    """Says what was pressed: ``pressed``, ``mode_chosen`` (one of MODES), ``place_chosen`` (0 to 1)."""

    pressed = Signal()
    mode_chosen = Signal(str)
    place_chosen = Signal(float)

    def __init__(self) -> None:
        super().__init__()
        self.button, self.progress, self.said = QPushButton("Colour this scan"), QProgressBar(), QLabel()
        self.modes, self.place = QButtonGroup(self), QSlider(Qt.Orientation.Horizontal)
        self.button.setMinimumHeight(36)
        self.button.clicked.connect(lambda _: self.pressed.emit())
        self.progress.setTextVisible(False)
        self.progress.setMaximumHeight(6)
        self.said.setWordWrap(True)
        self.said.setMinimumHeight(2 * self.said.fontMetrics().height())
        self.said.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.place.setRange(0, _STEPS)
        self.place.setAccessibleName("Place of the line between gray and colour")
        self.place.valueChanged.connect(lambda value: self.place_chosen.emit(value / _STEPS))
        row = QHBoxLayout()
        row.setSpacing(1)
        for number, mode in enumerate(MODES):
            button = QPushButton(mode.capitalize())
            button.setCheckable(True)
            button.setToolTip(_TIPS[mode])
            button.setStyleSheet(_CHECKED)
            self.modes.addButton(button, number)
            row.addWidget(button, 1)
        self.modes.idClicked.connect(lambda number: self.mode_chosen.emit(MODES[number]))
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        for part in (self.button, self.progress, self.said):
            column.addWidget(part)
        column.addLayout(row)
        column.addWidget(self.place)

    def update_from(self, coloring: Coloring | None, showing: Showing | None) -> None:
        """Show what is true of a scan; None: there is none."""
        session = None if coloring is None else coloring.session
        shown = coloring is not None and coloring.shown
        working = coloring is not None and coloring.working and session is not None and session.step is not Step.DONE
        stopped = session is not None and bool(session.stale) and session.step in _STOPPED
        left = session is None or not session.done or stopped or not shown
        self.button.setEnabled(coloring is not None and (working or left))
        self.button.setText(
            "Cancel" if working else "Go on" if left and shown and session is not None else "Colour this scan"
        )
        if session is not None:
            busy = working and session.step in _BUSY
            self.progress.setRange(0, 0 if busy else session.total)
            self.progress.setValue(session.total - session.stale if working and not busy else 0)
        self.said.setText(_sentence(coloring, session))
        mode = "" if showing is None else showing.mode
        for number, button in enumerate(self.modes.buttons()):
            button.setEnabled(shown)
            button.setChecked(MODES[number] == mode)
        self.place.setVisible(shown and mode == "split")
        if showing is not None:
            with QSignalBlocker(self.place):
                self.place.setValue(round(_STEPS * showing.place))


def _sentence(coloring: Coloring | None, session: Any) -> str:
    if coloring is None:
        return "Open a scan: File > Open Folder, or drop it on the window."
    if session is None:
        return str(coloring.name)
    if session.step is Step.DONE:
        return f"{session.colorizer.name}: {session.done} of {session.total} slices"
    return "starting" if session.step is Step.WAITING else str(session.status)


__all__ = ["TopBox"]
