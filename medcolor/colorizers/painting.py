"""The walk every colorizer shares: blocks of slices, display gray, colour, and what must pass through untouched."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import medcolor
from medcolor.color_scan import ColorScan, Provenance
from medcolor.mapped_files import let_go, room_for
from medcolor.scan import Scan, from_slices, to_slices
from medcolor.voi import Display
from medcolor.windowing import grayscale

if TYPE_CHECKING:
    from medcolor.colorizers import Colorizer, Progress

_BLOCK_VOXELS = 1 << 18  # one slice of 512 x 512: temporaries stay near the cache whatever the volume's size

PaintBlock = Callable[[slice, NDArray[np.uint8], NDArray[np.uint8]], None]
"""(range of slices, display gray (n, nj, ni), RGB to fill (n, nj, ni, 3))."""
Stream = Iterator[tuple[slice, NDArray[np.uint8]]]
"""(range of slices, its RGB (n, nj, ni, 3)), in order."""


def blocks(n_slices: int, slice_voxels: int, block_voxels: int | None = None) -> Iterator[slice]:
    """Yield ranges of whole slices of about a quarter of a million voxels each, or of ``block_voxels``."""
    step = max(1, (block_voxels or _BLOCK_VOXELS) // max(1, slice_voxels))
    for start in range(0, n_slices, step):
        yield slice(start, min(start + step, n_slices))


def stream(scan: Scan, display: Display, paint_block: PaintBlock, *, block_voxels: int | None = None) -> Stream:
    """Colour a scan block by block and keep nothing: memory does not grow with the number of slices.

    Nor does it with a scan whose voxels are a file mapped read-only (``numpy.memmap(path, mode="r")``): pages are let
    go of once they are coloured.

    Pixels that were colour already keep their bytes whatever ``paint_block`` makes of them. ``block_voxels`` is the
    size of a block where the usual one is too small, as on a GPU.

    Yields
    ------
    block : slice
        Range of slices.
    rgb : ndarray of uint8, (n, nj, ni, 3)
        A new array each time.
    """
    ni, nj, nk = scan.shape
    gray_of = grayscale(scan, display)
    for block in blocks(nk, ni * nj, block_voxels):
        rgb = np.empty((block.stop - block.start, nj, ni, 3), dtype=np.uint8)
        _paint(scan, block, gray_of, paint_block, rgb)
        let_go(scan.voxels)
        yield block, rgb


def paint(
    scan: Scan,
    display: Display,
    paint_block: PaintBlock,
    *,
    progress: Progress | None = None,
    block_voxels: int | None = None,
) -> tuple[NDArray[np.uint8], int]:
    """Colour a whole scan as :func:`stream` does, into one array; see :func:`~medcolor.mapped_files.room_for`.

    Returns
    -------
    rgb : ndarray of uint8, (ni, nj, nk, 3)
    passed_through : int
        How many voxels kept their source colour.
    """
    ni, nj, nk = scan.shape
    rgb = room_for((nk, nj, ni, 3))
    gray_of = grayscale(scan, display)
    passed_through = 0
    for block in blocks(nk, ni * nj, block_voxels):
        passed_through += _paint(scan, block, gray_of, paint_block, rgb[block])
        let_go(rgb)
        if progress is not None:
            progress(block.stop, nk)
    return from_slices(rgb), passed_through


def _paint(
    scan: Scan,
    block: slice,
    gray_of: Callable[[slice], NDArray[np.uint8]],
    paint_block: PaintBlock,
    rgb: NDArray[np.uint8],
) -> int:
    """Fill ``rgb`` with the colours of a block; return how many voxels kept their source colour."""
    paint_block(block, gray_of(block), rgb)
    if scan.colored is None or scan.rgb is None:
        return 0
    mask = to_slices(scan.colored)[block]
    if not mask.any():
        return 0
    rgb[mask] = to_slices(scan.rgb)[block][mask]
    return int(np.count_nonzero(mask))


def recorded(
    painted: tuple[NDArray[np.uint8], int],
    scan: Scan,
    display: Display,
    by: Colorizer,
    *,
    options: Mapping[str, Any],
    seed: int,
    palette_sha256: str | None = None,
    weights_sha256: str | None = None,
) -> ColorScan:
    """Put what :func:`paint` returned on the grid of ``scan``, with the record of how it was made."""
    rgb, passed_through = painted
    provenance = Provenance(
        colorizer=by.name,
        law=by.law,
        window=str(display),
        options=options,
        palette_sha256=palette_sha256,
        weights_sha256=weights_sha256,
        source_digest=scan.source.digest,
        seed=seed,
        passed_through=passed_through,
        version=medcolor.__version__,
    )
    return ColorScan.of(scan, rgb, provenance)
