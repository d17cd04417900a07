"""Which rule an object falls under and which series it belongs to: found out in a child process, told in hashes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from medcolor.batch.naming import NAME
from medcolor.errors import MedcolorError
from medcolor.io.isolated import Isolated
from medcolor.node.rules import Rule

_SECONDS = 120.0
_FITS = ("name", "senders", "modalities", "description")
_DESCRIBED = ("SeriesDescription", "StudyDescription", "ProtocolName")
LATER = "later"
Route = tuple[str, str]
"""Name of the rule, "" for none; name of the series, or a word: unreadable, no-scan, later (the disk failed)."""


def route_files(folder: Path, names: Sequence[str], sender: str, rules: Sequence[Rule], memory: int) -> list[Route]:
    """Return where each file belongs; one that ends the child is found by halving, and falls under no rule.

    Parameters
    ----------
    folder : Path
    names : sequence of str
        Files in it.
    sender : str
        AE title.
    rules : sequence of Rule
    memory : int
        Bytes that the child may have.
    """
    if not names:
        return []
    plain = [{name: getattr(rule, name) for name in _FITS} for rule in rules]
    try:
        child = Isolated(
            "medcolor.node.routing:route", folder, memory=memory, names=list(names), sender=sender, rules=plain
        )
        return [(rule, series) for rule, series in child.result(_SECONDS)]
    except (MedcolorError, OSError):
        if len(names) == 1:
            return [("", "unreadable")]
    middle = len(names) // 2
    halves = (names[:middle], names[middle:])
    return [route for half in halves for route in route_files(folder, half, sender, rules, memory)]


def route(folder: Path, *, names: list[str], sender: str, rules: list[dict[str, Any]]) -> list[list[str]]:
    """Answer :func:`route_files`; runs in the child."""
    from medcolor.io.dicom.parse import quiet_pydicom

    with quiet_pydicom():
        return [list(_route(folder / name, sender, rules)) for name in names]


def _route(path: Path, sender: str, rules: list[dict[str, Any]]) -> Route:
    from medcolor.batch.looking import look_at
    from medcolor.io.dicom import header
    from medcolor.io.dicom.parse import parse

    try:
        instance = parse(path, path, pixels=False)
        look = look_at(instance)
    except OSError as error:
        return ("", "unreadable") if isinstance(error, MedcolorError) else ("", LATER)
    except Exception:  # whatever a file does to its parser, it is an answer
        return "", "unreadable"
    if look["form"] != "dicom":
        return "", "no-scan"
    head = instance.header
    modality, texts = header.text(head, "Modality"), [header.text(head, keyword) for keyword in _DESCRIBED]
    for rule in rules:
        if (
            (not rule["senders"] or sender in rule["senders"])
            and (not rule["modalities"] or modality in rule["modalities"])
            and (not rule["description"] or any(re.search(rule["description"], text) for text in texts))
        ):
            return rule["name"], look["series"][:NAME]
    return "", look["series"][:NAME]
