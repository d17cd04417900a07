"""The node's life: listen, sort, colour, send, clear away; one loop, and a thread of delivery for each rule."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from medcolor.batch.exchange import Dispatch, open_outbox
from medcolor.batch.lock import locked
from medcolor.batch.naming import LABEL
from medcolor.batch.telling import many
from medcolor.errors import PeerError, SettingError, WriteError
from medcolor.node.metrics import Metric, served
from medcolor.node.reception import Reception
from medcolor.node.routing import route_files
from medcolor.node.rules import NodeConfig, Rule
from medcolor.node.shelves import Shelves
from medcolor.node.work import MOST, Work
from medcolor.pacs.delivery import Delivery
from medcolor.pacs.outbox import Outbox

_BEAT = 0.2
_PAUSE = 2.0  # seconds after which a disk that failed is tried again
_COUNT = 2.0  # seconds between two counts of the outboxes
_TIDY = 30.0  # seconds between two rounds of clearing away
_AGAIN = 60.0  # seconds after which what the system failed is tried again
_TELL = 60.0  # seconds between two lines on objects under no rule
_NO_SCAN = {"state": "refused", "code": "NoScan", "reason": "None of its objects is a scan."}
_GRACE = 10.0  # seconds that open associations have when the node stops
_NODE = "Another node works on this folder (process {holder}). Stop it, or name another folder: -o STATE."
_LASTING = frozenset({"coloured", "coloured in part", "refused", "parked", "unchanged"})


class _Round(NamedTuple):
    """Series of a rule that are being coloured, each as it was when that began."""

    rule: Rule
    contents: dict[Path, tuple[int, int]]
    work: Work


class Node:
    """A node on its folder.

    Parameters
    ----------
    config : NodeConfig
    root : Path
        Made if needed; one node at a time.
    say : callable
        Told in a line of what somebody may want to know.
    metrics_port : int or None
        On loopback; 0 takes a free one.
    """

    def __init__(
        self,
        config: NodeConfig,
        root: Path,
        *,
        say: Callable[[str], None] = lambda _: None,
        metrics_port: int | None = None,
    ) -> None:
        self._config, self._root, self._say, self._metrics_port = config, root.absolute(), say, metrics_port
        self._rules = {rule.name: rule for rule in config.rules}
        self._stop = threading.Event()
        self._series: Counter[tuple[str, str]] = Counter()
        self._strays = self._told_strays = 0
        self._told_at = float("-inf")
        self._posts: dict[str, float] = {}
        self._counted = self._tidied = 0.0
        self._failure: Exception | None = None
        self._round: _Round | None = None
        self._not_before = dict.fromkeys(self._rules, 0.0)

    def stop(self) -> None:
        """Take no more associations, end what is being done where it can be taken up again, and return."""
        self._stop.set()

    def run(self) -> None:
        """Serve until :meth:`stop`.

        Raises
        ------
        SettingError
            A rule's settings cannot be, or another node works on this folder.
        PeerError
            A destination refuses what a rule will send; the address to listen on is taken.
        WriteError
            The folder cannot be written.
        """
        try:
            self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise WriteError(error.errno or 0, f"{self._root}: this folder cannot be written.") from error
        with locked(self._root, wait=False, say=self._say, what=_NODE):
            self._check()
            shelves = Shelves(self._root, tuple(self._rules))
            reception = Reception(self._config, shelves.arrivals, self._say)
            with self._outboxes(shelves) as outboxes, self._metrics(shelves, reception):
                senders = [threading.Thread(target=self._deliver, args=(shelves.out(name),)) for name in outboxes]
                for thread in senders:
                    thread.start()
                try:
                    self._listen(shelves, reception, outboxes)
                finally:
                    self._stop.set()
                    self._end_round()
                    for thread in senders:
                        thread.join()
        if self._failure is not None:
            raise self._failure

    def _check(self) -> None:
        """See before listening whether each rule can be followed."""
        answer = Work({"check": {rule.name: asdict(rule.settings) for rule in self._config.rules}}).result()
        if "failed" in answer:
            raise SettingError(answer["failed"])
        for rule in self._config.rules:
            try:
                Dispatch(rule.send).check(rule.settings, self._say)
            except PeerError as error:
                raise PeerError(f'rule "{rule.name}": {error.reason}', code=error.code, lasting=error.lasting) from None

    @contextlib.contextmanager
    def _outboxes(self, shelves: Shelves) -> Iterator[dict[str, Outbox]]:
        with contextlib.ExitStack() as stack:
            yield {
                name: stack.enter_context(open_outbox(shelves.out(name), self._config.schedule)) for name in self._rules
            }

    def _listen(self, shelves: Shelves, reception: Reception, outboxes: dict[str, Outbox]) -> None:
        with reception.open() as listener:
            self._say(f"listening on {self._config.host}:{listener.port} as {self._config.title}")
            while not self._stop.wait(_BEAT):
                try:
                    self._beat(shelves, reception, outboxes)
                except (OSError, sqlite3.Error):  # a disk that is full or gone; what came is where it is
                    self._say("the disk failed; it is tried again")
                    self._stop.wait(_PAUSE)
            self._say("stopping: no more associations are taken")
            listener.close_door()
            until = time.monotonic() + _GRACE
            while listener.associations and time.monotonic() < until:
                time.sleep(_BEAT)
        self._say("stopped: what is not finished goes on with the next start")

    def _beat(self, shelves: Shelves, reception: Reception, outboxes: dict[str, Outbox]) -> None:
        self._sort(shelves, reception)
        shelves.look()
        self._color(shelves)
        now = time.monotonic()
        if now - self._counted > _COUNT:
            self._posts, self._counted = _posts(outboxes), now
        if now - self._tidied > min(_TIDY, max(1.0, self._config.keep_seconds)):
            self._tidied = now
            self._tidy(shelves, reception, outboxes)

    def _sort(self, shelves: Shelves, reception: Reception) -> None:
        for folder, title in reception.senders.items():
            names = shelves.arrived(folder)
            if names:
                routes = route_files(shelves.arrivals / folder, names, title, self._config.rules, self._config.memory)
                self._strays += shelves.sort(folder, names, routes)
        now, more = time.monotonic(), self._strays - self._told_strays
        if more and now - self._told_at > _TELL:
            self._told_strays, self._told_at = self._strays, now
            self._say(
                f"under no rule: {many(more, 'object')}, kept in aside for {self._config.keep_seconds / 3600:.3g} h"
            )

    def _color(self, shelves: Shelves) -> None:
        """Take in a round that has ended; start one where series are ready."""
        if self._round is not None:
            if self._round.work.goes_on:
                return
            self._take_in(shelves, self._round)
            self._round = None
        for rule in self._config.rules:
            folders = shelves.ready(rule.name, self._config.quiet_seconds, MOST)
            if folders and time.monotonic() >= self._not_before[rule.name]:
                contents = {folder: shelves.series[folder].content for folder in folders}
                self._round = _Round(rule, contents, Work(self._request(rule, folders, shelves)))
                return

    def _request(self, rule: Rule, folders: list[Path], shelves: Shelves) -> dict[str, Any]:
        config = self._config
        return {
            "folders": [str(folder) for folder in folders],
            "out": str(shelves.out(rule.name)),
            "settings": asdict(rule.settings),
            "send": rule.send,
            "workers": config.workers,
            "memory": config.memory,
            "seconds": config.seconds,
        }

    def _take_in(self, shelves: Shelves, done: _Round) -> None:
        answer, name = done.work.result(), done.rule.name
        if "failed" in answer:
            self._say(f'rule "{name}": {answer["failed"]} It is tried again.')
            self._not_before[name] = time.monotonic() + _AGAIN
            return
        for folder, content in done.contents.items():
            outcomes = answer["series"][folder.name] or [_NO_SCAN]
            for outcome in outcomes:
                self._series[name, outcome["state"]] += 1
                why = f": {outcome['code']}: {outcome['reason']}" if outcome["code"] else ""
                self._say(f"{name}/{folder.name[:LABEL]} ({many(content[1], 'object')}): {outcome['state']}{why}")
            if any(outcome["state"] not in _LASTING for outcome in outcomes):
                self._not_before[name] = time.monotonic() + _AGAIN
            elif (waiting := shelves.series.get(folder)) is not None:
                waiting.colored = content
                waiting.outputs = tuple(outcome["folder"] for outcome in outcomes if "folder" in outcome)

    def _tidy(self, shelves: Shelves, reception: Reception, outboxes: dict[str, Outbox]) -> None:
        reception.sweep()
        shelves.clear_aside(self._config.keep_seconds)
        for name, outbox in outboxes.items():
            if self._round is None or self._round.rule.name != name:
                shelves.clear(name, self._config.keep_seconds, outbox)

    def _deliver(self, out: Path) -> None:
        """Send what a rule's outbox holds, for as long as the node lives; what nobody foresaw ends the node."""
        try:
            with open_outbox(out, self._config.schedule) as outbox:
                delivery = Delivery(outbox, self._say, self._stop.is_set)
                while not self._stop.is_set():
                    try:
                        with outbox.sending():
                            while not self._stop.is_set():
                                if not delivery.once():
                                    self._stop.wait(_BEAT)
                    except (SettingError, OSError, sqlite3.Error):  # somebody resends by hand; the disk failed
                        self._stop.wait(_PAUSE)
        except Exception as error:
            self._failure = error
            self._stop.set()

    def _end_round(self) -> None:
        """End a round; its journal takes it up again."""
        if self._round is not None:
            self._round.work.stop()

    @contextlib.contextmanager
    def _metrics(self, shelves: Shelves, reception: Reception) -> Iterator[None]:
        if self._metrics_port is None:
            yield
            return

        def numbers() -> list[Metric]:
            return node_metrics(shelves, reception, self._posts, self._series, self._strays)

        with served(self._metrics_port, numbers) as port:
            self._say(f"metrics on http://127.0.0.1:{port}/metrics")
            yield


