"""How a run goes, for Prometheus: a text file that node-exporter's textfile collector reads. Numbers, no names."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

import medcolor
from medcolor.batch.accounts import Accounts
from medcolor.batch.task import State

_Known = tuple[Accounts, int, int, int]
_EVERY = 10.0  # seconds between two versions of the file


class Metrics:
    """Keeps the file up to date.

    Parameters
    ----------
    path : Path or None
        ``NAME.prom`` in the collector's folder. None: keep no file.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._started, self._last = time.time(), float("-inf")
        self._known: _Known = (Accounts(), 0, 0, 0)

    def tell(
        self,
        accounts: Accounts,
        *,
        todo: int,
        through: int,
        looked: int = 0,
        paused: bool = False,
        exit_code: int | None = None,
    ) -> None:
        """Write what is known now, at most every ten seconds; at once where it is paused or over (``exit_code``).

        A file that cannot be written stops no run: its age says so to whoever watches it.
        """
        now = time.monotonic()
        self._known = (accounts, todo, through, looked or len(accounts.files))
        if self.path is not None and (paused or exit_code is not None or now - self._last >= _EVERY):
            self._last = now
            self._write(self.path, paused=paused, exit_code=exit_code)

    def over(self, exit_code: int) -> None:
        """Write what was known last, and how the whole command ended: whatever ended it."""
        if self.path is not None:
            self._write(self.path, paused=False, exit_code=exit_code)

    def _write(self, path: Path, *, paused: bool, exit_code: int | None) -> None:
        over, (accounts, todo, through, looked) = exit_code is not None, self._known
        lines = [
            *_gauge("info", "Version.", {f'version="{medcolor.__version__}"': 1}),
            *_gauge("running", "1 while it runs.", {"": int(not over)}),
            *_gauge("paused", "1 while it waits for room on the disk.", {"": int(paused)}),
            *_gauge("start_time_seconds", "When this run began, Unix time.", {"": round(self._started, 3)}),
            *_gauge("update_time_seconds", "When this was written, Unix time.", {"": round(time.time(), 3)}),
            *_gauge("files_looked_at", "Files that were found so far.", {"": looked}),
            *_gauge("series_planned", "Series that this run has to do.", {"": todo}),
            *_gauge("series_through", "Series of those that it is through with, whatever came of them.", {"": through}),
            *_gauge("series", "Series by what came of them, earlier runs included.", _by_state(accounts.series)),
            *_gauge("files", "Files by what came of them.", _by_state(accounts.by_state)),
            *_gauge("refusals", "Series and single files that were not coloured, by code.", _codes(accounts)),
        ]
        if exit_code is not None:
            lines += _gauge("exit_code", "Of the run that ended last.", {"": exit_code})
        part = path.with_name(f".{path.name}.{os.getpid()}")  # the collector reads *.prom alone
        with contextlib.suppress(OSError):
            part.write_text("\n".join([*lines, ""]), "ascii")
            part.replace(path)
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def _gauge(name: str, meaning: str, values: dict[str, float]) -> list[str]:
    full = f"medcolor_batch_{name}"
    lines = [f"# HELP {full} {meaning}", f"# TYPE {full} gauge"]
    return lines + [f"{full}{{{label}}} {value}" if label else f"{full} {value}" for label, value in values.items()]


def _by_state(counts: dict[State, int]) -> dict[str, float]:
    return {f'outcome="{state}"': counts.get(state, 0) for state in State}


def _codes(accounts: Accounts) -> dict[str, float]:
    found: dict[str, float] = {}
    for refusal in accounts.refusals:
        label = f'code="{refusal.code}"'
        found[label] = found.get(label, 0) + 1
    return dict(sorted(found.items()))


__all__ = ["Metrics"]
