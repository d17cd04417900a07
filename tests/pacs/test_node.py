"""A node colours what it is sent, by its rules; what is done to its door harms neither it nor what it holds."""

from __future__ import annotations

import io
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pydicom
import pytest
from batch import nights
from pacs import certificates
from pacs.orthanc import free_port, running
from pacs.stations import Station, dcmtk_program, station, wait_until
from pacs.test_orthanc import colored, holds_no_canary, made
from pynetdicom.dimse_messages import C_STORE_RQ
from pynetdicom.dimse_primitives import C_STORE

from medcolor.errors import PeerError
from medcolor.pacs import Address, open_peer
from medcolor.pacs.associations import associated

pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.skipif(dcmtk_program("storescu") is None, reason="dcmtk is not installed: it sends in these tests"),
]
DONE = 'objects{rule="ct",state="done"}'
CT = "1.2.840.10008.5.1.4.1.1.2"
RECEIVED = 'requests_total{outcome="received"}'


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return nights.environment(tmp_path_factory.mktemp("env"))


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of small series. Do not change it."""
    folder = tmp_path_factory.mktemp("source")
    for number in range(3):
        nights.series(folder / str(number), number)
    return folder


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory, env: dict[str, str]) -> Iterator[tuple[Station, int]]:
    """A node whose destination is not there: what is done to it stays on its shelves."""
    nowhere = f"dimse://PACS@127.0.0.1:{free_port()}?timeout=1"
    with station(tmp_path_factory.mktemp("door"), nowhere, env, quiet="1h") as (node, port):
        yield node, port


def dcmtk(program: str, port: int, *arguments: str | Path, title: str = "STORESCU") -> subprocess.CompletedProcess[str]:
    command = [
        str(dcmtk_program(program)),
        "-aet",
        title,
        "-aec",
        "MEDCOLOR",
        "127.0.0.1",
        str(port),
        *map(str, arguments),
    ]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def send(port: int, *paths: Path, title: str = "STORESCU") -> subprocess.CompletedProcess[str]:
    return dcmtk("storescu", port, "-v", "+sd", "+r", *paths, title=title)


def stored(answer: subprocess.CompletedProcess[str]) -> int:
    return (answer.stdout + answer.stderr).count("Success")


def resident(node: Station) -> int:
    return int(Path(f"/proc/{node.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def seconds_to_echo(port: int, limit: float) -> float:
    since = time.monotonic()
    while dcmtk("echoscu", port).returncode:
        assert time.monotonic() - since < limit, "the node does not answer any more"
        time.sleep(0.2)
    return time.monotonic() - since


def test_what_is_sent_is_coloured_and_sent_on_by_rules_and_survives_stops(
    source: Path, env: dict[str, str], tmp_path: Path
) -> None:
    reference = tmp_path / "reference"
    assert nights.night(source, "-o", reference, "--to", "dicom", "--workers", "1", env=env).returncode == 0
    other = tmp_path / "mr"
    (path,) = nights.series(other, 9, slices=1)
    ds = pydicom.dcmread(path)
    ds.Modality = "MR"
    ds.save_as(path)
    with running(tmp_path / "orthanc") as pacs, station(tmp_path / "node", pacs.dimse, env, quiet="3s") as (node, port):
        assert stored(send(port, source / "0", source / "1", other)) == 5
        assert node.end(signal.SIGKILL) == -signal.SIGKILL  # after the acknowledgement: everything must be there
        again = Station(tmp_path / "node/node.yaml", node.root, free_port(), env)
        try:
            straggler = sorted((source / "2").iterdir())
            assert stored(send(port, straggler[0])) == 1
            assert "Not Recognized" in send(port, source, title="STRANGER").stderr
            wait_until(lambda: again.count(DONE) >= 5, 200)
            assert stored(send(port, straggler[1])) == 1  # of a series that was coloured already
            wait_until(lambda: again.count(DONE) >= 6, 200)
            assert again.end() == 0
        finally:
            again.process.kill()
        assert len(list((node.root / "aside").glob("*.dcm"))) == 1
        assert "under no rule: 1 object, kept in aside for 1 h" in again.said()
        assert "(2 objects): coloured" in again.said()
        held, whole = colored(pacs.files()), made(reference)
        assert held.items() >= whole.items()
        assert len(held) == len(whole) + 1  # a series coloured before its straggler came is another series
        silent(node.root, again.said())


def silent(root: Path, said: str) -> None:
    """Nothing that people or machines read tells of a patient; objects themselves do."""
    holds_no_canary(said + "".join(str(path) for path in root.rglob("*")))
    for path in root.rglob("*"):
        if path.is_file() and path.suffix != ".dcm":
            holds_no_canary(path.read_bytes().decode("latin-1"))


def test_a_node_says_what_it_is_and_offers_nothing_else(door: tuple[Station, int]) -> None:
    node, port = door
    assert dcmtk("echoscu", port).returncode == 0
    assert dcmtk("echoscu", port, title="STRANGER").returncode
    assert dcmtk("findscu", port, "-S", "-k", "QueryRetrieveLevel=STUDY", "-k", "StudyDate=").returncode
    with socket.create_connection(("127.0.0.1", port)) as probe:
        assert probe.getpeername()[0] == "127.0.0.1"
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        local, state = line.split()[1], line.split()[3]
        if state == "0A" and int(local.rpartition(":")[2], 16) == port:
            assert local.startswith("0100007F"), "it listens beyond loopback"
    assert node.count('requests_total{outcome="rejected"}') >= 1
    assert node.said().count('a sender at 127.0.0.1 is turned away: its AE title is not in "allow"') == 1
    assert "STRANGER" not in node.said()


def test_two_hundred_idle_connections_take_no_memory_and_service_is_back_in_time(door: tuple[Station, int]) -> None:
    node, port = door
    seconds_to_echo(port, 30)
    before = resident(node)
    idle = []
    for _ in range(200):
        probe = socket.socket()
        probe.settimeout(5)
        probe.connect(("127.0.0.1", port))
        idle.append(probe)
    try:
        took = seconds_to_echo(port, 12)  # ACSE timeout 5 s
        assert resident(node) - before < 60 << 20
        assert node.count("connections_refused_total") >= 100
    finally:
        for probe in idle:
            probe.close()
    assert took < 10
    wait_until(lambda: node.count("connections") == 0, 20)


def test_a_pdu_that_announces_300_mb_is_not_read(door: tuple[Station, int]) -> None:
    node, port = door
    seconds_to_echo(port, 30)
    before = resident(node)
    block, sent = b"\0" * (1 << 20), 0
    for kind in (1, 4):
        with socket.create_connection(("127.0.0.1", port), 10) as probe:
            probe.sendall(struct.pack(">BBL", kind, 0, 300 << 20))
            try:
                for _ in range(300):
                    probe.sendall(block)
                    sent += len(block)
            except OSError:
                pass
            else:
                pytest.fail("it read all of it")
    assert sent < 50 << 20
    assert resident(node) - before < 30 << 20
    assert seconds_to_echo(port, 10) < 10


@pytest.mark.parametrize("kind", ["command", "data"])
def test_messages_without_end_are_ended(door: tuple[Station, int], kind: str, source: Path) -> None:
    """A command set in a million fragments, and a data set of a request that has none to speak of."""
    node, port = door
    before = resident(node)
    with established(port) as association:
        wire = association.dul.socket.socket
        header = 1 if kind == "command" else 0
        body = b"\0" * 16000
        item = struct.pack(">LBB", len(body) + 2, 1, header) + body
        pdu = struct.pack(">BBL", 4, 0, len(item)) + item
        with pytest.raises(OSError, match=r"."):
            wire.sendall(pdu * 20_000)
    assert resident(node) - before < 30 << 20
    assert seconds_to_echo(port, 10) < 10


@contextmanager
def established(port: int) -> Iterator[Any]:
    address = Address.parse(f"dimse://MEDCOLOR@127.0.0.1:{port}?calling=STORESCU&timeout=10")
    with associated(address, [CT]) as association:
        yield association
        association.abort()


@pytest.mark.parametrize("uid", ["../../evil", "/etc/cron.d/x", ".."])
def test_uids_that_are_paths_lead_nowhere(door: tuple[Station, int], source: Path, uid: str) -> None:
    node, port = door
    ds = pydicom.dcmread(next((source / "0").iterdir()))
    before = set(node.root.parent.rglob("*"))
    with established(port) as association:
        ds.SOPInstanceUID = uid
        assert association.send_c_store(ds).Status == 0xC000
        ds.SOPInstanceUID, ds.SeriesInstanceUID, ds.StudyInstanceUID = "1.2.3.4", uid, uid
        assert association.send_c_store(ds).Status == 0x0000
    wait_until(lambda: not list(node.root.glob("arrivals/*/*.dcm")), 60)
    new = set(node.root.parent.rglob("*")) - before
    shelf = node.root / "series/ct"
    assert all(path.is_relative_to(shelf) or path.is_relative_to(node.root / "arrivals") for path in new)
    assert not [path for path in new if "evil" in path.name or "cron" in path.name]
    assert not (node.root.parent / "evil").exists()


def test_an_object_beyond_the_cap_is_not_kept(door: tuple[Station, int], source: Path, tmp_path: Path) -> None:
    node, port = door
    ds = pydicom.dcmread(next((source / "0").iterdir()))
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = "1.2.3.5"
    ds.add_new(0x00091001, "OB", b"\0" * (40 << 20))
    ds.save_as(tmp_path / "large.dcm")
    received, before = node.count(RECEIVED), resident(node)
    assert stored(send(port, tmp_path / "large.dcm")) == 0
    assert node.count(RECEIVED) == received
    assert resident(node) - before < 30 << 20
    assert seconds_to_echo(port, 10) < 10


def test_a_sender_that_breaks_off_in_the_middle_leaves_nothing(door: tuple[Station, int], source: Path) -> None:
    node, port = door
    received = node.count(RECEIVED)
    with established(port) as association:
        message = store_request(next((source / "0").iterdir()))
        association.dul.socket.socket.sendall(message)
        time.sleep(0.5)
    assert node.count(RECEIVED) == received
    assert seconds_to_echo(port, 10) < 10


def store_request(path: Path) -> bytes:
    """Return a C-STORE request and the first fragment of its object."""
    request = C_STORE()
    request.MessageID, request.Priority = 1, 2
    request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = CT, "1.2.3.6"
    request.DataSet = io.BytesIO(path.read_bytes()[400:1400])
    message = C_STORE_RQ()
    message.primitive_to_message(request)
    (command, *_), data = list(message.encode_msg(1, 16382)), b""
    for context, value in command.presentation_data_value_list:
        item = struct.pack(">LB", len(value) + 1, context) + value
        data += struct.pack(">BBL", 4, 0, len(item)) + item
    return data + struct.pack(">BBLLBB", 4, 0, 106, 102, 1, 0) + b"\0" * 100


def test_a_disk_that_fails_is_waited_for(door: tuple[Station, int], source: Path) -> None:
    node, port = door
    shelf, away = node.root / "series/ct", node.root / "away"
    shelf.rename(away)
    shelf.write_text("no folder")
    try:
        assert stored(send(port, source / "1")) == 2
        wait_until(lambda: "the disk failed" in node.said(), 60)
        assert dcmtk("echoscu", port).returncode == 0
    finally:
        shelf.unlink()
        away.rename(shelf)
    complete = "arrivals/[0-9a-f]*/*.dcm"  # what associations broke off before stays in landing-* until it is swept
    wait_until(lambda: not list(node.root.glob(complete)), 60)
    assert len(list(shelf.glob("*/*.dcm"))) >= 2


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_five_thousand_objects_over_four_associations_are_all_kept_and_memory_stays_flat(
    source: Path, env: dict[str, str], tmp_path: Path
) -> None:
    nowhere = f"dimse://PACS@127.0.0.1:{free_port()}?timeout=1"
    path = next((source / "0").iterdir())
    with station(tmp_path / "node", nowhere, env, quiet="1h") as (node, port):
        assert stored(send(port, path)) == 1
        before = resident(node)
        command = [
            *(str(dcmtk_program("storescu")), "-aet", "STORESCU", "-aec", "MEDCOLOR"),
            *("--repeat", "1250", "+II", "127.0.0.1", str(port)),
        ]
        senders = [subprocess.Popen([*command, str(path)], stderr=subprocess.DEVNULL) for _ in range(4)]
        peak = 0
        while any(sender.poll() is None for sender in senders):
            peak = max(peak, resident(node))
            time.sleep(0.2)
        assert [sender.returncode for sender in senders] == [0] * 4
        assert node.count(RECEIVED) == 5001
        assert peak - before < 60 << 20
        node.end(signal.SIGKILL)
        assert len(list(node.root.rglob("*.dcm"))) == 5001


def test_tls_lets_in_whom_the_authority_vouches_for_and_a_nearly_full_disk_is_said_to_them(
    source: Path, env: dict[str, str], tmp_path: Path
) -> None:
    pem, other = certificates.make(tmp_path / "pem"), certificates.make(tmp_path / "other")
    nowhere = f"dimse://PACS@127.0.0.1:{free_port()}?timeout=1"
    tls = f"\ntls: {{cert: {pem / 'server.pem'}, key: {pem / 'server.key'}, ca: {pem / 'ca.pem'}}}\n"
    with station(tmp_path / "node", nowhere, env, free="999999TiB", more=tls) as (node, port):
        stuck = socket.create_connection(("127.0.0.1", port))  # a handshake that never comes holds up nobody
        text = f"dimse+tls://MEDCOLOR@127.0.0.1:{port}?calling=SENDER&timeout=10&ca={pem / 'ca.pem'}"
        ours = Address.parse(f"{text}&cert={pem / 'client.pem'}&key={pem / 'client.key'}")
        with associated(ours, [CT]) as association:
            status = association.send_c_store(pydicom.dcmread(next((source / "0").iterdir())))
        assert status.Status == 0xA700
        assert node.count('requests_total{outcome="refused_a700"}') == 1
        assert not list(node.root.rglob("*.dcm"))
        for bad in (text, f"{text}&cert={other / 'client.pem'}&key={other / 'client.key'}"):
            with pytest.raises(PeerError):
                open_peer(bad).check()
        assert dcmtk("echoscu", port).returncode
        stuck.close()
        command = [sys.executable, "-m", "medcolor", "node", str(tmp_path / "node/node.yaml"), "-o", str(node.root)]
        second = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
        assert (second.returncode, "Another node" in second.stderr) == (2, True), second.stderr


def test_the_door_tells_nobody_of_a_patient(door: tuple[Station, int]) -> None:
    node, _ = door
    silent(node.root, node.said())
    holds_no_canary(str(node.metrics()))
