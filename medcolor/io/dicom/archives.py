"""Archives that may lie: sizes are counted while the bytes come, never believed, and member names are never used."""

from __future__ import annotations

import gzip
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from medcolor.errors import ReadCode, ReadError

GZIP_MAGIC = b"\x1f\x8b"
ZIP_MAGIC = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """What an archive may grow to before it is refused.

    Parameters
    ----------
    members : int
        Entries of a zip file.
    member_bytes, total_bytes : int
        Unpacked size of one member (also of a gzip or deflated file) and of a whole zip file.
    ratio : float
        Unpacked against packed size; looked at once ``ratio_floor`` bytes are out, because small blank images
        compress without limit and harm nobody.
    ratio_floor : int
    """

    members: int = 100_000
    member_bytes: int = 2 << 30
    total_bytes: int = 16 << 30
    ratio: float = 200.0
    ratio_floor: int = 32 << 20

    def check(self, path: Path, packed: int, unpacked: int, what: str) -> None:
        """Raise when ``unpacked`` bytes that came out of ``packed`` are too many."""
        if unpacked > self.member_bytes:
            raise ReadError(
                path,
                ReadCode.TOO_LARGE,
                f"{what} unpacks to more than {self.member_bytes >> 20} MiB.",
                "Unpack it yourself if you trust it.",
            )
        self.check_ratio(path, packed, unpacked, what)

    def check_ratio(self, path: Path, packed: int, unpacked: int, what: str) -> None:
        """Raise when ``unpacked`` bytes that came out of ``packed`` are too many for real images."""
        if unpacked > self.ratio_floor and unpacked > self.ratio * max(packed, 1):
            raise ReadError(
                path,
                ReadCode.TOO_LARGE,
                f"{what} unpacks to more than {self.ratio:g} times its size: such files are made to fill memory.",
                "Unpack it yourself if you trust it.",
            )


DEFAULT_LIMITS = Limits()


def gunzip(source: Path, target: Path, limits: Limits = DEFAULT_LIMITS) -> None:
    """Unpack a .gz file into ``target``, within ``limits``."""
    try:
        with source.open("rb") as packed, gzip.GzipFile(fileobj=packed) as stream, target.open("wb") as out:
            total = 0
            while chunk := stream.read(_CHUNK):
                total += len(chunk)
                limits.check(source, packed.tell(), total, "The gzip file")
                out.write(chunk)
    except (zlib.error, gzip.BadGzipFile) as error:
        raise ReadError(source, ReadCode.CORRUPT, "The gzip data are damaged.") from error
    except EOFError as error:
        raise ReadError(source, ReadCode.TRUNCATED, "The gzip data end too early.") from error


def peek_gzip(path: Path, size: int) -> bytes:
    """Return the first bytes inside a .gz file, empty when it is damaged."""
    try:
        with gzip.open(path) as stream:
            return stream.read(size)
    except (OSError, EOFError, zlib.error):
        return b""


def check_deflated(path: Path, stream: IO[bytes], limits: Limits = DEFAULT_LIMITS) -> None:
    """Count what the rest of ``stream`` inflates to, keeping nothing, and raise when it is too much or damaged."""
    inflate, packed, total = zlib.decompressobj(-zlib.MAX_WBITS), 0, 0
    try:
        while not inflate.eof and (chunk := stream.read(1 << 16)):
            packed += len(chunk)
            while chunk and not inflate.eof:
                total += len(inflate.decompress(chunk, _CHUNK))
                limits.check(path, packed, total, "The deflated data set")
                chunk = inflate.unconsumed_tail
    except zlib.error as error:
        raise ReadError(path, ReadCode.CORRUPT, "The deflated data set is damaged.") from error
    if not inflate.eof:
        raise ReadError(path, ReadCode.TRUNCATED, "The deflated data set ends too early.")


def unzip(source: Path, target: Path, wanted: int, limits: Limits = DEFAULT_LIMITS) -> Iterator[tuple[Path, bytes]]:
    """Unpack a zip file into the folder ``target`` under numbers of our own.

    Yields
    ------
    file, head
        Each member's file and its first ``wanted`` bytes, for the caller to keep or remove.

    Raises
    ------
    ReadError
        Too many members, too large, encrypted or damaged.
    """
    try:
        with zipfile.ZipFile(source) as archive:
            members = [info for info in archive.infolist() if not info.is_dir()]
            if len(members) > limits.members:
                raise ReadError(
                    source,
                    ReadCode.TOO_LARGE,
                    f"The zip file has {len(members)} members, at most {limits.members} are read.",
                    "Unpack it and pass the folders one by one.",
                )
            if any(_leaves(info.filename) for info in members):
                raise ReadError(
                    source,
                    ReadCode.UNSAFE_PATH,
                    "A member of the zip file is named to be unpacked outside of its folder.",
                    "Do not unpack it; ask where it came from.",
                )
            total = 0
            for number, info in enumerate(members, start=1):
                if info.flag_bits & 1:
                    raise ReadError(
                        source, ReadCode.UNSUPPORTED_FORMAT, "The zip file is encrypted.", "Unpack it first."
                    )
                file = target / f"{number:06d}"
                with archive.open(info) as stream, file.open("wb") as out:
                    head = _pour(source, stream, out, info, number, total, wanted, limits)
                total += file.stat().st_size
                yield file, head
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        if isinstance(error, ReadError):
            raise
        raise ReadError(source, ReadCode.CORRUPT, "The zip file is damaged, or packed in a way not known here.") from (
            error
        )


def _leaves(name: str) -> bool:
    """Whether a member's name points out of the archive; it is not used, but an honest archive has no such name."""
    parts = name.replace("\\", "/").split("/")
    return ".." in parts or parts[0] == "" or parts[0].endswith(":")


def _pour(
    source: Path,
    stream: IO[bytes],
    out: IO[bytes],
    info: zipfile.ZipInfo,
    number: int,
    before: int,
    wanted: int,
    limits: Limits,
) -> bytes:
    """Copy one member while counting; return its first bytes."""
    head, size = b"", 0
    while chunk := stream.read(_CHUNK):
        size += len(chunk)
        head = head or chunk[:wanted]
        limits.check(source, info.compress_size, size, f"Member {number} of the zip file")
        limits.check_ratio(source, source.stat().st_size, before + size, "The zip file")  # many members, each harmless
        if before + size > limits.total_bytes:
            raise ReadError(
                source,
                ReadCode.TOO_LARGE,
                f"The zip file unpacks to more than {limits.total_bytes >> 20} MiB.",
                "Unpack it and pass the folders one by one.",
            )
        out.write(chunk)
    return head
