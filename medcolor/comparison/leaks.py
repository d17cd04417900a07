"""Whether a colorizer saw those it would be judged on: from its model card, never from trust.

A card counts patients and names none, but holds a hash of who was on which side. The data it names are here, so the
hash can be made again: where it comes out the same, the training patients are known by name. Where it does not, they
are not known, and the colorizer may judge nobody of that data.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medcolor.bundle_files import BundleCard
from medcolor.comparison.tasks import Task
from medcolor.errors import LeakError, MedcolorError
from medcolor.training.packs import PACKS, packs_folder

if TYPE_CHECKING:
    from medcolor.training.datasets import Case

_SHARED = ("sts_ct", "sts_mr_t1", "sts_pet")
"""Packs of the same patients: who trained on one of them was seen, whatever the modality."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a colorizer saw of a task.

    Parameters
    ----------
    patients : int
        Of the task, in training or in the choice of the best step; none of them is tested here.
    labels : tuple of str
        Expert masks of the task's own data that took part in its targets: the arm must be compared with a control
        that had the same labels.
    """

    patients: int = 0
    labels: tuple[str, ...] = ()

    @property
    def note(self) -> str:
        """What a report says of it; "" where it saw nothing."""
        if self.labels:
            return f"its colorizer saw labels of this task's training patients ({', '.join(self.labels)})"
        return f"its colorizer saw {self.patients} of this task's training patients, no labels" if self.patients else ""


NOTHING = Seen()


def seen_by(card: BundleCard, task: Task, data: Path | str | None = None) -> Seen:
    """Return what a bundle saw of a task.

    Parameters
    ----------
    card : BundleCard
    task : Task
    data : Path, optional
        The folder of packs.

    Raises
    ------
    LeakError
        It saw a patient of the test side; or its card does not let one know.
    """
    training = card.metadata["medcolor"].get("training")
    if not isinstance(training, Mapping) or not isinstance(training.get("data"), Sequence):
        raise LeakError(
            f"{card.name}: its card does not say what it was trained on, so it cannot be shown that no test patient of "
            f"{task.name} was in it. Train it with medcolor train, which writes that."
        )
    names = [str(source.get("name", "")) for source in training["data"] if isinstance(source, Mapping)]
    if not (related := [name for name in names if _related(name, task)]):
        return NOTHING
    sides = _sides(card, names, str(training.get("split_sha256", "")), data)
    if sides is None:
        raise LeakError(
            f"{card.name} was trained on {', '.join(related)}, and who was on which side there cannot be told from its "
            f"card: the hash of its split is not that of this data. It cannot be judged on {task.name}."
        )
    used = {patient for (name, patient), side in sides.items() if name in related and side != "test"}
    if leaked := used & set(task.patients("test")):
        raise LeakError(
            f"{card.name} saw {len(leaked)} of the {len(task.patients('test'))} test patients of {task.name} in its "
            "training: what it gains there is memory. Train it on the other patients."
        )
    masks = training.get("labels", {}).get("expert_masks", [])
    own = tuple(sorted({str(mask) for mask in masks} & set(task.labels.values())))
    return Seen(len(used & set(task.patients("train") + task.patients("val"))), own)


def _related(name: str, task: Task) -> bool:
    """Whether data of a card may hold patients of a task. Data without a name of their own may be anybody's."""
    if name.startswith("simulated"):
        return False
    if name == task.source or {name, task.source} <= set(_SHARED):
        return True
    return not name or (name not in PACKS and task.source not in PACKS)


def _sides(
    card: BundleCard, names: Iterable[str], expected: str, data: Path | str | None
) -> Mapping[tuple[str, str], str] | None:
    """Return (pack, patient) -> side of a training, None where the card's hash is of another split."""
    if any(name not in PACKS for name in names):
        return None
    try:
        cases = _cases(str(packs_folder(data)), card.family, tuple(sorted(names)))
    except MedcolorError:
        return None
    told: dict[str, list[Any]] = {}
    for case in cases:
        told.setdefault(case.split, []).append((case.key, case.slices))
    found = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
    return {(case.source, case.patient): case.split for case in cases} if found == expected else None


@lru_cache(maxsize=16)
def _cases(folder: str, family: str, names: tuple[str, ...]) -> Sequence[Case]:
    """Return the cases of a training in the order it had them: that of the packs."""
    from medcolor.training.sources import pack_cases

    order = tuple(name for name in PACKS if name in names)
    return pack_cases(Path(folder), family=family, packs=order, shipped=False)


__all__ = ["NOTHING", "Seen", "seen_by"]
