"""Simulated training scans with their true answer, for modalities that have no open training set: NM and MG.

Nuclear medicine: a randomized body and skeleton with random uptake, blurred by a collimator, scattered, and
counted. Mammography: a procedural breast (outline, skin, muscle, textured gland, strands, masses,
calcifications), exposed. No picture of a person goes in, and the model cards say so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from medcolor.errors import ModalityError
from medcolor.geometry import Geometry, Space
from medcolor.phantom.shapes import Canvas, blur
from medcolor.scan import KAxis, Scan, Source, from_slices
from medcolor.tissue.model import CLASSES, Posteriors, ladder
from medcolor.tissue.nm import EDGES
from medcolor.training.breast import Breast

Rng = np.random.Generator
_STEP = 0.35  # relative width of the steps between levels of uptake, as in medcolor.tissue.nm


@dataclass(frozen=True, slots=True)
class Simulation:
    """How the simulated scan of a family is made.

    Parameters
    ----------
    slices : int
    make : callable
        (seed, (ni, nj) or None) -> scan and truth.
    """

    slices: int
    make: Callable[[int, tuple[int, int] | None], tuple[Scan, Posteriors]]


def simulated(family: str, *, seed: int, shape: tuple[int, int] | None = None) -> tuple[Scan, Posteriors]:
    """Return a random scan and its answer.

    Parameters
    ----------
    family : str
        NM (two views of a whole body or of a part of it, counts) or MG (one view).
    seed : int
        Of everything: anatomy, uptake, exposure, noise. Equal arguments give equal bytes.
    shape : (int, int), optional
        ni, nj.

    Returns
    -------
    Scan
    ndarray of float32, (K, nk, nj, ni)
        True class shares of every pixel, summing to 1. NM: uptake over background before counting, after the
        collimator's blur. MG: what was painted, with partial pixels.

    Raises
    ------
    ModalityError
        No simulation of that family.
    """
    if family not in SIMULATED:
        raise ModalityError(f'There is no simulation of "{family}". Families: {", ".join(SIMULATED)}.')
    return SIMULATED[family].make(seed, shape)


def _nuclear(seed: int, shape: tuple[int, int] | None) -> tuple[Scan, Posteriors]:
    rng = np.random.default_rng([seed, 1])
    whole = rng.random() < 0.6
    ni, nj = shape or ((192, 560) if whole else (224, 224))
    field = (580.0, 1900.0) if whole else tuple(rng.uniform(330, 480, 2))
    spacing = (field[0] / ni, field[1] / nj, 1.0)
    middle = (0.0, 0.0) if whole else (rng.uniform(-60, 60), rng.uniform(-760, 250))
    paint = (_bone_scan, _bone_scan, _soft_organs, _thyroid_scan)[rng.integers(4)]
    params = _Pose.random(rng, middle)
    views = [_emission((ni, nj), spacing, params, paint, rng, back=back) for back in (False, True)]
    activity, body = (np.concatenate(parts) for parts in zip(*views, strict=True))
    sigma = rng.uniform(3.0, 7.5)
    seen = blur(activity, (0.0, sigma / spacing[1], sigma / spacing[0]))
    truth = _uptake_truth(seen, blur(body.astype(np.float32), (0.0, 0.6, 0.6)))
    scatter = blur(activity, (0.0, 45 / spacing[1], 45 / spacing[0])) * rng.uniform(0.02, 0.15)
    per_background = float(np.exp(rng.uniform(np.log(1.5), np.log(50))))
    counts = rng.poisson((seen + scatter) * per_background + 0.02 * per_background)
    block = np.minimum(counts, 65535).astype(np.uint16)
    geometry = Geometry.from_spacing((ni, nj, 2), spacing, Space.DETECTOR)
    source = Source("phantom", digest=f"simulated NM {seed} {ni} {nj}")
    scan = Scan(from_slices(block), geometry, "NM", units="counts", k_axis=KAxis.VIEW, source=source)
    return scan, truth


def _uptake_truth(seen: NDArray[np.float32], body: NDArray[np.float32]) -> Posteriors:
    level = np.log(np.maximum(seen, 1e-3))
    steps = ladder(level, [float(np.log(e)) for e in EDGES], [_STEP] * len(EDGES))
    truth: Posteriors = np.concatenate([1 - body[None], body * steps]).astype(np.float32)
    return truth / truth.sum(axis=0)


@dataclass(frozen=True, slots=True)
class _Pose:
    """Size and posture of one body."""

    middle: tuple[float, float]
    size: tuple[float, float]
    bend: float
    seed: int

    @classmethod
    def random(cls, rng: Rng, middle: tuple[float, float]) -> _Pose:
        size = (float(rng.uniform(0.82, 1.2)), float(rng.uniform(0.86, 1.08)))
        return cls(middle, size, float(rng.uniform(-14, 14)), int(rng.integers(2**31)))


def _emission(
    shape: tuple[int, int],
    spacing: tuple[float, float, float],
    pose: _Pose,
    paint: Callable[[Canvas, Rng, bool], None],
    rng: Rng,
    *,
    back: bool,
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Paint one view: activity over background, and where the body is; (1, nj, ni)."""
    grid = Canvas.of((*shape, 1), spacing, CLASSES["NM"])
    y = (grid.y + pose.middle[1]) / pose.size[1]
    x = (grid.x + pose.middle[0]) / pose.size[0] + pose.bend * np.sin(y / 350)
    canvas = Canvas(-x if back else x, y + 0 * x, grid.z, CLASSES["NM"])
    paint(canvas, np.random.default_rng(pose.seed), back)  # both views show the same patient
    body = canvas.labels > 1
    texture = blur(rng.standard_normal(canvas.values.shape, dtype=np.float32), (0, 9.0, 9.0))
    texture *= np.float32(0.12 / max(float(texture.std()), 1e-9))
    return canvas.values * np.clip(1 + texture, 0.6, 1.5), body


