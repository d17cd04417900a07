"""When to stop an adversarial training: an automatic "inflection point", which NoGAN's author chose by eye.

What he saw: for a short while the critic makes colours truer and livelier, then, from one checkpoint to the next,
glitches and a cast of one colour appear, and quality only swings afterwards. What can be measured of it, on patients
that nothing is learned from, at each checkpoint t of the adversarial phase:

    s(t) = E(t) / E_gray  +  H(t)  +  D(t) / 10

E is the mean CIEDE2000 to the target and E_gray that of the gray image (glitches raise it; the bare generator is best
at it); H the Hellinger distance between the histograms of the outputs' and the targets' (a*, b*), 0 to 1 (dull colours
raise it; this is what a critic can lower); D the distance of their mean colours in steps of (a*, b*) (a cast raises
it). One checkpoint may be lucky, so what counts is

    m(t) = median of s(t - 2), s(t - 1), s(t)      (of fewer at the start)

The inflection point is where m is smallest. Training stops when ``patience`` checkpoints in a row have brought no
smaller m; the weights of the smallest are kept. The first checkpoint is the generator before the critic spoke: if that
is the smallest, the adversarial phase brought nothing, and it is kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

from medcolor.training.losses import AB_UNIT
from medcolor.training.objectives.objective import ERROR, figure

WINDOW = 3
"""Checkpoints that the median is of."""


def score(figures: Mapping[str, float], step: int = 0) -> float:
    """Return s of a validation's figures: "error", "gray_error", "hellinger" and "drift".

    Raises
    ------
    TrainingError
        One of them is missing or not finite.
    """
    error, gray = figure(figures, ERROR, step), figure(figures, "gray_error", step)
    return error / max(gray, 1e-9) + figure(figures, "hellinger", step) + figure(figures, "drift", step) / AB_UNIT


def smoothed(scores: Sequence[float]) -> float:
    """Return m of the scores so far, the last of which is the newest."""
    return median(scores[-WINDOW:])


__all__ = ["WINDOW", "score", "smoothed"]
