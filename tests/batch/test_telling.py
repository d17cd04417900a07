"""What an operator reads of a run, and what machines do: how it ended, why nothing came of it, how to go on."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

import pydicom
import pytest
from batch import nights
from batch.test_metrics import told

from medcolor.batch import BatchSettings, Conduct, run_batch
from medcolor.batch.metrics import Metrics
from medcolor.cli import run

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
LUT = ["--colorizer", "lut:viridis", "--workers", "1"]


def ours(folder: Path) -> Path:
    """Return a folder of objects that medcolor made."""
    nights.series(folder / "in", 0)
    run_batch([folder / "in"], folder / "out", BatchSettings("lut:viridis"), Conduct(quiet=True))
    made = folder / "made"
    made.mkdir()
    for number, path in enumerate(sorted((folder / "out").rglob("*.dcm"))):
        path.rename(made / f"{number}.dcm")
    return made


def test_the_last_line_says_what_came_of_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(2):
        nights.series(tmp_path / f"in/{number}", number)
    (tmp_path / "in/empty.dcm").write_bytes(b"")
    assert run(["batch", str(tmp_path / "in"), "-o", str(tmp_path / "out"), *LUT]) == 3
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "5 files, 2 series: 2 to do, 1 file refused"
    assert said[-1] == "2 series coloured, 1 refused or failed (Empty 1); summary.html says which and why"


@pytest.mark.parametrize("quiet", [[], ["--quiet"]], ids=["", "quiet"])
def test_where_nothing_was_coloured_the_reasons_are_said_even_to_nobody(
    quiet: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = ours(tmp_path)
    capsys.readouterr()
    assert run(["batch", str(made), "-o", str(tmp_path / "again"), *LUT, *quiet]) == 2
    said = capsys.readouterr().err
    assert "nothing was coloured: 2 files" in said
    assert "2 x OwnOutput: Coloured by medcolor already." in said
    (tmp_path / "cut").mkdir()
    (tmp_path / "cut/0.dcm").write_bytes(b"")
    assert run(["batch", str(tmp_path / "cut"), "-o", str(tmp_path / "third"), *LUT, *quiet]) == 2
    assert "1 x Empty: The file is empty." in capsys.readouterr().err


def test_metrics_say_how_the_command_ended_though_it_never_began(tmp_path: Path) -> None:
    nights.series(tmp_path / "in", 0)
    target = tmp_path / "m.prom"
    line = ["batch", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--quiet", "--metrics", str(target)]
    assert run([*line, *LUT]) == 0
    assert told(target)["exit_code", ""] == 0
    for wrong, code in (
        (["--colorizer", "lut:viridiss"], 2),
        (["--to-pacs", "dimse://PACS"], 2),
        (["--from", "dimse://PACS@127.0.0.1:9?timeout=1", "--query", "Modality=CT"], 1),
    ):
        assert run([*line, *wrong]) == code
        assert (told(target)["exit_code", ""], told(target)["running", ""]) == (code, 0)
    gone = ["batch", str(tmp_path / "not mounted"), *line[2:]]
    assert run(gone) == 2
    assert told(target)["exit_code", ""] == 2


def test_metrics_say_that_a_run_looks_at_files_before_it_knows_what_is_to_do(tmp_path: Path) -> None:
    nights.series(tmp_path / "in", 0)
    target, seen = tmp_path / "m.prom", list[dict[tuple[str, str], float]]()

    class Watched(nights.LocalEngine):
        def ask(self, request: dict[str, object]) -> dict[str, object]:
            seen.append(told(target))
            return super().ask(request)

    conduct = Conduct(quiet=True, metrics=Metrics(target))
    run_batch([tmp_path / "in"], tmp_path / "out", BatchSettings("lut:viridis"), conduct, engine=Watched())
    assert seen[0]["running", ""] == 1
    assert told(target)["files_looked_at", ""] == 2


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 1), (signal.SIGTERM, -signal.SIGTERM)])
def test_a_run_that_is_stopped_says_how_to_go_on_and_so_do_its_metrics(
    number: signal.Signals, code: int, tmp_path: Path
) -> None:
    for each in range(12):
        nights.series(tmp_path / f"in/{each}", each, size=96, slices=6)
    out, target = tmp_path / "out", tmp_path / "m.prom"
    command = nights.command(tmp_path / "in", "-o", out, "--workers", "1", "--metrics", target)
    process = subprocess.Popen(
        command,
        env=nights.environment(tmp_path / "env"),
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a job in the background has it ignored
    )
    since = time.monotonic()
    while not list(out.glob("*/*/provenance.json")):
        assert time.monotonic() - since < 120
        time.sleep(0.01)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == code, said
    assert "Run the same line again" in said
    assert (told(target)["running", ""], told(target)["exit_code", ""]) == (0, 1)
    assert not list((out / ".medcolor").glob("staging/*"))
    assert run(["batch", str(tmp_path / "in"), "-o", str(out), *LUT, "--quiet"]) == 0
    assert len(list(out.rglob("*.dcm"))) == 72


def test_the_damaged_file_of_a_series_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = nights.series(tmp_path / "in", 0, slices=4)
    size = paths[2].stat().st_size
    with paths[2].open("r+b") as stream:
        stream.truncate(size - 200)
    line = ["batch", str(tmp_path / "in"), "-o", str(tmp_path / "out"), *LUT]
    for _ in range(2):  # the second run has it from the journal
        assert run([*line, "--quiet"]) == 3
        page = (tmp_path / "out/summary.html").read_text()
        name = page.partition("not in the output: ")[2][:10]
        capsys.readouterr()
        assert run([*line, "--find", name]) == 0
        assert capsys.readouterr().out.strip() == str(paths[2])
    assert len(list((tmp_path / "out").rglob("*.dcm"))) == 3
    pydicom.dcmread(next((tmp_path / "out").rglob("0003.dcm")))


def test_the_key_of_the_names_is_for_its_user_alone(tmp_path: Path) -> None:
    nights.series(tmp_path / "in", 0)
    run_batch([tmp_path / "in"], tmp_path / "out", BatchSettings("lut:viridis"), Conduct(quiet=True))
    assert (tmp_path / "out/.medcolor").stat().st_mode & 0o777 == 0o700
