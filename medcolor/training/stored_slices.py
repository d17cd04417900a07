"""What of a scan is kept for training, and how: slices, posteriors in a byte, values that stand for the volume."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from medcolor.networks.normalization import spread_sample
from medcolor.scan import Scan, to_slices
from medcolor.tissue.model import Posteriors, valid

REFERENCE_SIDE = 128  # 16384 values stand for a volume: its 0.5 % percentile is among the first eighty


def reference_values(scan: Scan) -> NDArray[np.float32]:
    """Return values that stand for a whole volume, (128, 128): its quantiles, evenly spaced, always shuffled alike.

    Shuffled, because a degradation may depend on the place: shading has to meet every value everywhere.
    """
    sample = spread_sample(scan)
    count = REFERENCE_SIDE**2
    values = np.zeros(count)
    if sample.size:  # np.quantile takes a second for so many
        values = np.interp(np.linspace(0, sample.size - 1, count), np.arange(sample.size), np.sort(sample))
    return np.random.default_rng(0).permutation(values).astype(np.float32).reshape(REFERENCE_SIDE, REFERENCE_SIDE)


def filled_slices(scan: Scan) -> NDArray[Any]:
    """Return the slices with what is no image at the dark end, as the network sees it in use, and not at zero."""
    values, good = to_slices(scan.voxels), valid(scan, slice(None))
    if good is None:
        return np.ascontiguousarray(values)
    kept = values[good]
    least, most = (float(kept.min()), float(kept.max())) if kept.size else (0.0, 0.0)
    dark = most if scan.inverted else min(least, -1024.0) if scan.units == "HU" else least
    return np.clip(np.where(good, values, dark).astype(np.float32), -1e15, 1e15)


def packed(p: Posteriors) -> NDArray[np.uint8]:
    """Return posteriors (K, n, nj, ni) in 255ths, (n, K, nj, ni); their sum may be off by a few."""
    return np.moveaxis(np.rint(p * np.float32(255)).astype(np.uint8), 1, 0)


def unpacked(kept: NDArray[np.uint8]) -> torch.Tensor:
    """Return the posteriors of one slice (K, nj, ni), which sum to 1 again."""
    p = kept.astype(np.float32)
    return torch.from_numpy(p / p.sum(axis=0))


def plane(kept: NDArray[Any]) -> torch.Tensor:
    """Return one slice (nj, ni) as an image, (1, nj, ni) float32."""
    return torch.from_numpy(np.array(kept[None], dtype=np.float32))


def neighbour_of(k: int, count: int, *, contiguous: bool) -> int | None:
    """Return the next slice, the one before of the last; None where none is a neighbour in space."""
    return None if not contiguous or count < 2 else k + 1 if k + 1 < count else k - 1


__all__ = ["REFERENCE_SIDE", "filled_slices", "neighbour_of", "packed", "plane", "reference_values", "unpacked"]
