"""What a volume's gray is like as a whole, for a network that sees one slice: a histogram, and whether units are known.

A CT saved as a picture, another gamma, a window burnt in: these change every slice alike, and one slice does not show
them well. The histogram of the volume does, it costs nothing, and being the same for all slices it makes no flicker.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from medcolor.networks.normalization import Normalization, spread_sample
from medcolor.scan import Scan

BINS = 32
SUMMARY = BINS + 1
"""Numbers in a summary."""
_VALUES = 16384  # that stand for a volume, as in training
_DARK = -0.995  # input below it is air, background, padding: how much of it there is says how the field was chosen


def summarize(fitted: Normalization, values: NDArray[Any]) -> NDArray[np.float32]:
    """Return the summary of a volume, (SUMMARY,).

    Parameters
    ----------
    fitted : Normalization
        Of this volume.
    values : ndarray
        Of the whole volume, or a sample that stands for it, in scan units.

    Returns
    -------
    ndarray of float32
        Square roots of the shares of 32 soft bins over the network's input from -1 to 1 (dark values left out), times
        4, about 1 where all are alike; then 1 where the values have a unit and -1 where they have none.
    """
    x = fitted(np.ascontiguousarray(values).reshape(-1))
    x = x[x > _DARK]
    shares: NDArray[np.floating] = np.zeros(BINS)
    if x.size:
        place = (x.astype(np.float64) + 1) * ((BINS - 1) / 2)
        low = np.minimum(place.astype(np.intp), BINS - 2)
        part = place - low
        shares = (np.bincount(low, 1 - part, BINS) + np.bincount(low + 1, part, BINS)) / x.size
    known = 1.0 if fitted.kind in ("hu", "suv") else -1.0
    return np.concatenate([4 * np.sqrt(shares), [known]]).astype(np.float32)


def volume_summary(fitted: Normalization, scan: Scan) -> NDArray[np.float32]:
    """Return the summary of a scan, (SUMMARY,), from values spread evenly over it."""
    return summarize(fitted, spread_sample(scan, at_most=_VALUES))


__all__ = ["BINS", "SUMMARY", "summarize", "volume_summary"]
