"""A real PACS at both ends: queried, retrieved from, stored to; stopped in the middle; nothing lost, nothing double."""

from __future__ import annotations

import io
import signal
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest
from batch import nights
from pacs import certificates
from pacs.orthanc import HTTP, PASSWORD, Orthanc, free_port, running

from medcolor.cli import run
from medcolor.errors import PeerError, SettingError
from medcolor.pacs import Outbox, Schedule, open_peer
from medcolor.pacs.delivery import Delivery
from medcolor.pacs.outbox import Post
from medcolor.pacs.spool import Intake, Limits, SpoolError

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
QUERY = f"StudyDate={nights.DATE}"
SERIES, SLICES = 4, 3


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of small series. Do not change it."""
    folder = tmp_path_factory.mktemp("source")
    for number in range(SERIES):
        nights.series(folder / str(number), number, slices=SLICES)
    return folder


@pytest.fixture(scope="module")
def reference(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of a batch on the files themselves. Do not change it."""
    folder = tmp_path_factory.mktemp("reference")
    env = nights.environment(folder / "env")
    assert nights.night(source, "-o", folder / "out", "--workers", "1", env=env).returncode == 0
    return folder / "out"


@pytest.fixture(scope="module")
def pacs(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    """An Orthanc that holds the source series."""
    with running(tmp_path_factory.mktemp("orthanc")) as server:
        server.put(source)
        yield server


def colored(files: list[bytes]) -> dict[str, bytes]:
    """Return the pixels of the coloured ones, by UID; two of one UID cannot be."""
    found = [ds for each in files if (ds := pydicom.dcmread(io.BytesIO(each))).SamplesPerPixel == 3]
    assert len({ds.SOPInstanceUID for ds in found}) == len(found)
    return {str(ds.SOPInstanceUID): ds.PixelData for ds in found}


def made(out: Path) -> dict[str, bytes]:
    return colored([path.read_bytes() for path in out.glob("*/*/*.dcm")])


def holds_no_canary(text: str) -> None:
    for planted in (*nights.PLANTED, PASSWORD):
        assert planted not in text


@pytest.mark.parametrize(("start", "end"), [("web", "dimse"), ("dimse", "web")])
def test_a_night_from_pacs_to_pacs_gives_the_pixels_of_a_night_on_files(
    pacs: Orthanc, source: Path, reference: Path, tmp_path: Path, start: str, end: str
) -> None:
    env, out = nights.environment(tmp_path / "env"), tmp_path / "out"
    before = len(pacs.files())
    arguments = ("--from", getattr(pacs, start), "--query", QUERY, "-o", out, "--to-pacs", getattr(pacs, end))
    done = nights.night(*arguments, "--workers", "1", env=env)
    assert done.returncode == 0, done.stderr
    assert nights.objects(out) == nights.objects(reference)
    assert colored(pacs.files()) == made(reference)
    assert len(pacs.files()) == SERIES * SLICES * 2 >= before
    retrieved = list((out / ".medcolor/retrieved").rglob("*.dcm"))
    originals = {ds.SOPInstanceUID: ds.PixelData for ds in map(pydicom.dcmread, source.rglob("*.dcm"))}
    assert {ds.SOPInstanceUID: ds.PixelData for ds in map(pydicom.dcmread, retrieved)}.items() >= originals.items()
    holds_no_canary(done.stdout + done.stderr + "".join(str(path) for path in tmp_path.rglob("*")))
    since = max(path.stat().st_mtime_ns for path in out.glob("*/*/*.dcm"))
    again = nights.night(*arguments, "--workers", "1", "--drop-retrieved", env=env)  # colours and sends nothing
    assert again.returncode == 0, again.stderr
    assert max(path.stat().st_mtime_ns for path in out.glob("*/*/*.dcm")) == since
    assert len(pacs.files()) == SERIES * SLICES * 2
    left = [pydicom.dcmread(path).SamplesPerPixel for path in (out / ".medcolor/retrieved").rglob("*.dcm")]
    assert 1 not in left  # no original; what was coloured before is no series of this batch
    for path in (*out.rglob("*.json"), *out.glob("*.html"), *out.glob(".medcolor/*.sqlite*")):
        holds_no_canary(path.read_bytes().decode("latin-1"))


def test_a_pacs_stopped_in_the_middle_and_started_again_has_everything_once(
    source: Path, reference: Path, tmp_path: Path
) -> None:
    env, out = nights.environment(tmp_path / "env"), tmp_path / "out"
    with running(tmp_path / "orthanc") as server:
        options = ("--to-pacs", f"{server.web}&timeout=5", "--retries", "60x1s", "--workers", "1")
        night = subprocess.Popen(
            nights.command(source, "-o", out, *options), env=env, stderr=subprocess.PIPE, text=True
        )
        until = time.monotonic() + 120
        while not server.rest("/instances"):
            assert time.monotonic() < until
            assert night.poll() is None
        night.send_signal(signal.SIGSTOP)  # or all might be sent before the PACS is gone
        server.stop()
        box = Outbox(out, out / ".medcolor")
        assert box.counts()[Post.DONE] < SERIES * SLICES, "it was stopped too late for this test to mean anything"
        box.close()
        night.send_signal(signal.SIGCONT)
        time.sleep(2)
        server.start()
        _, said = night.communicate(timeout=120)
        assert night.returncode == 0, said
        assert colored(server.files()) == made(out) == made(reference)
        assert "cannot be reached" in said
        assert "takes objects again" in said


def test_a_pacs_stopped_while_series_are_retrieved_is_asked_for_the_rest_by_the_next_run(
    source: Path, reference: Path, tmp_path: Path
) -> None:
    env, out = nights.environment(tmp_path / "env"), tmp_path / "out"
    with running(tmp_path / "orthanc") as server:
        server.put(source)
        command = nights.command("--from", f"{server.dimse}?timeout=5", "--query", QUERY, "-o", out, "--workers", "1")
        night = subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True)
        until = time.monotonic() + 120
        while not list((out / ".medcolor/retrieved").glob("*.json")):
            assert time.monotonic() < until
        server.stop(kill=True)
        _, said = night.communicate(timeout=120)
        assert night.returncode == 3, said
        assert "could not be retrieved" in said
        assert "could not be retrieved" in (out / "summary.html").read_text()
        holds_no_canary(said)
        server.start()
        again = nights.night("--from", server.dimse, "--query", QUERY, "-o", out, "--workers", "1", env=env)
        assert again.returncode == 0, again.stderr
    assert nights.objects(out) == nights.objects(reference)


