"""Networks run in another process, so that a window stays alive and its first slice comes at once.

Importing torch and MONAI takes seconds and holds the interpreter's lock for tenths of a second at a time; a window in
the same process stands still meanwhile. The other process is started when somebody may soon want colours, and is kept
for all scans of one window. Cancelling leaves it what it is at; an answer that nobody waits for is dropped. Where it
dies, whoever asked is told, and the next question starts another one. See ADR 7.
"""

from __future__ import annotations

import queue
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from typing import Any, BinaryIO, cast

from medcolor import errors
from medcolor.colorizers.looks import Check, nothing
from medcolor.errors import ColoringProcessError, MedcolorError
from medcolor.io.child_process import child_command
from medcolor.viewing.apart_serving import AWAKE
from medcolor.viewing.pipes import put, take

_LOOK = 0.05  # s between looks whether the answer is still wanted


class Apart:
    """One other process; every method may be called from any thread.

    A question is asked with ``check``, which is called now and then and raises where the answer is not wanted any more.
    """

    def __init__(self) -> None:
        self._one_asks, self._starting = threading.Lock(), threading.Lock()
        self._process: _Process | None = None
        self._numbers = count(AWAKE + 1)
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether it was ended for good."""
        return self._closed

    @property
    def pid(self) -> int | None:
        """The process that is alive, None where there is none."""
        process = self._process
        return None if process is None or process.ended else process.pid

    def start(self) -> None:
        """Start it where it is not running, and wait for nothing: it makes itself ready."""
        with self._starting:
            if not self._closed and (self._process is None or self._process.ended):
                self._process = _Process()

    def ask(self, name: str, *arguments: Any, check: Check = nothing) -> Any:
        """Return the answer to a question of :class:`~medcolor.viewing.apart_serving.Bench`.

        Raises
        ------
        ColoringProcessError
            The process died, or failed in a way that nobody foresaw.
        MedcolorError, FileNotFoundError
            What the colorizer says.
        """
        with self._alone(check):
            process = self._awake(check)
            number = next(self._numbers)
            process.tell((number, name, arguments), check)
            while True:
                answered, answer, failure = process.heard(check)
                if answered == number:
                    break
        if failure is not None:
            raise _revived(failure)
        return answer

    def forget(self, work: int) -> None:
        """Let the process free what it holds of a piece of work, when it comes to that."""
        process = self._process
        if process is not None and process.awake:
            process.mention((next(self._numbers), "forget", (work,)))

    def close(self) -> None:
        """End the process, whatever it does. May be called twice; nothing is started any more."""
        with self._starting:
            self._closed = True
            if self._process is not None:
                self._process.kill()

    @contextmanager
    def _alone(self, check: Check) -> Iterator[None]:
        while not self._one_asks.acquire(timeout=_LOOK):
            check()
        try:
            yield
        finally:
            self._one_asks.release()

    def _awake(self, check: Check) -> _Process:
        self.start()
        process = self._process
        if process is None or self._closed:
            check()
            raise ColoringProcessError("The window that colours was closed.")
        while not process.awake:
            process.awake = process.heard(check)[0] == AWAKE
        return process


class _Process:
    """The process itself, and a thread that hears what it says."""

    def __init__(self) -> None:
        self.awake = False
        self._child = subprocess.Popen(
            child_command("medcolor.viewing.apart_serving:serve"),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self._said: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._telling = threading.Lock()
        threading.Thread(target=self._listen, name="medcolor apart", daemon=True).start()

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._child.pid

    @property
    def ended(self) -> bool:
        """Whether it lives no more."""
        return self._child.poll() is not None

    def tell(self, value: Any, check: Check) -> None:
        """Say something to it; of its death only who still wants the answer is told."""
        try:
            with self._telling:
                put(cast(BinaryIO, self._child.stdin), value)
        except (OSError, ValueError):
            check()
            raise self._death() from None

    def mention(self, value: Any) -> None:
        """Say something small, unless somebody is in the midst of saying something large."""
        if self._telling.acquire(blocking=False):
            try:
                put(cast(BinaryIO, self._child.stdin), value)
            except (OSError, ValueError):
                pass  # it is dead, and knows nothing any more
            finally:
                self._telling.release()

    def heard(self, check: Check) -> tuple[int, Any, Any]:
        """Wait for what it says next."""
        while True:
            try:
                said = self._said.get(timeout=_LOOK)
            except queue.Empty:
                check()
                continue
            if said is None:
                self._said.put(None)  # for whoever else waits
                check()
                raise self._death()
            return cast("tuple[int, Any, Any]", said)

    def kill(self) -> None:
        """End it."""
        if not self.ended:
            self._child.kill()
            self._child.wait()

    def _listen(self) -> None:
        stream = cast(BinaryIO, self._child.stdout)
        try:
            while True:
                self._said.put(take(stream))
        except (EOFError, OSError, ValueError):
            pass
        except BaseException:
            self._child.kill()  # nobody would hear it any more
            raise
        finally:
            self._said.put(None)
            self._child.wait()
            for end in (stream, cast(BinaryIO, self._child.stdin)):
                with suppress(OSError):
                    end.close()

    def _death(self) -> ColoringProcessError:
        code = self._child.wait()
        why = " for lack of memory, most likely" if code == -9 else ""
        return ColoringProcessError(
            f"The process that runs the network ended{why} (code {code}). What is coloured stays, and nothing else was "
            "harmed: press the button to go on."
        )


def _revived(failure: dict[str, str]) -> Exception:
    kind, message = failure["kind"], failure["message"]
    known = getattr(errors, kind, None)
    if kind == "FileNotFoundError":
        return FileNotFoundError(message)
    if kind == "MemoryError":
        return ColoringProcessError(
            "The network needs more memory than is free. Close other programs, or crop the scan."
        )
    if isinstance(known, type) and issubclass(known, MedcolorError) and known is not errors.ReadError:
        return known(message)
    return ColoringProcessError(f"The network failed unexpectedly ({kind}). What is coloured stays.")


__all__ = ["Apart"]
