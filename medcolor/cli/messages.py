"""How the command line speaks: one stderr console, one progress bar, one way to fail."""

from __future__ import annotations

import errno
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import TYPE_CHECKING, Any

from medcolor.errors import MedcolorWarning, PeerError, WriteError

if TYPE_CHECKING:
    from rich.console import Console

DONE, FAILED, REFUSED, PARTIAL = 0, 1, 2, 3
DEBUG: ContextVar[bool] = ContextVar("DEBUG", default=False)
_IN_THE_WAY = {errno.EEXIST, errno.ENOTDIR, errno.EISDIR}


@cache
def _console(stream_id: int) -> Console:
    from rich.console import Console

    return Console(stderr=True, soft_wrap=True, highlight=False)


def console() -> Console:
    """Return the console for people: stderr."""
    return _console(id(sys.stderr))


def fail(message: object, code: int) -> int:
    """Print an error and return the exit code it stands for."""
    console().print(f"error: {message}", markup=False, style="red" if console().is_terminal else None)
    return code


def unexpected(error: Exception, place: object = "") -> int:
    """Name the type of a foreign exception only: its text may quote header values. Raise it again under ``--debug``."""
    if DEBUG.get():
        raise error
    where = f"{place}: " if place else ""
    return fail(f"{where}unexpected {type(error).__name__}; run again with --debug to see where.", FAILED)


def failure_code(error: BaseException) -> int:
    """Return 1 where the system failed us (disk full, no permission, no PACS), 2 where the request was refused."""
    if isinstance(error, PeerError):
        return REFUSED if error.lasting else FAILED
    failed = isinstance(error, WriteError) and error.errno is not None and error.errno not in _IN_THE_WAY
    return FAILED if failed else REFUSED


def note(message: str) -> None:
    """Print a line for people."""
    console().print(message, markup=False)


def result(line: str) -> None:
    """Print a line for programs: stdout."""
    sys.stdout.write(line + "\n")


def show_warning(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
    """Replace ``warnings.showwarning``: ours in a sentence, others unsaid (they may quote header values)."""
    if issubclass(category, MedcolorWarning):
        console().print(f"warning: {message}", markup=False, style="yellow" if console().is_terminal else None)


@contextmanager
def progress_bar(title: str, *, quiet: bool) -> Iterator[Callable[[int, int], None] | None]:
    """Yield a progress callback drawn on stderr, or None when there is no terminal or ``quiet``."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console(), transient=True) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def told_progress(title: str, *, quiet: bool) -> Iterator[Callable[[int, int], None] | None]:
    """Yield :func:`progress_bar`'s callback, or, without a terminal, one that says every twentieth with the time left.

    For what takes so long that people look into a log.
    """
    if quiet or sys.stderr.isatty():
        with progress_bar(title, quiet=quiet) as progress:
            yield progress
        return
    start, said = time.monotonic(), 0

    def tell(done: int, total: int) -> None:
        nonlocal said
        part = 20 * done // max(total, 1)
        if part > said:
            said = part
            left = (time.monotonic() - start) * (total - done) / done
            note(f"{title}: {5 * part} %, about {left / 60:.0f} min left")

    yield tell
