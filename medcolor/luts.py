"""Colour tables of 256 entries, read from the packages that own them; none is typed in by hand.

The eight DICOM palettes (PS3.6 B) come from the files pydicom ships, through pydicom, the others from ``cmap``.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from medcolor.errors import SettingError, UnknownColorizerError

__all__ = ["LutInfo", "describe_lut", "list_luts", "load_lut", "with_strength"]

_DICOM: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "hot_iron": ("1.2.840.10008.1.5.1", "DICOM Hot Iron"),
        "pet": ("1.2.840.10008.1.5.2", "DICOM PET"),
        "hot_metal_blue": ("1.2.840.10008.1.5.3", "DICOM Hot Metal Blue"),
        "pet_20_step": ("1.2.840.10008.1.5.4", "DICOM PET 20 Step"),
        "spring": ("1.2.840.10008.1.5.5", "DICOM Spring"),
        "summer": ("1.2.840.10008.1.5.6", "DICOM Summer"),
        "fall": ("1.2.840.10008.1.5.7", "DICOM Fall"),
        "winter": ("1.2.840.10008.1.5.8", "DICOM Winter"),
    }
)
_CMAP: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "gray": ("matlab:gray", "the gray ramp itself"),
        "viridis": ("bids:viridis", "Smith, van der Walt and Firing"),
        "magma": ("bids:magma", "Smith and van der Walt"),
        "inferno": ("bids:inferno", "Smith and van der Walt"),
        "plasma": ("bids:plasma", "Smith and van der Walt"),
        "cividis": ("cividis:cividis", "Nunez et al. 2018, nearly alike for red-green deficiency"),
        "batlow": ("crameri:batlow", "Crameri 2018"),
        "cet_l03": ("colorcet:cet_l3", "Kovesi, black-red-yellow-white"),
        "cet_l08": ("colorcet:cet_l8", "Kovesi, blue-magenta-yellow"),
        "cet_l16": ("colorcet:cet_l16", "Kovesi, black-blue-green-yellow-white"),
    }
)

_ROUNDING = 0.05  # L*; what rounding to 8 bits does to neighbouring entries of uniform maps


@dataclass(frozen=True, slots=True)
class LutInfo:
    """What a table is, and what was measured of it.

    Attributes
    ----------
    name, source : str
    injective : bool
        All 256 colours differ, so the gray can be recovered from the colour.
    colors : int
        Different colours.
    monotone : bool
        L* never falls (or never rises) along the table, but for the rounding to 8 bits.
    largest_reversal : float
        Largest step of L* against the table's own direction, 0 for none.
    """

    name: str
    source: str
    injective: bool
    colors: int
    monotone: bool
    largest_reversal: float


def list_luts() -> list[str]:
    """Return the names of all tables."""
    return [*_DICOM, *_CMAP]


def load_lut(name: str) -> NDArray[np.uint8]:
    """Return a table of sRGB colours, (256, 3) uint8, read-only.

    Raises
    ------
    UnknownColorizerError
        No such table; lists what exists and the nearest name.
    """
    if name not in _DICOM and name not in _CMAP:
        near = difflib.get_close_matches(name.lower().replace("-", "_"), list_luts(), n=1)
        hint = f' Did you mean "{near[0]}"?' if near else ""
        raise UnknownColorizerError(f'"{name}" is no colour table. Available: {", ".join(list_luts())}.{hint}')
    return _table(name)


def with_strength(table: NDArray[np.uint8], strength: float) -> NDArray[np.uint8]:
    """Mix a (256, 3) table with the gray ramp: 0 is the ramp, 1 the table.

    Raises
    ------
    SettingError
        A strength outside 0..1.
    """
    if not 0 <= strength <= 1:
        raise SettingError(f"strength must be between 0 (gray) and 1 (the table), got {strength:g}.")
    ramp = np.arange(256, dtype=np.float64)[:, None]
    return np.rint((1 - strength) * ramp + strength * table).astype(np.uint8)


def describe_lut(name: str) -> LutInfo:
    """Return where a table is from, whether gray can be recovered from it, and whether its lightness is monotone.

    Raises
    ------
    UnknownColorizerError
        No such table.
    """
    from medcolor.cielab import rgb_to_lab

    table = load_lut(name)
    steps = np.diff(rgb_to_lab(table)[:, 0])
    forward = 1.0 if steps.sum() >= 0 else -1.0
    reversal = max(0.0, float(-(forward * steps).min()))
    colors = len(np.unique(table, axis=0))
    if name in _DICOM:
        uid, title = _DICOM[name]
        source = f"{title}, pydicom's {uid}"
    else:
        key, title = _CMAP[name]
        source = f"{title}, cmap's {key}"
    return LutInfo(name, source, colors == 256, colors, reversal <= _ROUNDING, reversal)


@lru_cache(maxsize=32)
def _table(name: str) -> NDArray[np.uint8]:
    table = _from_dicom(_DICOM[name][0]) if name in _DICOM else _from_cmap(_CMAP[name][0])
    table.setflags(write=False)
    return table


def _from_dicom(uid: str) -> NDArray[np.uint8]:
    # By UID and not by name: pydicom 3.0.2 takes WINTER for FALL and the other way round.
    from pydicom.pixels import apply_color_lut

    table = apply_color_lut(np.arange(256, dtype=np.uint8), palette=uid)  # expands segmented data too
    return np.ascontiguousarray(table, dtype=np.uint8)


def _from_cmap(key: str) -> NDArray[np.uint8]:
    from cmap import Colormap

    # Sampled at 256 points, rounded as 8-bit displays do; the tables listed have 256 stops of their own.
    return np.rint(np.asarray(Colormap(key).lut(256))[:, :3] * 255).astype(np.uint8)
