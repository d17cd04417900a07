"""Colour tables as a coloured file names them: which one, and what it keeps of the gray."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medcolor.color_scan import Provenance


def lut_table(provenance: Provenance) -> NDArray[np.uint8] | None:
    """Return the (256, 3) table of a table colorizer, strength included; None when it is not known here."""
    from medcolor.errors import MedcolorError
    from medcolor.luts import load_lut, with_strength

    kind, _, name = provenance.colorizer.partition(":")
    if kind != "lut":
        return None
    try:
        return with_strength(load_lut(name), float(provenance.options.get("strength", 1.0)))
    except (MedcolorError, TypeError, ValueError):
        return None


def merged_levels(table: NDArray[np.uint8]) -> int:
    """Return how many of the 256 gray levels share their colour with another one."""
    _, counts = np.unique(color_codes(table), return_counts=True)
    return int(counts[counts > 1].sum())


def color_codes(rgb: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Return (..., 3) colours as one number each."""
    wide = rgb.astype(np.int32)
    codes: NDArray[np.int32] = (wide[..., 0] << 16) | (wide[..., 1] << 8) | wide[..., 2]
    return codes
