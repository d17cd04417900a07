"""What to ask for: ``StudyDate=20260101-20260131``, ``Modality=CT``; keys of the study or of the series."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from medcolor.errors import SettingError

STUDY_KEYS = frozenset(
    {
        "AccessionNumber",
        "ModalitiesInStudy",
        "PatientID",
        "PatientName",
        "ReferringPhysicianName",
        "StudyDate",
        "StudyDescription",
        "StudyID",
        "StudyInstanceUID",
        "StudyTime",
    }
)
SERIES_KEYS = frozenset({"BodyPartExamined", "Modality", "SeriesDescription", "SeriesInstanceUID", "SeriesNumber"})
_UID = re.compile(r"(?=.{1,64}\Z)[0-9]+(?:\.[0-9]+)*")


def parse_query(texts: Sequence[str]) -> dict[str, str]:
    """Return keys with their values; ``@FILE`` stands for the lines of a file, which no list of processes shows.

    Raises
    ------
    SettingError
        No key=value, an unknown key, a key twice, or no key at all: nobody colours a whole archive by accident.
    """
    keys: dict[str, str] = {}
    for text in _lines(texts):
        name, separator, value = (part.strip() for part in text.partition("="))
        if not separator or not value or name in keys or name not in STUDY_KEYS | SERIES_KEYS:
            known = ", ".join(sorted(STUDY_KEYS | SERIES_KEYS))
            raise SettingError(f"A query is made of KEY=VALUE, each key once. Keys: {known}.")
        if "\\" in value and not name.endswith("UID"):
            raise SettingError("A value of a query holds no backslash.")
        keys[name] = value
    if not keys:
        raise SettingError("Say which studies are meant: --query StudyDate=20260101-20260131, --query Modality=CT.")
    return keys


def is_uid(text: str) -> bool:
    """Whether a text is made as a UID is; zeros that lead are forgiven, as archives hold them."""
    return _UID.fullmatch(text) is not None


def _lines(texts: Sequence[str]) -> list[str]:
    lines: list[str] = []
    for text in texts:
        if not text.startswith("@"):
            lines.append(text)
            continue
        try:
            lines += [line for line in Path(text[1:]).read_text("utf-8").splitlines() if line.strip()]
        except (OSError, UnicodeDecodeError):
            raise SettingError(f"{text[1:]}: this file of a query cannot be read.") from None
    return lines
