"""The user's side of reading: messages, and a wait that neither freezes the window nor can be re-entered."""

from __future__ import annotations

from typing import Any

from medcolor.errors import MedcolorError
from medcolor.io.isolated import Isolated

_PATIENCE = 700  # ms before a progress window appears
_TICK = 30  # ms between looks at the child


class Cancelled(Exception):  # noqa: N818 - it is no error
    """The user does not want it any more."""


def viewer() -> Any | None:
    """Return the viewer with a window on the screen, None in a script or a test without one."""
    import napari

    found = napari.current_viewer()
    return found if found is not None and window_of(found) is not None else None


def window_of(found: Any) -> Any | None:
    """Return the Qt window of a viewer, as a parent for dialogs."""
    try:
        return found.window._qt_window
    except (AttributeError, RuntimeError):
        return None


def canvas_of(found: Any) -> Any | None:
    """Return the Qt widget that a viewer draws on, None where its window is gone."""
    try:
        return found.window._qt_viewer.canvas.native
    except (AttributeError, RuntimeError):
        return None


def bare(viewer: Any) -> Any:
    """Return a viewer itself: napari hands over a proxy, whose layers are other objects at every look."""
    return getattr(viewer, "__wrapped__", viewer)


def refuse(error: Exception) -> None:
    """Say in one message why something was not done; without a window, raise it.

    Raises
    ------
    Exception
        ``error`` itself, where nobody would see a message.
    """
    if viewer() is None:
        raise error
    from napari.utils.notifications import show_error

    show_error(in_words(error))


def tell(message: str) -> None:
    """Show something that the user should know and that stops nothing."""
    if message:
        from napari.utils.notifications import show_warning

        show_warning(message)


def in_words(error: Exception) -> str:
    """Return the sentence of an error; ours are written for people."""
    if isinstance(error, MedcolorError | FileNotFoundError):
        return str(error)
    return f"medcolor failed unexpectedly ({type(error).__name__}: {error}). Nothing else was changed."


def wait(job: Isolated, label: str, *, seconds: float | None = None) -> Any:
    """Return the result of a child process; the window stays alive and offers to cancel.

    Raises
    ------
    Cancelled
        By the user.
    MedcolorError, FileNotFoundError
        What the child says.
    """
    current = viewer()
    if current is None:
        return job.result(seconds)
    from qtpy.QtCore import QElapsedTimer, QEventLoop, Qt, QTimer
    from qtpy.QtWidgets import QProgressDialog

    dialog = QProgressDialog(label, "Cancel", 0, 0, window_of(current))
    dialog.setWindowTitle("medcolor")
    dialog.setWindowModality(Qt.WindowModality.WindowModal)  # nobody starts a second reading meanwhile
    dialog.setMinimumDuration(_PATIENCE)
    dialog.setValue(0)
    loop, timer, clock = QEventLoop(), QTimer(), QElapsedTimer()
    clock.start()

    def look() -> None:
        late = seconds is not None and clock.elapsed() > 1000 * seconds
        if job.poll() or dialog.wasCanceled() or late:
            loop.quit()

    timer.timeout.connect(look)
    timer.start(_TICK)
    try:
        loop.exec()
        if dialog.wasCanceled():
            raise Cancelled
        return job.result(0.0 if not job.poll() else None)
    finally:
        timer.stop()
        dialog.close()
        dialog.deleteLater()
        job.cancel()
