"""Where objects from a peer are kept: written as bytes, under names of our own, on the disk before anybody is told."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from medcolor.errors import MedcolorError
from medcolor.io.atomic import sync_folder

PREAMBLE = b"\0" * 128 + b"DICM"


@dataclass(frozen=True, slots=True)
class Limits:
    """What may be taken from a peer.

    Parameters
    ----------
    object_bytes : int
        One object.
    objects : int
        One series.
    free_bytes : int
        What must stay free on the disk.
    """

    object_bytes: int = 2 << 30
    objects: int = 20_000
    free_bytes: int = 1 << 30


class SpoolError(MedcolorError, OSError):
    """Something is not taken: too large, too many, or the disk is too full; ``code`` says which."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


@dataclass(slots=True)
class Intake:
    """A private folder that objects stream into.

    Parameters
    ----------
    folder : Path
        Made if needed; only its owner can look into it.
    limits : Limits
    """

    folder: Path
    limits: Limits = field(default_factory=Limits)
    count: int = 0

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def check_room(self) -> None:
        """Raise SpoolError where there is no room for another object."""
        if self.count >= self.limits.objects:
            raise SpoolError("TooMany", f"More than {self.limits.objects} objects in one series.")
        if shutil.disk_usage(self.folder).free < self.limits.free_bytes:
            raise SpoolError("NoSpace", "The disk is nearly full; nothing more is taken.")

    @contextmanager
    def open(self) -> Iterator[CappedFile]:
        """Yield a stream for one object; it is on the disk afterwards, or it is not there."""
        self.check_room()
        part = self.folder / f"{secrets.token_hex(8)}.part"
        try:
            with part.open("xb") as stream:
                yield CappedFile(stream, self.limits.object_bytes)
                stream.flush()
                os.fsync(stream.fileno())
            self._keep(part)
        finally:
            part.unlink(missing_ok=True)

    def take(self, part: Path) -> Path:
        """Take over a file that is complete, on the same disk; on the disk when this returns."""
        self.check_room()
        descriptor = os.open(part, os.O_RDWR)
        try:
            if os.fstat(descriptor).st_size > self.limits.object_bytes:
                raise SpoolError("TooLarge", "An object is larger than what is taken.")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        return self._keep(part)

    def _keep(self, part: Path) -> Path:
        target = self.folder / f"{secrets.token_hex(16)}.dcm"
        part.replace(target)
        sync_folder(self.folder)
        self.count += 1
        return target


class CappedFile:
    """A stream that refuses to grow beyond a cap."""

    def __init__(self, stream: BinaryIO, cap: int) -> None:
        self._stream, self._cap, self.size = stream, cap, 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Write, or raise SpoolError."""
        self.size += len(data)
        if self.size > self._cap:
            raise SpoolError("TooLarge", "An object is larger than what is taken.")
        self._stream.write(data)
