"""Size caps, checked on headers before anything is allocated or decoded."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from medcolor.errors import ReadCode, ReadError

MAX_SIDE = 65_535
MAX_BYTES = 16 << 30  # one decoded series; the largest real ones (whole-body PET/CT, tomosynthesis) are below 4 GiB
MAX_PIXELS_2D = 178_956_970  # one raster image; where Pillow itself refuses
DEFLATE_RATIO = 1032  # deflate cannot compress better than this


def check_size(path: Path, shape: Sequence[int], itemsize: int) -> int:
    """Return the bytes an image needs.

    Raises
    ------
    ReadError
        CORRUPT for a size below 1, TOO_LARGE over a cap.
    """
    if not shape or min(shape) < 1:
        raise ReadError(
            path, ReadCode.CORRUPT, f"the header gives a size of {_times(shape)}; each side must be 1 or more."
        )
    size = math.prod(int(n) for n in shape) * itemsize
    if max(shape) > MAX_SIDE or size > MAX_BYTES:
        raise ReadError(
            path,
            ReadCode.TOO_LARGE,
            f"the header asks for {_times(shape)} values ({size / 2**30:.3g} GiB); accepted are sides up to {MAX_SIDE} "
            f"and {MAX_BYTES >> 30} GiB in all.",
            "If the image really is that large, crop or downsample it first.",
        )
    return size


def check_stored(path: Path, needed: int, stored: int, *, compressed: bool) -> None:
    """Refuse a file that cannot hold the ``needed`` bytes of pixels its header promises."""
    if needed > stored * (DEFLATE_RATIO if compressed else 1):
        raise ReadError(
            path,
            ReadCode.TRUNCATED,
            f"the header promises {needed} bytes of pixels, and the file has {stored} bytes"
            f"{' of compressed data, which cannot hold them' if compressed else ''}.",
            "Copy the file again from its source.",
        )


def _times(shape: Sequence[int]) -> str:
    return " x ".join(str(n) for n in shape)
