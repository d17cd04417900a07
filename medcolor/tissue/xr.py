"""X-ray: field, air and lung, soft tissue, dense parts, bone, metal.

A projection adds everything along the ray, so gray alone cannot name a tissue. Three soft levels (air, soft, dense)
come from the image's own histogram; bone is what is brighter than its surroundings over about a centimetre, metal is
bright with sharp edges. Everything is computed with dense = bright, whatever the file's polarity.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medcolor.scan import Scan
from medcolor.tissue.mixture import levels
from medcolor.tissue.model import CLASSES, TableModel, ladder, step, table, valid, values_of
from medcolor.tissue.regions import (
    Mask,
    edge_connected,
    grow,
    opened,
    pixel_mm,
    reduced,
    reduction,
    region_lookup,
    sample,
    shrink_slices,
)

_LONGEST = 512
_GRAYS, _RELIEFS = 256, 64  # bins of gray and of brightness over the surroundings
_RELIEF = 0.35  # relief at the ends of its scale, in units of the gray range
_AROUND_MM = 14.0  # standard deviation of "the surroundings"
_FIELD_MM = 400.0
INSIDE, METAL = 1, 2


def build(scan: Scan) -> TableModel:
    """Fit the X-ray model."""
    factor = reduction(scan.shape, _LONGEST)
    mm = pixel_mm(scan, field_mm=_FIELD_MM) * factor
    small = reduced(scan, factor)
    small = -small if scan.inverted else small
    low, high = _range(small)
    gray = np.clip((small - low) / (high - low), 0, 1)
    field = _field(gray)
    around = _surroundings(gray, field, _AROUND_MM / mm)
    codes = field.astype(np.uint8)
    codes[_metal(gray, field, mm)] = METAL
    inside = sample(gray[field], 300_000).astype(np.float64)
    tables = _tables(levels(inside, 3).means if inside.size else np.array([0.2, 0.5, 0.8]))
    sign = np.float32(-1 if scan.inverted else 1)
    ni, nj, _ = scan.shape

    def bins(block: slice) -> NDArray[np.uint16]:
        values = (sign * values_of(scan, block) - np.float32(low)) / np.float32(high - low)
        np.clip(values, 0, 1, out=values)
        relief = values - bilinear(around[block], (nj, ni))
        index = np.clip((relief / _RELIEF + 1) * (_RELIEFS / 2), 0, _RELIEFS - 1).astype(np.uint16)
        return (values * np.float32(_GRAYS - 1) + np.float32(0.5)).astype(np.uint16) * np.uint16(_RELIEFS) + index

    return TableModel(CLASSES["XR"], tables, region_lookup(scan, codes, factor), bins)


def bilinear(small: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.float32]:
    """Stretch (n, nj', ni') smoothly to ``shape`` (nj, ni)."""
    out = small
    for axis, size in ((1, shape[0]), (2, shape[1])):
        have = out.shape[axis]
        if have == size:
            continue
        at = np.clip((np.arange(size) + 0.5) * have / size - 0.5, 0, have - 1)
        first = np.minimum(at.astype(np.intp), max(have - 2, 0))
        part = (at - first).astype(np.float32).reshape((-1, 1) if axis == 1 else (-1,))
        a, b = np.take(out, first, axis=axis), np.take(out, np.minimum(first + 1, have - 1), axis=axis)
        out = a + (b - a) * part
    return out


def _range(small: NDArray[np.float32]) -> tuple[float, float]:
    low, high = (float(v) for v in np.percentile(sample(small, 1_000_000), (0.5, 99.7)))
    return low, max(high, low + max(abs(low), 1.0) * 1e-6)


def _field(gray: NDArray[np.float32]) -> Mask:
    """Return the exposed field: without bright bands along the sides (collimator) and black constant corners."""
    out = np.ones(gray.shape, dtype=bool)
    for plane, field in zip(gray, out, strict=True):
        for view, mask in ((plane, field), (plane[::-1], field[::-1]), (plane.T, field.T), (plane.T[::-1], field.T[::-1])):
            depth = _band(view)
            mask[:depth] = False
        black = edge_connected((plane <= 0.004)[None])[0]
        corners = black[[0, 0, -1, -1], [0, -1, 0, -1]]
        if corners.any() and black.mean() < 0.7:
            field &= ~_with_corner(black)
        if not field.any():
            field[:] = True
    return out


def _band(plane: NDArray[np.float32]) -> int:
    """Rows from the top that are white and even all along: beyond the collimator."""
    even = (np.percentile(plane, 5, axis=1) > 0.8) & (plane.std(axis=1) < 0.08)
    depth = int(np.argmin(even)) if not even.all() else 0
    return depth if depth < 0.45 * len(plane) else 0


def _with_corner(mask: Mask) -> Mask:
    from scipy import ndimage

    labels, _ = ndimage.label(mask)
    corners = np.unique(labels[[0, 0, -1, -1], [0, -1, 0, -1]])
    return np.isin(labels, corners[corners > 0])


def _surroundings(gray: NDArray[np.float32], field: Mask, sigma: float) -> NDArray[np.float32]:
    """Gaussian mean over the field only, so that its edge is no bone."""
    from scipy import ndimage

    sigma = float(np.clip(sigma, 1.0, max(gray.shape[1:]) / 6))
    weight = ndimage.gaussian_filter(field.astype(np.float32), (0, sigma, sigma), truncate=2.5)
    total = ndimage.gaussian_filter(gray * field, (0, sigma, sigma), truncate=2.5)
    return total / np.maximum(weight, 1e-6)


def _metal(gray: NDArray[np.float32], field: Mask, mm: float) -> Mask:
    """Saturated parts with a steep edge all around: implants, markers, wires."""
    from scipy import ndimage

    bright = (gray > 0.97) & field
    out = np.zeros(gray.shape, dtype=bool)
    for plane, candidates, metal in zip(gray, bright, out, strict=True):
        labels, n = ndimage.label(candidates)
        wide = grow(np.ones(1, bool).reshape(1, 1), 1)
        del wide
        darkest = ndimage.minimum_filter(plane, 2 * max(1, round(2 / mm)) + 1)
        for label, box in enumerate(ndimage.find_objects(labels), start=1):
            own = labels[box] == label
            if own.sum() * mm**2 > 4000:
                continue
            steep = np.mean(darkest[box][own] < 0.75)
            if steep > 0.6:
                metal[box] |= own
    return out


def _tables(means: NDArray[np.float64]) -> NDArray[np.float32]:
    air, soft, dense = (float(m) for m in means)
    g = np.linspace(0, 1, _GRAYS)[:, None]
    r = ((np.arange(_RELIEFS) + 0.5) / (_RELIEFS / 2) - 1)[None] * _RELIEF
    middles = [(air + soft) / 2, (soft + dense) / 2]
    widths = [max(0.5 * (soft - air), 0.05), max(0.6 * (dense - soft), 0.05)]
    base = ladder(g + 0 * r, middles, widths)
    bone = step(r, 0.07, 0.08) * step(g + 0 * r, (air + soft) / 2, 0.15)
    outside = np.zeros((1, *base.shape[1:]))
    metal = step(g + 0 * r, 1.02, 0.04)
    inside = np.concatenate([outside, base * (1 - bone), (bone * (1 - metal))[None], (bone * metal)[None]])
    solid = np.concatenate([outside, 0 * base, 0.1 + outside, 0.9 + outside])
    return table([inside.reshape(6, -1), solid.reshape(6, -1)])
