"""The report as one self-contained page, and everything a study writes."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from string import Template

import medcolor
from medcolor.comparison import figures
from medcolor.comparison.cases import Pictured
from medcolor.comparison.plan import AGAIN, GRAY, NO_LABELS
from medcolor.comparison.report import Report, for_a_clinician, limits, not_run, not_run_csv, patients_csv, summary
from medcolor.comparison.report_markdown import made, to_markdown
from medcolor.comparison.statistics import Word
from medcolor.comparison.verdicts import Group, to_csv
from medcolor.io.atomic import atomic_files, refuse_existing
from medcolor.report.scales import data_uri, joined, panel

CSV, MARKDOWN, PAGE, PATIENTS, NOT_RUN = "study.csv", "study.md", "study.html", "patients.csv", "not_run.csv"
CELLS = "cells"
_WARNING = (
    '<p class="warning"><b>This page holds pictures of patients. No picture of a patient may be committed: keep the '
    "page out of every repository, and hand it on only as the data's terms allow.</b></p>"
)


def write_report(
    report: Report, folder: Path, pictured: Sequence[Pictured] = (), *, tables: Path | None = None
) -> list[Path]:
    """Write a study's results, replacing those of an earlier run of it.

    Parameters
    ----------
    report : Report
    folder : Path
        For the page, CSV and Markdown, and the figures of every patient: not for a repository.
    pictured : sequence of Pictured
    tables : Path, optional
        A folder that gets ``study.csv``, and ``study.md`` with its forest plots, as well: they name and show nobody.

    Raises
    ------
    WriteError
    """
    lines, text = to_csv(report.lines), to_markdown(report)
    contents = {
        folder / PAGE: render(report, pictured),
        folder / MARKDOWN: text,
        folder / CSV: lines,
        folder / PATIENTS: patients_csv(report.ran.outcomes),
        folder / NOT_RUN: not_run_csv(report),
    }
    if tables is not None:
        drawn = forests(report)
        contents |= {
            tables / CSV: lines,
            tables / MARKDOWN: to_markdown(report, {of: name for of, (name, _) in drawn.items()}),
        }
        contents |= {tables / name: picture for name, picture in drawn.values()}
    with atomic_files(contents, force=True) as files:
        for path, content in contents.items():
            with files.open(path) as stream:
                stream.write(content.encode())
    return list(contents)


def forests(report: Report) -> dict[tuple[str, str], tuple[str, str]]:
    """Return, for each tier and task, the name of a file and the forest plot in it, by the tier's main metric."""
    found = {}
    for tier, task in dict.fromkeys((line.tier, line.task) for line in report.lines):
        metric = report.primary(tier)
        chosen = [line for line in report.lines if (line.tier, line.task, line.metric) == (tier, task, metric)]
        name = f"{tier}_{re.sub('[^A-Za-z0-9-]+', '_', task).strip('_')}.svg"
        found[tier, task] = name, figures.forest(chosen, f"{task}, {tier}: {metric}, arm minus gray")
    return found


def check_tables(tables: Path | None, *, force: bool) -> None:
    """Refuse a folder of tables that holds some already.

    Raises
    ------
    OutputExistsError
    """
    if tables is not None and not force:
        refuse_existing([tables / CSV, tables / MARKDOWN])


def render(report: Report, pictured: Sequence[Pictured] = ()) -> str:
    """Return the page."""
    template = Template((Path(__file__).parent / "report.html").read_text(encoding="utf-8"))
    tiers, drawn = dict.fromkeys(line.tier for line in report.lines), forests(report)
    return template.substitute(
        title=html.escape(report.study.name),
        about=html.escape(report.study.about),
        warning=_WARNING if pictured else "",
        summary=_items(summary(report)),
        clinician=html.escape(for_a_clinician(report)),
        tiers="".join(_tier(report, tier, drawn) for tier in tiers),
        cases="".join(_case(one) for one in pictured) or "<p>None are shown.</p>",
        missing=_missing(report),
        arms=_table(
            ["arm", "", "what", "identity"],
            [[n, "control" if a.control else "", a.note, a.identity[:12]] for n, a in report.arms.items()],
        ),
        made=_items(made(report)),
        limits=_items(limits(report)),
        version=html.escape(medcolor.__version__),
    )


