"""X-ray: field, air and lung, soft tissue, dense parts, bone, metal.

A projection adds everything along the ray, so gray alone cannot name a tissue. Three soft levels (air, soft, dense)
come from the image's own histogram; bone is what is brighter than its surroundings over about a centimetre, metal is
bright with sharp edges. Everything is computed with dense = bright, whatever the file's polarity.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medcolor.scan import Scan
from medcolor.tissue.mixture import levels, otsu
from medcolor.tissue.model import CLASSES, TableModel, ladder, step, table, values_of
from medcolor.tissue.regions import (
    Mask,
    bilinear,
    closed,
    edge_connected,
    grow,
    opened,
    pixel_mm,
    reduced,
    reduction,
    region_lookup,
    sample,
)

_LONGEST = 512
_GRAYS, _RELIEFS = 256, 64  # bins of gray and of brightness over the surroundings
_RELIEF = 0.35  # relief at the ends of its scale, in units of the gray range
_AROUND_MM = 14.0  # standard deviation of "the surroundings"
_FIELD_MM = 400.0
_METAL_MM2 = 4000.0  # larger saturated parts are overexposed bone or abdomen
INSIDE, METAL = 1, 2
LUNG_CODES = 8  # region codes 3, 4, ...: ever more surely lung, so that the border of lung is soft


def build(scan: Scan) -> TableModel:
    """Fit the X-ray model."""
    factor = reduction(scan.shape, _LONGEST)
    mm = pixel_mm(scan, field_mm=_FIELD_MM) * factor
    small = reduced(scan, factor)
    small = -small if scan.inverted else small
    low, high = _range(small)
    gray = np.clip((small - low) / (high - low), 0, 1)
    field = _field(gray)
    means = levels(sample(gray[field], 300_000).astype(np.float64), 3).means
    room = edge_connected((gray < (means[0] + means[1]) / 2) & field)
    around = _surroundings(gray, field & ~room, _AROUND_MM / mm)
    codes = field.astype(np.uint8)
    lung, lung_edge = _lungs(gray, field & ~room, room)
    rest = sample(gray[field & ~room & ~lung], 300_000).astype(np.float64)
    if rest.size > 64:
        means = np.array([min(means[0], rest.min()), *levels(rest, 2).means])
    codes = np.where(field, _lung_codes(lung), codes)
    codes[_metal((small - low) / (high - low), field, mm)] = METAL
    tables = _tables(means, lung_edge)
    sign = np.float32(-1 if scan.inverted else 1)
    ni, nj, _ = scan.shape

    def bins(block: slice) -> NDArray[np.uint16]:
        values = (sign * values_of(scan, block) - np.float32(low)) / np.float32(high - low)
        np.clip(values, 0, 1, out=values)
        relief = values - bilinear(around[block], (nj, ni))
        index = np.clip((relief / _RELIEF + 1) * (_RELIEFS / 2), 0, _RELIEFS - 1).astype(np.uint16)
        return (values * np.float32(_GRAYS - 1) + np.float32(0.5)).astype(np.uint16) * np.uint16(_RELIEFS) + index

    return TableModel(CLASSES["XR"], tables, region_lookup(scan, codes, factor), bins)


def _range(small: NDArray[np.float32]) -> tuple[float, float]:
    low, high = (float(v) for v in np.percentile(sample(small, 1_000_000), (0.5, 99.7)))
    return low, max(high, low + max(abs(low), 1.0) * 1e-6)


def _field(gray: NDArray[np.float32]) -> Mask:
    """Return the exposed field: without bright bands along the sides (collimator) and black constant corners."""
    out = np.ones(gray.shape, dtype=bool)
    for plane, field in zip(gray, out, strict=True):
        for view, mask in (
            (plane, field),
            (plane[::-1], field[::-1]),
            (plane.T, field.T),
            (plane.T[::-1], field.T[::-1]),
        ):
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
    even = (np.percentile(plane, 5, axis=1) > 0.8) & (plane.std(axis=1) < 0.12)
    depth = int(np.argmin(even)) if not even.all() else 0
    if not 0 < depth < 0.45 * len(plane):
        return 0
    mean = plane.mean(axis=1)
    end = depth + max(1, len(plane) // 40)  # and its penumbra, while it gets darker
    while depth < end and mean[depth] < mean[depth - 1] - 0.01:
        depth += 1
    return depth


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
    around: NDArray[np.float32] = (total / np.maximum(weight, 1e-6)).astype(np.float32)
    return around


def _lungs(gray: NDArray[np.float32], body: Mask, room: Mask) -> tuple[Mask, float]:
    """Return large dark parts enclosed by brighter body, closed over the ribs, and the gray that bounds them."""
    from scipy import ndimage

    values = sample(gray[body], 200_000).astype(np.float64)
    none = np.zeros_like(body)
    if values.size < 64 or np.ptp(values) < 1e-3:
        return none, 0.5
    edge = otsu(values)
    for plane, mask, air, lung in zip(gray, body, room, none, strict=True):
        side = max(plane.shape)
        smooth = ndimage.uniform_filter(plane, 3)
        beyond = np.pad(grow(air, 2), 1, constant_values=True)  # room air and the edge of the image
        for bound in np.linspace(edge, 0.5 * edge, 7):  # a lung may hang together with a dark shoulder at first
            lung |= _enclosed(opened((smooth < bound) & mask & ~lung, side / 60), beyond, 0.015 * plane.size)
        lung[:] = closed(lung, side / 50) & mask
    return none, edge


def _lung_codes(lung: Mask) -> NDArray[np.uint8]:
    from scipy import ndimage

    sigma = max(lung.shape[1:]) / 120
    share = ndimage.gaussian_filter(lung.astype(np.float32), (0, sigma, sigma))
    code = np.rint(share * LUNG_CODES).astype(np.uint8)
    return np.where(code > 0, code + np.uint8(METAL), np.uint8(INSIDE))


def _enclosed(dark: Mask, beyond: Mask, least: float) -> Mask:
    """Return the parts of at least ``least`` pixels whose outline hardly touches ``beyond`` (padded by 1)."""
    from scipy import ndimage

    labels, n = ndimage.label(np.pad(dark, 1))
    keep = np.bincount(labels.ravel(), minlength=n + 1) >= least
    keep[0] = False
    for label, box in enumerate(ndimage.find_objects(labels), start=1):
        if keep[label]:
            wide = tuple(slice(b.start - 1, b.stop + 1) for b in box)
            own = labels[wide] == label
            rim = (own & ~ndimage.binary_erosion(own)) | (ndimage.binary_dilation(own) & ~own)
            keep[label] = bool(np.mean(beyond[wide][rim]) < 0.08)
    return keep[labels][1:-1, 1:-1]


def _metal(level: NDArray[np.float32], field: Mask, mm: float) -> Mask:
    """Saturated parts with a steep edge all around: implants, markers, wires; ``level`` may exceed 1."""
    from scipy import ndimage

    out = np.zeros(level.shape, dtype=bool)
    for plane, inside, metal in zip(level, field, out, strict=True):
        darkest = ndimage.minimum_filter(plane, 2 * max(1, round(2 / mm)) + 1)
        for bound in (0.97, 1.12):
            labels, _ = ndimage.label((plane > bound) & inside)
            for label, box in enumerate(ndimage.find_objects(labels), start=1):
                own = labels[box] == label
                edge = own & ~ndimage.binary_erosion(own)
                small = own.sum() * mm**2 < _METAL_MM2
                if small and np.mean(darkest[box][edge] < bound - 0.22) > 0.8:
                    metal[box] |= own
    return out


def _tables(means: NDArray[np.float64], lung_edge: float) -> NDArray[np.float32]:
    air, soft, dense = (float(m) for m in means)
    g, r = np.meshgrid(
        np.linspace(0, 1, _GRAYS), ((np.arange(_RELIEFS) + 0.5) / (_RELIEFS / 2) - 1) * _RELIEF, indexing="ij"
    )

    def row(first: float, first_width: float) -> NDArray[np.float64]:
        middles = [first, max((soft + dense) / 2, first + 0.05)]
        base = ladder(g, middles, [max(first_width, 0.05), max(0.6 * (dense - soft), 0.05)])
        bone = step(r, 0.06, 0.07) * step(g, (air + soft) / 2, 0.15)
        nothing = np.zeros((1, *base.shape[1:]))
        return np.concatenate([nothing, base * (1 - bone), bone[None], nothing]).reshape(6, -1)

    metal = np.zeros((6, g.size))
    metal[4], metal[5] = 0.1, 0.9
    inside = row((air + soft) / 2, 0.5 * (soft - air))
    lung = row(lung_edge, 0.25 * (dense - air))
    shares = (np.arange(LUNG_CODES) + 1) / LUNG_CODES
    return table([inside, metal, *(share * lung + (1 - share) * inside for share in shares)])
