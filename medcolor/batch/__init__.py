"""Thousands of series in, coloured series out: planned, journalled, done in child processes, never twice.

``run_batch`` is the whole of it: ``BatchSettings`` decide what comes out, a ``Conduct`` how it is gone about. ``plan``
finds series without decoding; a ``Task`` says everything that one series' work is a function of; ``job.run_task`` does
it; an engine decides where. The pool of child processes is the default engine; another needs only to be an
:class:`~medcolor.batch.engine.Engine`.
"""

from __future__ import annotations

from medcolor.batch.conduct import Conduct
from medcolor.batch.run import BatchReport, run_batch
from medcolor.batch.settings import BatchSettings, Caps

__all__ = ["BatchReport", "BatchSettings", "Caps", "Conduct", "run_batch"]
