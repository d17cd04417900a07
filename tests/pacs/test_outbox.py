"""The outbox loses nothing, sends nothing twice that was taken, waits its time, and parks what is refused for good."""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pydicom
import pytest
from batch import nights
from pacs.orthanc import free_port
from pacs.stations import dcmtk_program

from medcolor.errors import SettingError
from medcolor.pacs import Outbox, Schedule
from medcolor.pacs.delivery import Delivery
from medcolor.pacs.outbox import Post
from medcolor.pacs.peer import Answer, Verdict

THERE = "dimse://PACS@127.0.0.1:104"
LATER, STORED = Answer(Verdict.LATER, "0xA700", "Later."), Answer(Verdict.STORED)
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")


@contextmanager
def outbox(folder: Path, schedule: str = "2x10s,1x1h") -> Iterator[Outbox]:
    box = Outbox(folder, folder / "private", Schedule(schedule))
    try:
        yield box
    finally:
        box.close()


def test_what_fails_waits_by_the_schedule_and_is_then_parked_and_resendable(tmp_path: Path) -> None:
    with outbox(tmp_path) as box:
        assert box.add(THERE, [("a.dcm", "1")]) == 1
        delays = []
        for _ in range(4):
            (item,) = box.due(now=time.time() + 4000)
            before = time.time()
            box.note(item, LATER)
            assert not box.due(now=before + 9)
            delays.append(round((box.next_due() or before) - before))
        assert delays == [10, 10, 3600, 0]
        (item,) = box.items(Post.PARKED)
        assert (item.failures, item.code, item.reason) == (4, "0xA700", "Later.")
        assert box.resend() == 1
        assert [(item.state, item.failures) for item in box.due()] == [(Post.WAITING, 0)]


def test_what_is_refused_for_good_is_parked_at_once(tmp_path: Path) -> None:
    with outbox(tmp_path) as box:
        box.add(THERE, [("a.dcm", "1")])
        box.note(box.due()[0], Answer(Verdict.REFUSED, "0x0122", "Never."))
        assert box.counts()[Post.PARKED] == 1


def test_an_object_is_in_once_and_is_sent_again_only_when_its_bytes_changed(tmp_path: Path) -> None:
    with outbox(tmp_path) as box:
        assert box.add(THERE, [("a.dcm", "1"), ("b.dcm", "2")]) == 2
        for item in box.due():
            box.note(item, STORED)
    with outbox(tmp_path) as box:  # another process, after a restart
        assert box.add(THERE, [("a.dcm", "1"), ("b.dcm", "3"), ("c.dcm", "4")]) == 2
        assert [item.path for item in box.due()] == ["b.dcm", "c.dcm"]
        assert box.add("dimse://OTHER@127.0.0.1:104", [("a.dcm", "1")]) == 1


def test_a_clock_that_was_set_back_does_not_stop_everything(tmp_path: Path) -> None:
    with outbox(tmp_path) as box:
        box.add(THERE, [("a.dcm", "1")])
        box.note(box.due()[0], LATER)
        assert not box.due()
        assert box.due(now=time.time() - 86400)


def test_one_process_sends_at_a_time(tmp_path: Path) -> None:
    with outbox(tmp_path) as first, outbox(tmp_path) as second, first.sending(), pytest.raises(SettingError) as caught:
        second.sending().__enter__()
    assert "Another process" in str(caught.value)


