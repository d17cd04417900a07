"""What Prometheus is told of a run: numbers that add up, whole files, no names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from batch import nights

from medcolor.batch import BatchSettings, Conduct, run_batch
from medcolor.batch.metrics import Metrics

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
# the exposition format of Prometheus, as node-exporter's textfile collector takes it
_LINE = re.compile(r'([a-z_]+)(?:\{([a-z_]+)="([^"\\\n]*)"\})? (-?[0-9.e+]+)')


def told(path: Path) -> dict[tuple[str, str], float]:
    """Read the file as a collector would: types declared once and before, every other line a sample."""
    found: dict[tuple[str, str], float] = {}
    declared: list[str] = []
    content = path.read_text("ascii")
    assert content.endswith("\n")
    for line in content.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert kind == "gauge"
            declared.append(name)
        elif not line.startswith("# HELP "):
            sample = _LINE.fullmatch(line)
            assert sample is not None, line
            assert declared[-1] == sample[1]
            assert (sample[1], sample[3] or "") not in found
            found[sample[1].removeprefix("medcolor_batch_"), sample[3] or ""] = float(sample[4])
    assert len(declared) == len(set(declared))
    return found


def test_the_numbers_add_up_and_name_nobody(tmp_path: Path) -> None:
    source, target = tmp_path / nights.NAME, tmp_path / "collector/medcolor.prom"
    target.parent.mkdir()
    for number in range(3):
        nights.series(source / f"{number}", number)
    bad = nights.series(source / "bad", 8, slices=1)[0]
    bad.write_bytes(bad.read_bytes()[:700])
    during: list[dict[tuple[str, str], float]] = []

    class Watched(nights.LocalEngine):
        def before(self, task: object) -> None:
            during.append(told(target))

    report = run_batch(
        [source],
        tmp_path / "out",
        BatchSettings("lut:viridis"),
        Conduct(quiet=True, metrics=Metrics(target)),
        engine=Watched(),
    )
    found = told(target)
    assert report.exit_code == found["exit_code", ""] == 3
    assert (found["running", ""], found["paused", ""]) == (0, 0)
    assert found["series", "coloured"] == found["series_planned", ""] == found["series_through", ""] == 3
    assert sum(count for (name, _), count in found.items() if name == "files") == 7
    assert sum(count for (name, _), count in found.items() if name == "refusals") == 1
    assert found["update_time_seconds", ""] >= found["start_time_seconds", ""] > 1.7e9
    assert during[0]["running", ""] == 1
    assert ("exit_code", "") not in during[0]
    assert [path.name for path in target.parent.iterdir()] == ["medcolor.prom"]
    assert not [planted for planted in nights.PLANTED if planted in target.read_text()]


def test_a_run_goes_on_where_its_metrics_cannot_be_written(tmp_path: Path) -> None:
    nights.series(tmp_path / "in", 0)
    report = run_batch(
        [tmp_path / "in"],
        tmp_path / "out",
        BatchSettings("lut:viridis"),
        Conduct(quiet=True, metrics=Metrics(tmp_path / "nowhere/medcolor.prom")),
        engine=nights.LocalEngine(),
    )
    assert report.exit_code == 0


def test_a_pause_is_told_at_once(tmp_path: Path) -> None:
    from medcolor.batch.accounts import Accounts

    metrics = Metrics(tmp_path / "m.prom")
    metrics.tell(Accounts(), todo=5, through=1)
    metrics.tell(Accounts(), todo=5, through=2)  # within ten seconds
    assert told(tmp_path / "m.prom")["series_through", ""] == 1
    metrics.tell(Accounts(), todo=5, through=2, paused=True)
    assert told(tmp_path / "m.prom")["paused", ""] == 1
