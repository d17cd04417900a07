"""What of a PACS the command line says: the ends of a batch, and ``medcolor outbox``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from medcolor.cli.messages import DONE, FAILED, PARTIAL, REFUSED, fail, note, result
from medcolor.errors import SettingError

if TYPE_CHECKING:
    from medcolor.batch import BatchReport, BatchSettings, Conduct
    from medcolor.batch.exchange import Dispatch, Fetched, Retrieval, Sent


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

    def fetch(self, settings: BatchSettings, out: Path, conduct: Conduct) -> Fetched:
        """Check settings and the one end, retrieve from the other; for a plan only say what would come."""
        from medcolor.batch.exchange import Fetched
        from medcolor.batch.run import check_settings

        if self.dispatch is not None:
            self.dispatch.check(settings, note)
        if self.retrieval is None:
            return Fetched()
        check_settings(settings, conduct.caps)
        if conduct.dry_run:
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
        nothing = not report.accounts.series and not report.accounts.refusals  # the PACS has no scan for this query
        code = DONE if nothing and self.retrieval is not None else report.exit_code
        if self.dispatch is None:
            return code
        dispatch = self.dispatch
        sent = send(out.absolute(), dispatch.schedule, self._say, to=dispatch.address)
        return code or _sent(sent, quiet=self.quiet)

    def _say(self, line: str) -> None:
        if not self.quiet:
            note(line)


def outbox(
    folder: Path,
    *,
    resend: bool = False,
    drop: str | None = None,
    retries: str = "5x1m,10x10m",
    quiet: bool = False,
) -> int:
    """List what a batch or a node still has to send, and what is parked; or send it; or give it up.

    Exit code 0: nothing is parked; 3: something is; 2: there is no outbox.

    Parameters
    ----------
    folder
        The output folder of a batch, or of a rule of a node.
    resend
        Try everything again now, what is parked too, until it is sent or parked.
    drop
        Give up what has not left for this address (a wrong one, a PACS that is gone); the objects stay in their folder.
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
    if drop is not None:
        return _drop(out, drop)
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


def _drop(out: Path, address: str) -> int:
    """Give up what has not left for an address."""
    from medcolor.batch.exchange import open_outbox

    with open_outbox(out) as box, box.sending():
        dropped = box.drop(address)
        names = sorted({item.destination.partition("?")[0] for item in box.items()})
    if not dropped:
        known = ", ".join(names) or "none"
        return fail(f"Nothing waits for this address. Addresses in this outbox: {known}.", REFUSED)
    note(f"{dropped} objects given up; they stay in their folder")
    return DONE


def _sent(sent: Sent, *, quiet: bool) -> int:
    """Say what became of the objects, and return the exit code that it stands for."""
    from medcolor.pacs.outbox import Post

    parked, done = sent.counts[Post.PARKED], sent.counts[Post.DONE]
    if not quiet:
        earlier = f" ({done - sent.now} sent before)" if done > sent.now else ""
        note(f"{sent.now} objects sent{earlier}, {parked} parked")
    if sent.elsewhere:
        note(f"{sent.elsewhere} objects are parked for other addresses: medcolor outbox OUT lists them.")
    if not parked:
        return DONE
    note(
        "Parked objects are listed by: medcolor outbox OUT; sent again by: medcolor outbox OUT --resend; given up by: "
        "medcolor outbox OUT --drop ADDRESS."
    )
    return PARTIAL if done else FAILED
