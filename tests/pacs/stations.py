"""A node as an operator starts it, and what it says."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pacs.orthanc import free_port

CONFIG = """
title: MEDCOLOR
listen: 127.0.0.1:{port}
allow: [STORESCU, SENDER]
quiet: {quiet}
keep: {keep}
free: {free}
object: 20MiB
retries: 20x1s
rules:
  - name: ct
    from: STORESCU
    modality: CT
    description: PLANTED.*b
    colorizer: lut:viridis
    send: {send}
"""


def dcmtk_program(name: str) -> str | None:
    """Return the path of a program of dcmtk: pynetdicom brings others of these names."""
    own = Path(sys.executable).parent
    places = [place for place in os.environ.get("PATH", os.defpath).split(os.pathsep) if place and Path(place) != own]
    return shutil.which(name, path=os.pathsep.join(places))


class Station:
    """A running node."""

    def __init__(self, config: Path, root: Path, metrics: int, env: dict[str, str]) -> None:
        self.root, self._metrics = root, metrics
        self.log = config.with_suffix(".log")
        command = [sys.executable, "-m", "medcolor", "node", str(config), "-o", str(root), "--metrics", str(metrics)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, env=env, stdout=log, stderr=log)
        since = len(self.said())
        wait_until(lambda: "listening on" in self.said()[since:] or self.process.poll() is not None, 60)
        assert self.process.poll() is None, self.said()

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def metrics(self) -> dict[str, float]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self._metrics}/metrics", timeout=10) as answer:
            lines = [line for line in answer.read().decode().splitlines() if not line.startswith("#")]
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}

    def count(self, name: str) -> float:
        return self.metrics().get(f"medcolor_node_{name}", 0.0)

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(60)


def wait_until(true: Callable[[], bool], seconds: float) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.1)


@contextmanager
def station(
    folder: Path,
    send: str,
    env: dict[str, str],
    *,
    quiet: str = "1s",
    keep: str = "1h",
    free: str = "1MiB",
    more: str = "",
) -> Iterator[tuple[Station, int]]:
    folder.mkdir(parents=True, exist_ok=True)
    config, port = folder / "node.yaml", free_port()
    config.write_text(CONFIG.format(port=port, quiet=quiet, keep=keep, free=free, send=send) + more)
    running = Station(config, folder / "root", free_port(), env)
    try:
        yield running, port
    finally:
        if running.process.poll() is None:
            running.end(signal.SIGKILL)
