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
def interruptible(check: Callable[[], None]) -> Iterator[None]:
    """Call ``check`` whenever this thread enters or leaves a function; what it raises ends the work.

    The fit of a tissue model takes seconds and has no progress to hook into. It spends them in numpy and scipy, so the
    hook costs little. A profiler that is at work in this thread already is left alone.
    """
    if sys.getprofile() is not None:
        yield
        return

    def hook(frame: FrameType, event: str, argument: Any) -> None:
        check()

    sys.setprofile(hook)
    try:
        yield
    finally:
        sys.setprofile(None)


__all__ = ["Cancelled", "interruptible"]
