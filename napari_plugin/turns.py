"""Things to do one at a time, each in a turn of the event loop of its own: the window answers in between."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any
from weakref import ref

from qtpy.QtCore import QTimer

from napari_plugin import desk

_PAUSE = 10  # ms between two


class Turns:
    """A queue of short actions, and what each of them changed is drawn in another turn; the window's thread.

    Parameters
    ----------
    viewer
    """

    def __init__(self, viewer: Any) -> None:
        self._viewer, self._held = viewer, False
        self._left: deque[Callable[[], object]] = deque()
        self._timer = QTimer()
        self._timer.setInterval(_PAUSE)
        this = ref(self)  # what Qt holds, Python's collector does not see
        self._timer.timeout.connect(lambda: _turn(this()))

    @property
    def idle(self) -> bool:
        """Whether nothing is left to do."""
        return not self._timer.isActive()

    def then(self, *actions: Callable[[], object]) -> None:
        """Do these after what is waiting already, each of them once."""
        self._left.extend(action for action in actions if action not in self._left)
        if self._left and not self._timer.isActive():
            self._timer.start()

    def close(self) -> None:
        """Do nothing any more."""
        self._timer.stop()
        self._left.clear()
        self._hold(False)

    def turn(self) -> None:
        """Do the next, or let be drawn what it changed."""
        if self._held:
            self._hold(False)
        elif self._left:
            self._hold(True)
            self._left.popleft()()
        else:
            self._timer.stop()

    def _hold(self, held: bool) -> None:
        canvas = desk.canvas_of(self._viewer) if held or self._held else None
        if canvas is not None:
            canvas.setUpdatesEnabled(not held)
        self._held = held and canvas is not None


def _turn(turns: Turns | None) -> None:
    if turns is not None:
        turns.turn()


__all__ = ["Turns"]
