"""From what a viewer holds back to values that can be written: nothing leaves whose gray cannot come back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medcolor.color import restore_gray
from medcolor.color_scan import ColorScan, Law
from medcolor.errors import WriteError
from medcolor.scan import Scan, from_slices, to_slices


def checked_color(color: ColorScan, pixels: NDArray[np.uint8]) -> ColorScan:
    """Return the coloured scan with the pixels of a viewer, if the gray still comes back from them.

    Parameters
    ----------
    color : ColorScan
        As it was coloured.
    pixels : ndarray of uint8, (nk, nj, ni, 3 or 4)
        As the viewer holds them now; the fourth channel is how they are shown, no part of the image.

    Raises
    ------
    WriteError
        Pixels were changed so that the gray is lost; says how many.
    """
    _require_shape(pixels.shape, (*color.shape[::-1], pixels.shape[-1]))
    if pixels.dtype != np.uint8 or pixels.shape[-1] not in {3, 4}:
        raise WriteError(f"Coloured pixels are 8-bit RGB or RGBA, these are {pixels.dtype} {pixels.shape}.")
    before, now = to_slices(color.rgb), pixels[..., :3]
    lost = changed = 0
    for k in range(len(before)):
        differs = (before[k] != now[k]).any(axis=-1)
        changed += int(np.count_nonzero(differs))
        if differs.any():
            lost += int(np.count_nonzero(restore_gray(before[k][differs]) != restore_gray(now[k][differs])))
    if not changed:
        return color
    lost = lost if color.law is Law.LIGHTNESS else changed  # of a table every other colour is foreign
    if lost:
        raise WriteError(
            f"Not saved: {lost} of {before[..., 0].size} pixels were changed, and the gray cannot be recovered from "
            "them any more. Colour the scan again, or draw on a layer of its own."
        )
    return replace(color, rgb=from_slices(np.ascontiguousarray(now)))


def checked_scan(scan: Scan, values: NDArray[Any]) -> Scan:
    """Return the scan with the values (nk, nj, ni) of a viewer."""
    _require_shape(values.shape, scan.shape[::-1])
    if values.dtype.kind not in "iuf":
        raise WriteError(f"A scan holds numbers, these values are {values.dtype}.")
    return replace(scan, voxels=from_slices(values))


def _require_shape(found: tuple[int, ...], expected: tuple[int, ...]) -> None:
    if tuple(found) != tuple(expected):
        raise WriteError(
            f"Not saved: this layer is {' x '.join(map(str, found))} and its scan {' x '.join(map(str, expected))}. "
            "A cropped or resampled layer has no place in the patient; crop with medcolor's panel."
        )


__all__ = ["checked_color", "checked_scan"]
