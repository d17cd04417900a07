"""``medcolor compare``: gray against colour, a study whose verdict may be believed."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from medcolor.cli.messages import DONE, PARTIAL, note, result, told_progress
from medcolor.errors import SettingError

if TYPE_CHECKING:
    from medcolor.comparison.cells import Cell, CellStore
    from medcolor.comparison.plan import Study
    from medcolor.comparison.study import Ran
    from medcolor.comparison.workbench import Workbench

STUDY = "study.yaml"


def compare(
    config: str | None = None,
    *,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    demo: bool = False,
    data: Path | None = None,
    only: Literal["classical", "interactive", "learned"] | None = None,
    minutes: float | None = None,
    processes: int = 1,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    tables: Path | None = None,
    dry_run: bool = False,
    force: bool = False,
    quiet: bool = False,
) -> int:
    """Segment on gray and on colour, with controls, and say of every arm: gain, loss, or no evidence.

    Writes study.html, study.md, study.csv, patients.csv, not_run.csv. What is finished is kept in OUT/cells, and the
    same command goes on where it was, whatever ended it. Ctrl-C ends after the cell in work and reports; a second one
    ends at once. The page shows patients: a folder inside a checkout of medcolor is refused for it.

    Exit code 0: all cells that can be computed are; 3: some are not yet, or failed, the report says which and why;
    2: refused; 1: the system failed.

    Parameters
    ----------
    config
        A study: a YAML file, or the name of one that is shipped: demo, classical, interactive, learned; learned_cpu
        and ideas_cpu for a computer without a GPU.
    output
        Folder for results and finished cells, outside of the repository.
    demo
        A miniature study on phantoms, in place of a file. It says nothing of patients.
    data
        Folder of image packs; else the environment variable MEDCOLOR_DATA.
    only
        One tier of the study.
    minutes
        Begin no cell that is not expected to end in this time; 0 only reports what is finished.
    processes
        How many cells are computed at once. With more than one, networks compute on as many threads less.
    device
        Where networks compute; auto takes a GPU where there is one.
    tables
        Folder that study.csv and study.md are written to as well: they name and show nobody.
    dry_run
        Print what would be computed; compute and write nothing.
    force
        Go on in a folder that holds another study, and overwrite tables.
    quiet
        Print nothing but errors.
    """
    from medcolor.cli.train import stopping
    from medcolor.comparison.cells import CellStore
    from medcolor.comparison.report_page import CELLS
    from medcolor.comparison.study import run_study
    from medcolor.comparison.workbench import Workbench

    path, study = _study(config, demo)
    if processes < 1 or (minutes is not None and minutes < 0):
        raise SettingError("--processes is a number from 1, --minutes one from 0.")
    cells = study.cells(only=only)
    bench = Workbench(study, data, device)
    for name in study.tasks:
        bench.task(name)
    if dry_run:
        _tell_plan(study, bench, cells, None if output is None else CellStore(output / CELLS))
        return DONE
    if output is None:
        raise SettingError("A study needs a folder for its results: --output DIR (-o DIR).")
    _prepare(path, study, output, tables, force=force)
    with stopping() as asked, told_progress("study", quiet=quiet) as progress:
        ran = run_study(
            cells,
            CellStore(output / CELLS),
            partial(Workbench, study, data, device) if processes > 1 else lambda: bench,
            processes=processes,
            minutes=minutes,
            progress=progress,
            cancel=asked,
        )
    written = _report(study, ran, bench, output, tables, _command(path, demo, only, minutes, processes, device))
    if not quiet:
        _tell(ran, study, output)
        for place in written:
            result(str(place))
    return PARTIAL if ran.failed or ran.waiting else DONE


def _study(config: str | None, demo: bool) -> tuple[Path, Study]:
    from medcolor.comparison.plan import load_study
    from medcolor.resources import config_dir

    studies = config_dir() / "studies"
    if demo == (config is not None):
        names = ", ".join(sorted(path.stem for path in studies.glob("*.yaml")))
        raise SettingError(f"Give a study: a YAML file or {names}; or --demo.")
    name = "demo" if config is None else config
    shipped = studies / f"{name}.yaml"
    path = shipped if shipped.is_file() and (demo or not Path(name).is_file()) else Path(name)
    return path, load_study(path)


def _prepare(path: Path, study: Study, output: Path, tables: Path | None, *, force: bool) -> None:
    """Refuse folders that will not do; leave a copy of the study in the folder."""
    from medcolor.benchmarking.outside import refuse_checkout
    from medcolor.comparison.phantoms import PREFIX
    from medcolor.comparison.report_page import check_tables
    from medcolor.errors import OutputExistsError
    from medcolor.io.atomic import atomic_files

    if not all(task.startswith(PREFIX) for task in study.tasks):
        refuse_checkout(output, "A study")
    check_tables(tables, force=force)
    kept, content = output / STUDY, path.read_bytes()
    if kept.exists() and kept.read_bytes() != content and not force:
        raise OutputExistsError(
            f"{output} holds another study, or this one before it was changed. Choose another folder, or go on in this "
            "one with --force: finished cells whose inputs are the same are kept."
        )
    with atomic_files([kept], force=True) as files, files.open(kept) as stream:
        stream.write(content)


def _report(study: Study, ran: Ran, bench: Workbench, output: Path, tables: Path | None, command: str) -> list[Path]:
    from medcolor.comparison.cases import picture_cases
    from medcolor.comparison.made import made_by
    from medcolor.comparison.report import make_report
    from medcolor.comparison.report_page import write_report

    report = make_report(study, ran, arms=bench.arm_notes(), tasks=bench.task_notes(), made=made_by(command))
    return write_report(report, output, picture_cases(report, bench), tables=tables)


def _command(path: Path, demo: bool, only: str | None, minutes: float | None, processes: int, device: str) -> str:
    """Return the command without the user's folders."""
    parts = ["medcolor compare", "--demo" if demo else path.name, "-o DIR"]
    parts += [f"--only {only}"] if only else []
    parts += [f"--minutes {minutes:g}"] if minutes is not None else []
    parts += [f"--processes {processes}"] if processes > 1 else []
    parts += [f"--device {device}"] if device != "auto" else []
    return " ".join(parts)


