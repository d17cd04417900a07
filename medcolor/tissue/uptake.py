"""What PET and planar or tomographic nuclear medicine share: a body that is faintly warm, and soft steps of uptake."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medcolor.tissue.model import ladder, step, table
from medcolor.tissue.regions import Mask, closed, filled, grow, large_parts, sample

INSIDE, RIM = 1, 2
BINS = 2048


def body_mask(level: NDArray[np.float32], threshold: float, mm: float) -> Mask:
    """Return everything above ``threshold`` and what it encloses, small specks dropped; (nk, nj, ni) smoothed."""
    above = level > threshold
    if not above.any():
        return np.ones(level.shape, dtype=bool)
    return filled(closed(large_parts(above, fraction=0.01), min(12 / mm, min(level.shape[1:]) / 8)))


def codes_of(body: Mask) -> NDArray[np.uint8]:
    """Region codes: outside, inside, and the rim where low values are outside."""
    codes = body.astype(np.uint8)
    codes[grow(body, 1) & ~body] = RIM
    return codes


def log_bins(level: NDArray[np.float32], floor: float, ceiling: float) -> NDArray[np.uint16]:
    """Bin uptake on a logarithmic scale, so that steps keep their relative width."""
    scaled = np.log(np.maximum(level, np.float32(floor)) / np.float32(floor))
    scaled *= np.float32((BINS - 1) / np.log(ceiling / floor))
    return np.clip(scaled + np.float32(0.5), 0, BINS - 1).astype(np.uint16)


def uptake_tables(
    edges: tuple[float, ...], *, width: float, faint: float, floor: float, ceiling: float
) -> NDArray[np.float32]:
    """Return the table of five ordered levels inside, and the same behind a soft threshold in the rim.

    ``width`` is the relative width of a step: 0.35 goes from 12 % to 88 % over 35 % of the edge.
    """
    x = np.log(floor) + np.linspace(0, np.log(ceiling / floor), BINS)
    levels = ladder(x, [float(np.log(e)) for e in edges], [width] * len(edges))
    inside = step(x, float(np.log(faint)), 1.0)
    nothing = np.zeros((1, BINS))
    return table([np.concatenate([nothing, levels]), np.concatenate([1 - inside[None], inside * levels])])


def typical_inside(level: NDArray[np.float32], body: Mask) -> float:
    """Return the mean level over the body; 0 when there is none."""
    values = sample(level[body], 500_000)
    return float(values.mean(dtype=np.float64)) if values.size else 0.0
