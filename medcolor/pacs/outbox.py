"""What has to be sent, in SQLite (WAL, synchronous=FULL), until the peer has said that it has it.

An object is sent under its own UID, so that one sent twice, because the power went between the peer's word and ours, is
one object there. Holds relative paths, hashes and addresses; no name, date or UID.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from medcolor.errors import SettingError
from medcolor.pacs.peer import Answer, Verdict
from medcolor.pacs.schedule import Schedule

_NAME = "outbox.sqlite"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (
    id INTEGER PRIMARY KEY, destination TEXT NOT NULL, path TEXT NOT NULL, sha256 TEXT NOT NULL, state TEXT NOT NULL,
    failures INTEGER NOT NULL, due REAL NOT NULL, code TEXT NOT NULL, reason TEXT NOT NULL, changed REAL NOT NULL,
    UNIQUE (destination, path)
);
CREATE INDEX IF NOT EXISTS due ON objects (state, due);
"""


class Post(StrEnum):
    """Where an object is on its way."""

    WAITING = "waiting"
    STORED = "stored"  # the peer said so; storage commitment was asked for, and is not given yet
    DONE = "done"
    PARKED = "parked"  # refused for good, or tried to the schedule's end


@dataclass(frozen=True, slots=True)
class Item:
    """An object on its way.

    Parameters
    ----------
    number : int
    destination : str
        An address as :meth:`Address.parse` reads it.
    path : str
        Relative to the output folder.
    state : Post
    failures : int
        Tries that came to nothing.
    due : float
        When it is tried next, in seconds of the epoch.
    code, reason : str
        Of the last failure.
    """

    number: int
    destination: str
    path: str
    state: Post
    failures: int
    due: float
    code: str
    reason: str


