"""Networks that correct the tissue models instead of starting from nothing.

Such a network is shown what physics says of each pixel beside the gray, and answers with a correction of each class
and with how far physics is to be trusted there. Where it changes nothing, physics' own answer comes out (but for
the floor); where noise, blur or a bent gray misled physics, the context decides. What physics knows at full resolution
stays at full resolution, even where the network itself looks at a reduced image.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

FLOOR = 1e-3
"""Probability below which physics is not told apart: what it rules out can be corrected."""


def shown(posteriors: Tensor) -> Tensor:
    """Return posteriors (N, K, H, W) of the tissue models as the network sees them: logarithms, in [-1, 1]."""
    return 1 - 2 * posteriors.clamp(FLOOR, 1).log() / math.log(FLOOR)


def corrected(answer: Tensor, posteriors: Tensor) -> Tensor:
    """Return class logits, (..., K, H, W).

    Parameters
    ----------
    answer : Tensor, (..., K + 1, H, W)
        What the network says: a correction for each class, then trust in physics before its logistic curve.
    posteriors : Tensor, (..., K, H, W)
        Of the tissue models. With a trust of 0, the middle, they are taken as they are, but for the floor.
    """
    trust = 2 * torch.sigmoid(answer[..., -1:, :, :])
    return answer[..., :-1, :, :] + trust * posteriors.clamp(FLOOR, 1).log()


__all__ = ["FLOOR", "corrected", "shown"]