def test_what_a_peer_has_is_taken_within_limits_or_not_at_all(pacs: Orthanc, tmp_path: Path) -> None:
    for name in ("web", "dimse"):
        peer = open_peer(getattr(pacs, name))
        series = next(iter(peer.find({"SeriesInstanceUID": f"{nights.UID_ROOT}.0.1"})))
        assert series.instances == SLICES
        for limits in (Limits(object_bytes=300, free_bytes=1), Limits(objects=2, free_bytes=1)):
            intake = Intake(tmp_path / f"{name}{limits.objects}", limits)
            with pytest.raises(SpoolError):
                peer.fetch(series, intake)
            assert not [path for path in intake.folder.iterdir() if path.suffix != ".dcm"]
            assert intake.count <= limits.objects


def test_what_cannot_be_is_refused_before_any_work(
    pacs: Orthanc, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    away, out = f"dimse://PACS@127.0.0.1:{free_port()}?timeout=2", str(tmp_path / "out")
    fetch = ["batch", "--query", QUERY, "-o", out, "--from"]
    send = ["batch", str(source), "-o", out, "--to-pacs"]
    strange = pacs.web.partition("?")[0]
    for arguments, code, words in (
        ([*fetch, away], 1, "cannot be reached"),
        ([*fetch, pacs.web, "--most-series", "3"], 2, "More than 3"),
        ([*fetch, strange], 2, "credentials"),
        ([*fetch, pacs.web, "--dry-run"], 0, ""),
        ([*send, strange], 2, "credentials"),
        ([*send, pacs.web, "--to", "png"], 2, "--to dicom"),
        ([*send, pacs.web, "--retries", "often"], 2, "schedule"),
        (["batch", str(source), "-o", out, "--query", QUERY], 2, "--from"),
    ):
        assert run(arguments) == code, words
        said = capsys.readouterr()
        assert words in said.err
        holds_no_canary(said.err)
    assert not (tmp_path / "out").exists()
    for text in (f"dicomweb+http://127.0.0.1:{free_port()}/x", f"dimse://A@127.0.0.1:{pacs.http}?timeout=2"):
        with pytest.raises(PeerError):
            open_peer(text).check()


def test_c_move_brings_a_series_to_a_port_of_ours_and_commitment_is_asked_for(
    source: Path, reference: Path, tmp_path: Path
) -> None:
    port = free_port()
    modalities = {"us": ["MEDCOLOR", "127.0.0.1", port]}
    with running(tmp_path / "orthanc", DicomModalities=modalities) as server:
        server.network.lead_out(port)
        server.put(source)
        peer = open_peer(f"{server.dimse}?move={port}")
        series = next(iter(peer.find({"SeriesInstanceUID": f"{nights.UID_ROOT}.1.2"})))
        intake = Intake(tmp_path / "moved", Limits(free_bytes=1))
        peer.fetch(series, intake)
        moved = {ds.SOPInstanceUID: ds.PixelData for ds in map(pydicom.dcmread, intake.folder.glob("*.dcm"))}
        assert moved == {ds.SOPInstanceUID: ds.PixelData for ds in map(pydicom.dcmread, (source / "2").iterdir())}
        box = Outbox(reference, tmp_path / "box", Schedule("9x1s"))
        paths = sorted(path.relative_to(reference).as_posix() for path in reference.glob("*/*/*.dcm"))
        box.add(f"{server.dimse}?commit={port}", [(path, path) for path in paths])
        delivery = Delivery(box)
        delivery.once()
        assert box.counts()[Post.STORED] == len(paths)
        victim = pydicom.dcmread(reference / paths[0]).SOPInstanceUID
        (name,) = server.find(victim)
        server.delete(f"/instances/{name}")
        assert delivery.run()[Post.DONE] == len(paths), "what was not kept is sent again"
        box.close()
        assert server.find(victim)
        assert colored(server.files()) == made(reference)


def test_tls_lets_in_only_whom_it_should_on_both_protocols(source: Path, tmp_path: Path) -> None:
    pem, other = certificates.make(tmp_path / "pem"), certificates.make(tmp_path / "other")
    settings = {
        "DicomTlsEnabled": True,
        "DicomTlsCertificate": str(pem / "server.pem"),
        "DicomTlsPrivateKey": str(pem / "server.key"),
        "DicomTlsTrustedCertificates": str(pem / "ca.pem"),
    }
    proxy = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)  # Debian's Orthanc falls over its own HTTPS
    proxy.load_cert_chain(pem / "server.pem", pem / "server.key")
    proxy.load_verify_locations(pem / "ca.pem")
    proxy.verify_mode = ssl.CERT_REQUIRED
    with running(tmp_path / "orthanc", **settings) as server:
        server.put(source / "0")
        port = server.network.lead_in(HTTP, proxy)
        web = f"{server.web.replace(f'http://127.0.0.1:{server.http}', f'https://localhost:{port}')}&timeout=5"
        dimse = f"{server.dimse.replace('dimse:', 'dimse+tls:')}?timeout=5"
        ours = f"&ca={pem / 'ca.pem'}&cert={pem / 'client.pem'}&key={pem / 'client.key'}"
        for text in (web + ours, dimse + ours):
            peer = open_peer(text)
            peer.check(query=True)
            (series,) = peer.find({"Modality": "CT"})
            intake = Intake(tmp_path / peer.address.scheme, Limits(free_bytes=1))
            peer.fetch(series, intake)
            assert intake.count == SLICES
        elsewhere = ours.replace(f"ca={pem}", f"ca={other}")
        theirs = ours.replace(f"cert={pem}", f"cert={other}").replace(f"key={pem}", f"key={other}")
        for text in (web, dimse):
            for options in (elsewhere, theirs, f"&ca={pem / 'ca.pem'}", ""):
                with pytest.raises(PeerError):
                    open_peer(text + options).check(query=True)
        with pytest.raises(PeerError):  # a certificate for another host
            open_peer((dimse + ours).replace("127.0.0.1", "127.0.0.2")).check()
        with pytest.raises(SettingError):
            open_peer((dimse + ours).replace("client.key", "server.key")).check()


def test_the_outbox_on_the_command_line_lists_what_waits_and_sends_it(
    reference: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, gone = tmp_path / "out", free_port()
    name = next(path.relative_to(reference) for path in reference.glob("*/*/*.dcm"))
    (out / name).parent.mkdir(parents=True)
    (out / name).write_bytes((reference / name).read_bytes())
    with running(tmp_path / "orthanc") as server:
        box = Outbox(out, out / ".medcolor", Schedule("1x1s"))
        box.add(server.web, [(name.as_posix(), "1")])
        box.add(f"dimse://GONE@127.0.0.1:{gone}?timeout=1", [(name.as_posix(), "1")])
        box.close()
        assert run(["outbox", str(out)]) == 0
        assert len(capsys.readouterr().out.splitlines()) == 2
        assert run(["outbox", str(out), "--resend", "--retries", "1x1s"]) == 3
        assert len(colored(server.files())) == 1
    assert run(["outbox", str(out)]) == 3
    said = capsys.readouterr()
    assert "GONE" in said.out
    assert "cannot be reached" in said.out
    holds_no_canary(said.out + said.err)
    assert run(["outbox", str(tmp_path)]) == 2
