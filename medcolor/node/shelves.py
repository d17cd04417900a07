"""The node's folders: arrivals, series by rule, what fell under no rule, outputs; a series goes when it has left."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from medcolor.io.atomic import sync_folder
from medcolor.node.routing import LATER, Route
from medcolor.pacs import Outbox

_AT_ONCE = 256
_FRESH = 2_000_000_000  # nanoseconds: within a tick of the clock two changes look like one


@dataclass(slots=True)
class Waiting:
    """A series while it is on its shelf.

    Attributes
    ----------
    content : (int, int)
        When an object last came, as the folder says, and how many there are.
    since : float
        When it was last seen to change, by a clock that nobody sets.
    colored : (int, int) or None
        The content that was coloured, or refused.
    outputs : tuple of str
        Folders of its objects, relative to the rule's output folder.
    """

    content: tuple[int, int] = (0, 0)
    since: float = 0.0
    colored: tuple[int, int] | None = None
    outputs: tuple[str, ...] = ()


@dataclass(slots=True)
class Shelves:
    """The folder of a node.

    Parameters
    ----------
    root : Path
    rules : sequence of str
        Their names.
    """

    root: Path
    rules: Sequence[str]
    series: dict[Path, Waiting] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for folder in (self.arrivals, self.aside, *(self.root / "series" / name for name in self.rules)):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    @property
    def arrivals(self) -> Path:
        """Objects as they came, by sender."""
        return self.root / "arrivals"

    @property
    def aside(self) -> Path:
        """Objects that fall under no rule."""
        return self.root / "aside"

    def out(self, rule: str) -> Path:
        """Return a rule's output folder."""
        return self.root / "out" / rule

    def arrived(self, sender: str) -> list[str]:
        """Return names of some objects of a sender that are still to be sorted."""
        names = []
        with contextlib.suppress(FileNotFoundError):
            for path in (self.arrivals / sender).glob("*.dcm"):
                names.append(path.name)
                if len(names) == _AT_ONCE:
                    break
        return names

    def sort(self, sender: str, names: Sequence[str], routes: Sequence[Route]) -> int:
        """Move objects to their series; return how many fell under no rule."""
        touched, strays = set(), 0
        for name, (rule, series) in zip(names, routes, strict=True):
            if series == LATER:
                continue
            target = self.root / "series" / rule / series if rule in self.rules else self.aside
            strays += target is self.aside or target == self.aside
            target.mkdir(parents=True, exist_ok=True, mode=0o700)
            (self.arrivals / sender / name).replace(target / name)
            touched |= {target, target.parent}
        for folder in touched:
            sync_folder(folder)
        return strays

    def look(self) -> None:
        """See what changed on the shelves."""
        now = time.monotonic()
        there = {folder for rule in self.rules for folder in _folders(self.root / "series" / rule)}
        for folder in there:
            waiting = self.series.setdefault(folder, Waiting(since=now))
            content = _content(folder, waiting.content)
            if content != waiting.content:
                waiting.content, waiting.since = content, now
        for gone in self.series.keys() - there:
            del self.series[gone]

    def ready(self, rule: str, quiet: float, most: int) -> list[Path]:
        """Return series of a rule for which nothing came for so many seconds, and which are not done."""
        now = time.monotonic()
        found = [
            folder
            for folder, waiting in self.series.items()
            if folder.parent.name == rule and waiting.content != waiting.colored and now - waiting.since >= quiet
        ]
        return sorted(found)[:most]

    def clear(self, rule: str, keep: float, outbox: Outbox) -> int:
        """Remove series whose objects have left and which were kept long enough; return their number."""
        cleared = 0
        for folder, waiting in list(self.series.items()):
            done = waiting.colored == waiting.content and time.monotonic() - waiting.since >= keep
            if folder.parent.name != rule or not done or any(map(outbox.open_below, waiting.outputs)):
                continue
            for name in waiting.outputs:
                outbox.forget(name)
                shutil.rmtree(self.out(rule) / name, ignore_errors=True)
            shutil.rmtree(folder, ignore_errors=True)
            del self.series[folder]
            cleared += 1
        return cleared

    def clear_aside(self, keep: float) -> None:
        """Remove objects under no rule that were kept long enough."""
        for path in self.aside.glob("*.dcm"):
            with contextlib.suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > keep:
                    path.unlink()


def _folders(where: Path) -> Iterator[Path]:
    with contextlib.suppress(FileNotFoundError):
        yield from (path for path in where.iterdir() if path.is_dir())


def _content(folder: Path, known: tuple[int, int]) -> tuple[int, int]:
    """Return what is in a folder; objects are counted only where something may have come since they were."""
    stamp = folder.stat().st_mtime_ns
    if stamp == known[0] and time.time_ns() - stamp > _FRESH:
        return known
    return stamp, sum(1 for _ in folder.glob("*.dcm"))
