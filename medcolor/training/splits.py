"""Who trains and who tests: by patient, never by slice, and the same patient always on the same side."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping

from medcolor.errors import TrainingError

SPLITS = ("train", "val", "test")
_ENDS = (0.7, 0.8, 1.0)
_MIDDLES = {"train": 0.35, "val": 0.75, "test": 0.9}


def place_of(patient: str) -> float:
    """Return a number in [0, 1) that depends on the patient's name alone."""
    return int.from_bytes(hashlib.sha256(patient.encode()).digest()[:4], "big") / 2**32


def split_patients(patients: Iterable[str], known: Mapping[str, str] | None = None) -> dict[str, str]:
    """Assign patients to "train" (70 %), "val" (10 %) and "test" (20 %).

    A patient's side follows from the name, so the same patient in another folder, or after others were added, is on
    the same side. Only where that leaves a side empty, of three patients or more (two: no test), does the patient
    nearest to it change over.

    Parameters
    ----------
    patients : iterable of str
    known : Mapping of str to str, optional
        Assignments that stand.

    Returns
    -------
    dict of str to str
    """
    known = known or {}
    names = sorted(set(patients))
    sides = {name: known.get(name) or next(s for s, e in zip(SPLITS, _ENDS, strict=True) if place_of(name) < e)
             for name in names}  # fmt: skip
    free = sorted((name for name in names if name not in known), key=place_of)
    needed = SPLITS[: len(names)]
    for side in needed:
        counts = Counter(sides.values())
        spare = [name for name in free if sides[name] not in needed or counts[sides[name]] > 1]
        if not counts[side] and spare:
            sides[min(spare, key=lambda name: abs(place_of(name) - _MIDDLES[side]))] = side
    return sides


def merged(splits: Mapping[str, Mapping[str, Iterable[str]]]) -> dict[str, dict[str, str]]:
    """Turn {source: {split: patients}} into {source: {patient: split}}.

    Raises
    ------
    TrainingError
        A side that is none, or a patient on two sides.
    """
    out: dict[str, dict[str, str]] = {}
    sides: dict[str, str] = {}
    for source, parts in splits.items():
        out[source] = {}
        for side, patients in parts.items():
            if side not in SPLITS:
                raise TrainingError(f'Splits of {source}: "{side}" is none of {", ".join(SPLITS)}.')
            for patient in patients:
                if sides.setdefault(patient, side) != side:
                    raise TrainingError(
                        f"Splits of {source}: a patient is in {side} here and in {sides[patient]} elsewhere. The same "
                        "patient must be on one side everywhere."
                    )
                out[source][patient] = side
    return out
