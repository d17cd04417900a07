"""The data of a training: patients on three sides, their targets made once and kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from medcolor.errors import TrainingError
from medcolor.training.datasets import TissueDataset
from medcolor.training.sources import find_cases

if TYPE_CHECKING:
    from medcolor.training.datasets import Case
    from medcolor.training.recipe import Recipe


def datasets(
    recipe: Recipe,
    data: Path | str | None,
    output: Path,
    *,
    neighbors: bool,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, TissueDataset]:
    """Return the sides that a recipe needs, with all targets made: "train", "val", and "test" if it measures.

    Parameters
    ----------
    recipe : Recipe
        Its ``data`` says what is taken of what is found, where targets are kept (``cache``) and from how many
        ``patients`` at most.
    data : Path, optional
    output : Path
        Targets are kept here unless the recipe has another place.
    neighbors : bool
        Whether training samples bring the next slice.
    progress : callable, optional
        Called with (scans done, scans in all).

    Raises
    ------
    TrainingError
        No data, or no patients on a side.
    """
    wanted = dict(recipe.get("data", {}))
    cache = Path(wanted.pop("cache", None) or output / "targets")
    limit = wanted.pop("patients", None)
    try:
        cases = find_cases(data, family=recipe.family, **wanted)
    except TypeError as error:
        raise TrainingError(f"data: {error}") from error
    needed = ["train", "val"] + (["test"] if recipe.get("evaluation") is not None else [])
    sides = {}
    for side in needed:
        patients = _fewest_slices([case for case in cases if case.split == side], limit)
        if not patients:
            raise TrainingError(
                f"No {side} patients of {recipe.family} in the data: training needs patients to learn from, others to "
                "stop by, and others again to be measured on."
            )
        chosen = [case for case in cases if case.split == side and case.patient in patients]
        sides[side] = TissueDataset(chosen, cache=cache, neighbors=neighbors and side == "train")
    total, done = sum(len(d.cases) for d in sides.values()), 0
    for dataset in sides.values():
        start = done
        dataset.prepare(None if progress is None else lambda n, _, start=start: progress(start + n, total))  # type: ignore[misc]
        done += len(dataset.cases)
    return sides


def _fewest_slices(cases: Sequence[Case], limit: int | None) -> set[str]:
    """Return the patients, or so many of them, those with the fewest slices: what a quick look should cost least."""
    slices: dict[str, int] = {}
    for case in cases:
        slices[case.patient] = slices.get(case.patient, 0) + case.slices
    ordered = sorted(slices, key=lambda patient: (slices[patient], patient))
    return set(ordered if limit is None else ordered[: int(limit)])


__all__ = ["datasets"]
