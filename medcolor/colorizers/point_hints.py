"""Colours that somebody gives at single voxels, for networks that were trained to follow them (Zhang 2017).

They are not the hints of the viewer, which spread along the gray without a network: a network decides how far these
reach. A hint acts in its own slice only.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medcolor.errors import SettingError
from medcolor.palettes import Palette

LARGEST_AB = 110.0
"""Scale of a hint's a* and b* in a network's input."""
SIZE = 5
"""Pixels along the side of the patch that a hint reveals; training showed 1 to 9."""

_FORM = 'i,j,k,CLASS or i,j,k,a,b, as in "120,200,14,fat" or "120,200,14,12.5,-30"'


@dataclass(frozen=True, slots=True)
class Hint:
    """A colour at a voxel.

    Parameters
    ----------
    i, j, k : int
        Voxel.
    ab : tuple of float or None
        a*, b*.
    tissue : str or None
        Name of a class of the palette that the network learned, in place of ``ab``. One of the two.
    size : int
        Pixels along the side of the patch that has this colour, 1 to 9.

    Raises
    ------
    SettingError
    """

    i: int
    j: int
    k: int
    ab: tuple[float, float] | None = None
    tissue: str | None = None
    size: int = SIZE

    def __post_init__(self) -> None:
        if (self.tissue is None) == (self.ab is None):
            raise SettingError("A hint names a tissue class or a colour: one of the two.")
        if self.ab is not None and not (np.isfinite(self.ab).all() and max(map(abs, self.ab)) <= LARGEST_AB):
            raise SettingError(f"The a* and b* of a hint must be finite and within ±{LARGEST_AB:g}, got {self.ab}.")
        if not 1 <= self.size <= 9:
            raise SettingError(f"A hint is 1 to 9 pixels wide, not {self.size}.")

    def color(self, taught: Palette) -> tuple[float, float]:
        """Return a*, b*.

        Raises
        ------
        SettingError
            The palette has no such class.
        """
        if self.ab is not None:
            return self.ab
        for entry in taught.classes:
            if entry.name == self.tissue:
                return entry.ab
        raise SettingError(f'"{self.tissue}" is no class here. Classes: {", ".join(taught.names)}.')

    def to_json(self) -> dict[str, object]:
        """Return what belongs into a provenance."""
        meant: dict[str, object] = {"tissue": self.tissue} if self.ab is None else {"ab": [float(v) for v in self.ab]}
        return {"voxel": [self.i, self.j, self.k], "size": self.size, **meant}


def check_hints(hints: Sequence[Hint], shape: tuple[int, ...], taught: Palette) -> None:
    """Refuse hints outside a scan of (ni, nj, nk), or of classes that are none.

    Raises
    ------
    SettingError
    """
    for hint in hints:
        place = (hint.i, hint.j, hint.k)
        if not all(0 <= n < side for n, side in zip(place, shape, strict=True)):
            raise SettingError(f"The hint at {place} is outside the scan of {tuple(shape)} voxels.")
        hint.color(taught)


def hint_planes(
    hints: Sequence[Hint], block: slice, shape: tuple[int, int], taught: Palette, *, factor: int = 1
) -> NDArray[np.float32] | None:
    """Return what a network is told of a range of slices: a / 110, b / 110 and where, (n, 3, nj, ni).

    Parameters
    ----------
    hints : sequence of Hint
        A later one covers an earlier one.
    block : slice
    shape : tuple of int
        (nj, ni) of the network's input.
    taught : Palette
    factor : int
        By what the slices are reduced.

    Returns
    -------
    ndarray of float32, or None
        None where no hint lies in these slices.
    """
    here = [hint for hint in hints if block.start <= hint.k < block.stop]
    if not here:
        return None
    planes = np.zeros((block.stop - block.start, 3, *shape), np.float32)
    for hint in here:
        side = max(1, round(hint.size / factor))
        j, i = (max(n // factor - side // 2, 0) for n in (hint.j, hint.i))
        a, b = hint.color(taught)
        patch = planes[hint.k - block.start, :, j : j + side, i : i + side]
        patch[:] = np.array([a / LARGEST_AB, b / LARGEST_AB, 1], np.float32)[:, None, None]
    return planes


def parse_hint(text: str) -> Hint:
    """Read a hint as the command line has it: "i,j,k,CLASS" or "i,j,k,a,b".

    Raises
    ------
    SettingError
    """
    parts = [part.strip() for part in text.split(",")]
    try:
        i, j, k = (int(part) for part in parts[:3])
        if len(parts) == 4 and parts[3]:
            return Hint(i, j, k, tissue=parts[3])
        if len(parts) == 5:
            return Hint(i, j, k, ab=(float(parts[3]), float(parts[4])))
    except SettingError:
        raise
    except ValueError:
        pass
    raise SettingError(f'"{text}" is no hint; expected {_FORM}.')


def read_hints(path: Path | str) -> tuple[Hint, ...]:
    """Read a CSV file of hints, one a row; a first row that names the columns is passed over.

    Raises
    ------
    FileNotFoundError
    SettingError
        Names the row.
    """
    file = Path(path)
    with file.open(newline="", encoding="utf-8-sig") as stream:
        rows = [(number, row) for number, row in enumerate(csv.reader(stream), start=1) if any(map(str.strip, row))]
    if rows and rows[0][1][0].strip().lower() == "i":
        rows = rows[1:]
    hints = []
    for number, row in rows:
        try:
            hints.append(parse_hint(",".join(part for part in row if part.strip())))
        except SettingError as error:
            raise SettingError(f"{file}, row {number}: {error}") from error
    return tuple(hints)


__all__ = ["LARGEST_AB", "SIZE", "Hint", "check_hints", "hint_planes", "parse_hint", "read_hints"]
