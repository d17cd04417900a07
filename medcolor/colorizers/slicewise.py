"""Colorizers slice by slice, in any order: what a viewer needs, where a call colours a whole scan in one go.

:func:`slicewise` does what needs the whole volume; ``evidence(k)`` then asks the colorizer about one slice, and the
result can be painted with any look. ``record`` makes the :class:`~medcolor.ColorScan` of all painted slices, the same
as the colorizer's own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from medcolor import tissue
from medcolor.color_scan import ColorScan
from medcolor.colorizers import Colorizer
from medcolor.colorizers.evidence import Evidence, LabelEvidence, Look, TableBook, TableEvidence
from medcolor.colorizers.label_edges import SoftEdges, bled
from medcolor.colorizers.label_grid import place
from medcolor.colorizers.looks import Check, Settings, checked_look, nothing, palette_for_look
from medcolor.colorizers.lut import LutColorizer
from medcolor.colorizers.painting import recorded
from medcolor.colorizers.segmentation import SegmentationColorizer, label_palette
from medcolor.colorizers.soft_evidence import SoftEvidence
from medcolor.colorizers.tissue import TissueColorizer
from medcolor.errors import PaletteError, SettingError
from medcolor.luts import load_lut, with_strength
from medcolor.palettes import Palette
from medcolor.scan import Finding, KAxis, Scan
from medcolor.tissue.model import TableModel
from medcolor.voi import Display


class Slicewise(Protocol):
    """A colorizer at work on one scan."""

    @property
    def colorizer(self) -> Colorizer:
        """Who colours; never "auto", but what that chose."""
        ...

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What a user should know about how the colours came to the scan."""
        ...

    @property
    def own(self) -> Settings:
        """What the colorizer was made with."""
        ...

    def look(self, settings: Settings) -> Look:
        """Turn settings into what is painted with.

        Raises
        ------
        SettingError, PaletteError, UnknownColorizerError
            Out of range, unknown, or not an option of this colorizer.
        """
        ...

    def evidence(self, k: int, *, check: Check = nothing) -> Evidence | None:
        """Ask about one slice; None for a table, which asks the gray alone.

        ``check`` is called now and then: raise from it to give up.
        """
        ...

    def record(self, painted: tuple[NDArray[np.uint8], int], display: Display, look: Look, *, seed: int) -> ColorScan:
        """Put painted slices on the grid of the scan, with the colorizer's own provenance."""
        ...


def slicewise(colorizer: Colorizer, scan: Scan) -> Slicewise:
    """Set a colorizer to work on a scan; may look at the whole volume.

    Raises
    ------
    ModalityError, GeometryError
        As calling the colorizer.
    SettingError
        A colorizer that can only be called.
    """
    from medcolor.colorizers.auto import choice_for

    chosen = choice_for(colorizer, scan).colorizer
    match chosen:
        case LutColorizer():
            return _TableSlices(chosen, scan)
        case TissueColorizer():
            return _TissueSlices(chosen, scan)
        case SegmentationColorizer():
            return _LabelSlices(chosen, scan)
    from medcolor.colorizers.chroma import ChromaColorizer
    from medcolor.colorizers.chroma_slices import ChromaSlices
    from medcolor.colorizers.network import NetworkColorizer
    from medcolor.colorizers.network_slices import NetworkSlices

    if isinstance(chosen, NetworkColorizer):
        return NetworkSlices(chosen, scan)
    if isinstance(chosen, ChromaColorizer):
        return ChromaSlices(chosen, scan)
    raise SettingError(f"{chosen.name} colours whole scans only; here one is needed that works slice by slice.")


@dataclass(frozen=True, eq=False)
class _TableSlices:
    colorizer: LutColorizer
    scan: Scan
    findings: tuple[Finding, ...] = ()

    @property
    def own(self) -> Settings:
        return Settings(strength=self.colorizer.strength, fade=0.0)

    def look(self, settings: Settings) -> Look:
        strength, _ = checked_look(self.colorizer.name, settings)
        if settings.palette is not None or settings.cvd is not None:
            raise SettingError(
                f"{self.colorizer.name} is a fixed table: its colours are known by the gray they stand for. It takes "
                "no palette and no cvd option. lut:cividis was made for deficient eyes; physics takes both options."
            )
        return Look(None, None, strength, table=with_strength(load_lut(self.colorizer.table_name), strength))

    def evidence(self, k: int, *, check: Check = nothing) -> None:
        return None

    def record(self, painted: tuple[NDArray[np.uint8], int], display: Display, look: Look, *, seed: int) -> ColorScan:
        options = {"strength": look.strength}
        return recorded(painted, self.scan, display, self.colorizer, options=options, seed=seed)