@contextmanager
def storescp(folder: Path, port: int, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run dcmtk's storage SCP: somebody else's implementation."""
    program = dcmtk_program("storescp")
    if program is None:
        pytest.skip("dcmtk is not installed: this test needs its storescp")
    folder.mkdir(exist_ok=True)
    command = [program, "-aet", "PACS", "-od", str(folder), *arguments, str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_for(port)
        yield process
    finally:
        process.kill()
        process.wait()


def _wait_for(port: int) -> None:
    until = time.monotonic() + 20
    while time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with eight coloured objects. Do not change it."""
    folder = tmp_path_factory.mktemp("objects")
    nights.series(folder / "in", 1, slices=8)
    done = nights.night(folder / "in", "-o", folder / "out", "--workers", "1", env=nights.environment(folder / "env"))
    assert done.returncode == 0, done.stderr
    (series,) = {path.parent for path in (folder / "out").glob("*/*/0001.dcm")}
    (series / "provenance.json").unlink()
    return series


def fill(box: Outbox, objects: Path, root: Path, port: int) -> None:
    shutil.copytree(objects, root / "objects", dirs_exist_ok=True)
    box.add(
        f"dimse://PACS@127.0.0.1:{port}?timeout=5", [(f"objects/{p.name}", p.name) for p in sorted(objects.iterdir())]
    )


def pixels(folder: Path) -> dict[str, bytes]:
    found = [pydicom.dcmread(path) for path in folder.iterdir() if path.is_file()]
    assert len({str(ds.SOPInstanceUID) for ds in found}) == len(found)
    return {str(ds.SOPInstanceUID): ds.PixelData for ds in found}


def test_another_implementation_gets_every_pixel(objects: Path, tmp_path: Path) -> None:
    port = free_port()
    with outbox(tmp_path) as box, storescp(tmp_path / "got", port):
        fill(box, objects, tmp_path, port)
        assert Delivery(box).run() == {Post.DONE: 8, Post.WAITING: 0, Post.STORED: 0, Post.PARKED: 0}
    assert pixels(tmp_path / "got") == pixels(objects)


def test_a_peer_that_speaks_only_implicit_vr_gets_every_pixel_too(objects: Path, tmp_path: Path) -> None:
    port = free_port()
    with outbox(tmp_path) as box, storescp(tmp_path / "got", port, "+xi"):
        fill(box, objects, tmp_path, port)
        assert Delivery(box).run()[Post.DONE] == 8
    assert pixels(tmp_path / "got") == pixels(objects)


def test_a_peer_that_comes_late_gets_everything_once(objects: Path, tmp_path: Path) -> None:
    port, said = free_port(), list[str]()
    with outbox(tmp_path, "50x1s") as box:
        fill(box, objects, tmp_path, port)
        delivery = Delivery(box, said.append)
        assert delivery.once() == 8
        assert box.counts()[Post.WAITING] == 8
        assert "cannot be reached" in said[0]
        with storescp(tmp_path / "got", port):
            assert delivery.run()[Post.DONE] == 8
    assert pixels(tmp_path / "got") == pixels(objects)
    assert len(said) == 2  # down once, up once


def test_an_object_that_a_peer_does_not_take_is_parked_and_does_not_hold_up_the_others(
    objects: Path, tmp_path: Path
) -> None:
    port = free_port()
    with outbox(tmp_path, "50x1s") as box, storescp(tmp_path / "got", port):
        fill(box, objects, tmp_path, port)
        first = tmp_path / "objects/0001.dcm"
        ds = pydicom.dcmread(first)
        ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = "1.2.826.0.1.3680043.10.999.1"  # nobody's class
        ds.save_as(first)
        (tmp_path / "objects/0002.dcm").unlink()
        (tmp_path / "objects/0003.dcm").write_bytes(b"")  # what a disk may make of a file
        counts = Delivery(box).run()
        parked = {item.path: item.code for item in box.items(Post.PARKED)}
    assert counts[Post.DONE] == 5
    assert parked == {
        "objects/0001.dcm": "NoContext",
        "objects/0002.dcm": "Vanished",
        "objects/0003.dcm": "Damaged",
    }


_SEND = """
import sys
from pathlib import Path
from medcolor.pacs import Outbox, Schedule
from medcolor.pacs.delivery import Delivery
root = Path(sys.argv[1])
Delivery(Outbox(root, root / "private", Schedule("1000x1s"))).run()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="kills processes as Linux does")
def test_kills_of_the_sender_lose_and_double_nothing(objects: Path, tmp_path: Path) -> None:
    port, moments = free_port(), random.Random(7)
    with outbox(tmp_path) as box, storescp(tmp_path / "got", port, "+uf"):
        fill(box, objects, tmp_path, port)
        for _ in range(4):
            sender = subprocess.Popen([sys.executable, "-c", _SEND, str(tmp_path)], env=os.environ)
            begun = sum(box.counts().values()) - box.counts()[Post.WAITING]
            until = time.monotonic() + 30
            while box.counts()[Post.DONE] <= begun and sender.poll() is None and time.monotonic() < until:
                time.sleep(0.005)
            time.sleep(moments.uniform(0, 0.02))
            sender.send_signal(signal.SIGKILL)
            sender.wait()
        assert Delivery(box).run()[Post.DONE] == 8
    assert _by_uid(tmp_path / "got") == pixels(objects)


def _by_uid(folder: Path) -> dict[str, bytes]:
    """Return what came, by UID: a peer keeps one object of a UID however often it comes, storescp a file of each."""
    return {str(ds.SOPInstanceUID): ds.PixelData for path in folder.iterdir() if (ds := pydicom.dcmread(path))}
