"""A peer over DIMSE: C-FIND, C-GET or C-MOVE, C-STORE, storage commitment."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from medcolor.errors import PeerError
from medcolor.pacs.address import Address
from medcolor.pacs.associations import (
    COMMITMENT,
    FIND,
    GET,
    MOVE,
    VERIFICATION,
    accepted,
    application,
    associated,
    image_classes,
)
from medcolor.pacs.landing import Landing
from medcolor.pacs.peer import Answer, SeriesFound, Verdict
from medcolor.pacs.query import SERIES_KEYS, is_uid
from medcolor.pacs.spool import Intake, SpoolError
from medcolor.pacs.statuses import store_answer

_PENDING = frozenset({0xFF00, 0xFF01})
_DAMAGED = Answer(
    Verdict.REFUSED,
    "Damaged",
    "The object on our disk is no longer what was written: remove its folder and run the batch again.",
)
_MISTAKEN = {0xA900: "It does not understand the query.", 0x0122: "It does not offer this service."}


class DimsePeer:
    """A DICOM application entity.

    Parameters
    ----------
    address : Address
    """

    def __init__(self, address: Address) -> None:
        application(address.calling, address.timeout)  # the extra is installed
        self.address = address

    def check(self, sop_classes: Sequence[str] = (), *, query: bool = False) -> None:
        """See whether it is there, knows us, and takes what will be asked of it."""
        retrieve = [FIND, MOVE if self.address.move else GET] if query else []
        promise = [COMMITMENT] if sop_classes and self.address.commit else []
        wanted = [*sop_classes, *retrieve, *promise]
        with associated(self.address, wanted or [VERIFICATION]) as association:
            found = accepted(association)
        missing = [uid for uid in wanted if uid not in found]
        if missing:
            from pydicom.uid import UID

            names = ", ".join(UID(uid).name for uid in missing)
            raise PeerError(f"It does not accept: {names}.", code="NoContext", lasting=True)

    def find(self, keys: Mapping[str, str]) -> Iterator[SeriesFound]:
        """Yield the series that match, study by study as the hierarchy of PS3.4 wants it."""
        studies = {name: value for name, value in keys.items() if name not in SERIES_KEYS}
        series = {name: value for name, value in keys.items() if name in SERIES_KEYS}
        with associated(self.address, [FIND]) as association:
            for study in self._ask(
                association, "STUDY", studies | {"StudyInstanceUID": studies.get("StudyInstanceUID", "")}
            ):
                uid = _text(study, "StudyInstanceUID")
                wanted = {"SeriesInstanceUID": "", "NumberOfSeriesRelatedInstances": ""} | series
                for each in self._ask(association, "SERIES", wanted | {"StudyInstanceUID": uid}):
                    count = _text(each, "NumberOfSeriesRelatedInstances")
                    yield SeriesFound(uid, _text(each, "SeriesInstanceUID"), int(count) if count.isdigit() else None)

    def _ask(self, association: Any, level: str, keys: Mapping[str, str]) -> list[Any]:
        found = []
        for status, identifier in association.send_c_find(_identifier(level, keys), FIND):
            code = _status(status)
            if code in _PENDING and identifier is not None:
                found.append(identifier)
            elif code:
                raise PeerError(_MISTAKEN.get(code, "The query failed."), code=f"0x{code:04X}")
        return found

    def fetch(self, series: SeriesFound, intake: Intake) -> None:
        """Have a series sent into ``intake``, on the association that asks for it or to a port of ours."""
        if not (is_uid(series.study) and is_uid(series.series)):
            raise PeerError("The peer names a series by something that is no UID.", code="BadUid", lasting=True)
        keys = {"StudyInstanceUID": series.study, "SeriesInstanceUID": series.series}
        if self.address.move:
            from medcolor.pacs.moving import fetch_by_move

            fetch_by_move(self.address, _identifier("SERIES", keys), intake)
            return
        from pynetdicom import evt

        cap = intake.limits.object_bytes
        with (
            Landing.into(intake) as landing,
            associated(
                self.address,
                [GET],
                stores=image_classes(),
                handlers=[(evt.EVT_C_STORE, landing.store)],
                landing=landing,
                object_bytes=cap,
            ) as association,
        ):
            codes = [status.get("Status", -1) for status, _ in association.send_c_get(_identifier("SERIES", keys), GET)]
            landing.raise_refusal()
            if association.medcolor_guard.too_large:
                raise SpoolError("TooLarge", "An object is larger than what is taken.")
        if not codes or codes[-1]:
            code = "NoAnswer" if not codes or codes[-1] < 0 else f"0x{codes[-1]:04X}"
            raise PeerError("It did not send all of the series.", code=code)

    def store(self, paths: Sequence[Path]) -> Iterator[Answer]:
        """Send objects one by one, and yield what was said to each."""
        kinds = [_kind(path) for path in paths]
        try:
            classes = sorted({kind[0] for kind in kinds if kind is not None})
            with associated(self.address, classes or [VERIFICATION]) as association:
                offered = accepted(association)
                for path, kind in zip(paths, kinds, strict=True):
                    if kind is None:
                        yield _DAMAGED
                        continue
                    sop_class, syntax = kind
                    if sop_class not in offered:
                        yield Answer(Verdict.REFUSED, "NoContext", "It does not take objects of this class.")
                        continue
                    yield _store(association, path, stream=syntax in offered[sop_class])
                    if not association.is_established:
                        return
        except PeerError as error:
            yield Answer(Verdict.REFUSED if error.lasting else Verdict.LATER, error.code, error.reason)

    def commit(self, paths: Sequence[Path]) -> Iterator[Answer]:
        """Ask for storage commitment of objects that are stored."""
        from medcolor.pacs.commitment import commit

        return commit(self.address, paths)


def _store(association: Any, path: Path, *, stream: bool) -> Answer:
    """Send one object: from the disk as it is, or encoded anew where the peer wants implicit VR."""
    try:
        status = association.send_c_store(path if stream else _read(path))
    except (RuntimeError, ValueError, AttributeError):
        return Answer(Verdict.REFUSED, "NoContext", "It does not take objects in this transfer syntax.")
    except OSError:
        return Answer(Verdict.REFUSED, "Vanished", "The object is not in its place any more.")
    if "Status" not in status:
        return Answer(Verdict.LATER, "NoAnswer", "It said nothing to the object.")
    return store_answer(int(status.Status))


def _read(path: Path) -> Any:
    from pydicom import dcmread

    return dcmread(path)


def _identifier(level: str, keys: Mapping[str, str]) -> Any:
    from pydicom.dataset import Dataset

    dataset = Dataset()
    dataset.QueryRetrieveLevel = level
    if any(not value.isascii() for value in keys.values()):
        dataset.SpecificCharacterSet = "ISO_IR 192"
    for name, value in keys.items():
        setattr(dataset, name, value or None)
    return dataset


def _status(status: Any) -> int:
    if "Status" not in status:
        raise PeerError("It broke off, or said nothing in time.", code="NoAnswer")
    return int(status.Status)


def _text(dataset: Any, keyword: str) -> str:
    with contextlib.suppress(Exception):  # a peer's answer may be anything
        return str(dataset.get(keyword, "") or "").strip()
    return ""


def _kind(path: Path) -> tuple[str, str] | None:
    """Return class and transfer syntax of an object of ours, None where the disk no longer has what was written."""
    from pydicom.filereader import read_file_meta_info

    try:
        meta = read_file_meta_info(path)
        return str(meta.MediaStorageSOPClassUID), str(meta.TransferSyntaxUID)
    except Exception:  # whatever became of the file, the others are sent
        return None
