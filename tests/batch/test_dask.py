"""The same night on a Dask cluster: the same bytes, whatever is lost on the way."""

from __future__ import annotations

import os
import re
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from batch import nights
from batch.clusters import Cluster, cluster

from medcolor.batch import BatchReport, BatchSettings, Conduct, run_batch
from medcolor.batch.dask_engine import DaskEngine, connect, start_jobs
from medcolor.batch.publishing import publish, staging
from medcolor.batch.settings import Caps
from medcolor.batch.task import State
from medcolor.errors import SettingError, WriteError

pytest.importorskip("distributed", reason="dask.distributed is not installed (pip install medcolor[batch])")
pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning:pydicom"),
    pytest.mark.filterwarnings("ignore::ResourceWarning:distributed"),
    pytest.mark.skipif(sys.platform != "linux", reason="kills processes by number"),
]
SERIES = 10


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of small series. Do not change it."""
    folder = tmp_path_factory.mktemp("source")
    for number in range(SERIES):
        nights.series(folder / f"{number}", number, slices=1)
    return folder


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster(tmp_path_factory.mktemp("cluster"), 3, pause=0.5) as found:
        yield found


def run(source: Path, out: Path, address: str, **options: object) -> BatchReport:
    engine = connect(address, Caps())
    return run_batch([source], out, BatchSettings("lut:viridis"), Conduct(quiet=True, **options), engine=engine)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def reference(source: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the pool of this computer makes of it."""
    out = tmp_path_factory.mktemp("reference")
    assert run_batch([source], out, BatchSettings("lut:viridis"), Conduct(quiet=True)).exit_code == 0
    return nights.objects(out)


