"""Scans changed for looking at: physics and networks are shown them, nobody's display is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medcolor.mapped_files import let_go, room_for
from medcolor.scan import Scan, from_slices, to_slices
from medcolor.tissue.model import valid, values_of

Change = Callable[[NDArray[np.float32], NDArray[np.bool_] | None], NDArray[Any]]
"""Values (nj, ni) of a slice, and where they are image (None: everywhere), to other values."""


def altered(scan: Scan, change: Change) -> Scan:
    """Return the scan with each slice changed: float32, what is no image not a number."""
    slices = to_slices(scan.voxels)
    out = room_for(slices.shape, np.float32)
    for k in range(len(slices)):
        block = slice(k, k + 1)
        good = valid(scan, block)
        image = None if good is None else good[0]
        out[k] = change(values_of(scan, block)[0], image)
        if image is not None:
            out[k][~image] = np.nan
        let_go(scan.voxels)
    return replace(scan, voxels=from_slices(out))


def spread_slices(depth: int, at_most: int) -> list[int]:
    """Return so many of the slices of a scan, spread evenly."""
    some = min(at_most, depth)
    return [int((n + 0.5) * depth / some) for n in range(some)]


__all__ = ["Change", "altered", "spread_slices"]
