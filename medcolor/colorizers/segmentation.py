"""Colour from a segmentation under the colour law: each label has one (a*, b*), background stays gray."""

from __future__ import annotations

import warnings
from collections import Counter
from dataclasses import dataclass, field, replace
from math import inf, isfinite
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from medcolor.color import apply_color, color_from_posteriors
from medcolor.color_scan import ColorScan, Law
from medcolor.colorizers.label_colors import complete_colors
from medcolor.colorizers.label_edges import SoftEdges, bled
from medcolor.colorizers.label_grid import Placed, SliceOf, place
from medcolor.colorizers.painting import PaintBlock, Stream, paint, recorded, stream
from medcolor.errors import MedcolorWarning, SettingError
from medcolor.palettes import Palette, TissueClass, legend, with_cvd
from medcolor.scan import KAxis, Scan, Severity
from medcolor.tissue_map import Segmentation
from medcolor.voi import Display
from medcolor.windowing import resolve_display

if TYPE_CHECKING:
    from medcolor.colorizers import Progress
    from medcolor.report.legend import Legend

SOFT_EDGE, BLEED = 2.0, 0.0
_WIDEST = 50.0  # mm; nothing in a body has an edge that soft


@dataclass(frozen=True, eq=False)
class SegmentationColorizer:
    """Labels that somebody or something drew, as colours: the control against colour from tissue.

    Parameters
    ----------
    segmentation : Segmentation
        On the grid of the scan, or on another one in the same world: then each voxel takes the nearest label, and the
        coloured scan's audit says so.
    soft_edge : float
        How wide edges are, in mm (in pixels where a scan has no mm), 0 to 50: masks are smoothed by a Gaussian whose
        standard deviation is half of it. 0 is hard edges.
    bleed : float
        How far labels grow into the background first, in mm, 0 to 50.
    strength : float
        Factor on (a*, b*), 0 to 1.
    cvd : str or None
        Deficiency to separate the colours for.
    """

    segmentation: Segmentation
    soft_edge: float = SOFT_EDGE
    bleed: float = BLEED
    strength: float = 1.0
    cvd: str | None = None
    name: str = field(default="seg", init=False)
    law: Law = field(default=Law.LIGHTNESS, init=False)
    palette: Palette = field(init=False, repr=False)
    labels_sha256: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        for what, width in (("soft_edge", self.soft_edge), ("bleed", self.bleed)):
            if not (isfinite(width) and 0 <= width <= _WIDEST):
                raise SettingError(f"{what} must be between 0 and {_WIDEST:g} mm, got {width:g}.")
        if not 0 <= self.strength <= 1:
            raise SettingError(f"strength must be between 0 (gray) and 1 (full colour), got {self.strength:g}.")
        palette = label_palette(self.segmentation)
        object.__setattr__(self, "palette", palette if self.cvd is None else with_cvd(palette, self.cvd))
        object.__setattr__(self, "labels_sha256", self.segmentation.sha256)

    def palette_for(self, scan: Scan) -> Palette:
        """Return the colours: background, then the labels present in rising order; the same for every scan."""
        return self.palette

    def legend_for(self, scan: Scan) -> Legend:
        """Return the labels present with names, codes and volumes; voxels where the label map has no mm or no depth."""
        from medcolor.report.legend import Legend, LegendRow

        counts, volumes = self.segmentation.counts, self.segmentation.has_volume
        largest = max(counts.values(), default=1)
        amounts = [_milliliters(self.segmentation.volume_ml(n)) if volumes else f"{counts[n]} voxels" for n in counts]
        entries = legend(self.palette)[1:]
        rows = [
            LegendRow(entry, count / largest, amount)
            for entry, count, amount in zip(entries, counts.values(), amounts, strict=True)
        ]
        return Legend(tuple(rows), "volume of the label map" if volumes else "size of the label map")

    def __call__(
        self,
        scan: Scan,
        *,
        window: Display | str | None = None,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> ColorScan:
        """Colour a scan of any modality.

        Raises
        ------
        GeometryError
            The labels cannot be brought to the scan: another frame of reference, no position in the patient on one
            side, unevenly spaced slices, or no label within the scan.

        Warns
        -----
        MedcolorWarning
            The labels were resampled.
        """
        display = resolve_display(scan, window)
        placed = self._placed(scan)
        painted = paint(scan, display, self._painter(scan, placed.slice_of), progress=progress)
        options = {
            "labels_sha256": self.labels_sha256,
            "soft_edge_mm": float(self.soft_edge),
            "bleed_mm": float(self.bleed),
            "strength": float(self.strength),
            "cvd": self.cvd,
        }
        colored = recorded(painted, scan, display, self, options=options, seed=seed, palette_sha256=self.palette.sha256)
        audit = tuple(dict.fromkeys([*scan.audit, *self.segmentation.audit, *placed.findings]))
        return replace(colored, audit=audit)

    def stream(self, scan: Scan, *, window: Display | str | None = None) -> Stream:
        """Yield what the call would give, block by block; see :func:`medcolor.colorizers.painting.stream`."""
        return stream(scan, resolve_display(scan, window), self._painter(scan, self._placed(scan).slice_of))

    def _placed(self, scan: Scan) -> Placed:
        placed = place(self.segmentation, scan)
        for finding in placed.findings:
            if finding.severity is not Severity.NOTE:
                warnings.warn(finding.message, MedcolorWarning, stacklevel=3)
        return placed

    def _painter(self, scan: Scan, slice_of: SliceOf) -> PaintBlock:
        number = np.zeros(1 << 16, np.uint16)  # label -> place in the palette
        number[list(self.segmentation.counts)] = np.arange(1, 1 + len(self.segmentation.counts))
        i, j, k = scan.geometry.spacing
        spacing = (i, j, k if scan.k_axis is KAxis.SPACE else inf)
        classes_of = bled(lambda k: number[slice_of(k)], scan.shape[2], spacing, self.bleed)
        ab = self.palette.ab
        if self.soft_edge == 0:

            def color_hard(block: slice, gray: NDArray[np.uint8], rgb: NDArray[np.uint8]) -> None:
                for k, level, out in zip(range(block.start, block.stop), gray, rgb, strict=True):
                    apply_color(level, ab[classes_of(k)], strength=self.strength, out=out)

            return color_hard
        edges = SoftEdges(classes_of, scan.shape, spacing, self.soft_edge)

        def color_soft(block: slice, gray: NDArray[np.uint8], rgb: NDArray[np.uint8]) -> None:
            # Slice by slice, each with the classes near it: then blocks cannot matter, nor can classes elsewhere.
            for k, level, out in zip(range(block.start, block.stop), gray, rgb, strict=True):
                classes, posteriors = edges.posteriors(k)
                color_from_posteriors(level, posteriors, ab[classes], strength=self.strength, out=out)

        return color_soft


def _milliliters(volume: float) -> str:
    return f"{volume:.0f} ml" if volume >= 100 else f"{volume:.3g} ml"


def label_palette(segmentation: Segmentation) -> Palette:
    """Return background and the labels present. Colours are shared out among all named labels.

    So an organ that one patient lacks changes no colour of the others.
    """
    colors = complete_colors(sorted(segmentation.names), segmentation.colors)
    often = Counter(segmentation.names[n] for n in segmentation.counts)
    classes = [TissueClass("background", (0.0, 0.0), "stays gray")]
    for label in segmentation.counts:
        name, code = segmentation.names[label], segmentation.codes.get(label)
        unique = name if often[name] == 1 and name != "background" else f"{name} ({label})"
        source = "recommended by the segmentation" if label in segmentation.colors else "assigned: far from the others"
        classes.append(TissueClass(unique, colors[label], str(code) if code else f"label {label}", source, unique))
    return Palette("SEG", "segmentation", tuple(classes))
