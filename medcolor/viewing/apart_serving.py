"""The other side of :mod:`medcolor.viewing.apart`: a process that runs networks for a window, until nobody asks."""

from __future__ import annotations

import contextlib
import os
import queue
import sys
import threading
from collections.abc import Callable
from typing import Any, BinaryIO, NamedTuple

from medcolor.bundle_files import TISSUE
from medcolor.color import law_table
from medcolor.colorizers.evidence import Look
from medcolor.colorizers.point_hints import Hint
from medcolor.colorizers.slicewise import slicewise
from medcolor.errors import MedcolorError
from medcolor.scan import Finding, Scan
from medcolor.viewing.pipes import put, take
from medcolor.viewing.told import Rest

AWAKE = 0  # number of the first thing said, before any question
_SCANS = 3
Hints = tuple[Hint, ...]


class Begun(NamedTuple):
    """What is known of a work once its network is loaded.

    Attributes
    ----------
    findings : tuple of Finding
    needs : frozenset of str
        What the network can be told beside the gray.
    doubts : bool
        Whether it says how sure it is.
    """

    findings: tuple[Finding, ...]
    needs: frozenset[str]
    doubts: bool


class Bench:
    """Networks that are loaded, and scans that they are at work on."""

    def __init__(self) -> None:
        self._colorizers: dict[tuple[str, bool], Any] = {}
        self._works: dict[int, Any] = {}
        self._seen: dict[int, tuple[int, Hints, Any]] = {}  # the slice that was looked at last, and what was told of it

    def begin(self, work: int, bundle: str, trust: bool, scan: dict[str, Any], first: int) -> Begun:
        """Set a bundle to work on a scan, and run it on the slice that is looked at.

        The first run of a network at a size takes twice as long as any other: nobody should wait for that.
        """
        if work not in self._works:  # else whoever began it did not wait for the answer
            while len(self._works) >= _SCANS:
                self.forget(next(iter(self._works)))
            slices = slicewise(self._colorizer(bundle, trust), Scan(**scan))
            self._seen[work] = first, (), slices.evidence(first)
            self._works[work] = slices
        begun, by = self._works[work], self._works[work].colorizer
        return Begun(tuple(begun.findings), getattr(by, "needs", frozenset()), bool(getattr(by, "doubts", True)))

    def evidence(self, work: int, k: int, look: Look, hints: Hints = ()) -> tuple[Any, ...] | None:
        """Run the network on one slice, and return what is seen of it; None where the work was never begun here."""
        if work not in self._works:
            return None
        slices = self._works[work] = self._works.pop(work)  # the latest stay
        if self._seen[work][:2] != (k, hints):
            if hints != getattr(slices, "hints", ()):
                slices.tell(hints)
            self._seen[work] = k, hints, slices.evidence(k)
        evidence = self._seen[work][2]
        return evidence.index(look), evidence.outside()

    def rest(self, work: int, k: int, look: Look, hints: Hints = ()) -> Rest | None:
        """Return what can wait until a slice is seen; None where another was looked at meanwhile."""
        seen = self._seen.get(work)
        return Rest.of(seen[2], look) if seen is not None and seen[:2] == (k, hints) else None

    def forget(self, work: int) -> None:
        """Let go of a scan."""
        self._works.pop(work, None)
        self._seen.pop(work, None)

    def _colorizer(self, bundle: str, trust: bool) -> Any:
        if (bundle, trust) not in self._colorizers:
            from medcolor.bundles import load_bundle
            from medcolor.colorizers.chroma import ChromaColorizer
            from medcolor.colorizers.network import NetworkColorizer

            loaded = load_bundle(bundle, trust=trust)
            made = NetworkColorizer if loaded.card.method == TISSUE else ChromaColorizer
            self._colorizers[bundle, trust] = made(loaded)
        return self._colorizers[bundle, trust]


def serve() -> None:
    """Answer (number, name, arguments) with (number, answer or None, failure or None); the process's whole life."""
    questions, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # whatever a library prints is no answer
    law_table()  # what takes long is done before anybody asks
    with contextlib.suppress(ImportError):
        import monai.bundle  # noqa: F401
        import torch  # noqa: F401
    bench = Bench()
    heard: queue.SimpleQueue[tuple[int, str, tuple[Any, ...]]] = queue.SimpleQueue()
    threading.Thread(target=_hear, args=(questions, heard), daemon=True).start()
    with contextlib.suppress(OSError):
        put(answers, (AWAKE, None, None))
        while True:
            number, name, arguments = heard.get()
            put(answers, (number, *_answered(getattr(bench, name), arguments)))


def _hear(questions: BinaryIO, heard: queue.SimpleQueue[tuple[int, str, tuple[Any, ...]]]) -> None:
    """Hear at once whatever is computed; where nobody asks any more, end in the midst of it."""
    try:
        while True:
            heard.put(take(questions))
    except (EOFError, OSError):
        os._exit(0)


def _answered(ask: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[Any, dict[str, str] | None]:
    try:
        return ask(*arguments), None
    except Exception as error:
        ours = isinstance(error, MedcolorError | FileNotFoundError | MemoryError)
        # of an error nobody foresaw only its type: its words may quote a header
        return None, {"kind": type(error).__name__, "message": str(error) if ours else ""}


def described(scan: Scan) -> dict[str, Any]:
    """Return what a network needs of a scan: no header, no path."""
    return {
        "voxels": scan.voxels,
        "geometry": scan.geometry,
        "modality": scan.modality,
        "units": scan.units,
        "windows": scan.windows,
        "inverted": scan.inverted,
        "padding": scan.padding,
        "rgb": scan.rgb,
        "colored": scan.colored,
        "k_axis": scan.k_axis,
        "facts": dict(scan.facts),
    }


__all__ = ["AWAKE", "Bench", "described", "serve"]
