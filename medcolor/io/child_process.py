"""What every child process that meets untrusted files needs: command line, caps, folder, and its end in words."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import tempfile
from pathlib import Path

_START = (
    "import sys; from importlib import import_module; sys.path[:] = sys.argv[1].split('\\n'); "
    "module, _, name = sys.argv[2].partition(':'); getattr(import_module(module), name)(*sys.argv[3:])"
)
_ROOM = 1 << 30  # address space on top of the cap: threads, and libraries that are mapped and not used


def child_command(function: str, *arguments: str) -> list[str]:
    """Return the command line of a child process that calls ``"package.module:name"`` with texts.

    The child finds the modules that this process finds, and nothing of the folder that happens to be current.
    """
    return [sys.executable, "-P", "-c", _START, "\n".join(p for p in sys.path if p), function, *arguments]


def private_folder(where: Path | None = None) -> tempfile.TemporaryDirectory[str]:
    """Make the temporary folder of one child, in ``where`` if that can be; its owner removes it."""

    def make(folder: Path | None) -> tempfile.TemporaryDirectory[str]:
        return tempfile.TemporaryDirectory(prefix="medcolor-", dir=folder, ignore_cleanup_errors=True)

    if where is None:
        return make(None)
    try:
        where.mkdir(parents=True, exist_ok=True)
        return make(where)
    except OSError:  # full: a child must start all the same, to find out when there is room again
        return make(None)


def limit_memory(memory: int | None) -> None:
    """Cap the address space of this process at what is mapped now and ``memory`` bytes more (POSIX).

    No core files either, which would hold pixels. None lifts the cap.
    """
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        limit = resource.RLIM_INFINITY if memory is None else mapped() + memory + _ROOM
        resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))


def mapped() -> int:
    """Return the bytes of address space that this process has; 0 where the system does not say."""
    return _pages("self", 0)


def resident(pid: int | str = "self") -> int:
    """Return the bytes of a process that are in memory; 0 where the system does not say."""
    return _pages(pid, 1)


def _pages(pid: int | str, field: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[field]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0


def free_memory() -> int | None:
    """Return the bytes that are free on this computer, None where it does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def manner_of_death(code: int) -> str:
    """Say how a child process ended, by its return code."""
    if code >= 0:
        return f"the process reading it ended with code {code}."
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    why = ", most often for lack of memory" if name == "SIGKILL" else ""
    return f"its decoder crashed ({name}{why}); nothing else was harmed."
