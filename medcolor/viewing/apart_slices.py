"""A trained network at work in another process, as a session sees it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

from medcolor.bundle_files import BundleCard
from medcolor.colorizers.chroma_slices import LearnedSlices
from medcolor.colorizers.evidence import Evidence, Look
from medcolor.colorizers.looks import Check, nothing
from medcolor.colorizers.network_slices import BundleSlices
from medcolor.colorizers.slicewise import Slicewise, slicewise
from medcolor.scan import Scan
from medcolor.viewing.apart import Apart
from medcolor.viewing.apart_serving import Begun, Hints, described
from medcolor.viewing.named_bundles import NamedBundle, NamedMethod, knows_tissue
from medcolor.viewing.told import Rest, ToldEvidence

_works = count()


class _Asked:
    """The asking; whoever inherits it is a colorizer at work."""

    colorizer: Any
    scan: Scan
    hints: Hints = ()

    def _ask_of(self, apart: Apart, card: BundleCard, shown: Callable[[], Look], trust: bool) -> None:
        self._apart, self._shown, self._work = apart, shown, next(_works)
        self._where, self._trust = str(card.folder) if trust else card.name, trust
        self._here: Slicewise | None = None

    def evidence(self, k: int, *, check: Check = nothing) -> Evidence | None:
        """Ask about one slice, in the look that is shown.

        Where the process was ended for good, as with the panel that it belonged to, the network runs here: what is
        coloured can still be saved.
        """
        if self._apart.closed:
            if self._here is None:
                self._here = slicewise(self.colorizer.loaded(), self.scan)
            if isinstance(self._here, LearnedSlices) and self._here.hints != self.hints:
                self._here.tell(self.hints)
            return self._here.evidence(k, check=check)
        look, hints = self._shown(), self.hints
        nodes, apart = self._seen(k, look, hints, check)
        return ToldEvidence(look, nodes, apart, lambda: self._rest(k, look, hints, check))

    def close(self) -> None:
        """Let the other process forget the scan."""
        self._apart.forget(self._work)

    def _seen(self, k: int, look: Look, hints: Hints, check: Check) -> Any:
        while (seen := self._apart.ask("evidence", self._work, k, look, hints, check=check)) is None:
            self._begin(k, check)  # another process, or one that had much else to do
        return seen

    def _rest(self, k: int, look: Look, hints: Hints, check: Check) -> Rest:
        while (rest := self._apart.ask("rest", self._work, k, look, hints, check=check)) is None:
            self._seen(k, look, hints, check)
        return Rest(*rest)

    def _begin(self, first: int, check: Check) -> Begun:
        begun = self._apart.ask(
            "begin", self._work, self._where, self._trust, described(self.scan), first, check=check
        )  # fmt: skip
        return Begun(*begun)


class ApartSlices(_Asked, BundleSlices):
    """A network that says which tissue is where, at work on one scan in another process; see :func:`apart_slices`."""

    def __init__(
        self, apart: Apart, card: BundleCard, scan: Scan, shown: Callable[[], Look], *, first: int, trust: bool,
        check: Check,
    ) -> None:  # fmt: skip
        BundleSlices.__init__(self, NamedBundle(card), card, scan, ())
        self._ask_of(apart, card, shown, trust)
        self.findings = self._begin(first, check).findings


class ApartMethod(_Asked, LearnedSlices):
    """A network that gives colours without tissue, at work on one scan in another process."""

    def __init__(
        self, apart: Apart, card: BundleCard, scan: Scan, shown: Callable[[], Look], *, first: int, trust: bool,
        check: Check,
    ) -> None:  # fmt: skip
        self.scan = scan
        self._ask_of(apart, card, shown, trust)
        findings, needs, doubts = self._begin(first, check)
        LearnedSlices.__init__(self, NamedMethod(card, needs, doubts), scan, findings)


def apart_slices(
    apart: Apart,
    card: BundleCard,
    scan: Scan,
    shown: Callable[[], Look],
    *,
    first: int = 0,
    trust: bool = False,
    check: Check = nothing,
) -> ApartSlices | ApartMethod:
    """Set a bundle to work on one scan, in another process.

    Parameters
    ----------
    apart : Apart
    card : BundleCard
    scan : Scan
    shown : callable
        Returns the look that slices are asked for.
    first : int
        The slice that will be asked about first.
    trust : bool
        As for :func:`medcolor.bundles.load_bundle`.
    check : callable
        Raises where nobody wants to wait any more.

    Raises
    ------
    BundleError, ModalityError, ColoringProcessError
        As loading the bundle and calling it; or the process died.
    """
    kind = ApartSlices if knows_tissue(card) else ApartMethod
    return kind(apart, card, scan, shown, first=first, trust=trust, check=check)


__all__ = ["ApartMethod", "ApartSlices", "apart_slices"]
