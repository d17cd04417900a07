"""Networks that give colours at once, slice by slice: what a viewer keeps of a slice is its (a*, b*)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from medcolor.color import ab_index
from medcolor.color_scan import ColorScan
from medcolor.colorizers.chroma_legend import KnownColors, known_colors
from medcolor.colorizers.encoder_memory import remembering
from medcolor.colorizers.evidence import Index, Look
from medcolor.colorizers.learned_colors import finished
from medcolor.colorizers.looks import Check, Settings, checked_look, nothing
from medcolor.colorizers.point_hints import Hint, check_hints
from medcolor.errors import SettingError
from medcolor.recoloring import Recoloring
from medcolor.report.legend import Legend
from medcolor.scan import Finding, Scan
from medcolor.voi import Display

if TYPE_CHECKING:
    from medcolor.colorizers.chroma import ChromaColorizer

_STEPS = np.float32(128)  # of one (a*, b*) unit, that colours are kept to
_FULL = np.float32(255)


class LearnedSlices:
    """What of such a method at work is known without its network.

    Parameters
    ----------
    colorizer : LearnedColors
    scan : Scan
    findings : tuple of Finding

    Attributes
    ----------
    hints : tuple of Hint
        What the network is told of single voxels now.
    """

    def __init__(self, colorizer: Any, scan: Scan, findings: tuple[Finding, ...]) -> None:
        self.colorizer, self.scan, self.findings = colorizer, scan, findings
        self.known, self.hints = known_colors(colorizer), tuple(colorizer.hints)
        self._for_eyes: dict[str | None, Recoloring | None] = {None: None}

    @property
    def own(self) -> Settings:
        """What the colorizer was made with."""
        by = self.colorizer
        return Settings(None, by.strength, by.cvd, by.fade)

    def look(self, settings: Settings) -> Look:
        """Turn settings into what is painted with.

        Raises
        ------
        SettingError
            Out of range; a palette; or a fade, where the method does not know its doubt.
        """
        by = self.colorizer
        if settings.palette is not None:
            raise SettingError(
                f'{by.name} learned the colours of "{by.taught.style}" and has no classes to give others to; '
                "use auto, physics or a tissue bundle for another palette."
            )
        strength, fade = checked_look(by.name, settings, fades=True)
        by.require_doubt(fade)
        if settings.cvd not in self._for_eyes:
            self._for_eyes[settings.cvd] = by.recoloring_for(settings.cvd)
        return Look(None, settings.cvd, strength, fade, recoloring=self._for_eyes[settings.cvd])

    def tell(self, hints: Sequence[Hint]) -> tuple[int, ...]:
        """Tell the network these hints in place of those it knows; return the slices that are to be asked about again.

        Raises
        ------
        SettingError
            The method takes none in the midst of its work; or one is outside the scan, or of a class that is none.
        """
        if "hints" not in self.colorizer.needs:
            raise SettingError(f"{self.colorizer.card.method} is told no hints while it colours; zhang2017 is.")
        check_hints(hints, self.scan.shape, self.colorizer.taught)
        before, self.hints = self.hints, tuple(hints)
        kept = {k: tuple(hint for hint in before if hint.k == k) for k in {hint.k for hint in (*before, *hints)}}
        return tuple(sorted(k for k, known in kept.items() if known != tuple(h for h in hints if h.k == k)))

    def legend(self, totals: Sequence[NDArray[np.float64]], among: str, look: Look) -> Legend:
        """Return what the colours are in a look, from the totals of some slices."""
        counts = np.sum(totals, axis=0) if len(totals) else np.zeros(len(self.known.ab))
        return self.known.legend(counts, among, strength=look.strength, to=look.recoloring)

    def record(self, painted: tuple[NDArray[np.uint8], int], display: Display, look: Look, *, seed: int) -> ColorScan:
        """Put painted slices on the grid of the scan, with the colorizer's own provenance."""
        options = self.colorizer.options(strength=look.strength, cvd=look.cvd, fade=look.fade, hints=self.hints)
        return cast(ColorScan, self.colorizer.recorded(painted, self.scan, display, options, seed=seed))


class ChromaSlices(LearnedSlices):
    """Such a network at work on one scan; see :class:`~medcolor.colorizers.slicewise.Slicewise`."""

    def __init__(self, colorizer: ChromaColorizer, scan: Scan) -> None:
        from medcolor.recognition import mismatch

        foreign = mismatch(scan, colorizer.card.family) if colorizer.check else None
        super().__init__(colorizer, scan, () if foreign is None else (foreign,))
        self._prediction = colorizer.predict(scan)
        computing = self._prediction.computing
        self._prediction = replace(
            self._prediction, computing=computing._replace(network=remembering(computing.network))
        )

    def tell(self, hints: Sequence[Hint]) -> tuple[int, ...]:
        """Tell the network these hints; what its encoder said of the slices looked at last stays."""
        changed = super().tell(hints)
        conditions = self._prediction.conditions._replace(hints=self.hints)
        self._prediction = replace(self._prediction, conditions=conditions)
        return changed

    def evidence(self, k: int, *, check: Check = nothing) -> ChromaEvidence:
        """Run the network on one slice."""
        ni, nj, _ = self.scan.shape
        ab, doubt = np.empty((nj, ni, 2), np.float32), None
        for tile, part in self._prediction.parts(slice(k, k + 1)):
            check()
            ab[tile.kept[1:]] = part.ab[0].cpu().numpy()
            if part.doubt is not None:
                doubt = np.empty((nj, ni), np.float32) if doubt is None else doubt
                doubt[tile.kept[1:]] = part.doubt[0].cpu().numpy()
        return ChromaEvidence(ab, doubt, self.known, self.colorizer.name)


