"""One DICOM file, parsed once and without trust: every damage becomes a typed refusal, pixels stay on disk."""

from __future__ import annotations

import logging
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import IO, Any

from medcolor.errors import MedcolorWarning, ReadCode, ReadError
from medcolor.io.dicom import archives

HEAD = 132  # preamble and "DICM"
DEFERRED_BYTES = 4096  # longer values stay in the file until somebody asks for them
_MOST_ATTRIBUTES = 100_000  # of the data set itself; real files have hundreds
PIXEL_TAGS = (0x7FE00008, 0x7FE00009, 0x7FE00010)  # float, double, integer
DIRECTORY_CLASS = "1.2.840.10008.1.3.10"
_DEFLATED = "1.2.840.10008.1.2.1.99"
_UNDEFINED = 0xFFFFFFFF
_FIRST_TAGS = {(2, 0), (2, 1), (2, 2), (2, 0x10), (8, 0), (8, 1), (8, 5), (8, 8), (8, 0x12), (8, 0x16), (8, 0x18)}
_FUNCTIONAL_GROUPS = 0x52009229
_STRING_VRS = frozenset(["AE", "AS", "CS", "DA", "DT", "LO", "LT", "SH", "ST", "TM", "UC", "UR", "UT"])
_NUMBER_VRS = frozenset(["DS", "FD", "FL", "IS", "SL", "SS", "SV", "UL", "US", "UV"])
_KINDS = (_STRING_VRS, _NUMBER_VRS, frozenset(["OB", "OW", "OF", "OD", "OL", "OV"]))
_LONG_VRS = {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"}


@dataclass(slots=True)
class Instance:
    """One parsed file.

    Parameters
    ----------
    path : Path
        What messages call it: the file, or the archive it came out of.
    file : Path
        Where its bytes are.
    header : pydicom.FileDataset
        Pixel data deferred or left out.
    has_pixels : bool
    """

    path: Path
    file: Path
    header: Any
    has_pixels: bool


@contextmanager
def quiet_pydicom() -> Iterator[None]:
    """Keep pydicom's warnings and log lines, which quote values of the file, from anybody's screen or log.

    Our own warnings come out when the block ends.
    """
    log = logging.getLogger("pydicom")
    level = log.level
    log.setLevel(logging.CRITICAL + 1)  # its children inherit this
    ours: list[warnings.WarningMessage] = []
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield
        ours = [w for w in caught if issubclass(w.category, MedcolorWarning)]
    finally:
        log.setLevel(level)
    for warning in ours:
        warnings.warn(warning.message, stacklevel=5)  # whoever called medcolor.read


def looks_like_dicom(head: bytes) -> bool:
    """Whether a file that begins so may be DICOM, with the standard's file header or (refused later) without."""
    return head[128:HEAD] == b"DICM" or _bare_data_set(head)


def _bare_data_set(head: bytes) -> bool:
    """Whether the bytes start with an attribute of group 2 or 8: DICOM without its file header."""
    for order in "<>":
        if len(head) >= 8 and struct.unpack(f"{order}HH", head[:4]) in _FIRST_TAGS:
            implicit = head[6:8] == b"\0\0" and head[4] <= 64
            return implicit or (head[4:6].isalpha() and head[4:6].isupper())
    return False


def parse(file: Path, path: Path, *, pixels: bool) -> Instance:
    """Parse one regular file.

    Parameters
    ----------
    file, path : Path
        Where the bytes are, and what to call them in messages.
    pixels : bool
        Whether the pixels will be wanted; without them, parsing stops before.

    Raises
    ------
    ReadError
        Not DICOM, damaged, or cut short.
    """
    import pydicom.filereader

    seen: list[int] = []
    attributes = count(1)

    def at_pixels(tag: Any, vr: str | None, length: int) -> bool:
        if next(attributes) > _MOST_ATTRIBUTES:  # a file half of zeros reads as millions of empty ones
            raise ReadError(path, ReadCode.CORRUPT, "It has more attributes than any real file.", "Copy it again.")
        if pixels or tag not in PIXEL_TAGS:
            return False
        seen.append(length)
        return True

    with file.open("rb") as stream:
        bare = not _has_file_header(path, stream)
        deflated = _transfer_syntax(stream, 0 if bare else HEAD) == _DEFLATED
        if deflated:
            archives.check_deflated(path, stream)
        stream.seek(0)
        try:
            header = pydicom.filereader.read_partial(
                stream,
                stop_when=at_pixels,
                # values of an inflated data set are nowhere on disk
                defer_size=None if deflated else DEFERRED_BYTES,
                force=bare,
            )
        except ReadError:
            raise
        except EOFError:
            raise ReadError(path, ReadCode.TRUNCATED, "The file ends in the middle of an attribute.") from None
        except RecursionError:
            raise ReadError(path, ReadCode.CORRUPT, "Sequences are nested deeper than any real file.") from None
        except Exception as error:  # pydicom raises anything for a damaged file, quoting values of it
            raise ReadError(path, ReadCode.CORRUPT, f"Damaged DICOM file ({type(error).__name__}).") from None
        if pixels:
            seen = _pixel_elements(path, header, stream)
    return Instance(path, file, header, bool(seen))


def _has_file_header(path: Path, stream: IO[bytes]) -> bool:
    """Return True for a DICOM file, False for a data set without the file header; refuse anything else."""
    head = stream.read(HEAD)
    if head[128:] == b"DICM":
        return True
    if not head:
        raise ReadError(path, ReadCode.EMPTY, "The file is empty (0 bytes).")
    if not _bare_data_set(head):
        raise ReadError(path, ReadCode.NOT_AN_IMAGE_FILE, "No DICOM file: the marker DICM is not at byte 128.")
    return False


def _transfer_syntax(stream: IO[bytes], start: int) -> str:
    """Return the transfer syntax UID with ``stream`` left at the end of the file header; pydicom inflates uncapped."""
    stream.seek(start)
    syntax = ""
    while len(head := stream.read(8)) == 8:
        group, element, vr, length = struct.unpack("<HH2sH", head)
        if group != 2:
            stream.seek(-8, 1)
            break
        if not (vr.isalpha() and vr.isupper()):  # implicit, against the standard, but pydicom reads it
            length = struct.unpack("<I", head[4:])[0]
        elif vr in _LONG_VRS:
            length = int.from_bytes(stream.read(4), "little")
        if element == 0x0010 and length < 100:
            syntax = stream.read(length).strip(b"\0 ").decode("ascii", "replace")
        else:
            stream.seek(length, 1)
    return syntax


def _pixel_elements(path: Path, header: Any, stream: IO[bytes]) -> list[int]:
    """Return the length of each pixel element; refuse one that the file is too short for."""
    size = stream.seek(0, 2)
    lengths: list[int] = []
    for element in header.values():  # raw: asking for the element would load it
        if element.tag not in PIXEL_TAGS:
            continue
        length = getattr(element, "length", 0)
        lengths.append(length)
        deferred = getattr(element, "value", b"") is None
        if deferred and length != _UNDEFINED and element.value_tell + length > size:
            raise ReadError(
                path,
                ReadCode.TRUNCATED,
                f"The pixel data should have {length} bytes, the file has {max(size - element.value_tell, 0)} left.",
                "Fetch the file again.",
            )
    return lengths


def drop_bulk(header: Any, *, deep: bool) -> None:
    """Remove pixels, whatever else was left in the file, and damage, so that a header lives on without them.

    Parameters
    ----------
    header : pydicom.Dataset
    deep : bool
        Look for damage inside sequences too, which takes its time.
    """
    from pydicom.dataelem import RawDataElement

    for element in list(header.values()):
        deferred = isinstance(element, RawDataElement) and element.value is None and element.length
        if element.tag in PIXEL_TAGS or deferred:
            if deferred and element.VR == "SQ" and element.tag.group % 2 == 0 and _load(header, element.tag):
                continue
            del header[element.tag]
    _drop_damaged(header, deep=deep or _FUNCTIONAL_GROUPS in header)


def _drop_damaged(ds: Any, *, deep: bool) -> None:
    """Remove the attributes that pydicom cannot make sense of, or that are of another kind than DICOM says.

    Such a value reads as absent (see ``header``); whoever copies the attribute itself must not stumble over it.
    Private attributes are left alone, as nobody reads them, and texts, which pydicom reads whatever they hold.
    """
    from pydicom.datadict import dictionary_has_tag, dictionary_VR

    for element in list(ds.values()):
        tag, vr = element.tag, element.VR
        if tag.is_private or (vr == "SQ" and not deep):
            continue
        meant = dictionary_VR(tag) if dictionary_has_tag(tag) else ""
        if vr in _STRING_VRS and (meant in _STRING_VRS or not meant):
            continue
        if not (_load(ds, tag) and _sound(ds[tag], meant)):
            del ds[tag]
        elif deep and ds[tag].VR == "SQ":
            for item in ds[tag].value:
                _drop_damaged(item, deep=True)


def _sound(loaded: Any, meant: str) -> bool:
    """Whether a value is of the kind the dictionary says: a damaged number loads as a text, a damaged VR as anything.

    Parameters
    ----------
    loaded : pydicom.DataElement
    meant : str
        VR of the dictionary ("US or SS" for some), empty where it does not know the attribute.
    """
    from pydicom.datadict import dictionary_VM

    if not meant:
        return True
    if meant != loaded.VR and loaded.VR not in meant.split() and not any({loaded.VR, meant} <= k for k in _KINDS):
        return False
    if loaded.VR in _NUMBER_VRS and any(isinstance(v, str) and v.strip() for v in _values(loaded)):
        return False
    return loaded.VM < 2 or loaded.VR not in {*_NUMBER_VRS, "UI"} or dictionary_VM(loaded.tag) != "1"


def _values(loaded: Any) -> list[Any]:
    return list(loaded.value) if loaded.VM > 1 else [loaded.value]


def _load(header: Any, tag: Any) -> bool:
    try:
        header[tag]
    except Exception:  # pydicom raises many kinds for a damaged value
        return False
    return True
