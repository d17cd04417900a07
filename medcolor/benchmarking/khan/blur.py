"""Gray blurred before it is grouped: what an arm must beat whose colour only knows the neighbourhood of a pixel.

Tissue models filter speckle and clean regions, so their colour is smoother than the gray. K-means sees single pixels
and gains by any smoothing, with or without a tissue in it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medcolor.benchmarking.colorizers.arms import code_hash
from medcolor.cielab import gray_to_lightness
from medcolor.comparison.arms import Arm
from medcolor.comparison.controls import Channels
from medcolor.comparison.renders import SCALE
from medcolor.errors import SettingError
from medcolor.scan import Scan
from medcolor.windowing import grayscale, resolve_display

BLURRED = "blurred"
SIGMAS = (1.0, 1.5, 2.0, 3.0)
"""Standard deviations, in pixels of the grid that is segmented."""


def blurred(gray: NDArray[np.uint8], sigma: float) -> NDArray[np.float32]:
    """Return the lightness of a displayed slice (nj, ni) after a Gaussian, L* / 100."""
    from scipy.ndimage import gaussian_filter

    return np.asarray(gaussian_filter((gray_to_lightness() / SCALE).astype(np.float32)[gray], sigma))


def blurred_arm(name: str) -> Arm:
    """Return the arm ``blurred:SIGMA``.

    Raises
    ------
    SettingError
        No sigma above 0.
    """
    text = name.removeprefix(f"{BLURRED}:")
    try:
        sigma = float(text)
    except ValueError:
        sigma = 0.0
    if not sigma > 0:
        raise SettingError(f'"{name}" is no arm; {BLURRED}:SIGMA has a standard deviation in pixels, above 0.')

    def render(scan: Scan, rng: np.random.Generator) -> Channels:
        gray_of = grayscale(scan, resolve_display(scan, None))
        return np.stack([blurred(gray, sigma) for gray in gray_of(slice(None))])[:, None]

    return Arm(name, 1, True, f"gray blurred, sigma {text} pixels", render, f"{name} {code_hash(__file__)}")


__all__ = ["BLURRED", "SIGMAS", "blurred", "blurred_arm"]
