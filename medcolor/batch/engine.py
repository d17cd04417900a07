"""Where tasks are done: a pool of child processes here; other schedulers need only be an ``Engine``."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from medcolor.batch.child import Child, ChildDeath, wait_for
from medcolor.batch.settings import Caps
from medcolor.batch.task import Outcome, State, Task

_WAIT = 0.05
Source = Callable[[], Task | None]
"""Gives the next task; None where there is none now."""


class Engine(Protocol):
    """Does tasks, in any order, wherever; knows nothing of journals, retries or disks that are full."""

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Have one of its processes answer a question, such as what settings come to where the work is done.

        Raises
        ------
        ChildDeath
        """
        ...

    def run(self, source: Source, more: Callable[[], bool]) -> Iterator[tuple[Task, Outcome]]:
        """Yield each task with what came of it.

        Parameters
        ----------
        source : callable
            Asked whenever there is room for a task. A task that came back may be given again.
        more : callable
            Whether ``source`` may yet give tasks, now or later.

        Yields
        ------
        task, outcome
            A task that ended its process has the state DIED.
        """
        ...

    def close(self) -> None:
        """End whatever still runs."""
        ...


class PoolEngine:
    """So many child processes on this computer, each doing one task at a time.

    Parameters
    ----------
    workers : int
    caps : Caps
    """

    def __init__(self, workers: int, caps: Caps) -> None:
        self.children = [Child(caps) for _ in range(max(1, workers))]

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Have the first child answer; see :class:`Engine`."""
        return self.children[0].wait(request)

    def run(self, source: Source, more: Callable[[], bool]) -> Iterator[tuple[Task, Outcome]]:
        """Yield each task with what came of it; see :class:`Engine`."""
        busy: dict[Child, Task] = {}
        while True:
            for child in self.children:
                if child not in busy and (task := source()) is not None:
                    child.ask({"do": "color", "task": task.to_json()})
                    busy[child] = task
            if busy:
                wait_for(busy, _WAIT)
            elif more():
                time.sleep(_WAIT)
            else:
                return
            for child, task in list(busy.items()):
                outcome = _answered(child)
                if outcome is not None:
                    del busy[child]
                    yield task, outcome

    @property
    def peak(self) -> int:
        """The most bytes that one child had in memory."""
        return max(child.peak for child in self.children)

    def close(self) -> None:
        """End the children."""
        for child in self.children:
            child.end()


def _answered(child: Child) -> Outcome | None:
    try:
        answer = child.answer()
    except ChildDeath as death:
        return Outcome(State.DIED, death.code, death.reason)
    return None if answer is None else answered(answer)


def answered(answer: dict[str, Any]) -> Outcome:
    """Return the outcome in what a child that coloured a series answered."""
    return Outcome.from_json(answer["outcome"])
