"""The temperature of a trained network, found on validation patients (Guo et al., 2017).

A network that was taught soft targets on degraded images is too modest on clean ones. One number corrects it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from medcolor.bundle_files import TEMPERATURES
from medcolor.training.arms import Posteriors, Prediction

if TYPE_CHECKING:
    from medcolor.training.arms import Predict
    from medcolor.training.evaluate import LabeledScan

_FAINTEST = np.float32(1e-6)
_PIXELS = 40_000  # of each scan, spread evenly over its body: neighbours say the same


def temperature_of(
    predict: Predict, cases: Sequence[LabeledScan], *, progress: Callable[[int, int], None] | None = None
) -> float:
    """Return the temperature with the least negative log likelihood of the targets' first classes.

    Parameters
    ----------
    predict : callable
        An arm of :mod:`medcolor.training.arms`, of a network as it is: at a temperature of 1.
    cases : sequence of LabeledScan
        Of validation patients, clean; each counts alike.
    progress : callable, optional
        Called with (scans done, scans in all).

    Returns
    -------
    float
        1 where there is nothing to go by: no scan, or an arm that knows colours and no classes.
    """
    from scipy.optimize import minimize_scalar

    told = []
    for n, case in enumerate(cases):
        answer = predict(case.scan)
        if not isinstance(answer, Prediction):
            return 1.0
        likely, first = _pixels(answer.posteriors, case)
        if first.size:
            told.append((likely, first))
        if progress is not None:
            progress(n + 1, len(cases))
    if not told:
        return 1.0

    def surprise(log_temperature: float) -> float:
        temperature = float(np.exp(log_temperature))
        return float(np.mean([_surprise(likely, first, temperature) for likely, first in told]))

    found = minimize_scalar(surprise, bounds=np.log(TEMPERATURES), method="bounded")
    return round(float(np.exp(found.x)), 3)


def tempered(posteriors: Posteriors, temperature: float) -> Posteriors:
    """Return posteriors (K, ...) at a temperature: 1 leaves them alone, less makes them surer, the first stays first.

    The softmax of their logits over the temperature, which is how a bundle in use has them.
    """
    raised = (np.maximum(posteriors, _FAINTEST) / posteriors.max(axis=0)) ** np.float32(1 / temperature)
    return np.asarray(raised / raised.sum(axis=0), np.float32)


def _pixels(posteriors: Posteriors, case: LabeledScan) -> tuple[Posteriors, NDArray[np.int64]]:
    """Return the posteriors (K, pixels) of pixels of the body, and the target's first classes."""
    inside = np.flatnonzero(case.body)
    kept = inside[:: max(1, inside.size // _PIXELS)]
    likely, target = (p.reshape(len(p), -1)[:, kept] for p in (posteriors, case.target))
    return likely, target.argmax(axis=0)


def _surprise(likely: Posteriors, first: NDArray[np.int64], temperature: float) -> float:
    """Return the mean negative log likelihood of the classes."""
    hit = np.take_along_axis(tempered(likely, temperature), first[None], axis=0)
    return float(-np.log(np.maximum(hit, np.float32(1e-6))).mean())


__all__ = ["temperature_of", "tempered"]
