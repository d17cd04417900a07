"""Two colourings of one scan against each other, and how sure a colorizer is, measured on the slices shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medcolor.cielab import delta_e_2000, rgb_to_lab
from medcolor.color_scan import ColorScan
from medcolor.scan import Scan, to_slices
from medcolor.voi import Display
from medcolor.windowing import grayscale

PLAIN = 5.0
"""CIEDE2000 above which two colours are plainly two."""


@dataclass(frozen=True, slots=True)
class Confidence:
    """How sure a colorizer is.

    Parameters
    ----------
    at : callable
        Range of slices -> float32 (n, nj, ni) in 0..1.
    meaning : str
        What the number says; shown with its scale.
    """

    at: Callable[[slice], NDArray[np.float32]]
    meaning: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """What another colorizer makes of the same scan, or why it refuses.

    Parameters
    ----------
    name : str
    colored : ColorScan or None
    refusal : str
        Where ``colored`` is None.
    """

    name: str
    colored: ColorScan | None
    refusal: str = ""


@dataclass(frozen=True)
class Difference:
    """Where two colourings differ.

    Attributes
    ----------
    delta : ndarray of float32, (n, nj, ni)
        CIEDE2000 of each pixel of the slices shown.
    mean, high, share : float
        Mean, 95th percentile, and share of pixels above :data:`PLAIN`, over pixels that the display does not show
        black (where all colours are alike) and that were not colour already; 0 without any.
    """

    delta: NDArray[np.float32]
    mean: float
    high: float
    share: float

    def __str__(self) -> str:
        return (
            f"mean CIEDE2000 {self.mean:.2f}, 95th percentile {self.high:.1f}, "
            f"{100 * self.share:.1f} % of pixels above {PLAIN:g}"
        )


def measure_difference(
    scan: Scan, first: ColorScan, second: ColorScan, display: Display, shown: Sequence[int]
) -> Difference:
    """Compare two colourings on the slices shown."""
    delta = np.empty((len(shown), scan.shape[1], scan.shape[0]), np.float32)
    a, b = to_slices(first.rgb), to_slices(second.rgb)
    for row, k in enumerate(shown):
        delta[row] = delta_e_2000(rgb_to_lab(a[k]), rgb_to_lab(b[k]))
    counted = delta[lit_pixels(scan, display, shown)]
    if not counted.size:
        return Difference(delta, 0.0, 0.0, 0.0)
    high = float(np.percentile(counted, 95))
    return Difference(delta, float(counted.mean()), high, float(np.mean(counted > PLAIN)))


def lit_pixels(scan: Scan, display: Display, shown: Sequence[int]) -> NDArray[np.bool_]:
    """Tell which pixels of the slices shown can have a colour of ours: not black, not colour already; (n, nj, ni)."""
    gray_of = grayscale(scan, display)
    lit = np.stack([gray_of(slice(k, k + 1))[0] > 0 for k in shown])
    return lit if scan.colored is None else lit & ~to_slices(scan.colored)[list(shown)]


@dataclass(frozen=True)
class Sureness:
    """A confidence on the slices shown.

    Attributes
    ----------
    values : ndarray of float32, (n, nj, ni)
    mean, unsure : float
        Mean, and share below 0.5, over pixels as in :class:`Difference`.
    """

    values: NDArray[np.float32]
    mean: float
    unsure: float

    def __str__(self) -> str:
        return f"mean {self.mean:.2f}, below 0.5 in {100 * self.unsure:.1f} % of pixels"


def measure_confidence(scan: Scan, confidence: Confidence, display: Display, shown: Sequence[int]) -> Sureness:
    """Ask for the confidence of the slices shown."""
    values = np.stack([confidence.at(slice(k, k + 1))[0] for k in shown])
    counted = values[lit_pixels(scan, display, shown)]
    if not counted.size:
        return Sureness(values, 0.0, 0.0)
    return Sureness(values, float(counted.mean()), float(np.mean(counted < 0.5)))
