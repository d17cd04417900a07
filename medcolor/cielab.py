"""Colour as the eye measures it: sRGB, linear light, XYZ and CIELAB under D65, CIEDE2000, and the sRGB gamut.

The constants of IEC 61966-2-1 here are part of the colour law. The white is the sum of the primaries, so every
neutral sRGB colour has a* = b* = 0 exactly, and the luminance weights are 0.2126, 0.7152 and 0.0722.
"""

# ruff: noqa: N806 - CIEDE2000 keeps the names of its paper.
from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.floating]

# IEC 61966-2-1, linear sRGB -> XYZ; the middle row is relative luminance.
XYZ_FROM_RGB = ((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505))
WHITE_D65 = (0.4124 + 0.3576 + 0.1805, 1.0, 0.0193 + 0.1192 + 0.9505)
RGB_FROM_XYZ = tuple(tuple(float(x) for x in row) for row in np.linalg.inv(np.array(XYZ_FROM_RGB)))
_DELTA = 6 / 29  # CIE 15: f(t) is a cube root above delta^3, a line below
_BISECTIONS = 40
_GAMUT_SLACK = 1e-9  # in linear light; far below half a step of 8 bits


def _float(values: ArrayLike) -> Floats:
    array = np.asarray(values)
    return array if array.dtype in (np.float32, np.float64) else array.astype(np.float64)


def srgb_to_linear(srgb: ArrayLike) -> Floats:
    """Decode sRGB.

    Parameters
    ----------
    srgb : array_like of float
        Encoded channels, 0..1; any shape. float32 in gives float32 out.

    Returns
    -------
    ndarray of float
        Linear light, 0..1.
    """
    c = _float(srgb)
    return np.where(c <= 0.04045, c / 12.92, (np.maximum((c + 0.055) / 1.055, 0)) ** 2.4).astype(c.dtype)


def linear_to_srgb(linear: ArrayLike) -> Floats:
    """Encode linear light, 0..1, as sRGB, 0..1; the inverse of :func:`srgb_to_linear`."""
    y = _float(linear)
    return np.where(y <= 0.0031308, 12.92 * y, 1.055 * np.maximum(y, 0) ** (1 / 2.4) - 0.055).astype(y.dtype)


def _mix(channels: Floats, matrix: tuple[tuple[float, ...], ...]) -> Floats:
    # Written out, because a BLAS product differs in its last bit from machine to machine.
    x, y, z = channels[..., 0], channels[..., 1], channels[..., 2]
    return np.stack([x * r[0] + y * r[1] + z * r[2] for r in matrix], axis=-1)


def linear_to_xyz(linear: ArrayLike) -> Floats:
    """Convert linear sRGB (..., 3) to CIE XYZ (..., 3) with Y = 1 at white."""
    return _mix(_float(linear), XYZ_FROM_RGB)


def xyz_to_linear(xyz: ArrayLike) -> Floats:
    """Convert CIE XYZ (..., 3) to linear sRGB (..., 3), outside 0..1 where sRGB cannot show the colour."""
    return _mix(_float(xyz), RGB_FROM_XYZ)


def xyz_to_lab(xyz: ArrayLike, *, white: tuple[float, float, float] = WHITE_D65) -> Floats:
    """Convert CIE XYZ (..., 3) to CIELAB (..., 3): L* 0..100, a*, b*."""
    values = _float(xyz)
    t = values / np.array(white, dtype=values.dtype)
    f = np.where(t > _DELTA**3, np.cbrt(t), t / (3 * _DELTA**2) + 4 / 29)
    lab = [116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])]
    return np.stack(lab, axis=-1).astype(values.dtype)


def lab_to_xyz(lab: ArrayLike, *, white: tuple[float, float, float] = WHITE_D65) -> Floats:
    """Convert CIELAB (..., 3) to CIE XYZ (..., 3)."""
    values = _float(lab)
    fy = (values[..., 0] + 16) / 116
    f = np.stack([fy + values[..., 1] / 500, fy, fy - values[..., 2] / 200], axis=-1)
    t = np.where(f > _DELTA, f * f * f, 3 * _DELTA**2 * (f - 4 / 29))
    return (t * np.array(white, dtype=values.dtype)).astype(values.dtype)


def rgb_to_lab(rgb: ArrayLike) -> Floats:
    """Convert sRGB (..., 3) to CIELAB under D65.

    Parameters
    ----------
    rgb : array_like, (..., 3)
        uint8 0..255, or float 0..1.

    Returns
    -------
    ndarray of float, (..., 3)
        L* 0..100, a*, b*.
    """
    array = np.asarray(rgb)
    scaled = array / 255.0 if array.dtype == np.uint8 else array
    return xyz_to_lab(linear_to_xyz(srgb_to_linear(scaled)))


def lab_to_rgb(lab: ArrayLike) -> Floats:
    """Convert CIELAB (..., 3) to sRGB (..., 3) float; outside 0..1 where sRGB cannot show the colour.

    Nothing is clipped: shrink with :func:`shrink_to_gamut` first, which keeps lightness and hue.
    """
    return linear_to_srgb(xyz_to_linear(lab_to_xyz(lab)))


@lru_cache(maxsize=1)
def gray_to_lightness() -> NDArray[np.float64]:
    """Return the L* (0..100) of each display gray 0..255 as a read-only table of 256."""
    luminance = srgb_to_linear(np.arange(256) / 255.0)
    table = xyz_to_lab(luminance[:, None] * np.array(WHITE_D65))[:, 0].astype(np.float64)
    table.flags.writeable = False
    return table


