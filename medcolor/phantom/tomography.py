"""CT and MR phantoms: one slab of a body in Hounsfield units, one of a head in arbitrary MR signal."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medcolor.phantom.shapes import Canvas, blur

CT_CLASSES = (
    "outside",
    "gas",
    "lung",
    "fat",
    "fluid",
    "soft_tissue",
    "enhanced",
    "spongy_bone",
    "cortical_bone",
    "metal",
)
MR_CLASSES = ("outside", "dark", "low", "intermediate", "high", "bright")


def paint_ct(canvas: Canvas) -> None:
    """Paint the level of the lung bases, patient supine: x to the patient's left, y to the back, values in HU."""
    canvas.paint(canvas.x == canvas.x, "outside", -1000)
    for depth, value in ((128, -150), (136, -800), (150, -150)):  # the couch: shell, foam, shell
        table = canvas.ellipse(0, -152, 330, 150 + depth) & (canvas.y > depth - 14) & (abs(canvas.x) < 190)
        canvas.paint(table, "outside", value)
    bulge = 1 + 0.0006 * canvas.z  # the trunk widens a little toward the head
    body = canvas.radius(0, 0, 168, 112) <= bulge
    canvas.paint(body, "fat", -105)
    canvas.paint(canvas.radius(0, 0, 152, 98) <= bulge, "soft_tissue", 52)
    canvas.paint(canvas.radius(0, -4, 140, 86) <= bulge, "fat", -98)
    _paint_ct_organs(canvas)
    _paint_ct_bones(canvas)


def _paint_ct_organs(canvas: Canvas) -> None:
    cavity = canvas.ellipse(0, -4, 138, 84)
    for side in (-1, 1):
        lung = canvas.ellipse(side * 92, 38, 44, 44) & cavity & (canvas.z > -25)
        canvas.paint(lung, "lung", -820 + 0.9 * (canvas.y + 0 * canvas.x + 0 * canvas.z))
    canvas.paint(canvas.ellipse(-58, -12, 74, 58, angle=15) & cavity, "soft_tissue", 68)  # liver
    canvas.paint(canvas.ellipse(-42, -46, 15, 11), "fluid", 9)  # gall bladder
    canvas.paint(canvas.ellipse(106, 14, 20, 36, angle=-20) & cavity, "soft_tissue", 58)  # spleen
    stomach = canvas.ellipse(58, -34, 42, 30)
    canvas.paint(stomach, "soft_tissue", 45)
    inside = canvas.ellipse(58, -34, 37, 25)
    canvas.paint(inside, "fluid", 14)
    canvas.paint(inside & (canvas.y < -42), "gas", -985)  # gas above an air-fluid level
    canvas.paint(canvas.ellipse(12, -58, 20, 12), "soft_tissue", 40)  # bowel wall
    canvas.paint(canvas.ellipse(12, -58, 17, 9), "gas", -970)
    canvas.paint(canvas.ellipse(11, 24, 13, 13), "soft_tissue", 45)  # aorta: wall, then blood with contrast
    canvas.paint(canvas.ellipse(11, 24, 11.5, 11.5), "enhanced", 285)
    canvas.paint(canvas.ellipse(-22, 16, 13, 10), "enhanced", 165)  # inferior vena cava


def _paint_ct_bones(canvas: Canvas) -> None:
    canvas.paint(canvas.ellipse(-28, 72, 22, 18) | canvas.ellipse(28, 72, 22, 18), "soft_tissue", 55)
    canvas.paint(canvas.ellipse(0, 58, 26, 21), "cortical_bone", 850)
    canvas.paint(canvas.ellipse(0, 58, 23, 18), "spongy_bone", 230)
    arch = canvas.stroke([(-16, 78), (0, 98), (16, 78)], 9) | canvas.stroke([(-38, 86), (0, 82), (38, 86)], 7)
    canvas.paint(arch, "cortical_bone", 800)
    canvas.paint(canvas.ellipse(0, 84, 9, 8), "fluid", 12)  # spinal canal
    for angle in (28, 62, 118, 152, 205, 335):
        cx, cy = 146 * np.cos(np.radians(angle)), -4 + 92 * np.sin(np.radians(angle))
        tilt = float(np.degrees(np.arctan2(92 * np.cos(np.radians(angle)), -146 * np.sin(np.radians(angle)))))
        canvas.paint(canvas.ellipse(cx, cy, 17, 5.5, angle=tilt), "cortical_bone", 900)
        canvas.paint(canvas.ellipse(cx, cy, 14, 3.0, angle=tilt), "spongy_bone", 260)
    canvas.paint(canvas.ellipse(-10, 55, 4, 4), "metal", 3000)  # a pedicle screw


