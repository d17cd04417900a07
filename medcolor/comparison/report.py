"""What a study found: every verdict, what was planned and not run, the limits; as sentences and as CSV."""

from __future__ import annotations

import csv
import io
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from medcolor.comparison.cells import Cell, Outcome
from medcolor.comparison.plan import AGAIN, GRAY, Study, TierPlan, budget_text
from medcolor.comparison.statistics import LEVEL, POWER, Word
from medcolor.comparison.study import Ran
from medcolor.comparison.verdicts import Group, Line, group_cells, judge_study

PRIMARY = ("dice", "dice_5")
"""What a tier is shown by: the first of these that it has; of interactive segmenters Dice after five clicks."""
NO_EVIDENCE = "no evidence of gain"


@dataclass(frozen=True, slots=True)
class ArmNote:
    """What an arm is.

    Parameters
    ----------
    control : bool
        A colour arm must beat it to have shown anything.
    note : str
    identity : str
        Hash of all it is made of, weights among it.
    """

    control: bool
    note: str
    identity: str = ""


@dataclass(frozen=True, slots=True)
class TaskNote:
    """What a task is; ``facts`` such as licence, patients, labels, the hash of its data."""

    facts: Mapping[str, str]


@dataclass(frozen=True)
class Report:
    """Everything a report says, without pictures of anybody.

    Attributes
    ----------
    study : Study
    lines : tuple of Line
    groups : tuple of Group
    ran : Ran
    arms : Mapping of str to ArmNote
    tasks : Mapping of str to TaskNote
    made : Mapping of str to str
        The command, the version, the machine.
    """

    study: Study
    lines: tuple[Line, ...]
    groups: tuple[Group, ...]
    ran: Ran
    arms: Mapping[str, ArmNote] = field(default_factory=dict)
    tasks: Mapping[str, TaskNote] = field(default_factory=dict)
    made: Mapping[str, str] = field(default_factory=dict)

    @property
    def metrics(self) -> tuple[str, ...]:
        """All metrics, the first the one that figures show."""
        names = dict.fromkeys(line.metric for line in self.lines)
        return tuple(sorted(names, key=lambda name: (name not in PRIMARY, name)))

    def primary(self, tier: str) -> str:
        """Return the metric a tier is shown by."""
        there = {line.metric for line in self.lines if line.tier == tier}
        return next((name for name in PRIMARY if name in there), min(there, default=PRIMARY[0]))


def make_report(
    study: Study,
    ran: Ran,
    *,
    arms: Mapping[str, ArmNote],
    tasks: Mapping[str, TaskNote],
    made: Mapping[str, str],
) -> Report:
    """Judge what was run."""
    groups = group_cells(ran.outcomes)
    controls = {name for name, note in arms.items() if note.control}
    return Report(study, tuple(judge_study(groups, controls)), tuple(groups), ran, arms, tasks, made)


def summary(report: Report) -> list[str]:
    """Return the answer in sentences: how many gains, losses, and how often there is no evidence."""
    main = [line for line in report.lines if line.metric == report.primary(line.tier)]
    judged = [line for line in main if line.arm != AGAIN]
    colors = [line for line in judged if line.control != "yes"]
    if not judged:
        return [f"Nothing could be compared yet: {NO_EVIDENCE}."]
    count = Counter(line.verdict for line in colors)
    winners = [line for line in colors if line.beats_controls == "yes"]
    said = [
        f"{len(colors)} comparisons of an arm with gray: {count[Word.GAIN]} gain, {count[Word.LOSS]} loss, "
        f"{count[Word.NONE]} no evidence (each tier by its main metric, Holm within task, tier, metric and budget)."
    ]
    if not count[Word.GAIN]:
        said.append(f"No arm was better than gray anywhere: {NO_EVIDENCE}.")
    elif not winners:
        said.append(
            f"Where an arm was better than gray, no arm was better than every control too: {NO_EVIDENCE} by colour."
        )
    else:
        where = sorted({f"{line.arm} ({line.task}, {line.tier}, {line.segmenter}, {line.budget})" for line in winners})
        said.append(f"Better than gray and than every control that was run ({_controls(report)}): {'; '.join(where)}.")
    again = [line for line in main if line.arm == AGAIN and line.tier == "learned" and not math.isnan(line.low)]
    if again:
        moved = sum(line.verdict != Word.NONE for line in again)
        raw = sum(line.p < LEVEL for line in again)
        said.append(
            f"Noise: gray against gray again is judged a difference in {moved} of {len(again)} comparisons "
            f"({raw} before Holm; about {LEVEL * len(again):.1f} are expected by chance)."
        )
    seen = sorted(line.smallest_difference for line in colors if not math.isnan(line.smallest_difference))
    if seen:
        said.append(
            f"The smallest difference that the middle one of these comparisons could have seen, in {100 * POWER:.0f} % "
            f"of such studies, is {seen[len(seen) // 2]:.3f}; from {seen[0]:.3f} to {seen[-1]:.3f}."
        )
    return said


