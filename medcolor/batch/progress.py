"""One live line on stderr for people, and a line now and then where stderr is a file."""

from __future__ import annotations

import sys
import time

_EVERY = 30.0  # seconds between two lines in a file
_OFTEN = 0.2  # on a terminal


class Progress:
    """Says how far a batch is.

    Parameters
    ----------
    quiet : bool
        Say only what somebody must do something about.
    """

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._live = sys.stderr.isatty()
        self._since = self._last = time.monotonic()
        self._shown = False

    def say(self, line: str, *, always: bool = False) -> None:
        """Print a line for people; never patient data, never a path of an input."""
        if self._quiet and not always:
            return
        self._clear()
        sys.stderr.write(line + "\n")
        sys.stderr.flush()

    def looking(self, files: int) -> None:
        """Tell how many files were found so far."""
        self._show(f"{files} files looked at")

    def start(self) -> None:
        """Start the clock of throughput."""
        self._since = time.monotonic()

    def done(self, done: int, todo: int, failed: int) -> None:
        """Tell how many series of how many are through."""
        seconds = time.monotonic() - self._since
        rate = done / seconds if seconds > 0 else 0.0
        left = f", {_time((todo - done) / rate)} left" if done and rate > 0 else ""
        bad = f", {failed} not coloured" if failed else ""
        self._show(f"{done}/{todo} series{bad}, {60 * rate:.1f}/min{left}", last=done == todo)

    def close(self) -> None:
        """End the live line."""
        self._clear()

    def _show(self, line: str, *, last: bool = False) -> None:
        now = time.monotonic()
        if self._quiet or (now - self._last < (_OFTEN if self._live else _EVERY) and not last):
            return
        self._last = now
        if self._live:
            sys.stderr.write(f"\r\x1b[2K{line}")
            self._shown = True
        else:
            sys.stderr.write(line + "\n")
        sys.stderr.flush()

    def _clear(self) -> None:
        if self._shown:
            sys.stderr.write("\r\x1b[2K")
            self._shown = False


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
