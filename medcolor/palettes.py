"""Palettes: one (a*, b*) for each tissue class, from ``configs/palettes/*.yaml`` or a user's own file.

A palette says nothing about lightness: that belongs to the scan. It is a value with a content hash, so that an output
can name exactly the colours it was made with.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medcolor import palette_files
from medcolor.errors import PaletteError, UnknownColorizerError
from medcolor.resources import config_dir
from medcolor.scan import MODALITIES, family

__all__ = [
    "STYLES",
    "LegendEntry",
    "Palette",
    "TissueClass",
    "legend",
    "list_palettes",
    "load_palette",
    "palette_path",
    "with_cvd",
]

STYLES = ("anatomical", "contrast", "protan", "deutan", "tritan")
"""Every family has these; a palette file may add more."""

LEGEND_LIGHTNESS = 62.0  # light enough to show chroma, dark enough not to lose it


@dataclass(frozen=True, slots=True)
class TissueClass:
    """One class of a palette.

    Parameters
    ----------
    name : str
        As the tissue model names it.
    ab : tuple of float
        a*, b* (CIELAB, D65); a colour that a lightness cannot show is shrunk toward gray there.
    meaning : str
        For people, with units.
    source : str
        Where the colour comes from: measured, or designed.
    label : str
        The name for people; made from ``name`` when empty.
    """

    name: str
    ab: tuple[float, float]
    meaning: str = ""
    source: str = ""
    label: str = ""

    def __post_init__(self) -> None:
        a, b = self.ab
        if not (np.isfinite(a) and np.isfinite(b) and max(abs(a), abs(b)) <= palette_files.LARGEST):
            raise PaletteError(
                f"Class {self.name}: a* and b* must be finite and within ±{palette_files.LARGEST:g}, got {a}, {b}."
            )
        object.__setattr__(self, "ab", (float(a) + 0.0, float(b) + 0.0))  # + 0.0: one zero, so one hash
        object.__setattr__(self, "label", self.label or self.name.replace("_", " "))


@dataclass(frozen=True, slots=True)
class Palette:
    """The colours of a modality's tissue classes.

    Parameters
    ----------
    modality : str
        Family, one of :data:`~medcolor.scan.MODALITIES`.
    style : str
        "anatomical", "contrast", "protan", "deutan", "tritan", or the name of a personal file.
    classes : tuple of TissueClass
        In palette order, which is the order of the tissue model's posteriors.

    Attributes
    ----------
    sha256 : str
        Hash of the names and colours, in order, and of nothing else.
    """

    modality: str
    style: str
    classes: tuple[TissueClass, ...]
    sha256: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "classes", tuple(self.classes))
        if not self.classes or len(set(self.names)) != len(self.classes):
            raise PaletteError(f"A palette needs classes with different names, got {list(self.names)}.")
        content = json.dumps([[c.name, *c.ab] for c in self.classes], separators=(",", ":"))
        object.__setattr__(self, "sha256", hashlib.sha256(content.encode()).hexdigest())

    @property
    def names(self) -> tuple[str, ...]:
        """Class names in palette order."""
        return tuple(c.name for c in self.classes)

    @property
    def ab(self) -> NDArray[np.float32]:
        """a*, b* of each class, (K, 2)."""
        return np.array([c.ab for c in self.classes], dtype=np.float32)


@dataclass(frozen=True, slots=True)
class LegendEntry:
    """One line of a legend: ``swatch`` is the sRGB triple of the class at the legend's lightness."""

    name: str
    label: str
    meaning: str
    swatch: tuple[int, int, int]


def palette_path(modality: str) -> Path:
    """Return the file that holds the palettes of a family."""
    return config_dir() / "palettes" / f"{modality.lower()}.yaml"


def list_palettes() -> list[tuple[str, str]]:
    """Return (family, style) of every palette that travels with medcolor."""
    return [(name, style) for name in MODALITIES for style in _shipped(name)]


