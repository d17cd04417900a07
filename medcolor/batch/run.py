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
from medcolor.batch.conduct import Conduct
from medcolor.batch.engine import Engine, PoolEngine
from medcolor.batch.inputs import Wanted, expand
from medcolor.batch.journal import Journal, Row, open_journal
from medcolor.batch.lock import locked
from medcolor.batch.manifest import write_manifest
from medcolor.batch.plan import Plan, Planner
from medcolor.batch.progress import Progress
from medcolor.batch.publishing import is_full, staging_folder
from medcolor.batch.running import Running
from medcolor.batch.salt import Salt, salt_of
from medcolor.batch.settings import BatchSettings, Caps
from medcolor.batch.summary import write_summary
from medcolor.batch.task import FINISHED, State
from medcolor.batch.telling import closing_lines, plan_line
from medcolor.errors import MedcolorError, ReadCode, ReadError, SettingError, WriteError

T = TypeVar("T")
_NOTHING_DONE = frozenset({1, 2})


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
    conduct: Conduct | None = None,
    *,
    engine: Engine | None = None,
) -> BatchReport:
    """Colour every series of the inputs that is not coloured yet.

    Parameters
    ----------
    inputs : sequence of Path
        Folders, archives, files, and lists in CSV with a column "path".
    out : Path
        Made if needed. OUT/STUDY/SERIES/..., names being hashes of source UIDs and settings.
    settings : BatchSettings, optional
        What decides the colours and the files.
    conduct : Conduct, optional
        How the run goes about it.
    engine : Engine, optional
        Where series are coloured; default: a pool of ``conduct.workers``.

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
    settings, conduct, out = settings or BatchSettings(), conduct or Conduct(), out.absolute()
    if settings.deidentify and conduct.source_uids:
        raise SettingError("--source-uids would say in the manifests what --deidentify takes away: leave one out.")
    wanted, progress = expand(inputs), Progress(quiet=conduct.quiet)
    if any(each.path.resolve() == out.resolve() for each in wanted):
        raise SettingError(f"{out}: this output folder is an input, and inputs are only read: name another.")
    pool = engine or PoolEngine(conduct.workers, conduct.caps)
    looker = pool.children[0] if isinstance(pool, PoolEngine) else Child(conduct.caps)
    try:
        with _folder(out, conduct, progress):
            for each in (looker, *(pool.children if isinstance(pool, PoolEngine) else ())):
                each.scratch = None if conduct.dry_run else staging_folder(out)  # a killed run's goes with the next
            try:
                return _Batch(inputs, out, settings, conduct, pool, looker, progress).run(wanted)
            finally:  # whoever still writes, before what was being written is cleared away
                looker.end()
                pool.close()
    finally:
        pool.close()
        progress.close()


@dataclass(slots=True)
class _Batch:
    """A run that has its folder: what it works with, and what it does there."""

    inputs: Sequence[Path]
    out: Path
    settings: BatchSettings
    conduct: Conduct
    engine: Engine
    looker: Child
    progress: Progress
    running: Running | None = None

    def run(self, wanted: Sequence[Wanted]) -> BatchReport:
        """Plan, and unless that was all that was asked for, do it and tell."""
        conduct = self.conduct
        self._tell_metrics(0)
        about = _hello(self.engine, self.settings)
        salt = salt_of(self.out, conduct.salt_file, keep=not conduct.dry_run) if self.settings.deidentify else None
        with open_journal(self.out, self._on_full, copy=conduct.dry_run) as journal:
            plan = self._plan(wanted, about["fingerprint"], journal, salt)
            accounts = _begin(plan)
            self.progress.say(plan_line(plan, accounts))
            if conduct.dry_run:
                return BatchReport(0, accounts, None, plan)
            return self._do(plan, accounts, journal, about)

    def _plan(self, wanted: Sequence[Wanted], fingerprint: dict[str, Any], journal: Journal, salt: Salt | None) -> Plan:
        conduct = self.conduct
        planner = Planner(
            self.settings,
            fingerprint,
            self.out,
            journal,
            self.looker,
            conduct.retry,
            conduct.rehash,
            conduct.source_uids,
            salt,
            self._looking,
        )
        plan = planner.plan(wanted)
        plan.others += conduct.missing
        plan.files += len(conduct.missing)
        if not plan.files:
            raise ReadError(self.inputs[0], ReadCode.EMPTY, "there is no file in it.", "Name a folder with scans.")
        return plan

    def _do(self, plan: Plan, accounts: Accounts, journal: Journal, about: dict[str, Any]) -> BatchReport:
        conduct = self.conduct
        deaths = Counter({} if conduct.retry else plan.deaths)
        self.running = run = Running(
            journal, plan, accounts, conduct.caps, self.progress, conduct.pause, deque(plan.todo), deaths
        )
        run.metrics = conduct.metrics
        since = time.monotonic()
        _work(run, self.engine, lambda study, rows: write_manifest(self.out, study, rows, **about))
        seconds = time.monotonic() - since
        summary = _again(run, lambda: write_summary(self.out, accounts, _coloured(plan, journal)))
        run.tell(accounts.exit_code)
        for line in closing_lines(accounts):
            self.progress.say(line, always=accounts.exit_code in _NOTHING_DONE)
        return BatchReport(accounts.exit_code, accounts, summary, plan, seconds)

    def _on_full(self) -> None:
        if self.running is not None:
            self.running.wait()
        else:
            time.sleep(self.conduct.pause)

    def _looking(self, files: int) -> None:
        self.progress.looking(files)
        self._tell_metrics(files)

    def _tell_metrics(self, files: int) -> None:
        if not self.conduct.dry_run:
            self.conduct.metrics.tell(Accounts(), todo=0, through=0, looked=files)


@contextlib.contextmanager
def _folder(out: Path, conduct: Conduct, progress: Progress) -> Iterator[None]:
    """Make the output folder, lock it, and clear away what a dead run left; nothing of that for a plan only."""
    if conduct.dry_run:
        yield
        return
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock = contextlib.ExitStack()
        lock.enter_context(locked(out, wait=conduct.wait, say=lambda line: progress.say(line, always=True)))
    except OSError as error:
        raise WriteError(
            error.errno or 0, f"{out}: this output folder cannot be written ({error.strerror})."
        ) from error
    with lock:
        shutil.rmtree(staging_folder(out), ignore_errors=True)
        try:
            yield
        finally:
            shutil.rmtree(staging_folder(out), ignore_errors=True)


def check_settings(settings: BatchSettings, caps: Caps) -> None:
    """See in a child process whether all that settings name can be loaded, before anything else takes its time.

    Raises
    ------
    MedcolorError
    """
    engine = PoolEngine(1, caps)
    try:
        _hello(engine, settings)
    finally:
        engine.close()


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
