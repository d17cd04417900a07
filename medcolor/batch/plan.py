"""From files to series: everything that will be done, before anything is; nothing is decoded."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import medcolor
from medcolor.batch.child import Child, ChildDeath
from medcolor.batch.inputs import Found, Wanted, uid_name, walk
from medcolor.batch.journal import Journal, Row
from medcolor.batch.looking import Look
from medcolor.batch.naming import file_label, output_name
from medcolor.batch.salt import Salt
from medcolor.batch.settings import BatchSettings, digest_of, fingerprint_for
from medcolor.batch.task import FINISHED, LASTING, BatchCode, State, Task
from medcolor.errors import ReadCode

_CHUNK = 64
_LOOK_SECONDS = 120.0


@dataclass(slots=True)
class Series:
    """A series while its files are found."""

    study: str
    series: str
    form: str
    modality: str | None
    family: str
    files: list[tuple[Found, str]] = field(default_factory=list)


@dataclass(slots=True)
class Plan:
    """What will be done.

    Attributes
    ----------
    todo : list of Task
    finished : list of (Task, Row)
        Done, refused or parked by an earlier run with equal inputs and settings.
    seen : dict
        Task key -> digest of the sizes and times of its files.
    others : list of (label, State, code, reason)
        Files that are in no series.
    files : int
        All files found.
    deaths : dict
        Task key -> child processes that it ended in earlier runs that did not finish it.
    """

    todo: list[Task] = field(default_factory=list)
    finished: list[tuple[Task, Row]] = field(default_factory=list)
    seen: dict[str, str] = field(default_factory=dict)
    others: list[tuple[str, State, str, str]] = field(default_factory=list)
    files: int = 0
    deaths: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Planner:
    """What planning needs.

    Parameters
    ----------
    settings : BatchSettings
    fingerprint : dict
        ``settings.fingerprint()``.
    out : Path
    journal : Journal
    child : Child
        Looks at files.
    retry : bool
        Do again what was refused or parked.
    rehash : bool
        Do not believe that a file of the same size and time is the same.
    source_uids : bool
    salt : Salt or None
        Of de-identification.
    progress : callable
        Told the number of files found.
    """

    settings: BatchSettings
    fingerprint: dict[str, Any]
    out: Path
    journal: Journal
    child: Child
    retry: bool = False
    rehash: bool = False
    source_uids: bool = False
    salt: Salt | None = None
    progress: Callable[[int], None] = lambda _: None

    def plan(self, inputs: Iterable[Wanted]) -> Plan:
        """Find every series of the inputs and what is left to do of each."""
        plan, series, taken = Plan(), dict[str, Series](), set[str]()
        unlisted: dict[str, str] = {}  # beside a series that a list names
        known = self.journal.looks()
        for wanted in inputs:
            pictures: list[tuple[Found, str, Look]] = []
            scans = False
            for found, label, look in self._look_at(walk(wanted.path, self.out), known):
                if found.path in taken:
                    continue
                self.progress(len(taken))
                if look["form"] and not _listed(wanted, look):
                    unlisted[found.path] = label
                    continue
                taken.add(found.path)
                if not look["form"]:
                    plan.others.append((label, State(look["state"]), look["code"], look["reason"]))
                elif look["form"] == "picture":
                    pictures.append((found, label, look))
                else:
                    scans = True
                    self._add(plan, series, wanted, found, label, look)
            for found, label, look in pictures:
                if scans:  # previews and screen shots in a folder of scans are no scans
                    reason = "A picture among scans; give its path itself if it should be coloured."
                    plan.others.append((label, State.ASIDE, BatchCode.PICTURE, reason))
                else:
                    self._add(plan, series, wanted, found, label, look)
        for path in unlisted.keys() - taken:
            reason = "Not the series that the list names."
            plan.others.append((unlisted[path], State.ASIDE, BatchCode.UNLISTED, reason))
        plan.files = len(taken | unlisted.keys())
        for each in series.values():
            self._sort(plan, each)
        return plan

    def _look_at(
        self, files: Iterator[Found], known: dict[str, tuple[int, int, str]]
    ) -> Iterator[tuple[Found, str, Look]]:
        """Yield each file with its label and what it is; looked at before: from the journal."""
        for chunk in _chunks(files, _CHUNK):
            labels = [file_label(self.journal.salt, found.path) for found in chunk]
            looks: dict[str, Look] = {}
            for found, label in zip(chunk, labels, strict=True):
                old = known.get(label)
                if found.code:
                    state, code = str(found.state), str(found.code)
                    looks[label] = {"form": "", "state": state, "code": code, "reason": found.reason}
                elif old is not None and not self.rehash and old[:2] == (found.size, found.changed):
                    look = json.loads(old[2])
                    if look["by"] == medcolor.__version__ and not (self.retry and look.get("state") == State.REFUSED):
                        looks[label] = look
            fresh = [(f, label) for f, label in zip(chunk, labels, strict=True) if label not in looks]
            answers = self._ask([found.path for found, _ in fresh])
            rows = []
            for (found, label), look in zip(fresh, answers, strict=True):
                looks[label] = look
                if look.get("state") != State.FAILED:
                    text = json.dumps(look | {"by": medcolor.__version__}, sort_keys=True)
                    rows.append((label, found.size, found.changed, text))
            if rows:
                self.journal.keep_looks(rows)
            yield from ((found, label, looks[label]) for found, label in zip(chunk, labels, strict=True))

    def _ask(self, files: list[str]) -> list[Look]:
        """Have a child look at files; one that ends the child is found by halving."""
        if not files:
            return []
        try:
            seconds = None if len(files) == 1 else _LOOK_SECONDS  # one file may be a large archive
            answer = self.child.wait({"do": "look", "files": files}, seconds=seconds)
            return list(answer["looks"])
        except ChildDeath as death:
            if len(files) == 1:
                return [{"form": "", "state": str(State.REFUSED), "code": str(death.code), "reason": death.reason}]
        middle = len(files) // 2
        return self._ask(files[:middle]) + self._ask(files[middle:])

    def _add(self, plan: Plan, series: dict[str, Series], wanted: Wanted, found: Found, label: str, look: Look) -> None:
        """Put a file to its series; an archive is a file of each series it holds."""
        archive = look["form"] == "archive"
        holds = look["holds"] if archive else [[look["study"], look["series"], look["uid"], 1]]
        if archive and look["damaged"]:
            reason = f"{look['damaged']} damaged files in this archive are left out."
            plan.others.append((label, State.REFUSED, ReadCode.CORRUPT, reason))
        used = False
        for study, name, uid, _ in holds:
            if wanted.series and uid_name(wanted.series) != uid:
                continue
            each = series.setdefault(name, Series(study, name, look["form"], wanted.modality, look.get("family", "")))
            if each.files and (archive or each.form == "archive" or look["form"] in {"volume", "picture"}):
                continue  # here already, from elsewhere
            used = True
            each.files.append((found, label))
        if not used:
            plan.others.append((label, State.ASIDE, BatchCode.DUPLICATE, "A copy of what is there already."))

    def _sort(self, plan: Plan, each: Series) -> None:
        """Find out whether a series is finished."""
        modality = each.modality or self.settings.modality
        mine = fingerprint_for(self.fingerprint, modality or each.family or None)
        fingerprint = digest_of(mine | {"modality": modality})
        files = sorted(each.files, key=lambda pair: pair[0].path)
        salt = b"" if self.salt is None else self.salt.value
        task = Task(
            key=output_name(each.series, fingerprint, salt),
            study=output_name(each.study, digest_of(self.fingerprint | {"weights_sha256": {}}), salt),
            series=each.series,
            form=each.form,
            files=tuple(found.path for found, _ in files),
            labels=tuple(label for _, label in files),
            settings=self.settings.to_json() | {"modality": modality},
            settings_digest=fingerprint,
            out=str(self.out),
            source_uids=self.source_uids,
            salt_file="" if self.salt is None else str(self.salt.path),
        )
        text = "\n".join(sorted(f"{label} {found.size} {found.changed}" for found, label in files))
        seen = plan.seen[task.key] = hashlib.sha256(text.encode()).hexdigest()
        row = self.journal.row(task.key)
        if row is not None and row.outcome.state is State.DIED and row.seen == seen:
            plan.deaths[task.key] = row.deaths
        if row is not None and self._lasting(row):
            if row.seen == seen and not self.rehash:
                plan.finished.append((task, row))
                return
            if row.outcome.state in FINISHED:
                task = replace(task, known=row.outcome.inputs)
        plan.todo.append(task)

    def _lasting(self, row: Row) -> bool:
        if row.outcome.state not in LASTING or (self.retry and row.outcome.state not in FINISHED):
            return False
        if self.source_uids and row.outcome.state in FINISHED and "source_uids" not in row.outcome.facts:
            return False
        return all((self.out / name).is_file() for name in row.outcome.outputs)


def _listed(wanted: Wanted, look: Look) -> bool:
    """Whether a file is of the series that a list asks for; yes where it asks for none."""
    uids = [names[2] for names in look["holds"]] if look["form"] == "archive" else [look["uid"]]
    return not wanted.series or uid_name(wanted.series) in uids


def _chunks(files: Iterator[Found], size: int) -> Iterator[list[Found]]:
    chunk: list[Found] = []
    for found in files:
        chunk.append(found)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
