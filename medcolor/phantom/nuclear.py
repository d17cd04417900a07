"""Emission phantoms: a simulated whole-body FDG PET in SUV, and a planar bone scan in counts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medcolor.phantom.shapes import Canvas, blur

UPTAKE_CLASSES = ("outside", "background", "low", "moderate", "high", "intense")
_LESIONS = (  # center and radii in mm, SUV
    (-52, -168, -10, 13, 13, 12, 7.5),  # right upper lobe
    (14, -172, 0, 10, 12, 10, 6.0),  # mediastinal node
    (-40, -30, 2, 10, 10, 10, 6.5),  # liver
    (78, 205, 20, 12, 12, 12, 9.0),  # left iliac bone
)


def paint_pt(canvas: Canvas) -> None:
    """Paint a body from the vertex to mid-thigh in coronal slices: x left, y to the feet, z to the back; SUV."""
    x, y, z = canvas.x, canvas.y, canvas.z
    canvas.paint(_body(canvas), "background", 0.6)
    for side in (-1, 1):
        canvas.paint(_ellipsoid(x - side * 68, y + 165, z - 5, 52, 88, 72), "background", 0.35)  # lungs
    canvas.paint(_ellipsoid(x, y + 150, z - 6, 26, 95, 40), "low", 1.4)  # mediastinal blood
    spine = (np.abs(x) < 17) & (np.abs(z - 62) < 16) & (y > -270) & (y < 220)
    canvas.paint(spine, "low", 1.6)
    canvas.paint(_ellipsoid(x - 16, y - 92, z + 30, 70, 62, 42), "low", 1.1)  # bowel
    canvas.paint(_ellipsoid(x + 58, y + 34, z - 4, 74, 62, 72), "moderate", 2.4)  # liver
    canvas.paint(_ellipsoid(x - 88, y + 40, z - 40, 26, 44, 34), "low", 1.9)  # spleen
    canvas.paint(_ellipsoid(x - 34, y + 108, z + 26, 42, 46, 40), "high", 6.2)  # left ventricle
    canvas.paint(_ellipsoid(x - 36, y + 106, z + 24, 24, 28, 22), "low", 1.7)
    brain = _ellipsoid(x, y + 418, z + 2, 66, 62, 82)
    canvas.paint(brain, "high", 6.5)
    canvas.paint(brain & ~_ellipsoid(x, y + 418, z + 2, 57, 53, 72), "intense", 11.0)
    canvas.paint(_ellipsoid(x, y + 418, z + 2, 8, 16, 22), "background", 0.9)
    for side in (-1, 1):
        canvas.paint(_ellipsoid(x - side * 62, y - 18, z - 56, 27, 50, 26), "moderate", 3.4)  # kidneys
        canvas.paint(_ellipsoid(x - side * 54, y - 18, z - 54, 10, 22, 11), "intense", 12.0)
    canvas.paint(_ellipsoid(x, y - 282, z + 18, 36, 30, 34), "intense", 24.0)  # bladder
    for cx, cy, cz, rx, ry, rz, suv in _LESIONS:
        canvas.paint(_ellipsoid(x - cx, y - cy, z - cz, rx, ry, rz), "intense" if suv >= 8 else "high", suv)


def _body(canvas: Canvas) -> NDArray[np.bool_]:
    x, y, z = canvas.x, canvas.y, canvas.z
    trunk_width = np.interp(y[0, :, 0], [-290, -250, -120, 30, 190, 300, 340], [60, 150, 165, 148, 172, 176, 172])
    trunk = (x / trunk_width[None, :, None]) ** 2 + (z / 108) ** 2 <= 1
    body: NDArray[np.bool_] = trunk & (y > -288) & (y < 330)
    body = body | _ellipsoid(x, y + 415, z, 76, 92, 98) | ((x / 52) ** 2 + (z / 56) ** 2 <= 1) & (np.abs(y + 310) < 45)
    for side in (-1, 1):
        body = body | (((x - side * 88) / 84) ** 2 + (z / 92) ** 2 <= 1) & (y >= 300)
        arm = ((x - side * (196 + 0.06 * (y + 100))) / 34) ** 2 + (z / 42) ** 2 <= 1
        body = body | arm & (y > -255) & (y < 300)
    return body


def _ellipsoid(
    u: NDArray[np.float64], v: NDArray[np.float64], w: NDArray[np.float64], ru: float, rv: float, rw: float
) -> NDArray[np.bool_]:
    inside: NDArray[np.bool_] = (u / ru) ** 2 + (v / rv) ** 2 + (w / rw) ** 2 <= 1
    return inside


def expose_pt(canvas: Canvas, spacing: tuple[float, float, float], rng: np.random.Generator) -> NDArray[np.float32]:
    """Blur by a 6 mm point spread, count with Poisson noise, reconstruct with a little smoothing; SUV."""
    sx, sy, sz = (2.6 / s for s in spacing)
    counts_per_suv = 45.0
    counts = rng.poisson(blur(canvas.values, (sz, sy, sx)) * counts_per_suv + 0.4).astype(np.float32)
    return np.maximum(blur(counts, (0.5, 0.6, 0.6)) / np.float32(counts_per_suv), 0)


def paint_nm(canvas: Canvas) -> None:
    """Paint a whole-body bone scan, anterior and posterior view: counts relative to soft tissue = 1."""
    for view in range(canvas.labels.shape[0]):
        one = Canvas(canvas.x, canvas.y, canvas.z[:1], canvas.classes)
        _paint_view(one, posterior=view % 2 == 1)
        canvas.labels[view], canvas.values[view] = one.labels[0], one.values[0]


def _paint_view(canvas: Canvas, *, posterior: bool) -> None:
    left = -1 if posterior else 1  # the patient's left is on the viewer's right in the anterior view only
    skin = _whole_body(canvas, 1.0)
    canvas.paint(skin, "background", 1.0)
    deep, near = (5.0, 2.2) if posterior else (3.0, 2.6)
    canvas.paint(canvas.ellipse(0, -760, 78, 100), "moderate", 3.2)
    canvas.paint(canvas.stroke([(0, -660), (0, 20)], 34), "high" if posterior else "moderate", deep)
    for n in range(9):
        y = -545 + 40 * n
        for side in (-1, 1):
            points = [
                (side * 18.0, y - 8.0),
                (side * 100.0, y + (4.0 if posterior else 22.0)),
                (side * 140.0, y + 55.0),
            ]
            canvas.paint(canvas.stroke(points, 13), "low", near)
    for side in (-1, 1):
        canvas.paint(canvas.stroke([(side * 30, -590), (side * 170, -580)], 22), "moderate", 3.0)
        canvas.paint(canvas.stroke([(side * 190, -560), (side * 235, -250), (side * 245, 20)], 24), "low", 2.0)
        canvas.paint(canvas.ellipse(side * 95, 55, 62, 78, angle=side * 20), "moderate", 3.1)
        canvas.paint(canvas.stroke([(side * 105, 130), (side * 95, 480)], 36), "low", 2.1)
        canvas.paint(canvas.stroke([(side * 92, 470), (side * 85, 525)], 58), "moderate", 3.0)
        canvas.paint(canvas.stroke([(side * 86, 530), (side * 80, 840)], 30), "low", 2.1)
        if posterior:
            canvas.paint(canvas.ellipse(side * 72, -150, 34, 56, angle=side * 10), "high", 4.6)  # kidneys
            canvas.paint(canvas.ellipse(side * 110, -480, 52, 78, angle=-side * 15), "moderate", 2.9)  # scapulae
    canvas.paint(canvas.ellipse(0, 90, 46, 38), "low" if posterior else "intense", 2.4 if posterior else 13.0)
    canvas.paint(canvas.ellipse(left * 118, -430, 17, 15), "intense", 9.0)  # a rib metastasis, left
    canvas.paint(canvas.ellipse(0, -260, 20, 16), "intense", 9.5 if posterior else 8.2)  # and one in the spine


def _whole_body(canvas: Canvas, scale: float) -> NDArray[np.bool_]:
    body = canvas.ellipse(0, -760, 88 * scale, 112 * scale) | canvas.stroke([(0, -680), (0, -600)], 120)
    body = body | canvas.ellipse(0, -300, 190, 330) | canvas.ellipse(0, 60, 175, 160)
    for side in (-1, 1):
        body = body | canvas.stroke([(side * 175, -570), (side * 235, -250), (side * 245, 60)], 80)
        body = body | canvas.stroke([(side * 100, 90), (side * 95, 480)], 150)
        body = body | canvas.stroke([(side * 92, 480), (side * 82, 860)], 105)
    return body


def expose_nm(canvas: Canvas, spacing: tuple[float, float, float], rng: np.random.Generator) -> NDArray[np.uint16]:
    """Blur by a 10 mm collimator and count photons."""
    sigma = 4.3
    expected = blur(canvas.values, (0.0, sigma / spacing[1], sigma / spacing[0])) * 14 + 0.4
    return rng.poisson(expected).astype(np.uint16)
