"""Chroma that says nothing of the image: what an arm of colour must beat.

All take slices as shown, CIELAB / 100 of (nk, 3, nj, ni), and leave the lightness as it is. Chroma here need not be
one that a display can show: a control that gave way to the gamut would know the gray again. One has no chroma but a
second lightness.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Channels = NDArray[np.float32]
REACH = 0.5  # of a* and b* / 100 from one side of the image to the other, either way from 0
BLUR = 2.0  # pixels of the image as shown, standard deviation
_COARSE = 4  # nodes of the random field along a side


def shuffled(shown: Channels, there: NDArray[np.bool_], rng: np.random.Generator) -> Channels:
    """Return the same chroma, each slice's exchanged among its pixels at random.

    Parameters
    ----------
    shown : ndarray of float32, (nk, 3, nj, ni)
    there : ndarray of bool, (nk, nj, ni)
        Where the slice has an image; elsewhere nothing moves.
    rng : Generator
    """
    out = shown.copy()
    for slice_, inside in zip(out, there, strict=True):
        chroma = slice_[1:, inside]
        slice_[1:, inside] = chroma[:, rng.permutation(chroma.shape[1])]
    return out


def smooth(shown: Channels, rng: np.random.Generator) -> Channels:
    """Return random chroma that changes slowly over each slice, a* and b* each within +-REACH."""
    from scipy import ndimage

    out = shown.copy()
    nj, ni = shown.shape[2:]
    for slice_ in out:
        for plane in slice_[1:]:
            nodes = rng.uniform(-REACH, REACH, (_COARSE, _COARSE))
            rows, columns = np.linspace(0, _COARSE - 1, nj), np.linspace(0, _COARSE - 1, ni)
            plane[:] = ndimage.map_coordinates(nodes, np.meshgrid(rows, columns, indexing="ij"), order=1)
    return out


def position(shown: Channels) -> Channels:
    """Return the place of each pixel as chroma: a* from left to right, b* from top to bottom, in every image alike."""
    out = shown.copy()
    nj, ni = shown.shape[2:]
    out[:, 1] = np.linspace(-REACH, REACH, ni, dtype=np.float32)
    out[:, 2] = np.linspace(-REACH, REACH, nj, dtype=np.float32)[:, None]
    return out


def blurred(shown: Channels) -> Channels:
    """Return the lightness, and the lightness after a Gaussian of BLUR pixels as a second channel.

    What a colorizer knows of a pixel's neighbourhood, without colour: (nk, 2, nj, ni).
    """
    from scipy import ndimage

    gray = shown[:, 0]
    return np.stack([gray, ndimage.gaussian_filter(gray, (0, BLUR, BLUR), mode="nearest")], axis=1)


__all__ = ["BLUR", "REACH", "Channels", "blurred", "position", "shuffled", "smooth"]
