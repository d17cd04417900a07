"""Studies run, stop, are killed and go on; nothing finished is done twice."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from comparison.phantom_bench import PhantomBench, planned

from medcolor.comparison.cells import Cell, CellStore, Outcome, Row, key_of
from medcolor.comparison.plan import ALL, load_study, read_study
from medcolor.comparison.study import run_study
from medcolor.errors import SettingError
from medcolor.resources import config_dir


def logged(log: Path) -> list[str]:
    return log.read_text().splitlines() if log.exists() else []


def test_every_cell_is_computed_once_and_kept(tmp_path: Path) -> None:
    cells, store, bench = planned().cells(), CellStore(tmp_path / "cells"), PhantomBench(tmp_path / "log")
    told: list[tuple[int, int]] = []
    first = run_study(cells, store, lambda: bench, progress=lambda *steps: told.append(steps))
    again = run_study(cells, store, lambda: bench)
    assert len(logged(bench.log)) == len(cells) == first.computed == 24
    assert told[-1] == (24, 24)
    assert again.computed == 0
    assert list(again.outcomes) == cells
    assert [o.rows for o in again.outcomes.values()] == [o.rows for o in first.outcomes.values()]
    assert again.outcomes[cells[0]].shown[0].labels.shape == (48, 48)


def test_another_input_is_another_cell(tmp_path: Path) -> None:
    cells, store = planned().cells(), CellStore(tmp_path / "cells")
    run_study(cells, store, lambda: PhantomBench(tmp_path / "log"))
    ran = run_study(cells, store, lambda: PhantomBench(tmp_path / "log", version=2))
    assert ran.computed == len(cells)


def test_a_damaged_cell_is_measured_again(tmp_path: Path) -> None:
    cells, store, bench = planned().cells(), CellStore(tmp_path / "cells"), PhantomBench(tmp_path / "log")
    run_study(cells, store, lambda: bench)
    damaged = store.folder / f"{key_of(cells[5], bench.depends(cells[5]))}.json"
    damaged.write_text(damaged.read_text()[:40])
    ran = run_study(cells, store, lambda: bench)
    assert ran.computed == 1
    assert logged(bench.log)[-1] == str(cells[5])


@pytest.mark.parametrize("processes", [1, 2])
def test_a_killed_study_goes_on_and_repeats_no_finished_cell(tmp_path: Path, processes: int) -> None:
    """The whole process group is ended with SIGKILL in the middle; then the study is run again."""
    script = tmp_path / "study.py"
    script.write_text(
        "import functools, pathlib, sys\n"
        "from comparison.phantom_bench import PhantomBench, planned\n"
        "from medcolor.comparison.cells import CellStore\n"
        "from medcolor.comparison.study import run_study\n"
        "if __name__ == '__main__':\n"
        "    here = pathlib.Path(sys.argv[1])\n"
        "    make = functools.partial(PhantomBench, here / 'log', wait=0.2)\n"
        "    run_study(planned().cells(), CellStore(here / 'cells'), make, processes=int(sys.argv[2]))\n"
    )
    paths = os.pathsep.join([str(Path(__file__).parents[1]), str(Path(__file__).parents[2])])
    child = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path), str(processes)],
        env={**os.environ, "PYTHONPATH": paths},
        start_new_session=True,
    )
    end = time.monotonic() + 120
    while len(list((tmp_path / "cells").glob("*.json"))) < 5 and time.monotonic() < end:
        assert child.poll() is None
        time.sleep(0.02)
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    finished = len(list((tmp_path / "cells").glob("*.json")))
    assert 5 <= finished < 24
    before = logged(tmp_path / "log")
    ran = run_study(planned().cells(), CellStore(tmp_path / "cells"), lambda: PhantomBench(tmp_path / "log"))
    assert ran.computed == 24 - finished
    assert not ran.waiting
    after = logged(tmp_path / "log")[len(before) :]
    assert len(set(after)) == len(after)
    assert len(set(before) & set(after)) <= processes  # only what was in work when it was killed
    assert not list((tmp_path / "cells").glob("*.part"))


def test_several_processes_give_the_same_figures(tmp_path: Path) -> None:
    cells = planned().cells()
    one = run_study(cells, CellStore(tmp_path / "one"), functools.partial(PhantomBench, tmp_path / "log"))
    two = run_study(cells, CellStore(tmp_path / "two"), functools.partial(PhantomBench, tmp_path / "log"), processes=2)
    assert [o.rows for o in two.outcomes.values()] == [o.rows for o in one.outcomes.values()]


def test_a_process_that_dies_costs_the_cells_in_work_and_no_more(tmp_path: Path) -> None:
    cells, store = planned().cells(), CellStore(tmp_path / "cells")
    make = functools.partial(PhantomBench, tmp_path / "log", die_at=4)
    ran = run_study(cells, store, make, processes=2)
    assert 1 <= len(ran.failed) <= 2
    assert all("ProcessDied" in why for why in ran.failed.values())
    assert len(ran.outcomes) == len(cells) - len(ran.failed)
    assert len(run_study(cells, store, lambda: PhantomBench(tmp_path / "log")).outcomes) == len(cells)


def test_no_time_computes_nothing_and_says_what_is_waiting(tmp_path: Path) -> None:
    cells = planned().cells()
    ran = run_study(cells, CellStore(tmp_path / "cells"), lambda: PhantomBench(tmp_path / "log"), minutes=0)
    assert ran.waiting == cells
    assert logged(tmp_path / "log") == []


def test_cancelling_ends_between_cells(tmp_path: Path) -> None:
    log = tmp_path / "log"
    ran = run_study(
        planned().cells(), CellStore(tmp_path / "c"), lambda: PhantomBench(log), cancel=lambda: len(logged(log)) >= 3
    )
    assert (len(ran.outcomes), len(ran.waiting)) == (3, 21)


def test_an_arm_that_is_refused_is_no_cell_and_says_why(tmp_path: Path) -> None:
    make = functools.partial(PhantomBench, tmp_path / "log", refuse="good")
    ran = run_study(planned().cells(), CellStore(tmp_path / "cells"), make)
    assert {cell.arm for cell in ran.refused} == {"good"}
    assert "test patient" in next(iter(ran.refused.values()))
    assert len(ran.outcomes) == 18


def test_what_breaks_is_named_without_its_words_and_the_rest_goes_on(tmp_path: Path) -> None:
    make = functools.partial(PhantomBench, tmp_path / "log", break_at="control")
    ran = run_study(planned().cells(), CellStore(tmp_path / "cells"), make)
    assert len(ran.failed) == 6
    assert all("ZeroDivisionError" in why and "PATIENT" not in why for why in ran.failed.values())
    assert len(ran.outcomes) == 18


def test_the_arms_of_a_seed_come_before_the_next_seed() -> None:
    cells = planned().cells()
    assert [cell.seed for cell in cells[:8]] == [0] * 4 + [1] * 4
    assert cells[12] == Cell("bone", "learned", "threshold", "gray", ALL, 0)


def test_a_tier_can_be_run_alone() -> None:
    study = planned(
        classical={"segmenters": ["k-means"]}, learned={"segmenters": ["unet"], "budgets": [2], "seeds": {2: 8}}
    )
    assert {cell.tier for cell in study.cells(only="classical")} == {"classical"}
    assert len(study.cells()) == 4 + 32
    with pytest.raises(SettingError, match='no tier "interactive"'):
        study.cells(only="interactive")


GOOD = {"name": "x", "tasks": ["a"], "arms": ["gray"], "tiers": {"classical": {"segmenters": ["k-means"]}}}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"tasks": []}, "list of names"),
        ({"tasks": ["a", "a"]}, "twice"),
        ({"arms": ["lut"]}, 'must have "gray"'),
        ({"colour": 1}, "unknown colour"),
        ({"tiers": {"fancy": {}}}, "classical, interactive, learned"),
        ({"tiers": {}}, "tiers"),
        ({"tiers": {"classical": {"segmenters": ["x"], "budgets": [1]}}}, "learned tier"),
        ({"tiers": {"learned": {"segmenters": ["x"], "budgets": [0]}}}, "from 1"),
        ({"tiers": {"learned": {"segmenters": ["x"], "budgets": [2], "seeds": {4: 8}}}}, "seeds"),
        ({"tiers": {"learned": {"segmenters": ["x"], "budgets": [2], "seeds": {"each": 2, 4: 8}}}}, "not there"),
        ({"tiers": {"learned": {"segmenters": ["x"], "budgets": [True]}}}, "budget"),
        ({"size": "large"}, "size"),
        ({"tolerance_mm": 0}, "above 0"),
        ({"name": 3}, "text"),
    ],
)
def test_a_study_that_makes_no_sense_is_refused(change: dict[str, object], said: str) -> None:
    with pytest.raises(SettingError, match=said):
        read_study({**GOOD, **change}, "study.yaml")


def test_a_file_that_is_no_study_is_refused(tmp_path: Path) -> None:
    for name, text in {"missing.yaml": None, "text.yaml": "just words", "broken.yaml": "a: [1"}.items():
        path = tmp_path / name
        if text is not None:
            path.write_text(text)
        with pytest.raises(SettingError, match=name):
            load_study(path)


@pytest.mark.parametrize("path", sorted((config_dir() / "studies").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_committed_studies_are_whole(path: Path) -> None:
    study = load_study(path)
    assert study.cells()
    assert study.about
    for plan in study.tiers:
        if plan.tier == "learned" and path.stem != "demo":
            assert all(plan.seeds[budget] >= (8 if 0 < budget <= 4 else 4) for budget in plan.budgets)


def test_values_that_are_none_survive_the_store(tmp_path: Path) -> None:
    store, cell = CellStore(tmp_path), Cell("t", "classical", "s", "gray")
    store.keep("key", cell, Outcome((Row("p", "hd95", float("nan")), Row("p", "dice", 0.5))), {})
    found = store.find("key")
    assert found is not None
    assert found.values("dice") == {"p": 0.5}
    assert found.values("hd95")["p"] != found.values("hd95")["p"]
