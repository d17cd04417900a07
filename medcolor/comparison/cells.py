"""The unit of a study: one arm, one segmenter, one label budget, one seed; measured once and kept."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medcolor.io.atomic import atomic_files

TIERS = ("classical", "interactive", "learned")


@dataclass(frozen=True, slots=True, order=True)
class Cell:
    """What is computed at once.

    Parameters
    ----------
    task, tier, segmenter, arm : str
        ``tier`` is one of TIERS.
    budget : int
        How many training patients have labels; 0 where nothing is trained, -1 for all there are.
    seed : int
        Draws the training patients and everything in the training. Arms of one seed share the patients.
    """

    task: str
    tier: str
    segmenter: str
    arm: str
    budget: int = 0
    seed: int = 0

    def __str__(self) -> str:
        labels = {0: "", -1: " all"}.get(self.budget, f" {self.budget}")
        return f"{self.task} {self.tier}/{self.segmenter} {self.arm}{labels} #{self.seed}"


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of one patient.

    Parameters
    ----------
    patient : str
    metric : str
        Such as "dice", the mean over the labels of the task, or "dice:LABEL".
    value : float
        NaN where the rule of the metric says that there is none.
    """

    patient: str
    metric: str
    value: float


@dataclass(frozen=True, slots=True)
class Shown:
    """One slice of one patient as a cell segmented it; for the pictures of the local report.

    Parameters
    ----------
    patient : str
    k : int
        The slice.
    labels : ndarray of uint8, (nj, ni)
    """

    patient: str
    k: int
    labels: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a cell gave.

    Parameters
    ----------
    rows : tuple of Row
    seconds : float
    facts : Mapping of str to str
        What the report says of it: device, steps, remarks.
    shown : tuple of Shown
    """

    rows: tuple[Row, ...]
    seconds: float = 0.0
    facts: Mapping[str, str] = field(default_factory=dict)
    shown: tuple[Shown, ...] = ()

    def values(self, metric: str) -> dict[str, float]:
        """Return {patient: value} of one metric."""
        return {row.patient: row.value for row in self.rows if row.metric == metric}

    def to_json(self) -> dict[str, Any]:
        """Return what is kept; NaN as null."""
        return {
            "rows": [[r.patient, r.metric, None if np.isnan(r.value) else float(r.value)] for r in self.rows],
            "seconds": round(self.seconds, 3),
            "facts": dict(self.facts),
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any], shown: Iterable[Shown] = ()) -> Outcome:
        """Invert :meth:`to_json`."""
        rows = (Row(str(p), str(m), float("nan") if v is None else float(v)) for p, m, v in record["rows"])
        facts = {str(key): str(value) for key, value in record["facts"].items()}
        return cls(tuple(rows), float(record["seconds"]), facts, tuple(shown))


@dataclass(frozen=True)
class CellStore:
    """A folder of finished cells, each under a hash of everything it depends on.

    Parameters
    ----------
    folder : Path
        Made when something is kept. It holds pseudonyms and outlines of patients: not for a repository.
    """

    folder: Path

    def has(self, key: str) -> bool:
        """Whether a cell is there and whole."""
        return self._read(key) is not None

    def find(self, key: str) -> Outcome | None:
        """Return a finished cell; None where there is none, or where it is damaged and must be measured again."""
        if (record := self._read(key)) is None:
            return None
        try:
            return Outcome.from_json(record["outcome"], self._shown(key))
        except (KeyError, TypeError, ValueError):
            return None

    def keep(self, key: str, cell: Cell, outcome: Outcome, depends: Mapping[str, Any]) -> None:
        """Keep a cell: all of it, or nothing."""
        record = {"cell": asdict(cell), "depends": dict(depends), "outcome": outcome.to_json()}
        path, pictures = self.folder / f"{key}.json", self.folder / f"{key}.npz"
        arrays: dict[str, Any] = {f"{place:04d}": one.labels for place, one in enumerate(outcome.shown)}
        names = np.array([[one.patient, str(one.k)] for one in outcome.shown], dtype=str)
        with atomic_files([pictures, path], force=True) as files:
            with files.open(pictures) as stream:
                np.savez_compressed(stream, names=names, **arrays)
            with files.open(path) as stream:
                stream.write((json.dumps(record, allow_nan=False) + "\n").encode())

    def _read(self, key: str) -> dict[str, Any] | None:
        try:
            found = json.loads((self.folder / f"{key}.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) and "outcome" in found else None

    def _shown(self, key: str) -> Sequence[Shown]:
        try:
            with np.load(self.folder / f"{key}.npz", allow_pickle=False) as kept:
                named = enumerate(kept["names"].reshape(-1, 2).tolist())
                return [Shown(str(patient), int(k), kept[f"{place:04d}"]) for place, (patient, k) in named]
        except (OSError, ValueError, KeyError):
            return ()  # pictures are a courtesy; the figures are what counts


def key_of(cell: Cell, depends: Mapping[str, Any]) -> str:
    """Return the name a cell is kept under: a hash of the cell and of all that its figures depend on.

    ``depends`` must be plain JSON: identities of task and arm, the code, the settings.
    """
    text = json.dumps({"cell": asdict(cell), "depends": depends}, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


__all__ = ["TIERS", "Cell", "CellStore", "Outcome", "Row", "Shown", "key_of"]
