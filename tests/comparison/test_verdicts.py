"""From cells to lines: what is compared with what, and what a study may claim."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest

from medcolor.comparison.cells import Cell, Outcome, Row
from medcolor.comparison.statistics import estimate, holm
from medcolor.comparison.verdicts import COLUMNS, Line, better, group_cells, judge_study, to_csv


def outcomes(
    means: dict[str, float], *, metric: str = "dice", runs: int = 4, patients: int = 20, tier: str = "learned"
) -> dict[Cell, Outcome]:
    chance = np.random.default_rng(1)
    level = chance.normal(0.7, 0.1, patients)
    found = {}
    for arm, mean in means.items():
        for run in range(runs):
            values = level + mean + chance.normal(0, 0.01, patients)
            rows = [Row(f"p{n}", metric, float(v)) for n, v in enumerate(values)]
            rows += [Row(f"p{n}", f"{metric}:liver", 0.0) for n in range(patients)]
            found[Cell("t", tier, "unet", arm, 2 if tier == "learned" else 0, run)] = Outcome(tuple(rows), 1.0)
    return found


def lines_of(found: dict[Cell, Outcome], controls: tuple[str, ...] = ()) -> dict[str, Line]:
    return {line.arm: line for line in judge_study(group_cells(found), controls)}


def test_the_baseline_is_the_mean_of_gray_and_gray_again_and_gray_again_meets_gray_alone() -> None:
    found = outcomes({"gray": 0.0, "gray_again": 0.1, "color": 0.1})
    lines = lines_of(found)
    assert lines["color"].difference == pytest.approx(0.05, abs=0.01)
    assert lines["color"].baseline == "mean of gray and gray_again"
    assert lines["gray_again"].difference == pytest.approx(0.1, abs=0.01)
    assert lines["gray_again"].baseline == "gray"
    assert lines["gray_again"].control == "yes"


def test_where_gray_again_lacks_a_training_gray_stands_alone() -> None:
    found = outcomes({"gray": 0.0, "gray_again": 0.1, "color": 0.1})
    del found[Cell("t", "learned", "unet", "gray_again", 2, 3)]
    line = lines_of(found)["color"]
    assert line.baseline == "gray"
    assert line.difference == pytest.approx(0.1, abs=0.01)


def test_only_trainings_that_both_have_are_compared() -> None:
    found = outcomes({"gray": 0.0, "color": 0.1})
    del found[Cell("t", "learned", "unet", "color", 2, 0)]
    assert lines_of(found)["color"].runs == 3


def test_a_line_is_the_estimate_and_holm_over_the_family() -> None:
    found = outcomes({"gray": 0.0, "one": 0.004, "two": 0.002, "three": -0.003})
    lines = lines_of(found)
    tables = {}
    for arm in ("gray", "one", "two", "three"):
        cells = [found[Cell("t", "learned", "unet", arm, 2, run)] for run in range(4)]
        tables[arm] = np.array([list(cell.values("dice").values()) for cell in cells])
    single = [estimate(tables[arm] - tables["gray"]) for arm in ("one", "two", "three")]
    assert [lines[arm].p for arm in ("one", "two", "three")] == pytest.approx([one.p for one in single])
    assert [lines[arm].p_holm for arm in ("one", "two", "three")] == pytest.approx(list(holm([o.p for o in single])))
    assert {line.family for line in lines.values()} == {3}


def test_segmenters_of_a_tier_share_a_family() -> None:
    found = outcomes({"gray": 0.0, "color": 0.0})
    found |= {Cell("t", "learned", "dynunet", cell.arm, 2, cell.seed): outcome for cell, outcome in found.items()}
    lines = judge_study(group_cells(found), ())
    assert [line.family for line in lines] == [2, 2]


def test_beating_gray_is_not_enough_where_a_control_does_as_well() -> None:
    lines = lines_of(outcomes({"gray": 0.0, "color": 0.1, "position": 0.1}), controls=("position",))
    assert lines["color"].verdict == "gain"
    assert lines["color"].beats_controls == "no"
    assert lines["color"].closest_control == "position"
    assert lines["position"].beats_controls == ""


def test_beating_every_control_is_said() -> None:
    means = {"gray": 0.0, "color": 0.1, "position": 0.02, "smooth": -0.1}
    line = lines_of(outcomes(means), controls=("position", "smooth"))["color"]
    assert (line.beats_controls, line.closest_control, line.controls) == ("yes", "position", 2)
    assert line.closest_low > 0


def test_where_less_is_better_less_is_a_gain() -> None:
    assert better("hd95") == better("clicks_80") == better("volume_error") == better("never_90") == -1
    assert better("dice") == better("nsd") == better("dice_5") == 1
    assert lines_of(outcomes({"gray": 5.0, "color": 1.0}, metric="hd95"))["color"].verdict == "gain"


def test_a_tier_without_training_is_judged_by_patients() -> None:
    line = lines_of(outcomes({"gray": 0.0, "color": 0.1}, runs=1, tier="classical"))["color"]
    assert (line.runs, line.patients, line.budget, line.verdict) == (1, 20, "none", "gain")


def test_one_training_is_no_evidence_however_large() -> None:
    line = lines_of(outcomes({"gray": 0.0, "color": 0.3}, runs=1))["color"]
    assert line.verdict == "no evidence"
    assert "one training" in line.remark


def test_without_gray_nothing_is_compared() -> None:
    assert judge_study(group_cells(outcomes({"color": 0.1})), ()) == []


def test_the_table_has_the_columns_that_were_promised() -> None:
    assert COLUMNS[:4] == ("task", "tier", "arm", "budget")
    assert COLUMNS[-1] == "verdict"
    rows = list(csv.DictReader(io.StringIO(to_csv(lines_of(outcomes({"gray": 0.0, "color": 0.1})).values()))))
    assert rows[0]["verdict"] == "gain"
    assert float(rows[0]["low"]) < float(rows[0]["difference"]) < float(rows[0]["high"])
    assert rows[0]["closest_p_holm"] == ""
    assert {row["metric"] for row in rows} == {"dice"}  # the figures of single labels have no verdicts of their own
