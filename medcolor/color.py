"""The colour law: structure comes from the scan, only colour is invented.

Every triple made here reads back as the display gray it was made from: its relative luminance (IEC 61966-2-1),
sRGB-encoded, times 255, rounded half to even, equals the gray, for all 256 grays and all (a*, b*). So
``restore_gray(rgb) == gray`` bit for bit, and no edge can be painted in or out.

A pixel costs one gather from the table of :mod:`medcolor.color_table`; the place in the table is computed with
single float32 operations, so numpy and torch, CPU and GPU, blocks and wholes give the same bytes.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from medcolor.color_gather import Scratch, as_float32, contained, in_chunks
from medcolor.color_law import restore_gray
from medcolor.color_table import CENTER, LIMIT, NODES, STEP, law_table

if TYPE_CHECKING:
    import torch

__all__ = [
    "ab_index",
    "apply_color",
    "apply_color_torch",
    "color_from_posteriors",
    "index_from_posteriors",
    "law_table",
    "restore_gray",
]

_PER_NODE = np.float32(1 / STEP)
_LIMIT = np.float32(LIMIT)


def ab_index(ab: ArrayLike) -> NDArray[np.int32]:
    """Return the place of each (a*, b*) among the nodes of the table.

    Parameters
    ----------
    ab : array_like of float, (..., 2)
        Any values. Colours outside +-108 are scaled toward the gray axis into the table (sRGB has none there);
        a pair with NaN or infinity is gray.

    Returns
    -------
    ndarray of int32, (...)
        ``law_table().reshape(-1, 256)[ab_index(ab), gray]`` is the packed colour.
    """
    values = contained(as_float32(ab))
    nodes = np.rint(values * _PER_NODE).astype(np.int32)
    return nodes[..., 0] * np.int32(NODES) + nodes[..., 1] + np.int32(CENTER)


def apply_color(
    gray: NDArray[np.uint8],
    ab: ArrayLike,
    *,
    strength: float = 1.0,
    out: NDArray[np.uint8] | None = None,
) -> NDArray[np.uint8]:
    """Give a gray image its colour.

    Parameters
    ----------
    gray : ndarray of uint8, (...)
        Display gray.
    ab : array_like of float, (..., 2)
        a*, b* of each pixel; same leading shape as ``gray``. Colours sRGB cannot show at this lightness lose chroma,
        never lightness; NaN and infinity are gray.
    strength : float
        0..1, multiplies ``ab``; 0 gives the gray image itself.
    out : ndarray of uint8, (..., 3), optional
        C-contiguous; written and returned.

    Returns
    -------
    ndarray of uint8, (..., 3)
        sRGB, with ``restore_gray(result) == gray``.

    Raises
    ------
    TypeError, ValueError
        Wrong types, shapes that do not belong together, a strength outside 0..1.
    """
    gray = _checked_gray(gray)
    pairs = np.asarray(ab)
    if pairs.shape != (*gray.shape, 2):
        raise ValueError(f"ab must have shape {(*gray.shape, 2)} (that of gray, and 2), got {pairs.shape}.")
    target = _target(gray.shape, out)
    levels, pairs, rgb = gray.reshape(-1), pairs.reshape(-1, 2), target.reshape(-1, 3)
    factor = _checked_strength(strength)

    def paint(scratch: Scratch, span: slice) -> None:
        a, b = scratch.ab(span.stop - span.start)
        with np.errstate(invalid="ignore"):  # 0 x infinity: gray, as it should be
            faded = contained(as_float32(pairs[span]) * factor)
        np.multiply(faded[:, 0], _PER_NODE, out=a)
        np.multiply(faded[:, 1], _PER_NODE, out=b)
        scratch.gather(levels[span], rgb[span])

    in_chunks(paint, levels.size)
    return target


def color_from_posteriors(
    gray: NDArray[np.uint8],
    posteriors: NDArray[np.floating],
    palette_ab: ArrayLike,
    *,
    strength: float = 1.0,
    out: NDArray[np.uint8] | None = None,
) -> NDArray[np.uint8]:
    """Colour slices by their tissue posteriors: the palette's annealed mean, then the colour law.

    The weights are p^(1/T) with temperature T = 1/2 (Zhang 2016), that is squared posteriors renormalised: a sharp
    opinion shows its class's colour, an even mixture still blends, and no root or exponential is needed.

    Parameters
    ----------
    gray : ndarray of uint8, (...), usually (n, nj, ni)
        Display gray.
    posteriors : ndarray of float, (K, ...)
        Class probabilities; the sum need not be exactly 1. Best as C-contiguous float32: another layout is copied.
        Pixels whose posteriors are all 0, or not finite, are gray.
    palette_ab : array_like of float, (K, 2)
        a*, b* of each class.
    strength : float
        0..1, multiplies the palette; 0 gives the gray image itself.
    out : ndarray of uint8, (..., 3), optional
        C-contiguous; written and returned.

    Returns
    -------
    ndarray of uint8, (..., 3)
        The same bytes however the image is cut into blocks.

    Raises
    ------
    TypeError, ValueError
        As for :func:`apply_color`.
    """
    gray = _checked_gray(gray)
    palette = as_float32(palette_ab)
    if posteriors.shape[1:] != gray.shape or palette.shape != (len(posteriors), 2) or not len(posteriors):
        raise ValueError(
            f"gray {gray.shape}, posteriors {posteriors.shape} and palette_ab {palette.shape} do not belong together: "
            f"expected posteriors (K, *gray.shape) and palette_ab (K, 2) with K >= 1."
        )
    target = _target(gray.shape, out)
    weights = _weights(palette, strength)
    planes = posteriors.reshape(len(posteriors), -1)
    levels, rgb = gray.reshape(-1), target.reshape(-1, 3)

    def paint(scratch: Scratch, span: slice) -> None:
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):  # such pixels become gray
            scratch.annealed_mean(weights, planes, span)
        scratch.gather(levels[span], rgb[span])

    in_chunks(paint, levels.size)
    return target


def index_from_posteriors(
    posteriors: NDArray[np.floating], palette_ab: ArrayLike, *, strength: float = 1.0
) -> NDArray[np.int32]:
    """Return the place among the nodes of the table that :func:`color_from_posteriors` gives each pixel.

    What does not depend on the gray: a viewer keeps it while the window changes.

    Parameters
    ----------
    posteriors : ndarray of float, (K, ...)
    palette_ab : array_like of float, (K, 2)
    strength : float

    Returns
    -------
    ndarray of int32, (...)
        As :func:`ab_index`.
    """
    palette = as_float32(palette_ab)
    if palette.shape != (len(posteriors), 2) or not len(posteriors):
        raise ValueError(
            f"posteriors {posteriors.shape} and palette_ab {palette.shape} do not belong together: "
            f"expected (K, ...) and (K, 2) with K >= 1."
        )
    weights = _weights(palette, strength)
    planes = posteriors.reshape(len(posteriors), -1)
    index = np.empty(planes.shape[1], np.int32)

    def place(scratch: Scratch, span: slice) -> None:
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):  # such pixels become gray
            scratch.annealed_mean(weights, planes, span)
        a, b = scratch.ab(span.stop - span.start)
        np.rint(a, out=a)
        np.rint(b, out=b)
        a *= np.float32(NODES)
        a += b
        a += np.float32(CENTER)
        np.copyto(index[span], a, casting="unsafe")

    in_chunks(place, index.size)
    return index.reshape(posteriors.shape[1:])


def apply_color_torch(gray: torch.Tensor, ab: torch.Tensor, *, strength: float = 1.0) -> torch.Tensor:
    """Give a gray tensor its colour, on the device it lives on; the same bytes as :func:`apply_color`.

    Parameters
    ----------
    gray : Tensor of uint8, (...)
    ab : Tensor of float, (..., 2)
        On the same device. No gradient flows: 8-bit colours have none.
    strength : float
        0..1, multiplies ``ab``.

    Returns
    -------
    Tensor of uint8, (..., 3)

    Raises
    ------
    TypeError, ValueError
        As for :func:`apply_color`.
    """
    import torch

    if gray.dtype != torch.uint8:
        raise TypeError(f"gray must be a tensor of uint8, got {gray.dtype}.")
    if ab.shape != (*gray.shape, 2):
        raise ValueError(f"ab must have shape {(*gray.shape, 2)} (that of gray, and 2), got {tuple(ab.shape)}.")
    # One operation a line, none fused: each rounds as its numpy twin does.
    pairs = ab.detach().to(torch.float32) * float(_checked_strength(strength))
    pairs = torch.where(torch.isfinite(pairs).all(dim=-1, keepdim=True), pairs, 0.0)
    largest = pairs.abs().amax(dim=-1, keepdim=True)
    shrunk = pairs * (float(_LIMIT) / largest.clamp(min=float(_LIMIT)))
    pairs = torch.where(largest > float(_LIMIT), shrunk, pairs)
    nodes = torch.round(pairs * float(_PER_NODE)).to(torch.int64)
    place = (nodes[..., 0] * NODES + nodes[..., 1] + CENTER) * 256 + gray
    return _torch_table(str(gray.device))[place]


@lru_cache(maxsize=4)
def _torch_table(device: str) -> torch.Tensor:
    import torch

    packed = law_table().reshape(-1)
    triples = np.stack([(packed >> shift).astype(np.uint8) for shift in (0, 8, 16)], axis=-1)
    return torch.from_numpy(triples).to(device)


def _weights(palette: NDArray[np.float32], strength: float) -> NDArray[np.float32]:
    weights = np.ones((3, len(palette)), dtype=np.float32)
    weights[:2] = (contained(palette) * _checked_strength(strength) * _PER_NODE).T
    return weights


def _checked_gray(gray: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if not isinstance(gray, np.ndarray) or gray.dtype != np.uint8:
        raise TypeError(f"gray must be an array of uint8, got {getattr(gray, 'dtype', type(gray).__name__)}.")
    return gray


def _checked_strength(strength: float) -> np.float32:
    if not 0 <= strength <= 1:
        raise ValueError(f"strength must lie in 0..1, got {strength}.")
    return np.float32(strength)


def _target(shape: tuple[int, ...], out: NDArray[np.uint8] | None) -> NDArray[np.uint8]:
    if out is None:
        return np.empty((*shape, 3), dtype=np.uint8)
    if out.shape != (*shape, 3) or out.dtype != np.uint8 or not out.flags.c_contiguous or not out.flags.writeable:
        raise ValueError(
            f"out must be a writable C-contiguous uint8 array of shape {(*shape, 3)}, got {out.dtype} {out.shape}."
        )
    return out
