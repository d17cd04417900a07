"""What is done, in SQLite (WAL, synchronous=FULL): survives kills and power cuts; holds no path, name, date or UID."""

from __future__ import annotations

import json
import secrets
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from medcolor.batch.publishing import PRIVATE, is_full
from medcolor.batch.task import Outcome, State, Task
from medcolor.errors import SettingError, WriteError

_NAME = "journal.sqlite"
_VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS about (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS files (
    label TEXT PRIMARY KEY, size INTEGER NOT NULL, changed INTEGER NOT NULL, look TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS series (
    key TEXT PRIMARY KEY, study TEXT NOT NULL, state TEXT NOT NULL, code TEXT NOT NULL, reason TEXT NOT NULL,
    inputs TEXT NOT NULL, seen TEXT NOT NULL, deaths INTEGER NOT NULL, settings TEXT NOT NULL, files INTEGER NOT NULL,
    outputs TEXT NOT NULL, left_out INTEGER NOT NULL, facts TEXT NOT NULL, thumbnail TEXT NOT NULL,
    finished TEXT NOT NULL
) WITHOUT ROWID;
"""
_COLUMNS = (
    "key, study, state, code, reason, inputs, seen, deaths, settings, files, outputs, left_out, facts, thumbnail, "
    "finished"
)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Row:
    """What the journal knows of a series.

    Parameters
    ----------
    key, study, settings
        As in the :class:`~medcolor.batch.task.Task`; ``settings`` is its digest.
    outcome : Outcome
    seen : str
        Digest of the sizes and times of its files when it was done.
    deaths : int
        Child processes it ended.
    files : int
    finished : str
        UTC.
    left_out : int
        Files in no output.
    """

    key: str
    study: str
    outcome: Outcome
    seen: str
    deaths: int
    settings: str
    files: int
    finished: str
    left_out: int


class Journal:
    """The journal of an output folder.

    Parameters
    ----------
    path : Path
        The file.
    wait : callable
        Called when the disk is full, before trying again; may raise.
    """

    def __init__(self, path: Path, wait: Callable[[], None]) -> None:
        self._wait = wait
        try:
            self._db = sqlite3.connect(path, isolation_level=None)
            self._try(self._open)
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise WriteError(5, "The journal of the output folder cannot be opened; check disk and rights.") from (
                    error
                )
            raise SettingError(
                f"The journal in {PRIVATE} of the output folder is damaged. Move the folder away; finished series are "
                "then done again, with the same bytes."
            ) from error
        self.salt = bytes.fromhex(self._about("salt"))

    def _open(self) -> None:
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=10000"):
            self._db.execute(f"PRAGMA {pragma}")
        self._db.executescript(_SCHEMA)
        for name, value in (("version", str(_VERSION)), ("salt", secrets.token_hex(16))):
            self._db.execute("INSERT OR IGNORE INTO about VALUES (?, ?)", (name, value))

    def _about(self, name: str) -> str:
        return str(self._db.execute("SELECT value FROM about WHERE name = ?", (name,)).fetchone()[0])

    def _try(self, action: Callable[[], T]) -> T:
        """Do something that writes; wait while the disk is full."""
        while True:
            try:
                return action()
            except sqlite3.OperationalError as error:
                if not is_full(error):
                    raise
                self._wait()

    def looks(self) -> dict[str, tuple[int, int, str]]:
        """Return label -> (size, time of change, what it was found to be)."""
        rows = self._db.execute("SELECT label, size, changed, look FROM files")
        return {label: (size, changed, look) for label, size, changed, look in rows}

    def keep_looks(self, rows: Sequence[tuple[str, int, int, str]]) -> None:
        """Note what files were found to be."""

        def write() -> None:
            with self._transaction():
                self._db.executemany("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?)", rows)

        self._try(write)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def keep(self, task: Task, outcome: Outcome, *, seen: str, deaths: int, finished: str) -> None:
        """Note what came of a task; on the disk when this returns."""
        row = (
            task.key,
            task.study,
            str(outcome.state),
            str(outcome.code),
            outcome.reason,
            outcome.inputs,
            seen,
            deaths,
            task.settings_digest,
            len(task.files),
            json.dumps(outcome.outputs, sort_keys=True),
            len(outcome.left_out),
            json.dumps(outcome.facts, sort_keys=True),
            outcome.thumbnail,
            finished,
        )
        marks = ", ".join("?" * len(row))
        self._try(lambda: self._db.execute(f"INSERT OR REPLACE INTO series VALUES ({marks})", row))

    def renew(self, key: str, seen: str) -> None:
        """Note that the files of a series were touched and are the same."""
        self._try(lambda: self._db.execute("UPDATE series SET seen = ? WHERE key = ?", (seen, key)))

    def row(self, key: str) -> Row | None:
        """Return what is known of a series."""
        found = self._db.execute(f"SELECT {_COLUMNS} FROM series WHERE key = ?", (key,)).fetchone()
        return None if found is None else _row(found)

    def settings(self) -> list[str]:
        """Return the digests of all settings that series were done with."""
        return [digest for (digest,) in self._db.execute("SELECT DISTINCT settings FROM series")]

    def close(self) -> None:
        """Close the file."""
        self._db.close()


@contextmanager
def open_journal(out: Path, wait: Callable[[], None], *, copy: bool = False) -> Iterator[Journal]:
    """Yield the journal of an output folder; with ``copy`` a copy of it, or an empty one, that is thrown away."""
    if not copy:
        journal = Journal(out / PRIVATE / _NAME, wait)
        try:
            yield journal
        finally:
            journal.close()
        return
    with tempfile.TemporaryDirectory(prefix="medcolor-") as private:
        try:
            for name in (_NAME, f"{_NAME}-wal"):
                if (out / PRIVATE / name).exists():
                    shutil.copyfile(out / PRIVATE / name, Path(private) / name)
        except PermissionError:
            raise SettingError(
                f"{out / PRIVATE} is for the user that colours into this folder: run it as that user."
            ) from (None)
        journal = Journal(Path(private) / _NAME, wait)
        try:
            yield journal
        finally:
            journal.close()


def _row(found: tuple[Any, ...]) -> Row:
    key, study, state, code, reason, inputs, seen, deaths, settings, files, outputs, left, facts, thumb, finished = (
        found
    )
    outcome = Outcome(State(state), code, reason, inputs, json.loads(outputs), (), json.loads(facts), thumb)
    return Row(key, study, outcome, seen, deaths, settings, files, finished, left)
