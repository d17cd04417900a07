"""Ultrasound: echogenicity inside the scan sector, after speckle filtering.

Display ultrasound is log-compressed, so speckle is nearly additive there and a local-statistics filter (Lee 1980)
applies directly. Levels are relative to the typical echo of the sector, because gain and compression are the
operator's.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medcolor.scan import KAxis, Scan
from medcolor.tissue.model import CLASSES, TableModel, bin_values, binned, ladder, table, values_of
from medcolor.tissue.regions import (
    Mask,
    closed,
    edge_connected,
    erode,
    filled,
    grow,
    large_parts,
    opened,
    reduced,
    reduction,
    region_lookup,
)

_BINS = 1024


def build(scan: Scan) -> TableModel:
    """Fit the ultrasound model."""
    factor = reduction(scan.shape, 320)
    small = np.maximum(reduced(scan, factor), 0)
    top = float(np.percentile(small, 99.9)) or 1.0
    level: NDArray[np.float32] = (small / top).astype(np.float32)
    sector = _sector(level, moving=scan.k_axis is KAxis.TIME)
    typical, noise = _typical(small, sector)
    typical = float(np.clip(typical, 0.06 * top, 0.5 * top))

    def bins(block: slice) -> NDArray[np.uint16]:
        return binned(lee(np.maximum(values_of(scan, block), 0), noise), 0, top, _BINS)

    x = bin_values(0, top, _BINS) / typical
    levels = ladder(x, (0.25, 0.65, 1.6, 2.8), (0.2, 0.3, 0.6, 0.8))
    tables = table([np.concatenate([np.zeros((1, _BINS)), levels])])
    return TableModel(CLASSES["US"], tables, region_lookup(scan, sector.astype(np.uint8), factor), bins)


def lee(values: NDArray[np.float32], noise: float, *, size: int = 7) -> NDArray[np.float32]:
    """Lee's filter: the local mean where variation is speckle, the voxel itself where it is structure."""
    from scipy import ndimage

    window = (1, min(size, values.shape[1]), min(size, values.shape[2]))
    mean = ndimage.uniform_filter(values, window)
    variance = np.maximum(ndimage.uniform_filter(values * values, window) - mean * mean, 0)
    # Speckle grows with the echo even after compression at the dark end; its share is estimated in the sector.
    speckle = np.float32(noise**2) * mean * mean
    gain = np.maximum(variance - speckle, 0) / np.maximum(variance, 1e-12)
    return mean + gain * gain * (values - mean)


def _sector(level: NDArray[np.float32], *, moving: bool) -> Mask:
    """Return the scan sector: the largest connected part that is not black, and its black hollows.

    Text and rulers are thin or far away. Fluid at the edge of the sector is black too, so the outline is taken from
    the convex hull, less what lies in a corner that is exactly black to the last pixel.
    """
    from scipy import ndimage

    view = level.max(axis=0, keepdims=True) if moving and len(level) > 1 else level
    out = np.empty(view.shape, dtype=bool)
    side = min(view.shape[1:])
    for k, plane in enumerate(view):
        even = ndimage.maximum_filter(plane, 3) - ndimage.minimum_filter(plane, 3) < 0.02
        bar = opened((plane > 0.1) & even, side / 40)
        lit = (plane > 0.02) & ~grow(bar, 2)  # bars that hide a name are even, echoes never are
        density = ndimage.uniform_filter(lit.astype(np.float32), max(1, side // 40))
        dense = closed(density > 0.55, side / 80)
        part = large_parts(opened(dense, side / 20), fraction=0.08)
        part = grow(part, side / 16) & dense & ~grow(bar, 3)  # corners that the opening rounded off
        part &= opened(part, side / 60)
        if not part.any():
            out[k] = True
            continue
        blank = opened(ndimage.maximum_filter(plane, 3) <= 0.004, side / 40)
        text = grow(bar, side / 40) | grow((plane > 0.4) & ~part, 3)
        black = edge_connected((blank & ~part)[None])[0]
        out[k] = filled((_hull(part) & ~black & ~text) | part) & ~bar
    return np.broadcast_to(out, level.shape).copy() if len(out) != len(level) else out


def _hull(part: Mask) -> Mask:
    """Convex hull of a mask, by half planes."""
    from scipy.spatial import ConvexHull, QhullError

    j, i = np.nonzero(part & ~erode(part, 1))
    try:
        planes = ConvexHull(np.stack([j, i], axis=1)).equations
    except (QhullError, ValueError):
        return part
    jj, ii = np.arange(part.shape[0])[:, None], np.arange(part.shape[1])[None]
    inside = np.ones(part.shape, dtype=bool)
    for a, b, c in planes:
        inside &= a * jj + b * ii + c <= 0.5
    return inside


def _typical(small: NDArray[np.float32], sector: Mask) -> tuple[float, float]:
    """Return the typical echo and the relative strength of speckle (standard deviation over mean)."""
    from scipy import ndimage

    inside = small[sector]
    lit = inside[inside > 0.03 * float(small.max())]
    typical = float(np.median(lit)) if lit.size else 1.0
    mean = ndimage.uniform_filter(small, (0, 5, 5))
    deviation = np.sqrt(np.maximum(ndimage.uniform_filter(small * small, (0, 5, 5)) - mean * mean, 0))
    where = sector & (mean > 0.3 * typical)
    ratios = deviation[where] / mean[where]
    return typical, float(np.clip(np.percentile(ratios, 40), 0.05, 0.6)) if ratios.size else 0.3