def expose_ct(canvas: Canvas, spacing: tuple[float, float, float], rng: np.random.Generator) -> NDArray[np.int16]:
    """Blur by the scanner's point spread and add noise; integers in HU."""
    sigma = 0.7 / spacing[0]
    noise = blur(rng.standard_normal(canvas.values.shape, dtype=np.float32), (0.0, 0.5, 0.5)) * 17
    return np.rint(np.clip(blur(canvas.values, (0.0, sigma, sigma)) + noise, -1024, 3071)).astype(np.int16)


def paint_mr(canvas: Canvas) -> None:
    """Paint a T1-weighted head, axial: signal in arbitrary units."""
    theta = np.arctan2(canvas.y, canvas.x)
    canvas.paint(canvas.ellipse(0, 0, 76, 96), "bright", 980)  # scalp fat
    canvas.paint(canvas.ellipse(0, 0, 70, 90), "dark", 40)  # skull
    canvas.paint(canvas.ellipse(0, 0, 65.5, 85.5), "low", 190)  # fluid under the skull
    folds = 0.035 * np.sin(23 * theta + 0.05 * canvas.z) + 0.02 * np.sin(41 * theta)
    cortex = canvas.radius(0, 0, 63, 83)
    canvas.paint(cortex <= 0.98 + 0.6 * folds, "intermediate", 470)
    canvas.paint(cortex <= 0.84 + 1.8 * folds, "high", 690)
    canvas.paint((abs(canvas.x) < 1.6) & (cortex <= 0.97) & (abs(canvas.y) > 24), "low", 190)  # between the halves
    for side in (-1, 1):
        canvas.paint(canvas.ellipse(side * 25, 4, 9, 15, angle=-side * 12), "intermediate", 520)  # deep gray
        canvas.paint(canvas.ellipse(side * 14, 12, 8, 17, angle=side * 14), "intermediate", 500)
        canvas.paint(canvas.ellipse(side * 9, -16, 5, 18, angle=side * 16), "low", 180)  # ventricles
        canvas.paint(canvas.ellipse(side * 17, 34, 5, 14, angle=-side * 20), "low", 180)
    canvas.paint(canvas.ellipse(0, 82, 5, 3), "bright", 1050)  # slow venous blood
    canvas.paint(canvas.ball(30, -30, 0, 8, 8, 9), "bright", 900)  # an enhancing lesion
    canvas.paint(canvas.ellipse(-12, -84, 9, 5) | canvas.ellipse(12, -84, 9, 5), "dark", 25)  # frontal sinus


def expose_mr(canvas: Canvas, spacing: tuple[float, float, float], rng: np.random.Generator) -> NDArray[np.int16]:
    """Apply a coil's smooth bias field and Rician noise."""
    sigma = 0.6 / spacing[0]
    bias = np.exp(0.0035 * canvas.x - 0.0025 * canvas.y + 0.002 * canvas.z - 0.00003 * (canvas.x**2 + canvas.y**2))
    signal = blur(canvas.values, (0.0, sigma, sigma)) * bias.astype(np.float32)
    real, imaginary = (rng.standard_normal(signal.shape, dtype=np.float32) * 18 for _ in range(2))
    return np.rint(np.hypot(signal + real, imaginary)).astype(np.int16)
