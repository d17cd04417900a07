"""What an evaluation found: figures by patient, intervals, the bars, and a page of Markdown or JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from medcolor.training.metrics import BINS, Calibration
from medcolor.training.statistics import (
    Floats,
    Interval,
    bootstrap,
    by_patient,
    difference_of_means,
    ratio_of_means,
)

CLEAN = "clean"
MIDDLE = "middle"
LOST = "lost_units, high"
FIGURES = (
    "error", "gray_error", "ece", "ece_target", "ece_soft", "risk", "risk_posterior",
    "flicker", "target_flicker", "edge_error", "edge_floor", "hellinger", "drift",
)  # fmt: skip
"""What is shown for clean input, beside Dice; ``docs/training.md`` says what each is."""
CALIBRATIONS = ("ece", "ece_target", "ece_soft")


@dataclass(frozen=True)
class Bar:
    """One bar: what was asked, what was found.

    Parameters
    ----------
    name : str
    found : Interval
    limit : float
    at_least : bool
        Whether the limit is a floor.
    """

    name: str
    found: Interval
    limit: float
    at_least: bool = False

    @property
    def met(self) -> bool | None:
        """Whether the figure itself (not its interval) keeps the limit; None where there is no figure."""
        if not np.isfinite(self.found.value):
            return None
        return self.found.value >= self.limit if self.at_least else self.found.value <= self.limit


def groups_of(family: str, classes: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Return what the Dice bar is about: for CT the four great tissues, else each class by itself, as class numbers."""
    named = _GREAT_TISSUES.get(family, {name: (name,) for name in classes[1:]})
    return {name: tuple(classes.index(part) for part in parts) for name, parts in named.items()}


_GREAT_TISSUES: Mapping[str, Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "CT": {
            "air": ("gas", "lung"),
            "fat": ("fat",),
            "soft tissue": ("fluid", "soft_tissue", "enhanced"),
            "bone": ("spongy_bone", "cortical_bone"),
        }
    }
)


@dataclass
class _Patient:
    rows: list[Mapping[str, float]] = field(default_factory=list)
    calibration: dict[str, Calibration] = field(default_factory=dict)

    def figures(self) -> dict[str, float]:
        """Return the mean of each figure over the patient's cases."""
        names = sorted({name for row in self.rows for name in row})
        out = {}
        for name in names:
            values = [row[name] for row in self.rows if np.isfinite(row.get(name, np.nan))]
            out[name] = float(np.mean(values)) if values else float("nan")
        return out


