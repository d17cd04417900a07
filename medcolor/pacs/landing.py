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
from medcolor.pacs.spool import Intake, SpoolError

OUT_OF_RESOURCES, NOT_UNDERSTOOD = 0xA700, 0xC000


class Landing:
    """Where pynetdicom puts objects while they come, for as long as this context lasts.

    pynetdicom streams objects to the disk when it is told to, by settings of the whole process; one landing at a time.

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
        self._before: tuple[bool, str | None] = (False, None)
        self.refusal: SpoolError | None = None

    @classmethod
    def into(cls, intake: Intake) -> Landing:
        """Return a landing whose objects all go to one intake."""
        return cls(intake.folder, lambda _: intake)

    def __enter__(self) -> Landing:
        from pynetdicom import _config

        self._folder = tempfile.TemporaryDirectory(prefix="landing-", dir=self._where, ignore_cleanup_errors=True)
        self._before = (_config.STORE_RECV_CHUNKED_DATASET, tempfile.tempdir)
        _config.STORE_RECV_CHUNKED_DATASET, tempfile.tempdir = True, self._folder.name
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        from pynetdicom import _config

        _config.STORE_RECV_CHUNKED_DATASET, tempfile.tempdir = self._before
        if self._folder is not None:
            self._folder.cleanup()

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