def _outline(canvas: Canvas, rng: Rng) -> None:
    arm = rng.uniform(62, 92)
    parts = [canvas.ellipse(0, -760, 86, 112), canvas.stroke([(0, -690), (0, -600)], 118)]
    parts += [canvas.ellipse(0, -300, 190, 330), canvas.ellipse(0, 60, 178, 165)]
    for side in (-1, 1):
        parts.append(canvas.stroke([(side * 175, -570), (side * 235, -250), (side * 245, 70)], arm))
        parts.append(canvas.stroke([(side * 100, 90), (side * 95, 480), (side * 82, 860)], rng.uniform(105, 150)))
    canvas.paint(np.logical_or.reduce(np.broadcast_arrays(*parts)), "background", 1.0)


def _skeleton(canvas: Canvas, rng: Rng, back: bool, level: float) -> None:
    def bone(mask: NDArray[np.bool_], factor: float) -> None:
        value = max(level * factor * rng.uniform(0.75, 1.3), 1.05)
        canvas.paint(mask & (canvas.values < value), "low", value)

    bone(canvas.ellipse(0, -760, 78, 100), 0.8)
    bone(canvas.stroke([(0, -660), (0, 20)], rng.uniform(28, 38)), 1.5 if back else 0.9)
    for n in range(10):
        y = -545 + 38 * n
        for side in (-1, 1):
            bone(canvas.stroke([(side * 18, y - 8), (side * 100, y + (4 if back else 22)), (side * 140, y + 50)], 12),
                 0.65)  # fmt: skip
    if not back:
        bone(canvas.stroke([(0, -560), (0, -400)], 26), 0.9)
    for side in (-1, 1):
        bone(canvas.stroke([(side * 30, -590), (side * 170, -580)], 20), 0.8)
        bone(canvas.stroke([(side * 190, -560), (side * 235, -250), (side * 245, 20)], 22), 0.5)
        bone(canvas.ellipse(side * 95, 55, 62, 78, angle=side * 20), 0.9)
        bone(canvas.stroke([(side * 105, 130), (side * 95, 480), (side * 80, 840)], 30), 0.55)
        for joint in ((182, -572), (94, 500), (104, 120), (80, 840)):
            bone(canvas.ellipse(side * joint[0], joint[1], 26, 26), float(rng.uniform(0.6, 1.5)))
        if back:
            bone(canvas.ellipse(side * 110, -480, 50, 76, angle=-side * 15), 0.9)