def load_palette(modality: str, style: str | Path = "anatomical") -> Palette:
    """Load a palette.

    Parameters
    ----------
    modality : str
        Family or DICOM modality code: "CT", "MR", "PT", "NM", "US", "XR" (also "CR", "DX" ...), "MG".
    style : str or Path
        A style of :func:`list_palettes`; or the path of a personal YAML file (a name that ends in .yaml or .yml, or
        has a folder in it), which gives an [a, b] for each class of the family.

    Raises
    ------
    UnknownColorizerError
        No such family or style; the message lists what exists and the nearest name.
    PaletteError
        The file is missing, incomplete or contradicts itself; names file, key, and what is accepted.
    """
    known = family(modality)
    if known is None:
        raise UnknownColorizerError(f'"{modality}" has no palettes. Modalities: {", ".join(MODALITIES)}.')
    shipped = _shipped(known)
    if isinstance(style, Path) or style.lower().endswith((".yaml", ".yml")) or "/" in style or "\\" in style:
        return _personal(Path(style), shipped["anatomical"])
    if style not in shipped:
        raise UnknownColorizerError(
            f'"{style}" is no {known} palette. Styles: {", ".join(shipped)}; or the path of a .yaml file of your own.'
            + _nearest(style, shipped)
        )
    return shipped[style]


def with_cvd(palette: Palette, spec: str) -> Palette:
    """Raise a palette's separability for a colour-vision deficiency, at unchanged lightness.

    Parameters
    ----------
    palette : Palette
    spec : str
        "protan", "deutan" or "tritan", optionally with a severity from 0 to 1: "deutan:0.6". Without: 1.

    Returns
    -------
    Palette
        Of the same style and classes, and another hash where a colour moved. Optimized at L* 30, 50 and 70.

    Raises
    ------
    UnknownColorizerError
        No such deficiency.
    PaletteError
        A severity that is no number from 0 to 1.
    """
    from medcolor.vision import compensate, parse_cvd

    kind, severity = parse_cvd(spec)
    if severity == 0:
        return palette
    moved = np.round(compensate([c.ab for c in palette.classes], kind, severity), 2)
    classes = []
    for entry, (a, b) in zip(palette.classes, moved.tolist(), strict=True):
        same = float(np.hypot(a - entry.ab[0], b - entry.ab[1])) < 0.01
        note = f"{entry.source}; moved for {kind} vision, severity {severity:g}"
        classes.append(entry if same else replace(entry, ab=(a, b), source=note))
    return Palette(palette.modality, palette.style, tuple(classes))


def legend(palette: Palette, *, lightness: float = LEGEND_LIGHTNESS) -> list[LegendEntry]:
    """Return what a legend shows: each class with its colour at one L* (0..100)."""
    from medcolor.cielab import lightness_to_gray
    from medcolor.color import apply_color

    gray = np.full(len(palette.classes), lightness_to_gray(lightness), dtype=np.uint8)
    return [
        LegendEntry(c.name, c.label, c.meaning, (int(rgb[0]), int(rgb[1]), int(rgb[2])))
        for c, rgb in zip(palette.classes, apply_color(gray, palette.ab), strict=True)
    ]


def _nearest(word: str, known: Any) -> str:
    near = difflib.get_close_matches(word.lower(), list(known), n=1)
    return f' Did you mean "{near[0]}"?' if near else ""


@lru_cache(maxsize=len(MODALITIES))
def _shipped(modality: str) -> Mapping[str, Palette]:
    """All styles of a family, read once."""
    path = palette_path(modality)
    rows = palette_files.read_styles(path, modality)
    palettes = {style: Palette(modality, style, tuple(TissueClass(**row) for row in rows[style])) for style in rows}
    if missing := [style for style in STYLES if style not in palettes]:
        raise PaletteError(f"{path}: styles: {', '.join(missing)} missing; every family has {', '.join(STYLES)}.")
    return palettes


def _personal(path: Path, pattern: Palette) -> Palette:
    colors = palette_files.read_personal(path, pattern.modality, pattern.names)
    classes = (replace(c, ab=colors[c.name], source=f"personal palette {path.name}") for c in pattern.classes)
    return Palette(pattern.modality, path.stem, tuple(classes))
