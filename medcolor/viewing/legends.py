"""What the colours on a canvas mean, in the look they have now."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from medcolor.cielab import lightness_to_gray
from medcolor.color import apply_color
from medcolor.colorizers.evidence import Look
from medcolor.palettes import LEGEND_LIGHTNESS, LegendEntry
from medcolor.report.legend import Legend, LegendRow
from medcolor.scan import Scan
from medcolor.voi import Display, Window
from medcolor.windowing import inverse_table

_STEPS = (255, 204, 153, 102, 51, 0)
_OUTSIDE = {"outside", "air", "background"}
_BOUNDS = re.compile(r"(above |below )?[\d.]+( to [\d.]+)? SUV")


def ramps(look: Look) -> NDArray[np.uint8]:
    """Return the colour of each class for each gray, (K, 256, 3); of a table (1, 256, 3)."""
    if look.table is not None:
        return look.table[None]
    ab = np.broadcast_to(look.ab[:, None], (len(look.ab), 256, 2))
    gray = np.broadcast_to(np.arange(256, dtype=np.uint8), ab.shape[:2])
    return apply_color(np.ascontiguousarray(gray), ab, strength=look.strength)


def class_legend(look: Look, totals: Sequence[NDArray[np.float64]], among: str, *, bounds: bool = False) -> Legend:
    """Return the classes with their colours and how much of the image each one is.

    Parameters
    ----------
    look : Look
    totals : sequence of ndarray, (K,)
        Probabilities summed, slice by slice.
    among : str
        Which slices these are.
    bounds : bool
        Whether a class whose meaning begins with its bounds is called by them too: those of uptake, where it is known.
    """
    palette = look.palette
    if palette is None:
        raise ValueError("A table has no classes.")
    shares = np.sum(totals, axis=0) if len(totals) else np.zeros(len(palette.classes))
    if palette.names[0] in _OUTSIDE:
        shares[0] = 0
    shares /= max(float(shares.sum()), 1e-9)
    rows = tuple(
        LegendRow(
            LegendEntry(c.name, _bounded(c.label, c.meaning) if bounds else c.label, c.meaning, swatch),
            float(share),
            " " if c.name in _OUTSIDE and place == 0 else "",  # it is not counted
        )
        for place, (c, swatch, share) in enumerate(zip(palette.classes, _swatches(look), shares, strict=True))
    )
    return Legend(rows, f"share of the image {among}")


def _bounded(label: str, meaning: str) -> str:
    found = _BOUNDS.search(meaning)
    return label if found is None else f"{label}, {found[0]}"


def recolored(legend: Legend, look: Look) -> Legend:
    """Return a colorizer's own legend with the colours of a look; its rows are the last classes of the palette."""
    colors = _swatches(look)[-len(legend.rows) :] if legend.rows else []
    rows = [
        LegendRow(LegendEntry(row.entry.name, row.entry.label, row.entry.meaning, swatch), row.share, row.amount)
        for row, swatch in zip(legend.rows, colors, strict=True)
    ]
    return Legend(tuple(rows), legend.measure)


def table_legend(scan: Scan, display: Display, table: NDArray[np.uint8]) -> Legend:
    """Return steps of a colour table with the values they stand for; gray levels where a window has no inverse."""
    if isinstance(display, Window):
        unit = "" if scan.units in {"arbitrary", "gray level"} else f" {scan.units}"
        names = [f"{value:.4g}{unit}" for value in inverse_table(scan, display, np.array(_STEPS))]
    else:
        names = [f"gray {level}" for level in _STEPS]
    rows = [
        LegendRow(LegendEntry(f"gray {level}", name, "", _triple(table[level])), level / 255, " ")
        for level, name in zip(_STEPS, names, strict=True)
    ]
    return Legend(tuple(rows), f"values as displayed, {display}")


def _swatches(look: Look) -> list[tuple[int, int, int]]:
    level = lightness_to_gray(LEGEND_LIGHTNESS)
    return [_triple(ramp[int(level)]) for ramp in ramps(look)]


def _triple(color: NDArray[np.uint8]) -> tuple[int, int, int]:
    r, g, b = (int(c) for c in color)
    return r, g, b


__all__ = ["class_legend", "ramps", "recolored", "table_legend"]
