"""A legend that a colorizer brings along: what its colours mean on one scan."""

from __future__ import annotations

from dataclasses import dataclass

from medcolor.palettes import LegendEntry


@dataclass(frozen=True, slots=True)
class LegendRow:
    """One class of a legend.

    Parameters
    ----------
    entry : LegendEntry
        Name, meaning and swatch.
    share : float
        0..1, the length of its bar.
    amount : str
        What is written beside the bar; empty: the share in per cent.
    """

    entry: LegendEntry
    share: float
    amount: str = ""

    def __str__(self) -> str:
        return self.amount or f"{100 * self.share:.1f} %"


@dataclass(frozen=True, slots=True)
class Legend:
    """Rows, and what their bars measure."""

    rows: tuple[LegendRow, ...]
    measure: str
