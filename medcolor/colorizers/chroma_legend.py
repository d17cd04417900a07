"""What the colours of a method mean that knows no tissue: the colours it learned, and how much of the image is near."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from medcolor.cielab import lightness_to_gray, rgb_to_lab
from medcolor.color import apply_color
from medcolor.colorizers.reference import Reference
from medcolor.palettes import LEGEND_LIGHTNESS, LegendEntry
from medcolor.recoloring import Recoloring, count_colors, dominant_colors
from medcolor.report.legend import Legend, LegendRow
from medcolor.scan import Scan

if TYPE_CHECKING:
    from medcolor.colorizers.chroma import ChromaColorizer
    from medcolor.colorizers.learned_colors import LearnedColors

_LOOKED_AT = 16  # slices


@dataclass(frozen=True, eq=False)
class KnownColors:
    """The colours that a method can be expected to give: those it learned, or those of its reference.

    Attributes
    ----------
    ab : ndarray of float32, (K, 2)
    words : tuple of (name, label, meaning)
    source : str
        Where they come from.
    """

    ab: NDArray[np.float32]
    words: tuple[tuple[str, str, str], ...]
    source: str

    def nearest(self, ab: ArrayLike) -> NDArray[np.float64]:
        """Return how many of some colours (..., 2) are nearest to each, (K,)."""
        pairs = np.asarray(ab, np.float32).reshape(-1, 2)
        gaps = np.stack([((pairs - color) ** 2).sum(axis=1) for color in self.ab])
        return np.bincount(gaps.argmin(axis=0), minlength=len(self.ab)).astype(np.float64)

    def legend(
        self, counts: NDArray[np.float64], among: str, *, strength: float = 1.0, to: Recoloring | None = None
    ) -> Legend:
        """Return the rows of a legend in the colours of a look; gray, which is most of what lies outside, has no bar.

        Parameters
        ----------
        counts : ndarray of float, (K,)
            Of :meth:`nearest`.
        among : str
            Which slices were counted.
        strength : float
        to : Recoloring, optional
        """
        level = np.full(len(self.ab), lightness_to_gray(LEGEND_LIGHTNESS), np.uint8)
        swatches = apply_color(level, self.ab if to is None else to(self.ab), strength=strength)
        counts = np.where(self.ab.any(axis=1), counts, 0)
        shares = counts / max(float(counts.sum()), 1e-9)
        rows = tuple(
            LegendRow(LegendEntry(*words, (int(r), int(g), int(b))), float(share))
            for words, (r, g, b), share in zip(self.words, swatches, shares, strict=True)
        )
        return Legend(rows, f"share of the coloured pixels that are nearest to {self.source}, {among}")


def known_colors(colorizer: LearnedColors) -> KnownColors:
    """Return the colours of a method."""
    if isinstance(colorizer.reference, Reference):
        found = dominant_colors(count_colors(rgb_to_lab(colorizer.reference.spread() / np.float32(255))[..., 1:]))
        words = tuple((f"color_{n}", f"colour {n}", "of the reference") for n in range(1, len(found) + 1))
        ab = np.concatenate([np.zeros((1, 2)), found]).astype(np.float32)
        return KnownColors(ab, (("gray", "gray", "no colour"), *words), "this colour of its reference")
    classes, style = colorizer.taught.classes, colorizer.taught.style
    words = tuple((c.name, c.label, c.meaning) for c in classes)
    return KnownColors(colorizer.taught.ab, words, f'this class\'s colour in "{style}", which it learned')


def legend_of(colorizer: ChromaColorizer, scan: Scan) -> Legend:
    """Return the legend of a scan, over slices spread evenly."""
    known, prediction, count = known_colors(colorizer), colorizer.predict(scan), scan.shape[2]
    looked_at = sorted(set(np.linspace(0, count - 1, min(count, _LOOKED_AT)).round().astype(int).tolist()))
    totals = np.zeros(len(known.ab))
    for k in looked_at:
        for _, part in prediction.parts(slice(k, k + 1)):
            totals += known.nearest(part.ab.cpu().numpy())
    among = f"in {len(looked_at)} of {count} slices, by {colorizer.name}"
    return known.legend(totals, among, strength=colorizer.strength, to=colorizer.recoloring)


__all__ = ["KnownColors", "known_colors", "legend_of"]
