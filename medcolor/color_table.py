"""The table behind the colour law: display gray x (a*, b*) -> an sRGB triple that reads back as exactly that gray.

An entry is the colour of that lightness and hue, shrunk toward the gray axis until sRGB can show it, rounded to
8 bits, and checked in float64. The few that rounding pushes one gray level off are repaired by moving blue and
red first, whose share of the luminance is smallest. The node (0, 0) is (g, g, g).

The table is computed, not shipped. So that every machine computes the same bytes, the arithmetic is elementwise
(each +, -, *, / and comparison is exactly rounded by IEEE 754; no BLAS, no fused products), and the only powers
are in three tables of a few hundred values whose last bit decides nothing.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

from medcolor.cielab import RGB_FROM_XYZ, WHITE_D65, gray_to_lightness, srgb_to_linear
from medcolor.color_law import gray_thresholds, luminance_of_channels

STEP = 1.0  # distance of neighbouring nodes in a* and b*; a power of two, so that scaling by it is exact
HALF = 108  # nodes on each side of 0: +-108 holds every sRGB colour (a* -87..99, b* -108..95)
NODES = 2 * HALF + 1
LIMIT = STEP * HALF
CENTER = HALF * NODES + HALF  # flat place of (0, 0) among the nodes

_RAYS = 216  # rays over each half side of the square of nodes, for the gamut boundary
_BISECTIONS = 18
_CODES = 1 << 16  # cells of the sRGB encoding table: at least 19 for each 8-bit level
_SAFETY = 1e-3  # gray levels kept clear of a rounding border, so that a float32 reader sees the same gray
_GRAYS_AT_ONCE = 16
_F32 = np.float32


@lru_cache(maxsize=1)
def law_table() -> NDArray[np.uint32]:
    """Return the table, built at the first call (a fraction of a second) and kept for the process.

    Returns
    -------
    ndarray of uint32, (NODES, NODES, 256)
        Indexed by a* node, b* node (node n is (n - HALF) * STEP) and gray; packed R + 256 G + 65536 B. Read-only.
        Gray runs fastest: within a tissue the colour is smooth and the gray is noisy, so neighbours share cache lines.
    """
    table = np.empty((NODES * NODES, 256), dtype="<u4")
    inverse_reach = _inverse_reach()

    def fill(first: int) -> None:
        # A cache line of grays at a time: the planes are computed one by one, but stored across.
        grays = range(first, first + _GRAYS_AT_ONCE)
        table[:, first : first + _GRAYS_AT_ONCE] = np.stack([_plane(g, inverse_reach[g]) for g in grays]).T

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(fill, range(0, 256, _GRAYS_AT_ONCE)))
    table.flags.writeable = False
    return table.reshape(NODES, NODES, 256)


def _cubed(f: NDArray[np.float32], white: float) -> NDArray[np.float32]:
    line = (f - _F32(4 / 29)) * _F32(3 * (6 / 29) ** 2)
    return np.where(f > _F32(6 / 29), f * f * f, line) * _F32(white)


def _linear_rgb(fy: NDArray[np.float32], a: NDArray[np.float32], b: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """Linear sRGB of (f(Y), a*, b*) in float32; numpy rounds after every operation."""
    X = _cubed(fy + a * _F32(1 / 500), WHITE_D65[0])
    Y = _cubed(fy, 1.0)
    Z = _cubed(fy - b * _F32(1 / 200), WHITE_D65[2])
    return [X * _F32(r[0]) + Y * _F32(r[1]) + Z * _F32(r[2]) for r in RGB_FROM_XYZ]


def _f_of_gray() -> NDArray[np.float32]:
    return ((gray_to_lightness() + 16) / 116).astype(np.float32)


def _inverse_reach() -> NDArray[np.float32]:
    """Find the edge of the gamut along rays from the gray axis, by bisection, for all grays at once.

    Returns 1 / max(|a*|, |b*|) at the edge, (256, 4 sides, rays): the reciprocal, because it is linear along a
    straight edge, so that interpolating between rays is nearly exact.
    """
    t = (np.arange(2 * _RAYS + 1) / _RAYS - 1).astype(np.float32)
    one = np.ones_like(t)
    a = np.stack([one, -one, t, t])[None]
    b = np.stack([t, t, one, -one])[None]
    fy = _f_of_gray()[:, None, None]
    low = np.zeros((256, 4, t.size), dtype=np.float32)
    high = np.full_like(low, 2 * LIMIT)
    slack = _F32(1e-6)
    for _ in range(_BISECTIONS):
        middle = (low + high) * _F32(0.5)
        red, green, blue = _linear_rgb(fy, a * middle, b * middle)
        least = np.minimum(np.minimum(red, green), blue)
        most = np.maximum(np.maximum(red, green), blue)
        inside = (least >= -slack) & (most <= 1 + slack)
        low, high = np.where(inside, middle, low), np.where(inside, high, middle)
    return np.asarray(_F32(1) / np.maximum(low, _F32(1e-3)), dtype=np.float32)


@lru_cache(maxsize=1)
def _nodes() -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.intp], NDArray[np.float32]]:
    """For each node: a*, b*, the ray before it (flat), and the fraction of the way to the next ray."""
    axis = ((np.arange(NODES) - HALF) * STEP).astype(np.float32)
    a, b = np.repeat(axis, NODES), np.tile(axis, NODES)
    steep = np.abs(b) > np.abs(a)
    major, minor = np.where(steep, b, a), np.where(steep, a, b)
    side = 2 * steep + (major < 0)
    place = (minor / np.maximum(np.abs(major), 1) + 1) * _RAYS
    ray = np.minimum(place.astype(np.intp), 2 * _RAYS - 1)
    return a, b, side * (2 * _RAYS + 1) + ray, (place - ray).astype(np.float32)


@lru_cache(maxsize=1)
def _encoding() -> NDArray[np.uint8]:
    """Return the 8-bit sRGB value nearest to linear light n / (_CODES - 1)."""
    light = np.arange(_CODES) / (_CODES - 1)
    return np.searchsorted(gray_thresholds(), light, side="right").astype(np.uint8)


def _plane(gray: int, inverse_reach: NDArray[np.float32]) -> NDArray[np.uint32]:
    """Return the packed colours of one gray level, for all nodes."""
    a, b, ray, fraction = _nodes()
    edges = inverse_reach.reshape(-1)
    here, after = edges.take(ray), edges.take(ray + 1)
    beyond = np.maximum(np.abs(a), np.abs(b)) * (here + (after - here) * fraction)
    scale = _F32(1) / np.maximum(beyond, _F32(1))
    top = _F32(_CODES - 1)
    channels = [
        _encoding().take((np.minimum(np.maximum(light, _F32(0)), _F32(1)) * top + _F32(0.5)).astype(np.intp))
        for light in _linear_rgb(_f_of_gray()[gray], a * scale, b * scale)
    ]
    _repair(channels, gray)
    for channel in channels:
        channel[CENTER] = gray
    red, green, blue = (channel.astype(np.uint32) for channel in channels)
    return np.asarray(red | green << 8 | blue << 16, dtype=np.uint32)


@lru_cache(maxsize=1)
def _moves() -> tuple[tuple[int, int, int], ...]:
    """Small changes of (R, G, B), the least visible first: by luminance moved, blue and red before green."""
    span = range(-3, 4)
    moves = product(span, range(-1, 2), span)
    return tuple(sorted(moves, key=lambda m: (3 * abs(m[0]) + 10 * abs(m[1]) + 2 * abs(m[2]), m)))


def _repair(channels: list[NDArray[np.uint8]], gray: int) -> None:
    """Move, in place, every triple that does not read back as ``gray``; (gray, gray, gray) is the last resort."""
    low, high = (float(srgb_to_linear((gray + d) / 255.0)) for d in (_SAFETY - 0.5, 0.5 - _SAFETY))
    weight = luminance_of_channels()
    red, green, blue = channels
    Y = weight[0].take(red) + weight[1].take(green) + weight[2].take(blue)
    wrong = np.flatnonzero((low > Y) | (high < Y))
    was = [channel[wrong].astype(np.intp) for channel in channels]
    open_ = np.ones(wrong.size, dtype=bool)
    for channel in channels:
        channel[wrong] = gray
    for move in _moves():
        if not open_.any():
            break
        now = [w + m for w, m in zip(was, move, strict=True)]
        fits = open_ & np.logical_and.reduce([(n >= 0) & (n <= 255) for n in now])
        light = [weight[c].take(np.clip(now[c], 0, 255)) for c in range(3)]
        Y = light[0] + light[1] + light[2]
        fits &= (low <= Y) & (high >= Y)
        for channel, value in zip(channels, now, strict=True):
            channel[wrong[fits]] = value[fits]
        open_ &= ~fits
