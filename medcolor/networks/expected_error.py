"""How wrong a colour probably is: what the posteriors say, corrected by what the network learned of its own errors.

Where two tissues are likely, the colour shown lies between theirs, and how far they are from it is the error to expect.
That alone ranks errors well; the network's scale head says by how much it is too small or too large.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

SMALLEST_ERROR = 0.5
"""In (a*, b*) steps; nobody sees less."""


def posterior_spread(posteriors: Tensor, ab: Tensor, palette_ab: Tensor) -> Tensor:
    """Return how far the classes' colours lie from the colour that is shown, in (a*, b*) steps.

    Parameters
    ----------
    posteriors : Tensor, (K, ...)
        Summing to 1 over K.
    ab : Tensor, (2, ...)
        The colour that is shown.
    palette_ab : Tensor, (K, 2)

    Returns
    -------
    Tensor, (...)
        sum_k p_k |ab_k - ab|, at least :data:`SMALLEST_ERROR`.
    """
    import torch

    total = torch.zeros_like(posteriors[0])
    for probability, (a, b) in zip(posteriors, palette_ab.tolist(), strict=True):
        total += probability * torch.hypot(ab[0] - a, ab[1] - b)
    return total.clamp_(min=SMALLEST_ERROR)


def expected_error(posteriors: Tensor, ab: Tensor, palette_ab: Tensor, log_scale: Tensor) -> Tensor:
    """Return the colour error to expect, (...), in (a*, b*) steps.

    Parameters
    ----------
    posteriors, ab, palette_ab : Tensor
        As for :func:`posterior_spread`.
    log_scale : Tensor, (...)
        The network's: log of the error as a multiple of the spread.
    """
    return posterior_spread(posteriors, ab, palette_ab) * log_scale.exp()


__all__ = ["SMALLEST_ERROR", "expected_error", "posterior_spread"]
