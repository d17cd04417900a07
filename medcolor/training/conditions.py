"""Which degradations are used: at random in training, at fixed levels in the one table that decides.

The table is the same for everybody: noise of 2, 5 and 10 % of the window (of the modality's kind; 10, 25 and 50 %
multiplicative in ultrasound), gamma 0.8, 0.6 and 0.5 and its inverse, blur of 0.7, 1.5 and 2.5 pixels, for MR and
ultrasound shading of 10, 25 and 50 %, and for CT the loss of units. Changing it makes old figures incomparable.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from monai.transforms import Compose, OneOf
from numpy.typing import NDArray
from torch import Tensor

from medcolor.scan import GRAY_LEVEL, Scan, from_slices
from medcolor.tissue.model import CLASSES, valid, values_of
from medcolor.training.degradations import (
    NOISE,
    BiasField,
    Blur,
    Bounds,
    Chance,
    Degradation,
    Gamma,
    LostUnits,
    MetalStreaks,
    Motion,
    Resolution,
    ToneCurve,
)
from medcolor.training.views import FieldOfView, Rotation
from medcolor.voi import Window
from medcolor.windowing import display_bounds

SEVERITIES = ("low", "middle", "high")
_NOISE = (0.02, 0.05, 0.10)
_SPECKLE = (0.10, 0.25, 0.50)
_GAMMA = (0.8, 0.6, 0.5)
_BLUR = (0.7, 1.5, 2.5)
_SHADING = (0.10, 0.25, 0.50)


_CURVES = {"US": 0.4, "NM": 0.3, "MG": 0.3}
"""Chance of another tone curve. Not for MR: its levels come from the histogram, and a bent one has other levels."""


@dataclass(frozen=True, eq=False)
class Condition:
    """One line of the evaluation table.

    Parameters
    ----------
    name : str
        "noise", "gamma", "inverse_gamma", "blur", "shading" or "lost_units".
    severity : str
        "low", "middle" or "high"; lost units have only "high".
    degradation : Degradation
    level : float
    """

    name: str
    severity: str
    degradation: Degradation
    level: float

    def chance(self, key: str) -> Chance:
        """Return the chance that belongs to this line and to one image, whatever else was evaluated before."""
        seed = hashlib.sha256(f"{self.name}/{self.severity}/{key}".encode()).digest()
        return Chance(int.from_bytes(seed[:4], "big"))

    def on_image(self, image: Tensor, *, window: Bounds, key: str) -> Tensor:
        """Degrade (C, H, W) float32, the slices of one scan."""
        return self.degradation.apply(image, self.level, window=window, chance=self.chance(key))

    def on_sample(self, sample: Mapping[str, Any]) -> dict[str, Any]:
        """Degrade a sample; its "key" decides the chance."""
        return self.degradation.on_sample(sample, self.level, self.chance(str(sample["key"])))

    def on_scan(self, scan: Scan, *, key: str) -> Scan:
        """Degrade a whole scan, so that physics and network are given the same: voxels become float32.

        Lost units give an 8-bit scan of gray levels.
        """
        values = torch.from_numpy(values_of(scan, slice(None)))
        done = self.on_image(values, window=display_bounds(scan), key=key).numpy()
        return _with_values(scan, done, lost_units=isinstance(self.degradation, LostUnits))


def _with_values(scan: Scan, values: NDArray[np.float32], *, lost_units: bool) -> Scan:
    good = valid(scan, slice(None))
    if good is not None:  # what was no image is none afterwards, and the dark end where numbers cannot say so
        values[~good] = np.nan if not lost_units else 255 if scan.inverted else 0
    if lost_units:
        eight = from_slices(values.astype(np.uint8))
        return replace(scan, voxels=eight, units=GRAY_LEVEL, windows=(Window(127.5, 255, name="as stored"),))
    return replace(scan, voxels=from_slices(values), windows=scan.windows or (_fixed(scan),))


def _fixed(scan: Scan) -> Window:
    """Return the window of the clean scan, so that noise does not change what everything is measured in."""
    low, high = display_bounds(scan)
    return Window((low + high) / 2, high - low, name="clean")


def evaluation_table(family: str) -> tuple[Condition, ...]:
    """Return the lines of the table for a modality family, every severity of each degradation."""
    noise = NOISE[family]()
    lines: list[tuple[str, Degradation, tuple[float, ...]]] = [
        ("noise", noise, _SPECKLE if family == "US" else _NOISE),
        ("gamma", Gamma(), tuple(math.log(g) for g in _GAMMA)),
        ("inverse_gamma", Gamma(), tuple(-math.log(g) for g in _GAMMA)),
        ("blur", Blur(), _BLUR),
    ]
    if family in {"MR", "US"}:
        lines.append(("shading", BiasField(), _SHADING))
    table = [
        Condition(name, severity, degradation, level)
        for name, degradation, levels in lines
        for severity, level in zip(SEVERITIES, levels, strict=True)
    ]
    if family == "CT":
        table.append(Condition("lost_units", "high", LostUnits(0.0), 0.0))
    return tuple(table)


def training_degradations(
    family: str, *, strength: float = 1.0, clean: float = 0.3, gamma: float | None = None
) -> Compose:
    """Return what a training sample of a modality family goes through, in the order an image does.

    Position first, then what the scanner does, then what the export does. Set its chance with ``set_random_state``.

    Parameters
    ----------
    family : str
    strength : float
        Factor on every chance to happen; 0 leaves images clean.
    clean : float
        Share of samples that nothing happens to: with so many degradations hardly one would be left, and a network
        that never sees a clean image is not sure of one.
    gamma : float, optional
        The largest logarithm of gamma, either way, where what is beyond is undone before the network looks.

    Raises
    ------
    ValueError
        No such family, or a number out of 0..1.
    """
    if family not in CLASSES:
        raise ValueError(f'"{family}" is no modality family; there are {", ".join(CLASSES)}.')
    require_shares(strength, clean)
    left = {} if gamma is None else {Gamma: (-gamma, gamma)}
    some = Compose([kind(left.get(kind, levels), prob=strength * share) for kind, share, levels in _steps(family)])
    return Compose([OneOf([some, Compose([])], weights=[1 - clean, clean])])


def require_shares(strength: float, clean: float) -> None:
    """Raise ``ValueError`` unless both lie in 0..1."""
    if not 0 <= strength <= 1 or not 0 <= clean <= 1:
        raise ValueError(f"strength and clean must lie in 0..1, got {strength} and {clean}.")


def randomly_degraded(
    scan: Scan, chance: Chance, *, strength: float = 1.0, clean: float = 0.3, log_gamma: float | None = None
) -> Scan:
    """Degrade a whole scan at random, all slices alike, as :func:`training_degradations` does a sample.

    Nothing is moved: a target of the clean scan stays one of the degraded.

    Parameters
    ----------
    scan : Scan
    chance : Chance
    strength, clean : float
        As there.
    log_gamma : float, optional
        Given to the scan for certain, in the place of chance's; it then has no other curve, and keeps its units.
    """
    untouched = chance.uniform() < clean
    if untouched and not log_gamma:
        return scan
    window, lost_units = display_bounds(scan), False
    values = torch.from_numpy(values_of(scan, slice(None)))
    for kind, share, _ in _steps(str(scan.family)):
        given = log_gamma if kind is Gamma else None
        other_tone = log_gamma is not None and issubclass(kind, ToneCurve | LostUnits)
        if issubclass(kind, Rotation | FieldOfView) or other_tone:
            continue
        if given is None and (untouched or chance.uniform() >= strength * share):
            continue
        step, own = kind(), Chance(chance.randint(0, 2**31))
        level = float(own.uniform(*step.levels)) if given is None else given
        values = step.apply(values, level, window=window, chance=own)
        lost_units = issubclass(kind, LostUnits)
    return _with_values(scan, values.numpy(), lost_units=lost_units)


def _steps(family: str) -> list[tuple[type[Degradation], float, Bounds | None]]:
    """Return what may happen to an image of a family in training, in its order: its kind, its chance, its levels."""
    tilt = 8.0 if family in {"XR", "MG", "NM"} else 15.0
    steps: list[tuple[type[Degradation], float, Bounds | None]] = [
        (Rotation, 0.3, (-tilt, tilt)),
        (FieldOfView, 0.4, None),
        (Resolution, 0.2, None),
        (Blur, 0.3, None),
    ]
    if family == "CT":
        steps.append((MetalStreaks, 0.1, None))
    if family == "MR":
        steps.append((Motion, 0.15, None))
    if family in {"MR", "US"}:
        steps.append((BiasField, 0.5, None))
    if family in _CURVES:
        steps.append((ToneCurve, _CURVES[family], None))
    steps += [(NOISE[family], 0.6, None), (Gamma, 0.4, None), (LostUnits, 0.35 if family == "CT" else 0.2, None)]
    return steps
