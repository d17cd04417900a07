"""The frames of one instance as stored values, one at a time; what they mean is the business of ``values``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from medcolor.errors import ReadCode, ReadError
from medcolor.io.dicom import encapsulated, header, native
from medcolor.io.dicom.pixels import FLOAT_KEYWORDS, Layout, check_length

_OFFSET_KEYWORDS = ("ExtendedOffsetTable", "ExtendedOffsetTableLengths")


def read_pixel_bytes(ds: Any, path: Path | str, layout: Layout) -> bytes:
    """Return the raw pixel data element, reading it from disk where it was deferred; its length is checked again."""
    try:
        raw = ds[layout.keyword].value
    except Exception as error:
        raise ReadError(path, ReadCode.TRUNCATED, "The pixel data cannot be read from the file.") from error
    if not isinstance(raw, bytes | bytearray | memoryview):
        raise ReadError(path, ReadCode.CORRUPT, "The pixel data element does not hold bytes.")
    check_length(layout, len(raw), path)
    return raw if isinstance(raw, bytes) else bytes(raw)


def stored_frames(
    ds: Any, path: Path | str, layout: Layout, wanted: Sequence[int]
) -> Iterator[tuple[int, NDArray[Any]]]:
    """Yield (frame number, stored values) for the wanted frames of one instance, in rising order.

    Parameters
    ----------
    ds : pydicom.Dataset
        Its pixel data is dropped as soon as the bytes are here.
    path : Path or str
    layout : Layout
        From :func:`check_header`.
    wanted : sequence of int
        0-based frame numbers.

    Yields
    ------
    int
        Frame number.
    ndarray
        (rows, columns) of ``layout.dtype``; (rows, columns, 3) uint8 RGB for RGB and YBR. Unused high bits of
        integers are **not** yet masked for uncompressed data (see ``native.mask_unused_bits``). May be read-only.

    Raises
    ------
    ReadError
        TRUNCATED, CORRUPT or UNDECODABLE.
    """
    beyond = [f for f in wanted if not 0 <= f < layout.frames]
    if beyond:
        raise ReadError(path, ReadCode.CORRUPT, f"Frame {beyond[0] + 1} of {layout.frames} was asked for.")
    raw = read_pixel_bytes(ds, path, layout)
    offsets = [header.value(ds, keyword) for keyword in _OFFSET_KEYWORDS]
    drop_pixels(ds)
    wanted = sorted(set(wanted))
    if layout.encapsulated:
        yield from encapsulated.frames(raw, offsets, path, layout, wanted)
    else:
        for frame in wanted:
            yield frame, native.frame(raw, layout, frame)


def drop_pixels(ds: Any) -> None:
    """Remove pixel data from a header; nothing else of the file is kept in memory for it."""
    for keyword in ("PixelData", *FLOAT_KEYWORDS, *_OFFSET_KEYWORDS):
        if keyword in ds:
            del ds[keyword]
