"""Where a scan lies on a canvas, and the letters around it.

The canvas world is (z, y, x) in LPS millimetres: z grows to the head, y to the back, x to the patient's left. With y
down and x to the right an axial slice appears as radiologists read it, patient left on the right of the screen. No
voxel is resampled: axes are exchanged by a view, directions turned by a negative scale. Grids that are oblique to the
patient cannot be shown there; they keep their own grid with true spacing, each axis where the nearest of the patient's
would be, and a note says so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import permutations
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from medcolor.geometry import Space
from medcolor.scan import KAxis, Scan

T = TypeVar("T")
Triple = tuple[float, float, float]
Axes = tuple[int, int, int]

_WORLD = ("SI", "PA", "LR")  # where z, y, x of the canvas grow to, and where they come from
_LPS = ("LR", "PA", "SI")
_SEEN = 0.3  # a direction gets a second letter when it leans that far (sine) toward it
_OPPOSITE = dict(zip("LRPASI", "RLAPIS", strict=True))
_DICOM = {"H": "S", "F": "I"}  # head, foot


@dataclass(frozen=True, slots=True, eq=False)
class Placement:
    """How a scan lies on a canvas.

    Attributes
    ----------
    scale, translate : tuple of float
        Of the layer's three axes; voxel centres. A scale is negative where an index grows against the world.
    units : tuple of str
        "mm"; "pixel" where an axis has no length.
    axis_labels : tuple of str
        ("z", "y", "x"), or the names of voxel axes where the world is not the patient's.
    axes : tuple of int
        Which axis of (k, j, i) each layer axis is; (0, 1, 2) for axial scans. See :meth:`to_layer`.
    order : tuple of int
        Layer axes in the order a viewer should take them: the first is stepped through, the last two are shown (down
        and to the right), so that the plane appears that was acquired.
    upward : bool
        Whether the vertical axis of that plane must grow upward on the screen, as z does.
    affine : ndarray (4, 4) or None
        Voxel index (i, j, k) to RAS mm, where scale and translate do not say it: oblique grids.
    note : str or None
        What must be said on screen.
    """

    scale: Triple
    translate: Triple
    units: tuple[str, str, str]
    axis_labels: tuple[str, str, str]
    axes: Axes = (0, 1, 2)
    order: Axes = (0, 1, 2)
    upward: bool = False
    affine: NDArray[np.float64] | None = None
    note: str | None = None

    def to_layer(self, slices: NDArray[Any]) -> NDArray[Any]:
        """View an array (nk, nj, ni, ...) with the layer's axes; no copy."""
        return slices.transpose(*self.axes, *range(3, slices.ndim))

    def voxel(self, position: Any) -> tuple[int, int, int]:
        """Return (i, j, k) of the voxel nearest to a layer's data position (three numbers)."""
        index = [0, 0, 0]
        for axis, value in zip(self.axes, position, strict=True):
            index[2 - axis] = int(np.floor(float(value) + 0.5))
        return index[0], index[1], index[2]

    def position(self, i: int, j: int, k: int) -> tuple[int, int, int]:
        """Return the layer's data position of a voxel."""
        a, b, c = ((k, j, i)[axis] for axis in self.axes)
        return a, b, c

    @property
    def slice_axis(self) -> int:
        """The layer axis along which slices lie: where k is."""
        return self.axes.index(0)


def place(scan: Scan) -> Placement:
    """Return where a scan lies on a canvas."""
    geometry = scan.geometry
    i, j, k = geometry.spacing
    note = "The slices are not evenly spaced; distances across slices are approximate." if scan.irregular else None
    if scan.k_axis is not KAxis.SPACE or geometry.space is not Space.PATIENT:
        unit = "pixel" if geometry.space is Space.PIXEL else "mm"
        across = (unit, k) if scan.k_axis is KAxis.SPACE and scan.shape[2] > 1 else ("pixel", 1.0)
        first = {KAxis.TIME: "frame", KAxis.VIEW: "view"}.get(scan.k_axis, "slice")
        return Placement(
            (across[1], j, i), (0.0, 0.0, 0.0), (across[0], unit, unit), (first, "row", "column"), note=note
        )  # fmt: skip
    lps = geometry.to_lps()
    world_of = _nearest(lps[:3, :3])
    voxel_of = {world: voxel for voxel, world in enumerate(world_of)}  # x, y, z -> i, j, k
    axes = (2 - voxel_of[2], 2 - voxel_of[1], 2 - voxel_of[0])
    stepped = axes.index(0)
    down, right = (axis for axis in range(3) if axis != stepped)
    z, y, x = (float(lps[world, voxel_of[world]]) for world in (2, 1, 0))
    layout: dict[str, Any] = {"axes": axes, "order": (stepped, down, right), "upward": stepped != 0}
    if _leans(lps[:3, :3], world_of, geometry.shape):
        said = (
            "Oblique to the patient's axes: shown on its own voxel grid with true spacing; canvas positions are not "
            "patient positions."
        )
        sides = (math.copysign(geometry.spacing[2 - axis], way) for axis, way in zip(axes, (z, y, x), strict=True))
        names = (("slice", "row", "column")[axis] for axis in axes)
        return Placement(
            _three(*sides), (0.0, 0.0, 0.0), ("mm", "mm", "mm"), _three(*names), **layout,
            affine=geometry.affine, note=f"{said} {note}" if note else said,
        )  # fmt: skip
    translate = (float(lps[2, 3]), float(lps[1, 3]), float(lps[0, 3]))
    return Placement((z, y, x), translate, ("mm", "mm", "mm"), ("z", "y", "x"), **layout, note=note)


