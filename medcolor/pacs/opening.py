"""From an address to a peer: the one place that knows which protocols there are."""

from __future__ import annotations

import logging

from medcolor.pacs.address import Address
from medcolor.pacs.peer import Peer


def open_peer(address: Address | str) -> Peer:
    """Return the peer at an address; nothing is sent yet.

    Raises
    ------
    SettingError
        An address that cannot be; the extra ``batch`` is not installed.
    """
    found = Address.parse(address) if isinstance(address, str) else address
    silence()
    if found.web:
        from medcolor.pacs.dicomweb import DicomWebPeer

        return DicomWebPeer(found)
    from medcolor.pacs.dimse import DimsePeer

    return DimsePeer(found)


def silence() -> None:
    """Keep the libraries' logs to themselves: they quote addresses with UIDs, and whole data sets."""
    for name in ("pynetdicom", "dicomweb_client", "retrying", "urllib3", "requests"):
        logger = logging.getLogger(name)
        logger.propagate = False
        logger.handlers[:] = [logging.NullHandler()]
        logger.setLevel(logging.CRITICAL)
