"""What somebody can choose from while a scan is coloured: colorizers, palettes, windows, eyes."""

from __future__ import annotations

from collections.abc import Mapping

from medcolor.bundle_files import TISSUE
from medcolor.bundles import method_of
from medcolor.colorizers import Colorizer, list_colorizers
from medcolor.colorizers.learned_colors import LearnedColors
from medcolor.colorizers.lut import LutColorizer
from medcolor.colorizers.segmentation import SegmentationColorizer
from medcolor.colorizers.tissue import TissueColorizer
from medcolor.palettes import list_palettes
from medcolor.scan import Scan
from medcolor.voi import Display, VoiLut, Window
from medcolor.windowing import NAMED_WINDOWS, default_display

EYES: Mapping[str, str | None] = {
    "normal": None,
    "protan": "protan",
    "deutan": "deutan",
    "tritan": "tritan",
    "deutan, mild": "deutan:0.5",
    "protan, mild": "protan:0.5",
}
"""Colour vision, in words, and what ``cvd`` is then."""


def colorizers(scan: Scan) -> tuple[str, ...]:
    """Return the specs that colour a scan of this modality; "auto" first, tables last.

    A modality that no tissue model knows leaves the tables.
    """
    fitting = [
        info.name
        for info in list_colorizers()
        if not info.pattern and ("any" in info.modalities or scan.family in info.modalities)
    ]
    return tuple(fitting)


def palettes(scan: Scan) -> tuple[str, ...]:
    """Return the styles of the modality's palette."""
    return tuple(style for family, style in list_palettes() if family == scan.family)


def windows(scan: Scan) -> dict[str, Display]:
    """Return the windows of the file, else the default one, and those that radiologists have names for."""
    own = scan.windows or (default_display(scan),)
    chosen: dict[str, Display] = {}
    for number, display in enumerate(own, start=1):
        said = display.name or ("file" if len(own) == 1 else f"file {number}")
        chosen[f"{said} ({_numbers(display)})"] = display
    for name, window in NAMED_WINDOWS.get(scan.family or "", {}).items():
        chosen[f"{name} ({_numbers(window)})"] = window
    return chosen


def takes(colorizer: str | Colorizer) -> frozenset[str]:
    """Return which of palette, strength, cvd and fade a colorizer knows; of "auto" what any may know."""
    if isinstance(colorizer, str):
        kind = colorizer.partition(":")[0]
        if kind in _TAKES or colorizer == "auto":
            return _TAKES.get(kind, _TAKES["trained"])
        return _TAKES["trained" if method_of(colorizer) in {None, TISSUE} else "method"]
    match colorizer:
        case LutColorizer():
            return _TAKES["lut"]
        case SegmentationColorizer():
            return _TAKES["seg"]
        case TissueColorizer():
            return _TAKES["physics"]
        case LearnedColors():
            return _TAKES["method"]
    return _TAKES["trained"]


_TAKES = {
    "lut": frozenset({"strength"}),
    "seg": frozenset({"strength", "cvd"}),
    "physics": frozenset({"palette", "strength", "cvd"}),
    "trained": frozenset({"palette", "strength", "cvd", "fade"}),
    "method": frozenset({"strength", "cvd", "fade"}),  # of the review's systems: their colours are learned
}


def _numbers(display: Display) -> str:
    if isinstance(display, VoiLut):
        return "table"
    kind = " sigmoid" if isinstance(display, Window) and display.function == "SIGMOID" else ""
    return f"{display.center:g} / {display.width:g}{kind}"


__all__ = ["EYES", "colorizers", "palettes", "takes", "windows"]
