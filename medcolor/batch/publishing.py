"""Outputs that appear whole: written beside, on the disk, then renamed; what a dead run left is removed."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from medcolor.io.atomic import os_error, sync_folder

PRIVATE = ".medcolor"  # journal, lock and unfinished work, in the output folder
_STAGING = "staging"


def staging_folder(out: Path) -> Path:
    """Return where unfinished work is."""
    return out / PRIVATE / _STAGING


class Stage:
    """A folder for one series' output while it is written, on the disk it will stay on.

    Parameters
    ----------
    path : Path
    """

    def __init__(self, path: Path) -> None:
        self.path, self.sealed = path, False

    def seal(self) -> str:
        """Have all of it on the disk, to be published by whoever holds the lock; returns its name."""
        for folder, _, _ in os.walk(self.path):
            sync_folder(Path(folder))
        self.sealed = True
        return self.path.name


@contextmanager
def staging(out: Path, key: str) -> Iterator[Stage]:
    """Yield a new stage; removed unless it was sealed. Its name is nobody else's, on any computer."""
    stage = Stage(staging_folder(out) / f"{key}-{secrets.token_hex(8)}")
    stage.path.mkdir(parents=True)
    try:
        yield stage
    finally:
        if not stage.sealed:
            shutil.rmtree(stage.path, ignore_errors=True)


def publish(out: Path, key: str, name: str, target: Path) -> None:
    """Give a sealed stage its final name; an earlier output of that name goes as the new one comes.

    Only the process that holds the lock of ``out`` calls this: whatever workers were lost and did a series twice, one
    whole output appears.

    Parameters
    ----------
    out : Path
    key : str
        Of the task.
    name : str
        What :meth:`Stage.seal` returned, in a process that met untrusted files.
    target : Path

    Raises
    ------
    OSError
    ValueError
        No name of a stage of this task.
    """
    if not re.fullmatch(rf"{re.escape(key)}-[0-9a-f]{{16}}", name):
        raise ValueError("This is no stage of the task.")
    stage = staging_folder(out) / name
    target.parent.mkdir(parents=True, exist_ok=True)
    old = stage.with_name(f"{name}-old")
    with contextlib.suppress(FileNotFoundError):
        target.rename(old)
    stage.rename(target)
    sync_folder(target.parent)
    shutil.rmtree(old, ignore_errors=True)


def clear(out: Path, key: str) -> None:
    """Remove what earlier tries of a series left, whose process died while it wrote."""
    for left in staging_folder(out).glob(f"{key}-*"):
        shutil.rmtree(left, ignore_errors=True)


def write_text(path: Path, text: str, out: Path) -> None:
    """Write a small file whole or not at all."""
    part = staging_folder(out) / f"{path.name}.{os.getpid()}"
    part.parent.mkdir(parents=True, exist_ok=True)
    try:
        with part.open("w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        path.parent.mkdir(parents=True, exist_ok=True)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    sync_folder(path.parent)


def is_full(error: BaseException) -> bool:
    """Whether an error means that the disk, or somebody's share of it, is full."""
    if isinstance(error, sqlite3.OperationalError):
        return "full" in str(error)
    found = os_error(error)
    return found is not None and found.errno in {errno.ENOSPC, errno.EDQUOT}
