"""Names that say nothing: of sources, outputs, and files in messages."""

from __future__ import annotations

import hashlib
import hmac

NAME = 16  # hex digits of an output folder's name
LABEL = 10


def source_name(kind: str, *parts: str) -> str:
    """Return the sha256 hex of what a source calls itself; ``kind``: study, series or content."""
    return hashlib.sha256("\0".join((kind, *parts)).encode("utf-8", "surrogateescape")).hexdigest()


def output_name(source: str, settings_digest: str, salt: bytes = b"") -> str:
    """Return the name of an output folder: equal for equal sources and settings, on any computer.

    With a salt nobody without it can tell which source a name stands for.
    """
    text = f"{source}|{settings_digest}".encode()
    return (hmac.new(salt, text, "sha256") if salt else hashlib.sha256(text)).hexdigest()[:NAME]


def file_label(salt: bytes, path: str) -> str:
    """Return what a file is called in messages; nobody without the output folder can test a guess against it."""
    return hmac.new(salt, path.encode("utf-8", "surrogateescape"), "sha256").hexdigest()[:LABEL]
