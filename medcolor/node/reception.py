"""What the node does with objects that come: on the disk first, then success; refused where the disk is nearly full."""

from __future__ import annotations

import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from medcolor.batch.naming import NAME, source_name
from medcolor.node.rules import NodeConfig
from medcolor.pacs.credentials import server_tls
from medcolor.pacs.guard import Caps, answered
from medcolor.pacs.landing import Landing
from medcolor.pacs.listening import Listener
from medcolor.pacs.spool import Intake, Limits

_TELL_AGAIN = 3600.0  # seconds between two lines on a sender that is turned away
_TOLD = 1000
_STALE = 600.0  # seconds after which a broken-off object is removed


class Reception:
    """Takes objects into a folder for each sender.

    Parameters
    ----------
    config : NodeConfig
    folder : Path
        ``arrivals`` of the node.
    say : callable
        Told of who is turned away, by host, now and then.
    """

    def __init__(self, config: NodeConfig, folder: Path, say: Callable[[str], None] = lambda _: None) -> None:
        self._config, self._folder, self._say = config, folder, say
        self._told: dict[tuple[str, str], float] = {}
        self.senders = {source_name("ae", title)[:NAME]: title for title in config.allow}
        self.counts: Counter[str] = Counter()
        self.last = 0.0
        limits = Limits(config.object_bytes, 1 << 62, config.free_bytes)
        self._intakes = {title: Intake(folder / name, limits) for name, title in self.senders.items()}
        self._listener: Listener | None = None
        self._landing: Landing | None = None

    @contextmanager
    def open(self) -> Iterator[Listener]:
        """Listen while this context lasts."""
        from pynetdicom import evt

        for left in self._folder.glob("landing-*"):
            shutil.rmtree(left, ignore_errors=True)
        config = self._config
        tls = None if config.tls is None else server_tls(config.tls.cert, config.tls.key, config.tls.ca)
        caps = Caps(object_bytes=config.object_bytes, connections=config.connections, per_host=config.per_host)
        handlers = [
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_C_ECHO, self._echo),
            (evt.EVT_REJECTED, self._rejected),
        ]
        with (
            _hook(self._thread_died),
            Landing(self._folder, lambda event: self._intakes[_sender(event)]) as self._landing,
            Listener(
                config.host, config.port, config.title, config.allow, handlers, caps, tls, self._room, self._landing
            ) as self._listener,
        ):
            yield self._listener

    def sweep(self) -> None:
        """Remove what associations that broke off have left."""
        if self._landing is not None:
            self._landing.sweep(_STALE)

    @property
    def connections(self) -> int:
        """Connections that are open."""
        return 0 if self._listener is None else len(self._listener.associations)

    @property
    def turned_away(self) -> int:
        """Connections beyond the caps, so far."""
        return 0 if self._listener is None else self._listener.turned_away

    def _store(self, event: Any) -> int:
        assert self._landing is not None
        status = self._landing.store(event)
        self.counts["received" if status == 0 else f"refused_{status:04x}"] += 1
        self.last = time.time()
        return status

    def _echo(self, event: Any) -> int:
        answered(event)
        self.counts["echo"] += 1
        return 0

    def _rejected(self, event: Any) -> None:
        self.counts["rejected"] += 1
        sender = event.assoc.requestor
        if _sender(event) not in self._config.allow:
            why = 'its AE title is not in "allow"'
        elif str(getattr(sender.primitive, "called_ae_title", "")).strip() != self._config.title:
            why = f"it calls another AE title than {self._config.title}"
        else:
            why = "it asks for what a node does not do, or at a bad moment"
        self._tell(str(sender.address), why)

    def _tell(self, host: str, why: str) -> None:
        """Say who was turned away: not its title, which may be anything, and not each of its tries."""
        now = time.monotonic()
        if now - self._told.get((host, why), -_TELL_AGAIN) < _TELL_AGAIN:
            return
        if len(self._told) >= _TOLD:
            self._told.clear()
        self._told[host, why] = now
        self._say(f"a sender at {host} is turned away: {why}")

    def _thread_died(self, _: Any) -> None:
        """Count an association that the library could not carry through; its words may quote the sender's."""
        self.counts["broken"] += 1

    def _room(self) -> bool:
        return shutil.disk_usage(self._folder).free > self._config.free_bytes // 2


@contextmanager
def _hook(hook: Callable[[Any], None]) -> Iterator[None]:
    """Have threads that die told to ``hook`` and to nobody else."""
    before, threading.excepthook = threading.excepthook, hook
    try:
        yield
    finally:
        threading.excepthook = before


def _sender(event: Any) -> str:
    return str(event.assoc.requestor.ae_title).strip()