def _three(first: T, second: T, third: T) -> tuple[T, T, T]:
    return first, second, third


def _nearest(linear: NDArray[np.float64]) -> tuple[int, ...]:
    """Return which of x, y, z each of i, j, k runs along most, each of them once."""
    along = np.abs(linear / np.linalg.norm(linear, axis=0))
    return max(permutations(range(3)), key=lambda world_of: float(along[list(world_of), range(3)].sum()))


def _leans(linear: NDArray[np.float64], world_of: tuple[int, ...], shape: tuple[int, int, int]) -> bool:
    """Whether a corner would be half a voxel off, were the grid taken for one along the patient's axes."""
    off = linear.copy()
    off[list(world_of), range(3)] = 0
    reach = np.abs(off) @ (np.array(shape) - 1.0)
    return bool(reach.max() >= 0.5 * np.linalg.norm(linear, axis=0).min())


def letters(scan: Scan, axis: int, flipped: tuple[bool, bool] = (False, False)) -> tuple[str, str, str, str]:
    """Return the letters at the left, right, top and bottom of a canvas.

    Parameters
    ----------
    scan : Scan
    axis : int
        The layer axis that is stepped through; the other two are shown, the first of them down, the second to the
        right.
    flipped : tuple of bool
        Whether the vertical axis grows upward, and the horizontal one to the left.

    Returns
    -------
    tuple of str
        L, R, A, P, S or I; oblique directions have two letters, the larger part first. Empty where nobody knows.
    """
    down, right = (name for number, name in enumerate(_directions(scan)) if number != axis)
    bottom, top = (_turned(down), down) if flipped[0] else (down, _turned(down))
    end, start = (_turned(right), right) if flipped[1] else (right, _turned(right))
    return start, end, top, bottom


def _turned(letter: str) -> str:
    return "".join(_OPPOSITE[c] for c in letter)


def _directions(scan: Scan) -> list[str]:
    """Return where each layer axis grows to on the canvas."""
    geometry = scan.geometry
    if geometry.space is not Space.PATIENT:
        said = scan.facts.get("PatientOrientation", ())
        if len(said) != 2:
            return ["", "", ""]
        row, column = ("".join(_DICOM.get(c, c) for c in str(part)) for part in said)
        known = all(set(part) <= set(_OPPOSITE) for part in (row, column))
        return ["", column, row] if known else ["", "", ""]
    if place(scan).axis_labels == ("z", "y", "x"):
        return [names[0] for names in _WORLD]
    toward = [_toward(direction) for direction in canvas_directions(scan)]
    if scan.k_axis is not KAxis.SPACE:
        toward[place(scan).slice_axis] = ""
    return toward


def canvas_directions(scan: Scan) -> NDArray[np.float64]:
    """Return where each layer axis grows to on the canvas, (3, 3): unit vectors in LPS, one a row."""
    where = place(scan)
    if where.axis_labels == ("z", "y", "x") or scan.geometry.space is not Space.PATIENT:
        return np.eye(3)[::-1]
    lps = scan.geometry.to_lps()[:3, :3]
    unit = (lps / np.linalg.norm(lps, axis=0)).T[[2 - axis for axis in where.axes]]
    return np.asarray(unit * np.sign(where.scale)[:, None])


def _toward(direction: NDArray[np.float64]) -> str:
    ranked = np.argsort(-np.abs(direction), kind="stable")
    seen = [axis for axis in ranked[:2] if axis == ranked[0] or abs(direction[axis]) > _SEEN]
    return "".join(_LPS[axis][int(direction[axis] < 0)] for axis in seen)


__all__ = ["Placement", "canvas_directions", "letters", "place"]
