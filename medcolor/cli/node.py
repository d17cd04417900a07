"""``medcolor node``: a station that colours what it is sent."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from medcolor.cli.messages import DONE, note


def node(
    rules: Path,
    /,
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    metrics: int | None = None,
    quiet: bool = False,
) -> int:
    """Receive DICOM objects, colour each series once it is complete, and send the result on, by rules.

    Ends with SIGTERM or Ctrl-C: no more associations are taken, and the next start goes on from the disk. Listens on
    loopback unless the rules say otherwise; only AE titles that they list may send.

    Parameters
    ----------
    rules
        A YAML file: allow, rules, and if wanted title, listen, tls, quiet, keep, ... (docs/pacs.md).
    output
        Folder of the node: what came, what was made of it, what has to be sent. One node at a time.
    metrics
        Port on 127.0.0.1 for Prometheus; without it none.
    quiet
        Print nothing.
    """
    from medcolor.node import Node, read_config

    station = Node(read_config(rules), output, say=(lambda _: None) if quiet else note, metrics_port=metrics)
    before = {number: signal.signal(number, lambda *_: station.stop()) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        station.run()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return DONE
