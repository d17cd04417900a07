"""``log.jsonl``: one JSON object a line, and whoever else wants to see it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

LOG = "log.jsonl"

Observer = Callable[[Mapping[str, Any]], None]
"""Told every line: {"step", "seconds", and "loss" with "learning_rate", or "validation"}."""


class TrainingLog:
    """The log of one run in its folder.

    Parameters
    ----------
    folder : Path
    observers : sequence of callable
    """

    def __init__(self, folder: Path, observers: Sequence[Observer] = ()) -> None:
        self.path, self._observers, self._started = folder / LOG, observers, time.monotonic()

    def rewind(self, step: int) -> None:
        """Drop the lines beyond a step: a run that died may have logged more than its checkpoint knows."""
        kept = [line for line in _lines(self.path) if line["step"] <= step]
        self.path.write_text("".join(json.dumps(line, sort_keys=True) + "\n" for line in kept), encoding="utf-8")

    def write(self, step: int, line: Mapping[str, Any]) -> None:
        """Add a line."""
        entry = {"step": step, "seconds": round(time.monotonic() - self._started, 3), **line}
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(entry, sort_keys=True) + "\n")
        for observer in self._observers:
            observer(entry)


def _lines(log: Path) -> list[dict[str, Any]]:
    if not log.is_file():
        return []
    lines = []
    for text in log.read_text(encoding="utf-8").splitlines():
        try:
            lines.append(json.loads(text))
        except json.JSONDecodeError:
            break  # a run that died while writing: what follows is not to be trusted
    return lines


__all__ = ["LOG", "Observer", "TrainingLog"]
