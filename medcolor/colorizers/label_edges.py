"""Edges of labels in millimetres: colour that bleeds into the background, and soft posteriors.

The two parameters of 3D Slicer's ColorizeVolume, in mm instead of voxels and along each axis by its own spacing. Each
slice is computed from itself and its neighbours alone, with sums in a fixed order: how a volume is cut into blocks
changes no byte.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medcolor.colorizers.label_grid import Labels, SliceOf

Spacing = tuple[float, float, float]
Box = tuple[slice, slice]

_SIGMAS_PER_EDGE = 0.5  # as in ColorizeVolume: the edge is two standard deviations wide on each side
_TRUNCATE = 3.0
_PER_MM2 = 1_000_000  # squared distances as whole numbers: exact, so ties are ties
_FAR = np.int64(1) << 60


def remembered(make: Callable[[int], Any], count: int) -> Callable[[int], Any]:
    """Return ``make`` with its last ``count`` results kept: slices are asked for in rising order, by neighbours."""
    kept: dict[int, Any] = {}

    def get(k: int) -> Any:
        if k not in kept:
            if len(kept) >= count:
                del kept[min(kept)]
            kept[k] = make(k)
        return kept[k]

    return get


def bled(slice_of: SliceOf, n_slices: int, spacing: Spacing, bleed: float) -> SliceOf:
    """Let labels grow into the background.

    Parameters
    ----------
    slice_of : callable
        k -> labels (nj, ni).
    n_slices : int
    spacing : tuple of float
        Along i, j, k in mm; infinite along an axis that is no space.
    bleed : float
        In mm: a background voxel whose nearest labelled voxel is at most this far takes its label; of two equally near
        ones the lower. Labels never grow into each other.
    """
    if bleed == 0:
        return slice_of
    limit = round(bleed * bleed * _PER_MM2)
    reach_i, reach_j, reach_k = (int(bleed / s + 1e-6) for s in spacing)  # 0.6 / 0.2 is a little less than 3
    reaches = (reach_i, reach_j, reach_k)
    steps = [
        [round((d * s) ** 2 * _PER_MM2) << 16 if d else 0 for d in range(r + 1)]
        for s, r in zip(spacing, reaches, strict=True)
    ]

    def keys(k: int) -> NDArray[np.int64]:
        labels = slice_of(k)
        return np.where(labels > 0, labels.astype(np.int64), _FAR)

    keys_of = remembered(keys, 2 * reach_k + 2)

    def grown(k: int) -> Labels:
        key = keys_of(k).copy()
        for d in range(-reach_k, reach_k + 1):
            if d and 0 <= k + d < n_slices:
                np.minimum(key, keys_of(k + d) + steps[2][abs(d)], out=key)
        if int(key.min()) >= _FAR:
            return np.zeros(key.shape, np.uint16)
        key = _spread(key, steps[1], axis=0)
        key = _spread(key, steps[0], axis=1)
        return np.where((key >> 16) <= limit, key & 0xFFFF, 0).astype(np.uint16)

    return grown


def _spread(key: NDArray[np.int64], steps: list[int], axis: int) -> NDArray[np.int64]:
    """Take, along one axis, the smallest key after adding the squared distance of each step."""
    out = key.copy()
    lines, source = np.moveaxis(out, axis, 0), np.moveaxis(key, axis, 0)
    for d in range(1, min(len(steps), len(lines))):
        np.minimum(lines[d:], source[:-d] + steps[d], out=lines[d:])
        np.minimum(lines[:-d], source[d:] + steps[d], out=lines[:-d])
    return out


class SoftEdges:
    """Posteriors of labels: their masks smoothed by a Gaussian, and the background with what is left.

    Parameters
    ----------
    slice_of : callable
        k -> class numbers (nj, ni), 0 is background.
    shape : tuple of int
        (ni, nj, nk) of the scan.
    spacing : tuple of float
        Along i, j, k in mm; infinite along an axis that is no space.
    soft_edge : float
        Width of an edge in mm, greater than 0; the Gaussian has half of it as standard deviation, cut at three of them.
    """

    def __init__(self, slice_of: SliceOf, shape: tuple[int, int, int], spacing: Spacing, soft_edge: float) -> None:
        sigmas = [soft_edge * _SIGMAS_PER_EDGE / s for s in spacing]
        self._kernels = [_gaussian(sigma) for sigma in sigmas]
        self._radii = [len(kernel) // 2 for kernel in self._kernels]
        ni, nj, self._nk = shape
        # Beyond the image there is nothing, not background: weights are those inside, and the color law's mean
        # divides by their sum.
        self._inside = np.outer(_covered(self._kernels[1], nj), _covered(self._kernels[0], ni))
        self._slice_of = remembered(lambda k: _boxed(slice_of(k)), 2 * self._radii[2] + 2)

    def posteriors(self, k: int) -> tuple[list[int], NDArray[np.float32]]:
        """Return the classes near slice k, background first, and their weights (K, nj, ni)."""
        reach = self._radii[2]
        offsets = [d for d in range(-reach, reach + 1) if 0 <= k + d < self._nk]
        near = [(self._kernels[2][d + reach], *self._slice_of(k + d)) for d in offsets]
        classes = sorted({c for _, _, boxes in near for c in boxes})
        out = np.zeros((1 + len(classes), *self._inside.shape), np.float32)
        rest = self._inside * np.float32(sum(float(weight) for weight, _, _ in near))
        for number, c in enumerate(classes, start=1):
            box = self._around([boxes[c] for _, _, boxes in near if c in boxes])
            mask = np.zeros(out[number][box].shape, np.float32)
            for weight, labels, boxes in near:
                if c in boxes:
                    mask += weight * (labels[box] == c)
            out[number][box] = self._smooth(mask)
            rest[box] -= out[number][box]
        out[0] = np.maximum(rest, 0)
        return [0, *classes], out

    def _smooth(self, mask: NDArray[np.float32]) -> NDArray[np.float32]:
        from scipy.ndimage import correlate1d

        for axis, kernel in ((0, self._kernels[1]), (1, self._kernels[0])):
            if len(kernel) > 1:
                mask = correlate1d(mask, kernel, axis=axis, mode="constant")
        return mask

    def _around(self, boxes: list[Box]) -> Box:
        """Return the box that holds all boxes and what the kernels make of their edges."""
        spans = []
        for axis, (reach, side) in enumerate(zip((self._radii[1], self._radii[0]), self._inside.shape, strict=True)):
            low = min(box[axis].start for box in boxes) - reach
            high = max(box[axis].stop for box in boxes) + reach
            spans.append(slice(max(low, 0), min(high, side)))
        return spans[0], spans[1]


def _gaussian(sigma: float) -> NDArray[np.float32]:
    reach = int(_TRUNCATE * sigma)
    if reach == 0:
        return np.ones(1, np.float32)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    return (weights / weights.sum()).astype(np.float32)


def _covered(kernel: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """Return how much of the kernel lies inside a line, for each of its places."""
    return np.convolve(np.ones(side), kernel)[len(kernel) // 2 :][:side].astype(np.float32)


def _boxed(labels: Labels) -> tuple[Labels, dict[int, Box]]:
    from scipy.ndimage import find_objects

    found = find_objects(labels.astype(np.int32))
    return labels, {c: (box[0], box[1]) for c, box in enumerate(found, start=1) if box is not None}
