"""Dask clusters for tests: a real scheduler and real worker processes on the loopback interface, each known by pid."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

# notes when a child of a worker begins and ends with a series, and takes its time over it
_INJECTED = """
import hashlib, os, time
_digest = hashlib.file_digest
def digest(stream, name):
    head = stream.read(1 << 14); stream.seek(0)
    def note(what):
        with open(os.environ["NOTES"], "a") as notes:
            notes.write(f"{what} {stream.name}\\n")
    if ".medcolor" in stream.name: return _digest(stream, name)  # what it wrote
    if b"PLANTEDTEXT-CRASH" in head: os.abort()
    note("begin"); time.sleep(float(os.environ["PAUSE"])); note("end")
    return _digest(stream, name)
hashlib.file_digest = digest
"""


@dataclass
class Cluster:
    """A scheduler's address, its workers, and what their children noted."""

    address: str
    scheduler: subprocess.Popen[bytes]
    workers: list[subprocess.Popen[bytes]]
    notes: Path

    def begun(self) -> list[str]:
        """Return the files that a child began with, one line for each time."""
        return [line.removeprefix("begin ") for line in self.lines() if line.startswith("begin ")]

    def lines(self) -> list[str]:
        return self.notes.read_text().splitlines() if self.notes.exists() else []


@contextmanager
def cluster(base: Path, workers: int, *options: str, pause: float = 0.0) -> Iterator[Cluster]:
    """Yield a cluster of single worker processes without nannies: what is killed stays away."""
    (base / "site").mkdir(parents=True)
    (base / "site/sitecustomize.py").write_text(_INJECTED)
    path = os.pathsep.join([str(base / "site"), *(p for p in sys.path if p)])
    env = os.environ | {"PYTHONPATH": path, "NOTES": str(base / "notes"), "PAUSE": str(pause), "OMP_NUM_THREADS": "1"}
    where, file = "tcp://127.0.0.1", base / "scheduler.json"

    def start(*arguments: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "dask", *arguments]
        return subprocess.Popen(command, env=env, cwd=base, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    started = [start("scheduler", "--host", where, "--port", "0", "--no-dashboard", "--scheduler-file", str(file))]
    try:
        since = time.monotonic()
        while not file.exists():
            assert time.monotonic() - since < 120, "no Dask scheduler came up"
            assert started[0].poll() is None, "the Dask scheduler ended"
            time.sleep(0.1)
        common = ("--scheduler-file", str(file), "--no-nanny", "--no-dashboard", "--host", where)
        options = options or ("--nthreads", "1")
        started += [
            start("worker", *common, *options, "--local-directory", str(base / f"w{n}")) for n in range(workers)
        ]
        yield Cluster(_address(file), started[0], started[1:], base / "notes")
    finally:
        for process in reversed(started):
            process.send_signal(signal.SIGKILL)
            process.wait()


def _address(file: Path) -> str:
    import json

    since = time.monotonic()
    while True:
        try:
            return str(json.loads(file.read_text())["address"])
        except ValueError:  # half written
            assert time.monotonic() - since < 60
            time.sleep(0.1)
