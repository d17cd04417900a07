"""Numbers for Prometheus on loopback: counts by rule and state; no patient, sender, UID or path in any of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

from medcolor.errors import PeerError

_SECONDS = 5.0


class Metric(NamedTuple):
    """One number.

    Parameters
    ----------
    name : str
        Without the prefix ``medcolor_node_``.
    kind : str
        counter or gauge.
    help : str
    values : dict
        Labels, as ``rule="ct",state="done"``, to the number; "" for none.
    """

    name: str
    kind: str
    help: str
    values: dict[str, float]


def text_of(metrics: Iterable[Metric]) -> str:
    """Return metrics in Prometheus' text format 0.0.4."""
    lines = []
    for metric in metrics:
        name = f"medcolor_node_{metric.name}"
        lines += [f"# HELP {name} {metric.help}", f"# TYPE {name} {metric.kind}"]
        lines += [
            f"{name}{{{labels}}} {value:.15g}" if labels else f"{name} {value:.15g}"
            for labels, value in metric.values.items()
        ]
    return "\n".join(lines) + "\n"


@contextmanager
def served(port: int, metrics: Callable[[], Iterable[Metric]]) -> Iterator[int]:
    """Serve ``/metrics`` and ``/healthz`` on 127.0.0.1 while this context lasts; yield the port.

    Raises
    ------
    PeerError
        The port is taken.
    """

    class Handler(BaseHTTPRequestHandler):
        timeout = _SECONDS

        def do_GET(self) -> None:
            """Answer one request."""
            known: dict[str, Callable[[], str]] = {"/metrics": lambda: text_of(metrics()), "/healthz": lambda: "ok\n"}
            answer = known.get(self.path)
            body = (answer() if answer else "not found\n").encode()
            self.send_response(200 if answer else 404)
            self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """Say nothing: whoever asked is gone."""

    try:
        server = Server(("127.0.0.1", port), Handler)
    except OSError:
        raise PeerError(f"127.0.0.1:{port}: this port for metrics is taken.") from None
    thread = threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True)
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
