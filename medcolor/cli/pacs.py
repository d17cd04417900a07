"""What of a PACS the command line says: the ends of a batch, and ``medcolor outbox``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from medcolor.cli.messages import DONE, FAILED, PARTIAL, REFUSED, fail, note, result
from medcolor.errors import SettingError

if TYPE_CHECKING:
    from medcolor.batch import BatchReport, BatchSettings
    from medcolor.batch.exchange import Dispatch, Fetched, Retrieval
    from medcolor.pacs.outbox import Post


@dataclass(frozen=True, slots=True)
class Ends:
    """The PACS at either end of a batch, where there is one."""

    retrieval: Retrieval | None
    dispatch: Dispatch | None
    quiet: bool

    @classmethod
    def of(
        cls, from_: str | None, query: list[str] | None, most: int, to: str | None, retries: str, *, quiet: bool
    ) -> Ends:
        """Build from the options of the command line."""
        from medcolor.batch.exchange import Dispatch, Retrieval
        from medcolor.pacs import Address, Schedule

        if query and from_ is None:
            raise SettingError("--query asks a PACS: name it with --from.")
        retrieval = None if from_ is None else Retrieval(str(Address.parse(from_)), tuple(query or ()), most)
        dispatch = None if to is None else Dispatch(str(Address.parse(to)), Schedule(retries))
        return cls(retrieval, dispatch, quiet)

    def fetch(self, settings: BatchSettings, out: Path, *, dry_run: bool) -> Fetched:
        """Check the one end, retrieve from the other; with ``dry_run`` only say what would come."""
        from medcolor.batch.exchange import Fetched

        if self.dispatch is not None:
            self.dispatch.check(settings, note)
        if self.retrieval is None:
            return Fetched()
        if dry_run:
            found = self.retrieval.find()
            objects = sum(series.instances or 0 for series in found)
            result(f"{len(found)} series with {objects} objects would be retrieved")
            return Fetched()
        fetched = self.retrieval.fetch(out.absolute(), self._say)
        if not fetched.folders and not fetched.missing:
            note("No series matches.")
        return fetched

    def send(self, out: Path, report: BatchReport, *, drop: bool) -> int:
        """Send what was coloured, with ``drop`` without the originals; return the exit code of it all."""
        from medcolor.batch.exchange import send

        if self.dispatch is not None:
            self.dispatch.put(out.absolute(), report.plan)
        if self.retrieval is not None and drop:
            self.retrieval.drop(out.absolute(), report.plan)
        if self.dispatch is None:
            return report.exit_code
        code = _sent(send(out.absolute(), self.dispatch.schedule, self._say), quiet=self.quiet)
        return report.exit_code or code

    def _say(self, line: str) -> None:
        if not self.quiet:
            note(line)


def outbox(folder: Path, *, resend: bool = False, retries: str = "5x1m,10x10m", quiet: bool = False) -> int:
    """List what a batch or a node still has to send, and what is parked; or send it.

    Exit code 0: nothing is parked; 3: something is; 2: there is no outbox.

    Parameters
    ----------
    folder
        The output folder of a batch, or of a rule of a node.
    resend
        Try everything again now, what is parked too, until it is sent or parked.
    retries
        When to try again.
    quiet
        With --resend: print nothing but what needs somebody.
    """
    from medcolor.batch.exchange import has_outbox, open_outbox, send
    from medcolor.pacs import Schedule
    from medcolor.pacs.outbox import Post

    if not has_outbox(folder):
        return fail(f"{folder}: there is no outbox in this folder.", REFUSED)
    out, schedule = folder.absolute(), Schedule(retries)
    if resend:
        with open_outbox(out) as box:
            box.resend()
        return _sent(send(out, schedule, (lambda _: None) if quiet else note), quiet=quiet)
    with open_outbox(out) as box:
        for item in box.items(Post.WAITING, Post.STORED, Post.PARKED):
            why = f"  {item.failures} tries: {item.reason} [{item.code}]" if item.failures else ""
            result(f"{item.state}  {item.path}  {item.destination.partition('?')[0]}{why}")
        counts = box.counts()
    note(", ".join(f"{count} {post}" for post, count in counts.items()))
    return PARTIAL if counts[Post.PARKED] else DONE


def _sent(counts: dict[Post, int], *, quiet: bool) -> int:
    """Say what became of the objects, and return the exit code that it stands for."""
    from medcolor.pacs.outbox import Post

    if not quiet:
        note(f"{counts[Post.DONE]} objects sent, {counts[Post.PARKED]} parked")
    if not counts[Post.PARKED]:
        return DONE
    note("Parked objects are listed by: medcolor outbox OUT; sent again by: medcolor outbox OUT --resend.")
    return PARTIAL if counts[Post.DONE] else FAILED