def _posts(outboxes: dict[str, Outbox]) -> dict[str, float]:
    return {
        f'rule="{name}",state="{post}"': float(count)
        for name, outbox in outboxes.items()
        for post, count in outbox.counts().items()
    }


def node_metrics(
    shelves: Shelves,
    reception: Reception,
    posts: dict[str, float],
    series: Counter[tuple[str, str]],
    strays: int,
) -> list[Metric]:
    """Return what the node counts."""
    done = {f'rule="{rule}",state="{state}"': float(count) for (rule, state), count in dict(series).items()}
    received = {f'outcome="{name}"': float(count) for name, count in dict(reception.counts).items()}
    return [
        Metric("requests_total", "counter", "Requests of senders by outcome.", received),
        Metric("connections", "gauge", "Connections that are open.", {"": float(reception.connections)}),
        Metric(
            "connections_refused_total", "counter", "Connections beyond the caps.", {"": float(reception.turned_away)}
        ),
        Metric("last_object_timestamp_seconds", "gauge", "When the last object came.", {"": reception.last}),
        Metric("strays_total", "counter", "Objects that fall under no rule.", {"": float(strays)}),
        Metric("series_waiting", "gauge", "Series on the shelves.", {"": float(len(shelves.series))}),
        Metric("series_total", "counter", "Series that were coloured, or not, by rule.", done),
        Metric("objects", "gauge", "Objects in the outboxes by rule and state.", posts),
    ]
