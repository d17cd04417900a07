"""What a node does with what it is sent, in YAML: who may send, what becomes of it, where it goes."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from medcolor.batch.settings import BatchSettings
from medcolor.errors import SettingError
from medcolor.pacs import Address, Schedule
from medcolor.pacs.address import ae_title

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,30}")
_SPAN = re.compile(r"(\d{1,6})\s*([smhd])")
_SIZE = re.compile(r"(\d{1,6})\s*(MiB|GiB|TiB)")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_BYTES = {"MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
_SETTINGS = (
    "colorizer",
    "to",
    "palette",
    "strength",
    "cvd",
    "fade",
    "window",
    "modality",
    "burn_in",
    "device",
    "trust",
)
_PATTERN_LENGTH = 200


@dataclass(frozen=True, slots=True)
class Rule:
    """What becomes of a series; the first rule that fits counts.

    Parameters
    ----------
    name : str
        Lower-case letters, digits, hyphens: its folder, and its label in metrics.
    send : str
        The destination's address.
    senders : tuple of str
        AE titles that it is for; all where empty.
    modalities : tuple of str
        DICOM codes that it is for; all where empty.
    description : str
        A regular expression that must be found in the description of the series or of the study.
    settings : BatchSettings
    """

    name: str
    send: str
    senders: tuple[str, ...] = ()
    modalities: tuple[str, ...] = ()
    description: str = ""
    settings: BatchSettings = field(default_factory=lambda: BatchSettings(to="dicom"))


@dataclass(frozen=True, slots=True)
class Tls:
    """Certificate and key of the node; with ``ca`` only senders that it vouches for are let in."""

    cert: Path
    key: Path | None = None
    ca: Path | None = None


@dataclass(frozen=True, slots=True)
class NodeConfig:
    """All of a node's configuration.

    Parameters
    ----------
    rules : tuple of Rule
    allow : tuple of str
        AE titles that may send.
    title : str
    host, port
        Loopback unless told otherwise.
    tls : Tls or None
    quiet_seconds : float
        A series is complete when nothing came for it for so long.
    keep_seconds : float
        Originals and sent objects stay for so long, so that stragglers find their series.
    free_bytes : int
        Below so much free disk senders are told 0xA700.
    object_bytes : int
    connections, per_host : int
    memory : int
        Bytes that a child process may have.
    seconds : float
        Seconds that a series may take.
    workers : int
    schedule : Schedule
    """

    rules: tuple[Rule, ...]
    allow: tuple[str, ...]
    title: str = "MEDCOLOR"
    host: str = "127.0.0.1"
    port: int = 11112
    tls: Tls | None = None
    quiet_seconds: float = 30.0
    keep_seconds: float = 86400.0
    free_bytes: int = 5 << 30
    object_bytes: int = 2 << 30
    connections: int = 50
    per_host: int = 20
    memory: int = 4 << 30
    seconds: float = 1800.0
    workers: int = 1
    schedule: Schedule = field(default_factory=Schedule)


def read_config(path: Path) -> NodeConfig:
    """Read a node's configuration.

    Raises
    ------
    FileNotFoundError
    SettingError
        What is wrong, and where.
    """
    import yaml

    try:
        record = yaml.safe_load(path.read_text("utf-8"))
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: there is no such file of rules.") from None
    except OSError as error:
        raise SettingError(f"{path}: this file of rules cannot be read ({error.strerror}).") from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise SettingError(f"{path}: this is no YAML in UTF-8.") from None
    try:
        return _config(record)
    except SettingError as error:
        raise SettingError(f"{path}: {error}") from None


def _config(record: Any) -> NodeConfig:
    given = _mapping(record, "the file")
    rules = given.pop("rules", None)
    if not isinstance(rules, list) or not rules:
        raise SettingError('"rules" is a list of at least one rule.')
    found = tuple(_rule(rule, number) for number, rule in enumerate(rules, 1))
    if len({rule.name for rule in found}) < len(found):
        raise SettingError("Two rules have the same name.")
    options: dict[str, Any] = {"rules": found, "allow": _titles(given.pop("allow", None), "allow")}
    if not options["allow"]:
        raise SettingError('"allow" lists the AE titles that may send; nobody may by default.')
    strangers = {title for rule in found for title in rule.senders} - set(options["allow"])
    if strangers:
        raise SettingError(f'A rule is for AE titles that "allow" does not list: {", ".join(sorted(strangers))}.')
    for name, value in given.items():
        if name not in _READ:
            raise SettingError(f'"{name}" is no setting of a node. Settings: rules, allow, {", ".join(_READ)}.')
        options |= _READ[name](value)
    return NodeConfig(**options)


def _rule(record: Any, number: int) -> Rule:
    where = f"rule {number}"
    given = _mapping(record, where)
    name, send = str(given.pop("name", "")), given.pop("send", None)
    if not _NAME.fullmatch(name):
        raise SettingError(f"{where}: its name has lower-case letters, digits and hyphens, 31 at most.")
    if not isinstance(send, str):
        raise SettingError(f'rule "{name}": "send" is the address of its destination.')
    description = str(given.pop("description", ""))
    try:
        re.compile(description)
    except re.error:
        description = "(" * _PATTERN_LENGTH
    if len(description) >= _PATTERN_LENGTH:
        raise SettingError(f'rule "{name}": its description is no regular expression, or a very long one.')
    senders, modalities = _titles(given.pop("from", []), f'rule "{name}": from'), given.pop("modality", [])
    codes = tuple(str(code).upper() for code in (modalities if isinstance(modalities, list) else [modalities]))
    unknown = given.keys() - set(_SETTINGS)
    if unknown:
        raise SettingError(f'rule "{name}": unknown: {", ".join(sorted(map(str, unknown)))}.')
    settings = BatchSettings(**{"to": "dicom"} | given)
    if settings.to not in {"dicom", "dicom-multiframe", "seg", "presentation"}:
        raise SettingError(f'rule "{name}": a PACS takes DICOM objects; "to" is dicom, dicom-multiframe, seg, ...')
    return Rule(name, str(Address.parse(send)), senders, codes, description, settings)


def _mapping(record: Any, where: str) -> dict[str, Any]:
    if not isinstance(record, dict):
        raise SettingError(f"{where}: this is no mapping of names to values.")
    return dict(record)


def _titles(value: Any, where: str) -> tuple[str, ...]:
    titles = value if isinstance(value, list) else [] if value is None else [value]
    try:
        return tuple(ae_title(str(title)) for title in titles)
    except SettingError as error:
        raise SettingError(f"{where}: {error}") from None


def _listen(value: Any) -> dict[str, Any]:
    host, _, port = str(value).rpartition(":")
    if not port.isdigit() or int(port) > 65535 or not host:
        raise SettingError('"listen" is HOST:PORT, such as 127.0.0.1:11112.')
    return {"host": host.strip("[]"), "port": int(port)}


def _span(value: Any) -> float:
    found = _SPAN.fullmatch(str(value))
    if found is None:
        raise SettingError("A time is written like 30s, 10m, 24h, 7d.")
    return float(int(found[1]) * _SECONDS[found[2]])


def _size(value: Any) -> int:
    found = _SIZE.fullmatch(str(value))
    if found is None:
        raise SettingError("A size is written like 500MiB, 5GiB.")
    return int(found[1]) * _BYTES[found[2]]


def _count(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise SettingError("A number of connections or workers is 1 or more.")
    return value


def _tls(value: Any) -> dict[str, Any]:
    given = _mapping(value, "tls")
    if "cert" not in given or not given.keys() <= {each.name for each in fields(Tls)}:
        raise SettingError('"tls" has cert, and if wanted key and ca: files in PEM.')
    return {"tls": Tls(**{name: Path(str(path)) for name, path in given.items()})}


_READ: dict[str, Callable[[Any], dict[str, Any]]] = {
    "title": lambda value: {"title": ae_title(str(value))},
    "listen": _listen,
    "tls": _tls,
    "quiet": lambda value: {"quiet_seconds": _span(value)},
    "keep": lambda value: {"keep_seconds": _span(value)},
    "free": lambda value: {"free_bytes": _size(value)},
    "object": lambda value: {"object_bytes": _size(value)},
    "connections": lambda value: {"connections": _count(value)},
    "per_host": lambda value: {"per_host": _count(value)},
    "memory": lambda value: {"memory": _size(value)},
    "timeout": lambda value: {"seconds": _span(value)},
    "workers": lambda value: {"workers": _count(value)},
    "retries": lambda value: {"schedule": Schedule(str(value))},
}
