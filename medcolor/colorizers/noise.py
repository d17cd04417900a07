"""Noise smoothed away before physics looks: it judges pixel by pixel, and would take noise for tissue.

How strong the noise is, is measured once for a scan. Only what physics is told is smoothed; the network sees the gray
as it is beside it, and so does whoever looks at the picture.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medcolor.colorizers.altered import altered, spread_slices
from medcolor.mapped_files import let_go
from medcolor.scan import Finding, Scan, Severity
from medcolor.tissue.model import valid, values_of
from medcolor.windowing import display_bounds

LEAST = 0.012
"""Share of the window: weaker noise is left alone. Clean scans of the packs have .002 to .009."""
CODE = "noise"
_SLICES = 8  # looked at, spread evenly
_SHOWN = (0.04, 0.98)  # of the window: what is cut off at black or white has no noise to be seen
_ENOUGH = 500  # pixels of a slice, for an estimate
_SIDE = 5  # pixels
_STRENGTH = 1.2  # times the noise; 1 leaves a little more of it


def noise_of(scan: Scan) -> float:
    """Return the standard deviation of the noise of a scan as a share of its display's window; 0 where none is seen.

    The median over slices of what a mask says that no plane and no slope passes (Immerkær, Fast noise variance
    estimation, 1996), by the median of its absolute value, so that edges do not count.
    """
    from scipy.ndimage import convolve

    mask = np.outer([1, -2, 1], [1, -2, 1]).astype(np.float32)
    (low, high), seen = display_bounds(scan), []
    for k in spread_slices(scan.shape[2], _SLICES):
        block = slice(k, k + 1)
        gray = np.clip((values_of(scan, block)[0] - np.float32(low)) / np.float32(high - low), 0, 1)
        counted = (gray > _SHOWN[0]) & (gray < _SHOWN[1])
        if (good := valid(scan, block)) is not None:
            gray[~good[0]], counted = 0, counted & good[0]
        if counted.sum() >= _ENOUGH:
            seen.append(float(np.median(np.abs(convolve(gray, mask, mode="nearest")[counted]))) * 1.4826 / 6)
        let_go(scan.voxels)
    return float(np.median(seen)) if seen else 0.0


def smoothed(scan: Scan, noise: float) -> Scan:
    """Return the scan through a Wiener filter of 5 x 5 pixels; itself where the noise is next to nothing.

    Parameters
    ----------
    scan : Scan
    noise : float
        Share of the window, of :func:`noise_of`.

    Returns
    -------
    Scan
        float32, what is no image not a number. Only for looking at: what is displayed and written stays the scan.
    """
    if noise < LEAST:
        return scan
    low, high = display_bounds(scan)

    def change(values: NDArray[np.float32], image: NDArray[np.bool_] | None) -> NDArray[np.float64]:
        gray = (values.astype(np.float64) - low) / (high - low)
        if image is not None:
            gray[~image] = 0
        return low + (high - low) * _wiener(gray, _STRENGTH * noise)

    return altered(scan, change)


def _wiener(gray: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    """Return what ``scipy.signal.wiener`` gives, in a fifth of its time on large images: by box means."""
    from scipy.ndimage import uniform_filter

    mean = uniform_filter(gray, _SIDE, mode="reflect")
    variance = uniform_filter(gray * gray, _SIDE, mode="reflect") - mean * mean
    share = np.maximum(variance - sigma**2, 0) / np.maximum(variance, sigma**2)
    found: NDArray[np.float64] = mean + share * (gray - mean)
    return found


def finding_of(noise: float) -> Finding | None:
    """Return the line of the audit that says what was smoothed; None where nothing was."""
    if noise < LEAST:
        return None
    return Finding(
        CODE,
        f"The gray looks noisy (about {noise:.1%} of the window). Tissues were judged with noise smoothed away; the "
        "displayed gray is as it was.",
        Severity.NOTE,
    )


__all__ = ["CODE", "LEAST", "finding_of", "noise_of", "smoothed"]
