"""What is measured: anything that colours slices of a scan. One small class for each kind, one interface for all."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from medcolor.benchmarking.colorizers.views import STYLE
from medcolor.color_scan import Law
from medcolor.luts import load_lut
from medcolor.palettes import Palette, load_palette, with_cvd
from medcolor.scan import Scan
from medcolor.training.arms import physics_code
from medcolor.training.metrics import expected_ab
from medcolor.windowing import default_display, grayscale

if TYPE_CHECKING:
    from medcolor.colorizers import Colorizer

Floats = NDArray[np.floating]
Recolored = Callable[[str], Floats]


class Colors(NamedTuple):
    """What an arm says of a range of slices.

    Attributes
    ----------
    block : slice
    ab : ndarray of float32, (n, nj, ni, 2), or None
        Colours to be put under the law; None of a table, whose ``rgb`` is what is shown.
    doubt : ndarray of float, (n, nj, ni), or None
        Higher where it is less sure, in any unit.
    lightness : ndarray of float, (n, nj, ni), or None
        L* of methods that predict it too; only its drift is measured.
    rgb : ndarray of uint8, (n, nj, ni, 3), or None
    recolored : callable, or None
        The same colours recoloured for a deficiency ("deutan", ...).
    """

    block: slice
    ab: Floats | None
    doubt: Floats | None = None
    lightness: Floats | None = None
    rgb: NDArray[np.uint8] | None = None
    recolored: Recolored | None = None


class Arm(Protocol):
    """A method for one modality.

    Attributes
    ----------
    method : str
        Its name in the table.
    title : str
        What exactly it is here: the table's name, the bundle's name.
    identity : str
        Changes when its colours may: a hash of weights and code.
    law : Law
    """

    @property
    def method(self) -> str: ...  # noqa: D102
    @property
    def title(self) -> str: ...  # noqa: D102
    @property
    def identity(self) -> str: ...  # noqa: D102
    @property
    def law(self) -> Law: ...  # noqa: D102

    def __call__(self, scan: Scan, slices: Sequence[int]) -> Iterator[Colors]:
        """Yield colours of the slices asked for, in order."""
        ...

    def colorizer(self) -> Colorizer:
        """Return what somebody would use, for its costs."""
        ...


def code_hash(*things: object) -> str:
    """Return a hash of the source files that modules, classes, functions or paths are written in."""
    files = {Path(str(t)) if isinstance(t, Path | str) else Path(str(inspect.getsourcefile(t))) for t in things}  # type: ignore[arg-type]
    return hashlib.sha256(b"".join(file.read_bytes() for file in sorted(files))).hexdigest()


@dataclass(frozen=True)
class GrayArm:
    """No colour at all."""

    method: str = field(default="gray", init=False)
    title: str = field(default="no colour", init=False)
    identity: str = field(default="gray", init=False)
    law: Law = field(default=Law.LIGHTNESS, init=False)

    def __call__(self, scan: Scan, slices: Sequence[int]) -> Iterator[Colors]:  # noqa: D102
        ni, nj, _ = scan.shape
        for k in slices:
            yield Colors(slice(k, k + 1), np.zeros((1, nj, ni, 2), np.float32))

    def colorizer(self) -> Colorizer:  # noqa: D102
        from medcolor.colorizers.lut import LutColorizer

        return LutColorizer("gray")


@dataclass(frozen=True)
class LutArm:
    """A colour table; what is shown is its own lightness too, so nothing is put under the law."""

    table: str
    method: str = field(default="lut", init=False)
    law: Law = field(default=Law.LUT, init=False)

    @property
    def title(self) -> str:  # noqa: D102
        return f"lut:{self.table}"

    @property
    def identity(self) -> str:  # noqa: D102
        return self.table + hashlib.sha256(load_lut(self.table).tobytes()).hexdigest()

    def __call__(self, scan: Scan, slices: Sequence[int]) -> Iterator[Colors]:  # noqa: D102
        gray_of, table = grayscale(scan, default_display(scan)), load_lut(self.table)
        for k in slices:
            yield Colors(slice(k, k + 1), None, rgb=table[gray_of(slice(k, k + 1))])

    def colorizer(self) -> Colorizer:  # noqa: D102
        from medcolor.colorizers.lut import LutColorizer

        return LutColorizer(self.table)


@lru_cache(maxsize=64)
def _moved_ab(family: str, kind: str) -> NDArray[np.float32]:
    return with_cvd(load_palette(family, STYLE), kind).ab


def of_posteriors(block: slice, posteriors: Floats, doubt: Floats, palette: Palette) -> Colors:
    """Return a palette's colours of posteriors (K, n, nj, ni)."""

    def recolored(kind: str) -> Floats:
        return expected_ab(posteriors, _moved_ab(palette.modality, kind))

    return Colors(block, expected_ab(posteriors, palette.ab), doubt, recolored=recolored)


@dataclass(frozen=True)
class PhysicsArm:
    """Tissue models without training; doubt is one minus the largest posterior."""

    family: str
    method: str = field(default="physics", init=False)
    title: str = field(default="physics", init=False)
    law: Law = field(default=Law.LIGHTNESS, init=False)

    @property
    def identity(self) -> str:  # noqa: D102
        return load_palette(self.family, STYLE).sha256 + physics_code()

    def __call__(self, scan: Scan, slices: Sequence[int]) -> Iterator[Colors]:  # noqa: D102
        from medcolor import tissue

        model, palette = tissue.fit(scan), load_palette(self.family, STYLE)
        for k in slices:
            posteriors = model.posteriors(slice(k, k + 1))
            yield of_posteriors(slice(k, k + 1), posteriors, 1 - posteriors.max(axis=0), palette)

    def colorizer(self) -> Colorizer:  # noqa: D102
        from medcolor.colorizers.tissue import TissueColorizer

        return TissueColorizer(STYLE)


__all__ = ["Arm", "Colors", "GrayArm", "LutArm", "PhysicsArm", "Recolored", "code_hash", "of_posteriors"]
