"""Where voxels are: the one place that knows the conventions.

Voxel indices are (i, j, k). World coordinates are **RAS+ millimetres**: x grows to the patient's right, y to
the front, z to the head, as in nibabel, MONAI and TorchIO. DICOM and ITK speak LPS; they are converted here, by
:meth:`Geometry.from_lps` and :meth:`Geometry.to_lps`, and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from medcolor.errors import GeometryError

_FLIP_XY = np.diag([-1.0, -1.0, 1.0, 1.0])


class Space(StrEnum):
    """What the world coordinates of a geometry mean."""

    PATIENT = "patient"  # RAS+ mm in the scanner's or a template's frame
    DETECTOR = "detector"  # spacing in mm is known, the pose in the patient is not (projections, planar NM)
    PIXEL = "pixel"  # nothing is known: one unit is one pixel


@dataclass(frozen=True, slots=True, eq=False)
class Geometry:
    """The grid of an image: shape and affine.

    Parameters
    ----------
    shape : tuple of int
        (ni, nj, nk), each at least 1. A 2-D image has nk = 1.
    affine : array_like, (4, 4)
        Voxel index -> world, RAS+ mm; voxel centres. Copied and made read-only. Shear (gantry tilt) is kept.
    space : Space
        What the world coordinates mean.

    Raises
    ------
    GeometryError
        Bad shape, last row not 0 0 0 1, non-finite or singular affine.
    """

    shape: tuple[int, int, int]
    affine: NDArray[np.float64]
    space: Space = Space.PATIENT

    def __post_init__(self) -> None:
        shape = tuple(int(n) for n in self.shape)
        if len(shape) != 3 or min(shape) < 1:
            raise GeometryError(f"Geometry needs a shape (ni, nj, nk) of at least 1 each, got {tuple(self.shape)}.")
        affine = np.array(self.affine, dtype=np.float64)
        if affine.shape != (4, 4):
            raise GeometryError(f"Geometry needs a 4 x 4 affine, got shape {affine.shape}.")
        if not np.isfinite(affine).all() or not np.array_equal(affine[3], [0, 0, 0, 1]):
            raise GeometryError(f"The affine must be finite with last row 0 0 0 1, got\n{affine}")
        scale = np.linalg.norm(affine[:3, :3], axis=0)
        if scale.min() <= 0 or abs(np.linalg.det(affine[:3, :3] / scale)) < 1e-6:
            raise GeometryError(f"The affine is singular: two voxel axes point the same way.\n{affine}")
        affine.flags.writeable = False
        object.__setattr__(self, "shape", shape)
        object.__setattr__(self, "affine", affine)
        object.__setattr__(self, "space", Space(self.space))

    @classmethod
    def from_lps(cls, shape: tuple[int, int, int], affine: ArrayLike, space: Space = Space.PATIENT) -> Geometry:
        """Build from an affine whose world is LPS+ mm (DICOM, ITK)."""
        return cls(shape, _FLIP_XY @ np.asarray(affine, dtype=np.float64), space)

    @classmethod
    def from_spacing(cls, shape: tuple[int, int, int], spacing: ArrayLike, space: Space) -> Geometry:
        """Build an axis-aligned grid at the origin, rows running down and columns to the patient's left.

        For images that know their pixel size at most: the pose is a convention, said by ``space``.
        """
        sx, sy, sz = np.asarray(spacing, dtype=np.float64)
        return cls.from_lps(shape, np.diag([sx, sy, sz, 1.0]), space)

    def to_lps(self) -> NDArray[np.float64]:
        """Return the affine from voxel index to LPS+ mm."""
        return _FLIP_XY @ self.affine

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Distance between voxel centres along i, j, k, in mm (in pixels where ``space`` is PIXEL)."""
        i, j, k = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(i), float(j), float(k)

    @property
    def origin(self) -> tuple[float, float, float]:
        """World position of the centre of voxel (0, 0, 0), RAS+ mm."""
        x, y, z = self.affine[:3, 3]
        return float(x), float(y), float(z)

    @property
    def direction(self) -> NDArray[np.float64]:
        """Unit vectors of i, j, k as columns, (3, 3), RAS+."""
        return self.affine[:3, :3] / np.linalg.norm(self.affine[:3, :3], axis=0)

    @property
    def voxel_volume(self) -> float:
        """Volume of one voxel in mm³."""
        return float(abs(np.linalg.det(self.affine[:3, :3])))

    @property
    def axcodes(self) -> str:
        """Where i, j, k point to, nearest anatomical axis, for example ``"LPS"``."""
        direction = self.direction
        codes, free = ["", "", ""], {0, 1, 2}
        order = np.argsort(-np.abs(direction).max(axis=0))
        for axis in order:
            world = max(free, key=lambda w: abs(direction[w, axis]))
            free.discard(world)
            codes[axis] = ("LR", "PA", "IS")[world][int(direction[world, axis] > 0)]
        return "".join(codes)

    @property
    def shear_degrees(self) -> float:
        """Largest departure of two voxel axes from a right angle, in degrees (gantry tilt shows here)."""
        d = self.direction
        cosines = [abs(float(d[:, a] @ d[:, b])) for a, b in ((0, 1), (0, 2), (1, 2))]
        return float(np.degrees(np.arcsin(min(1.0, max(cosines)))))

    def index_to_world(self, index: ArrayLike) -> NDArray[np.float64]:
        """Map (..., 3) voxel indices to RAS+ mm."""
        return np.asarray(index, dtype=np.float64) @ self.affine[:3, :3].T + self.affine[:3, 3]

    def world_to_index(self, world: ArrayLike) -> NDArray[np.float64]:
        """Map (..., 3) RAS+ mm to fractional voxel indices."""
        inverse = np.linalg.inv(self.affine)
        return np.asarray(world, dtype=np.float64) @ inverse[:3, :3].T + inverse[:3, 3]

    def matches(self, other: Geometry, *, atol: float = 1e-3) -> bool:
        """Whether every voxel of both grids is at the same place, within ``atol`` mm, in the same space."""
        if self.shape != other.shape or self.space != other.space:
            return False
        corners = np.array(np.meshgrid(*[(0, n - 1) for n in self.shape])).reshape(3, -1).T
        gap = np.abs(self.index_to_world(corners) - other.index_to_world(corners)).max()
        axes = np.abs(self.affine[:3, :3] - other.affine[:3, :3]).max()
        return bool(gap <= atol and axes <= atol)

    def require_match(self, other: Geometry, what: str, *, atol: float = 1e-3) -> None:
        """Raise :class:`GeometryError` naming both grids unless they match."""
        if not self.matches(other, atol=atol):
            raise GeometryError(f"{what} are not on the same grid: {self.describe()} against {other.describe()}.")

    def describe(self) -> str:
        """One line for people: size, spacing with unit, axes."""
        size = " x ".join(str(n) for n in self.shape)
        unit = "pixels" if self.space is Space.PIXEL else "mm"
        spacing = " x ".join(f"{s:.4g}" for s in self.spacing)
        return f"{size} at {spacing} {unit}" + (f", axes {self.axcodes}" if self.space is Space.PATIENT else "")

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-able description."""
        return {
            "shape": list(self.shape),
            "affine_ras_mm": self.affine.tolist(),
            "spacing": list(self.spacing),
            "axcodes": self.axcodes if self.space is Space.PATIENT else None,
            "space": str(self.space),
        }

    def __repr__(self) -> str:
        return f"Geometry({self.describe()}, space={self.space})"
