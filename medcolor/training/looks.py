"""What the recognizer is shown in training: small slices of every kind, each squeezed to 128 x 128."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from medcolor import phantom
from medcolor.errors import MedcolorWarning
from medcolor.networks.recognizer import CLASSES
from medcolor.phantom.scans import RECIPES
from medcolor.scan import MODALITIES, Scan, to_slices
from medcolor.training.datasets import Case
from medcolor.training.pictures import DRAWN, TRAIN_PHOTOS, crops, drawn, photo
from medcolor.training.simulate import SIMULATED
from medcolor.training.sources import find_cases, simulated_cases

STORED = 128
OTHER = CLASSES.index("other")
HU_RANGE = (-1024.0, 3071.0)
_SMALL = {"NM": (96, 280), "MG": (144, 192)}


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """One slice to train on.

    Parameters
    ----------
    kind : int
        Place in :data:`~medcolor.networks.recognizer.CLASSES`.
    source : str
        Pack, "simulated", "phantom", "photographs", "drawn" ...
    gray : Tensor of float16, (128, 128)
        0..1. HU: -1024 to 3071 become 0 and 1.
    hounsfield : bool
    """

    kind: int
    source: str
    gray: Tensor
    hounsfield: bool = False


def cases_of(data: Path | str | None, family: str, *, simulated: int = 600) -> list[Case]:
    """Return the cases of a family whose licence lets weights be shipped; simulated small for NM and MG."""
    if family in SIMULATED:
        return simulated_cases(family, count=simulated, shape=_SMALL[family])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MedcolorWarning)
        return find_cases(data, family=family)


def gather(data: Path | str | None, *, seed: int = 0, simulated: int = 600) -> list[Look]:
    """Return everything to train on: train patients of the packs, simulated scans, phantoms, and pictures."""
    looks: list[Look] = []
    for family in MODALITIES:
        for case in cases_of(data, family, simulated=simulated):
            if case.split == "train":
                looks += _of_case(case)
        looks += _phantoms(family)
    looks += _radiographs([case for case in cases_of(data, "CT") if case.split == "train" and case.contiguous], seed)
    looks += _limbs(seed, 240)
    rng = np.random.default_rng([seed, 1])
    looks += [_stored(OTHER, "photographs", part) for name in TRAIN_PHOTOS for part in crops(photo(name), rng, 60)]
    looks += [_stored(OTHER, "drawn", drawn(kind, n)) for kind in DRAWN for n in range(150)]
    return looks


def _stored(kind: int, source: str, values: NDArray[Any], *, hounsfield: bool = False) -> Look:
    x = np.asarray(values, np.float32)
    if hounsfield:
        x = np.clip((x - HU_RANGE[0]) / (HU_RANGE[1] - HU_RANGE[0]), 0, 1)
    else:
        low, high = np.percentile(x, (0.02, 99.98))
        x = np.clip((x - low) / max(float(high - low), 1e-12), 0, 1)
    tensor = torch.from_numpy(np.ascontiguousarray(x))[None, None]
    size = tuple(min(STORED, n) for n in tensor.shape[-2:])
    small = functional.interpolate(
        functional.adaptive_avg_pool2d(tensor, size), (STORED, STORED), mode="bilinear", align_corners=False
    )
    return Look(kind, source, small[0, 0].half(), hounsfield)


def _of_case(case: Case) -> Iterator[Look]:
    scan = case.load().scan
    block, kind, hu = to_slices(scan.voxels), CLASSES.index(case.family), scan.units == "HU"
    source = case.source if case.family not in SIMULATED else "simulated"
    block = -block.astype(np.float32) if scan.inverted else block
    for plane in block:
        if np.ptp(plane):
            yield _stored(kind, source, plane, hounsfield=hu)
    if case.contiguous and len(block) >= 24:  # the same volume cut the other ways
        for axis in (1, 2):
            n = block.shape[axis]
            for place in np.linspace(0.2 * n, 0.8 * n, 12).astype(int):
                yield _stored(kind, f"{source}, cut across", np.flip(block.take(place, axis), 0), hounsfield=hu)


def _phantoms(family: str) -> Iterator[Look]:
    kind = CLASSES.index(family)
    ni, nj, nk = RECIPES[family].shape
    for seed, shape in enumerate([(ni, nj, nk), (ni // 2, nj // 2, min(nk, 6)), (64, 48, min(nk, 6)), (24, 20, 2)]):
        scan: Scan = phantom.scan(family, seed=seed, shape=shape)
        for plane in to_slices(scan.voxels):
            if np.ptp(plane):
                yield _stored(kind, "phantom", plane, hounsfield=family == "CT")


def _radiographs(cases: Sequence[Case], seed: int) -> Iterator[Look]:
    """CT volumes of training patients seen through: the trunk from in front and from the side."""
    from scipy.ndimage import rotate

    rng = np.random.default_rng([seed, 2])
    for case in cases:
        block = np.clip((to_slices(case.load().scan.voxels).astype(np.float32) + 1000) / 1000, 0, 3)
        for _ in range(24):
            turned = rotate(block, rng.choice([0, 90]) + rng.uniform(-12, 12), axes=(1, 2), reshape=False, order=1)
            n = len(turned)
            a, b = sorted(rng.choice(n, 2, replace=False))
            part = turned[a : b + 1] if b - a > 15 else turned
            through = np.flip(part, 0).sum(axis=1) * rng.uniform(0.1, 0.3) / 10
            film = through if rng.random() < 0.5 else 1 - np.exp(-through)
            yield _stored(CLASSES.index("XR"), "seen through CT", film)


def _limbs(seed: int, count: int) -> Iterator[Look]:
    """Arms, legs, hands and feet, drawn: rods of bone with a dense rim in rods of flesh."""
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng([seed, 3])
    for _ in range(count):
        flesh, bone = np.zeros((STORED, STORED)), np.zeros((STORED, STORED))
        rods = int(rng.choice([1, 2, 3, 5]))
        wide = rng.uniform(0.35, 0.5) / rods
        for n in range(rods):
            middle = (n + 0.5) / rods - 0.5 + rng.uniform(-0.03, 0.03)
            fan, top = rng.uniform(-0.3, 0.3) if rods < 4 else 1.2 * middle, rng.uniform(-0.6, -0.2)
            flesh = np.hypot(flesh, _rod(middle, fan, top - 0.1, 0.7, wide))
            start = top
            for _ in range(rng.integers(1, 5)):  # bones of a ray, with joints between
                end = start + rng.uniform(0.2, 0.7)
                thick = wide * rng.uniform(0.3, 0.6)
                outer, inner = (_rod(middle, fan, start + 0.01, end - 0.01, r * thick) for r in (1.0, 0.65))
                bone += outer - rng.uniform(0.5, 0.85) * inner
                start = end
        if rods > 2:  # a palm
            flesh = np.hypot(flesh, _rod(0.0, 0.0, 0.1, 0.9, 0.45))
        texture = 1 + 0.1 * gaussian_filter(rng.standard_normal(bone.shape), rng.uniform(1, 4)) * 6
        film = gaussian_filter(flesh * rng.uniform(0.6, 1.6) + np.maximum(bone, 0) * rng.uniform(4, 9) * texture, 0.8)
        yield _stored(CLASSES.index("XR"), "limbs, drawn", 1 - np.exp(-film * rng.uniform(0.5, 2.5)))


def _rod(middle: float, fan: float, top: float, bottom: float, radius: float) -> NDArray[np.float64]:
    """Path length through a round rod that widens a little at its ends."""
    j, i = np.mgrid[:STORED, :STORED] / STORED - 0.5
    along = np.clip((j - top) / max(bottom - top, 1e-6), 0, 1)
    r = radius * (1 + 0.35 * (2 * along - 1) ** 4)
    beyond = 4 * np.abs(j - np.clip(j, top, bottom))
    away = np.hypot(i - middle + fan * (0.5 - j), beyond)
    return np.sqrt(np.clip(r**2 - away**2, 0, None))
