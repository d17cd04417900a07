"""Rough drawings of scans that no open pack has: X-rays of limbs, ultrasound of other organs than the fetal head.

They teach the recognizer what such images look like from afar; nothing else is learned from them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

Floats = NDArray[np.float64]
_SIDE = 160
_J, _I = np.mgrid[:_SIDE, :_SIDE] / _SIDE - 0.5


def _rod(start: Floats, end: Floats, radius: float, *, flare: float = 0.0) -> Floats:
    """Path length through a round rod between two points (i, j), wider at its ends by ``flare``."""
    way = end - start
    along = ((_I - start[0]) * way[0] + (_J - start[1]) * way[1]) / max(float(way @ way), 1e-9)
    along = np.clip(along, 0, 1)
    away = np.hypot(_I - start[0] - along * way[0], _J - start[1] - along * way[1])
    r = radius * (1 + flare * (2 * along - 1) ** 4)
    return np.sqrt(np.clip(r**2 - away**2, 0, None))


def _bone(start: Floats, end: Floats, radius: float, hollow: float) -> Floats:
    return _rod(start, end, radius, flare=0.4) - hollow * _rod(start, end, 0.7 * radius, flare=0.5)


def _film(flesh: Floats, bone: Floats, rng: np.random.Generator) -> Floats:
    """Expose: more attenuation is brighter; letters of lead in a corner of some."""
    grain = 1 + 0.5 * gaussian_filter(rng.standard_normal(bone.shape), rng.uniform(1, 3))
    through = flesh * rng.uniform(2, 6) + np.maximum(bone, 0) * grain * rng.uniform(12, 40)
    film = gaussian_filter(1 - np.exp(-through * rng.uniform(0.6, 2)), 0.6) + rng.uniform(0, 0.1)
    if rng.random() < 0.6:
        j, i = (int(rng.choice([rng.uniform(0.03, 0.2), rng.uniform(0.7, 0.85)]) * _SIDE) for _ in range(2))
        plate = film[j : j + int(rng.integers(8, 24)), i : i + int(rng.integers(8, 20))]
        plate[:] = rng.choice([0.02, 1.0])
        plate[2:-2, 2:4] = plate[-4:-2, 2:-3] = 1.0
    return film


def _turned(point: Floats, angle: float) -> Floats:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([c * point[0] - s * point[1], s * point[0] + c * point[1]])


def hand(seed: int) -> Floats:
    """Return a hand or a foot from above, (160, 160)."""
    rng = np.random.default_rng([seed, 11])
    turn, size, side = rng.normal(0, 0.25), rng.uniform(0.8, 1.15), rng.choice([-1, 1])
    wrist = np.array([0.0, rng.uniform(0.15, 0.25)])
    flesh, bone, hollow = np.zeros((_SIDE, _SIDE)), np.zeros((_SIDE, _SIDE)), rng.uniform(0.3, 0.8)
    spread = rng.uniform(0.5, 1.2)
    for angle, length in zip((-0.95, -0.33, -0.08, 0.17, 0.42), (0.4, 0.58, 0.64, 0.6, 0.5), strict=True):
        ray = size * length * _turned(np.array([0.0, -1.0]), spread * side * angle + rng.normal(0, 0.05))
        at = [_turned(wrist + f * ray, turn) for f in (0.16, 0.18, 0.5, 0.52, 0.72, 0.74, 0.87, 0.88, 0.97)]
        flesh = np.maximum(flesh, _rod(_turned(wrist, turn), at[-1], rng.uniform(0.036, 0.05) * size))
        flesh = np.maximum(flesh, 1.3 * _rod(_turned(wrist, turn), at[2], 0.085 * size))
        for n in range(1, 9, 2):
            bone += _bone(at[n], at[min(n + 1, 8)], rng.uniform(0.014, 0.02) * size, hollow)
    for _ in range(8):
        center = _turned(wrist + rng.normal(0, 0.035, 2), turn)
        bone += 0.5 * _rod(center, center + 1e-3, rng.uniform(0.02, 0.035) * size)
    for offset in (-0.035, 0.04):
        start, end = (_turned(wrist + np.array([offset, down]), turn) for down in (0.05, 0.7))
        flesh = np.maximum(flesh, 1.4 * _rod(start, end, 0.085 * size))
        bone += _bone(start, end, rng.uniform(0.025, 0.04) * size, hollow)
    return _film(flesh, bone, rng)


def limb(seed: int) -> Floats:
    """Return a part of an arm or a leg, (160, 160): one bone or two, with a joint or not."""
    rng = np.random.default_rng([seed, 12])
    turn, wide = rng.normal(0, 0.3), rng.uniform(0.12, 0.42)
    joint, bend = rng.uniform(-0.3, 0.3), rng.normal(0, 0.25)
    flesh, bone, hollow = np.zeros((_SIDE, _SIDE)), np.zeros((_SIDE, _SIDE)), rng.uniform(0.3, 0.8)
    for down, angle in ((-1.0, turn), (1.0, turn + bend)):
        start, end = np.array([0.0, joint]), np.array([0.0, joint + down])
        start, end = _turned(start, turn), _turned(start, turn) + _turned(end - start, angle)
        flesh = np.maximum(flesh, _rod(start, end, wide))
        count = int(rng.integers(1, 3))
        across = _turned(np.array([1.0, 0.0]), angle)
        for n in range(count):
            shift = across * wide * ((n - (count - 1) / 2) * 0.8)
            gap = 0.02 * (end - start)
            bone += _bone(start + shift + gap, end + shift, wide * rng.uniform(0.25, 0.5) / count, hollow)
    return _film(flesh, bone, rng)


def sonogram(seed: int) -> Floats:
    """Return speckled tissue with vessels, organs and shadows, in a fan or a box, (160, 160)."""
    rng = np.random.default_rng([seed, 13])
    scene = gaussian_filter(rng.standard_normal((_SIDE, _SIDE)), (rng.uniform(2, 6), rng.uniform(4, 14)))
    scene = np.exp(rng.uniform(0.2, 0.7) * scene / scene.std())
    for _ in range(rng.integers(0, 8)):
        center, r = rng.uniform(-0.4, 0.4, 2), np.exp(rng.uniform(np.log(0.03), np.log(0.3), 2))
        away = np.hypot((_I - center[0]) / r[0], (_J - center[1]) / r[1])
        inner = rng.choice([0.02, 0.1, 0.5, 2.0])
        scene = np.where(away < 1, scene * inner, scene)
        if rng.random() < 0.6:
            scene += rng.uniform(0.5, 4) * np.exp(-(((away - 1) / 0.06) ** 2))
        if rng.random() < 0.3:  # shadow or enhancement below
            below = (abs(_I - center[0]) < 0.8 * r[0]) & (center[1] < _J)
            scene = np.where(below, scene * rng.choice([0.15, 2.0]), scene)
    field = rng.standard_normal((2, _SIDE, _SIDE))
    grain = [gaussian_filter(part, (rng.uniform(0.5, 1.2), rng.uniform(0.8, 2.5))) for part in field]
    speckle = np.hypot(grain[0], grain[1])
    echo = scene * speckle / speckle.mean() * np.exp(-rng.uniform(0, 2.5) * (_J + 0.5))
    shown = np.clip(1 + np.log(echo / np.percentile(echo, 99.5) + 1e-4) / rng.uniform(2.5, 6), 0, 1)
    if rng.random() < 0.7:
        apex = -0.5 - rng.uniform(0.0, 0.6)
        half, near, far = rng.uniform(0.35, 0.8), rng.uniform(0.02, 0.5), 0.5 - apex - rng.uniform(0, 0.1)
        angle, depth = np.arctan2(_I, _J - apex), np.hypot(_I, _J - apex)
        shown = np.where((abs(angle) < half) & (depth > near) & (depth < far), shown, 0)
    else:
        left, bottom = rng.uniform(-0.5, -0.3), rng.uniform(0.3, 0.5)
        shown = np.where((abs(_I) < -left) & (bottom > _J), shown, 0)
    return shown


__all__ = ["hand", "limb", "sonogram"]
