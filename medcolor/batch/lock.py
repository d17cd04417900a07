"""One run on an output folder at a time: a lock that the system releases when its holder ends, however it ends."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from medcolor.batch.publishing import PRIVATE
from medcolor.errors import SettingError

_AGAIN = 0.2
_RUN = "Another run works on this output (process {holder}). Wait for it, pass --wait, or name another output folder."


class BusyError(SettingError):
    """Another process works on this folder."""


@contextmanager
def locked(out: Path, *, wait: bool, say: Callable[[str], None], what: str = _RUN) -> Iterator[None]:
    """Hold the lock of an output folder.

    Parameters
    ----------
    out : Path
        There already.
    wait : bool
        Wait for another run to end; else refuse.
    say : callable
        Told once that there is another.
    what : str
        What else may hold it, and what to do then; ``{holder}`` is its process.

    Raises
    ------
    BusyError
        Another run works here, by its number.
    SettingError
        This system has no such locks.
    """
    try:
        import fcntl
    except ImportError:
        raise SettingError("medcolor batch needs file locks as Linux and macOS have them.") from None
    (out / PRIVATE).mkdir(exist_ok=True, mode=0o700)  # the journal holds the key of the names that people read
    descriptor = os.open(out / PRIVATE / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        told = False
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
                if not wait:
                    raise BusyError(what.format(holder=holder)) from None
                if not told:
                    say(f"waiting for another run on this output (process {holder})")
                    told = True
                time.sleep(_AGAIN)
        with contextlib.suppress(OSError):  # a full disk: the lock holds without the number
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(descriptor)