def _hot_spots(canvas: Canvas, rng: Rng, most: int) -> None:
    body = canvas.values > 0
    for _ in range(rng.integers(0, most + 1)):
        cx, cy = rng.normal(0, 95), rng.uniform(-780, 420)
        value = float(np.exp(rng.uniform(np.log(3), np.log(30))))
        spot = canvas.ellipse(cx, cy, rng.uniform(6, 26), rng.uniform(6, 26), angle=rng.uniform(0, 180))
        canvas.paint(spot & body, "high", value)
    if rng.random() < 0.15:  # a prosthesis takes up nothing
        canvas.paint(canvas.stroke([(100, 120), (96, 260)], 34) & body, "background", 0.3)
    if rng.random() < 0.3:  # where it was injected
        canvas.paint(canvas.ellipse(238, rng.uniform(-250, 20), 14, 18) & body, "intense", rng.uniform(20, 80))


def _organs(canvas: Canvas, rng: Rng, *, kidneys: float, bladder: float) -> None:
    for side in (-1, 1):
        kidney = canvas.ellipse(side * rng.uniform(62, 82), rng.uniform(-185, -140), 32, 54, angle=side * 10)
        canvas.paint(kidney & (canvas.values < kidneys), "high", max(kidneys * rng.uniform(0.6, 1.2), 0.5))
    if bladder > 1:
        canvas.paint(canvas.ellipse(0, 92, rng.uniform(20, 55), rng.uniform(20, 45)), "intense", bladder)


def _bone_scan(canvas: Canvas, rng: Rng, back: bool) -> None:
    _outline(canvas, rng)
    _skeleton(canvas, rng, back, float(rng.uniform(2.2, 5.0)))
    _organs(canvas, rng, kidneys=rng.uniform(1.2, 3.5) * (1.5 if back else 1), bladder=rng.uniform(0.5, 22))
    _hot_spots(canvas, rng, 12)


def _soft_organs(canvas: Canvas, rng: Rng, back: bool) -> None:
    _outline(canvas, rng)
    weight = 1.0 if back else 0.8
    canvas.paint(canvas.ellipse(-75, -245, 88, 66, angle=15), "moderate", rng.uniform(2.5, 7))
    canvas.paint(canvas.ellipse(108, -235, 32, 48, angle=-20), "high", weight * rng.uniform(4, 16))
    _organs(canvas, rng, kidneys=weight * rng.uniform(4, 18), bladder=rng.uniform(0.5, 20))
    _hot_spots(canvas, rng, 8)


def _thyroid_scan(canvas: Canvas, rng: Rng, back: bool) -> None:
    _outline(canvas, rng)
    for side in (-1, 1):
        lobe = canvas.ellipse(side * 20, -642, rng.uniform(9, 17), rng.uniform(20, 34), angle=side * 12)
        canvas.paint(lobe, "intense", (0.4 if back else 1.0) * rng.uniform(4, 40))
    canvas.paint(canvas.ellipse(0, -705, 34, 16), "moderate", rng.uniform(2, 6))  # mouth and salivary glands
    canvas.paint(canvas.ellipse(55, -265, 48, 34, angle=-25), "moderate", rng.uniform(2, 10))  # stomach
    _organs(canvas, rng, kidneys=1.0, bladder=rng.uniform(0.5, 14))
    _hot_spots(canvas, rng, 5)


def _mammogram(seed: int, shape: tuple[int, int] | None) -> tuple[Scan, Posteriors]:
    rng = np.random.default_rng([seed, 2])
    ni, nj = shape or (384, 512)
    view = "MLO" if rng.random() < 0.55 else "CC"
    right, inverted = bool(rng.random() < 0.5), bool(rng.random() < 0.25)
    mm = float(rng.uniform(0.40, 0.52)) * 384 / ni
    breast = Breast(rng, (nj, ni), mm, oblique=view == "MLO")
    block, truth = breast.exposed(), breast.truth()
    if right:
        block, truth = block[..., ::-1], truth[..., ::-1]
    if inverted:
        block = (4095 - block).astype(np.uint16)
    geometry = Geometry.from_spacing((ni, nj, 1), (mm, mm, 1.0), Space.DETECTOR)
    facts = {"BodyPartExamined": "BREAST", "ViewPosition": view, "ImageLaterality": "R" if right else "L"}
    source = Source("phantom", digest=f"simulated MG {seed} {ni} {nj}")
    scan = Scan(from_slices(np.ascontiguousarray(block)), geometry, "MG", inverted=inverted, facts=facts, source=source)
    return scan, np.ascontiguousarray(truth)


SIMULATED: Mapping[str, Simulation] = MappingProxyType({"NM": Simulation(2, _nuclear), "MG": Simulation(1, _mammogram)})
"""Families that can be simulated."""
