"""Choosing among several series: modality, description, size, spacing, date, and a picture of each."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QSize, Qt, QTimer
from qtpy.QtGui import QIcon, QImage, QPixmap
from qtpy.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QDialogButtonBox,
    QHeaderView,
    QInputDialog,
    QLabel,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from medcolor.errors import MedcolorError
from medcolor.io.isolated import Isolated
from medcolor.scan import MODALITIES
from napari_plugin.desk import Cancelled

HEADINGS = ("", "Modality", "Description", "Size", "Spacing", "Date", "Files", "Geometry")
_SIDE = 72
_UNKNOWN = "unknown: gray only"


class SeriesPicker(QDialog):
    """A table of series; more than one may be chosen.

    Parameters
    ----------
    path : str
        Where the series are.
    rows : list of Row
        From :mod:`medcolor.viewing.catalog`.
    parent : QWidget or None
    """

    def __init__(self, path: str, rows: list[Any], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("medcolor: which series?")
        self._rows = rows
        self.table = self._table(rows)
        self.buttons = QDialogButtonBox(
            QDialogButtonBox.StandardButton.Open | QDialogButtonBox.StandardButton.Cancel, self
        )
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        self.table.itemSelectionChanged.connect(self._enable)
        self.table.itemDoubleClicked.connect(lambda _: self.accept())
        layout = QVBoxLayout(self)
        layout.addWidget(QLabel(f"{len(rows)} series. Choose one, or several with Ctrl or Shift."))
        layout.addWidget(self.table)
        layout.addWidget(self.buttons)
        self.resize(980, 520)
        self._enable()
        self._job = Isolated("medcolor.viewing.opening:thumbnails", path, series=rows, size=_SIDE)
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._look)
        self._timer.start(60)
        self.finished.connect(lambda _: self.stop())

    def chosen(self) -> list[Any]:
        """Return the chosen rows, in the order of the table."""
        return [self._rows[n] for n in sorted({index.row() for index in self.table.selectionModel().selectedRows()})]

    def _table(self, rows: list[Any]) -> QTableWidget:
        table = QTableWidget(len(rows), len(HEADINGS), self)
        table.setHorizontalHeaderLabels(list(HEADINGS))
        table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        table.setIconSize(QSize(_SIDE, _SIDE))
        table.verticalHeader().setDefaultSectionSize(_SIDE + 6)
        for n, row in enumerate(rows):
            off = "; ".join(row.audit)
            texts = ("", row.modality, row.description, row.size, row.spacing, row.date, str(row.n_files), off)
            for column, text in enumerate(texts):
                item = QTableWidgetItem(text)
                item.setToolTip(off or row.series.key)
                table.setItem(n, column, item)
        table.resizeColumnsToContents()
        table.setColumnWidth(0, _SIDE + 10)
        table.horizontalHeader().setSectionResizeMode(len(HEADINGS) - 1, QHeaderView.ResizeMode.Stretch)
        return table

    def _enable(self) -> None:
        self.buttons.button(QDialogButtonBox.StandardButton.Open).setEnabled(bool(self.chosen()))

    def _look(self) -> None:
        """Show the pictures when the child has made them; without them the table is as good as before."""
        if not self._job.poll():
            return
        self._timer.stop()
        try:
            pictures = self._job.result()
        except (MedcolorError, FileNotFoundError):
            pictures = []
        for n, picture in enumerate(pictures):
            if picture is not None:
                self.table.item(n, 0).setIcon(_icon(picture))

    def stop(self) -> None:
        """End the child that makes pictures."""
        self._timer.stop()
        self._job.cancel()


def pick_series(path: str, rows: list[Any], *, parent: QWidget | None = None) -> list[Any]:
    """Ask which series to open.

    Raises
    ------
    Cancelled
    """
    dialog = SeriesPicker(path, rows, parent)
    try:
        if dialog.exec() != QDialog.DialogCode.Accepted:
            raise Cancelled
        return dialog.chosen()
    finally:
        dialog.stop()
        dialog.deleteLater()


def pick_modality(name: str, *, parent: QWidget | None = None) -> str | None:
    """Ask what a file is that does not say it; None if nobody knows.

    Raises
    ------
    Cancelled
    """
    choices = [*MODALITIES, _UNKNOWN]
    said, accepted = QInputDialog.getItem(
        parent, "medcolor: which modality?", f"{name} does not say how it was made.", choices, len(choices) - 1, False
    )
    if not accepted:
        raise Cancelled
    return None if said == _UNKNOWN else said


def _icon(picture: Any) -> QIcon:
    height, width = picture.shape
    image = QImage(picture.tobytes(), width, height, width, QImage.Format.Format_Grayscale8)
    pixmap = QPixmap.fromImage(image.copy())
    return QIcon(pixmap.scaled(_SIDE, _SIDE, Qt.AspectRatioMode.KeepAspectRatio))
