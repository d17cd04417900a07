"""Objects that a peer sends by C-STORE: from the socket to the disk, never whole in memory, never parsed."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from medcolor.pacs.guard import answered
from medcolor.pacs.query import is_uid
from medcolor.pacs.spool import PREAMBLE, Intake, SpoolError

OUT_OF_RESOURCES, NOT_UNDERSTOOD = 0xA700, 0xC000


class Landing:
    """Where objects are put while they come, for as long as this context lasts.

    Each association is told by itself (:meth:`receive`): pynetdicom's own way to stream to the disk is a setting of the
    whole process, and so is the folder that it streams to.

    Parameters
    ----------
    folder : Path
        Where they are until they are complete, on the disk where they will stay.
    choose : callable
        Gives the intake that a complete object goes to, by its event.
    """

    def __init__(self, folder: Path, choose: Callable[[Any], Intake]) -> None:
        self._where, self._choose = folder, choose
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self.refusal: SpoolError | None = None

    @classmethod
    def into(cls, intake: Intake) -> Landing:
        """Return a landing whose objects all go to one intake."""
        return cls(intake.folder, lambda _: intake)

    def __enter__(self) -> Landing:
        self._folder = tempfile.TemporaryDirectory(prefix="landing-", dir=self._where, ignore_cleanup_errors=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._folder is not None:
            self._folder.cleanup()

    def receive(self, association: Any) -> None:
        """Have the objects of an association, on which nothing came yet, put into files here as they come."""
        from pynetdicom.dimse_messages import C_STORE_RQ
        from pynetdicom.pdu_primitives import P_DATA

        assert self._folder is not None
        folder, dimse = self._folder.name, association.dimse
        take = dimse.receive_primitive

        def fragments(primitive: Any) -> None:
            for value in primitive.presentation_data_value_list:  # a file is opened between a command and its object
                one = P_DATA()
                one.presentation_data_value_list = []
                one.presentation_data_value_list.append(value)
                take(one)
                message = dimse.message
                if isinstance(message, C_STORE_RQ) and message._data_set_file is None:
                    _open_file(association, message, folder)

        dimse.receive_primitive = fragments

    def store(self, event: Any) -> int:
        """Take a complete object; the peer hears of success when it is on the disk."""
        try:
            return self._store(event)
        finally:
            answered(event)

    def _store(self, event: Any) -> int:
        path: Path = event.dataset_path
        with contextlib.suppress(AttributeError, OSError):
            event.request._dataset_file.close()
        try:
            if not is_uid(str(event.request.AffectedSOPInstanceUID)):
                return NOT_UNDERSTOOD
            self._choose(event).take(path)
        except SpoolError as error:
            self.refusal = self.refusal or error
            return OUT_OF_RESOURCES
        except OSError:
            self.refusal = self.refusal or SpoolError("WriteFailed", "The disk failed.")
            return OUT_OF_RESOURCES
        finally:
            path.unlink(missing_ok=True)
        return 0

    def sweep(self, seconds: float) -> None:
        """Remove what an association that broke off left, and nothing was written to for so long."""
        for path in Path(self._folder.name).glob("*.dcm") if self._folder is not None else ():
            with contextlib.suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > seconds:
                    path.unlink()

    def raise_refusal(self) -> None:
        """Raise what was refused, if anything was."""
        if self.refusal is not None:
            raise self.refusal


def _open_file(association: Any, message: Any, folder: str) -> None:
    """Give a C-STORE request a file for its object, as pynetdicom would; it writes to it, and the handler is told."""
    from pydicom.filewriter import write_file_meta_info
    from pynetdicom.dsutils import create_file_meta

    command, context = message.command_set, association._accepted_cx[message.context_id]
    meta = create_file_meta(
        sop_class_uid=command.AffectedSOPClassUID,
        sop_instance_uid=command.AffectedSOPInstanceUID,
        transfer_syntax=context.transfer_syntax[0],
    )
    file = tempfile.NamedTemporaryFile(mode="wb", suffix=".dcm", dir=folder, delete=False)  # noqa: SIM115
    message._data_set_file, message._data_set_path = file, Path(file.name)
    file.write(PREAMBLE)
    write_file_meta_info(file, meta)
