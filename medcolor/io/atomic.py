"""Files that appear whole or not at all.

Every output is written to a ``.part`` name in its own folder, flushed to the disk, and renamed when all of its set
are complete. What a dead run left behind is removed by the next run that writes there.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from medcolor.errors import OutputExistsError, WriteError

_HOST = re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname())[:32] or "host"
_PART = re.compile(r"\.(?P<host>[A-Za-z0-9-]+)\.(?P<pid>\d+)\.part$")


class OpenFiles:
    """The files of one output while they are being written; made by :func:`atomic_files`."""

    def __init__(self, targets: tuple[Path, ...]) -> None:
        self._targets = frozenset(targets)
        self.parts: dict[Path, Path] = {}

    @contextmanager
    def open(self, target: Path) -> Iterator[BinaryIO]:
        """Open one announced target for writing; it is on the disk, under its temporary name, afterwards."""
        if target not in self._targets or target in self.parts:
            raise ValueError(f"{target.name} was not announced, or is written twice.")
        part = target.with_name(f"{target.name}.{_HOST}.{os.getpid()}.part")
        self.parts[target] = part
        with part.open("wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())


def refuse_existing(targets: Iterable[Path]) -> None:
    """Raise :class:`OutputExistsError` if any target is there already."""
    there = [path for path in targets if path.exists() or path.is_symlink()]
    if there:
        more = f" and {len(there) - 1} more" if len(there) > 1 else ""
        raise OutputExistsError(
            f"{there[0]}{more} exists already. Nothing was written; choose another place, or overwrite with force=True "
            "(--force)."
        )


@contextmanager
def atomic_files(targets: Iterable[Path], *, force: bool = False, obsolete: Iterable[Path] = ()) -> Iterator[OpenFiles]:
    """Write a set of files so that all of them appear, or none.

    Parameters
    ----------
    targets : iterable of Path
        Every file that will be written. Folders are made.
    force : bool
        Replace what is there.
    obsolete : iterable of Path
        Files of an earlier output at the same place, removed once the new ones are complete.

    Raises
    ------
    OutputExistsError
        A target exists and ``force`` is not set; nothing has been written.
    WriteError
        The disk is full, read-only, or failed; nothing is left of this set.
    """
    paths = tuple(targets)
    if not force:
        refuse_existing(paths)
    folders = list(dict.fromkeys(path.parent for path in paths))
    made: list[Path] = []
    files = OpenFiles(paths)
    done = False
    try:
        for folder in folders:
            made += _make(folder)
            remove_orphans(folder)
        yield files
        for target, part in files.parts.items():
            part.replace(target)
        done = True
        for path in set(obsolete) - set(paths):
            path.unlink(missing_ok=True)
        for folder in folders:
            sync_folder(folder)
    except Exception as error:
        if isinstance(error, WriteError) or (cause := os_error(error)) is None:
            raise
        raise WriteError(cause.errno or 0, _explain(cause, paths[0].parent)) from error
    finally:
        if not done:
            for part in files.parts.values():
                with contextlib.suppress(OSError):  # a disk gone or read-only: the first complaint is the one to hear
                    part.unlink(missing_ok=True)
            for folder in reversed(made):
                with contextlib.suppress(OSError):
                    folder.rmdir()


def os_error(error: BaseException | None) -> OSError | None:
    """Return the operating system's complaint behind an error; libraries wrap it, pydicom without its number."""
    plain: OSError | None = None
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, OSError):
            if error.errno:
                return error
            plain = plain or error
        error = error.__cause__ or error.__context__
    return plain


def _explain(error: OSError, folder: Path) -> str:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return f"{folder}: no space is left on the disk. Nothing was kept of this output; make room and run again."
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return f"{folder}: no permission to write here. Choose another output folder."
    if error.errno in {errno.ENOTDIR, errno.EEXIST}:
        return f"{folder}: a file is in the way of the output folder. Choose another output."
    return f"{folder}: the output could not be written ({error.strerror or error}). Nothing was kept of it."


def _make(folder: Path) -> list[Path]:
    """Make a folder with its parents; return those that were not there, outermost first."""
    missing: list[Path] = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    made = missing[::-1]
    for path in made:
        path.mkdir(exist_ok=True)
    if not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, "not a folder", str(folder))
    return made


def sync_folder(folder: Path) -> None:
    """Make renames in a folder durable (not every system can: then it is left to the system)."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def remove_orphans(folder: Path) -> None:
    """Remove ``.part`` files that a process of this machine left when it died."""
    for part in folder.glob("*.part"):
        found = _PART.search(part.name)
        if found and found["host"] == _HOST and not _alive(int(found["pid"])):
            part.unlink(missing_ok=True)


def _alive(pid: int) -> bool:
    if os.name != "posix":
        return True  # elsewhere signal 0 is no question but a command
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True  # there, but not ours
    return True
