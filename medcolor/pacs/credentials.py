"""Secrets, read when they are needed from where an address says they are, and told to nobody."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

from medcolor.errors import SettingError
from medcolor.pacs.address import Address

_LONGEST = 1 << 16


def read_secret(place: str) -> str:
    """Return the secret at ``file:PATH`` or ``env:NAME``, without the line's end.

    Raises
    ------
    SettingError
        Nothing is there.
    """
    kind, _, name = place.partition(":")
    if kind == "env":
        secret = os.environ.get(name, "")
    else:
        try:
            with Path(name).expanduser().open(encoding="utf-8") as stream:
                secret = stream.read(_LONGEST)
        except (OSError, UnicodeDecodeError):
            raise SettingError(f"{name}: this file of a secret cannot be read.") from None
    secret = secret.rstrip("\r\n")
    if not secret or "\n" in secret:
        raise SettingError(f"{kind}:{name} holds no secret of one line.")
    return secret


def client_tls(address: Address) -> ssl.SSLContext:
    """Return how we speak TLS to a peer: its certificate and name are checked.

    Raises
    ------
    SettingError
        The files of certificates are not what they should be.
    """
    context = ssl.create_default_context(cafile=None if address.ca is None else str(address.ca))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if address.cert is not None:
        _load(context, address.cert, address.key)
    return context


def server_tls(cert: Path, key: Path | None, ca: Path | None) -> ssl.SSLContext:
    """Return how peers speak TLS to us; with ``ca`` only those that it vouches for.

    Raises
    ------
    SettingError
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _load(context, cert, key)
    if ca is not None:
        try:
            context.load_verify_locations(ca)
        except (OSError, ssl.SSLError):
            raise SettingError(f"{ca}: this is no file of certificates in PEM.") from None
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _load(context: ssl.SSLContext, cert: Path, key: Path | None) -> None:
    try:
        context.load_cert_chain(cert, key, password=_no_password)
    except (OSError, ssl.SSLError):
        raise SettingError(f"{cert}: certificate and key cannot be read, or do not belong together.") from None


def _no_password() -> str:
    """Refuse encrypted keys: nobody is there at night to be asked."""
    raise ssl.SSLError("the key is encrypted")