@dataclass(frozen=True, slots=True, eq=False)
class ChromaEvidence:
    """The colours of one slice, (nj, ni, 2), and how unsure they are, (nj, ni); see
    :class:`~medcolor.colorizers.evidence.Evidence`.
    """  # noqa: D205

    ab: NDArray[np.float32]
    doubt: NDArray[np.float32] | None
    known: KnownColors
    name: str
    exact: bool = True

    @property
    def nbytes(self) -> int:
        """Memory of the colours."""
        return self.ab.nbytes + (0 if self.doubt is None else self.doubt.nbytes)

    def index(self, look: Look) -> Index:
        """Return the nodes as the colorizer finds them."""
        return ab_index(finished(self.ab, self.doubt, look.recoloring, look.fade) * np.float32(look.strength))

    def posteriors(self) -> NDArray[np.float32]:
        """Refuse: colours are no tissue.

        Raises
        ------
        SettingError
        """
        raise SettingError(
            f"{self.name} gives colours and does not say which tissue is where. Use auto, physics or a tissue bundle."
        )

    def at(self, j: int, i: int) -> NDArray[np.float32]:
        """Refuse, as :meth:`posteriors`."""
        return self.posteriors()

    def confidence(self, look: Look) -> NDArray[np.uint8]:
        """Return 1 less the doubt; 255 where the method knows none."""
        if self.doubt is None:
            return np.full(self.ab.shape[:2], 255, np.uint8)
        return np.rint(_FULL * (1 - np.clip(self.doubt, 0, 1))).astype(np.uint8)

    def outside(self) -> NDArray[np.bool_]:
        """Return False everywhere: the method does not know where the body ends."""
        return np.zeros(self.ab.shape[:2], np.bool_)

    def totals(self) -> NDArray[np.float64]:
        """Return how many pixels are nearest to each of the colours that are known."""
        return self.known.nearest(self.ab)

    def compact(self) -> KeptChroma:
        """Return the colours in steps of 1/128, 4 bytes a pixel, and the doubt in steps of 1/255."""
        doubt = None if self.doubt is None else np.rint(np.clip(self.doubt, 0, 1) * _FULL).astype(np.uint8)
        steps = np.nan_to_num(self.ab * _STEPS, nan=0.0, posinf=0.0, neginf=0.0)
        return KeptChroma(np.rint(np.clip(steps, -32767, 32767)).astype(np.int16), doubt, self.known, self.name)

    def unpacked(self) -> ChromaEvidence:
        """Return itself."""
        return self


@dataclass(frozen=True, slots=True, eq=False)
class KeptChroma:
    """The same as it is kept for a whole volume: colours within 1/256 of what the network said."""

    steps: NDArray[np.int16]
    doubt: NDArray[np.uint8] | None
    known: KnownColors
    name: str
    exact: bool = field(default=False, init=False)

    @property
    def nbytes(self) -> int:
        """Memory of the colours."""
        return self.steps.nbytes + (0 if self.doubt is None else self.doubt.nbytes)

    def unpacked(self) -> ChromaEvidence:
        """Return the colours."""
        doubt = None if self.doubt is None else self.doubt.astype(np.float32) / _FULL
        return ChromaEvidence(self.steps.astype(np.float32) / _STEPS, doubt, self.known, self.name, exact=False)

    def index(self, look: Look) -> Index:
        """Return the nodes, each within one of what the colorizer gives."""
        return self.unpacked().index(look)

    def posteriors(self) -> NDArray[np.float32]:
        """Refuse, as :meth:`ChromaEvidence.posteriors`."""
        return self.unpacked().posteriors()

    def at(self, j: int, i: int) -> NDArray[np.float32]:
        """Refuse, as :meth:`ChromaEvidence.posteriors`."""
        return self.posteriors()

    def confidence(self, look: Look) -> NDArray[np.uint8]:
        """Return 1 less the doubt, nearly."""
        return self.unpacked().confidence(look)

    def outside(self) -> NDArray[np.bool_]:
        """Return False everywhere."""
        return np.zeros(self.steps.shape[:2], np.bool_)

    def totals(self) -> NDArray[np.float64]:
        """Return how many pixels are nearest to each of the colours that are known."""
        return self.unpacked().totals()

    def compact(self) -> KeptChroma:
        """Return itself."""
        return self


__all__ = ["ChromaEvidence", "ChromaSlices", "KeptChroma", "LearnedSlices"]
