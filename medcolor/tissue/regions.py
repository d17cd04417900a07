"""Connected regions: what thresholds alone cannot tell apart, at reduced resolution, slice by slice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medcolor.geometry import Space
from medcolor.scan import Scan
from medcolor.tissue.model import OUTSIDE, valid, values_of

Mask = NDArray[np.bool_]


def reduction(shape: tuple[int, int, int], longest: int) -> int:
    """Return the factor that brings the longer side of a slice to at most ``longest`` pixels."""
    return max(1, -(-max(shape[0], shape[1]) // longest))


def pixel_mm(scan: Scan, *, field_mm: float) -> float:
    """Return the pixel size; where the file does not say, as if the longer side were ``field_mm``."""
    if scan.geometry.space is Space.PIXEL:
        return field_mm / max(scan.shape[:2])
    return float(np.clip(np.sqrt(scan.geometry.spacing[0] * scan.geometry.spacing[1]), 1e-3, 1e3))


def shrink_slices(values: NDArray[Any], factor: int) -> NDArray[np.float32]:
    """Average blocks of ``factor`` x ``factor`` pixels of (n, nj, ni); partial blocks repeat the last pixel."""
    if factor == 1:
        return values.astype(np.float32)
    n, nj, ni = values.shape
    pad = ((0, 0), (0, -nj % factor), (0, -ni % factor))
    padded = np.pad(values.astype(np.float32), pad, mode="edge")
    blocks = padded.reshape(n, padded.shape[1] // factor, factor, padded.shape[2] // factor, factor)
    return blocks.mean(axis=(2, 4), dtype=np.float32)


def reduced(scan: Scan, factor: int) -> NDArray[np.float32]:
    """Return the scan at reduced in-plane resolution, (nk, nj', ni') float32, one slice in flight at a time."""
    ni, nj, nk = scan.shape
    out = np.empty((nk, -(-nj // factor), -(-ni // factor)), dtype=np.float32)
    for k in range(nk):
        out[k] = shrink_slices(values_of(scan, slice(k, k + 1)), factor)[0]
    return out


def enlarge(small: NDArray[Any], factor: int, shape: tuple[int, int]) -> NDArray[Any]:
    """Repeat (n, nj', ni') pixels ``factor`` times and crop to ``shape`` (nj, ni)."""
    if factor == 1:
        return small
    return small.repeat(factor, axis=1).repeat(factor, axis=2)[:, : shape[0], : shape[1]]


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
    stretched: NDArray[np.float32] = out.astype(np.float32, copy=False)
    return stretched


def region_lookup(scan: Scan, codes: NDArray[np.uint8], factor: int) -> Callable[[slice], NDArray[np.uint8]]:
    """Return a function from slices to full-size region codes; padding and NaN are outside."""
    ni, nj, _ = scan.shape

    def regions(block: slice) -> NDArray[np.uint8]:
        full = enlarge(codes[block], factor, (nj, ni))
        good = valid(scan, block)
        return full if good is None else np.where(good, full, np.uint8(OUTSIDE))

    return regions


def grow(mask: Mask, radius: float) -> Mask:
    """Dilate in plane by ``radius`` pixels (nearly a disk); works on (nj, ni) and (n, nj, ni)."""
    return _disk(mask, round(radius), np.bool_(True))


def erode(mask: Mask, radius: float) -> Mask:
    """Erode in plane by ``radius`` pixels; what is beyond the edge of the image counts as inside."""
    return _disk(mask, round(radius), np.bool_(False))


def _disk(mask: Mask, radius: int, value: np.bool_) -> Mask:
    from scipy import ndimage

    out = mask if value else ~mask
    flat = out.reshape(-1, *mask.shape[-2:])
    if radius > 6:  # one distance map is cheaper than many small steps
        grown = [ndimage.distance_transform_edt(~m) <= radius if m.any() else m for m in flat]
        flat = np.stack(grown)
    else:
        for n in range(radius):
            flat = ndimage.binary_dilation(flat, ndimage.generate_binary_structure(2, 1 + n % 2)[None])
    out = flat.reshape(mask.shape)
    return out if value else ~out


def opened(mask: Mask, radius: float) -> Mask:
    """Remove what is thinner than 2 x ``radius`` pixels."""
    return grow(erode(mask, radius), radius)


def closed(mask: Mask, radius: float) -> Mask:
    """Close gaps narrower than 2 x ``radius`` pixels."""
    return erode(grow(mask, radius), radius)


def filled(mask: Mask) -> Mask:
    """Fill holes of each slice."""
    from scipy import ndimage

    flat = mask.reshape(-1, *mask.shape[-2:])
    return np.stack([ndimage.binary_fill_holes(m) for m in flat]).reshape(mask.shape)


def edge_connected(mask: Mask) -> Mask:
    """Keep the parts of each slice that touch the slice's edge."""
    from scipy import ndimage

    out = np.zeros_like(mask)
    for k, plane in enumerate(mask):
        labels, n = ndimage.label(plane)
        keep = np.zeros(n + 1, dtype=bool)
        for side in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
            keep[side] = True
        keep[0] = False
        out[k] = keep[labels]
    return out


def large_parts(mask: Mask, *, fraction: float) -> Mask:
    """Keep connected parts (in 3-D) of at least ``fraction`` of the largest one's volume."""
    from scipy import ndimage

    labels, n = ndimage.label(mask)
    if n <= 1:
        return mask
    sizes = np.bincount(labels.ravel(), minlength=n + 1)
    sizes[0] = 0
    return (sizes >= fraction * sizes.max())[labels] & mask


def sample(values: NDArray[Any], most: int) -> NDArray[Any]:
    """Take an evenly spread, deterministic subset of at most about ``most`` values."""
    flat = values.reshape(-1)
    return flat[:: max(1, flat.size // most)]
