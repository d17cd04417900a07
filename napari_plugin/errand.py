"""Work for a while in a thread of its own, with a sentence at the end where it was refused."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from qtpy.compat import isalive

from medcolor.errors import MedcolorError
from napari_plugin import desk, layers

EXPECTED = (MedcolorError, FileNotFoundError, RuntimeError)
Progress = Callable[[int, int], None]


class Called(Exception):  # noqa: N818 - it is no error
    """Nobody waits for the result any more."""


class Errand:
    """One piece of work at a time for a widget.

    Parameters
    ----------
    busy
        Called with whether something runs, and whenever that changes.
    owner
        The widget; where it is gone, nobody is called.
    """

    def __init__(self, busy: Callable[[bool], None], owner: Any) -> None:
        self._busy, self._owner, self._worker, self._over = busy, owner, None, False

    @property
    def running(self) -> bool:
        """Whether something runs."""
        return self._worker is not None

    def run(self, work: Callable[..., Any], then: Callable[[Any], None], *args: Any, **options: Any) -> bool:
        """Do ``work(*args, **options, progress=...)`` in a thread, ``then`` with its result; False while busy."""
        from napari.qt.threading import FunctionWorker

        if self.running or self._closed:
            return False
        self._worker = worker = FunctionWorker(self._in_thread, work, args, options)
        worker.returned.connect(partial(self._on_return, then))
        worker.finished.connect(self._on_end)
        self._busy(True)
        worker.start()
        return True

    def close(self) -> None:
        """Give up what runs, for good; its next step of progress ends it."""
        self._over = True

    @property
    def _closed(self) -> bool:
        return self._over or not isalive(self._owner)

    def _in_thread(self, work: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]) -> tuple[Any, str]:
        try:
            return work(*args, **options, progress=self._check), ""
        except Called:
            return None, ""
        except EXPECTED as error:
            return None, desk.in_words(error) if isinstance(error, MedcolorError) else str(error)

    def _check(self, done: int, total: int) -> None:
        if self._closed:
            raise Called

    def _on_return(self, then: Callable[[Any], None], outcome: tuple[Any, str]) -> None:
        value, refusal = outcome
        if self._closed:
            return
        if refusal:
            desk.tell(refusal)
        elif value is not None:
            then(value)

    def _on_end(self) -> None:
        self._worker = None
        if not self._closed:
            self._busy(False)


def repaint(session: Any, *, progress: Progress) -> None:
    """Repaint the slices that nobody looks at, in a thread; where another thread does already, leave it to that."""
    try:
        for done in session.work():
            progress(done, session.total)
    except RuntimeError:
        return


def at_work(viewer: Any) -> tuple[Any, Any] | None:
    """Return the colour layer and its session: of the selected scan, else of the topmost; None where there is none."""
    ours = [layer for layer in layers.layers_of(viewer, "color") if "session" in (layers.about(layer) or {})]
    active = layers.about(viewer.layers.selection.active)
    same = [layer for layer in ours if active is not None and layers.about(layer)["scan"] is active["scan"]]  # type: ignore[index]
    found = (same or ours)[-1:]
    return None if not found else (found[0], layers.about(found[0])["session"])  # type: ignore[index]


def described(layer: Any) -> str:
    """Return the description of the scan in a layer's name."""
    return str(layer.name.rsplit(" (", 1)[0])
