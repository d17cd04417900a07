"""Values through a pipe between two processes of ours, arrays as raw bytes."""

from __future__ import annotations

import pickle
import struct
from typing import Any, BinaryIO

_NUMBER = struct.Struct("<Q")


def put(stream: BinaryIO, value: Any) -> None:
    """Write one value.

    Raises
    ------
    OSError
        Nobody reads any more.
    """
    buffers: list[pickle.PickleBuffer] = []
    packed = pickle.dumps(value, protocol=5, buffer_callback=buffers.append)
    parts = [memoryview(packed), *(buffer.raw() for buffer in buffers)]
    stream.write(_NUMBER.pack(len(parts)) + b"".join(_NUMBER.pack(part.nbytes) for part in parts))
    for part in parts:
        stream.write(part)
    stream.flush()


def take(stream: BinaryIO) -> Any:
    """Wait for one value and return it.

    Raises
    ------
    EOFError
        Nobody writes any more.
    """
    count = _number(stream)
    sizes = [_number(stream) for _ in range(count)]
    packed, *buffers = [_exactly(stream, size) for size in sizes]
    return pickle.loads(packed, buffers=buffers)


def _number(stream: BinaryIO) -> int:
    return int(_NUMBER.unpack(_exactly(stream, _NUMBER.size))[0])


def _exactly(stream: BinaryIO, size: int) -> bytearray:
    block = bytearray(size)
    if stream.readinto(block) != size:  # type: ignore[attr-defined]
        raise EOFError
    return block


__all__ = ["put", "take"]
