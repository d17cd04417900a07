"""Storage commitment (PS3.4 annex J): the peer's promise to keep what it stored, asked for and awaited."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from medcolor.errors import PeerError
from medcolor.pacs.address import Address, is_loopback
from medcolor.pacs.associations import COMMITMENT, accepted, associated
from medcolor.pacs.guard import Caps, answered
from medcolor.pacs.listening import Listener
from medcolor.pacs.peer import Answer, Verdict

_INSTANCE = "1.2.840.10008.1.20.1.1"
_GONE = Answer(Verdict.REFUSED, "Vanished", "The object is not in its place any more.")
_NOT_KEPT = "It does not promise to keep the object."


class _Report:
    """The peer's report on one transaction, whenever and on whichever association it comes."""

    def __init__(self, transaction: str) -> None:
        self._transaction = transaction
        self.come = threading.Event()
        self.kept: frozenset[str] = frozenset()
        self.failed: dict[str, str] = {}

    def receive(self, event: Any) -> tuple[int, None]:
        """Take a report; others than the one awaited are acknowledged, as they are nobody's."""
        try:
            said = event.event_information
            if str(said.get("TransactionUID", "")) == self._transaction:
                kept = said.get("ReferencedSOPSequence") or []
                failed = said.get("FailedSOPSequence") or []
                self.kept = frozenset(str(item.ReferencedSOPInstanceUID) for item in kept)
                self.failed = {
                    str(item.ReferencedSOPInstanceUID): f"0x{int(item.get('FailureReason', 0)):04X}" for item in failed
                }
                self.come.set()
        except Exception:  # a report that cannot be read is no report
            return 0x0110, None
        finally:
            answered(event)
        return 0, None


def commit(address: Address, paths: Sequence[Path]) -> Iterator[Answer]:
    """Yield an answer for each object.

    STORED where the peer promises to keep it, REFUSED where it says that it will not, LATER where it says nothing.
    """
    from pydicom.dataset import Dataset
    from pydicom.uid import generate_uid
    from pynetdicom import evt

    references = [_reference(path) for path in paths]
    named = [item for item in references if item is not None]
    asked = Dataset()
    asked.TransactionUID = generate_uid(prefix=None)
    asked.ReferencedSOPSequence = named
    report = _Report(asked.TransactionUID)
    handlers = [(evt.EVT_N_EVENT_REPORT, report.receive)]
    here = "127.0.0.1" if is_loopback(address.host) else ""
    try:
        with Listener(here, address.commit, address.calling, [address.called], handlers, Caps()):
            if named:
                _ask(address, asked, handlers)
                report.come.wait(address.timeout)
    except PeerError as error:
        yield from (Answer(Verdict.LATER, error.code, error.reason) for _ in references)
        return
    for item in references:
        yield _GONE if item is None else _answer(str(item.ReferencedSOPInstanceUID), report)


def _ask(address: Address, asked: Any, handlers: list[tuple[Any, ...]]) -> None:
    with associated(address, [COMMITMENT], handlers=handlers) as association:
        if COMMITMENT not in accepted(association):
            raise PeerError("It does not offer storage commitment.", code="NoContext", lasting=True)
        status, _ = association.send_n_action(asked, 1, COMMITMENT, _INSTANCE)
    if "Status" not in status or int(status.Status):
        raise PeerError("It does not take the request for storage commitment.", code="NoCommitment")


def _answer(uid: str, report: _Report) -> Answer:
    if uid in report.kept:
        return Answer(Verdict.STORED)
    if uid in report.failed:
        return Answer(Verdict.REFUSED, report.failed[uid], _NOT_KEPT)
    return Answer(Verdict.LATER, "NoCommitment", "It has not yet said whether it keeps the object.")


def _reference(path: Path) -> Any:
    """Return what names an object of ours, None where the disk no longer has what was written."""
    from pydicom.dataset import Dataset
    from pydicom.filereader import read_file_meta_info

    item = Dataset()
    try:
        meta = read_file_meta_info(path)
        item.ReferencedSOPClassUID = meta.MediaStorageSOPClassUID
        item.ReferencedSOPInstanceUID = meta.MediaStorageSOPInstanceUID
    except Exception:  # whatever became of the file, the others are asked for
        return None
    return item
