"""A trained network at work in another process, as a session sees it; and who that is, without loading it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from medcolor.bundle_files import TISSUE, BundleCard
from medcolor.bundles import bundle_names, find_bundle, read_card
from medcolor.color_scan import ColorScan, Law
from medcolor.colorizers.auto import has_units, trained_for
from medcolor.colorizers.evidence import Evidence, Look
from medcolor.colorizers.looks import Check, nothing
from medcolor.colorizers.network_slices import BundleSlices, NetworkSlices
from medcolor.palettes import Palette, load_palette, with_cvd
from medcolor.report.legend import Legend
from medcolor.scan import Scan
from medcolor.viewing.apart import Apart
from medcolor.viewing.apart_serving import described
from medcolor.viewing.told import Rest, ToldEvidence

_works = count()


@dataclass(frozen=True, slots=True)
class NamedBundle:
    """A trained bundle known by its card: its network is loaded in this process only when it is called."""

    card: BundleCard
    palette: str = "anatomical"
    strength: float = 1.0
    cvd: str | None = None
    fade: float = 0.0
    onnx: None = None
    law: Law = field(default=Law.LIGHTNESS, init=False)

    @property
    def name(self) -> str:
        """The spec."""
        return self.card.name

    def palette_for(self, scan: Scan) -> Palette:
        """Return the palette that colours this scan."""
        palette = load_palette(self.card.family, self.palette)
        return palette if self.cvd is None else with_cvd(palette, self.cvd)

    def legend_for(self, scan: Scan) -> Legend | None:
        """Return how much of the image each class is."""
        return self.loaded().legend_for(scan)

    def __call__(self, scan: Scan, **options: Any) -> ColorScan:
        """Colour a scan in this process."""
        return self.loaded()(scan, **options)

    def stream(self, scan: Scan, **options: Any) -> Any:
        """Colour a scan in this process, block by block."""
        return self.loaded().stream(scan, **options)

    def loaded(self) -> Any:
        """Return the colorizer itself, with its network."""
        from medcolor.bundles import load_bundle
        from medcolor.colorizers.network import NetworkColorizer

        return NetworkColorizer(
            load_bundle(self.card.folder, trust=True), palette=self.palette, strength=self.strength, cvd=self.cvd,
            fade=self.fade,
        )  # fmt: skip


class ApartSlices(BundleSlices):
    """A trained network at work on one scan, in another process.

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
    """

    def __init__(
        self, apart: Apart, card: BundleCard, scan: Scan, shown: Callable[[], Look], *, first: int = 0,
        trust: bool = False, check: Check = nothing,
    ) -> None:  # fmt: skip
        super().__init__(NamedBundle(card), card, scan, ())
        self._apart, self._shown, self._trust, self._work = apart, shown, trust, next(_works)
        self._here: NetworkSlices | None = None
        self.findings = self._begin(first, check)

    def evidence(self, k: int, *, check: Check = nothing) -> Evidence:
        """Ask about one slice, in the look that is shown.

        Where the process was ended for good, as with the panel that it belonged to, the network runs here: what is
        coloured can still be saved.
        """
        if self._apart.closed:
            if self._here is None:
                self._here = NetworkSlices(self.colorizer.loaded(), self.scan)
            return self._here.evidence(k, check=check)
        look = self._shown()
        nodes, apart = self._seen(k, look, check)
        return ToldEvidence(look, nodes, apart, lambda: self._rest(k, look, check))

    def _seen(self, k: int, look: Look, check: Check) -> Any:
        while (seen := self._apart.ask("evidence", self._work, k, look, check=check)) is None:
            self._begin(k, check)  # another process, or one that had much else to do
        return seen

    def _rest(self, k: int, look: Look, check: Check) -> Rest:
        while (rest := self._apart.ask("rest", self._work, k, look, check=check)) is None:
            self._seen(k, look, check)
        return Rest(*rest)

    def close(self) -> None:
        """Let the other process forget the scan."""
        self._apart.forget(self._work)

    def _begin(self, first: int, check: Check) -> Any:
        where = str(self._card.folder) if self._trust else self._card.name
        return self._apart.ask("begin", self._work, where, self._trust, described(self.scan), first, check=check)


def card_of(spec: str, scan: Scan) -> BundleCard | None:
    """Return the bundle that a spec means for a scan, None where it means no bundle, without loading it.

    Raises
    ------
    BundleError
        As :meth:`medcolor.colorizers.auto.AutoColorizer.choose`.
    """
    if spec == "auto":
        return None if scan.family is None else trained_for(scan.family, has_units(scan))
    if spec not in bundle_names():
        return None
    card = read_card(find_bundle(spec))
    return card if card.method == TISSUE else None


__all__ = ["ApartSlices", "NamedBundle", "card_of"]
