"""Which pixels of a colour image are colour already and must pass through untouched (Doppler, annotations)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from medcolor.io.dicom import header

LOSSY_TOLERANCE = 8
"""Largest max(R, G, B) - min(R, G, B) that lossy coding is held to have made of gray.

Rounding YCbCr moves channels of gray apart by up to 3. Lossy chroma strays further only beside real colour, and there
letting a gray pixel pass through untouched is the safe side.
"""
_COLOR_FLOW = 2  # Region Data Type, PS3.3 C.8.5.5.1.2


def colored_pixels(rgb: NDArray[np.uint8], *, lossy: bool, flow: NDArray[np.bool_] | None = None) -> NDArray[np.bool_]:
    """Return True where a pixel is colour.

    Parameters
    ----------
    rgb : ndarray of uint8, (rows, columns, 3)
    lossy : bool
        From a lossless source anything not exactly gray is colour. From a lossy one, what differs by more than
        :data:`LOSSY_TOLERANCE` is, and inside colour flow regions again anything not exactly gray: there a
        faint colour is a slow flow.
    flow : ndarray of bool, (rows, columns), or None
        Colour flow regions, see :func:`color_flow_regions`.
    """
    red, green, blue = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    exact: NDArray[np.bool_] = (red != green) | (green != blue)
    if not lossy or not exact.any():
        return exact
    high = np.maximum(np.maximum(red, green), blue)
    spread = high - np.minimum(np.minimum(red, green), blue)
    strong: NDArray[np.bool_] = spread > LOSSY_TOLERANCE
    return strong if flow is None else strong | (exact & flow)


def color_flow_regions(ds: Any, rows: int, columns: int) -> NDArray[np.bool_] | None:
    """Return the mask of ultrasound regions that carry colour flow, None when the file names none."""
    mask: NDArray[np.bool_] | None = None
    for region in header.items(ds, "SequenceOfUltrasoundRegions"):
        if header.integer(region, "RegionDataType") != _COLOR_FLOW:
            continue
        ends = [header.integer(region, f"RegionLocation{end}") for end in ("MinX0", "MinY0", "MaxX1", "MaxY1")]
        if any(e is None for e in ends):
            continue
        x0, y0, x1, y1 = (int(e) for e in ends if e is not None)
        mask = np.zeros((rows, columns), dtype=np.bool_) if mask is None else mask
        mask[max(y0, 0) : y1 + 1, max(x0, 0) : x1 + 1] = True
    return mask
