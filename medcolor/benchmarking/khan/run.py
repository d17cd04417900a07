"""The whole table, modality by modality; what was measured before is not measured again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from medcolor.benchmarking.colorizers.cells import Cells
from medcolor.benchmarking.khan.blur import BLURRED
from medcolor.benchmarking.khan.choosing import best_sigma, best_table
from medcolor.benchmarking.khan.labels import LABELS, tasks_of
from medcolor.benchmarking.khan.likeness import Likeness
from medcolor.benchmarking.khan.pictures import arms_of, looks_of, measured
from medcolor.benchmarking.khan.segmentation import Judged, judged
from medcolor.comparison.cells import CellStore
from medcolor.comparison.tasks import Task
from medcolor.errors import SettingError, TrainingError
from medcolor.scan import MODALITIES
from medcolor.training.packs import packs_folder

Progress = Callable[[int, int], None]
ARMS = ("gray", "lut", "physics", "tissue", "shuffled")
SEGMENTED = (*ARMS, BLURRED)
CONTROLS = ("gray", "shuffled", BLURRED)
PATIENTS, SLICES = 20, 3


@dataclass(frozen=True)
class Request:
    """What is to be measured.

    Parameters
    ----------
    data : Path or None
        Folder of packs; else that of the environment variable MEDCOLOR_DATA.
    cells : Path
        Folder that an interrupted run goes on from.
    families : sequence of str
    patients, slices : int
        At most so many test patients of each modality and task, and slices of each.

    Raises
    ------
    SettingError
    """

    data: Path | None
    cells: Path
    families: Sequence[str] = MODALITIES
    patients: int = PATIENTS
    slices: int = SLICES

    def __post_init__(self) -> None:
        if not self.families or not set(self.families) <= set(LABELS):
            raise SettingError(f"Modalities are {', '.join(LABELS)}; got {', '.join(self.families) or 'none'}.")
        if len(set(self.families)) < len(self.families):
            raise SettingError(f"A modality is named twice: {', '.join(self.families)}.")
        if self.patients < 1 or self.slices < 1:
            raise SettingError(f"1 patient and 1 slice or more; got {self.patients} and {self.slices}.")


@dataclass(frozen=True, eq=False)
class Section:
    """A modality.

    Attributes
    ----------
    family : str
    statement : str
        What is not measured, and why.
    table, chosen_by : str
        Its colour table.
    source : str
        Where the patients of the pictures are from.
    what : Mapping of str to str
        What exactly an arm is.
    pictures : Mapping of str to Mapping
        Arm -> patient -> likeness; empty where there are no test patients.
    tasks : Mapping of str to Task
    judged : Mapping of str to sequence of Judged
        By task.
    """

    family: str
    statement: str
    table: str = ""
    chosen_by: str = ""
    source: str = ""
    what: Mapping[str, str] = field(default_factory=dict)
    pictures: Mapping[str, Mapping[str, Likeness]] = field(default_factory=dict)
    tasks: Mapping[str, Task] = field(default_factory=dict)
    judged: Mapping[str, Sequence[Judged]] = field(default_factory=dict)


def benchmark(request: Request, *, progress: Progress | None = None) -> list[Section]:
    """Measure all that is asked for.

    Parameters
    ----------
    request : Request
    progress : callable, optional
        Called with (steps done, steps in all); a step is an arm on a modality or task. Raise from it to cancel: what
        is measured is kept.

    Raises
    ------
    TrainingError
        No folder of packs.
    BundleError
        A modality's tissue bundle is missing or damaged.
    """
    packs_folder(request.data)
    count = _Count(sum(_steps(family) for family in request.families), progress)
    sections = [_section(request, family, count) for family in request.families]  # one in memory at a time
    count.finish()
    return sections


class _Count:
    """How far a run is."""

    def __init__(self, total: int, tell: Progress | None) -> None:
        self._done, self._total, self._tell = 0, total, tell

    def __call__(self) -> None:
        self._done = min(self._done + 1, self._total)
        if self._tell is not None:
            self._tell(self._done, self._total)

    def finish(self) -> None:
        while self._done < self._total:
            self()


def _steps(family: str) -> int:
    return 1 + len(ARMS) + len(SEGMENTED) * len(LABELS[family].tasks)


def _section(request: Request, family: str, count: _Count) -> Section:
    tasks, statement = tasks_of(family, request.data)
    cells, store = Cells(request.cells), CellStore(request.cells)
    try:
        looks = looks_of(request.data, family, "test", request.patients, request.slices)
    except TrainingError:
        return Section(
            family, f"{statement} {family}: no test patients in packs that shipped bundles may learn from.".strip()
        )
    table, chosen_by = best_table(request.data, family, tasks, cells, slices=request.slices)
    count()
    arms = arms_of(family, table)
    pictures = measured(arms, looks, family, cells, count)
    sigma = best_sigma(request.data, family, tasks, cells, slices=request.slices)
    settings = {"lut": f"lut:{table}", BLURRED: f"{BLURRED}:{sigma:g}"}
    names = [settings.get(name, name) for name in SEGMENTED]
    found = {
        name: judged(name, names, request.data, store, patients=request.patients, slices=request.slices, progress=count)
        for name in tasks
    }
    return Section(
        family,
        statement,
        table,
        chosen_by,
        ", ".join(sorted({look.source for look in looks})),
        {name: arm.title for name, arm in arms.items()} | {BLURRED: f"gray, Gaussian of {sigma:g} pixels"},
        pictures,
        tasks,
        found,
    )


__all__ = ["ARMS", "CONTROLS", "PATIENTS", "SEGMENTED", "SLICES", "Progress", "Request", "Section", "benchmark"]
