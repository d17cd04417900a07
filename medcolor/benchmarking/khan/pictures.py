"""SSIM and PSNR, patient by patient, at the size the scans have."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from medcolor.benchmarking.colorizers import figures
from medcolor.benchmarking.colorizers.arms import Colors, GrayArm, LutArm, PhysicsArm, code_hash
from medcolor.benchmarking.colorizers.bundle_arms import bundle_arm
from medcolor.benchmarking.colorizers.cells import Cells
from medcolor.benchmarking.colorizers.views import chosen_cases, spread
from medcolor.benchmarking.khan import likeness as likeness_module
from medcolor.benchmarking.khan.likeness import READINGS, Likeness, likeness
from medcolor.color import apply_color
from medcolor.comparison import controls
from medcolor.scan import Scan, to_slices
from medcolor.windowing import default_display, grayscale

Progress = Callable[[], None]


@dataclass(frozen=True, eq=False)
class Look:
    """Some slices of one scan of a patient, and the gray they are displayed in, (n, nj, ni)."""

    patient: str
    source: str
    scan: Scan
    slices: tuple[int, ...]
    gray: NDArray[np.uint8]

    def sha256(self) -> str:
        """Return a hash of everything figures depend on but the arm."""
        scan = self.scan
        facts = (self.patient, self.slices, scan.modality, scan.units, scan.inverted, scan.geometry.spacing)
        digest = hashlib.sha256(repr(facts).encode())
        for array in (self.gray, *to_slices(scan.voxels)):
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()


class Painter(Protocol):
    """What an arm of the table of all systems must have to be looked at here."""

    @property
    def method(self) -> str: ...  # noqa: D102
    @property
    def title(self) -> str: ...  # noqa: D102
    @property
    def identity(self) -> str: ...  # noqa: D102
    def __call__(self, scan: Scan, slices: Sequence[int]) -> Iterator[Colors]: ...  # noqa: D102


@dataclass(frozen=True, eq=False)
class ShuffledArm:
    """An arm's colours, each slice's exchanged among its pixels: under the law, and about nothing."""

    inner: Painter
    method: str = field(default="shuffled", init=False)

    @property
    def title(self) -> str:
        """What is shuffled."""
        return f"{self.inner.title}, chroma shuffled"

    @property
    def identity(self) -> str:
        """Changes when its colours may."""
        return self.inner.identity + code_hash(controls, __file__)

    def __call__(self, scan: Scan, slices: Sequence[int]) -> Iterator[Colors]:
        """Yield shuffled colours of the slices asked for."""
        for colors in self.inner(scan, slices):
            if colors.ab is None:
                raise TypeError("Only colours under the law are shuffled.")
            flat = np.zeros((*colors.ab.shape[:3], 3), np.float32)
            flat[..., 1:] = colors.ab
            chance = np.random.default_rng(colors.block.start)
            moved = controls.shuffled(np.moveaxis(flat, -1, 1), ~scan.padded(colors.block), chance)
            yield Colors(colors.block, np.moveaxis(moved[:, 1:], 1, -1))


def arms_of(family: str, table: str) -> dict[str, Painter]:
    """Return what is measured of a modality, gray first; ``table`` is its colour table.

    Raises
    ------
    BundleError
        The modality's tissue bundle is missing or damaged.
    """
    from medcolor.bundles import find_bundle

    tissue = bundle_arm(find_bundle(f"{family.lower()}_tissue"))
    found: list[Painter] = [GrayArm(), LutArm(table), PhysicsArm(family), tissue, ShuffledArm(tissue)]
    return {arm.method: arm for arm in found}


def looks_of(data: Path | None, family: str, split: str, patients: int, slices: int) -> list[Look]:
    """Return at most so many slices of at most so many patients, spread evenly.

    Raises
    ------
    TrainingError
        Nobody of this modality and side.
    """
    found = []
    for case, share in chosen_cases(data, family, split, patients, slices):
        scan = case.load().scan
        gray_of = grayscale(scan, default_display(scan))
        chosen = tuple(spread(scan.shape[2], share))
        gray = np.concatenate([gray_of(slice(k, k + 1)) for k in chosen])
        found.append(Look(case.patient, case.source, scan, chosen, gray))
    return found


def painted(arm: Painter, look: Look) -> NDArray[np.uint8]:
    """Return what an arm shows of a look, (n, nj, ni, 3)."""
    shown = []
    for place, colors in enumerate(arm(look.scan, look.slices)):
        under = look.gray[place : place + 1]
        shown.append(apply_color(under, np.asarray(colors.ab)) if colors.rgb is None else colors.rgb)
    return np.concatenate(shown)


def measure(arm: Painter, looks: Sequence[Look]) -> dict[str, Likeness]:
    """Return the likeness of each patient's slices to their gray."""
    return {
        patient: likeness([(painted(arm, look), look.gray) for look in looks if look.patient == patient])
        for patient in dict.fromkeys(look.patient for look in looks)
    }


def measured(
    arms: Mapping[str, Painter], looks: Sequence[Look], family: str, cells: Cells, progress: Progress
) -> dict[str, dict[str, Likeness]]:
    """Return each arm's figures by patient; what was measured before is not measured again."""
    every = {}
    data = hashlib.sha256("".join(look.sha256() for look in looks).encode()).hexdigest()
    for name, arm in arms.items():
        depends = (arm.identity, data, _code())
        record = cells.find(f"{family}-{name}", *depends)
        if record is None:
            found = measure(arm, looks)
            cells.keep(f"{family}-{name}", {patient: _plain(one) for patient, one in found.items()}, *depends)
        else:
            found = {patient: _likeness(one) for patient, one in record.items()}
        every[name] = found
        progress()
    return every


def _plain(one: Likeness) -> dict[str, object]:
    alike = {name: None if math.isnan(value) else value for name, value in one.ssim.items()}
    return {"mse": dict(one.mse), "ssim": alike, "slices": one.slices}


def _likeness(record: Mapping[str, Any]) -> Likeness:
    mse = {name: float(record["mse"][name]) for name in READINGS}
    alike = {name: math.nan if (value := record["ssim"][name]) is None else float(value) for name in READINGS}
    return Likeness(mse, alike, int(record["slices"]))


@cache
def _code() -> str:
    """Return a hash of everything that makes a figure."""
    from medcolor import color_gather, color_law, color_table

    return code_hash(likeness_module, figures, color_gather, color_law, color_table, __file__)


__all__ = ["Look", "Painter", "ShuffledArm", "arms_of", "looks_of", "measure", "measured", "painted"]
