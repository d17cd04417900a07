"""A study is run: cell by cell, in this process or in several; what is finished is never done again."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from medcolor.comparison.cells import Cell, CellStore, Outcome, key_of
from medcolor.errors import MedcolorError

Progress = Callable[[int, int], None]


class Bench(Protocol):
    """What computes cells."""

    def depends(self, cell: Cell) -> Mapping[str, Any]:
        """Return, as plain JSON, everything a cell's figures depend on besides its name.

        Raises
        ------
        MedcolorError
            The cell cannot be computed here: an arm without a bundle, a colorizer that saw a test patient.
        """
        ...

    def run(self, cell: Cell) -> Outcome:
        """Compute a cell.

        Raises
        ------
        MedcolorError
            It cannot be computed, and why.
        """
        ...


@dataclass
class Ran:
    """How far a study is.

    Attributes
    ----------
    outcomes : dict of Cell to Outcome
        In the order of the plan, whenever they were computed.
    refused, failed : dict of Cell to str
        Why there is none: by rule, or because something broke. The next run tries again.
    waiting : list of Cell
        Not reached.
    computed : int
        How many cells this run computed itself.
    seconds : float
        Of all cells together, whenever they were computed.
    """

    outcomes: dict[Cell, Outcome] = field(default_factory=dict)
    refused: dict[Cell, str] = field(default_factory=dict)
    failed: dict[Cell, str] = field(default_factory=dict)
    waiting: list[Cell] = field(default_factory=list)
    computed: int = 0

    @property
    def seconds(self) -> float:
        """Time that all cells took."""
        return sum(outcome.seconds for outcome in self.outcomes.values())


def run_study(
    cells: Sequence[Cell],
    store: CellStore,
    make: Callable[[], Bench],
    *,
    processes: int = 1,
    minutes: float | None = None,
    progress: Progress | None = None,
    cancel: Callable[[], bool] = lambda: False,
) -> Ran:
    """Compute the cells that are not in the store, and return all.

    Parameters
    ----------
    cells : sequence of Cell
    store : CellStore
    make : callable
        Returns a bench. Called once in every process; with several processes it must be picklable.
    processes : int
        How many cells are computed at once. With 1 they are computed in this process.
    minutes : float, optional
        Begin no cell that is not expected to end in this time; 0 computes nothing and returns what there is.
    progress : callable, optional
        Called with (cells computed by this run, cells it has to compute).
    cancel : callable
        Asked between cells; where it says True, the run ends as if its time were over.

    Raises
    ------
    KeyboardInterrupt
        Cells already finished were kept.
    """
    bench = make()
    ran = Ran()
    keys: dict[Cell, tuple[str, Mapping[str, Any]]] = {}
    for cell in cells:
        try:
            depends = bench.depends(cell)
        except MedcolorError as error:
            ran.refused[cell] = str(error)
            continue
        keys[cell] = key_of(cell, depends), depends
    todo = [cell for cell in keys if not store.has(keys[cell][0])]
    clock = _Clock(minutes, cancel)
    runs = _here(todo, bench, clock) if processes == 1 else _beside(todo, make, processes, clock)
    for count, (cell, result) in enumerate(runs, start=1):
        if isinstance(result, Outcome):
            store.keep(keys[cell][0], cell, result, keys[cell][1])
            clock.took(cell, result.seconds)
            ran.computed += 1
        elif isinstance(result, MedcolorError):
            ran.refused[cell] = str(result)
        else:  # its text may quote what it worked on
            ran.failed[cell] = f"{type(result).__name__} (run it alone to see where: {cell})"
        if progress is not None:
            progress(count, len(todo))
    for cell, (key, _) in keys.items():
        if (outcome := store.find(key)) is not None:
            ran.outcomes[cell] = outcome
        elif cell not in ran.refused and cell not in ran.failed:
            ran.waiting.append(cell)
    return ran


class _Clock:
    """Whether there is time for one more cell."""

    def __init__(self, minutes: float | None, cancel: Callable[[], bool]) -> None:
        self._end = None if minutes is None else time.monotonic() + 60 * minutes
        self._cancel = cancel
        self._took: dict[tuple[str, str], float] = {}

    def took(self, cell: Cell, seconds: float) -> None:
        """Remember how long such cells take."""
        self._took[cell.tier, cell.segmenter] = seconds

    def allows(self, cell: Cell) -> bool:
        """Whether a cell may begin."""
        if self._cancel():
            return False
        return self._end is None or time.monotonic() + self._took.get((cell.tier, cell.segmenter), 0.0) < self._end


Result = tuple[Cell, Outcome | Exception]


def _here(todo: Sequence[Cell], bench: Bench, clock: _Clock) -> Iterator[Result]:
    for cell in todo:
        if not clock.allows(cell):
            return
        yield cell, _attempt(bench, cell)


def _attempt(bench: Bench, cell: Cell) -> Outcome | Exception:
    start = time.monotonic()
    try:
        outcome = bench.run(cell)
    except Exception as error:
        return error
    if outcome.seconds:
        return outcome
    return Outcome(outcome.rows, time.monotonic() - start, outcome.facts, outcome.shown)


_BENCH: list[Bench] = []  # of a child process, made once


def _begin(make: Callable[[], Bench], threads: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    os.environ["OMP_NUM_THREADS"] = str(threads)  # torch reads it when it is first imported
    _BENCH.append(make())


def _in_child(cell: Cell) -> Outcome | tuple[bool, str]:
    result = _attempt(_BENCH[0], cell)
    if isinstance(result, Outcome):
        return result
    refused = isinstance(result, MedcolorError)  # errors with more than a text do not survive pickling
    return refused, str(result) if refused else type(result).__name__


def _beside(todo: Sequence[Cell], make: Callable[[], Bench], processes: int, clock: _Clock) -> Iterator[Result]:
    """Compute cells in child processes; a process that dies takes the cells in work with it, and others go on."""
    from concurrent.futures.process import BrokenProcessPool

    waiting = list(todo)
    while waiting:
        begun: set[Cell] = set()
        try:
            for cell, result in _in_pool(waiting, make, processes, clock, begun):
                begun.discard(cell)
                yield cell, result
        except BrokenProcessPool:
            yield from ((cell, ProcessDiedError()) for cell in sorted(begun))
            if not begun:
                raise
            continue
        return


class ProcessDiedError(Exception):
    """The process that computed a cell was ended from outside, such as for want of memory."""


def _in_pool(
    waiting: list[Cell], make: Callable[[], Bench], processes: int, clock: _Clock, begun: set[Cell]
) -> Iterator[Result]:
    """Take cells from ``waiting`` while there is time; ``begun`` holds those in work."""
    import multiprocessing
    from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait

    threads = max(1, (os.cpu_count() or 1) // processes)
    before = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(
        processes, multiprocessing.get_context("spawn"), initializer=_begin, initargs=(make, threads)
    )
    futures: dict[Future[Outcome | tuple[bool, str]], Cell] = {}
    done = False
    try:
        while True:
            while waiting and len(futures) < processes and clock.allows(waiting[0]):
                cell = waiting.pop(0)
                begun.add(cell)
                futures[pool.submit(_in_child, cell)] = cell
            if not futures:
                break
            for future in wait(futures, return_when=FIRST_COMPLETED).done:
                result = future.result()
                yield futures.pop(future), result if isinstance(result, Outcome) else _told(*result)
        done = True
    finally:
        pool.shutdown(wait=done, cancel_futures=True)
        for child in set() if done else set(multiprocessing.active_children()) - before:
            child.terminate()


def _told(refused: bool, text: str) -> Exception:
    return MedcolorError(text) if refused else type(text, (Exception,), {})()


__all__ = ["Bench", "ProcessDiedError", "Progress", "Ran", "run_study"]
