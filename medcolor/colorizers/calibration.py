"""Probabilities as they are told: so often right as they say, which those that mix colours need not be.

Colours are a mean over classes, and a pixel between two tissues should have a colour between theirs: the posteriors
that mix them are learned from targets that are undecided there. Whoever points at a pixel asks something else: which
class is it, and how likely? For that question such posteriors are too modest. One number, the temperature, found on
validation patients, corrects it (Guo et al., On calibration of modern neural networks, 2017). No colour depends on it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_FAINTEST = np.float32(1e-6)


def calibrated(posteriors: NDArray[np.float32], temperature: float) -> NDArray[np.float32]:
    """Return probabilities at a temperature: 1 leaves them alone, less makes them surer.

    Parameters
    ----------
    posteriors : ndarray of float32, (K, ...)
        They sum to 1; where all are 0, no image is, and stays none.
    temperature : float

    Returns
    -------
    ndarray of float32, (K, ...)
        In the same order: the most probable class stays it.
    """
    if temperature == 1:
        return posteriors
    largest = np.maximum(posteriors.max(axis=0), _FAINTEST)
    raised = np.where(posteriors > 0, np.maximum(posteriors / largest, _FAINTEST) ** np.float32(1 / temperature), 0)
    told: NDArray[np.float32] = (raised / np.maximum(raised.sum(axis=0), np.float32(1e-12))).astype(np.float32)
    return told


__all__ = ["calibrated"]
