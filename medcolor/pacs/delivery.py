"""The outbox emptied: what is due is sent, what failed waits its time, what is refused for good is parked."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from medcolor.errors import MedcolorError
from medcolor.pacs.address import Address
from medcolor.pacs.opening import open_peer
from medcolor.pacs.outbox import Item, Outbox, Post
from medcolor.pacs.peer import Answer, Peer, Verdict

_AT_ONCE = 100  # objects of one association
_LOOK = 0.2
_SAY = 60.0  # seconds between two lines about objects that are parked
_FAR = 30.0  # seconds between two lines on how far it is
_SETTINGS = Answer(Verdict.LATER, "Setting", "Its address, or a secret or certificate that it names, is not right.")


@dataclass(slots=True)
class Delivery:
    """Sends what is in an outbox.

    Parameters
    ----------
    outbox : Outbox
    say : callable
        Told in a line of what somebody may want to know.
    stopped : callable
        Whether to end after the object that is being sent.
    """

    outbox: Outbox
    say: Callable[[str], None] = lambda _: None
    stopped: Callable[[], bool] = lambda: False
    tally: Counter[str] = field(default_factory=Counter)
    _peers: dict[str, Peer] = field(default_factory=dict)
    _down: set[str] = field(default_factory=set)
    _parked: Counter[tuple[str, str]] = field(default_factory=Counter)
    _said: float = float("-inf")

    def run(self) -> dict[Post, int]:
        """Send until nothing waits any more, or it is stopped; return how many objects are where."""
        told = time.monotonic()
        while not self.stopped():
            if self.once():
                if time.monotonic() - told > _FAR:
                    told = time.monotonic()
                    self.say(f"{self.tally[Post.DONE]} objects sent, {self.outbox.counts()[Post.WAITING]} wait")
                continue
            due = self.outbox.next_due()
            if due is None:
                break
            self._wait(due)
        self._tell(at_once=True)
        return self.outbox.counts()

    def once(self) -> int:
        """Send one association's worth of what is due now; return the number of objects that were tried."""
        items = self.outbox.due(_AT_ONCE)
        stored = [] if items else self.outbox.due(_AT_ONCE, state=Post.STORED)
        tried = self._send(items) if items else self._commit(stored) if stored else 0
        self._tell()
        return tried

    def _wait(self, due: float) -> None:
        until = time.monotonic() + min(max(0.0, due - time.time()), 60.0)
        while time.monotonic() < until and not self.stopped():
            time.sleep(_LOOK)

    def _send(self, items: list[Item]) -> int:
        """Send objects of one destination; those without an answer share the fate of the last one."""
        destination = items[0].destination
        peer = self._peer(destination)
        if peer is None:
            return self._all(items, _SETTINGS)
        there = [item for item in items if (self.outbox.root / item.path).is_file()]
        for item in items:
            if item not in there:
                self._note(item, Answer(Verdict.REFUSED, "Vanished", "The object is not in its place any more."))
        after = Post.STORED if peer.address.commit else Post.DONE
        answers = peer.store([self.outbox.root / item.path for item in there]) if there else iter(())
        left = list(there)
        for answer in answers:
            if answer.code in _ALL_ALIKE:
                return self._all(left, answer) + len(items) - len(left)
            self._note(left.pop(0), answer, after)
            if self.stopped() or not left:
                break
        if len(left) < len(there):
            self._up(destination)
            return len(items) - len(left)
        return len(items) if not there else self._all(left, Answer(Verdict.LATER, "NoAnswer", "It broke off."))

    def _commit(self, items: list[Item]) -> int:
        peer = self._peer(items[0].destination)
        if peer is None:
            return self._all(items, _SETTINGS)
        answers = peer.commit([self.outbox.root / item.path for item in items])
        noted = 0
        for item, answer in zip(items, answers, strict=False):
            if answer.verdict is Verdict.REFUSED:
                self.tally[self.outbox.again(item, answer)] += 1
            else:
                self._note(item, answer)
            noted += 1
        return noted or self._all(items, Answer(Verdict.LATER, "NoAnswer", "It did not answer for storage."))

    def _all(self, items: list[Item], answer: Answer) -> int:
        destination = items[0].destination
        if destination not in self._down:
            self._down.add(destination)
            self.say(f"{_label(destination)}: {answer.reason} What it should get waits in the outbox.")
        for item in items:
            self._note(item, answer)
        return len(items)

    def _up(self, destination: str) -> None:
        if destination in self._down:
            self._down.discard(destination)
            self.say(f"{_label(destination)}: takes objects again.")

    def _note(self, item: Item, answer: Answer, stored: Post = Post.DONE) -> None:
        post = self.outbox.note(item, answer, stored=stored)
        self.tally[post] += 1
        if post is Post.PARKED:
            self._parked[item.destination, f"{answer.reason} [{answer.code}]"] += 1

    def _tell(self, *, at_once: bool = False) -> None:
        """Say what is parked: a line for each reason, not for each of a night's objects, which the outbox lists."""
        now = time.monotonic()
        if not self._parked or (now - self._said < _SAY and not at_once):
            return
        for (destination, why), count in self._parked.items():
            self.say(f"{_label(destination)}: {count} {'object' if count == 1 else 'objects'} parked: {why}")
        self._parked.clear()
        self._said = now

    def _peer(self, destination: str) -> Peer | None:
        try:
            if destination not in self._peers:
                self._peers[destination] = open_peer(Address.parse(destination))
        except MedcolorError:
            return None
        return self._peers[destination]


_ALL_ALIKE = frozenset({"NoPeer", "Rejected", "Tls"})


def _label(destination: str) -> str:
    return destination.partition("?")[0]
