"""Drawing for phantoms: a canvas in millimetres on which shapes are painted with a class and a value."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Canvas:
    """Values and class labels painted side by side, so that the truth is known for every voxel.

    Parameters
    ----------
    x, y, z : ndarray
        Positions in mm that broadcast to the block (nk, nj, ni): x along i, y along j, z along k, 0 in the middle.
    classes : tuple of str
        Class names; class n is painted as label n + 1.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    z: NDArray[np.float64]
    classes: tuple[str, ...]
    values: NDArray[np.float32] = field(init=False)
    labels: NDArray[np.uint16] = field(init=False)
    _number: Mapping[str, int] = field(init=False)

    def __post_init__(self) -> None:
        shape = np.broadcast_shapes(self.x.shape, self.y.shape, self.z.shape)
        object.__setattr__(self, "values", np.zeros(shape, np.float32))
        object.__setattr__(self, "labels", np.ones(shape, np.uint16))
        object.__setattr__(self, "_number", {name: n + 1 for n, name in enumerate(self.classes)})

    @classmethod
    def of(cls, shape: tuple[int, int, int], spacing: tuple[float, float, float], classes: tuple[str, ...]) -> Canvas:
        """Make an empty canvas for a grid (ni, nj, nk)."""
        x, y, z = (
            (np.arange(n, dtype=np.float64) - (n - 1) / 2) * np.float64(s) for n, s in zip(shape, spacing, strict=True)
        )
        return cls(x[None, None, :], y[None, :, None], z[:, None, None], classes)

    def paint(self, mask: Mask, name: str, value: Any) -> None:
        """Give the voxels of a mask (any shape that broadcasts) a class and a value (a number or a block)."""
        mask = np.broadcast_to(mask, self.labels.shape)
        self.labels[mask] = self._number[name]
        self.values[mask] = value[mask] if isinstance(value, np.ndarray) else value

    def ellipse(self, cx: float, cy: float, rx: float, ry: float, *, angle: float = 0.0) -> Mask:
        """Return the inside of an ellipse in the (x, y) plane, mm and degrees, the same in every slice."""
        return self.radius(cx, cy, rx, ry, angle=angle) <= 1

    def radius(self, cx: float, cy: float, rx: float, ry: float, *, angle: float = 0.0) -> NDArray[np.float64]:
        """Return the elliptical distance from a center: 1 on the ellipse."""
        c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
        u, v = self.x - cx, self.y - cy
        return np.sqrt(((u * c + v * s) / rx) ** 2 + ((v * c - u * s) / ry) ** 2)

    def ball(self, cx: float, cy: float, cz: float, rx: float, ry: float, rz: float) -> Mask:
        """Return the inside of an axis-aligned ellipsoid, mm."""
        return ((self.x - cx) / rx) ** 2 + ((self.y - cy) / ry) ** 2 + ((self.z - cz) / rz) ** 2 <= 1

    def stroke(self, points: list[tuple[float, float]], width: float) -> Mask:
        """Return everything within ``width`` / 2 mm of a polyline in the (x, y) plane."""
        distance = np.full(np.broadcast_shapes(self.x.shape, self.y.shape), np.inf)
        for (ax, ay), (bx, by) in itertools.pairwise(points):
            dx, dy = bx - ax, by - ay
            t = np.clip(((self.x - ax) * dx + (self.y - ay) * dy) / (dx * dx + dy * dy), 0, 1)
            distance = np.minimum(distance, np.hypot(self.x - ax - t * dx, self.y - ay - t * dy))
        return distance <= width / 2


def blur(block: NDArray[np.float32], sigma: tuple[float, float, float]) -> NDArray[np.float32]:
    """Smooth (nk, nj, ni) by a Gaussian point spread; ``sigma`` in voxels along k, j, i."""
    from scipy.ndimage import gaussian_filter

    smoothed: NDArray[np.float32] = gaussian_filter(block, sigma, output=np.float32, mode="nearest", truncate=3)
    return smoothed


def smooth_noise(shape: tuple[int, int, int], sigma: float, seed: int) -> NDArray[np.float32]:
    """Return smooth noise of mean 0 and standard deviation 1, for textures that belong to the anatomy."""
    noise = np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)
    noise = blur(noise, (min(sigma, 1.0), sigma, sigma))
    return (noise - noise.mean()) / max(float(noise.std()), 1e-6)
