"""Objects that a peer sends by C-STORE: from the socket to the disk, never whole in memory, never parsed."""

from __future__ import annotations

import contextlib
import tempfile
import threading
from pathlib import Path
from types import TracebackType
from typing import Any

from medcolor.pacs.query import is_uid
from medcolor.pacs.spool import Intake, SpoolError

OUT_OF_RESOURCES, NOT_UNDERSTOOD = 0xA700, 0xC000
_MARGIN = 1 << 16  # commands between objects


class Landing:
    """Where pynetdicom puts objects while they come, for as long as this context lasts.

    pynetdicom streams objects to the disk when it is told to, by settings of the whole process; one landing at a time.

    Parameters
    ----------
    intake : Intake
        Where they go once they are complete.
    """

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._before: tuple[bool, str | None] = (False, None)
        self._lock = threading.Lock()
        self._bytes = 0
        self.refusal: SpoolError | None = None

    def __enter__(self) -> Landing:
        from pynetdicom import _config

        self._folder = tempfile.TemporaryDirectory(
            prefix="landing-", dir=self._intake.folder, ignore_cleanup_errors=True
        )
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
        path: Path = event.dataset_path
        with contextlib.suppress(AttributeError, OSError):
            event.request._dataset_file.close()
        self._bytes = 0
        try:
            if not is_uid(str(event.request.AffectedSOPInstanceUID)):
                return NOT_UNDERSTOOD
            with self._lock:
                self._intake.take(path)
        except SpoolError as error:
            self.refusal = self.refusal or error
            return OUT_OF_RESOURCES
        except OSError:
            self.refusal = self.refusal or SpoolError("WriteFailed", "The disk failed.")
            return OUT_OF_RESOURCES
        finally:
            path.unlink(missing_ok=True)
        return 0

    def count(self, event: Any) -> None:
        """Count what comes; an object beyond the cap ends its association."""
        self._bytes += len(event.data)
        if self._bytes > self._intake.limits.object_bytes + _MARGIN:
            self.refusal = self.refusal or SpoolError("TooLarge", "An object is larger than what is taken.")
            event.assoc.abort()

    def raise_refusal(self) -> None:
        """Raise what was refused, if anything was."""
        if self.refusal is not None:
            raise self.refusal
