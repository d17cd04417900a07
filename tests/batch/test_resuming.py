"""A run that is killed goes on where it was; what is finished is not done again; equal inputs give equal bytes."""

from __future__ import annotations

import errno
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pydicom
import pytest
from batch import nights

from medcolor.batch import BatchReport, BatchSettings, Conduct, run_batch
from medcolor.batch.lock import locked
from medcolor.batch.publishing import is_full
from medcolor.batch.settings import fingerprint_for
from medcolor.batch.task import State
from medcolor.errors import SettingError, UnknownColorizerError

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
SERIES = 14


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of small series. Do not change it."""
    folder = tmp_path_factory.mktemp("source")
    for number in range(SERIES):
        nights.series(folder / f"{number}", number)
    return folder


def run(source: Path, out: Path, colorizer: str = "lut:viridis", **options: object) -> BatchReport:
    engine = options.pop("engine", None)
    return run_batch([source], out, BatchSettings(colorizer), Conduct(quiet=True, **options), engine=engine)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def reference(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of a run that nothing disturbed. Do not change it."""
    out = tmp_path_factory.mktemp("reference")
    assert run(source, out).exit_code == 0
    return out


def survive_kills(source: Path, reference: Path, base: Path, kills: int) -> None:
    """Kill runs at random moments; every object that is there is whole; the last run completes."""
    out, env, moments = base / "out", nights.environment(base / "env"), random.Random(kills)
    whole, killed, midway = nights.objects(reference), 0, 0
    for _ in range(kills):
        process = subprocess.Popen(
            nights.command(source, "-o", out, "--workers", "2"), env=env, stderr=subprocess.DEVNULL
        )
        journal, since = out / ".medcolor/journal.sqlite", time.monotonic()
        before, more = _finished(out), moments.randrange(5)  # a moment by what is done: no clock of a busy computer
        while process.poll() is None and time.monotonic() - since < 60:
            if journal.exists() and _finished(out) >= min(before + more, SERIES):
                break
            time.sleep(0.002)
        time.sleep(moments.uniform(0.0, 0.15))
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        killed += process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait()
        found = nights.objects(out)
        midway += 0 < len(found) < len(whole)
        assert found.items() <= whole.items(), "an object under its final name is not whole"
        gone = time.monotonic() + 20
        while any(_runs(child) for child in children):
            assert time.monotonic() < gone, "a child outlived its parent"
            time.sleep(0.02)
        if found == whole:  # nothing left to kill: from the start
            shutil.rmtree(out)
    assert killed > kills // 2
    assert midway
    last = nights.night(source, "-o", out, env=env)
    assert last.returncode == 0, last.stderr
    assert nights.objects(out) == whole
    assert not list((out / ".medcolor").glob("staging/*"))
    uids = [str(pydicom.dcmread(path).SOPInstanceUID) for path in out.rglob("*.dcm")]
    assert len(uids) == len(set(uids)) == 2 * SERIES


def _finished(out: Path) -> int:
    return len(list(out.glob("*/*/provenance.json")))


