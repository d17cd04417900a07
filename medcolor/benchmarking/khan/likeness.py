"""SSIM and PSNR of a coloured picture and the gray it was made from, in the three ways that can be meant."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medcolor.benchmarking.colorizers.figures import ssim
from medcolor.color_law import restore_gray

Bytes = NDArray[np.uint8]

LUMINANCE, LUMA, RGB = "luminance", "luma", "rgb"
READINGS = (LUMINANCE, LUMA, RGB)
"""What is compared with the display gray: the gray that ``restore_gray`` reads, luma of Rec. 601, or all channels."""
PEAK = 255.0
_REC_601 = (0.299, 0.587, 0.114)


@dataclass(frozen=True, slots=True)
class Likeness:
    """How like the gray a patient's coloured slices are, by reading.

    Parameters
    ----------
    mse : Mapping of str to float
        Mean square error in steps of 255 squared, mean over slices.
    ssim : Mapping of str to float
        Mean over slices; NaN where none is as large as the window.
    slices : int
    """

    mse: Mapping[str, float]
    ssim: Mapping[str, float]
    slices: int

    def psnr(self, reading: str) -> float:
        """Return the peak signal-to-noise ratio in dB."""
        return psnr(self.mse[reading])


def psnr(mse: float) -> float:
    """Return the peak signal-to-noise ratio in dB of a mean square error of 8-bit values; infinite where it is 0."""
    return math.inf if mse == 0 else 10 * math.log10(PEAK**2 / mse)


def luma(rgb: Bytes) -> Bytes:
    """Return luma of Rec. 601, rounded: what rgb2gray of MATLAB and most libraries return."""
    return np.rint(rgb.astype(np.float64) @ np.array(_REC_601)).astype(np.uint8)


def compared(rgb: Bytes, gray: Bytes) -> dict[str, tuple[Bytes, Bytes]]:
    """Return what is compared with what, by reading.

    Parameters
    ----------
    rgb : ndarray of uint8, (n, nj, ni, 3)
    gray : ndarray of uint8, (n, nj, ni)

    Returns
    -------
    dict of str to pair of ndarray of uint8, (n, nj, ni, channels)
    """
    one = gray[..., None]
    return {
        LUMINANCE: (restore_gray(rgb)[..., None], one),
        LUMA: (luma(rgb)[..., None], one),
        RGB: (rgb, np.repeat(one, 3, axis=-1)),
    }


def likeness(pictures: Sequence[tuple[Bytes, Bytes]]) -> Likeness:
    """Measure pairs of coloured slices (n, nj, ni, 3) and their display gray (n, nj, ni), slice by slice."""
    mse: dict[str, list[float]] = {name: [] for name in READINGS}
    alike: dict[str, list[float]] = {name: [] for name in READINGS}
    for rgb, gray in pictures:
        for k in range(len(gray)):
            for name, (ours, theirs) in compared(rgb[k : k + 1], gray[k : k + 1]).items():
                mse[name].append(float(np.square(ours.astype(np.float64) - theirs).mean()))
                alike[name].append(ssim(ours, theirs))
    return Likeness({n: _mean(v) for n, v in mse.items()}, {n: _mean(v) for n, v in alike.items()}, len(mse[RGB]))


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan


__all__ = ["LUMA", "LUMINANCE", "PEAK", "READINGS", "RGB", "Likeness", "compared", "likeness", "luma", "psnr"]
