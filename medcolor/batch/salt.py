"""The secret that keys UIDs, pseudonyms and names of de-identified output, beside the journal or brought along."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from medcolor.batch.publishing import PRIVATE
from medcolor.errors import SettingError
from medcolor.io.atomic import sync_folder

_NAME = "deidentify.salt"
_BYTES = 32
_LEAST = 16


@dataclass(frozen=True, slots=True)
class Salt:
    """A secret and where it is kept.

    Parameters
    ----------
    path : Path
    value : bytes
    """

    path: Path
    value: bytes


def read_salt(path: Path) -> Salt:
    """Read a salt.

    Raises
    ------
    SettingError
        It cannot be read, or is shorter than 16 bytes.
    """
    try:
        value = path.read_bytes().strip()
    except OSError as error:
        raise SettingError(f"The salt {path} cannot be read ({error.strerror}).") from None
    if len(value) < _LEAST:
        raise SettingError(
            f"The salt {path} has {len(value)} bytes; at least {_LEAST} are needed: openssl rand -hex 32"
        )
    return Salt(path.absolute(), value)


def salt_of(out: Path, file: Path | None, *, keep: bool) -> Salt:
    """Return the salt of an output folder: the one in ``file``, else its own, which is made when it is first needed.

    Parameters
    ----------
    out : Path
    file : Path, optional
    keep : bool
        Write a new one down; without, it is good for a plan only.
    """
    if file is not None:
        return read_salt(file)
    path = out / PRIVATE / _NAME
    if not path.exists():
        text = secrets.token_hex(_BYTES).encode()
        if not keep:
            return Salt(path, text)
        part = path.with_name(f"{_NAME}.part")
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        part.rename(path)
        sync_folder(path.parent)
    return read_salt(path)
