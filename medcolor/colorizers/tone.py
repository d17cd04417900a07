"""Gamma undone before network and physics look: estimated once for a scan, said aloud, never in the displayed gray."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from medcolor.colorizers.altered import altered, spread_slices
from medcolor.mapped_files import let_go
from medcolor.scan import Finding, Scan, Severity
from medcolor.tissue.model import valid, values_of
from medcolor.windowing import bent, display_bounds

if TYPE_CHECKING:
    from medcolor.networks.normalization import Normalization

CODE = "tone"
_BEYOND = 0.25  # of the window, that is still seen on either side of it


def small_slices(scan: Scan, *, count: int, side: int) -> NDArray[np.float32]:
    """Return slices spread evenly over a scan as the estimator sees them: small, -1 shown black and 1 white.

    Parameters
    ----------
    scan : Scan
    count, side : int
        How many at most, and how many pixels in both directions.

    Returns
    -------
    ndarray of float32, (n, side, side)
    """
    import torch
    from torch.nn import functional

    (low, high), seen = display_bounds(scan), []
    for k in spread_slices(scan.shape[2], count):
        gray = (values_of(scan, slice(k, k + 1)) - np.float32(low)) / np.float32(high - low)
        gray = np.clip(1 - gray if scan.inverted else gray, -_BEYOND, 1 + _BEYOND)
        if (good := valid(scan, slice(k, k + 1))) is not None:
            gray[~good] = 0
        seen.append(functional.interpolate(torch.from_numpy(gray)[None], (side, side), mode="area")[0, 0].numpy())
        let_go(scan.voxels)
    return np.stack(seen) * 2 - 1


def log_gamma(scan: Scan, estimator: Any, normalization: Normalization) -> float:
    """Return the natural logarithm of the exponent that bent the gray of a scan, by a network.

    0 where the estimate is nearer to it than the estimator's ``least``: then nothing is to be undone.

    Parameters
    ----------
    scan : Scan
    estimator : ToneEstimator
        In eval mode.
    normalization : Normalization
        Of the bundle, for the volume's summary.
    """
    import torch

    from medcolor.networks.tone import SIDE, SLICES
    from medcolor.networks.volume_summary import volume_summary

    slices = torch.from_numpy(small_slices(scan, count=SLICES, side=SIDE))
    volume = torch.from_numpy(volume_summary(normalization.fit(scan), scan))
    device = next(estimator.parameters()).device  # in a training on a GPU it is there
    with torch.inference_mode():
        found = float(estimator(slices[None].to(device), volume[None].to(device))[0, 0])
    return found if abs(found) >= estimator.least else 0.0


def unbent(scan: Scan, gamma_log: float) -> Scan:
    """Return the scan with a gamma undone between its display's black and white; itself where there is none.

    What is no image is not a number there. Only for looking at: what is displayed and written stays the scan.
    """
    if not gamma_log:
        return scan
    bounds = display_bounds(scan)
    return altered(scan, lambda values, _: bent(values, bounds, -gamma_log))


def finding_of(gamma_log: float) -> Finding | None:
    """Return the line of the audit that says what was undone; None where nothing was."""
    if not gamma_log:
        return None
    return Finding(
        CODE,
        f"The gray looks bent by a gamma of {math.exp(gamma_log):.2f}. Tissues were judged with that undone; the "
        "displayed gray is as it was.",
        Severity.NOTE,
    )


__all__ = ["CODE", "finding_of", "log_gamma", "small_slices", "unbent"]
