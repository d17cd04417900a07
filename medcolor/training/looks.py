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
from medcolor.training.drawn_scans import hand, limb, sonogram
from medcolor.training.packs import packs_folder
from medcolor.training.pictures import DRAWN, TRAIN_PHOTOS, crops, drawn, photo
from medcolor.training.simulate import SIMULATED
from medcolor.training.sources import find_cases, simulated_cases

STORED = 128
_DRAWN_SCANS = 300
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
    looks += _old_picture_of_a_head(packs_folder(data))
    for n in range(_DRAWN_SCANS):
        looks.append(_stored(CLASSES.index("XR"), "limbs, drawn", limb(n) if n % 2 else hand(n)))
        looks.append(_stored(CLASSES.index("US"), "drawn", sonogram(n)))
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


def _old_picture_of_a_head(packs: Path) -> Iterator[Look]:
    """NLM's Visible Human: the one CT of a head; 8-bit, near 10 HU for each step, which is enough for its look."""
    path = packs / "ct_visible_human_head.npz"
    if path.is_file():
        with np.load(path, allow_pickle=False) as file:
            block = file["images"].astype(np.float32) * 10.4 - 1024
        for plane in block[::2]:
            yield _stored(CLASSES.index("CT"), "ct_visible_human_head", plane, hounsfield=True)
        for axis in (1, 2):
            for place in np.linspace(180, 330, 10).astype(int):
                across = np.flip(block.take(place, axis), 0)
                yield _stored(CLASSES.index("CT"), "ct_visible_human_head, cut across", across, hounsfield=True)


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
