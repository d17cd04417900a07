"""Files dropped together are opened together: napari opens each by itself, and a series would come slice by slice."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QEvent, QObject

from medcolor.viewing.opening import parts_of_a_series
from napari_plugin import desk

_NAME = "medcolor_dropping"


def together(viewer: Any) -> None:
    """Open what is dropped on a viewer's window as one, where it is one; may be called again."""
    window = desk.window_of(viewer)
    target = getattr(window, "_qt_viewer", None)
    if target is not None and target.findChild(QObject, _NAME) is None:
        target.installEventFilter(_Dropping(viewer, target))


class _Dropping(QObject):
    def __init__(self, viewer: Any, target: Any) -> None:
        from weakref import ref

        super().__init__(target)
        self.setObjectName(_NAME)
        self._viewer = ref(desk.bare(viewer))

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 - Qt's name
        """Take several files of one series away from napari."""
        viewer = self._viewer()
        if event.type() != QEvent.Type.Drop or viewer is None:
            return bool(super().eventFilter(watched, event))
        urls = event.mimeData().urls()
        paths = [url.toLocalFile() for url in urls if url.isLocalFile()]
        if len(paths) != len(urls) or not parts_of_a_series(paths):
            return False
        event.accept()
        viewer.open(paths, stack=True, plugin="medcolor")
        return True