def _runs(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


linux = pytest.mark.skipif(sys.platform != "linux", reason="looks at children in /proc")


@linux
def test_five_kills_at_random_moments_harm_nothing(source: Path, reference: Path, tmp_path: Path) -> None:
    survive_kills(source, reference, tmp_path, 5)


@linux
@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_fifty_kills_at_random_moments_harm_nothing(source: Path, reference: Path, tmp_path: Path) -> None:
    survive_kills(source, reference, tmp_path, 50)


def test_skipping_follows_content_and_settings(source: Path, reference: Path, tmp_path: Path) -> None:
    mine, out = tmp_path / "in", tmp_path / "out"
    for number in range(2):
        shutil.copytree(source / str(number), mine / str(number))
    first = run(mine, out)
    assert first.accounts.series[State.DONE] == len(first.plan.todo) == 2
    before = nights.objects(out)
    assert before.items() <= nights.objects(reference).items()  # other folder, other company, same names and bytes

    manifest = next(out.glob("*/manifest.json"))
    told = manifest.read_bytes()
    manifest.unlink()  # as if the run had been killed just before
    os.utime(mine / "0/0001.dcm")  # touched: looked at, not done again
    touched = run(mine, out)
    assert (len(touched.plan.todo), touched.accounts.earlier) == (1, 2)
    assert run(mine, out).plan.todo == []
    assert manifest.read_bytes() == told

    (mine / "0/0001.dcm").rename(mine / "0/renamed.dcm")  # names decide nothing
    run(mine, out)
    assert nights.objects(out) == before

    one = pydicom.dcmread(mine / "1/0002.dcm")  # other pixels: done again, in the same place
    one.PixelData = bytes(reversed(one.PixelData))
    one.save_as(mine / "1/0002.dcm")
    changed = run(mine, out)
    assert (len(changed.plan.todo), changed.accounts.earlier) == (1, 1)
    after = nights.objects(out)
    assert after.keys() == before.keys()
    assert sum(after[name] != before[name] for name in after) == 2  # the object and the provenance

    victim = next(out.rglob("0001.dcm"))  # an output that is gone is made again
    victim.unlink()
    run(mine, out)
    assert nights.objects(out) == after

    other = run(mine, out, "lut:magma")  # other settings: beside, not instead
    assert len(other.plan.todo) == 2
    assert after.items() < nights.objects(out).items()


def test_a_new_network_for_one_modality_does_not_concern_the_others() -> None:
    one = {"weights_sha256": {"CT": {"ct_tissue": "a"}, "MR": {"mr_tissue": "b"}}, "to": "auto"}
    other = one | {"weights_sha256": {"CT": {"ct_tissue": "a"}, "MR": {"mr_tissue": "c"}}}
    assert fingerprint_for(one, "CT") == fingerprint_for(other, "CT")
    assert fingerprint_for(one, "MR") != fingerprint_for(other, "MR")
    assert fingerprint_for(one, None) != fingerprint_for(other, None)


def test_a_copy_elsewhere_is_coloured_once(source: Path, tmp_path: Path) -> None:
    shutil.copytree(source / "0", tmp_path / "in/a")
    shutil.copytree(source / "0", tmp_path / "in/b")
    report = run(tmp_path / "in", tmp_path / "out")
    assert report.accounts.series == {State.DONE: 1}
    assert report.accounts.left_out == 2
    assert len(list((tmp_path / "out").rglob("*.dcm"))) == 2


def test_a_list_in_csv_names_series(source: Path, tmp_path: Path) -> None:
    listed = tmp_path / "series.csv"
    listed.write_text(f"path,series,modality\n{source},{nights.UID_ROOT}.1.3,\n{source / '5'},,MR\n")
    report = run(listed, tmp_path / "out")
    assert report.accounts.series == {State.DONE: 2}
    assert {task.settings["modality"] for task in report.plan.todo} == {None, "MR"}


def test_two_runs_on_one_output_do_not_meet(source: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    holding, let_go = threading.Event(), threading.Event()

    def hold() -> None:
        with locked(tmp_path / "out", wait=False, say=lambda _: None):
            holding.set()
            let_go.wait(60)

    holder = threading.Thread(target=hold)
    holder.start()
    holding.wait(60)
    with pytest.raises(SettingError, match=rf"Another run works on this output \(process {os.getpid()}\)"):
        run(source / "0", tmp_path / "out")
    threading.Timer(0.5, let_go.set).start()
    assert run(source / "0", tmp_path / "out", wait=True).exit_code == 0
    holder.join()


def test_folders_that_vanish_are_refusals_and_not_remembered(source: Path, tmp_path: Path) -> None:
    mine = tmp_path / "in"
    for number in range(2):
        shutil.copytree(source / str(number), mine / str(number))

    class Vanishing(nights.LocalEngine):
        def before(self, task: object) -> None:
            shutil.rmtree(mine / "1", ignore_errors=True)

    report = run(mine, tmp_path / "out", engine=Vanishing())
    assert report.exit_code == 3
    assert [refusal.code for refusal in report.accounts.refusals] == ["Vanished"]
    shutil.copytree(source / "1", mine / "1")
    assert run(mine, tmp_path / "out").exit_code == 0  # tried again, without being told to


def test_a_read_only_output_is_refused(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir(mode=0o500)
    if os.geteuid() == 0:  # whom only the file system stops
        mount = ["mount", "-t", "tmpfs", "-o", "ro", "none", str(out)]
        if subprocess.run(mount, capture_output=True, check=False).returncode:
            pytest.skip("root may write everywhere, and may not mount here: a read-only output was NOT tested")
    try:
        with pytest.raises(OSError, match="cannot be written"):
            run(source / "0", out)
    finally:
        if os.geteuid() == 0:
            subprocess.run(["umount", "-l", str(out)], check=False)


def test_an_output_in_the_place_of_an_input_is_refused(source: Path, tmp_path: Path) -> None:
    mine = shutil.copytree(source / "0", tmp_path / "in")
    before = sorted(mine.rglob("*"))
    (tmp_path / "link").symlink_to(mine)
    for out in (mine, tmp_path / "link"):
        with pytest.raises(SettingError, match="inputs are only read"):
            run(mine, out)
    assert sorted(mine.rglob("*")) == before


def test_an_output_in_the_place_of_a_file_is_refused(source: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(OSError, match="cannot be written"):
        run(source / "0", tmp_path / "out")


@pytest.mark.parametrize(
    ("settings", "known"),
    [
        ({"colorizer": "lut:viridiss"}, "viridis"),
        ({"colorizer": "physics", "palette": "contrastt"}, "anatomical, contrast"),
        ({"colorizer": "physics", "cvd": "protann"}, "protan, deutan, tritan"),
        ({"colorizer": "physics", "window": "lungg"}, "CT: abdomen, .* PT: suv0-6, .*CENTER/WIDTH"),
        ({"colorizer": "physics", "window": "lung", "modality": "MR"}, "CENTER/WIDTH"),
    ],
)
def test_settings_are_refused_before_any_work(
    source: Path, tmp_path: Path, settings: dict[str, str], known: str
) -> None:
    with pytest.raises(UnknownColorizerError, match=known):
        run_batch([source], tmp_path / "out", BatchSettings(**settings), Conduct(quiet=True))  # type: ignore[arg-type]
    with pytest.raises(SettingError, match="seg:"):
        BatchSettings("seg:labels.nii.gz")
    assert not list((tmp_path / "out").glob("*.html"))


def test_a_full_disk_pauses_the_run_and_it_goes_on(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "small"
    out.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=640k", "none", str(out)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a small tmpfs (root): a full disk was NOT tested")
    try:
        (out / "ballast").write_bytes(bytes(384 << 10))
        said = tmp_path / "said"
        with said.open("w") as stream:
            process = subprocess.Popen(nights.command(source, "-o", out, "--workers", "1"), stderr=stream)
            since = time.monotonic()
            while "paused" not in said.read_text():
                assert process.poll() is None, said.read_text()
                assert time.monotonic() - since < 120
                time.sleep(0.05)
            time.sleep(0.5)
            assert process.poll() is None
            for path in out.rglob("*.dcm"):
                if ".medcolor" not in path.parts:
                    pydicom.dcmread(path).pixel_array.tobytes()  # whole
            subprocess.run(["mount", "-o", "remount,size=8m", str(out)], check=True)
            assert process.wait(120) == 0, said.read_text()
        assert said.read_text().count("paused") >= 1
        assert "going on" in said.read_text()
        assert len(list(out.rglob("*.dcm"))) == 2 * SERIES
    finally:
        subprocess.run(["umount", "-l", str(out)], check=False)


def test_a_full_disk_is_known_however_it_is_wrapped() -> None:
    error = RuntimeError("pydicom wraps it")
    error.__cause__ = OSError(errno.ENOSPC, "full")
    assert is_full(error)
    assert not is_full(OSError(errno.EACCES, "no"))
