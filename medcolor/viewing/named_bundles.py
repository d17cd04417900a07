"""Trained colorizers known by their card alone: their networks run in another process, and are loaded here only to
colour a whole scan in one go.
"""  # noqa: D205

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from medcolor.bundle_files import TISSUE, BundleCard
from medcolor.bundles import bundle_names, find_bundle, load_bundle, read_card
from medcolor.color_scan import ColorScan, Law
from medcolor.colorizers.auto import has_units, trained_for
from medcolor.colorizers.learned_colors import LearnedColors
from medcolor.colorizers.point_hints import Hint
from medcolor.palettes import Palette, load_palette, with_cvd
from medcolor.report.legend import Legend
from medcolor.scan import Scan


class _Named:
    """What is asked of the colorizer itself."""

    def legend_for(self, scan: Scan) -> Legend | None:
        """Return what the colours mean, and how much of the image each one is."""
        return self.loaded().legend_for(scan)

    def __call__(self, scan: Scan, **options: Any) -> ColorScan:
        """Colour a scan in this process."""
        return self.loaded()(scan, **options)

    def stream(self, scan: Scan, **options: Any) -> Any:
        """Colour a scan in this process, block by block."""
        return self.loaded().stream(scan, **options)

    def loaded(self) -> Any:
        """Return the colorizer itself, with its network."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class NamedBundle(_Named):
    """A bundle that says which tissue is where."""

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

    def loaded(self) -> Any:
        """Return the colorizer itself, with its network."""
        from medcolor.colorizers.network import NetworkColorizer

        return NetworkColorizer(
            load_bundle(self.card.folder, trust=True), palette=self.palette, strength=self.strength, cvd=self.cvd,
            fade=self.fade,
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class NamedMethod(_Named, LearnedColors):
    """A bundle of a method that learned colours without tissue.

    Parameters
    ----------
    card : BundleCard
    needs : frozenset of str
        What the method can be told beside the gray.
    doubts : bool
        Whether the method says how sure it is of a colour; its network was asked.
    strength, cvd, fade, hints
        As of :class:`~medcolor.colorizers.chroma.ChromaColorizer`.
    """

    card: BundleCard
    needs: frozenset[str]
    doubts: bool
    strength: float = 1.0
    cvd: str | None = None
    fade: float = 0.0
    hints: tuple[Hint, ...] = ()
    reference: None = None
    name: str = field(init=False)
    taught: Palette = field(init=False)
    law: Law = field(default=Law.LIGHTNESS, init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.card.name)
        object.__setattr__(self, "taught", load_palette(self.card.family, self.card.taught))

    def loaded(self) -> Any:
        """Return the colorizer itself, with its network."""
        from medcolor.colorizers.chroma import ChromaColorizer

        return ChromaColorizer(
            load_bundle(self.card.folder, trust=True), strength=self.strength, cvd=self.cvd, fade=self.fade,
            hints=self.hints,
        )  # fmt: skip


def card_of(spec: str, scan: Scan) -> BundleCard | None:
    """Return the bundle that a spec means for a scan, None where it means no bundle, without loading it.

    Raises
    ------
    BundleError
        As :meth:`medcolor.colorizers.auto.AutoColorizer.choose`.
    """
    if spec == "auto":
        return None if scan.family is None else trained_for(scan.family, has_units(scan))
    return read_card(find_bundle(spec)) if spec in bundle_names() else None


def knows_tissue(card: BundleCard) -> bool:
    """Whether a bundle says which tissue is where."""
    return card.method == TISSUE


__all__ = ["NamedBundle", "NamedMethod", "card_of", "knows_tissue"]
