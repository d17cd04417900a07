"""The first scan of a window brings the colour panel with it, and an offer of surroundings that colours are read in."""

from __future__ import annotations

from typing import Any
from weakref import WeakSet

from napari_plugin import desk
from napari_plugin.commands import THEME
from napari_plugin.preferences import prefer, preference

_SOON = 100  # ms: the scan is seen first
_greeted: WeakSet[Any] = WeakSet()
_OFFER = "Use the neutral gray reading-room theme?"  # napari cuts longer ones


def greet(viewer: Any) -> None:
    """Open the colour panel and see to the theme, soon, where that is wanted; once for each viewer."""
    from qtpy.QtCore import QTimer

    viewer = desk.bare(viewer)
    if viewer in _greeted:
        return
    _greeted.add(viewer)
    window = desk.window_of(viewer)
    if preference("opening", "panel", otherwise=False):
        QTimer.singleShot(_SOON, window, lambda: _open_panel(viewer))
    surroundings = preference("display", "reading_room", otherwise="never")
    if surroundings == "always":
        viewer.theme = THEME
    elif surroundings == "ask" and viewer.theme != THEME:
        QTimer.singleShot(_SOON, window, lambda: _offer(viewer))


def _open_panel(viewer: Any) -> None:
    from qtpy.QtCore import QTimer

    from napari_plugin.panel import ColorPanel

    window = desk.window_of(viewer)
    if window is not None and window.isVisible() and not window.findChildren(ColorPanel):
        viewer.window.add_plugin_dock_widget("medcolor", "Colour")
        QTimer.singleShot(_SOON, window, viewer.reset_view)  # the canvas has become narrower


def _offer(viewer: Any) -> None:
    from napari.utils.notifications import Notification, NotificationSeverity, notification_manager

    def take(_: Any) -> None:
        prefer("display", "reading_room", "always")
        viewer.theme = THEME

    def decline(_: Any) -> None:
        prefer("display", "reading_room", "never")

    actions = (("Use it", take), ("Do not ask again", decline))
    notification_manager.dispatch(Notification(_OFFER, NotificationSeverity.INFO, actions))
