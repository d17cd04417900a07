"""A batch from end to end: lock, plan, do, note, and tell; whatever ends it, the next run goes on from there."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from medcolor import errors
from medcolor.batch.accounts import BAD, Accounts
from medcolor.batch.child import Child, ChildDeath
from medcolor.batch.engine import Engine, PoolEngine
from medcolor.batch.inputs import expand
from medcolor.batch.journal import Journal, Row, open_journal
from medcolor.batch.lock import locked
from medcolor.batch.manifest import write_manifest
from medcolor.batch.metrics import Metrics
from medcolor.batch.plan import Plan, Planner
from medcolor.batch.progress import Progress
from medcolor.batch.publishing import is_full, staging_folder
from medcolor.batch.running import Running
from medcolor.batch.salt import salt_of
from medcolor.batch.settings import BatchSettings, Caps
from medcolor.batch.summary import write_summary
from medcolor.batch.task import FINISHED, State
from medcolor.errors import MedcolorError, ReadCode, ReadError, SettingError, WriteError

T = TypeVar("T")
_PAUSE = 10.0  # seconds between two tries to write to a disk that is full


@dataclass(frozen=True, slots=True)
class BatchReport:
    """What a run came to.

    Attributes
    ----------
    exit_code : int
        0, 1, 2 or 3 as the command line's.
    accounts : Accounts
    summary : Path or None
        None for a plan only.
    plan : Plan
    seconds : float
        From the first series to the last.
    """

    exit_code: int
    accounts: Accounts
    summary: Path | None
    plan: Plan
    seconds: float = 0.0


def run_batch(
    inputs: Sequence[Path],
    out: Path,
    settings: BatchSettings | None = None,
    *,
    workers: int = 1,
    caps: Caps | None = None,
    dry_run: bool = False,
    wait: bool = False,
    retry: bool = False,
    rehash: bool = False,
    source_uids: bool = False,
    salt_file: Path | None = None,
    metrics: Path | None = None,
    missing: Sequence[tuple[str, State, str, str]] = (),
    quiet: bool = False,
    engine: Engine | None = None,
    pause: float = _PAUSE,
) -> BatchReport:
    """Colour every series of the inputs that is not coloured yet.

    Parameters
    ----------
    inputs : sequence of Path
        Folders, archives, files, and lists in CSV with a column "path".
    out : Path
        Made if needed. OUT/STUDY/SERIES/..., names being hashes of source UIDs and settings.
    settings : BatchSettings, optional
    workers : int
        Child processes.
    caps : Caps, optional
        What one series may take.
    dry_run : bool
        Plan only; writes nothing.
    wait : bool
        Wait for another run on this output instead of refusing.
    retry : bool
        Do again what was refused or parked.
    rehash : bool
        Look into every file again, whatever its size and time.
    source_uids : bool
        Write the UIDs of sources into manifests.
    metrics : Path, optional
        A file for Prometheus, as node-exporter's textfile collector reads it.
    missing : sequence of (label, State, code, reason)
        What should have been among the inputs and could not be had.
    quiet : bool
        Say nothing but what needs somebody.
    engine : Engine, optional
        Where series are coloured; default: a pool of ``workers``.
    pause : float
        Seconds between two tries to write to a full disk.

    Returns
    -------
    BatchReport

    Raises
    ------
    FileNotFoundError
        An input is not there.
    SettingError
        Settings that cannot be; another run works on this output.
    ReadError
        Nothing at all was found.
    WriteError
        The output folder cannot be written.
    """
    settings, caps, out = settings or BatchSettings(), caps or Caps(), out.absolute()
    if settings.deidentify and source_uids:
        raise SettingError("--source-uids would say in the manifests what --deidentify takes away: leave one out.")
    wanted, progress = expand(inputs), Progress(quiet=quiet)
    pool = engine or PoolEngine(workers, caps)
    child = pool.children[0] if isinstance(pool, PoolEngine) else Child(caps)
    try:
        with _folder(out, dry_run=dry_run, wait=wait, progress=progress):
            for each in (child, *(pool.children if isinstance(pool, PoolEngine) else ())):
                each.scratch = None if dry_run else staging_folder(out)  # a killed run's is cleared by the next
            about = _hello(pool, settings)
            salt = salt_of(out, salt_file, keep=not dry_run) if settings.deidentify else None
            run: list[Running] = []

            def on_full() -> None:
                run[0].wait() if run else time.sleep(pause)

            with open_journal(out, on_full, copy=dry_run) as journal:
                planner = Planner(
                    settings,
                    about["fingerprint"],
                    out,
                    journal,
                    child,
                    retry,
                    rehash,
                    source_uids,
                    salt,
                    progress.looking,
                )
                plan = planner.plan(wanted)
                plan.others += missing
                plan.files += len(missing)
                if not plan.files:
                    raise ReadError(inputs[0], ReadCode.EMPTY, "there is no file in it.", "Name a folder with scans.")
                accounts = _begin(plan)
                progress.say(_plan_line(plan, accounts))
                if dry_run:
                    return BatchReport(0, accounts, None, plan)
                deaths = Counter({} if retry else plan.deaths)
                run.append(Running(journal, plan, accounts, caps, progress, pause, deque(plan.todo), deaths))
                run[0].metrics = Metrics(metrics)
                since = time.monotonic()
                _work(run[0], pool, lambda study, rows: write_manifest(out, study, rows, **about))
                seconds = time.monotonic() - since
                summary = _again(run[0], lambda: write_summary(out, accounts, _coloured(plan, journal)))
                run[0].tell(accounts.exit_code)
                return BatchReport(accounts.exit_code, accounts, summary, plan, seconds)
    finally:
        child.end()
        pool.close()
        progress.close()


@contextlib.contextmanager
def _folder(out: Path, *, dry_run: bool, wait: bool, progress: Progress) -> Iterator[None]:
    """Make the output folder, lock it, and clear away what a dead run left; nothing of that for a plan only."""
    if dry_run:
        yield
        return
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock = contextlib.ExitStack()
        lock.enter_context(locked(out, wait=wait, say=lambda line: progress.say(line, always=True)))
    except OSError as error:
        raise WriteError(
            error.errno or 0, f"{out}: this output folder cannot be written ({error.strerror})."
        ) from error
    with lock:
        shutil.rmtree(staging_folder(out), ignore_errors=True)
        yield
        shutil.rmtree(staging_folder(out), ignore_errors=True)


def _hello(engine: Engine, settings: BatchSettings) -> dict[str, Any]:
    """Have a child check the settings where the work will be done: this process loads no network and no decoder."""
    try:
        answer = engine.ask({"do": "hello", "settings": settings.to_json()})
    except ChildDeath as death:
        raise SettingError(f"The colorizer cannot be loaded in a child process. {death.reason}") from death
    if "error" in answer:
        kind = getattr(errors, answer["error"], SettingError)
        raise (kind if issubclass(kind, MedcolorError) else SettingError)(answer["message"])
    return answer


def _begin(plan: Plan) -> Accounts:
    accounts = Accounts()
    accounts.add_files(plan.others)
    for task, row in plan.finished:
        accounts.add_series(task, row.outcome, row.left_out)
        accounts.earlier += 1
    return accounts


def _plan_line(plan: Plan, accounts: Accounts) -> str:
    series = len(plan.todo) + len(plan.finished)
    bad = sum(state is not State.ASIDE for _, state, _, _ in plan.others)
    aside = len(plan.others) - bad
    parts = [f"{plan.files} files, {series} series", f"{len(plan.todo)} to do"]
    parts += [f"{accounts.earlier} finished before"] if accounts.earlier else []
    parts += [f"{bad} files refused"] if bad else []
    parts += [f"{aside} files left aside"] if aside else []
    return ": ".join([parts[0], ", ".join(parts[1:])])


def _work(run: Running, engine: Engine, write: Callable[[str, list[Row]], None]) -> None:
    """Do what is left, and write the manifest of each study whose series are all through."""
    left = Counter(task.study for task in run.plan.todo)
    keys: defaultdict[str, list[str]] = defaultdict(list)
    for task in (*run.plan.todo, *(task for task, _ in run.plan.finished)):
        keys[task.study].append(task.key)

    def tell(study: str) -> None:
        rows = [row for key in keys[study] if (row := run.journal.row(key)) is not None]
        _again(run, lambda: write(study, rows))

    for study in keys.keys() - left.keys():  # a run that was killed may have come no further than its journal
        tell(study)
    run.progress.start()
    run.tell()
    for task, outcome in engine.run(run.next, lambda: bool(run.queue)):
        if not run.take(task, outcome):
            continue
        failed = sum(run.accounts.series[state] for state in BAD if state is not State.PARTIAL)
        run.progress.done(run.through, len(run.plan.todo), failed)
        run.tell()
        left[task.study] -= 1
        if not left[task.study]:
            tell(task.study)


def _again(run: Running, action: Callable[[], T]) -> T:
    """Write something small; wait while the disk is full."""
    while True:
        try:
            return action()
        except (OSError, sqlite3.OperationalError) as error:
            if not is_full(error):
                raise WriteError(
                    getattr(error, "errno", 0) or 0,
                    "The output folder can no longer be written; run again when it can.",
                ) from error
            run.wait()


def _coloured(plan: Plan, journal: Journal) -> Iterable[Row]:
    """Yield the coloured series one by one, by name; pictures are in memory one at a time."""
    for key in sorted(task.key for task in (*plan.todo, *(task for task, _ in plan.finished))):
        row = journal.row(key)
        if row is not None and row.outcome.state in FINISHED:
            yield row
