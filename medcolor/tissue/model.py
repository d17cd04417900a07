"""The one shape all tissue models have: a region code and a value bin per voxel, and one table of probabilities.

Physics and statistics end up in a small table; what is left per voxel is one gather per class, fast enough to do
while somebody scrolls.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from medcolor.scan import Scan, to_slices

CLASSES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "CT": (
            "outside", "gas", "lung", "fat", "fluid", "soft_tissue", "enhanced",
            "spongy_bone", "cortical_bone", "metal",
        ),
        "MR": ("outside", "dark", "low", "intermediate", "high", "bright"),
        "PT": ("outside", "background", "low", "moderate", "high", "intense"),
        "NM": ("outside", "background", "low", "moderate", "high", "intense"),
        "US": ("outside", "anechoic", "hypoechoic", "isoechoic", "hyperechoic", "bright"),
        "XR": ("outside", "air", "soft_tissue", "dense", "bone", "metal"),
        "MG": ("air", "skin", "fat", "fibroglandular", "pectoral", "calcification"),
    }
)  # fmt: skip
OUTSIDE = 0  # region code whose voxels are class 0 for certain: outside the patient, padding, not a number

Posteriors = NDArray[np.float32]
Bins = Callable[[slice], NDArray[np.uint16]]


class TissueModel(Protocol):
    """Soft tissue posteriors of one scan."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in palette order."""
        ...

    def posteriors(self, block: slice) -> Posteriors:
        """Return the probabilities of a range of slices, (K, n, nj, ni) float32, summing to 1 over K."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class TableModel:
    """Posteriors as a table over (region, value bin).

    Parameters
    ----------
    classes : tuple of str
    tables : ndarray of float32, (K, n_regions, n_bins)
        Sums to 1 over K.
    regions : callable
        Range of slices -> region codes, (n, nj, ni) uint8; code 0 is outside.
    bins : callable
        Range of slices -> value bins, (n, nj, ni) uint16, below n_bins.
    """

    classes: tuple[str, ...]
    tables: NDArray[np.float32]
    regions: Callable[[slice], NDArray[np.uint8]]
    bins: Bins

    def posteriors(self, block: slice) -> Posteriors:
        """Return the probabilities of a range of slices, (K, n, nj, ni) float32."""
        n_bins = self.tables.shape[2]
        index = self.regions(block).astype(np.int32) * n_bins + self.bins(block)
        out = np.empty((len(self.classes), *index.shape), dtype=np.float32)
        for table, plane in zip(self.tables.reshape(len(self.classes), -1), out, strict=True):
            np.take(table, index, out=plane, mode="clip")
        return out


def table(rows: Sequence[NDArray[Any]]) -> NDArray[np.float32]:
    """Stack the weights (K, n_bins) of regions 1, 2, ... under region 0 (outside), normalized: (K, R, n_bins)."""
    outside = np.zeros_like(rows[0])
    outside[0] = 1
    weights = np.stack([outside, *rows], axis=1).astype(np.float64)
    weights = np.maximum(weights, 1e-9)
    weights[1:, 0] = 0
    return np.ascontiguousarray(weights / weights.sum(axis=0), dtype=np.float32)


def step(x: ArrayLike, middle: float, width: float) -> NDArray[np.float64]:
    """Logistic step from 0 to 1 at ``middle``; goes from 12 % to 88 % over ``width``."""
    z = 4 * (np.asarray(x, dtype=np.float64) - middle) / width
    return 1 / (1 + np.exp(-np.clip(z, -60, 60)))


def ladder(x: ArrayLike, middles: Sequence[float], widths: Sequence[float]) -> NDArray[np.float64]:
    """Weights of n + 1 ordered classes between n soft steps, (n + 1, *x.shape), summing to 1."""
    steps = [step(x, m, w) for m, w in zip(middles, widths, strict=True)]
    edges = np.minimum.accumulate([np.ones_like(steps[0]), *steps, np.zeros_like(steps[0])])
    return edges[:-1] - edges[1:]


def valid(scan: Scan, block: slice) -> NDArray[np.bool_] | None:
    """Where the scan has an image: not padding, not NaN or infinite; None where all of it is."""
    padding = None if scan.padding is None else ~scan.padded(block)
    values = to_slices(scan.voxels)[block]
    finite = np.isfinite(values) if values.dtype.kind == "f" else None
    if padding is None or finite is None:
        return finite if padding is None else padding
    return padding & finite


def values_of(scan: Scan, block: slice) -> NDArray[np.float32]:
    """Slices as float32 with every invalid voxel 0 (their region is outside, the number never shows)."""
    with np.errstate(over="ignore"):  # doubles beyond single precision are cut below
        values = to_slices(scan.voxels)[block].astype(np.float32)
    good = valid(scan, block)
    if good is not None:
        values[~good] = 0
    return np.clip(values, -1e15, 1e15, out=values)


def binned(x: NDArray[Any], low: float, high: float, n: int) -> NDArray[np.uint16]:
    """Cut [low, high] into ``n`` bins; values beyond go to the first and the last."""
    scaled = (x - np.float32(low)) * np.float32((n - 1) / max(high - low, 1e-30)) + np.float32(0.5)
    return np.clip(np.nan_to_num(scaled), 0, n - 1).astype(np.uint16)


def bin_values(low: float, high: float, n: int) -> NDArray[np.float64]:
    """Return the value each bin of :func:`binned` stands for."""
    return np.linspace(low, high, n)
