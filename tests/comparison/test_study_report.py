"""What the report says, and what it must not."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from comparison.phantom_bench import PATIENTS, PhantomBench, PhantomViewer, planned

from medcolor.comparison.cases import extreme_cases, outlined, picture_cases
from medcolor.comparison.cells import CellStore
from medcolor.comparison.figures import forest
from medcolor.comparison.report import ArmNote, Report, TaskNote, for_a_clinician, make_report, not_run, summary
from medcolor.comparison.report_markdown import to_markdown
from medcolor.comparison.report_page import render, write_report
from medcolor.comparison.study import run_study
from medcolor.errors import OutputExistsError

NOTES = {name: ArmNote(name in {"gray", "gray_again", "control"}, f"what {name} is", "ab" * 32) for name in
         ("gray", "gray_again", "good", "control")}  # fmt: skip


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    folder = tmp_path_factory.mktemp("study")
    study = planned()
    ran = run_study(study.cells(), CellStore(folder / "cells"), lambda: PhantomBench(folder / "log"))
    tasks = {"bone": TaskNote({"licence": "simulated", "sha256": "cd" * 8})}
    return make_report(study, ran, arms=NOTES, tasks=tasks, made={"command": "medcolor compare x.yaml -o DIR"})


def test_every_verdict_is_in_the_markdown(report: Report) -> None:
    text = to_markdown(report)
    assert len(report.lines) == 12  # three arms, two budgets, two metrics
    for line in (line for line in report.lines if line.metric == "dice"):
        found = [row for row in text.splitlines() if row.startswith(f"| {line.arm}") and f"| {line.budget} |" in row]
        assert len(found) == 1
        assert line.verdict in found[0]
        assert f"{line.difference:+.3f} [{line.low:+.3f}, {line.high:+.3f}]" in found[0]


@pytest.mark.parametrize(
    "said",
    ["medcolor compare x.yaml -o DIR", "ab" * 6, "cd" * 8, "Limits", "Everything that was planned was run", "noise"],
)
def test_the_report_says_how_it_was_made(report: Report, said: str) -> None:
    assert said in to_markdown(report)
    assert said in render(report)


def test_no_gain_is_told_in_these_words(report: Report) -> None:
    gainless = Report(
        report.study,
        tuple(line for line in report.lines if line.verdict != "gain"),
        report.groups,
        report.ran,
        report.arms,
    )
    assert any("no evidence of gain" in said for said in summary(gainless))
    assert "no evidence" in for_a_clinician(gainless)
    assert "no evidence of gain" in to_markdown(gainless)


def test_what_was_not_run_is_listed_and_nothing_else_is_made_of_it(tmp_path: Path) -> None:
    study = planned()
    log = tmp_path / "log"
    bench = PhantomBench(log, refuse="good", break_at="control")
    ran = run_study(
        study.cells(),
        CellStore(tmp_path / "c"),
        lambda: bench,
        cancel=lambda: log.exists() and len(log.read_text().splitlines()) >= 9,
    )
    part = make_report(study, ran, arms=NOTES, tasks={}, made={})
    told = dict(not_run(part))
    assert any("good" in what and "test patient" in why for what, why in told.items())
    assert any("control" in what and why == "failed: ZeroDivisionError" for what, why in told.items())
    assert any(why == "planned and not run" for why in told.values())
    assert {line.arm for line in part.lines} == {"gray_again"}
    assert {line.budget for line in part.lines} == {"2"}
    assert "planned and not run" in to_markdown(part)


def test_an_empty_study_reports_that_nothing_was_compared(tmp_path: Path) -> None:
    study = planned()
    ran = run_study(study.cells(), CellStore(tmp_path / "c"), lambda: PhantomBench(tmp_path / "log"), minutes=0)
    empty = make_report(study, ran, arms=NOTES, tasks={}, made={})
    assert "no evidence of gain" in to_markdown(empty)
    assert "Nothing has been compared" in render(empty)


def test_the_page_is_whole_and_asks_nobody(report: Report) -> None:
    page = render(report, picture_cases(report, PhantomViewer()))
    assert page.count("<svg") >= 3
    assert "best" in page
    assert not re.search(r'(?:src|href)="(?!data:)', page)
    assert "$" not in re.sub(r"data:[^\"]*", "", page)
    assert "No picture of a patient may be committed" in page


def test_tables_hold_no_patient(report: Report, tmp_path: Path) -> None:
    tables = tmp_path / "tables"
    write_report(report, tmp_path / "out", picture_cases(report, PhantomViewer()), tables=tables)
    drawn = [path.name for path in tables.glob("*.svg")]
    assert sorted({path.name for path in tables.iterdir()} - set(drawn)) == ["study.csv", "study.md"]
    text = (tables / "study.md").read_text()
    assert drawn
    assert all(f"]({name})" in text for name in drawn)
    for path in tables.iterdir():
        text = path.read_text()
        assert not any(patient in text for patient in PATIENTS)
        assert "data:image" not in text
    assert all(patient in (tmp_path / "out" / "patients.csv").read_text() for patient in PATIENTS)


def test_the_extreme_cases_are_the_extremes(report: Report) -> None:
    found = extreme_cases(report, each=1)
    group = next(group for group in report.groups if group.metric == "dice")
    everything = [
        (ours[:, place].mean() - base[:, place].mean())
        for one in report.groups
        if one.metric == group.metric
        for arm in one.values
        if arm not in {"gray", "gray_again"}
        for ours, base, patients in [one.table(arm, "gray")]
        for place in range(len(patients))
    ]
    for case, best in found:
        assert case.difference == pytest.approx(max(everything) if best else min(everything))


def test_outlines_are_inside_the_label_and_around_all_of_it() -> None:
    labels = np.zeros((8, 8), np.uint8)
    labels[2:6, 2:6] = 1
    picture = outlined(np.zeros((8, 8, 3), np.uint8), labels, (1, 2, 3))
    drawn = picture.any(axis=-1)
    assert drawn.sum() == 12
    assert not drawn[labels == 0].any()


def test_tables_that_are_there_are_kept(tmp_path: Path) -> None:
    from medcolor.comparison.report_page import check_tables

    (tmp_path / "study.csv").write_text("")
    with pytest.raises(OutputExistsError):
        check_tables(tmp_path, force=False)
    check_tables(tmp_path, force=True)


def test_an_interval_that_leaves_the_forest_plot_ends_in_an_arrow(report: Report) -> None:
    lines = [line for line in report.lines if line.metric == "dice"]
    wide = [replace(line, low=-9.0) if place == 0 else line for place, line in enumerate(lines * 20)]
    assert forest(lines, "title").count("<path") == 0
    assert forest(wide, "title").count("<path") == 1
    assert f"Holm over {lines[0].family}" in forest(lines, "title")
