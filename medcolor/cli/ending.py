"""How a command that runs all night ends: stopped by hand or by the system, and what its metrics say of it."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

from medcolor.cli.messages import FAILED, failure_code
from medcolor.errors import MedcolorError

if TYPE_CHECKING:
    from medcolor.batch.metrics import Metrics


class Terminated(KeyboardInterrupt):
    """SIGTERM came."""

    def follow(self) -> NoReturn:
        """End this process as SIGTERM does: systemd takes that, and no exit code, for a clean stop."""
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTERM)
        raise SystemExit(128 + signal.SIGTERM)  # where the signal is blocked


@contextmanager
def terminable() -> Iterator[None]:
    """Have SIGTERM end what is being done in order, as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: object) -> NoReturn:
        raise Terminated

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def told(metrics: Metrics) -> Iterator[Callable[[int], int]]:
    """Have the metrics say how the command ended, whatever ended it; those of another run are left alone."""
    from medcolor.batch.lock import BusyError

    def ended(code: int) -> int:
        metrics.over(code)
        return code

    try:
        yield ended
    except BusyError:
        raise
    except BaseException as error:
        metrics.over(failure_code(error) if isinstance(error, MedcolorError | FileNotFoundError) else FAILED)
        raise
