"""Leaving long work in the middle, where that work knows nothing of it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from medcolor.errors import MedcolorError


class Cancelled(MedcolorError):  # noqa: N818  # it is no mistake
    """The work was called off, by whoever wanted it."""


@contextmanager
def interruptible(wanted: Callable[[], bool]) -> Iterator[None]:
    """Raise :class:`Cancelled` in the midst of the block as soon as ``wanted`` says so.

    The fit of a tissue model takes seconds and has no progress to hook into. It spends them in numpy and scipy, so a
    look at every call that medcolor's own functions make costs little. It never happens within other packages, whose
    locks and caches nobody wrote for it, nor while a module is imported: that would stay broken for the process. A
    profiler that is at work in this thread already is left alone.
    """
    if sys.getprofile() is not None:
        yield
        return

    def hook(frame: FrameType, event: str, argument: Any) -> None:
        ours = frame.f_globals.get("__name__", "").startswith("medcolor.")
        if ours and wanted() and not _importing(frame):
            raise Cancelled("Colouring was cancelled.")

    sys.setprofile(hook)
    try:
        yield
    finally:
        sys.setprofile(None)


def _importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


__all__ = ["Cancelled", "interruptible"]
