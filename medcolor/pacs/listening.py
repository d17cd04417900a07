"""Associations that others ask of us: a server of our own around pynetdicom's protocol, never its applications."""

from __future__ import annotations

import contextlib
import ssl
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from socketserver import BaseServer
from typing import Any

from medcolor.errors import PeerError, SettingError
from medcolor.pacs.address import ae_title
from medcolor.pacs.associations import COMMITMENT, UNCOMPRESSED, VERIFICATION, application, image_classes
from medcolor.pacs.guard import Caps, always, guard
from medcolor.pacs.landing import Landing

_SYNTAXES = (
    *UNCOMPRESSED,
    *(f"1.2.840.10008.1.2.4.{n}" for n in (50, 51, 57, 70, 80, 81, 90, 91, 201, 202, 203)),
    "1.2.840.10008.1.2.5",
)
_POLL = 0.1


@dataclass(slots=True)
class Listener:
    """Listens for associations while this context lasts.

    Parameters
    ----------
    host, port
        Where; port 0 takes a free one, which ``port`` is afterwards.
    title : str
        Our AE title: others are refused.
    allowed : sequence of str
        AE titles that may call.
    handlers
        As pynetdicom takes them.
    caps : Caps
    tls : SSLContext, optional
    room : callable
        Whether there is room on the disk at all; asked while objects come.
    landing : Landing, optional
        Where objects are put while they come; without one they stay in memory.
    """

    host: str
    port: int
    title: str
    allowed: Sequence[str]
    handlers: Sequence[tuple[Any, ...]]
    caps: Caps = field(default_factory=Caps)
    tls: ssl.SSLContext | None = None
    room: Callable[[], bool] = always
    landing: Landing | None = None
    _server: Any = None
    _thread: threading.Thread | None = None

    def __enter__(self) -> Listener:
        if not self.allowed:
            raise SettingError("Say which AE titles may call; nobody is let in by default.")
        entity = application(ae_title(self.title), self.caps.idle_seconds)
        entity.acse_timeout = self.caps.acse_seconds
        entity.maximum_associations = self.caps.connections
        entity.require_calling_aet = [ae_title(title) for title in self.allowed]
        entity.require_called_aet = True
        entity.add_supported_context(VERIFICATION, list(UNCOMPRESSED))
        entity.add_supported_context(COMMITMENT, list(UNCOMPRESSED), scu_role=True, scp_role=True)
        for uid in image_classes():
            entity.add_supported_context(uid, list(_SYNTAXES))
        try:
            server_class, handler = _guarded(self.caps, self.room, self.landing)
            self._server = entity.make_server(
                (self.host, self.port),
                ssl_context=self.tls,
                evt_handlers=list(self.handlers),
                server_class=server_class,
                request_handler=handler,
            )
        except OSError:
            raise PeerError(f"{self.host}:{self.port}: this address is taken, or is not ours to listen on.") from None
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(_POLL,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close_door()
        for association in self.associations:
            with contextlib.suppress(Exception):
                association.abort()

    def close_door(self) -> None:
        """Take no more associations; those that are open go on."""
        if self._thread is None:
            return
        BaseServer.shutdown(self._server)
        self._thread.join()
        self._server.server_close()
        self._thread = None

    @property
    def associations(self) -> list[Any]:
        """Associations and connections that are open."""
        return list(self._server.active_associations)

    @property
    def turned_away(self) -> int:
        """Connections beyond the caps, so far."""
        return int(self._server.turned_away)


def _guarded(caps: Caps, room: Callable[[], bool], landing: Landing | None) -> tuple[type, type]:
    """Return pynetdicom's server with a limit on connections, and its handler with a guard before each of them."""
    from pynetdicom.transport import AssociationServer, RequestHandler

    class GuardedHandler(RequestHandler):
        def _create_association(self) -> Any:
            association = super()._create_association()
            guard(association, caps, room)
            if landing is not None:
                landing.receive(association)
            return association

    class GuardedServer(AssociationServer):
        request_queue_size = 128
        turned_away = 0

        def get_request(self) -> tuple[Any, Any]:
            """Accept; the handshake of TLS is left to the association's own thread, where it holds up nobody."""
            assert self.socket is not None
            request, address = self.socket.accept()
            request.settimeout(caps.idle_seconds)
            if self.ssl_context:
                request = self.ssl_context.wrap_socket(request, server_side=True, do_handshake_on_connect=False)
            return request, address

        def verify_request(self, request: Any, client_address: Any) -> bool:
            """Say whether there is room for another connection, from anywhere and from there."""
            peers = [association.requestor.address_info for association in self.active_associations]
            hosts = [peer.address for peer in peers if peer is not None]
            allowed = len(hosts) < caps.connections and hosts.count(client_address[0]) < caps.per_host
            self.turned_away += not allowed
            return allowed

        def handle_error(self, request: Any, client_address: Any) -> None:
            """Say nothing: the library's words quote the peer's."""

    return GuardedServer, GuardedHandler
