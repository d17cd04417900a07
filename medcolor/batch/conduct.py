"""How a run goes about its work: none of it changes a byte of a colour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from medcolor.batch.metrics import Metrics
from medcolor.batch.settings import Caps
from medcolor.batch.task import State

Missing = tuple[str, State, str, str]
_PAUSE = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Conduct:
    """How a run goes about its work.

    Parameters
    ----------
    workers : int
        Child processes.
    caps : Caps
        What one series may take.
    dry_run : bool
        Plan only; writes nothing.
    wait : bool
        Wait for another run on this output instead of refusing.
    retry : bool
        Do again what was refused or parked.
    rehash : bool
        Look into every file again, whatever its size and time.
    source_uids : bool
        Write the UIDs of sources into manifests.
    salt_file : Path, optional
        Of de-identification; the output folder's own when left out.
    metrics : Metrics
        Kept up to date for Prometheus.
    missing : sequence of (label, State, code, reason)
        What should have been among the inputs and could not be had.
    quiet : bool
        Say nothing but what needs somebody.
    pause : float
        Seconds between two tries to write to a full disk.
    """

    workers: int = 1
    caps: Caps = field(default_factory=Caps)
    dry_run: bool = False
    wait: bool = False
    retry: bool = False
    rehash: bool = False
    source_uids: bool = False
    salt_file: Path | None = None
    metrics: Metrics = field(default_factory=lambda: Metrics(None))
    missing: Sequence[Missing] = ()
    quiet: bool = False
    pause: float = _PAUSE
