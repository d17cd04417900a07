"""Other systems' archives: asked, read from and written to over DICOMweb and DIMSE; and an outbox that never forgets.

``Address`` names a peer and how to reach it; ``open_peer`` gives what can be done there; ``Outbox`` keeps what has to
be sent until the peer has said that it has it; ``listening.Listener`` receives. Nothing here knows colours. What comes
from a peer is kept as bytes under names of our own and never decoded here; nothing of it reaches a message or a log.
"""

from __future__ import annotations

from medcolor.pacs.address import Address
from medcolor.pacs.opening import open_peer
from medcolor.pacs.outbox import Outbox
from medcolor.pacs.peer import Peer
from medcolor.pacs.schedule import Schedule

__all__ = ["Address", "Outbox", "Peer", "Schedule", "open_peer"]