def _items(said: Iterable[str]) -> str:
    return "".join(f"<li>{html.escape(one)}</li>" for one in said)


def _table(header: Sequence[str], rows: Iterable[Sequence[str]], words: bool = False) -> str:
    head = "".join(f"<th>{html.escape(name)}</th>" for name in header)
    body = "".join(f"<tr>{''.join(_td(cell, words) for cell in row)}</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


def _td(cell: str, words: bool) -> str:
    known = {str(word): str(word).split()[0].replace("no", "none") for word in Word}
    css = f' class="{known[cell]}"' if words and cell in known else ""
    return f"<td{css}>{html.escape(cell)}</td>"


def _tier(report: Report, tier: str, drawn: Mapping[tuple[str, str], tuple[str, str]]) -> str:
    metric = report.primary(tier)
    parts = [f"<section><h2>{html.escape(tier.capitalize())} tier</h2>"]
    for task in dict.fromkeys(line.task for line in report.lines if line.tier == tier):
        groups = [g for g in report.groups if (g.tier, g.task, g.metric) == (tier, task, metric)]
        parts += [f"<h3>{html.escape(task)}</h3>", drawn[tier, task][1]]
        parts += _curves(groups, task, metric)
        parts.append(_scatters(groups))
        parts.append(_all_metrics(report, tier, task))
    return "".join([*parts, "</section>"])


def _curves(groups: Sequence[Group], task: str, metric: str) -> Iterator[str]:
    for segmenter in dict.fromkeys(group.segmenter for group in groups):
        mine = [group for group in groups if group.segmenter == segmenter]
        if len(mine) > 1 and all(group.budget != NO_LABELS for group in mine):
            yield figures.budget_curves(mine, f"{task}, {segmenter}: {metric} by labelled patients")


def _scatters(groups: Sequence[Group]) -> str:
    parts = []
    for group in groups:
        drawn = [
            figures.scatter(group, arm) for arm in group.values if arm not in {GRAY, AGAIN} and GRAY in group.values
        ]
        parts.append(f"<p class=dim>{html.escape(group.segmenter)}</p><div class=small>{''.join(drawn)}</div>")
    return f"<details><summary>Patient by patient: arm (up) against gray (across)</summary>{''.join(parts)}</details>"


def _all_metrics(report: Report, tier: str, task: str) -> str:
    rows = [
        [o.metric, figures.label(o), f"{o.runs} x {o.patients}", figures.interval_text(o), f"{o.p_holm:.3f}", o.verdict]
        for metric in report.metrics
        for o in report.lines
        if (o.metric, o.tier, o.task) == (metric, tier, task)
    ]
    header = ["metric", "arm", "runs x patients", "difference [95 %]", "p Holm", "verdict"]
    return f"<details><summary>All metrics</summary>{_table(header, rows, words=True)}</details>"


def _missing(report: Report) -> str:
    missing = not_run(report)
    if not missing:
        return "<p>Everything that was planned was run.</p>"
    return _table(["cells", "why"], missing)


def _case(one: Pictured) -> str:
    case = one.case
    group = case.group
    title = (
        f"{group.task}, {group.tier}, {group.segmenter}: {case.arm} "
        f"{'best' if one.best else 'worst'}, patient {case.number}, {group.metric} {case.ours:.3f} against "
        f"{case.base:.3f}"
    )
    panels = [
        panel(f'<img alt="{html.escape(name)}" src="{data_uri(pixels)}">', name)
        for name, pixels in one.pictures.items()
    ]
    return f"<h3>{html.escape(title)}</h3>{joined(panels)}"


__all__ = ["CELLS", "CSV", "MARKDOWN", "PAGE", "check_tables", "render", "write_report"]
