"""Outputs that appear whole: written beside, on the disk, then renamed; what a dead run left is removed."""

from __future__ import annotations

import contextlib
import errno
import os
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


@contextmanager
def staging(out: Path, key: str) -> Iterator[Path]:
    """Yield a folder for one series' output, on the disk it will stay on; removed unless it was published."""
    folder = staging_folder(out) / f"{key}-{os.getpid()}"
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def publish(stage: Path, target: Path) -> None:
    """Give a finished folder its name; an earlier output of that name goes as the new one comes."""
    for folder, _, _ in os.walk(stage):
        sync_folder(Path(folder))
    target.parent.mkdir(parents=True, exist_ok=True)
    old = stage.with_name(f"{stage.name}-old")
    with contextlib.suppress(FileNotFoundError):
        target.rename(old)
    stage.rename(target)
    sync_folder(target.parent)
    shutil.rmtree(old, ignore_errors=True)


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
