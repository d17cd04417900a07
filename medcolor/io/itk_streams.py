"""Compressed pixels of NRRD and MetaImage, checked before ITK reads them.

ITK prints a line when a stream is damaged and hands out whatever memory it had: an image that looks like one.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from medcolor.errors import ReadCode, ReadError

_CHUNK = 1 << 20
_HEADER_BYTES = 1 << 20
_ANY_HEADER = 32 + zlib.MAX_WBITS  # zlib or gzip, whichever it is


def check_stream(path: Path, form: str, fields: Mapping[str, str], data: Path | None, needed: int) -> None:
    """Inflate the pixels of a file, keeping nothing.

    Parameters
    ----------
    path : Path
    form : {"nrrd", "mha"}
    fields : mapping
        The header, keys in lower case.
    data : Path or None
        The separate pixel file, None where pixels follow the header.
    needed : int
        Bytes of pixels that the header promises.

    Raises
    ------
    ReadError
        CORRUPT, TRUNCATED; UNSUPPORTED_FORMAT for a MetaImage that does not say how long its pixels are.
    """
    length = -1
    if form == "mha":
        length = _number(fields.get("compresseddatasize", ""))
        if length <= 0:
            raise ReadError(
                path,
                ReadCode.UNSUPPORTED_FORMAT,
                "the header has no CompressedDataSize, without which ITK reads no pixels.",
                "Save it again, or uncompressed.",
            )
    elif _number(fields.get("line skip", "0")) or _number(fields.get("byte skip", "0")):
        needed = 0  # what is skipped may be inside or before: only that the stream is whole is asked
    with (data or path).open("rb") as stream:
        if data is None:
            stream.seek(_pixels_start(stream.read(_HEADER_BYTES), form))
        if form == "nrrd":
            for _ in range(max(0, _number(fields.get("line skip", "0")))):
                stream.readline(_HEADER_BYTES)
        _inflate(path, stream, length, needed)


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        return 0


def _pixels_start(head: bytes, form: str) -> int:
    """Return where the header ends: at an empty line in NRRD, after the line ElementDataFile in MetaImage."""
    at = 0
    for line in head.splitlines(keepends=True):
        at += len(line)
        if (not line.strip()) if form == "nrrd" else line.split(b"=")[0].strip().lower() == b"elementdatafile":
            break
    return at


def _inflate(path: Path, stream: IO[bytes], length: int, needed: int) -> None:
    inflate, total, left = zlib.decompressobj(_ANY_HEADER), 0, length
    try:
        while chunk := stream.read(_CHUNK if left < 0 else min(_CHUNK, left)):
            left -= len(chunk) if left >= 0 else 0
            while chunk:
                total += len(inflate.decompress(chunk, _CHUNK))
                if needed and total > needed:
                    text = f"the header promises {needed} bytes of pixels, and more are compressed in the file."
                    raise ReadError(path, ReadCode.CORRUPT, text)
                chunk = inflate.unconsumed_tail
                if inflate.eof:
                    chunk = inflate.unused_data
                    if not chunk.startswith(b"\x1f\x8b"):
                        break  # whatever follows is no pixels
                    inflate = zlib.decompressobj(_ANY_HEADER)  # gzip files may be in several parts
            if inflate.eof or left == 0:
                break
    except zlib.error as error:
        raise ReadError(path, ReadCode.CORRUPT, "the compressed pixels are damaged.", "Copy it again.") from error
    if not inflate.eof or total < needed:
        raise ReadError(path, ReadCode.TRUNCATED, "the compressed pixels end before the image does.", "Copy it again.")
