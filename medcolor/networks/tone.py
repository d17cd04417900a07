"""The gamma that somebody gave a scan, from a few of its slices seen small and the histogram of all.

Gamma bends every gray of a scan alike, so it is one number, and anatomy tells it: how bright fat is beside muscle, or
a lung beside a heart. A network that colours pixel by pixel has to guess that number again at every pixel; here it is
estimated once, for the whole scan, and can be undone before anything else looks at the gray.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn

from medcolor.networks.volume_summary import SUMMARY

SIDE = 96
"""Pixels of a slice as it is seen here, in both directions."""
SLICES = 4
"""Slices seen of a volume, at most."""
LEAST = 0.3
"""Logarithms nearer to 0 than this are left alone unless a network says otherwise: exponents of .74 to 1.35."""
_WIDTHS = (24, 32, 48, 64, 64)
_HIDDEN = 64


class ToneEstimator(nn.Module):
    """Natural logarithm of the exponent that bent the gray of a scan; 0 where nothing did.

    Parameters
    ----------
    dropout : float
        Of the features, in training: patients are few.
    least : float
        Estimates nearer to 0 are not acted upon: so far off they can be by themselves. Less of it leaves bent scans
        less bent, and bends straight ones more often (docs/adr/0013).

    Raises
    ------
    ValueError
        ``least`` is negative, or no number.
    """

    def __init__(self, *, dropout: float = 0.3, least: float = LEAST) -> None:
        super().__init__()
        if not least >= 0:  # nor may it be no number: nothing would ever be undone
            raise ValueError(f"The least gamma that is undone (tone_least) is a logarithm of 0 or more, got {least}.")
        self.least = float(least)
        steps = [
            layer
            for before, after in itertools.pairwise((1, *_WIDTHS))
            for layer in (nn.Conv2d(before, after, 3, 2, 1), nn.BatchNorm2d(after), nn.ReLU(inplace=True))
        ]
        self.look = nn.Sequential(*steps)
        self.judge = nn.Sequential(
            nn.Linear(_WIDTHS[-1] + SUMMARY, _HIDDEN), nn.ReLU(inplace=True), nn.Dropout(dropout), nn.Linear(_HIDDEN, 1)
        )

    def forward(self, slices: Tensor, volume: Tensor) -> Tensor:
        """Return the estimates, (N, 1).

        Parameters
        ----------
        slices : Tensor, (N, n, SIDE, SIDE)
            Spread evenly over each volume; -1 is shown black, 1 white.
        volume : Tensor, (N, SUMMARY)
            Summaries (:mod:`medcolor.networks.volume_summary`).
        """
        count = slices.shape[:2]
        features = self.look(slices.flatten(0, 1)[:, None]).mean(dim=(2, 3)).unflatten(0, count).mean(dim=1)
        answer: Tensor = self.judge(torch.cat([features, volume], dim=1))
        return answer


__all__ = ["LEAST", "SIDE", "SLICES", "ToneEstimator"]
