"""A real Orthanc with DICOMweb, alone in a network of its own: Orthanc listens on every address, and here it has none.

Its ports are reached through relays on this computer's loopback, and it reaches chosen ports of ours the same way: a
broker inside its network hands out sockets, and this process pumps bytes.
"""

from __future__ import annotations

import base64
import contextlib
import json
import select
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

PROGRAM = next((p for p in ("/usr/sbin/Orthanc", shutil.which("Orthanc") or "") if p and Path(p).is_file()), None)
PLUGIN = next((p for p in Path("/usr/share/orthanc/plugins").glob("*OrthancDicomWeb.so*")), None)
HTTP, DICOM = 8042, 4242  # in its own network
USER, PASSWORD = "medcolor", "CANARYSECRET"
_BROKER = """
import os, socket, subprocess, sys
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
wire = socket.socket(fileno=int(sys.argv[1]))
wire.send(b"up")
while line := wire.recv(64).decode():
    kind, port = line.split()
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        if kind == "connect":
            made.settimeout(5); made.connect(("127.0.0.1", int(port))); made.settimeout(None)
        else:
            made.bind(("127.0.0.1", int(port))); made.listen(16)
        socket.send_fds(wire, [b"y"], [made.fileno()])
    except OSError:
        wire.send(b"n")
    made.close()
"""


def skip_without_orthanc() -> None:
    if PROGRAM is None or PLUGIN is None:
        pytest.skip("Orthanc is not installed (Debian: orthanc, orthanc-dicomweb): this test needs a real PACS")
    alone = ["unshare", "-rn", "ip", "link", "set", "lo", "up"]
    if shutil.which("unshare") is None or subprocess.run(alone, capture_output=True, check=False).returncode:
        pytest.skip("no network namespaces here: Orthanc would listen on every address of this computer")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Network:
    """A network with nothing in it but what is started here."""

    def __init__(self) -> None:
        self._wire, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._broker = subprocess.Popen(
            ["unshare", "-rn", sys.executable, "-c", _BROKER, str(theirs.fileno())], pass_fds=[theirs.fileno()]
        )
        theirs.close()
        assert self._wire.recv(8) == b"up"
        self._lock = threading.Lock()
        self._listeners: list[socket.socket] = []

    def command(self, *arguments: str) -> list[str]:
        """Return the command line that runs a program inside."""
        return ["nsenter", f"--target={self._broker.pid}", "--user", "--net", "--preserve-credentials", *arguments]

    def socket(self, kind: str, port: int) -> socket.socket:
        with self._lock:
            self._wire.send(f"{kind} {port}".encode())
            said, descriptors, _, _ = socket.recv_fds(self._wire, 8, 1)
        if said != b"y":
            raise ConnectionRefusedError
        return socket.socket(fileno=descriptors[0])

    def lead_in(self, port: int, tls: ssl.SSLContext | None = None) -> int:
        """Return a port of this computer's loopback that leads to ``port`` inside; with ``tls`` as a proxy does."""
        listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._serve(listener, lambda: self.socket("connect", port), tls)
        return int(listener.getsockname()[1])

    def lead_out(self, port: int) -> None:
        """Have ``port`` inside lead to the same port of this computer's loopback."""
        listener = self.socket("listen", port)
        self._serve(listener, lambda: socket.create_connection(("127.0.0.1", port), 5))

    def close(self) -> None:
        for listener in self._listeners:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        self._wire.close()
        self._broker.wait(10)

    def _serve(self, listener: socket.socket, connect: Any, tls: ssl.SSLContext | None = None) -> None:
        self._listeners.append(listener)
        threading.Thread(target=_accept, args=(listener, connect, tls), daemon=True).start()


def _accept(listener: socket.socket, connect: Any, tls: ssl.SSLContext | None) -> None:
    while True:
        try:
            near, _ = listener.accept()
        except OSError:
            return
        try:
            far = connect()
        except OSError:
            near.close()
            continue
        threading.Thread(target=_pump, args=(near, far, tls), daemon=True).start()