class _TissueSlices:
    findings: tuple[Finding, ...] = ()

    def __init__(self, colorizer: TissueColorizer, scan: Scan) -> None:
        self.colorizer, self.scan = colorizer, scan
        self._classes = colorizer.palette_for(scan).names
        self._model = tissue.fit(scan)
        if self._model.classes != self._classes:
            raise PaletteError(f"The palette's classes {self._classes} are not the model's {self._model.classes}.")
        table = self._model if isinstance(self._model, TableModel) else None
        self._book = None if table is None else TableBook(table.tables.reshape(len(table.classes), -1))

    @property
    def own(self) -> Settings:
        by = self.colorizer
        return Settings(by.palette, by.strength, by.cvd, 0.0)

    def look(self, settings: Settings) -> Look:
        strength, _ = checked_look(self.colorizer.name, settings)
        return Look(palette_for_look(self.scan.family or "", self._classes, settings), settings.cvd, strength)

    def evidence(self, k: int, *, check: Check = nothing) -> Evidence:
        block, model = slice(k, k + 1), self._model
        if self._book is None or not isinstance(model, TableModel):
            return SoftEvidence(model.posteriors(block)[:, 0], tuple(range(len(self._classes))), len(self._classes))
        entries = model.regions(block)[0].astype(np.int32) * model.tables.shape[2] + model.bins(block)[0]
        narrow = self._book.tables.shape[1] <= 1 << 16
        return TableEvidence(self._book, entries.astype(np.uint16) if narrow else entries)

    def record(self, painted: tuple[NDArray[np.uint8], int], display: Display, look: Look, *, seed: int) -> ColorScan:
        options = {"palette": look.style, "strength": look.strength, "cvd": look.cvd}
        return recorded(
            painted, self.scan, display, self.colorizer, options=options, seed=seed,
            palette_sha256=look.sha256,
        )  # fmt: skip


class _LabelSlices:
    def __init__(self, colorizer: SegmentationColorizer, scan: Scan) -> None:
        self.colorizer, self.scan = colorizer, scan
        segmentation = colorizer.segmentation
        self._palette = label_palette(segmentation)
        placed = place(segmentation, scan)
        self.findings = placed.findings
        number = np.zeros(1 << 16, np.uint16)  # label -> place in the palette
        number[list(segmentation.counts)] = np.arange(1, 1 + len(segmentation.counts))
        i, j, k = scan.geometry.spacing
        spacing = (i, j, k if scan.k_axis is KAxis.SPACE else inf)
        slice_of = placed.slice_of
        self._classes_of = bled(lambda k: number[slice_of(k)], scan.shape[2], spacing, colorizer.bleed)
        soft = colorizer.soft_edge > 0
        self._edges = SoftEdges(self._classes_of, scan.shape, spacing, colorizer.soft_edge) if soft else None

    @property
    def own(self) -> Settings:
        return Settings(None, self.colorizer.strength, self.colorizer.cvd, 0.0)

    def look(self, settings: Settings) -> Look:
        strength, _ = checked_look(self.colorizer.name, settings)
        if settings.palette is None:
            settings = replace(settings, palette=self._palette)
        if not isinstance(settings.palette, Palette):
            raise SettingError("A segmentation brings its own colours; give a Palette made for its labels, or none.")
        return Look(palette_for_look("SEG", self._palette.names, settings), settings.cvd, strength)

    def evidence(self, k: int, *, check: Check = nothing) -> Evidence:
        count = len(self.colorizer.palette.classes)
        if self._edges is None:
            return LabelEvidence(self._classes_of(k), count)
        classes, posteriors = self._edges.posteriors(k)
        return SoftEvidence(posteriors, tuple(classes), count)

    def record(self, painted: tuple[NDArray[np.uint8], int], display: Display, look: Look, *, seed: int) -> ColorScan:
        by = self.colorizer
        options = {
            "labels_sha256": by.labels_sha256,
            "soft_edge_mm": float(by.soft_edge),
            "bleed_mm": float(by.bleed),
            "strength": look.strength,
            "cvd": look.cvd,
        }
        colored = recorded(
            painted, self.scan, display, by, options=options, seed=seed,
            palette_sha256=look.sha256,
        )  # fmt: skip
        audit = tuple(dict.fromkeys([*self.scan.audit, *by.segmentation.audit, *self.findings]))
        return replace(colored, audit=audit)


__all__ = ["Slicewise", "slicewise"]
