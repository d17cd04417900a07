"""An ultrasound phantom: a curved-array image with speckle, a cyst, a reflector and its shadow."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medcolor.phantom.shapes import Canvas, blur, smooth_noise

US_CLASSES = ("outside", "anechoic", "hypoechoic", "isoechoic", "hyperechoic", "bright")
_HALF_ANGLE = 34.0
_NEAR, _FAR = 60.0, 215.0  # radii of the transducer face and of the deepest echo, mm


def _beam(canvas: Canvas) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Return depth below the transducer in mm, angle in degrees, and the scan sector."""
    top = canvas.y.min() - 0.72 * _NEAR
    radius = np.hypot(canvas.x, canvas.y - top)
    angle = np.degrees(np.arctan2(canvas.x, canvas.y - top))
    far = min(_FAR, float(canvas.y.max() - top))
    return radius - _NEAR, angle, (radius >= _NEAR) & (radius <= far) & (abs(angle) <= _HALF_ANGLE)


def paint_us(canvas: Canvas) -> None:
    """Paint an abdominal view; the values are echo amplitude in dB relative to liver."""
    depth, angle, sector = _beam(canvas)
    lobes = smooth_noise((1, *canvas.labels.shape[1:]), 14.0, 11)
    canvas.paint(canvas.x == canvas.x, "outside", -200)
    canvas.paint(sector, "isoechoic", 0)
    canvas.paint(sector & (depth < 9), "hyperechoic", 7)  # skin and fat
    canvas.paint(sector & (depth >= 9) & (depth < 20), "hypoechoic", -9)  # muscle
    canvas.paint(sector & (depth >= 20) & (depth < 22.5), "bright", 17)  # capsule
    canvas.paint(sector & (depth > 30) & (lobes > 1.55), "hyperechoic", 7)
    depths = canvas.y - canvas.y.min()
    kidney = canvas.radius(38, canvas.y.min() + 100, 36, 20, angle=20)
    canvas.paint(sector & (kidney <= 1), "hypoechoic", -8)
    canvas.paint(sector & (kidney <= 0.45), "hyperechoic", 9)
    cyst = canvas.radius(-30, canvas.y.min() + 70, 19, 17)
    below = sector & (abs(canvas.x + 30 * depths / 70) < 15) & (depths > 84) & (depths < 112)
    canvas.paint(below, "hyperechoic", 6)  # enhancement behind the cyst
    canvas.paint(sector & (cyst <= 1.06), "bright", 13)
    canvas.paint(sector & (cyst <= 1), "anechoic", -60)
    stone = canvas.ellipse(2, canvas.y.min() + 88, 7, 4)
    shadow = sector & (abs(angle - 0.9) < 2.9) & (depths > 88)
    canvas.paint(shadow, "anechoic", -45)
    canvas.paint(sector & stone, "bright", 26)


def expose_us(canvas: Canvas, spacing: tuple[float, float, float], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Make fully developed speckle, compress to 60 dB, 8 bit; exactly 0 outside the sector."""
    shape = canvas.values.shape
    across, along = 0.75 / spacing[0], 0.4 / spacing[1]
    parts = [blur(rng.standard_normal(shape, dtype=np.float32), (0.0, along, across)) for _ in range(2)]
    speckle = np.hypot(*parts)
    speckle /= np.sqrt(np.mean(speckle**2))
    decibel = blur(canvas.values, (0.0, 0.5, 0.8)) + 20 * np.log10(speckle + 1e-3)
    gray = np.clip((decibel + 34) / 60 * 255, 0, 255)
    _, _, sector = _beam(canvas)
    return np.rint(np.where(sector, gray, 0)).astype(np.uint8)