def _tell_plan(study: Study, bench: Workbench, cells: list[Cell], store: CellStore | None) -> None:
    """Print a line for each kind of cell: how many, how many of them are finished, or why there can be none."""
    from medcolor.comparison.cells import key_of
    from medcolor.comparison.plan import budget_text
    from medcolor.errors import MedcolorError

    kinds: dict[tuple[str, ...], list[Cell]] = {}
    for cell in cells:
        kinds.setdefault((cell.task, cell.tier, cell.segmenter, cell.arm, budget_text(cell.budget)), []).append(cell)
    for kind, same in kinds.items():
        try:
            keys = [key_of(cell, bench.depends(cell)) for cell in same]
        except MedcolorError as error:
            said = f"refused: {error}"
        else:
            finished = sum(store.has(key) for key in keys) if store is not None else 0
            said = f"{len(same)} cells, {finished} finished"
        result("\t".join([*kind, said]))
    note(f"{study.name}: {len(cells)} cells planned.")


def _tell(ran: Ran, study: Study, output: Path) -> None:
    from medcolor.comparison.phantoms import PREFIX

    note(
        f"{len(ran.outcomes)} cells finished ({ran.computed} now), {len(ran.waiting)} waiting, "
        f"{len(ran.failed)} failed, {len(ran.refused)} refused."
    )
    if ran.waiting:
        note("The same command goes on from here.")
    if not all(task.startswith(PREFIX) for task in study.tasks):
        note(f"{output} shows patients: keep it out of every repository.")
