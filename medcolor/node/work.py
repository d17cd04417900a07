"""One round of colouring: a batch in a process of its own, whose objects go into its outbox."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

from medcolor.io.child_process import child_command

MOST = 200  # series of one round
_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG


class Work:
    """A process at work; it ends with the thread that started it.

    Parameters
    ----------
    request : dict
        ``check``: settings to load; or ``folders`` to colour, ``out``, ``settings``, ``send``, and what they may take.
    """

    def __init__(self, request: dict[str, Any]) -> None:
        self._answer = tempfile.TemporaryFile()  # noqa: SIM115  no pipe: nobody reads until it has ended
        command = child_command("medcolor.node.work:main", json.dumps(request))
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self._answer)

    @property
    def goes_on(self) -> bool:
        """Whether it is still at work."""
        return self._process.poll() is None

    def stop(self) -> None:
        """End it; a journal takes up what it was at."""
        self._process.terminate()
        self.result()

    def result(self) -> dict[str, Any]:
        """Wait for its end and return what it says; ``failed`` where it says nothing."""
        code = self._process.wait()
        with self._answer as stream, contextlib.suppress(ValueError):
            stream.seek(0)
            return dict(json.loads(stream.read()))
        return {"failed": f"The process that colours ended with code {code}."}


def main(text: str) -> None:
    """Run a round; the process's whole life."""
    with contextlib.suppress(OSError, AttributeError):
        import ctypes

        ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGTERM)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the node decides
    warnings.simplefilter("ignore")  # they may quote headers
    request = json.loads(text)
    try:
        answer = _check(request) if "check" in request else _color(request)
    except Exception as error:
        from medcolor.errors import MedcolorError

        said = str(error) if isinstance(error, MedcolorError) else f"Unexpected {type(error).__name__}."
        answer = {"failed": said}
    sys.stdout.write(json.dumps(answer))


def _check(request: dict[str, Any]) -> dict[str, Any]:
    """Load what each rule names, once, before anybody is told that the node is there."""
    from medcolor.batch.settings import BatchSettings
    from medcolor.errors import MedcolorError

    for name, record in request["check"].items():
        try:
            BatchSettings(**record).check()
        except MedcolorError as error:
            return {"failed": f'rule "{name}": {error}'}
    return {}


def _color(request: dict[str, Any]) -> dict[str, Any]:
    from medcolor.batch import BatchSettings, Caps, Conduct, run_batch
    from medcolor.batch.exchange import Dispatch
    from medcolor.batch.journal import open_journal

    out, folders = Path(request["out"]), [Path(folder) for folder in request["folders"]]
    report = run_batch(
        folders,
        out,
        BatchSettings(**request["settings"]),
        Conduct(workers=request["workers"], caps=Caps(request["memory"], request["seconds"]), quiet=True),
    )
    Dispatch(request["send"]).put(out, report.plan)
    series: dict[str, list[dict[str, str]]] = {folder.name: [] for folder in folders}
    tasks = [*report.plan.todo, *(task for task, _ in report.plan.finished)]
    with open_journal(out, lambda: None) as journal:
        for task in tasks:
            row = journal.row(task.key)
            if row is not None:
                outcome = {
                    "folder": task.folder,
                    "state": str(row.outcome.state),
                    "code": row.outcome.code,
                    "reason": row.outcome.reason,
                }
                series[Path(task.files[0]).parent.name].append(outcome)
    return {"series": series}
