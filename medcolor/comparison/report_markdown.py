"""A report as Markdown: for people, with every interval; no picture of anybody, so it may be committed."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from medcolor.comparison.figures import interval_text
from medcolor.comparison.plan import AGAIN
from medcolor.comparison.report import Report, for_a_clinician, limits, not_run, summary
from medcolor.comparison.statistics import Word
from medcolor.comparison.verdicts import Line, better

RESEARCH = "Research use, not for diagnosis."
_MOST_LISTED = 40


Forests = Mapping[tuple[str, str], str]
"""Tier and task -> name of the file with their forest plot."""


def to_markdown(report: Report, forests: Forests = MappingProxyType({})) -> str:
    """Return the whole report but its pictures of patients; with the forest plots that lie beside it."""
    lines = [f"# {report.study.name}", ""]
    if report.study.about:
        lines += [report.study.about.strip(), ""]
    lines += ["## In short", "", *(f"- {said}" for said in summary(report)), ""]
    lines += ["## For a clinician", "", for_a_clinician(report), ""]
    for tier in dict.fromkeys(line.tier for line in report.lines):
        lines += _tier(report, tier, forests)
    lines += ["## What was planned and not run", "", *_missing(report), ""]
    lines += ["## The arms", "", *_arms(report), "## How it was done", "", *(f"- {said}" for said in made(report)), ""]
    lines += ["## Limits", "", *(f"- {said}" for said in limits(report)), "", RESEARCH]
    return "\n".join(lines) + "\n"


def _tier(report: Report, tier: str, forests: Forests) -> Iterator[str]:
    yield f"## {tier.capitalize()} tier"
    yield ""
    primary = report.primary(tier)
    for metric in (name for name in report.metrics if any(o.metric == name and o.tier == tier for o in report.lines)):
        chosen = [line for line in report.lines if line.tier == tier and line.metric == metric]
        side = "more is better" if better(metric) > 0 else "less is better"
        if metric != primary:
            count = Counter(line.verdict for line in chosen if line.arm != AGAIN)
            yield f"**{metric}** ({side}), all arms: " + ", ".join(f"{count[word]} {word}" for word in Word) + "."
            yield ""
            continue
        for task in dict.fromkeys(line.task for line in chosen):
            yield f"### {task}, {metric} ({side})"
            yield ""
            if (tier, task) in forests:
                yield f"![{task}, {tier} tier: each arm minus gray, with its interval]({forests[tier, task]})"
                yield ""
            yield from _grid(
                ["arm", "segmenter", "labelled", "runs x patients", "gray", "difference [95 %]", "p Holm",
                 "smallest seen", "least ahead of", "verdict"],
                [_cells(line) for line in chosen if line.task == task],
            )  # fmt: skip


def _cells(line: Line) -> list[str]:
    name = (
        f"{line.arm} (noise)" if line.arm == AGAIN else f"{line.arm} (control)" if line.control == "yes" else line.arm
    )
    closest = "-"
    if line.closest_control:
        closest = f"{line.closest_control} {line.closest_difference:+.3f}"
        closest += " (beats all)" if line.beats_controls == "yes" else ""
    smallest = "-" if math.isnan(line.smallest_difference) else f"{line.smallest_difference:.3f}"
    return [
        name,
        line.segmenter,
        line.budget,
        f"{line.runs} x {line.patients}",
        "-" if math.isnan(line.baseline_mean) else f"{line.baseline_mean:.3f}",
        interval_text(line),
        f"{line.p_holm:.3f}",
        smallest,
        closest,
        f"**{line.verdict}**" if line.verdict != Word.NONE else line.verdict,
    ]


def _grid(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    for cells in (header, ["---"] * len(header), *rows):
        yield "| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |"
    yield ""


def _missing(report: Report) -> list[str]:
    missing = not_run(report)
    if not missing:
        return ["Everything that was planned was run."]
    said = [f"- {what}: {why}" for what, why in missing[:_MOST_LISTED]]
    if len(missing) > _MOST_LISTED:
        said.append(f"- and {len(missing) - _MOST_LISTED} kinds of cells more: not_run.csv")
    return said


def _arms(report: Report) -> Iterator[str]:
    rows = [
        [name, "control" if note.control else "", note.note, note.identity[:12] or "-"]
        for name, note in report.arms.items()
    ]
    yield from _grid(["arm", "", "what", "identity"], rows)


def made(report: Report) -> list[str]:
    """Return how the study was done: command, machine, time, data."""
    ran = report.ran
    facts = {
        **report.made,
        "cells": f"{len(ran.outcomes)} finished, {ran.computed} of them by this run",
        "time of all cells": f"{ran.seconds / 60:.1f} min",
        "settings": f"sha256 {report.study.digest[:16] or '-'}",
    }
    said = [f"{name}: {value}" for name, value in facts.items()]
    for name, note in report.tasks.items():
        said.append(f"task {name}: " + "; ".join(f"{key} {value}" for key, value in note.facts.items()))
    devices = Counter(fact for outcome in ran.outcomes.values() if (fact := outcome.facts.get("device")))
    return [*said, *(f"computed on {device}: {count} cells" for device, count in devices.items())]


__all__ = ["RESEARCH", "made", "to_markdown"]
