"""Series on a Dask cluster: one task each, in a child process of the worker it lands on.

A worker decodes nothing itself: a crafted file ends the worker's child, not the worker. Input and output folders have
the same paths on every machine. Workers write into the unfinished part of the output folder; this process alone
publishes and keeps the journal.
"""

from __future__ import annotations

import contextlib
import json
import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from medcolor.batch.child import Child, ChildDeath, wait_for
from medcolor.batch.engine import Source, answered
from medcolor.batch.settings import Caps
from medcolor.batch.task import BatchCode, Outcome, State, Task
from medcolor.batch.worker import meaning
from medcolor.errors import SettingError, WriteError

JOB_QUEUES = {"slurm": "SLURMCluster", "pbs": "PBSCluster", "sge": "SGECluster", "lsf": "LSFCluster"}
_WAIT = 0.05
_LOOK = 2.0  # seconds between two looks at who works
_CONNECT = 30.0
_GPU = "GPU"
_PIP = 'pip install "medcolor[batch]"'
_local = threading.local()


class DaskEngine:
    """A running cluster.

    Parameters
    ----------
    client : distributed.Client
    caps : Caps
        Of the children on the workers.
    device : {"auto", "cpu", "cuda"}
        Where some workers announce the resource ``GPU``, series go to those alone, one at a time to each GPU they
        announce; "cpu" takes all workers.
    cluster : optional
        Closed with the engine.
    """

    def __init__(self, client: Any, caps: Caps, *, device: str = "auto", cluster: Any = None) -> None:
        self.client, self.caps, self.device, self.cluster = client, caps, device, cluster
        self._expect = ""
        self._room, self._looked = 1, float("-inf")
        self._resources: dict[str, int] = {}
        self._futures: dict[str, tuple[Any, Task]] = {}

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Have a child on a worker answer; see :class:`~medcolor.batch.engine.Engine`."""
        self._look()
        future = self._submit(request, f"medcolor-ask-{time.monotonic_ns()}")
        try:
            answer = dict(json.loads(future.result()))
        except Exception as error:  # a lost cluster raises many kinds
            raise ChildDeath(BatchCode.CRASHED, f"The Dask cluster gave no answer ({type(error).__name__}).") from None
        if "died" in answer:
            raise ChildDeath(BatchCode(answer["died"]), answer["reason"])
        if "fingerprint" in answer:
            self._expect = meaning(answer["fingerprint"], answer["versions"])
        return answer

    def run(self, source: Source, more: Callable[[], bool]) -> Iterator[tuple[Task, Outcome]]:
        """Yield each task with what came of it; see :class:`~medcolor.batch.engine.Engine`."""
        done: queue.SimpleQueue[Any] = queue.SimpleQueue()
        number = 0
        while True:
            self._look()
            while len(self._futures) < self._room and (task := source()) is not None:
                number += 1
                request = {"do": "color", "task": task.to_json(), "expect": self._expect}
                future = self._submit(request, f"medcolor-{task.key}-{number}-{time.monotonic_ns()}")
                self._futures[future.key] = (future, task)
                future.add_done_callback(done.put)
            if not self._futures and not more():
                return
            try:
                ended = done.get(timeout=_WAIT)
            except queue.Empty:
                continue
            future, task = self._futures.pop(ended.key)
            outcome = self._outcome(future)
            future.release()
            yield task, outcome

    def close(self) -> None:
        """Let go of what still runs, and of the cluster if it is ours."""
        with contextlib.suppress(Exception):  # it may be gone
            self.client.cancel([future for future, _ in self._futures.values()], force=True)
        self._futures.clear()
        for each in (self.client, self.cluster):
            with contextlib.suppress(Exception):
                if each is not None:
                    each.close()

    def _submit(self, request: dict[str, Any], key: str) -> Any:
        return self.client.submit(
            do, json.dumps(request), asdict(self.caps), key=key, pure=False, resources=self._resources or None
        )

    def _look(self) -> None:
        """Find out now and then how many series may be under way, and whether there are GPUs to wait for."""
        if time.monotonic() - self._looked < _LOOK:
            return
        self._looked = time.monotonic()
        if self.client.status != "running":
            raise WriteError(5, "The Dask scheduler is gone. Run again: what is finished stays finished.")
        try:
            workers = self.client.scheduler_info(n_workers=-1)["workers"].values()
        except OSError:
            return  # the client looks for its scheduler itself
        gpus = sum(int(worker.get("resources", {}).get(_GPU, 0)) for worker in workers)
        if gpus and self.device != "cpu":
            self._resources = {_GPU: 1}
        slots = gpus if self._resources else sum(int(worker["nthreads"]) for worker in workers)
        self._room = max(1, 2 * slots)  # one under way and one waiting for each: nobody idles, and little is in memory

    def _outcome(self, future: Any) -> Outcome:
        from distributed.scheduler import KilledWorker

        if future.status == "finished":
            answer = json.loads(future.result())
            if "died" in answer:
                return Outcome(State.DIED, answer["died"], answer["reason"])
            return answered(answer)
        if future.status == "error":
            error = future.exception()
            if isinstance(error, KilledWorker):
                reason = "Dask workers were lost each time one worked on it; --retry tries again."
                return Outcome(State.PARKED, BatchCode.LOST_WORKERS, reason)
            return Outcome(State.FAILED, BatchCode.UNEXPECTED, f"The cluster failed on it ({type(error).__name__}).")
        raise WriteError(5, "The Dask scheduler forgot what it was doing. Run again: what is finished stays finished.")


def connect(address: str, caps: Caps, *, device: str = "auto") -> DaskEngine:
    """Use a cluster that runs.

    Parameters
    ----------
    address : str
        ``tcp://HOST:PORT`` of its scheduler, or ``tls://...`` with certificates as Dask's configuration names them.

    Raises
    ------
    SettingError
        dask.distributed is not installed; nobody answers there, or it has no worker.
    """
    try:
        from distributed import Client
    except ImportError:
        raise SettingError(f"--scheduler needs dask.distributed: {_PIP}") from None
    try:
        client = Client(address, timeout=_CONNECT, set_as_default=False)
    except (OSError, ValueError) as error:
        raise SettingError(f"No Dask scheduler answers at {address} ({type(error).__name__}).") from None
    try:
        client.wait_for_workers(1, timeout=_CONNECT)
    except TimeoutError:
        client.close()
        raise SettingError(f"The Dask cluster at {address} has no worker; start some: dask worker {address}") from None
    return DaskEngine(client, caps, device=device)


def start_jobs(kind: str, jobs: int, caps: Caps, *, device: str = "auto") -> DaskEngine:
    """Have a job queue start workers; what a job is (processors, memory, queue) stands in Dask's configuration.

    Parameters
    ----------
    kind : str
        Of :data:`JOB_QUEUES`.
    jobs : int

    Raises
    ------
    SettingError
        dask-jobqueue is not installed, or not configured.
    """
    try:
        import dask
        import dask_jobqueue
        from distributed import Client
    except ImportError:
        raise SettingError(f"--jobqueue needs dask-jobqueue: {_PIP} dask-jobqueue") from None
    try:
        # no page for everybody on the network, unless the configuration asks for one
        quiet = {"dashboard": False, "dashboard_address": "127.0.0.1:0"}
        said = dask.config.get(f"jobqueue.{kind}.scheduler-options", None) or {}
        cluster = getattr(dask_jobqueue, JOB_QUEUES[kind])(scheduler_options=quiet | said)
    except (ValueError, TypeError) as error:
        raise SettingError(
            f"Dask's configuration says too little about {kind} jobs: {error} Set jobqueue.{kind}.cores and .memory in "
            "~/.config/dask/jobqueue.yaml."
        ) from None
    cluster.scale(jobs=jobs)
    return DaskEngine(Client(cluster, set_as_default=False), caps, device=device, cluster=cluster)


def do(request: str, caps: dict[str, Any]) -> str:
    """Have the child of this thread answer a request: all that runs in a Dask worker. JSON in, JSON out."""
    from distributed import get_worker

    if getattr(_local, "child", None) is None:
        _local.child = Child(Caps(**caps), Path(get_worker().local_directory))
    child: Child = _local.child
    child.caps = Caps(**caps)
    try:
        child.ask(json.loads(request))
        while (answer := child.answer()) is None:
            wait_for([child], _WAIT)
    except ChildDeath as death:
        answer = {"died": str(death.code), "reason": death.reason}
    except OSError as error:  # no process, no folder: the next run tries again
        words = f"A Dask worker could not start a child process ({type(error).__name__})."
        answer = {"outcome": Outcome(State.FAILED, BatchCode.UNEXPECTED, words).to_json()}
    return json.dumps(answer)
