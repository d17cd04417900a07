"""C-MOVE: a peer told to send a series to a port of ours."""

from __future__ import annotations

from typing import Any

from medcolor.errors import PeerError
from medcolor.pacs.address import Address, is_loopback
from medcolor.pacs.associations import MOVE, associated
from medcolor.pacs.guard import Caps
from medcolor.pacs.landing import Landing
from medcolor.pacs.listening import Listener
from medcolor.pacs.spool import Intake

_PENDING = 0xFF00
_UNKNOWN_DESTINATION = 0xA801


def fetch_by_move(address: Address, identifier: Any, intake: Intake) -> None:
    """Have a series sent into ``intake`` by an association that the peer asks of us.

    Raises
    ------
    PeerError
        The peer does not know us as a destination, or does not send all.
    SpoolError
        An object is not taken.
    """
    from pynetdicom import evt

    with Landing.into(intake) as landing:
        caps = Caps(object_bytes=intake.limits.object_bytes, idle_seconds=address.timeout)
        here = "127.0.0.1" if is_loopback(address.host) else ""
        stores = [(evt.EVT_C_STORE, landing.store)]
        with (
            Listener(here, address.move, address.calling, [address.called], stores, caps, landing=landing),
            associated(address, [MOVE]) as association,
        ):
            code = _PENDING
            for status, _ in association.send_c_move(identifier, address.calling, MOVE):
                code = int(status.Status) if "Status" in status else -1
        landing.raise_refusal()
    if code == _UNKNOWN_DESTINATION:
        raise PeerError(f"It does not know {address.calling} as a destination.", code="0xA801", lasting=True)
    if code:
        raise PeerError("It did not send all of the series.", code="NoAnswer" if code < 0 else f"0x{code:04X}")
