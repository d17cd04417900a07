"""The child process: looks at files and colours series, one request at a time, until its parent goes.

Requests and answers are lines of JSON on stdin and on what was stdout; whatever decoders print goes nowhere.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import queue
import sys
import threading
from pathlib import Path
from typing import Any

_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG


def main() -> None:
    """Answer requests; the child's whole life."""
    _end_with_parent()
    answers = os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    requests: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(requests,), daemon=True).start()
    import medcolor.batch.job
    import medcolor.batch.looking
    import medcolor.io.dicom.read  # noqa: F401  loaded before the clock of the first request starts

    colorizers: dict[str, Any] = {}
    answer: dict[str, Any] = {"ready": True}
    while True:
        answers.write(json.dumps(answer).encode() + b"\n")
        answers.flush()
        answer = _answer(requests.get(), colorizers)
        gc.collect()


def _listen(requests: queue.SimpleQueue[dict[str, Any]]) -> None:
    for line in sys.stdin.buffer:
        requests.put(json.loads(line))
    os._exit(0)  # the parent is gone, or wants no more


def _end_with_parent() -> None:
    """Ask Linux to end this process with its parent, even while a decoder holds the interpreter."""
    with contextlib.suppress(OSError, AttributeError):
        import ctypes
        import signal

        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
        ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGKILL)


def _answer(request: dict[str, Any], colorizers: dict[str, Any]) -> dict[str, Any]:
    from medcolor.batch.job import refusal, run_task
    from medcolor.batch.looking import look
    from medcolor.batch.task import BatchCode, Outcome, State, Task
    from medcolor.io.child_process import limit_memory

    try:
        if request["do"] == "hello":
            return hello(request["settings"])
        if request["do"] == "look":
            limit_memory(request["memory"])
            return {"looks": [look(Path(name)) for name in request["files"]]}
        task = Task.from_json(request["task"])
        limit_memory(None)
        paint = _colorizer(task.settings, colorizers)
        if request.get("expect") and request["expect"] != _meaning_here(task.settings, colorizers):
            reason = "This worker has another version, network or palette than the one that was asked first."
            return {"outcome": Outcome(State.FAILED, BatchCode.OTHER_VERSION, reason).to_json()}
        limit_memory(None if "cuda" in str(getattr(paint, "torch_device", "")) else request["memory"])
        return {"outcome": run_task(task, paint).to_json()}
    except BaseException as error:
        return {"outcome": refusal(error).to_json()}


def hello(record: dict[str, Any]) -> dict[str, Any]:
    """Check the settings by loading what they name; what they hash to."""
    from medcolor.batch.settings import BatchSettings
    from medcolor.errors import MedcolorError

    try:
        settings = BatchSettings(**record)
        settings.check()
        return {"fingerprint": settings.fingerprint(), "versions": _versions()}
    except (MedcolorError, FileNotFoundError) as error:
        return {"error": type(error).__name__, "message": str(error)}


def _colorizer(record: dict[str, Any], colorizers: dict[str, Any]) -> Any:
    from medcolor.batch.settings import BatchSettings, digest_of

    name = digest_of(record | {"modality": None})
    if name not in colorizers:
        colorizers.clear()
        colorizers[name] = BatchSettings(**record).load()
    return colorizers[name]


def _meaning_here(record: dict[str, Any], colorizers: dict[str, Any]) -> str:
    """Return what the settings of a task come to on this computer; worked out once, as the colorizer is."""
    from medcolor.batch.settings import BatchSettings

    if "meaning" not in colorizers:
        colorizers["meaning"] = meaning(BatchSettings(**record).fingerprint(), _versions())
    return str(colorizers["meaning"])


def meaning(fingerprint: dict[str, Any], versions: dict[str, str]) -> str:
    """Return a digest of what one batch's settings come to on one computer: equal where bytes must be."""
    from medcolor.batch.settings import digest_of

    return digest_of([fingerprint | {"modality": None}, versions])


def _versions() -> dict[str, str]:
    from importlib.metadata import PackageNotFoundError, version
    from platform import python_version

    found = {"python": python_version()}
    for name in ("medcolor", "numpy", "scipy", "pydicom", "torch", "monai", "python-gdcm"):
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found
