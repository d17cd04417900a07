"""One night over good and bad input: everything accounted for, nothing leaked, one bad study stops nobody."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pydicom
import pytest
from batch import nights

from medcolor.batch import BatchSettings, Caps, Conduct, run_batch
from medcolor.batch.engine import PoolEngine, Source
from medcolor.batch.finding import find_files
from medcolor.batch.task import Outcome, State, Task
from medcolor.phantom.traps import TRAPS

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
CRAFTED = ("deflate-bomb", "header-65535-squared", "header-100000-frames", "header-huge-rle", "nested-5000")
SCANS = 4  # two loose series, one in a zip, one gzipped


@dataclass(frozen=True)
class Night:
    source: Path
    out: Path
    done: subprocess.CompletedProcess[str]
    temporary: frozenset[str]

    @property
    def summary(self) -> str:
        return (self.out / "summary.html").read_text()


def plant(source: Path) -> None:
    for number in range(2):
        nights.series(source / nights.NAME / f"{nights.DATE} {number}", number)
    nights.series(source / "crash", 10, note=nights.CRASH.decode())
    nights.series(source / "hang", 12, note=nights.HANG.decode())
    packed = nights.series(source / "packed", 4)
    with zipfile.ZipFile(source / f"{nights.PATIENT_ID}.zip", "w") as archive:
        for path in packed:
            archive.write(path, f"{nights.NAME}/{path.name}")
    shutil.rmtree(source / "packed")
    import gzip

    for path in nights.series(source / "gz", 6, slices=1):
        path.with_suffix(".dcm.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    damaged = source / nights.NAME / f"{nights.PATIENT_ID}.dcm"
    damaged.write_bytes(nights.series(source / "x", 8, slices=1)[0].read_bytes()[:700])
    shutil.rmtree(source / "x")
    traps = {trap.name: trap for trap in TRAPS}
    for name in CRAFTED:
        (source / name).mkdir()
        traps[name].make(source / name)
    (source / f"{nights.NAME}.txt").write_text("PLANTEDTEXT " * 40)
    report = pydicom.dcmread(next((source / nights.NAME).rglob("0001.dcm")))
    del report.PixelData
    report.SOPClassUID = report.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.88.11"
    report.save_as(source / "report.dcm")


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Night:
    base = tmp_path_factory.mktemp("night")
    plant(base / "in")
    env = nights.environment(base / "env", injected=True)
    seen: set[str] = set()
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(0.02):
            for root in (base / "env/tmp", base / "out"):
                for folder, folders, files in os.walk(root):  # passes over a folder that goes meanwhile; rglob raises
                    seen.update(str(Path(folder, name)) for name in (*folders, *files))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        caps = ("--timeout", "6", "--workers", "1")
        done = nights.night(base / "in", "-o", base / "out", *caps, env=env)
    finally:
        stop.set()
        watcher.join()
    return Night(base / "in", base / "out", done, frozenset(seen))


def manifests(out: Path) -> list[dict[str, object]]:
    return [series for path in sorted(out.glob("*/manifest.json")) for series in json.loads(path.read_text())["series"]]


def test_bad_input_stops_nobody_and_the_exit_code_says_that_some_failed(night: Night) -> None:
    assert night.done.returncode == 3, night.done.stderr
    outcomes = [series["outcome"] for series in manifests(night.out)]
    assert outcomes.count("coloured") == SCANS
    assert len(list(night.out.glob("*/*/0001.dcm"))) == SCANS


@pytest.mark.parametrize("code", ["DecoderCrashed", "TimeLimit"])
def test_what_ends_its_process_is_parked_after_three_tries(night: Night, code: str) -> None:
    found = [s for s in manifests(night.out) if s["error"] and s["error"]["code"] == code]  # type: ignore[index]
    assert [s["outcome"] for s in found] == ["parked"]
    assert "3 tries" in found[0]["error"]["reason"]  # type: ignore[index]


def test_crafted_files_are_refused_by_name_and_reason(night: Night) -> None:
    groups = re.findall(r"<td>([A-Za-z]+)<br>", night.summary)
    assert {"DecoderCrashed", "TimeLimit", "TooLarge", "Truncated"} <= set(groups)
    row = re.search(r"<tr><td>refused</td><td class=\"n\">(\d+)</td><td class=\"n\">(\d+)</td>", night.summary)
    assert row is not None
    assert int(row[2]) >= len(CRAFTED)  # and the file that is cut off


def test_the_summary_accounts_for_every_file(night: Night) -> None:
    files = [path for path in night.source.rglob("*") if path.is_file()]
    total = re.search(r'id="files">(\d+)<', night.summary)
    assert total is not None
    assert int(total[1]) == len(files)
    assert night.summary.count("<figure>") == SCANS


def test_nothing_planted_leaves_the_objects(night: Night) -> None:
    said = night.done.stdout.replace(str(night.out), "") + night.done.stderr.replace(str(night.out), "")
    names = [str(path.relative_to(night.out)) for path in night.out.rglob("*")]
    names += [path.replace(str(night.out), "") for path in night.temporary]
    texts = {path.name: path.read_bytes() for path in night.out.rglob("*") if path.is_file() and path.suffix != ".dcm"}
    assert {"summary.html", "manifest.json", "journal.sqlite", "provenance.json", "lock"} <= texts.keys()
    for planted in nights.PLANTED:
        assert planted not in said
        assert not [name for name in names if planted in name]
        assert not [name for name, content in texts.items() if planted.encode() in content], planted


def test_no_process_and_no_unfinished_work_is_left(night: Night) -> None:
    assert not list((night.out / ".medcolor").glob("staging/*"))
    assert not list((night.out.parent / "env/tmp").iterdir())
    assert not list(night.out.rglob("*.part"))


def test_a_name_in_the_summary_leads_to_its_file(night: Night) -> None:
    name = re.search(r"<code>([0-9a-f]{10})</code>", night.summary)
    assert name is not None
    assert [Path(path).is_file() for path in find_files([night.source], night.out, name[1])] == [True]
    series = next(night.out.glob("*/*/provenance.json")).parent.name
    assert all(Path(path).is_file() for path in find_files([night.source], night.out, series))
    assert find_files([night.source], night.out, series)
    assert find_files([night.source], night.out, "0123456789") == []


def test_a_second_night_does_nothing_and_says_the_same(night: Night) -> None:
    before, since = nights.objects(night.out), time.time()
    again = nights.night(night.source, "-o", night.out, "--quiet")
    assert again.returncode == 3
    assert again.stderr == ""
    assert nights.objects(night.out) == before
    assert not [p for p in night.out.rglob("*.dcm") if p.stat().st_mtime >= since]
    # and what was refused or parked
    assert f"{SCANS + 3} series were finished by an earlier run" in night.summary


def test_memory_is_watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in nights.environment(tmp_path / "env", injected=True).items():
        monkeypatch.setenv(name, value)
    nights.series(tmp_path / "in", 14, note=nights.EAT.decode())
    caps = Caps(memory=400 << 20, seconds=60, tries=1)
    report = run_batch(
        [tmp_path / "in"], tmp_path / "out", BatchSettings("lut:viridis"), Conduct(caps=caps, quiet=True)
    )
    assert [refusal.code for refusal in report.accounts.refusals] == ["MemoryLimit"]
    assert report.exit_code == 2


def test_deaths_are_counted_over_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in nights.environment(tmp_path / "env", injected=True).items():
        monkeypatch.setenv(name, value)
    nights.series(tmp_path / "in", 10, note=nights.CRASH.decode())
    told: list[State] = []

    class Interrupted(PoolEngine):
        def run(self, source: Source, more: Callable[[], bool]) -> Iterator[tuple[Task, Outcome]]:
            for task, outcome in super().run(source, more):
                told.append(outcome.state)
                yield task, outcome
                if len(told) == 2:
                    raise KeyboardInterrupt

    settings, inputs = BatchSettings("lut:viridis"), [tmp_path / "in"]
    with pytest.raises(KeyboardInterrupt):
        run_batch(inputs, tmp_path / "out", settings, Conduct(quiet=True), engine=Interrupted(1, Caps()))
    report = run_batch(inputs, tmp_path / "out", settings, Conduct(quiet=True), engine=Interrupted(1, Caps()))
    assert told == [State.DIED] * 3
    assert report.accounts.series == {State.PARKED: 1}
    assert run_batch(inputs, tmp_path / "out", settings, Conduct(quiet=True)).plan.todo == []


def test_a_dry_run_writes_nothing(night: Night, tmp_path: Path) -> None:
    env = nights.environment(tmp_path / "env")
    planned = nights.night(night.source / nights.NAME, "-o", tmp_path / "out", "--dry-run", env=env)
    assert planned.returncode == 0
    assert len(planned.stdout.splitlines()) == 2
    assert not (tmp_path / "out").exists()
    assert not [name for name in nights.PLANTED if name in planned.stdout + planned.stderr]
    assert not list((tmp_path / "env/tmp").iterdir())
