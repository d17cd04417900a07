"""What can be asked of a peer, whichever protocol it speaks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from medcolor.pacs.address import Address
from medcolor.pacs.spool import Intake


class Verdict(StrEnum):
    """What a peer said about an object."""

    STORED = "stored"
    LATER = "later"  # it, or the way to it, cannot now
    REFUSED = "refused"  # it will not take this object


@dataclass(frozen=True, slots=True)
class Answer:
    """What a peer said about one object.

    Parameters
    ----------
    verdict : Verdict
    code : str
        A DIMSE or HTTP status, or a word of ours.
    reason : str
        One sentence of ours; a peer's words may quote headers and are not repeated.
    """

    verdict: Verdict
    code: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class SeriesFound:
    """A series that a peer has; the UIDs are for the peer, not for people.

    Parameters
    ----------
    study, series : str
    instances : int or None
        None where the peer does not say.
    """

    study: str
    series: str
    instances: int | None = None


class Peer(Protocol):
    """A peer, spoken to when it is asked and not before."""

    address: Address

    def check(self, sop_classes: Sequence[str] = (), *, query: bool = False) -> None:
        """See whether it is there, lets us in, and takes objects of these classes; raises PeerError."""
        ...

    def find(self, keys: Mapping[str, str]) -> Iterator[SeriesFound]:
        """Yield the series that match; raises PeerError."""
        ...

    def fetch(self, series: SeriesFound, intake: Intake) -> None:
        """Have a series sent into ``intake``; raises PeerError, SpoolError."""
        ...

    def store(self, paths: Sequence[Path]) -> Iterator[Answer]:
        """Send objects of our own one by one, and yield what was said to each; never raises for a peer's sake.

        Ends early where there is no use in going on: what got no answer was not sent.
        """
        ...

    def commit(self, paths: Sequence[Path]) -> Iterator[Answer]:
        """Ask for storage commitment of objects that are stored: yield an answer for each; see ``store``."""
        ...
