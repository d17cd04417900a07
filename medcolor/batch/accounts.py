"""Every file is accounted for: what became of each, counted; a file is as its worst series."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from medcolor.batch.task import FINISHED, Outcome, State, Task

_WORST = (State.FAILED, State.PARKED, State.REFUSED, State.PARTIAL, State.DONE)
BAD = frozenset({State.REFUSED, State.FAILED, State.PARKED, State.PARTIAL})


@dataclass(slots=True)
class Refusal:
    """Files or a series that were not coloured, in one line of the summary."""

    state: State
    code: str
    reason: str
    name: str
    labels: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


@dataclass(slots=True)
class Accounts:
    """What became of every file and series.

    Attributes
    ----------
    series : Counter of State
    earlier : int
        Series that an earlier run had finished.
    files : dict
        Label -> state.
    left_out : int
        Files of coloured series that are in no output: damaged ones and copies.
    refusals : list of Refusal
        Series and single files, those left aside not among them.
    aside : Counter of (code, reason)
    """

    series: Counter[State] = field(default_factory=Counter)
    earlier: int = 0
    files: dict[str, State] = field(default_factory=dict)
    left_out: int = 0
    refusals: list[Refusal] = field(default_factory=list)
    aside: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add_files(self, others: Iterable[tuple[str, State, str, str]]) -> None:
        """Count files that are in no series."""
        for label, state, code, reason in others:
            if state is State.ASIDE:
                self.aside[str(code), reason] += 1
                self.files.setdefault(label, state)
            else:
                self.files[label] = state
                self.refusals.append(Refusal(state, str(code), reason, label, (label,)))

    def add_series(self, task: Task, outcome: Outcome, left_out: int) -> None:
        """Count a series and its files."""
        self.series[outcome.state] += 1
        self.left_out += left_out if outcome.state in FINISHED else 0
        for label in task.labels:
            old = self.files.get(label)
            if old not in _WORST or _WORST.index(outcome.state) < _WORST.index(old):
                self.files[label] = outcome.state
        if outcome.state in BAD:
            left = tuple(outcome.facts.get("left_out", ())) if outcome.state is State.PARTIAL else ()
            self.refusals.append(
                Refusal(outcome.state, str(outcome.code), outcome.reason, task.name, task.labels, left)
            )

    @property
    def by_state(self) -> Counter[State]:
        """Files by what became of them."""
        return Counter(self.files.values())

    @property
    def exit_code(self) -> int:
        """0 all coloured; 3 some were not; 2 none could be; 1 the system failed all of them."""
        bad = bool(self.refusals)
        good = sum(self.series[state] for state in FINISHED)
        if not bad:
            return 0 if good else 2
        if good:
            return 3
        return 1 if all(refusal.state is State.FAILED for refusal in self.refusals) else 2
