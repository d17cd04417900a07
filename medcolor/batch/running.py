"""What a run holds while it goes on: its queue, its tries, what it publishes and notes, and what it waits for."""

from __future__ import annotations

import time
from collections import Counter, deque
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from medcolor.batch.accounts import BAD, Accounts
from medcolor.batch.journal import Journal
from medcolor.batch.metrics import Metrics
from medcolor.batch.plan import Plan
from medcolor.batch.progress import Progress
from medcolor.batch.publishing import clear, is_full, publish
from medcolor.batch.settings import Caps
from medcolor.batch.task import BatchCode, Outcome, State, Task

_SAID = 20  # refusals said one by one; the others are in the summary


@dataclass(slots=True)
class Running:
    """A run while it goes on.

    Parameters
    ----------
    journal, plan, accounts, caps, progress
        Of the run.
    pause : float
        Seconds between two tries to write to a full disk.
    queue : deque of Task
        Yet to be done.
    deaths : Counter
        Task key -> child processes that it ended.
    open : int
        Tasks given to the engine.
    through : int
    metrics : Metrics
    """

    journal: Journal
    plan: Plan
    accounts: Accounts
    caps: Caps
    progress: Progress
    pause: float
    queue: deque[Task]
    deaths: Counter[str] = field(default_factory=Counter)
    open: int = 0
    through: int = 0
    resume_at: float = 0.0
    paused: bool = False
    metrics: Metrics = field(default_factory=lambda: Metrics(None))

    def tell(self, exit_code: int | None = None) -> None:
        """Bring the metrics up to date."""
        todo = len(self.plan.todo)
        self.metrics.tell(self.accounts, todo=todo, through=self.through, paused=self.paused, exit_code=exit_code)

    def next(self) -> Task | None:
        """Return the next task; on a full disk one at a time, now and then."""
        if not self.queue or (self.paused and (self.open or time.monotonic() < self.resume_at)):
            return None
        self.open += 1
        return self.queue.popleft()

    def take(self, task: Task, outcome: Outcome) -> bool:
        """Take in what came of a task; whether it is through."""
        self.open -= 1
        outcome = self._publish(task, outcome)
        if outcome.state is State.NO_SPACE:
            self.full()
            self.queue.appendleft(task)
            return False
        if self.paused:
            self.paused = False
            self.progress.say("there is room again: going on", always=True)
        if outcome.state is State.DIED:
            self.deaths[task.key] += 1
            if self.deaths[task.key] < self.caps.tries:
                self._keep(task, outcome)  # the next run counts on
                self.queue.append(task)
                return False
            reason = f"{outcome.reason} {self.deaths[task.key]} tries; --retry tries again."
            outcome = replace(outcome, state=State.PARKED, reason=reason)
        self._note(task, outcome)
        return True

    def _publish(self, task: Task, outcome: Outcome) -> Outcome:
        """Give an output its final name: here and nowhere else, whoever made it."""
        out = Path(task.out)
        try:
            if outcome.stage:
                publish(out, task.key, outcome.stage, out / task.folder)
        except (OSError, ValueError) as error:
            state, code = (
                (State.NO_SPACE, BatchCode.NO_SPACE) if is_full(error) else (State.FAILED, BatchCode.WRITE_FAILED)
            )
            outcome = Outcome(state, code, "The output could not be put in its place.", outcome.inputs)
        clear(out, task.key)
        return outcome

    def _note(self, task: Task, outcome: Outcome) -> None:
        seen, left_out = self.plan.seen[task.key], len(outcome.left_out)
        if outcome.state is State.UNCHANGED:
            self.journal.renew(task.key, seen)
            row = self.journal.row(task.key)
            assert row is not None
            outcome, left_out = row.outcome, row.left_out
            self.accounts.earlier += 1
        else:
            self._keep(task, outcome)
        self.accounts.add_series(task, outcome, left_out)
        self.through += 1
        if outcome.state in BAD and len(self.accounts.refusals) <= _SAID:
            self.progress.say(f"series {task.name} ({len(task.files)} files): {outcome.code}: {outcome.reason}")

    def _keep(self, task: Task, outcome: Outcome) -> None:
        finished, seen = datetime.now(UTC).isoformat(timespec="seconds"), self.plan.seen[task.key]
        self.journal.keep(task, outcome, seen=seen, deaths=self.deaths[task.key], finished=finished)

    def full(self) -> None:
        """Note that the disk is full, and say it once."""
        self.resume_at = time.monotonic() + self.pause
        if not self.paused:
            self.paused = True
            self.tell()
            self.progress.say(
                "paused: no space is left on the output's disk. Make room, and it goes on by itself (it looks every "
                f"{self.pause:g} s); nothing is half-written.",
                always=True,
            )

    def wait(self) -> None:
        """Wait where the journal finds the disk full."""
        self.full()
        time.sleep(self.pause)