@dataclass
class Evaluation:
    """Figures of several arms under several conditions.

    Parameters
    ----------
    family : str
    classes : tuple of str
    style : str
        Palette of the colour errors.
    levels : mapping of str to str
        Line of the degraded table to its severity: "low", "middle", "high".
    tissue : bool
        Whether every arm says which tissue is where; of those that give colours alone little is asked.
    """

    family: str
    classes: tuple[str, ...]
    style: str
    levels: Mapping[str, str] = field(default_factory=dict)
    tissue: bool = True
    _found: dict[tuple[str, str], dict[str, _Patient]] = field(default_factory=dict, repr=False)

    def add(
        self,
        condition: str,
        arm: str,
        patient: str,
        figures: Mapping[str, float],
        calibration: Mapping[str, Calibration] | None,
    ) -> None:
        """Enter one case."""
        entry = self._found.setdefault((condition, arm), {}).setdefault(patient, _Patient())
        entry.rows.append(dict(figures))
        for name, counts in (calibration or {}).items():
            entry.calibration[name] = entry.calibration[name] + counts if name in entry.calibration else counts

    @property
    def arms(self) -> tuple[str, ...]:
        """Arms in the order they came."""
        return tuple(dict.fromkeys(arm for _, arm in self._found))

    def figures(self, arm: str, condition: str = CLEAN) -> dict[str, dict[str, float]]:
        """Return {patient: {name: figure}}."""
        return {who: entry.figures() for who, entry in self._found.get((condition, arm), {}).items()}

    def interval(self, name: str, arm: str, condition: str = CLEAN) -> Interval:
        """Return a figure averaged over patients; calibration errors are pooled over pixels instead."""
        entries = self._found.get((condition, arm), {})
        if name in CALIBRATIONS:
            counts = [entries[who].calibration[name] for who in sorted(entries) if name in entries[who].calibration]
            table = np.array([np.concatenate([c.count, c.confidence, c.hit]) for c in counts]).reshape(-1, 3 * BINS)
            return bootstrap(table, _pooled_ece) if counts else Interval(np.nan, np.nan, np.nan, 0)
        return bootstrap(by_patient(self.figures(arm, condition), name))

    def ratio(self, arm: str, name: str, other_arm: str, other_name: str | None = None) -> Interval:
        """Return the ratio of the means of two clean figures, patients paired."""
        return bootstrap(self._pair(arm, name, other_arm, other_name or name), ratio_of_means)

    def _pair(self, arm: str, name: str, other_arm: str, other_name: str) -> Floats:
        ours, theirs = self.figures(arm), self.figures(other_arm)
        return np.array(
            [(ours[p].get(name, np.nan), theirs.get(p, {}).get(other_name, np.nan)) for p in sorted(ours)]
        ).reshape(-1, 2)

    def degraded_means(self, arm: str, level: str = MIDDLE) -> dict[str, float]:
        """Return each patient's colour error averaged over the table's conditions of one level."""
        chosen = [name for name, this in self.levels.items() if this == level]
        tables = [self.figures(arm, name) for name in chosen]
        patients = sorted(set.intersection(*(set(t) for t in tables))) if tables else []
        return {p: float(np.mean([t[p]["error"] for t in tables])) for p in patients}

    def bars(self, arm: str = "learned", baseline: str = "physics") -> list[Bar]:
        """Return the bars that figures of this kind decide, in the order of their numbers."""
        if not self.tissue:
            return [
                Bar("part of gray's own error", self.ratio(arm, "error", arm, "gray_error"), 1.0),
                Bar("flicker, part of the target's", self.ratio(arm, "flicker", arm, "target_flicker"), 1.3),
            ]
        bars = [
            Bar("1 CIEDE2000 to the target", self.interval("error", arm), 2.0),
            Bar("1 part of gray's own error", self.ratio(arm, "error", arm, "gray_error"), 0.20),
        ]
        for name in groups_of(self.family, self.classes):
            dice = self.interval(f"dice of {name}", arm)
            if dice.patients:
                bars.append(Bar(f"1 posterior Dice, {name}", dice, 0.85, at_least=True))
        ours, theirs = self.degraded_means(arm), self.degraded_means(baseline)
        both = np.array([(ours[p], theirs[p]) for p in sorted(set(ours) & set(theirs))]).reshape(-1, 2)
        above = bootstrap(self._pair(arm, "error", baseline, "error"), difference_of_means)
        return [
            *bars,
            Bar(f"2 degraded, middle level, part of {baseline}", bootstrap(both, ratio_of_means), 0.5),
            Bar(f"2 clean, above {baseline}", above, 1.0),
            *([Bar("2 units lost entirely", self.interval("error", arm, LOST), 4.0)] if LOST in self.levels else []),
            Bar("3 calibration error", self.interval("ece", arm), 0.05),
            Bar("3 calibration error, soft hits", self.interval("ece_soft", arm), 0.05),
            Bar("3 error of the most confident 80 %", self.interval("risk", arm), 0.7),
            Bar(f"4 flicker, part of {baseline}", self.ratio(arm, "flicker", baseline), 0.7),
            Bar("4 flicker, part of the target's", self.ratio(arm, "flicker", arm, "target_flicker"), 1.3),
            Bar("5 edge error, part of the 1/4 floor", self.ratio(arm, "edge_error", arm, "edge_floor"), 1.0),
        ]

    def to_json(self) -> dict[str, Any]:
        """Return intervals of everything, and the bars. Patients are counted, not named."""
        clean: dict[str, Any] = {}
        for arm in self.arms:
            clean[arm] = {name: self.interval(name, arm).to_json() for name in FIGURES}
            clean[arm]["dice"] = {c: self.interval(f"dice {n}", arm).to_json() for n, c in enumerate(self.classes)}
        degraded = {
            condition: {"level": level} | {arm: self.interval("error", arm, condition).to_json() for arm in self.arms}
            for condition, level in self.levels.items()
        }
        bars = [
            {"bar": b.name, "found": b.found.to_json(), "limit": b.limit, "at_least": b.at_least, "met": b.met}
            for b in (self.bars(self.arms[0]) if self.arms else [])
        ]
        return {"family": self.family, "palette": self.style, "clean": clean, "degraded": degraded, "bars": bars}

    def to_markdown(self) -> str:
        """Return the bars, the clean figures and the degraded table as Markdown, intervals by patient."""
        if not self.arms:
            return "Nothing was evaluated.\n"
        first = self.arms[0]
        lines = [f"# {self.family}: {first}", "", "| bar | found [95 %] | limit | kept |", "|---|---|---|---|"]
        for bar in self.bars(first):
            sign, kept = (">=" if bar.at_least else "<="), {True: "yes", False: "no", None: "not measured"}[bar.met]
            lines.append(f"| {bar.name} | {bar.found:.3f} | {sign} {bar.limit:g} | {kept} |")
        lines += ["", "## Clean input", "", _row("figure", *self.arms), _row(*["---"] * (len(self.arms) + 1))]
        lines += [_row(name, *(f"{self.interval(name, arm):.3f}" for arm in self.arms)) for name in FIGURES]
        lines += [
            _row(f"Dice {name}", *(f"{self.interval(f'dice {n}', arm):.3f}" for arm in self.arms))
            for n, name in enumerate(self.classes)
            if n
        ]
        if self.levels:
            lines += ["", "## Degraded input, CIEDE2000", "", _row("input", *self.arms)]
            lines.append(_row(*["---"] * (len(self.arms) + 1)))
        for name in self.levels:
            lines.append(_row(name, *(f"{self.interval('error', arm, name):.2f}" for arm in self.arms)))
        return "\n".join(lines) + "\n"

    def write(self, folder: Path) -> list[Path]:
        """Write ``evaluation.json`` and ``evaluation.md``."""
        from medcolor.io.atomic import atomic_files

        contents = {
            folder / "evaluation.json": json.dumps(self.to_json(), indent=2) + "\n",
            folder / "evaluation.md": self.to_markdown(),
        }
        with atomic_files(contents, force=True) as files:
            for path, text in contents.items():
                with files.open(path) as stream:
                    stream.write(text.encode())
        return list(contents)


def _row(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


def _pooled_ece(columns: Floats) -> Floats:
    """Pool the pixels of all patients drawn; (..., patients, 3 * bins) to the calibration error (...)."""
    count, confidence, hit = np.split(columns.sum(axis=-2), 3, axis=-1)
    return np.abs(confidence - hit).sum(axis=-1) / np.maximum(count.sum(axis=-1), 1)
