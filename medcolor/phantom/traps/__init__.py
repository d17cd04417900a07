"""Traps for readers: files and folders with one right answer each, made on demand."""

from medcolor.phantom.traps import (
    contents,
    ct_geometry,
    ct_values,
    encodings,
    everyday,
    hostile,
    mr,
    projections,
    pt,
    ultrasound,
)
from medcolor.phantom.traps.table import CANARY, Expect, Trap

TRAPS: tuple[Trap, ...] = (
    *ct_geometry.TRAPS,
    *ct_values.TRAPS,
    *encodings.TRAPS,
    *mr.TRAPS,
    *pt.TRAPS,
    *projections.TRAPS,
    *ultrasound.TRAPS,
    *contents.TRAPS,
    *hostile.TRAPS,
    *everyday.TRAPS,
)

__all__ = ["CANARY", "TRAPS", "Expect", "Trap"]
