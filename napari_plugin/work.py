"""What a thread does for one scan, and how the window hears of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any
from weakref import WeakMethod

from medcolor.errors import MedcolorError
from medcolor.viewing.session import Step
from napari_plugin import desk

if TYPE_CHECKING:
    from medcolor.viewing.session import ColoringSession

_LOOK = 0.05  # s between looks whether something is still wanted
Checked = tuple[int, int] | str | None


def steps(
    session: ColoringSession, first: int, stop: threading.Event, room: threading.Event
) -> Generator[int, None, Checked]:
    """Colour when there is room, then compare every pixel with its gray; a refusal comes back as its sentence."""
    while not room.wait(_LOOK):  # a thread that computes makes the window twice as slow
        if stop.is_set():
            return None
    try:
        yield from session.work(first)
        broken = compared = 0
        for k in range(session.total):
            if stop.is_set() or session.step is not Step.DONE:
                return None
            differing, count = session.fidelity(k)
            broken, compared = broken + differing, compared + count
    except (MedcolorError, FileNotFoundError) as error:
        return desk.in_words(error)
    return broken, compared


def heard(method: Callable[..., None], *first: Any) -> Callable[..., None]:
    """Let a signal call a method and keep nothing alive: what Qt holds, Python's collector does not see."""
    weak = WeakMethod(method)

    def call(*given: Any) -> None:
        found = weak()
        if found is not None:
            found(*first, *given)

    return call


def repaint(session: ColoringSession, look: dict[str, Any]) -> str:
    """Choose another look; a refusal comes back as its sentence."""
    try:
        session.recolor(**look)
    except (MedcolorError, FileNotFoundError) as error:
        return desk.in_words(error)
    return ""


__all__ = ["Checked", "heard", "repaint", "steps"]
