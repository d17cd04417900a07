"""What a peer may do to a socket of ours: pynetdicom itself reads a PDU of any length and waits for one for ever."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_P_DATA = 4
_STORE_REQUEST, _RESPONSE = 0x0001, 0x8000
_COMMAND_BYTES = 1 << 16
_MESSAGE_BYTES = 1 << 22  # a data set that is no object: a report of storage commitment
_PIPELINED = 4  # requests that came before the first was answered; nobody was offered more than one
_BLOCK = 1 << 16
_ROOM_EVERY = 1 << 24


@dataclass(frozen=True, slots=True)
class Caps:
    """What peers may take.

    Parameters
    ----------
    pdu : int
        Bytes of one PDU.
    object_bytes : int
    acse_seconds : float
        From connecting to asking for an association.
    idle_seconds : float
        Without a word, and for one PDU from its first byte to its last.
    connections, per_host : int
        At a time, in all and from one computer.
    """

    pdu: int = 1 << 20
    object_bytes: int = 2 << 30
    acse_seconds: float = 5.0
    idle_seconds: float = 30.0
    connections: int = 50
    per_host: int = 20


class Guard:
    """Reads for one association in pynetdicom's place.

    Parameters
    ----------
    socket : AssociationSocket
    caps : Caps
    room : callable
        Whether there is room on the disk at all.
    """

    def __init__(self, socket: Any, caps: Caps, room: Callable[[], bool]) -> None:
        self._socket, self._caps, self._room = socket, caps, room
        self._header: bytes | None = None
        self._command = bytearray()
        self._data = self._checked = 0
        self._data_cap = _MESSAGE_BYTES
        self._open_requests = 0
        self.too_large = False
        socket.recv = self.recv

    def answered(self) -> None:
        """Note that a request was answered."""
        self._open_requests -= 1

    def recv(self, length: int) -> bytearray:
        """Read so many bytes, or fewer where the peer goes; in time and within the caps, or the connection ends."""
        if length > self._caps.pdu:
            self._end()
        data = self._read(length)
        if self._header is None:
            self._header = bytes(data)
        else:
            if self._header[:1] == bytes([_P_DATA]):
                self._weigh(data)
            self._header = None
        return data

    def _read(self, length: int) -> bytearray:
        raw, data = self._socket.socket, bytearray()
        until = time.monotonic() + self._caps.idle_seconds
        try:
            while len(data) < length:
                left = until - time.monotonic()
                if left <= 0:
                    self._end()
                raw.settimeout(left)
                block = raw.recv(min(_BLOCK, length - len(data)))
                if not block:
                    break
                data += block
        finally:
            raw.settimeout(self._caps.idle_seconds)
        return data

    def _weigh(self, data: bytearray) -> None:
        """Follow messages through their fragments (PS3.8 9.3.5.1 and E.2)."""
        at = 0
        while at + 6 <= len(data):
            (length,) = struct.unpack_from(">L", data, at)
            header, body = data[at + 5], data[at + 6 : at + 4 + length]
            if header & 1:
                self._command += body
                if len(self._command) > _COMMAND_BYTES:
                    self._end()
                if header & 2:
                    self._begin()
            else:
                self._data += len(body)
                if self._data > self._data_cap or not self._has_room():
                    self.too_large = self._data > self._data_cap
                    self._end()
            at += 4 + length

    def _begin(self) -> None:
        field = _command_field(bytes(self._command))
        self._command.clear()
        self._data = self._checked = 0
        self._data_cap = self._caps.object_bytes if field == _STORE_REQUEST else _MESSAGE_BYTES
        if not field & _RESPONSE:
            self._open_requests += 1
            if self._open_requests > _PIPELINED:
                self._end()

    def _has_room(self) -> bool:
        if self._data - self._checked < _ROOM_EVERY:
            return True
        self._checked = self._data
        return self._room()

    def _end(self) -> None:
        self._socket._shutdown_socket()
        raise ConnectionAbortedError("beyond a cap")


def always() -> bool:
    """Say that there is room: where nothing is received that would need it."""
    return True


def guard(association: Any, caps: Caps, room: Callable[[], bool] = always) -> Guard:
    """Put a guard before an association; :func:`answered` finds it."""
    association.medcolor_guard = Guard(association.dul.socket, caps, room)
    return association.medcolor_guard


def answered(event: Any) -> None:
    """Tell the guard of an association that a request of it was answered."""
    event.assoc.medcolor_guard.answered()


def _command_field(command: bytes) -> int:
    """Return (0000,0100) of a command set in implicit VR little endian; 0 where there is none."""
    at = 0
    while at + 8 <= len(command):
        group, element, length = struct.unpack_from("<HHL", command, at)
        if (group, element) == (0, 0x0100) and length == 2 and at + 10 <= len(command):
            return int(struct.unpack_from("<H", command, at + 8)[0])
        at += 8 + length
    return 0
