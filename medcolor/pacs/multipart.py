"""multipart/related as DICOMweb uses it, streamed both ways: memory does not grow with the objects."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

_HEAD = 1 << 16  # bytes of one part's header lines
_BLOCK = 1 << 20
_BOUNDARY = re.compile(r"""boundary\s*=\s*(?:"([^"]{1,256})"|([^\s;]{1,256}))""", re.IGNORECASE)


class Sink(Protocol):
    """Takes the bytes of one part."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Take some of them."""
        ...


class MultipartError(ValueError):
    """The message is not what it says it is, or is cut off."""


def boundary_of(content_type: str) -> bytes:
    """Return the boundary that a Content-Type names.

    Raises
    ------
    MultipartError
    """
    found = _BOUNDARY.search(content_type)
    if found is None or not content_type.lower().startswith("multipart/related"):
        raise MultipartError("no multipart/related message with a boundary")
    return (found[1] or found[2]).encode("latin-1", "replace")


def read_parts(chunks: Iterator[bytes], boundary: bytes, sink: Callable[[], AbstractContextManager[Sink]]) -> int:
    """Write each part of a message to a sink of its own; return their number.

    Raises
    ------
    MultipartError
        The message is cut off, or is none.
    """
    stream, line = _Stream(chunks), b"--" + boundary
    stream.drop_through(line, _HEAD)
    count = 0
    while not stream.ends():
        stream.drop_through(b"\r\n\r\n", _HEAD)
        with sink() as target:
            stream.copy_until(b"\r\n" + line, target)
        count += 1
    return count


class _Stream:
    """Bytes that come in chunks, as one text to look for things in."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks, self._data = chunks, bytearray()

    def _more(self) -> None:
        chunk = next(self._chunks, b"")
        while chunk == b"":
            try:
                chunk = next(self._chunks)
            except StopIteration:
                raise MultipartError("the message is cut off") from None
        self._data += chunk

    def ends(self) -> bool:
        """Whether the boundary just passed was the last one."""
        while len(self._data) < 2:
            self._more()
        return self._data[:2] == b"--"

    def drop_through(self, mark: bytes, longest: int) -> None:
        """Go to behind ``mark``."""
        while (at := self._data.find(mark)) < 0:
            if len(self._data) > longest:
                raise MultipartError("a part's header is too long")
            self._more()
        del self._data[: at + len(mark)]

    def copy_until(self, mark: bytes, target: Sink) -> None:
        """Write everything before ``mark``, and go to behind it."""
        while (at := self._data.find(mark)) < 0:
            keep = len(mark) - 1
            target.write(self._data[:-keep])
            del self._data[:-keep]
            self._more()
        target.write(self._data[:at])
        del self._data[: at + len(mark)]


class OneFile:
    """The message that stores one file: an iterable with a length, read from the disk block by block.

    Parameters
    ----------
    path : Path
    """

    def __init__(self, path: Path) -> None:
        boundary = secrets.token_hex(16)
        self._path = path
        self._head = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()
        self._tail = f"\r\n--{boundary}--\r\n".encode()
        self.content_type = f'multipart/related; type="application/dicom"; boundary={boundary}'
        self._size = len(self._head) + path.stat().st_size + len(self._tail)

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[bytes]:
        yield self._head
        with self._path.open("rb") as stream:
            while block := stream.read(_BLOCK):
                yield block
        yield self._tail
