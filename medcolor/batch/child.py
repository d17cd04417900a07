"""A child process as its parent sees it: asked, watched, ended when it takes too much."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from medcolor.batch.settings import Caps
from medcolor.batch.task import BatchCode
from medcolor.io.child_process import child_command, manner_of_death, private_folder, resident

_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS")
_LOOK = 0.05  # seconds between two looks at a child's memory
_START_SECONDS = 300.0  # a cold disk, a busy computer: no series is blamed for it


class ChildDeath(Exception):  # noqa: N818
    """The child ended, or was ended, before it answered; ``code`` and ``reason`` say why."""

    def __init__(self, code: BatchCode, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


class Child:
    """One child process, started when it is first asked.

    Each computes with one thread, so that sums come out the same whatever the number of children. What it unpacks goes
    to a temporary folder of its own, which is removed when it ends, however it ends.

    Parameters
    ----------
    caps : Caps
    scratch : Path, optional
        Where that folder is made; default: where the system keeps temporary files.
    """

    def __init__(self, caps: Caps, scratch: Path | None = None) -> None:
        self.caps, self.scratch = caps, scratch
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self.peak = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._buffer = b""
        self._seconds = self._deadline = 0.0

    @property
    def pid(self) -> int | None:
        """Process number, None while there is none."""
        return None if self._process is None else self._process.pid

    def ask(self, request: dict[str, Any], *, seconds: float | None = None) -> None:
        """Send a request; its time starts now, or once the child is up."""
        self._seconds = seconds or self.caps.seconds
        self._deadline = time.monotonic() + self._seconds
        if self._process is None or self._process.poll() is not None:
            self._start()
            self._deadline = time.monotonic() + _START_SECONDS
        assert self._process is not None
        assert self._process.stdin is not None
        line = json.dumps(request | {"memory": self.caps.memory}).encode() + b"\n"
        try:
            self._process.stdin.write(line)
            self._process.stdin.flush()
        except BrokenPipeError:
            return  # it died while idle: answer() says so

    def answer(self) -> dict[str, Any] | None:
        """Return the answer, None while there is none.

        Raises
        ------
        ChildDeath
            It crashed, or took more than its caps and was ended.
        """
        process = self._process
        assert process is not None
        assert process.stdout is not None
        while _readable(process.stdout):
            chunk = os.read(process.stdout.fileno(), 1 << 16)
            if not chunk:
                break
            self._buffer += chunk
            while b"\n" in self._buffer:
                line, _, self._buffer = self._buffer.partition(b"\n")
                answer = dict(json.loads(line))
                if "ready" not in answer:
                    return answer
                self._deadline = time.monotonic() + self._seconds
        if process.poll() is not None:
            code = process.returncode
            self.end()
            how = manner_of_death(code)
            raise ChildDeath(BatchCode.CRASHED, how[0].upper() + how[1:])
        self._watch(process.pid)
        return None

    def wait(self, request: dict[str, Any], *, seconds: float | None = None) -> dict[str, Any]:
        """Ask and wait for the answer; see :meth:`answer`."""
        self.ask(request, seconds=seconds)
        while (answer := self.answer()) is None:
            wait_for([self], _LOOK)
        return answer

    def end(self) -> None:
        """End the process, whatever it does."""
        if self._process is not None:
            process, self._process, self._buffer = self._process, None, b""
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    try:
                        stream.close()
                    except BrokenPipeError:
                        continue
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def _start(self) -> None:
        self.end()
        self._folder = private_folder(self.scratch)
        self._process = subprocess.Popen(
            child_command("medcolor.batch.worker:main"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | dict.fromkeys(_ONE_THREAD, "1") | {"TMPDIR": self._folder.name},
        )

    def _watch(self, pid: int) -> None:
        used = resident(pid)
        self.peak = max(self.peak, used)
        if used > self.caps.memory:
            self.end()
            limit = f"{self.caps.memory / 2**30:.3g} GiB"
            raise ChildDeath(BatchCode.MEMORY, f"It took more memory than a child process may have ({limit}).")
        if time.monotonic() > self._deadline:
            self.end()
            raise ChildDeath(BatchCode.TIME, "It took more time than a series is given, and was ended.")


def wait_for(children: Iterable[Child], seconds: float) -> None:
    """Sleep until one of the children says something, or for so many seconds."""
    with selectors.DefaultSelector() as selector:
        for child in children:
            process = child._process
            if process is not None and process.stdout is not None:
                selector.register(process.stdout, selectors.EVENT_READ)
        if selector.get_map():
            selector.select(seconds)
        else:
            time.sleep(seconds)


def _readable(stream: Any) -> bool:
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        return bool(selector.select(0))
