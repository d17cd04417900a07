"""Part of a scan, where it is: what is cut off changes the grid's corner and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from medcolor.color_scan import ColorScan
from medcolor.errors import GeometryError, SettingError
from medcolor.geometry import Geometry
from medcolor.scan import Scan, Source, from_slices, to_slices

Range = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Box:
    """Voxels from the first to before the last, along i, j and k."""

    i: Range
    j: Range
    k: Range

    @classmethod
    def around(cls, voxels: ArrayLike, shape: Sequence[int]) -> Self:
        """Return the box around voxels (n, 3) as (i, j, k), fractions allowed, within a scan.

        Raises
        ------
        SettingError
            Nothing of it is inside.
        """
        points = np.atleast_2d(np.asarray(voxels, float))
        first = np.clip(np.floor(points.min(axis=0) + 0.5), 0, shape).astype(int)
        last = np.clip(np.floor(points.max(axis=0) + 0.5) + 1, 0, shape).astype(int)
        if (first >= last).any():
            raise SettingError("Nothing of the scan is inside the box: draw it on the scan.")
        i, j, k = ((int(a), int(b)) for a, b in zip(first, last, strict=True))
        return cls(i, j, k)

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        """As an index of arrays (nk, nj, ni, ...)."""
        return slice(*self.k), slice(*self.j), slice(*self.i)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(ni, nj, nk)."""
        return self.i[1] - self.i[0], self.j[1] - self.j[0], self.k[1] - self.k[0]

    def __str__(self) -> str:
        return ", ".join(f"{name} {a + 1} to {b}" for name, (a, b) in zip("ijk", (self.i, self.j, self.k), strict=True))


def crop(scan: Scan, box: Box) -> Scan:
    """Return part of a scan, on its own place in the patient.

    Raises
    ------
    SettingError
        The box leaves the scan.
    GeometryError
        Rows or columns of a scan whose slices are unevenly spaced: their places are known to its files alone.
    """
    _require(scan, box)

    def cut(array: NDArray[Any]) -> NDArray[Any]:
        return from_slices(np.ascontiguousarray(to_slices(array)[box.slices]))

    padding = scan.padded(box.slices[0])[:, *box.slices[1:]] if scan.padding is not None else None
    return replace(
        scan,
        voxels=cut(scan.voxels),
        geometry=_corner(scan.geometry, box),
        padding=None if padding is None or not padding.any() else from_slices(padding),
        rgb=None if scan.rgb is None else cut(scan.rgb),
        colored=None if scan.colored is None else cut(scan.colored),
        source=_source(scan.source, scan.shape[2], box),
    )


def crop_color(color: ColorScan, box: Box) -> ColorScan:
    """Return part of a coloured scan; every pixel keeps its colour, and the provenance says what was cut.

    Raises
    ------
    SettingError, GeometryError
        As :func:`crop`.
    """
    _require(color, box)
    said = {"crop": {"i": list(box.i), "j": list(box.j), "k": list(box.k)}}
    return replace(
        color,
        rgb=from_slices(np.ascontiguousarray(to_slices(color.rgb)[box.slices])),
        geometry=_corner(color.geometry, box),
        source=_source(color.source, color.shape[2], box),
        provenance=replace(color.provenance, options={**color.provenance.options, **said}),
    )


def _require(whole: Scan | ColorScan, box: Box) -> None:
    for name, (first, last), side in zip("ijk", (box.i, box.j, box.k), whole.shape, strict=True):
        if not 0 <= first < last <= side:
            raise SettingError(f"The box runs from {first} to {last} along {name}, and the scan from 0 to {side}.")
    if whole.irregular and (box.shape[0], box.shape[1]) != whole.shape[:2]:
        raise GeometryError("The slices of this scan are unevenly spaced: cut slices off, not rows or columns.")


def _corner(geometry: Geometry, box: Box) -> Geometry:
    affine = geometry.affine.copy()
    affine[:3, 3] = geometry.index_to_world([box.i[0], box.j[0], box.k[0]])
    return Geometry(box.shape, affine, geometry.space)


def _source(source: Source, count: int, box: Box) -> Source:
    """Return a source in which each slice still names its instance and frame."""
    return replace(source, frames=source.frames[slice(*box.k)]) if len(source.frames) == count else source


__all__ = ["Box", "crop", "crop_color"]
