"""Projection phantoms: a chest radiograph and a mammogram, as detectors give them after processing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medcolor.phantom.shapes import Canvas, blur, smooth_noise

XR_CLASSES = ("outside", "air", "soft_tissue", "dense", "bone", "metal")
MG_CLASSES = ("air", "skin", "fat", "fibroglandular", "pectoral", "calcification")
DETECTOR_MAX = 4095  # 12 bit


def paint_xr(canvas: Canvas) -> None:
    """Paint a frontal chest; the values are attenuation (line integrals, 0 is open beam)."""
    x, y = canvas.x, canvas.y
    field = (abs(x) < 0.97 * abs(x).max()) & (abs(y) < 0.98 * abs(y).max())
    canvas.paint(x == x, "outside", 0.0)
    canvas.paint(field, "air", 0.12)
    trunk = canvas.ellipse(0, 60, 178, 260) | canvas.stroke([(-150, -70), (0, -150), (150, -70)], 90)
    trunk = (trunk | canvas.stroke([(0, -240), (0, -120)], 105)) & field
    thickness = np.sqrt(np.clip(1 - (x / 200) ** 2, 0.15, 1))
    canvas.paint(trunk, "soft_tissue", np.broadcast_to(1.75 * thickness, canvas.values.shape))
    vessels = np.clip(smooth_noise(canvas.labels.shape, 3.0, 23), 0, 3)
    for side, bottom in ((-1, 98.0), (1, 108.0)):
        lung = canvas.ellipse(side * 80, 0, 66, 138) & (y < bottom - 0.004 * (x - side * 70) ** 2)
        canvas.paint(lung & field, "air", (0.62 + 0.05 * vessels).astype(np.float32))
    heart = canvas.ellipse(22, 68, 62, 54, angle=25)
    canvas.paint(heart & field, "dense", 2.1)
    canvas.paint(canvas.ellipse(0, -10, 31, 120) & field, "dense", 2.2)  # mediastinum
    canvas.paint((canvas.ellipse(-80, 160, 80, 75) | canvas.ellipse(82, 168, 78, 72)) & trunk, "dense", 2.35)
    canvas.paint(canvas.stroke([(0, -185), (0, -70)], 13) & field, "air", 1.05)  # trachea
    _paint_xr_bones(canvas, field)
    canvas.paint(canvas.ellipse(118, -62, 17, 13) & field, "metal", 4.6)  # pacemaker and lead
    canvas.paint(canvas.stroke([(116, -50), (60, -40), (20, -10), (14, 70)], 3.5) & field, "metal", 4.0)


def _paint_xr_bones(canvas: Canvas, field: NDArray[np.bool_]) -> None:
    under = canvas.values.copy()
    for n in range(9):
        y = -118.0 + 27 * n
        for side in (-1, 1):
            bow = [
                (side * (8 + 138 * np.sin(t)), y + 34 * t**2 - 14 * np.sin(2 * t)) for t in np.linspace(0.1, 1.45, 9)
            ]
            canvas.paint(canvas.stroke(bow, 10) & field, "bone", under + np.float32(0.42))
    for side in (-1, 1):
        clavicle = canvas.stroke([(side * 14, -108), (side * 70, -128), (side * 140, -138)], 14)
        canvas.paint(clavicle & field, "bone", under + np.float32(0.75))
    canvas.paint((abs(canvas.x) < 14) & field & (under > 0.3), "bone", under + np.float32(0.65))  # spine


def expose_xr(canvas: Canvas, spacing: tuple[float, float, float], rng: np.random.Generator) -> NDArray[np.uint16]:
    """Blur by focus and detector, count photons, give log exposure: more attenuation is a higher value, 12 bit."""
    return _expose(canvas, 0.6 / spacing[0], rng, photons=9000.0, full_scale=5.0)


def paint_mg(canvas: Canvas) -> None:
    """Paint a left mediolateral oblique view, chest wall at the first column; the values are attenuation."""
    wall = canvas.x - canvas.x.min()
    curve = np.sqrt(np.clip(1 - ((canvas.y - 8) / 108) ** 2, 0, 1))
    reach = 132 * curve**0.8 + 0.0 * wall
    breast = (wall < reach) & (curve > 0)
    shape = canvas.labels.shape
    canvas.paint(wall == wall, "air", 0.02)
    rim = np.clip((reach - wall) / 14, 0, 1)  # compression ends before the skin line: thinner tissue there
    canvas.paint(breast, "fat", (0.85 * np.sqrt(0.25 + 0.75 * rim)).astype(np.float32) + np.zeros(shape, np.float32))
    texture = smooth_noise(shape, 9.0, 5) + 0.6 * smooth_noise(shape, 3.0, 6)
    disc = ((wall - 62) / 56) ** 2 + ((canvas.y - 10) / 62) ** 2
    gland = breast & (texture > 2.1 * disc - 0.95) & (disc < 1.1)
    canvas.paint(gland, "fibroglandular", 1.45 + 0.10 * texture)
    pectoral = (wall < 0.36 * (45 - canvas.y)) & (wall < reach + 3) & (wall < 75)
    canvas.paint(pectoral & breast, "pectoral", 1.95)
    canvas.paint(breast & (wall > reach - 2.2) & (wall > 3), "skin", 1.1)
    canvas.paint(canvas.ellipse(canvas.x.min() + 133, 8, 5, 6), "skin", 1.25)  # nipple
    spots = np.random.default_rng(77).normal((canvas.x.min() + 66, 22), (5, 5), (14, 2))
    for cx, cy in spots:
        canvas.paint(canvas.ellipse(float(cx), float(cy), 0.9, 0.9), "calcification", 2.9)


def expose_mg(canvas: Canvas, spacing: tuple[float, float, float], rng: np.random.Generator) -> NDArray[np.uint16]:
    """As a digital mammogram FOR PRESENTATION: more attenuation is a higher value, 12 bit."""
    return _expose(canvas, 0.25 / spacing[0], rng, photons=20000.0, full_scale=3.2)


def _expose(
    canvas: Canvas, sigma: float, rng: np.random.Generator, *, photons: float, full_scale: float
) -> NDArray[np.uint16]:
    beam = photons * np.exp(-blur(canvas.values, (0.0, sigma, sigma)))
    counts = np.maximum(beam + np.sqrt(beam) * rng.standard_normal(beam.shape, dtype=np.float32), 1.0)
    level = np.log(photons / counts) / full_scale
    return np.rint(np.clip(level, 0, 1) * DETECTOR_MAX).astype(np.uint16)