class Outbox:
    """The outbox of an output folder.

    Parameters
    ----------
    root : Path
        The output folder that paths are relative to.
    folder : Path
        Where the outbox keeps its file; made if needed.
    schedule : Schedule, optional
        When what failed is tried again.
    """

    def __init__(self, root: Path, folder: Path, schedule: Schedule | None = None) -> None:
        self.root, self._folder, self.schedule = root, folder, schedule or Schedule()
        folder.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(folder / _NAME, isolation_level=None)
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=10000"):
            self._db.execute(f"PRAGMA {pragma}")
        self._db.executescript(_SCHEMA)

    @staticmethod
    def exists(folder: Path) -> bool:
        """Whether there is an outbox in a folder."""
        return (folder / _NAME).is_file()

    def add(self, destination: str, objects: Iterable[tuple[str, str]]) -> int:
        """Put objects in, as (path, sha256); those that are in already stay as they are, unless their bytes changed.

        Returns the number of those that are new. All are on the disk when this returns, or none.
        """
        sql = """INSERT INTO objects (destination, path, sha256, state, failures, due, code, reason, changed)
                 VALUES (?, ?, ?, ?, 0, 0, '', '', ?)
                 ON CONFLICT (destination, path) DO UPDATE SET
                 sha256 = excluded.sha256, state = excluded.state, failures = 0, due = 0, code = '', reason = ''
                 WHERE sha256 != excluded.sha256"""
        now = time.time()
        self._db.execute("BEGIN IMMEDIATE")
        try:
            rows = ((destination, path, sha, str(Post.WAITING), now) for path, sha in objects)
            changed = self._db.executemany(sql, rows).rowcount
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")
        return max(0, changed)

    def due(self, limit: int = 100, *, state: Post = Post.WAITING, now: float | None = None) -> list[Item]:
        """Return what is to be tried now, of one destination, the longest waiting first."""
        when = time.time() if now is None else now
        longest = max(seconds for _, seconds in self.schedule.steps())  # a clock set back must not stop it all
        where = "state = ? AND (due <= ? OR due > ?)"
        values = (str(state), when, when + longest + 1)
        first = self._db.execute(f"SELECT destination FROM objects WHERE {where} ORDER BY due, id LIMIT 1", values)
        found = first.fetchone()
        if found is None:
            return []
        return self._items(f"{where} AND destination = ? ORDER BY due, id LIMIT ?", (*values, found[0], limit))

    def next_due(self) -> float | None:
        """Return when something is to be tried next, None where nothing waits."""
        waiting = (str(Post.WAITING), str(Post.STORED))
        return self._db.execute("SELECT MIN(due) FROM objects WHERE state IN (?, ?)", waiting).fetchone()[0]

    def note(self, item: Item, answer: Answer, *, stored: Post = Post.DONE) -> Post:
        """Note what the peer said; on the disk when this returns."""
        now, delay = time.time(), self.schedule.delay(item.failures + 1)
        if answer.verdict is Verdict.STORED:
            row = (str(stored), 0, now, answer.code, "")
        elif answer.verdict is Verdict.REFUSED or delay is None:
            row = (str(Post.PARKED), item.failures + 1, now, answer.code, answer.reason)
        else:
            row = (str(item.state), item.failures + 1, now + delay, answer.code, answer.reason)
        self._db.execute(
            "UPDATE objects SET state = ?, failures = ?, due = ?, code = ?, reason = ?, changed = ? WHERE id = ?",
            (*row, now, item.number),
        )
        return Post(row[0])

    def again(self, item: Item, answer: Answer) -> Post:
        """Note that an object which was stored is not kept: it is sent anew, by the schedule."""
        waiting = replace(item, state=Post.WAITING)
        return self.note(waiting, replace(answer, verdict=Verdict.LATER))

    def resend(self) -> int:
        """Let what is parked wait again, from the schedule's start, and everything else be due now."""
        self._db.execute("UPDATE objects SET due = 0 WHERE state = ?", (str(Post.WAITING),))
        return self._db.execute(
            "UPDATE objects SET state = ?, failures = 0, due = 0 WHERE state = ?", (str(Post.WAITING), str(Post.PARKED))
        ).rowcount

    def drop(self, destination: str) -> int:
        """Give up what has not left for an address, with or without its options; return the number of objects."""
        name = destination.partition("?")[0]
        return self._db.execute(
            "DELETE FROM objects WHERE state != ? AND (destination = ? OR substr(destination, 1, ?) = ?)",
            (str(Post.DONE), name, len(name) + 1, f"{name}?"),
        ).rowcount

    def counts(self, destination: str | None = None) -> dict[Post, int]:
        """Return how many objects are where on their way."""
        where, values = ("", ()) if destination is None else (" WHERE destination = ?", (destination,))
        rows = self._db.execute(f"SELECT state, COUNT(*) FROM objects{where} GROUP BY state", values)
        return dict.fromkeys(Post, 0) | {Post(state): count for state, count in rows}

    def items(self, *states: Post) -> list[Item]:
        """Return the objects in these states; all where none is named."""
        chosen = states or tuple(Post)
        marks = ", ".join("?" * len(chosen))
        return self._items(f"state IN ({marks}) ORDER BY destination, path", tuple(map(str, chosen)))

    def forget(self, prefix: str) -> None:
        """Forget the objects below a folder that is going to be removed, if they are through."""
        self._db.execute(
            "DELETE FROM objects WHERE state = ? AND substr(path, 1, ?) = ?",
            (str(Post.DONE), len(prefix) + 1, f"{prefix}/"),
        )

    def open_below(self, prefix: str) -> int:
        """Return how many objects below a folder are not through."""
        return int(
            self._db.execute(
                "SELECT COUNT(*) FROM objects WHERE state != ? AND substr(path, 1, ?) = ?",
                (str(Post.DONE), len(prefix) + 1, f"{prefix}/"),
            ).fetchone()[0]
        )

    @contextmanager
    def sending(self) -> Iterator[None]:
        """Hold the right to send; one process at a time.

        Raises
        ------
        SettingError
            Another process is sending.
        """
        import fcntl

        descriptor = os.open(self._folder / "outbox.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise SettingError("Another process is sending from this outbox; it goes on by itself.") from None
            yield
        finally:
            os.close(descriptor)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _items(self, where: str, values: Sequence[object]) -> list[Item]:
        columns = "id, destination, path, state, failures, due, code, reason"
        rows = self._db.execute(f"SELECT {columns} FROM objects WHERE {where}", tuple(values))
        return [Item(n, to, path, Post(state), *rest) for n, to, path, state, *rest in rows]
