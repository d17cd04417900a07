"""The whole benchmark: modality by modality, method by method; what was measured before is not measured again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from medcolor.benchmarking.colorizers import costs as costs_module
from medcolor.benchmarking.colorizers import figures, hints, rows, views
from medcolor.benchmarking.colorizers.arms import Arm, code_hash
from medcolor.benchmarking.colorizers.asked import Modality, Request, arms_expected, find_modality
from medcolor.benchmarking.colorizers.bundle_arms import ChromaArm
from medcolor.benchmarking.colorizers.cells import Cells
from medcolor.benchmarking.colorizers.costs import ROUNDS, SIDE, UNIT_SIDE, Costs, measure_costs
from medcolor.benchmarking.colorizers.hints import HintCurve, measure_hints, takes_hints
from medcolor.benchmarking.colorizers.rows import Row, measure, paint
from medcolor.benchmarking.colorizers.table import MEASURED, NOBODY, NOT_CHOSEN, NOT_TRAINED, Entry, Table
from medcolor.benchmarking.colorizers.views import chosen_cases, slices_expected
from medcolor.errors import TrainingError

Progress = Callable[[int, int], None]
_COSTS_STEPS = 20  # what the costs of an arm count beside its slices in the progress


@dataclass(frozen=True, eq=False)
class Shown:
    """One slice of a modality as each method shows it.

    Attributes
    ----------
    family, caption : str
    pictures : dict of str to ndarray of uint8 (nj, ni, 3)
        By method, and the target.
    """

    family: str
    caption: str
    pictures: Mapping[str, NDArray[np.uint8]]


def benchmark(request: Request, *, progress: Progress | None = None) -> tuple[Table, list[Shown]]:
    """Measure; return the table and a picture of each pair.

    Parameters
    ----------
    request : Request
    progress : callable, optional
        Called with (steps done, steps in all); a step is about a slice coloured and measured. Raise from it to
        cancel: what is measured is kept.

    Raises
    ------
    TrainingError
        There are no test patients of any modality.
    BundleError
        A bundle is damaged.
    """
    for code in (_row_code, _hint_code, _cost_code):
        code()  # of what runs now, should somebody change a file meanwhile
    cells, count = Cells(request.cells), _Count(sum(_steps(request, f) for f in request.families), progress)
    entries: list[Entry] = []
    shown: list[Shown] = []
    problem = ""
    for family in request.families:  # one modality in memory at a time
        modality = find_modality(request, family, cells)
        problem = problem or modality.problem
        entries += _entries(modality, request, cells, count)
        if modality.views:
            shown.append(_pictures(modality))
    if not shown:
        raise TrainingError(f"No test patients. {problem}")
    count.finish()
    return Table(entries, tuple(_facts(entries, request))), shown


class _Count:
    """How far a run is."""

    def __init__(self, total: int, tell: Progress | None) -> None:
        self._done, self._total, self._tell = 0, total, tell

    def __call__(self, steps: int = 1) -> None:
        self._done = min(self._done + steps, self._total)
        if self._tell is not None:
            self._tell(self._done, self._total)

    def finish(self) -> None:
        self(self._total)


def _steps(request: Request, family: str) -> int:
    """Return about how much there is to do; nothing is loaded for it."""
    try:
        cases = chosen_cases(request.data, family, "test", request.patients, request.slices)
    except TrainingError:
        return 0
    return arms_expected(request, family) * (slices_expected(cases) + (_COSTS_STEPS if request.costs else 0))


def _entries(modality: Modality, request: Request, cells: Cells, count: _Count) -> Iterator[Entry]:
    family, source = modality.family, ", ".join(sorted({view.source for view in modality.views}))
    found: dict[str, Entry] = {}
    for method, arm in modality.arms.items():
        row = _row(arm, modality, cells, count)
        curve = _curve(arm, modality, cells, count)
        found[method] = Entry(method, family, MEASURED, arm.title, source, row, None, curve)
    if request.costs and modality.arms:
        for method, spent in _costs(modality, cells, count).items():
            found[method] = replace(found[method], costs=spent)
    for method in dict.fromkeys((*request.methods, *found)):
        status = NOBODY if not modality.views else NOT_CHOSEN if method == "lut" else NOT_TRAINED
        yield found.get(method) or Entry(method, family, status, modality.missing[method], source)


@cache
def _row_code() -> str:
    """Return a hash of everything that makes a figure."""
    from medcolor import cielab, color_gather, color_law, color_table, vision, vision_models
    from medcolor.networks import log_chroma
    from medcolor.training import metrics

    colors = (cielab, color_gather, color_law, color_table, vision, vision_models)
    return code_hash(rows, figures, views, *colors, log_chroma, metrics)


@cache
def _hint_code() -> str:
    return _row_code() + code_hash(hints)


@cache
def _cost_code() -> str:
    return code_hash(costs_module)


def _row(arm: Arm, modality: Modality, cells: Cells, count: _Count) -> Row:
    depends, name = (arm.identity, modality.identity, _row_code()), f"{modality.family}-{arm.method}-row"
    if (record := cells.find(name, *depends)) is not None:
        count(sum(len(view.slices) for view in modality.views))
        return Row.from_json(record)
    row = measure(arm, modality.views, modality.weights, progress=count)
    cells.keep(name, row.to_json(), *depends)
    return row


def _curve(arm: Arm, modality: Modality, cells: Cells, count: _Count) -> HintCurve | None:
    if not isinstance(arm, ChromaArm) or not takes_hints(arm):
        return None
    depends = (arm.identity, modality.identity, _hint_code())
    name = f"{modality.family}-{arm.method}-hints"
    if (record := cells.find(name, *depends)) is not None:
        return HintCurve.from_json(record)
    curve = measure_hints(arm, modality.views, progress=lambda: count(0))
    cells.keep(name, curve.to_json(), *depends)
    return curve


def _costs(modality: Modality, cells: Cells, count: _Count) -> dict[str, Costs]:
    """Return costs; those that are missing are measured side by side."""
    import platform

    import torch

    machine = f"{platform.node()} {platform.processor()} {torch.get_num_threads()} {torch.__version__}"
    code, found, missing = _cost_code(), dict[str, Costs](), []
    for method, arm in modality.arms.items():
        record = cells.find(f"{modality.family}-{method}-costs", arm.identity, code, machine)
        if record is None:
            missing.append(arm)
        else:
            found[method] = Costs(**record)
            count(_COSTS_STEPS)
    if missing:
        measured = measure_costs(missing, modality.family, progress=lambda: count(_COSTS_STEPS))
        for arm, spent in zip(missing, measured, strict=True):
            found[arm.method] = spent
            cells.keep(f"{modality.family}-{arm.method}-costs", spent.to_json(), arm.identity, code, machine)
    return found


def _pictures(modality: Modality) -> Shown:
    """Show the slice with most of a body of the middle patient."""
    view = modality.views[len(modality.views) // 2]
    place = int(view.body.sum(axis=(1, 2)).argmax())
    one = views.one_slice(view, place)
    pictures = {method: paint(arm, one).rgb[0] for method, arm in modality.arms.items()}
    caption = f"{view.source}, test patient {len(modality.views) // 2 + 1} of {len(modality.views)} scans"
    return Shown(modality.family, caption, pictures | {"target": one.target_rgb[0]})


def _facts(entries: Sequence[Entry], request: Request) -> Iterator[str]:
    measured = [entry for entry in entries if entry.row is not None]
    pixels = sum(entry.row.pixels for entry in measured if entry.row)
    broken = sum(entry.row.broken for entry in measured if entry.row)
    broken += sum(entry.costs.broken for entry in measured if entry.costs)
    yield f"{broken} of {pixels:,} pixels in {len(measured)} pairs of method and modality break the law of the method."
    who = "All test patients" if request.patients is None else f"At most {request.patients} test patients"
    yield (
        f"{who} of each modality, at most {request.slices} slices of each, spread evenly over the scan (in pairs of "
        "neighbours where slices are neighbours in space); NM and MG are simulated where the data has none."
    )
    costs = next((entry.costs for entry in measured if entry.costs), None)
    if costs is not None:
        yield (
            f"Time: median of {ROUNDS} rounds on {costs.threads} thread(s), a slice of {SIDE} x {SIDE} from the scan "
            f"to sRGB; ECCV16: a forward pass of the published network at {UNIT_SIDE} x {UNIT_SIDE}, same rounds."
        )


__all__ = ["Progress", "Shown", "benchmark"]