def test_a_killed_worker_costs_its_running_task_alone(
    source: Path, reference: dict[str, str], three: Cluster, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    reports: list[BatchReport] = []
    night = threading.Thread(target=lambda: reports.append(run(source, tmp_path / "out", three.address)))
    night.start()
    since = time.monotonic()
    while len(three.begun()) < 5:
        assert time.monotonic() - since < 240
        time.sleep(0.02)
    three.workers[0].kill()
    night.join(240)
    assert [report.exit_code for report in reports] == [0]
    assert nights.objects(tmp_path / "out") == reference
    begun = three.begun()
    assert set(begun) == {str(path) for path in source.rglob("*.dcm")}
    # The client warns as often as it asks again for the same answer, so answers are counted by name.
    unheard = {key for line in caplog.messages if "Couldn't gather" in line for key in re.findall(r"'(.+?)'", line)}
    assert len(begun) <= SERIES + 1 + len(unheard)  # one thread: one task was running; some answers died on their way
    assert not list((tmp_path / "out/.medcolor").glob("staging/*"))


def test_a_file_that_crashes_its_decoder_ends_no_worker_and_is_parked(three: Cluster, tmp_path: Path) -> None:
    nights.series(tmp_path / "in/good", 20, slices=1)
    nights.series(tmp_path / "in/bad", 22, slices=1, note=nights.CRASH.decode())
    alive = [worker.pid for worker in three.workers if worker.poll() is None]
    report = run(tmp_path / "in", tmp_path / "out", three.address)
    assert report.exit_code == 3
    assert report.accounts.series == {State.DONE: 1, State.PARKED: 1}
    assert [(refusal.code, "3 tries" in refusal.reason) for refusal in report.accounts.refusals] == [
        ("DecoderCrashed", True)
    ]
    assert alive
    assert [worker.pid for worker in three.workers if worker.poll() is None] == alive
    again = run(tmp_path / "in", tmp_path / "out", three.address)
    assert again.plan.todo == []


def test_a_gpu_takes_one_series_at_a_time(tmp_path: Path) -> None:
    for number in range(3):
        nights.series(tmp_path / f"in/{number}", number, slices=1)
    with cluster(tmp_path / "cluster", 1, "--nthreads", "3", "--resources", "GPU=1", pause=0.3) as found:
        assert run(tmp_path / "in", tmp_path / "out", found.address).exit_code == 0
        at_once = [line.split()[0] for line in found.lines()]
    assert at_once == ["begin", "end"] * 3


def test_a_worker_with_another_network_or_version_is_found_out(source: Path, three: Cluster, tmp_path: Path) -> None:
    class Mistaken(DaskEngine):
        def ask(self, request: dict[str, object]) -> dict[str, object]:
            answer = super().ask(request)
            self._expect = "0" * 64
            return answer

    engine = Mistaken(connect(three.address, Caps()).client, Caps())
    report = run_batch(
        [source / "0"], tmp_path / "out", BatchSettings("lut:viridis"), Conduct(quiet=True), engine=engine
    )
    assert [refusal.code for refusal in report.accounts.refusals] == ["OtherVersion"]
    assert report.exit_code == 1  # the system's fault: the next run tries again


def test_nobody_at_the_address_is_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medcolor.batch.dask_engine._CONNECT", 2.0)
    with pytest.raises(SettingError, match="No Dask scheduler answers at tcp://127"):
        connect("tcp://127.0.0.1:9", Caps())


def test_a_cluster_without_a_worker_is_a_refusal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("medcolor.batch.dask_engine._CONNECT", 5.0)
    with cluster(tmp_path, 0) as found, pytest.raises(SettingError, match="has no worker"):
        connect(found.address, Caps())


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_lost_scheduler_ends_the_run_and_the_next_goes_on(
    source: Path, reference: dict[str, str], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with cluster(tmp_path / "cluster", 1, pause=0.3) as found:
        ended: list[BaseException] = []

        def night() -> None:
            try:
                run(source, out, found.address)
            except BaseException as error:
                ended.append(error)

        running = threading.Thread(target=night)
        running.start()
        since = time.monotonic()
        while len(list(out.glob("*/*/provenance.json"))) < 2:
            assert time.monotonic() - since < 240
            time.sleep(0.02)
        found.scheduler.kill()
        running.join(240)
        assert not running.is_alive()
    assert [type(error) for error in ended] == [WriteError]
    assert "Run again" in str(ended[0])
    done = nights.objects(out)
    assert done
    assert done.items() < reference.items()
    report = run_batch([source], out, BatchSettings("lut:viridis"), Conduct(quiet=True))
    assert (report.exit_code, report.accounts.earlier) == (0, len(done) // 2)
    assert nights.objects(out) == reference


def test_a_job_queue_without_its_library_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dask_jobqueue", None)
    with pytest.raises(SettingError, match=r"pip install .*dask-jobqueue"):
        start_jobs("slurm", 2, Caps())


_SBATCH = """#!/bin/sh
# Slurm as far as its users see it: takes a script, says a number, runs it as a process group of its own
cp "$1" "$JOBS/$$"
setsid sh "$JOBS/$$" > "$JOBS/$$.log" 2>&1 &
echo $! > "$JOBS/$$.pid"
echo "Submitted batch job $$"
"""
_SCANCEL = """#!/bin/sh
for job in "$@"; do kill -9 -- "-$(cat "$JOBS/$job.pid")"; done
"""


def test_slurm_is_asked_for_workers_and_let_go_of_them(
    source: Path, reference: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("dask_jobqueue", reason="dask-jobqueue is not installed")
    import dask

    jobs = tmp_path / "jobs"
    jobs.mkdir()
    for name, text in (("sbatch", _SBATCH), ("scancel", _SCANCEL)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setenv("JOBS", str(jobs))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(p for p in sys.path if p))
    job = {"cores": 1, "processes": 1, "memory": "1GB", "interface": "lo", "death-timeout": 120}
    with dask.config.set({"jobqueue.slurm": dask.config.get("jobqueue.slurm") | job}):
        engine = start_jobs("slurm", 2, Caps())
        report = run_batch(
            [source / "0", source / "1"],
            tmp_path / "out",
            BatchSettings("lut:viridis"),
            Conduct(quiet=True),
            engine=engine,
        )
    assert report.exit_code == 0
    assert nights.objects(tmp_path / "out").items() < reference.items()
    assert len(list(jobs.glob("*.pid"))) == 2
    since = time.monotonic()
    while any(Path(f"/proc/{pid.read_text().strip()}").exists() for pid in jobs.glob("*.pid")):
        assert time.monotonic() - since < 60, "a job was left running"
        time.sleep(0.1)


def test_only_a_stage_of_the_task_is_published(tmp_path: Path) -> None:
    with staging(tmp_path, "0" * 16) as stage:
        (stage.path / "0001.dcm").write_bytes(b"x")
        name = stage.seal()
    for wrong in ("..", f"{'0' * 16}-../../x", f"{'1' * 16}{name[16:]}", ""):
        with pytest.raises(ValueError, match="no stage"):
            publish(tmp_path, "0" * 16, wrong, tmp_path / "a/b")
    publish(tmp_path, "0" * 16, name, tmp_path / "a/b")
    assert (tmp_path / "a/b/0001.dcm").read_bytes() == b"x"
