"""What a study is made of: a YAML file, and the cells it asks for."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medcolor.comparison.cells import TIERS, Cell
from medcolor.errors import SettingError

ALL, NO_LABELS = -1, 0
GRAY, AGAIN = "gray", "gray_again"
_KEYS = {"name", "about", "tasks", "arms", "size", "tolerance_mm", "tiers"}
_TIER_KEYS = {"segmenters", "budgets", "seeds", "tasks", "arms", "patients", "slices", "options"}
_EACH = "each"


@dataclass(frozen=True, slots=True)
class TierPlan:
    """One tier of a study.

    Parameters
    ----------
    tier : str
        One of TIERS.
    segmenters, tasks, arms : tuple of str
    budgets : tuple of int
        Numbers of labelled patients; ALL for all there are. (NO_LABELS,) where nothing is trained.
    seeds : Mapping of int to int
        How many, by budget.
    options : Mapping
        Handed to the tier: steps, clicks and the like. Plain YAML values.
    patients, slices : int or None
        At most so many test patients of a task, and slices of each; None: all.
    """

    tier: str
    segmenters: tuple[str, ...]
    tasks: tuple[str, ...]
    arms: tuple[str, ...]
    budgets: tuple[int, ...]
    seeds: Mapping[int, int]
    options: Mapping[str, Any]
    patients: int | None = None
    slices: int | None = None


@dataclass(frozen=True, slots=True)
class Study:
    """A whole study as planned.

    Parameters
    ----------
    name, about : str
    tiers : tuple of TierPlan
    size : int
        Side of the square that every slice is brought to.
    tolerance_mm : float
        Of the surface Dice.
    digest : str
        sha256 of the file it was read from.
    """

    name: str
    about: str
    tiers: tuple[TierPlan, ...]
    size: int = 128
    tolerance_mm: float = 2.0
    digest: str = ""

    def cells(self, *, only: str | None = None) -> list[Cell]:
        """Return all cells; all arms of a seed come before the next seed, so that what stops early can be paired.

        Raises
        ------
        SettingError
            ``only`` is no tier of this study.
        """
        there = [plan.tier for plan in self.tiers]
        if only is not None and only not in there:
            raise SettingError(f'This study has no tier "{only}"; it has {", ".join(there)}.')
        return [cell for plan in self.tiers if only in {None, plan.tier} for cell in _cells(plan)]

    def tier(self, name: str) -> TierPlan:
        """Return the plan of one tier."""
        return next(plan for plan in self.tiers if plan.tier == name)

    @property
    def tasks(self) -> tuple[str, ...]:
        """All tasks, in order."""
        return tuple(dict.fromkeys(task for plan in self.tiers for task in plan.tasks))

    @property
    def arms(self) -> tuple[str, ...]:
        """All arms, in order."""
        return tuple(dict.fromkeys(arm for plan in self.tiers for arm in plan.arms))


def _cells(plan: TierPlan) -> Iterator[Cell]:
    for task in plan.tasks:
        for budget in plan.budgets:
            for seed in range(plan.seeds[budget]):
                for segmenter in plan.segmenters:
                    for arm in plan.arms:
                        yield Cell(task, plan.tier, segmenter, arm, budget, seed)


def load_study(path: Path) -> Study:
    """Read a study.

    Raises
    ------
    SettingError
        No such file, no YAML, or a setting that is missing, unknown or of another kind.
    """
    import yaml

    try:
        text = path.read_text(encoding="utf-8")
        content = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(
            f"{path}: cannot be read ({type(error).__name__}). Give the YAML file of a study."
        ) from error
    except yaml.YAMLError as error:
        raise SettingError(
            f"{path}: no YAML. Give the YAML file of a study, such as configs/studies/demo.yaml."
        ) from error
    return read_study(content, str(path), digest=hashlib.sha256(text.encode()).hexdigest())


def read_study(content: object, where: str, *, digest: str = "") -> Study:
    """Check the content of a file; ``where`` names it in messages.

    Raises
    ------
    SettingError
    """
    told = _Told(content, where, _KEYS)
    tasks, arms = told.names("tasks"), told.names("arms")
    tiers = told.content.get("tiers")
    if not isinstance(tiers, dict) or not tiers or set(tiers) - set(TIERS):
        raise SettingError(f'{where}: "tiers" must name some of {", ".join(TIERS)}, each with its settings.')
    plans = tuple(_tier(name, tiers[name], f"{where}: {name}", tasks, arms) for name in TIERS if name in tiers)
    return Study(
        told.text("name"),
        told.text("about", ""),
        plans,
        told.count("size", 128) or 128,
        told.number("tolerance_mm", 2.0),
        digest,
    )


def _tier(tier: str, content: object, where: str, tasks: tuple[str, ...], arms: tuple[str, ...]) -> TierPlan:
    told = _Told({} if content is None else content, where, _TIER_KEYS)
    chosen = told.names("arms") if "arms" in told.content else arms
    if GRAY not in chosen:
        raise SettingError(f'{where}: the arms must have "{GRAY}": everything is compared with it.')
    learned = tier == "learned"
    if not learned and "budgets" in told.content:
        raise SettingError(f'{where}: only the learned tier has "budgets".')
    budgets = _budgets(told.content.get("budgets", ["all"]), where) if learned else (NO_LABELS,)
    options = told.content.get("options", {})
    if not isinstance(options, dict):
        raise SettingError(f'{where}: "options" must be a mapping.')
    return TierPlan(
        tier,
        told.names("segmenters"),
        told.names("tasks") if "tasks" in told.content else tasks,
        chosen,
        budgets,
        _seeds(told.content.get("seeds", 1), budgets, where),
        dict(options),
        told.count("patients"),
        told.count("slices"),
    )


def _budgets(values: object, where: str) -> tuple[int, ...]:
    if not isinstance(values, list) or not values:
        raise SettingError(f'{where}: "budgets" must be a list such as [1, 2, 4, all].')
    found = [ALL if value == "all" else value for value in values]
    if any(not isinstance(v, int) or isinstance(v, bool) or (v < 1 and v != ALL) for v in found):
        raise SettingError(f'{where}: a budget is a number of patients from 1, or "all".')
    return tuple(dict.fromkeys(found))


def _seeds(value: object, budgets: Sequence[int], where: str) -> dict[int, int]:
    """Return how many seeds each budget has, from one number, or from {budget: number, each: number}."""
    by_budget = value if isinstance(value, dict) else {_EACH: value}
    found = {}
    for budget in budgets:
        count = by_budget.get("all" if budget == ALL else budget, by_budget.get(_EACH))
        if not isinstance(count, int) or isinstance(count, bool) or count < 1:
            raise SettingError(
                f'{where}: "seeds" must be a number from 1, or one for each budget, such as {{1: 8, 2: 8, {_EACH}: 4}}.'
            )
        found[budget] = count
    unknown = set(by_budget) - {_EACH} - {"all" if b == ALL else b for b in budgets}
    if unknown:
        raise SettingError(f'{where}: "seeds" names budgets that are not there: {", ".join(map(str, unknown))}.')
    return found


class _Told:
    """A mapping of a YAML file, asked key by key."""

    def __init__(self, content: object, where: str, known: set[str]) -> None:
        if not isinstance(content, dict):
            raise SettingError(f"{where}: a mapping is expected, with {', '.join(sorted(known))}.")
        unknown = [str(key) for key in content if key not in known]
        if unknown:
            raise SettingError(f"{where}: unknown {', '.join(unknown)}. Known: {', '.join(sorted(known))}.")
        self.content, self.where = content, where

    def names(self, key: str) -> tuple[str, ...]:
        value = self.content.get(key)
        if not isinstance(value, list) or not value or not all(isinstance(name, str) for name in value):
            raise SettingError(f'{self.where}: "{key}" must be a list of names.')
        if len(set(value)) < len(value):
            raise SettingError(f'{self.where}: "{key}" names something twice.')
        return tuple(value)

    def text(self, key: str, default: str | None = None) -> str:
        value = self.content.get(key, default)
        if not isinstance(value, str):
            raise SettingError(f'{self.where}: "{key}" must be a text.')
        return value

    def count(self, key: str, default: int | None = None) -> int | None:
        value = self.content.get(key, default)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
            raise SettingError(f'{self.where}: "{key}" must be a number from 1.')
        return value

    def number(self, key: str, default: float) -> float:
        value = self.content.get(key, default)
        if not isinstance(value, int | float) or isinstance(value, bool) or not value > 0:
            raise SettingError(f'{self.where}: "{key}" must be a number above 0.')
        return float(value)


def budget_text(budget: int) -> str:
    """Return a budget as it is written: "none", "all" or the number."""
    return {ALL: "all", NO_LABELS: "none"}.get(budget, str(budget))


__all__ = ["AGAIN", "ALL", "GRAY", "NO_LABELS", "Study", "TierPlan", "budget_text", "load_study", "read_study"]
