"""Three planes at right angles through one voxel: what each shows, and where the shared cursor lies in it.

Planes run along the voxel grid; nothing is resampled, so every pixel shown is a voxel. They are turned as radiologists
read them: patient left on the right, front up in axial planes, head up in the others, front on the left in sagittal
ones. Positions are those of a layer (:class:`~medcolor.viewing.placement.Placement`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from medcolor.scan import Scan
from medcolor.viewing.placement import Placement, letters, place

Position = tuple[int, int, int]

_TITLES = {"z": "axial", "y": "coronal", "x": "sagittal"}


@dataclass(frozen=True, slots=True)
class Pane:
    """One of the planes.

    Attributes
    ----------
    axis : int
        The layer axis that is stepped through.
    down, right : int
        The layer axes shown.
    turned : tuple of bool
        Whether positions grow upward, and to the left.
    shape : tuple of int
        Of the layer.
    spacing : tuple of float
        Of rows and columns: how tall and how wide a pixel is.
    title : str
    letters : tuple of str
        At the left, right, top and bottom; empty where nobody knows.
    """

    axis: int
    down: int
    right: int
    turned: tuple[bool, bool]
    shape: Position
    spacing: tuple[float, float]
    title: str
    letters: tuple[str, str, str, str]

    @property
    def size(self) -> tuple[float, float]:
        """Height and width in the layer's units."""
        return self.shape[self.down] * self.spacing[0], self.shape[self.right] * self.spacing[1]

    def picture(self, layer: NDArray[np.uint8], position: Position) -> NDArray[np.uint8]:
        """Return the plane through a position.

        Parameters
        ----------
        layer : ndarray, (a, b, c, ...)
            With the layer's axes: ``placement.to_layer(slices)``.
        position : tuple of int

        Returns
        -------
        ndarray, (rows, columns, ...)
            A copy, C-contiguous.
        """
        number = min(max(position[self.axis], 0), self.shape[self.axis] - 1)
        plane: NDArray[np.uint8] = np.moveaxis(layer, self.axis, 0)[number]
        return plane[:: -1 if self.turned[0] else 1, :: -1 if self.turned[1] else 1].copy()

    def colors(self, layer: NDArray[np.uint8], position: Position) -> NDArray[np.uint8]:
        """Return the plane of an RGB or RGBA layer as RGB: gray where nothing is coloured."""
        return np.ascontiguousarray(self.picture(layer, position)[..., :3])

    def to_pixel(self, position: Position) -> tuple[int, int]:
        """Return the row and column of a position."""
        row, column = position[self.down], position[self.right]
        rows, columns = self.shape[self.down], self.shape[self.right]
        return rows - 1 - row if self.turned[0] else row, columns - 1 - column if self.turned[1] else column

    def to_position(self, row: float, column: float, position: Position) -> Position:
        """Return the position at a row and column (pixel centres are whole numbers), within the plane of another."""
        index = list(position)
        for axis, value, turned in ((self.down, row, self.turned[0]), (self.right, column, self.turned[1])):
            inside = min(max(int(np.floor(value + 0.5)), 0), self.shape[axis] - 1)
            index[axis] = self.shape[axis] - 1 - inside if turned else inside
        return index[0], index[1], index[2]

    def stepped(self, position: Position, steps: int) -> Position:
        """Return the position so many planes further, within the scan; up the body where the axis is."""
        index = list(position)
        index[self.axis] = min(max(index[self.axis] + steps, 0), self.shape[self.axis] - 1)
        return index[0], index[1], index[2]


@dataclass(frozen=True, slots=True, eq=False)
class Planes:
    """The three panes of a scan, the acquired plane first, and the way from its voxels to a viewer's world.

    Parameters
    ----------
    placement : Placement
    shape : tuple of int
        Of the layer.
    panes : tuple of Pane
    """

    placement: Placement
    shape: Position
    panes: tuple[Pane, Pane, Pane]

    @property
    def middle(self) -> Position:
        """Position of the middle of the scan."""
        a, b, c = (side // 2 for side in self.shape)
        return a, b, c

    def of_world(self, point: ArrayLike) -> Position:
        """Return the position within the scan that is nearest to a point of the viewer's world (last three numbers)."""
        index = (np.asarray(point, float)[-3:] - self.placement.translate) / self.placement.scale
        inside = np.clip(np.floor(index + 0.5), 0, np.array(self.shape) - 1).astype(int)
        return int(inside[0]), int(inside[1]), int(inside[2])

    def to_world(self, position: Position) -> tuple[float, float, float]:
        """Return where a position lies in the viewer's world."""
        world = np.asarray(position) * self.placement.scale + self.placement.translate
        return float(world[0]), float(world[1]), float(world[2])


def planes(scan: Scan) -> Planes:
    """Return the three planes of a scan."""
    where = place(scan)
    sides = scan.shape[::-1]
    shape = sides[where.axes[0]], sides[where.axes[1]], sides[where.axes[2]]
    panes = [_pane(scan, where, shape, axis) for axis in range(3)]
    panes.sort(key=lambda pane: pane.axis != where.order[0])  # stable: the acquired plane, then the others
    return Planes(where, shape, (panes[0], panes[1], panes[2]))


def _pane(scan: Scan, where: Placement, shape: Position, axis: int) -> Pane:
    down, right = (other for other in range(3) if other != axis)
    upward = down == 0  # z, and whatever is stepped through first: the head, or the last slice, is up
    turned = (where.scale[down] < 0) != upward, where.scale[right] < 0
    spacing = abs(where.scale[down]), abs(where.scale[right])
    label = where.axis_labels[axis]
    said = letters(scan, axis, (upward, False))
    return Pane(axis, down, right, turned, shape, spacing, _TITLES.get(label, f"across {label}s"), said)


__all__ = ["Pane", "Planes", "planes"]
