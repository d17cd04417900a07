"""Where a peer is and how to speak to it, in one line: ``dicomweb+https://host/dicom-web``, ``dimse://AE@host:104``.

Secrets are never part of it: ``password=file:PATH`` and ``token=env:NAME`` say where they are.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

from medcolor.errors import SettingError

SCHEMES = ("dicomweb+https", "dicomweb+http", "dimse", "dimse+tls")
_EXAMPLES = "dicomweb+https://HOST/PATH or dimse://AE@HOST:PORT"
_AE = re.compile(r"[\x21-\x5b\x5d-\x7e](?:[\x20-\x5b\x5d-\x7e]{0,14}[\x21-\x5b\x5d-\x7e])?")
_OPTIONS = {
    "dicomweb": ("ca", "cert", "key", "user", "password", "token", "timeout"),
    "dimse": ("ca", "cert", "key", "user", "password", "timeout", "calling", "move", "commit"),
}
_TIMEOUT = 30.0  # seconds without a word from the peer


@dataclass(frozen=True, slots=True)
class Address:
    """A peer.

    Parameters
    ----------
    scheme : str
        One of :data:`SCHEMES`.
    host : str
    port : int
    path : str
        DICOMweb: the service's root on its host.
    called, calling : str
        DIMSE: AE titles of the peer and of ourselves.
    ca, cert, key : Path or None
        TLS: authorities to trust instead of the system's, and who we are, in PEM.
    user, password, token : str
        A name; and where the secret is, as ``file:PATH`` or ``env:NAME``.
    timeout : float
        Seconds to wait for the peer's next word.
    move : int
        DIMSE: retrieve with C-MOVE to this port of ours; 0: with C-GET.
    commit : int
        DIMSE: ask for storage commitment, and await the answer on this port; 0: do not ask.
    """

    scheme: str
    host: str
    port: int
    path: str = ""
    called: str = ""
    calling: str = "MEDCOLOR"
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    user: str = ""
    password: str = ""
    token: str = ""
    timeout: float = _TIMEOUT
    move: int = 0
    commit: int = 0

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read an address.

        Raises
        ------
        SettingError
            What is wrong with it; its text is not repeated, in case a secret is part of it.
        """
        parts = urlsplit(text.strip())
        if parts.scheme not in SCHEMES or not parts.hostname:
            raise SettingError(
                f"This is no address of a peer: it begins with one of {', '.join(SCHEMES)}. {_EXAMPLES}."
            )
        if parts.password is not None:
            raise SettingError("A password does not belong into an address; write user=NAME&password=file:PATH.")
        web = parts.scheme.startswith("dicomweb")
        try:
            port = parts.port or (0 if not web else 443 if parts.scheme.endswith("https") else 80)
        except ValueError:
            raise SettingError("The port of this address is no number from 1 to 65535.") from None
        if web and parts.username is not None:
            raise SettingError("A user does not stand before the host; write user=NAME in the query part.")
        if not web and (not parts.username or not port):
            raise SettingError(f"A DIMSE address names the peer's AE title and port: {_EXAMPLES}.")
        options = _options(parts.query, "dicomweb" if web else "dimse")
        address = cls(
            parts.scheme,
            parts.hostname,
            port,
            parts.path.rstrip("/") if web else "",
            "" if web else ae_title(parts.netloc.rpartition("@")[0]),
            **options,  # type: ignore[arg-type]
        )
        address._check()
        return address

    @property
    def web(self) -> bool:
        """Whether it is DICOMweb."""
        return self.scheme.startswith("dicomweb")

    @property
    def encrypted(self) -> bool:
        """Whether it is TLS."""
        return self.scheme in {"dicomweb+https", "dimse+tls"}

    @property
    def url(self) -> str:
        """DICOMweb's root."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme.partition('+')[2]}://{host}:{self.port}{self.path}"

    @property
    def label(self) -> str:
        """What it is called wherever people read."""
        return f"{self.scheme}://{self.called + '@' if self.called else ''}{self.host}:{self.port}{self.path}"

    def __str__(self) -> str:
        """Return the whole address, which :meth:`parse` reads; it holds no secret."""
        named = {name: getattr(self, name) for name in _OPTIONS["dicomweb" if self.web else "dimse"]}
        plain = Address(self.scheme, self.host, self.port)
        given = {name: str(value) for name, value in named.items() if value != getattr(plain, name)}
        return self.label + (f"?{urlencode(given)}" if given else "")

    def _check(self) -> None:
        if (self.ca or self.cert or self.key) and not self.encrypted:
            raise SettingError("ca, cert and key belong to TLS: use dicomweb+https or dimse+tls.")
        if self.key and not self.cert:
            raise SettingError("A key belongs to a certificate: give cert=PATH too.")
        if self.password and not self.user:
            raise SettingError("A password belongs to a user: give user=NAME too.")
        if self.user and self.token:
            raise SettingError("Give a user with a password, or a token, not both.")
        if (self.password or self.token) and not self.encrypted and not is_loopback(self.host):
            raise SettingError("A password or token is not sent in the clear: use dicomweb+https or dimse+tls.")
        for path in (self.ca, self.cert, self.key):
            if path is not None and not path.is_file():
                raise SettingError(f"{path}: there is no such file of certificates or keys.")


def ae_title(text: str) -> str:
    """Return an AE title if it is one: 1 to 16 printable characters without a backslash.

    Raises
    ------
    SettingError
    """
    if not _AE.fullmatch(text):
        raise SettingError("An AE title has 1 to 16 printable ASCII characters and no backslash.")
    return text


def is_loopback(host: str) -> bool:
    """Whether a host is this computer."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _options(query: str, kind: str) -> dict[str, object]:
    options: dict[str, object] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in _OPTIONS[kind] or name in options or not value:
            known = ", ".join(_OPTIONS[kind])
            raise SettingError(f'"{name}" is no option of this address, or is empty or given twice. Options: {known}.')
        options[name] = _option(name, value)
    return options


def _option(name: str, value: str) -> object:
    if name in {"ca", "cert", "key"}:
        return Path(value).expanduser().absolute()
    if name in {"password", "token"}:
        kind, _, place = value.partition(":")
        if kind not in {"file", "env"} or not place:
            raise SettingError(f"{name} says where the secret is, not what it is: {name}=file:PATH or {name}=env:NAME.")
        return f"file:{Path(place).expanduser().absolute()}" if kind == "file" else value
    if name == "calling":
        return ae_title(value)
    if name in {"timeout", "move", "commit"}:
        try:
            number = float(value) if name == "timeout" else int(value)
        except ValueError:
            number = 0
        if not 0 < number < 65536:
            raise SettingError(
                f"{name} is a number above 0{' of seconds' if name == 'timeout' else ': a port of ours'}."
            )
        return number
    return value
