"""A procedural breast, compressed and exposed: every one different, the class of every pixel known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medcolor.phantom.shapes import Canvas, blur
from medcolor.tissue.model import CLASSES, Posteriors

_MAX = 4095  # 12 bit
Plane = NDArray[np.float32]


def _share(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logistic function."""
    return 1 / (1 + np.exp(-np.clip(x, -60, 60)))


def _curve(start: tuple[float, float], end: tuple[float, float], bow: float) -> list[tuple[float, float]]:
    """Nine points of an arc."""
    return [
        (float(start[0] + t * (end[0] - start[0])), float(start[1] + t * (end[1] - start[1]) + bow * np.sin(np.pi * t)))
        for t in np.linspace(0, 1, 9)
    ]


class Breast:
    """One view, chest wall at the first column.

    Parameters
    ----------
    rng : Generator
    shape : (int, int)
        nj, ni.
    mm : float
        Pixel size.
    oblique : bool
        Mediolateral oblique: with pectoral muscle.
    """

    def __init__(self, rng: np.random.Generator, shape: tuple[int, int], mm: float, *, oblique: bool) -> None:
        nj, ni = shape
        self._rng, self._mm, self._field = rng, mm, (ni * mm, nj * mm)
        self._canvas = Canvas.of((ni, nj, 1), (mm, mm, 1.0), CLASSES["MG"])
        self._wall = self._canvas.x - self._canvas.x.min() + 0 * self._canvas.y
        self._gland = np.zeros((1, nj, ni), np.float32)
        self._canvas.paint(self._wall >= 0, "air", 0.02)
        reach, inside, middle, half = self._outline()
        self._tissue(reach, inside, middle, half)
        if oblique:
            self._pectoral(inside, middle - half)
        self._skin(reach, inside, middle)
        self._calcifications(inside & (self._wall < reach - 6) & (self._wall > 8), middle)
        if rng.random() < 0.6:
            self._marker(inside)

    def _texture(self, size_mm: float) -> Plane:
        noise = self._rng.standard_normal(self._canvas.values.shape, dtype=np.float32)
        smooth = blur(noise, (0, size_mm / self._mm, size_mm / self._mm))
        return (smooth - smooth.mean()) / max(float(smooth.std()), 1e-9)

    def _outline(self) -> tuple[NDArray[np.float64], NDArray[np.bool_], float, float]:
        """Return how far the breast reaches in each row, its mask, its middle row and half its height, mm."""
        rng, y = self._rng, self._canvas.y
        width, height = self._field
        half, depth = height * rng.uniform(0.3, 0.46), width * rng.uniform(0.38, 0.82)
        middle = float(rng.uniform(-0.08, 0.12)) * height
        t = (y - middle) / half
        t = np.where(t < 0, t / rng.uniform(1.0, 1.25), t)  # fuller below than above
        curve = np.clip(1 - np.abs(t) ** rng.uniform(1.8, 2.4), 0, 1) ** rng.uniform(0.45, 0.75)
        ripple = 1 + 0.02 * np.sin(y / rng.uniform(12, 30) + rng.uniform(0, 6))
        reach = depth * curve * ripple + 0 * self._wall
        return reach, (self._wall < reach) & (curve > 0), middle, half

    def _tissue(self, reach: NDArray[np.float64], inside: NDArray[np.bool_], middle: float, half: float) -> None:
        rng, canvas = self._rng, self._canvas
        rim = np.clip((reach - self._wall) / rng.uniform(9, 22), 0, 1)  # compression ends before the skin line
        thickness = (np.sqrt(0.22 + 0.78 * rim)).astype(np.float32)
        depth = float(reach.max())
        disc = ((self._wall - rng.uniform(0.4, 0.6) * depth) / (rng.uniform(0.35, 0.55) * depth)) ** 2
        disc = disc + ((canvas.y - middle) / (rng.uniform(0.45, 0.8) * half)) ** 2
        lumps = self._texture(rng.uniform(6, 13)) + 0.7 * self._texture(3.0) + 0.4 * self._texture(1.0)
        edge = np.exp(rng.uniform(np.log(0.2), np.log(1.0)))  # from sharp islands to a gradual ground glass
        gland = _share((lumps - rng.uniform(1.4, 2.6) * disc + rng.uniform(-0.8, 1.4)) / edge)
        gland *= np.clip((reach - self._wall - 4) / 4, 0, 1)  # fat under the skin
        for _ in range(rng.integers(4, 14)):  # strands and vessels, toward the nipple
            start = (float(canvas.x.min()) + rng.uniform(0.1, 0.6) * depth, middle + rng.uniform(-0.7, 0.7) * half)
            end = (float(canvas.x.min()) + 0.97 * depth, middle + rng.uniform(-0.15, 0.15) * half)
            strand = canvas.stroke(_curve(start, end, rng.uniform(-14, 14)), rng.uniform(0.5, 1.8))
            gland = np.maximum(gland, rng.uniform(0.2, 0.7) * blur(strand.astype(np.float32), (0, 0.8, 0.8)))
        if rng.random() < 0.35:  # a mass, round or spiculated by the texture
            cx = float(canvas.x.min()) + rng.uniform(0.25, 0.75) * depth
            cy, size = middle + rng.uniform(-0.5, 0.5) * half, rng.uniform(3, 12, 2)
            away = canvas.radius(cx, cy, size[0], size[1], angle=rng.uniform(0, 180))
            gland = np.maximum(gland, _share((1 - away - 0.15 * lumps) / 0.06))
        self._gland = np.where(inside, np.clip(gland, 0, 1), 0).astype(np.float32)
        fat, dense = rng.uniform(0.65, 0.95), rng.uniform(1.1, 1.55)
        values = thickness * (fat + (dense - fat) * self._gland + 0.03 * self._texture(1.0))
        canvas.paint(inside, "fat", values.astype(np.float32))

    def _pectoral(self, inside: NDArray[np.bool_], top: float) -> None:
        rng, y = self._rng, self._canvas.y
        bottom = top + self._field[1] * rng.uniform(0.25, 0.65)
        wide = self._field[0] * rng.uniform(0.15, 0.4)
        part = np.clip((bottom - y) / max(bottom - float(y.min()), 1e-6), 0, None)
        muscle = inside & (self._wall < wide * part ** rng.uniform(0.8, 1.25)) & (y < bottom)
        value = rng.uniform(1.25, 1.8) * (1 + 0.03 * self._texture(3.0))
        self._canvas.paint(muscle, "pectoral", value.astype(np.float32))

    def _skin(self, reach: NDArray[np.float64], inside: NDArray[np.bool_], middle: float) -> None:
        from scipy import ndimage

        canvas, rng = self._canvas, self._rng
        padded = np.pad(inside[0], ((0, 0), (1, 0)), mode="edge")  # the chest wall is no air
        deep = ndimage.distance_transform_edt(padded)[None, :, 1:] * self._mm
        canvas.paint(inside & (deep <= rng.uniform(1.2, 2.4)), "skin", rng.uniform(0.45, 0.85))
        if rng.random() < 0.7:
            at = float(canvas.x.min() + reach.max())
            canvas.paint(canvas.ellipse(at, middle, rng.uniform(3, 6), rng.uniform(3, 6)), "skin", rng.uniform(1, 1.5))

    def _calcifications(self, where: NDArray[np.bool_], middle: float) -> None:
        rng, canvas = self._rng, self._canvas
        spots: list[tuple[float, float, float]] = []
        places = np.argwhere(where[0])
        for _ in range(rng.choice([0, 0, 1, 1, 2, 3]) if len(places) else 0):
            j, i = places[rng.integers(len(places))]
            cx, cy = float(canvas.x[0, 0, i]), float(canvas.y[0, j, 0])
            cluster = rng.random() < 0.7
            for _ in range(rng.integers(4, 18) if cluster else 1):
                size = rng.uniform(0.25, 0.6) if cluster else rng.uniform(0.5, 2.0)
                spots.append((cx + rng.normal(0, 4) * cluster, cy + rng.normal(0, 4) * cluster, size))
        for cx, cy, size in spots:
            radius = max(size, 0.55 * self._mm)
            share = min(1.0, (size / radius) ** 2)  # smaller than a pixel: fainter
            spot = canvas.ellipse(cx, cy, radius, radius) & where
            canvas.paint(spot, "calcification", canvas.values + np.float32(rng.uniform(0.7, 1.6) * share))

    def _marker(self, inside: NDArray[np.bool_]) -> None:
        """Lead letters lie in the air: bright, and no tissue."""
        rng, (width, height) = self._rng, self._field
        cx, cy = width * rng.uniform(0.3, 0.42), height * rng.choice([-1, 1]) * rng.uniform(0.36, 0.45)
        plate = self._canvas.ellipse(cx, cy, 9, 7) & ~inside
        canvas = self._canvas
        letters = canvas.stroke([(cx - 4, cy + 4), (cx - 4, cy - 4), (cx + 2, cy - 4), (cx + 2, cy + 4)], 1.6) & ~inside
        canvas.paint(plate, "air", rng.uniform(0.02, 0.5))
        canvas.paint(letters, "air", 3.2)

    def exposed(self) -> NDArray[np.uint16]:
        """Return the image FOR PRESENTATION, (1, nj, ni): more attenuation is a higher value."""
        rng = self._rng
        photons, sigma = float(np.exp(rng.uniform(np.log(1500), np.log(30000)))), rng.uniform(0.1, 0.35) / self._mm
        beam = photons * np.exp(-blur(self._canvas.values, (0, sigma, sigma)))
        counts = np.maximum(beam + np.sqrt(beam) * rng.standard_normal(beam.shape, dtype=np.float32), 1)
        level = np.clip(np.log(photons / counts) / rng.uniform(2.6, 3.6), 0, 1) ** rng.uniform(0.8, 1.5)
        return np.rint(level * _MAX).astype(np.uint16)

    def truth(self) -> Posteriors:
        """Return class shares, (K, 1, nj, ni): what was painted, edges shared by the pixels they cross."""
        names = CLASSES["MG"]
        painted = self._canvas.labels == np.arange(1, len(names) + 1).reshape(-1, 1, 1, 1)
        shares = painted.astype(np.float32)
        fat, gland = names.index("fat"), names.index("fibroglandular")
        shares[gland] += shares[fat] * self._gland
        shares[fat] *= 1 - self._gland
        shares = np.stack([blur(share, (0, 0.5, 0.5)) for share in shares])
        return shares / shares.sum(axis=0)
