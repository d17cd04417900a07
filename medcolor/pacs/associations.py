"""Associations that we ask for: contexts, TLS, user, timeouts; refused ones in words that name nobody."""

from __future__ import annotations

import ipaddress
import socket
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from medcolor.errors import PeerError, SettingError
from medcolor.pacs.address import Address
from medcolor.pacs.credentials import client_tls, read_secret
from medcolor.pacs.guard import Caps, guard
from medcolor.pacs.landing import Landing

EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
UNCOMPRESSED = (EXPLICIT, IMPLICIT)
VERIFICATION = "1.2.840.10008.1.1"
FIND, MOVE, GET = (f"1.2.840.10008.5.1.4.1.2.2.{n}" for n in (1, 2, 3))
COMMITMENT = "1.2.840.10008.1.20.1"
_PDU = 1 << 17
_MESSAGE_SECONDS = 600.0  # one object over a slow line
_END_SECONDS = 2.0
_LASTING_REJECTION = 1
NO_TLS = "No TLS with it: its certificate, or ours, is not trusted; check ca=, cert= and key=, or whether it has TLS."


def application(calling: str, timeout: float) -> Any:
    """Return an application entity of ours.

    Raises
    ------
    SettingError
        The extra ``batch`` is not installed.
    """
    try:
        from pynetdicom import AE, _config
    except ImportError:
        raise SettingError('DIMSE needs the extra "batch": pip install "medcolor[batch]".') from None
    import medcolor
    from medcolor.io.dicom.uids import IMPLEMENTATION_CLASS_UID

    _config.LOG_HANDLER_LEVEL = "none"  # its handlers format whole data sets, even where nobody reads them
    _config.STORE_SEND_CHUNKED_DATASET = True  # files are sent from the disk, not through memory
    entity = AE(calling)
    entity.implementation_class_uid = IMPLEMENTATION_CLASS_UID
    entity.implementation_version_name = f"MEDCOLOR_{medcolor.__version__}"[:16]
    entity.acse_timeout = entity.connection_timeout = entity.network_timeout = timeout
    entity.dimse_timeout = max(timeout, _MESSAGE_SECONDS)
    entity.maximum_pdu_size = _PDU
    return entity


@contextmanager
def associated(
    address: Address,
    contexts: Sequence[str],
    *,
    stores: Sequence[str] = (),
    handlers: Sequence[tuple[Any, ...]] = (),
    landing: Landing | None = None,
    object_bytes: int = 0,
) -> Iterator[Any]:
    """Yield an association with a peer; it is released, or aborted where an error ends it.

    Parameters
    ----------
    address : Address
    contexts : sequence of str
        Abstract syntaxes that we use.
    stores : sequence of str
        Classes that the peer may store with us, on this association.
    handlers
        As pynetdicom takes them.
    landing : Landing, optional
        Where objects that the peer stores are put.
    object_bytes : int
        The largest object that the peer may store.

    Raises
    ------
    PeerError
        There is no such peer, or it refuses.
    """
    entity = application(address.calling, address.timeout)
    from pynetdicom import evt

    for uid in contexts:
        for syntax in UNCOMPRESSED:  # each by itself: a peer that takes both need not choose
            entity.add_requested_context(uid, syntax)
    negotiation = [*_roles(entity, stores), *_user(address)]
    tls = (client_tls(address), address.host) if address.encrypted else None
    sockets: list[Any] = []  # pynetdicom leaves one open whose peer went first

    def opened(event: Any) -> None:
        sockets.append(event.assoc.dul.socket.socket)
        guard(event.assoc, Caps(object_bytes=object_bytes, idle_seconds=address.timeout))
        if landing is not None:
            landing.receive(event.assoc)

    _knock(address, None if tls is None else tls[0])
    try:
        association = entity.associate(
            _resolved(address.host),
            address.port,
            ae_title=address.called,
            max_pdu=_PDU,
            ext_neg=negotiation,
            tls_args=tls,
            evt_handlers=[*handlers, (evt.EVT_CONN_OPEN, opened)],
        )
    except (OSError, RuntimeError, ValueError) as error:
        raise unreachable(error if isinstance(error, OSError) else OSError(), address.timeout) from None
    if not association.is_established:
        _close(association, sockets)
        raise _refused(association, address)
    try:
        yield association
        if association.is_established:
            association.release()
    finally:
        if association.is_established:
            association.abort()
        _close(association, sockets)


