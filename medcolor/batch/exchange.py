"""A PACS at either end of a batch: series retrieved before it, objects sent after it; both go on where they were."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from medcolor.batch.journal import open_journal
from medcolor.batch.lock import locked
from medcolor.batch.naming import NAME, file_label, source_name
from medcolor.batch.plan import Plan
from medcolor.batch.publishing import PRIVATE
from medcolor.batch.settings import BatchSettings
from medcolor.batch.task import FINISHED, State
from medcolor.errors import PeerError, SettingError, WriteError
from medcolor.io.atomic import sync_folder
from medcolor.pacs import Address, Outbox, Peer, Schedule, open_peer
from medcolor.pacs.delivery import Delivery
from medcolor.pacs.outbox import Post
from medcolor.pacs.peer import SeriesFound
from medcolor.pacs.query import parse_query
from medcolor.pacs.spool import Intake, Limits, SpoolError

_TELL = 30.0  # seconds between two lines on how far it is
_RETRIEVED = "retrieved"
_RETRIEVING = "Another run retrieves into this output (process {holder}). Wait for it, or name another output folder."
_CLASSES = {
    "auto": ("1.2.840.10008.5.1.4.1.1.7",),
    "dicom": ("1.2.840.10008.5.1.4.1.1.7",),
    "dicom-multiframe": ("1.2.840.10008.5.1.4.1.1.7.4",),
    "seg": ("1.2.840.10008.5.1.4.1.1.66.4",),
    "presentation": ("1.2.840.10008.5.1.4.1.1.11.3",),
}
Say = Callable[[str], None]


@dataclass(slots=True)
class Fetched:
    """What a retrieval brought.

    Attributes
    ----------
    folders : list of Path
        One for each series that is complete.
    missing : list of (label, State, code, reason)
        Series that could not be had.
    """

    folders: list[Path] = field(default_factory=list)
    missing: list[tuple[str, State, str, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Retrieval:
    """Series of a PACS as input of a batch.

    Parameters
    ----------
    address : str
        See :meth:`Address.parse`.
    query : tuple of str
        ``KEY=VALUE``, or ``@FILE``.
    most : int
        Series; more are refused, so that nobody fetches a whole archive by accident.
    limits : Limits
        What is taken of one series.
    """

    address: str
    query: tuple[str, ...]
    most: int = 10_000
    limits: Limits = field(default_factory=Limits)

    def find(self) -> list[SeriesFound]:
        """Return the series that match.

        Raises
        ------
        PeerError, SettingError
        """
        keys, peer = parse_query(self.query), open_peer(self.address)
        with _named(peer):
            peer.check(query=True)
            found = list(dict.fromkeys(islice(peer.find(keys), self.most + 1)))
        if len(found) > self.most:
            raise SettingError(
                f"More than {self.most} series match. Ask for fewer, or say so with --most-series; a PACS that does "
                "not know a key may answer with everything it has."
            )
        return found

    def fetch(self, out: Path, say: Say) -> Fetched:
        """Have the series that match sent to the output folder's private part; those that are there stay.

        Raises
        ------
        PeerError, SettingError
            Nothing can be asked. What goes wrong with one series is in the result.
        """
        found, spool = self.find(), out / PRIVATE / _RETRIEVED
        try:
            spool.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise WriteError(error.errno or 0, f"{out}: this output folder cannot be written.") from error
        with locked(spool, wait=False, say=say, what=_RETRIEVING):
            with open_journal(out, lambda: None) as journal:
                salt = journal.salt
            return self._all(found, spool, salt, say)

    def drop(self, out: Path, plan: Plan) -> int:
        """Remove what was retrieved of series that are coloured; return the number of series."""
        spool, kept, done = out / PRIVATE / _RETRIEVED, set[Path](), set[Path]()
        with locked(spool, wait=True, say=lambda _: None), open_journal(out, lambda: None) as journal:
            for task in (*plan.todo, *(task for task, _ in plan.finished)):
                row = journal.row(task.key)
                finished = row is not None and row.outcome.state in FINISHED
                (done if finished else kept).update(Path(file).parent for file in task.files)
            dropped = [folder for folder in done - kept if folder.parent == spool]
            for folder in dropped:
                _count(folder).unlink(missing_ok=True)
                shutil.rmtree(folder, ignore_errors=True)
        return len(dropped)

    def _all(self, found: list[SeriesFound], spool: Path, salt: bytes, say: Say) -> Fetched:
        peer, brought = open_peer(self.address), Fetched()
        say(f"{peer.address.label}: {len(found)} series match")
        for left in spool.glob("*.part"):
            shutil.rmtree(left, ignore_errors=True)
        told = time.monotonic()
        for number, series in enumerate(found):
            if time.monotonic() - told > _TELL:
                told = time.monotonic()
                say(f"{number} of {len(found)} series retrieved")
            name = source_name("series", series.study, series.series)
            try:
                brought.folders.append(self._series(peer, series, spool / name[:NAME]))
            except (PeerError, SpoolError) as error:
                reason = f"It could not be retrieved: {error.reason}"
                label = file_label(salt, name)
                brought.missing.append((label, State.FAILED, error.code, reason))
                say(f"series {label}: {error.code}: {reason}")
        return brought

    def _series(self, peer: Peer, series: SeriesFound, target: Path) -> Path:
        """Fetch one series; its folder appears when it is complete."""
        if _complete(target, series.instances):
            return target
        part = target.with_name(f"{target.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        try:
            intake = Intake(part, self.limits)
            peer.fetch(series, intake)
            if not intake.count or intake.count < (series.instances or 0):
                raise PeerError(f"{intake.count} of {series.instances or 'its'} objects came.", code="Incomplete")
            shutil.rmtree(target, ignore_errors=True)
            part.rename(target)
            _count(target).write_text(json.dumps({"objects": intake.count}), "utf-8")
            sync_folder(target.parent)
        finally:
            shutil.rmtree(part, ignore_errors=True)
        return target


def _count(target: Path) -> Path:
    """Return the file that says how many objects a retrieved series has; written last."""
    return target.with_name(f"{target.name}.json")


def _complete(target: Path, promised: int | None) -> bool:
    try:
        objects = int(json.loads(_count(target).read_text("utf-8"))["objects"])
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return objects >= (promised or 0) and len(list(target.glob("*.dcm"))) == objects


@dataclass(frozen=True, slots=True)
class Dispatch:
    """A PACS that the objects of a batch are sent to.

    Parameters
    ----------
    address : str
        See :meth:`Address.parse`.
    schedule : Schedule
        When what failed is tried again.
    """

    address: str
    schedule: Schedule = field(default_factory=Schedule)

    def check(self, settings: BatchSettings, say: Say) -> None:
        """See before any work whether the peer takes what will come.

        Raises
        ------
        PeerError
            It does not, nor will it tomorrow. A peer that is only away is no reason not to begin.
        SettingError
            Nothing that a PACS could take will come.
        """
        if settings.to not in _CLASSES:
            raise SettingError(f'A PACS takes DICOM objects, and "{settings.to}" writes none: use --to dicom.')
        peer = open_peer(self.address)
        try:
            with _named(peer):
                peer.check(_CLASSES[settings.to])
        except PeerError as error:
            if error.lasting:
                raise
            say(f"{error.reason} What is coloured waits in the outbox.")

    def put(self, out: Path, plan: Plan) -> int:
        """Put the objects of all finished series into the outbox; return how many are new there."""
        destination = str(Address.parse(self.address))
        with open_outbox(out, self.schedule) as outbox, open_journal(out, lambda: None) as journal:
            keys = [task.key for task in (*plan.todo, *(task for task, _ in plan.finished))]
            rows = (row for key in keys if (row := journal.row(key)) is not None and row.outcome.state in FINISHED)
            return sum(
                outbox.add(destination, ((p, sha) for p, sha in row.outcome.outputs.items() if p.endswith(".dcm")))
                for row in rows
            )


@contextmanager
def _named(peer: Peer) -> Iterator[None]:
    """Say of which peer an error speaks: there may be one at each end."""
    try:
        yield
    except PeerError as error:
        reason = f"{peer.address.label}: {error.reason}"
        raise PeerError(reason, code=error.code, lasting=error.lasting) from None


@contextmanager
def open_outbox(out: Path, schedule: Schedule | None = None) -> Iterator[Outbox]:
    """Yield the outbox of an output folder."""
    outbox = Outbox(out, out / PRIVATE, schedule)
    try:
        yield outbox
    finally:
        outbox.close()


def has_outbox(out: Path) -> bool:
    """Whether an output folder has an outbox."""
    return Outbox.exists(out / PRIVATE)


@dataclass(frozen=True, slots=True)
class Sent:
    """What came of sending.

    Attributes
    ----------
    now : int
        Objects that this process sent.
    counts : dict
        How many objects are where on their way, to the address that was asked for or to all.
    elsewhere : int
        Objects parked for other addresses.
    """

    now: int
    counts: dict[Post, int]
    elsewhere: int = 0


def send(out: Path, schedule: Schedule, say: Say, *, to: str | None = None) -> Sent:
    """Send what is in the outbox until nothing waits any more.

    Parameters
    ----------
    out : Path
    schedule : Schedule
    say : callable
    to : str, optional
        The address whose objects are counted; all are sent.

    Raises
    ------
    SettingError
        Another process is sending.
    """
    destination = None if to is None else str(Address.parse(to))
    with open_outbox(out, schedule) as outbox, outbox.sending():
        delivery = Delivery(outbox, say)
        everything = delivery.run()
        counts = outbox.counts(destination)
        return Sent(delivery.tally[Post.DONE], counts, everything[Post.PARKED] - counts[Post.PARKED])