def _controls(report: Report) -> str:
    found = [name for name, note in report.arms.items() if note.control and name not in {GRAY, AGAIN}]
    return ", ".join(found) or "gray alone"


def for_a_clinician(report: Report) -> str:
    """Return the answer in one paragraph without statistics."""
    main = [o for o in report.lines if o.metric == report.primary(o.tier) and o.control != "yes"]
    if not main:
        return "Nothing has been compared yet."
    count = Counter(line.verdict for line in main)
    winners = sum(line.beats_controls == "yes" for line in main)
    answer = (
        "In none of them was colour better than gray and better than every control: there is no evidence that "
        "colouring the scans helps such a program."
        if not winners
        else f"In {winners} of them colour was better than gray and than the controls ({_controls(report)}); each is "
        "one result among many and asks to be repeated by somebody else."
    )
    return (
        "Programs that outline structures were given the same scans once in gray and once in colours computed from "
        f"that gray, on {len({line.task for line in main})} task(s). Of {len(main)} comparisons "
        f"{count[Word.GAIN]} came out better with colour, {count[Word.LOSS]} worse, {count[Word.NONE]} without "
        f"evidence either way. {answer} "
        "Whether colour helps the eye of a reader is another question, which was not asked here."
    )


def not_run(report: Report) -> list[tuple[str, str]]:
    """Return what was planned and is not in the tables, each with the reason; cells of one kind together."""
    found: dict[tuple[str, str, str, str, str], list[Cell]] = {}
    reasons = {
        **report.ran.refused,
        **{cell: f"failed: {why}" for cell, why in report.ran.failed.items()},
        **dict.fromkeys(report.ran.waiting, "planned and not run"),
    }
    for cell, why in reasons.items():
        why = why.replace(f" (run it alone to see where: {cell})", "")
        kind = (cell.task, cell.tier, cell.segmenter, cell.arm, why)
        found.setdefault(kind, []).append(cell)
    told = []
    for (task, tier, segmenter, arm, why), cells in found.items():
        budgets = ", ".join(dict.fromkeys(budget_text(cell.budget) for cell in cells if cell.budget))
        labelled = f", labelled {budgets}" if budgets else ""
        told.append((f"{task}, {tier}, {segmenter}, {arm}{labelled}: {len(cells)} cell(s)", why))
    return told


def _share(plan: TierPlan) -> str:
    most = "all test patients" if plan.patients is None else f"at most {plan.patients} test patients"
    slices = "all their slices" if plan.slices is None else f"at most {plan.slices} slices of each, spread evenly"
    return f"{plan.tier.capitalize()} tier: {most} of a task, {slices}."


def limits(report: Report) -> list[str]:
    """Return what the figures do not say."""
    size = report.study.size
    said = [
        f"Slices are brought to at most {size} x {size} pixels: not the resolution of a clinic.",
        *(_share(plan) for plan in report.study.tiers),
        "Colours are computed from the gray image and add no measurement; a gain is one of this segmenter on these "
        "data.",
        "Intervals of the learned tier know of trainings and of patients; those of tiers without training of patients "
        "alone. The p of Wilcoxon never knows of trainings.",
        '"No evidence" is no proof of equality: see the smallest difference that could have been seen.',
        "Nothing is extrapolated: what was not run has no row.",
    ]
    single = sorted({line.remark for line in report.lines if line.remark})
    return [*said, *(f"Without an interval where there is {remark}." for remark in single)]


def patients_csv(outcomes: Mapping[Cell, Outcome]) -> str:
    """Return every figure of every patient; pseudonyms, so not for a repository."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["task", "tier", "arm", "budget", "segmenter", "seed", "patient", "metric", "value"])
    for cell, outcome in outcomes.items():
        for row in outcome.rows:
            value = "" if math.isnan(row.value) else f"{row.value:.6g}"
            head = [cell.task, cell.tier, cell.arm, budget_text(cell.budget), cell.segmenter, cell.seed]
            writer.writerow([*head, row.patient, row.metric, value])
    return buffer.getvalue()


def not_run_csv(report: Report) -> str:
    """Return every cell that was planned and has no figures, with the reason."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["task", "tier", "arm", "budget", "segmenter", "seed", "reason"])
    ran = report.ran
    reasons = {**ran.refused, **ran.failed, **dict.fromkeys(ran.waiting, "not run")}
    for cell, why in reasons.items():
        writer.writerow([cell.task, cell.tier, cell.arm, budget_text(cell.budget), cell.segmenter, cell.seed, why])
    return buffer.getvalue()


__all__ = [
    "NO_EVIDENCE",
    "PRIMARY",
    "ArmNote",
    "Report",
    "TaskNote",
    "for_a_clinician",
    "limits",
    "make_report",
    "not_run",
    "not_run_csv",
    "patients_csv",
    "summary",
]
