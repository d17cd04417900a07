"""The table itself: one entry a pair of method and modality, its intervals, and CSV and Markdown of them."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from medcolor.benchmarking.colorizers.costs import Costs
from medcolor.benchmarking.colorizers.figures import DEFINITIONS
from medcolor.benchmarking.colorizers.hints import HintCurve
from medcolor.benchmarking.colorizers.rows import Row
from medcolor.training.statistics import Interval, bootstrap, difference_of_means

MEASURED, NOT_TRAINED, NOT_CHOSEN, NOBODY = "measured", "not trained", "not measured", "no test patients"
SYSTEMS = ("welsh", "deep", "zhang2016", "zhang2017", "nazeri", "histogan", "nogan", "ddcolor")
CONTROLS = ("gray", "lut", "physics", "tissue")
MAIN = "ciede2000"


@dataclass(frozen=True, eq=False)
class Entry:
    """A method on a modality.

    Attributes
    ----------
    method, family : str
    status : str
        "measured", "not trained" (no bundle of that name: nothing stands in for it), "not measured" (no validation
        patients to choose a table by), "no test patients".
    title : str
        What exactly it was, or which bundle is missing.
    data : str
        Where the patients are from.
    row : Row, optional
    costs : Costs, optional
    hints : HintCurve, optional
        Of methods that take hints.
    """

    method: str
    family: str
    status: str
    title: str
    data: str = ""
    row: Row | None = None
    costs: Costs | None = None
    hints: HintCurve | None = None

    def interval(self, figure: str) -> Interval:
        """Return a figure over patients."""
        return bootstrap(list(self.row.value(figure).values()) if self.row else [])


@dataclass(frozen=True, eq=False)
class Table:
    """All entries, modality by modality.

    Attributes
    ----------
    entries : sequence of Entry
    facts : tuple of str
        Sentences about the run: how many slices, on what computer.
    """

    entries: Sequence[Entry]
    facts: tuple[str, ...] = field(default=())

    @property
    def families(self) -> list[str]:
        """Modalities in order."""
        return list(dict.fromkeys(entry.family for entry in self.entries))

    @property
    def methods(self) -> list[str]:
        """Methods in order."""
        return list(dict.fromkeys(entry.method for entry in self.entries))

    def entry(self, method: str, family: str) -> Entry | None:
        """Return one entry; None where it was not asked for."""
        return next((e for e in self.entries if (e.method, e.family) == (method, family)), None)

    def difference(self, entry: Entry, other: str, figure: str = MAIN) -> Interval:
        """Return a figure of an entry minus that of another method on the same patients."""
        theirs = self.entry(other, entry.family)
        if entry.row is None or theirs is None or theirs.row is None or theirs is entry:
            return bootstrap([])
        return paired(entry.row.value(figure), theirs.row.value(figure))


def paired(ours: dict[str, float], theirs: dict[str, float]) -> Interval:
    """Return the mean difference over the patients that both have."""
    both = [(ours[p], theirs[p]) for p in sorted(ours) if p in theirs]
    return bootstrap(np.array(both, np.float64).reshape(-1, 2), difference_of_means)


def verdict(difference: Interval) -> str:
    """Return "better" where a difference of errors is clear of 0 by its interval, else "not better"."""
    if not np.isfinite(difference.value):
        return ""
    return "better" if difference.high < 0 else "not better"


def to_csv(table: Table) -> str:
    """Return one line a pair; a figure without interval has empty ``_low`` and ``_high``."""
    stream = io.StringIO()
    rows = [_csv_row(table, entry) for entry in table.entries]
    names = dict.fromkeys(name for row in rows for name in row)
    writer = csv.DictWriter(stream, list(names), restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def _csv_row(table: Table, entry: Entry) -> dict[str, object]:
    row: dict[str, object] = {"method": entry.method, "modality": entry.family, "status": entry.status}
    row |= {"what": entry.title, "data": entry.data}
    measured = entry.row
    row["patients"] = len(measured.patients) if measured else ""
    row |= {name: getattr(measured, name) if measured else "" for name in ("slices", "pixels")}
    row["pixels_breaking_law"] = measured.broken if measured else ""
    for figure, (_, digits) in DEFINITIONS.items():
        row |= _csv_interval(figure, entry.interval(figure), digits + 1)
    for control in ("gray", "lut"):
        difference = table.difference(entry, control)
        row |= _csv_interval(f"{MAIN}_minus_{control}", difference, 3)
        row[f"against_{control}"] = verdict(difference)
    row |= entry.costs.to_csv() if entry.costs else dict.fromkeys(Costs.COLUMNS, "")
    if entry.hints is not None:
        row |= entry.hints.to_csv()
    return row


def _csv_interval(name: str, interval: Interval, digits: int) -> dict[str, object]:
    values = {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high}
    return {key: f"{value:.{digits}f}" if np.isfinite(value) else "" for key, value in values.items()}


__all__ = [
    "CONTROLS",
    "MAIN",
    "MEASURED",
    "NOBODY",
    "NOT_CHOSEN",
    "NOT_TRAINED",
    "SYSTEMS",
    "Entry",
    "Table",
    "paired",
    "to_csv",
    "verdict",
]