def _pump(near: socket.socket, far: socket.socket, tls: ssl.SSLContext | None) -> None:
    """Carry bytes both ways until one end goes; with ``tls`` the near end is encrypted."""
    with contextlib.suppress(OSError), near, far:
        if tls is not None:
            near = tls.wrap_socket(near, server_side=True)
        with near:
            while True:
                more = isinstance(near, ssl.SSLSocket) and near.pending()
                for source in [near] if more else select.select([near, far], [], [])[0]:
                    data = source.recv(1 << 16)
                    if not data:
                        return
                    (far if source is near else near).sendall(data)


class Orthanc:
    """The server; ``stop`` and ``start`` keep what it holds."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.folder, self.network = folder, Network()
        self.process: subprocess.Popen[bytes] | None = None
        self.http, self.dicom = self.network.lead_in(HTTP), self.network.lead_in(DICOM)
        configuration = {
            "Name": "test",
            "StorageDirectory": str(folder / "storage"),
            "IndexDirectory": str(folder / "index"),
            "HttpPort": HTTP,
            "DicomPort": DICOM,
            "DicomAet": "ORTHANC",
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": True,
            "RegisteredUsers": {USER: PASSWORD},
            "DicomAlwaysAllowEcho": True,
            "DicomAlwaysAllowStore": True,
            "DicomAlwaysAllowFind": True,
            "DicomAlwaysAllowGet": True,
            "DicomAlwaysAllowMove": True,
            "OverwriteInstances": False,
            "Plugins": [str(PLUGIN)],
            "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
        } | settings
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "orthanc.json").write_text(json.dumps(configuration))
        (folder / "secret").write_text(PASSWORD + "\n")
        self.start()

    @property
    def web(self) -> str:
        secret = f"user={USER}&password=file:{self.folder / 'secret'}"
        return f"dicomweb+http://127.0.0.1:{self.http}/dicom-web?{secret}"

    @property
    def dimse(self) -> str:
        return f"dimse://ORTHANC@127.0.0.1:{self.dicom}"

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            command = self.network.command(str(PROGRAM), str(self.folder / "orthanc.json"))
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        until = time.monotonic() + 30
        while not self.answers():
            assert self.process.poll() is None, (self.folder / "log").read_text(errors="replace")
            assert time.monotonic() < until, "Orthanc does not come up"
            time.sleep(0.05)

    def answers(self) -> bool:
        try:
            self.rest("/system")
        except OSError:
            return False
        return True

    def stop(self, *, kill: bool = False) -> None:
        """End it by its number."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
        self.process.wait(30)

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.stop(kill=True)
        self.network.close()

    def rest(self, path: str, data: bytes | None = None, method: str | None = None) -> Any:
        """Ask its own interface, which is none of ours: what it holds."""
        token = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.http}{path}", data, {"Authorization": f"Basic {token}"}, method=method
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            text = answer.read()
        return text if path.endswith("/file") else json.loads(text)

    def find(self, uid: str) -> list[str]:
        """Return its names for an object."""
        found = self.rest("/tools/lookup", str(uid).encode())
        return [each["ID"] for each in found if each["Type"] == "Instance"]

    def delete(self, path: str) -> None:
        self.rest(path, method="DELETE")

    def put(self, folder: Path) -> None:
        for path in sorted(folder.rglob("*.dcm")):
            self.rest("/instances", path.read_bytes())

    def files(self) -> list[bytes]:
        """Return every object it holds, as a file."""
        return [self.rest(f"/instances/{name}/file") for name in self.rest("/instances")]


@contextlib.contextmanager
def running(folder: Path, **settings: Any) -> Iterator[Orthanc]:
    skip_without_orthanc()
    server = Orthanc(folder, **settings)
    try:
        yield server
    finally:
        server.close()


__all__ = ["Orthanc", "free_port", "running", "skip_without_orthanc"]
