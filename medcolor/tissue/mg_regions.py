"""Regions of a mammogram: outline of the breast, skin, pectoral muscle, calcifications."""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from medcolor.tissue.mixture import otsu
from medcolor.tissue.regions import Mask, closed, enlarge, erode, filled, grow, large_parts, opened, shrink_slices


class Region(IntEnum):
    """Codes of the region map."""

    AIR = 0
    BREAST = 1
    SKIN = 2
    PECTORAL = 3
    CALCIFICATION = 4


SKIN_MM = 2.0  # normal mammographic skin is 0.5-2.7 mm (Pope et al. 1984)


def outline(gray: NDArray[np.float32], mm: float) -> Mask:
    """Return the breast with the muscle: largest bright part, without labels and film edges."""
    from scipy import ndimage

    smooth = ndimage.uniform_filter(gray, 5)
    bright = smooth > max(0.3 * otsu(smooth.ravel().astype(np.float64)), 0.02)
    core = large_parts(opened(bright, min(6 / mm, min(gray.shape) / 16))[None], fraction=0.5)[0]
    if not core.any():
        return bright
    return filled(closed(grow(core, 2 / mm) & bright, 2 / mm))


def depth(breast: Mask, mm: float) -> NDArray[np.float32]:
    """Return the distance to the air in mm, negative in the air; the edge of the image is no air."""
    from scipy import ndimage

    if breast.all() or not breast.any():
        return np.full(breast.shape, 1e3 if breast.any() else -1e3, dtype=np.float32)
    inner, outer = (ndimage.distance_transform_edt(m) for m in (breast, ~breast))
    return np.where(breast, inner - 0.5, 0.5 - outer).astype(np.float32) * np.float32(mm)


def fat_level(gray: NDArray[np.float32], deep: NDArray[np.float32], tissue: Mask) -> NDArray[np.float32]:
    """Return the gray of fat as a function of the distance to the air: the breast is thinner toward its rim.

    Measured over the first 15 mm, where there is fat under the skin in nearly every breast, and constant beyond.
    """
    ends = np.arange(0.0, 16.0, 1.5)
    found = [
        float(np.percentile(gray[ring], 30)) if (ring := tissue & (deep >= a) & (deep < a + 2.5)).any() else np.nan
        for a in ends
    ]
    known = np.isfinite(found)
    if not known.any():
        return np.zeros_like(gray)
    profile = np.maximum.accumulate(np.interp(ends, ends[known], np.array(found)[known]))
    return np.interp(deep, ends + 1.25, profile).astype(np.float32)


def pectoral(gray: NDArray[np.float32], breast: Mask, mm: float) -> Mask:
    """Return the pectoral muscle: bright, in the upper corner at the chest wall, bounded by a nearly straight line.

    Lines from the upper edge to the chest wall are tried; the one with the steepest fall of gray across it wins, and
    must fall along most of its length.
    """
    from scipy import ndimage

    left = breast[:, : breast.shape[1] // 2].sum() >= breast[:, breast.shape[1] // 2 :].sum()
    image, mask = (gray, breast) if left else (gray[:, ::-1], breast[:, ::-1])
    none = np.zeros_like(breast)
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if len(rows) < 32 or len(columns) < 32:
        return none
    top, wall = rows[0], columns[0]
    height, width = len(rows), len(columns)
    smooth = ndimage.gaussian_filter(image, 2.0)
    reach = max(2.0, 4 / mm)
    best, line = 0.0, None
    along = np.linspace(0.06, 0.94, 64)
    for x0 in np.linspace(0.12, 0.8, 35) * width:
        for y0 in np.linspace(0.15, 0.95, 41) * height:
            x, y = wall + x0 * (1 - along), top + y0 * along
            normal = np.array([y0, x0]) / np.hypot(x0, y0)
            inner, outer = (
                ndimage.map_coordinates(smooth, [y + s * normal[1], x + s * normal[0]], order=1, mode="nearest")
                for s in (-reach, reach)
            )
            fall = inner - outer
            score = float(np.mean(fall)) * float(np.mean(fall > 0.02)) ** 2
            if score > best:
                best, line = score, (x0, y0, float(np.mean(fall > 0.02)))
    if line is None or best < 0.04 or line[2] < 0.75:
        return none
    j, i = np.indices(mask.shape)
    triangle = (i - wall) / line[0] + (j - top) / line[1] < 1
    muscle = triangle & mask
    return muscle if left else muscle[:, ::-1]


def calcifications(
    gray: NDArray[np.float32], codes: NDArray[np.uint8], factor: int, fine: int, mm: float
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return rows and columns (full size) of specks much brighter than their surroundings.

    A difference of Gaussians at 0.2 and 1 mm over its local deviation; what is larger than 1.5 mm or touches the rim
    is none.
    """
    from scipy import ndimage

    small = shrink_slices(gray[None], fine)[0]
    size = mm * fine
    narrow, wide = max(0.6, 0.15 / size), max(2.0, 0.8 / size)
    speck = ndimage.gaussian_filter(small, narrow) - ndimage.gaussian_filter(small, wide)
    power = ndimage.uniform_filter(speck * speck, max(5, round(8 / size)))
    spread = np.sqrt(np.maximum(power, 0))
    inside = erode(codes == Region.BREAST, 3)
    inside[:3] = inside[-3:] = inside[:, :3] = inside[:, -3:] = False  # film edges
    where = enlarge(enlarge(inside[None], factor, gray.shape)[:, ::fine, ::fine], 1, small.shape)[0]
    bright = (speck > 5 * spread + 0.01) & where
    labels, n = ndimage.label(bright)
    sizes = np.bincount(labels.ravel(), minlength=n + 1) * size**2
    keep = (sizes < 2.0) & (sizes >= 2 * size**2)
    keep[0] = False
    j, i = np.nonzero(grow(keep[labels], 1))
    jj = (j[:, None, None] * fine + np.arange(fine)[None, :, None] + 0 * np.arange(fine)[None, None]).ravel()
    ii = (i[:, None, None] * fine + 0 * np.arange(fine)[None, :, None] + np.arange(fine)[None, None]).ravel()
    good = (jj < gray.shape[0]) & (ii < gray.shape[1])
    return jj[good].astype(np.int32), ii[good].astype(np.int32)