def lightness_to_gray(lightness: ArrayLike) -> NDArray[np.uint8]:
    """Return the display gray 0..255 nearest to an L* of 0..100; values outside are limited."""
    values = np.clip(_float(lightness), 0, 100)
    fy = (values + 16) / 116
    luminance = np.where(fy > _DELTA, fy**3, 3 * _DELTA**2 * (fy - 4 / 29))
    return np.rint(255 * linear_to_srgb(luminance)).astype(np.uint8)


def delta_e_2000(lab1: ArrayLike, lab2: ArrayLike) -> Floats:
    """Return the CIEDE2000 colour difference; 1 is about just noticeable.

    Parameters
    ----------
    lab1, lab2 : array_like of float, (..., 3)
        CIELAB, broadcast against each other.

    Returns
    -------
    ndarray of float, (...)

    References
    ----------
    Sharma, Wu, Dalal (2005), Color Research and Application 30(1), 21-30; the 34 published pairs are in the tests.
    """
    first, second = np.broadcast_arrays(_float(lab1), _float(lab2))
    (L1, a1, b1), (L2, a2, b2) = np.moveaxis(first, -1, 0), np.moveaxis(second, -1, 0)
    chroma_7 = ((np.hypot(a1, b1) + np.hypot(a2, b2)) / 2) ** 7
    g = 0.5 * (1 - np.sqrt(chroma_7 / (chroma_7 + 25.0**7)))
    a1, a2 = (1 + g) * a1, (1 + g) * a2
    C1, C2 = np.hypot(a1, b1), np.hypot(a2, b2)
    h1, h2 = (np.degrees(np.arctan2(b, a)) % 360 for a, b in ((a1, b1), (a2, b2)))
    gray = C1 * C2 == 0
    difference = h2 - h1
    # Exactly opposite hues belong to the near side; rounding must not decide (pairs 9-16 of Sharma's table).
    wrapped = np.abs(difference) > 180 + 1e-9
    dh = np.where(gray, 0, difference - 360 * np.sign(difference) * wrapped)
    total = h1 + h2
    mean_hue = np.where(wrapped, np.where(total < 360, total + 360, total - 360), total) / 2
    h = np.radians(np.where(gray, total, mean_hue))
    dL, dC, dH = L2 - L1, C2 - C1, 2 * np.sqrt(C1 * C2) * np.sin(np.radians(dh) / 2)
    L, C = (L1 + L2) / 2, (C1 + C2) / 2
    t = 1 - 0.17 * np.cos(h - np.pi / 6) + 0.24 * np.cos(2 * h) + 0.32 * np.cos(3 * h + np.pi / 30)
    t = t - 0.20 * np.cos(4 * h - np.radians(63))
    s_l = 1 + 0.015 * (L - 50) ** 2 / np.sqrt(20 + (L - 50) ** 2)
    s_c, s_h = 1 + 0.045 * C, 1 + 0.015 * C * t
    r_c = 2 * np.sqrt(C**7 / (C**7 + 25.0**7))
    r_t = -r_c * np.sin(np.radians(60 * np.exp(-(((np.degrees(h) - 275) / 25) ** 2))))
    x, y, z = dL / s_l, dC / s_c, dH / s_h
    return np.sqrt(np.maximum(x * x + y * y + z * z + r_t * y * z, 0))


def in_gamut(lab: ArrayLike) -> NDArray[np.bool_]:
    """Tell which CIELAB colours (..., 3) sRGB can show."""
    linear = xyz_to_linear(lab_to_xyz(lab))
    return np.all((linear >= -_GAMUT_SLACK) & (linear <= 1 + _GAMUT_SLACK), axis=-1)


def max_chroma(lightness: ArrayLike, hue: ArrayLike) -> NDArray[np.float64]:
    """Return the largest chroma sRGB can show at a lightness and hue.

    Parameters
    ----------
    lightness : array_like of float
        L*, 0..100.
    hue : array_like of float
        Hue angle in degrees, atan2(b*, a*); broadcast against ``lightness``.

    Returns
    -------
    ndarray of float64
        Chroma, 0..134; 0 at black and white.
    """
    L, angle = np.broadcast_arrays(np.asarray(lightness, np.float64), np.radians(np.asarray(hue, np.float64)))
    direction = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    return _reach(L, direction, np.full(L.shape, 150.0))


def _reach(L: Floats, direction: Floats, far: Floats) -> NDArray[np.float64]:
    """Bisect for the largest s in [0, far] with (L, s * direction) inside sRGB."""
    low, high = np.zeros(L.shape), np.array(far, dtype=np.float64)
    inside = in_gamut(np.concatenate([L[..., None], high[..., None] * direction], axis=-1))
    low[inside] = high[inside]
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        inside = in_gamut(np.concatenate([L[..., None], middle[..., None] * direction], axis=-1))
        low, high = np.where(inside, middle, low), np.where(inside, high, middle)
    return low


def shrink_to_gamut(lightness: ArrayLike, ab: ArrayLike) -> NDArray[np.float64]:
    """Bring colours into sRGB by moving them toward the gray axis: lightness and hue stay, chroma gives way.

    Parameters
    ----------
    lightness : array_like of float, (...)
        L*, 0..100.
    ab : array_like of float, (..., 2)
        Broadcast against ``lightness``. Colours that sRGB can show come back unchanged.

    Returns
    -------
    ndarray of float64, (..., 2)
    """
    wanted = np.asarray(ab, dtype=np.float64)
    L = np.asarray(lightness, dtype=np.float64)
    shape = np.broadcast_shapes(L.shape, wanted.shape[:-1])
    L, wanted = np.broadcast_to(L, shape), np.broadcast_to(wanted, (*shape, 2)).copy()
    outside = ~in_gamut(np.concatenate([L[..., None], wanted], axis=-1))
    if outside.any():
        direction = wanted[outside]
        wanted[outside] = direction * _reach(L[outside], direction, np.ones(int(outside.sum())))[..., None]
    return wanted