def _close(association: Any, sockets: list[Any]) -> None:
    """Close what pynetdicom leaves to the garbage collector: sockets, and the object that was on its way."""
    association.dul.join(_END_SECONDS)
    unfinished = getattr(association.dimse.message, "_data_set_file", None)
    for each in (*sockets, *([] if unfinished is None else [unfinished])):
        each.close()


def accepted(association: Any) -> dict[str, set[str]]:
    """Return the classes that the peer accepted, each with its transfer syntaxes."""
    found: dict[str, set[str]] = {}
    for context in association.accepted_contexts:
        found.setdefault(str(context.abstract_syntax), set()).update(str(uid) for uid in context.transfer_syntax)
    return found


def image_classes() -> list[str]:
    """Return the storage classes of images, as many as one association can offer beside a query."""
    from pynetdicom import StoragePresentationContexts

    classes = [uid for context in StoragePresentationContexts if (uid := context.abstract_syntax) is not None]
    return [str(uid) for uid in classes if "Image Storage" in uid.name][:120]


def _roles(entity: Any, stores: Sequence[str]) -> list[Any]:
    from pynetdicom import build_role

    for uid in stores:
        entity.add_requested_context(uid, list(UNCOMPRESSED))
    return [build_role(uid, scp_role=True) for uid in stores]


def _user(address: Address) -> list[Any]:
    if not address.user:
        return []
    from pynetdicom.pdu_primitives import UserIdentityNegotiation

    item = UserIdentityNegotiation()
    item.user_identity_type = 2 if address.password else 1
    item.primary_field = address.user.encode()
    if address.password:
        item.secondary_field = read_secret(address.password).encode()
    return [item]


def _knock(address: Address, tls: ssl.SSLContext | None) -> None:
    """See whether somebody is there: pynetdicom leaves a socket open that did not connect, and does not say why."""
    try:
        with socket.create_connection((address.host, address.port), address.timeout) as plain:
            if tls is not None:
                tls.wrap_socket(plain, server_hostname=address.host).close()
    except ssl.SSLError:
        raise PeerError(NO_TLS, code="Tls") from None
    except OSError as error:
        raise unreachable(error, address.timeout) from None


def unreachable(error: OSError, seconds: float) -> PeerError:
    """Say why nobody answers, and what to look at."""
    if isinstance(error, socket.gaierror):
        why = "this computer does not know its name; check the host in the address."
    elif isinstance(error, ConnectionRefusedError):
        why = "nothing listens at this host and port; check both, and whether it runs."
    elif isinstance(error, TimeoutError):
        why = f"no answer within {seconds:g} s; check host, port and firewall."
    else:
        why = "check host, port and network."
    return PeerError(f"It cannot be reached: {why}")


def _resolved(host: str) -> str:
    """Return what pynetdicom looks up itself, and "localhost" as the address that it has on every computer."""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return "127.0.0.1" if host == "localhost" else host


def _refused(association: Any, address: Address) -> PeerError:
    if association.is_rejected:
        said = association.acceptor.primitive
        lasting = getattr(said, "result", 0) == _LASTING_REJECTION
        reasons = {
            3: f"It does not know our AE title {address.calling}: have it entered there, or give calling=AE.",
            7: f"It is not called {address.called}: check the AE title in its address.",
        }
        known = reasons.get(getattr(said, "diagnostic", 0)) if getattr(said, "result_source", 0) == 1 else None
        other = f"It refuses the association: ask whether {address.calling} may connect from this computer."
        return PeerError(known or other, code="Rejected", lasting=lasting)
    if association.acceptor.primitive is not None:
        return PeerError("It accepts nothing of what is asked for.", code="NoContext", lasting=True)
    return PeerError("It cannot be reached, or does not answer as a DICOM application.")
