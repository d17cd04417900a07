"""Tasks made of phantoms: patients whose truth is known, and of whom nobody is shown.

The demonstration and the tests run on them. What colour does here says nothing of patients.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from medcolor.comparison.tasks import Masks, Subject, Task
from medcolor.errors import SettingError
from medcolor.geometry import Geometry
from medcolor.phantom import labels, scan
from medcolor.scan import Scan, from_slices, to_slices

PREFIX = "phantom:"
_WANTED = {
    "CT": ("fluid", "spongy_bone"),
    "MR": ("bright",),
    "US": ("anechoic",),
}
_SIDES = {"train": 8, "test": 10}
_SIDE, _SLICES = 64, 2
_VERSION = "1"


def phantom_task(name: str) -> Task:
    """Return a task of simulated patients.

    Parameters
    ----------
    name : str
        "phantom:CT", "phantom:MR" or "phantom:US".

    Raises
    ------
    SettingError
        There is no such task.
    """
    family = name.removeprefix(PREFIX)
    if not name.startswith(PREFIX) or family not in _WANTED:
        raise SettingError(f'"{name}" is no task of phantoms. There are: {", ".join(PREFIX + f for f in _WANTED)}.')
    return Task(
        name=name,
        family=family,
        labels=dict(enumerate(_WANTED[family], start=1)),
        spacing_known=True,
        licence="simulated",
        identity=hashlib.sha256(f"{name} {_VERSION} {_SIDES} {_SIDE} {_SLICES}".encode()).hexdigest(),
        source=f"simulated {family}",
        volume=True,
        _subjects=partial(_subjects, family),
    )


def _subjects(family: str) -> list[Subject]:
    return [
        Subject(f"{family} {split} {n}", split, partial(_patient, family, split, n))
        for split, count in _SIDES.items()
        for n in range(count)
    ]


def _patient(family: str, split: str, number: int) -> tuple[Scan, Masks]:
    """Return one phantom: its own field of view, place and contrast, so that no two are alike."""
    chance = np.random.default_rng([*family.encode(), len(split), number])
    side = int(chance.integers(_SIDE, _SIDE + 24))
    shape = (side, side, _SLICES)
    whole, drawn = scan(family, seed=int(chance.integers(1 << 30)), shape=shape), labels(family, shape=shape)
    left, top = (int(chance.integers(side - _SIDE + 1)) for _ in range(2))
    box = (slice(None), slice(top, top + _SIDE), slice(left, left + _SIDE))
    values = to_slices(whole.voxels)[box]
    bias = _field(chance) * float(np.ptp(values)) * 0.03
    moved = np.clip(values + bias, values.min(), values.max()).astype(values.dtype)
    numbers = {label: place for place, name in enumerate(_WANTED[family], start=1) for label in _of(drawn.names, name)}
    masks = np.zeros(moved.shape, np.uint8)
    for label, place in numbers.items():
        masks[to_slices(drawn.labels)[box] == label] = place
    geometry = Geometry.from_spacing((_SIDE, _SIDE, _SLICES), whole.geometry.spacing, whole.geometry.space)
    return replace(whole, voxels=from_slices(np.ascontiguousarray(moved)), geometry=geometry), masks


def _field(chance: np.random.Generator) -> NDArray[np.float64]:
    """Return a smooth field of about unit size, (1, side, side)."""
    from scipy import ndimage

    nodes = chance.normal(0, 1, (4, 4))
    return np.asarray(ndimage.zoom(nodes, _SIDE / 4, order=1))[None]


def _of(names: Mapping[int, str], wanted: str) -> list[int]:
    return [label for label, name in names.items() if name == wanted]


__all__ = ["PREFIX", "phantom_task"]
