"""Our panels share one place beside the canvas, as tabs: one below another, none has room."""

from __future__ import annotations

from typing import Any

from qtpy.QtWidgets import QDockWidget, QMainWindow, QWidget

_OURS = "medcolor_panel"
_SHORT = {"Three planes": "Planes", "Crop, annotate, export": "Edit", "Gray against colour": "Compare"}


def join(panel: QWidget) -> None:
    """Put the dock of a panel, once it has one, behind those of ours that are there, and show it."""
    panel.setProperty(_OURS, True)
    dock = _above(panel, QDockWidget)
    window = None if dock is None else _above(dock, QMainWindow)
    if dock is None or window is None or dock.isFloating():
        return
    title = dock.windowTitle().removesuffix(" (medcolor)")
    dock.setWindowTitle(_SHORT.get(title, title))  # seven tabs have room for one word each
    area = window.dockWidgetArea(dock)
    beside = [each for each in _docks(window) if each is not dock and window.dockWidgetArea(each) == area]
    if beside and dock not in window.tabifiedDockWidgets(beside[-1]):
        window.tabifyDockWidget(beside[-1], dock)
        dock.raise_()


def _docks(window: QMainWindow) -> list[QDockWidget]:
    """Return the docks that hold a panel of ours, in the order they came."""
    return [
        each
        for each in window.findChildren(QDockWidget)
        if not each.isFloating() and any(inside.property(_OURS) for inside in each.findChildren(QWidget))
    ]


def _above(widget: QWidget, kind: type[Any]) -> Any:
    parent = widget.parent()
    while parent is not None and not isinstance(parent, kind):
        parent = parent.parent()
    return parent
