"""Bins of the (a*, b*) plane: colour as a class, after Zhang, Isola and Efros 2016.

The cells are recomputed from sRGB's gamut here, not copied. A grid of step 10 over -110..110 has 529 cells. Of them
229 have a centre that sRGB can show at some lightness; 261 hold a colour of 8-bit sRGB (so every colour of a picture
lies in one of these, ``slack=0``); the paper's number, 313, remains when each cell is let grow by :data:`PAPER_SLACK`
on every side. All tables are buffers, so a bundle's weights carry its bins and its prior.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from medcolor.cielab import rgb_to_lab

PAPER_SLACK = 6.1
"""Cells of side 10 grown by this on every side: 313 of them meet the gamut (so they do from 6.05 to 6.20)."""

LIMIT = 110.0
"""The grid's last centres; sRGB reaches from -86 to 98 in a* and from -108 to 94 in b*."""

_LEVELS = 256  # of a channel of 8 bits


class AbBins(nn.Module):
    """A dictionary of colours, its soft encoding, its prior and the way back.

    Parameters
    ----------
    slack : float or None
        A cell is kept if a displayable colour is within half a step plus this of its centre, in a* and in b*. None
        keeps the whole grid (529 cells of step 10, as the paper of 2017 does).
    step : float
        Side of a cell.
    neighbours : int
        A colour is spread over so many nearest cells; the released code of 2016 has 10, the paper 5.
    sigma : float
        Standard deviation of that spread, in (a*, b*) steps.
    temperature : float
        Of the annealed mean: 1 is the mean (grayish), toward 0 the mode (patchy).

    Attributes
    ----------
    centers : Tensor, (Q, 2)
    prior : Tensor, (Q,)
        How often each bin occurs, smoothed; uniform until :meth:`set_prior`.
    weights : Tensor, (Q,)
        What rebalances the loss: sum of prior x weights = 1; all 1 until :meth:`set_prior`.
    """

    centers: Tensor
    prior: Tensor
    weights: Tensor

    def __init__(
        self,
        *,
        slack: float | None = 0.0,
        step: float = 10.0,
        neighbours: int = 10,
        sigma: float = 5.0,
        temperature: float = 0.38,
    ) -> None:
        super().__init__()
        if step <= 0 or sigma <= 0 or temperature <= 0 or neighbours < 1 or (slack is not None and slack < 0):
            raise ValueError(
                f"AbBins takes step, sigma, temperature > 0, neighbours >= 1 and slack >= 0 or None; "
                f"got {step:g}, {sigma:g}, {temperature:g}, {neighbours} and {slack}."
            )
        self.step, self.neighbours, self.sigma, self.temperature = step, neighbours, sigma, temperature
        centers = gamut_cells(step, slack)
        self.count = len(centers)
        """Q."""
        self.register_buffer("centers", torch.tensor(centers, dtype=torch.float32))
        self.register_buffer("prior", torch.full((self.count,), 1 / self.count))
        self.register_buffer("weights", torch.ones(self.count))

    def nearest(self, ab: Tensor) -> Tensor:
        """Return the index of each colour's nearest bin, (N, h, w), of ab (N, 2, h, w)."""
        return self._closeness(ab).argmax(dim=-1)

    def encode(self, ab: Tensor) -> Tensor:
        """Spread colours over their nearest bins.

        Parameters
        ----------
        ab : Tensor, (N, 2, h, w)
            a*, b*.

        Returns
        -------
        Tensor, (N, Q, h, w)
            At most ``neighbours`` of the bins are not 0; they sum to 1.
        """
        closeness, index = self._closeness(ab).topk(min(self.neighbours, self.count), dim=-1)
        parts = torch.softmax(closeness / self.sigma**2, dim=-1)
        spread = parts.new_zeros((*parts.shape[:-1], self.count)).scatter_(-1, index, parts)
        return spread.movedim(-1, 1)

    def frequencies(self, ab: Tensor, weights: Tensor | None = None) -> Tensor:
        """Return how many pixels fall into each bin, (Q,): add them up over the training set for the prior.

        Parameters
        ----------
        ab : Tensor, (N, 2, h, w)
        weights : Tensor, (N, h, w), optional
            What each pixel counts; 0 leaves padding out.
        """
        counted = None if weights is None else weights.reshape(-1).float()
        return torch.bincount(self.nearest(ab).reshape(-1), weights=counted, minlength=self.count).float()

    def set_prior(self, frequencies: Tensor, *, uniform: float = 0.5, alpha: float = 1.0, smooth: float = 5.0) -> None:
        """Take the prior from how often each bin occurs, and the rebalancing weights from the prior.

        The weight of a bin is (mix of prior and uniform) to the power of -alpha, scaled so that its mean under the
        prior is 1. The uniform part is one share for each bin that occurs; a bin that never occurred has that part
        too, so no weight is unbounded.

        Parameters
        ----------
        frequencies : Tensor, (Q,)
            Not negative, not all zero.
        uniform : float
            Share of the uniform part, 0..1; the paper's gamma.
        alpha : float
            0: no rebalancing, 1: the paper's.
        smooth : float
            Standard deviation of the Gaussian, in (a*, b*) steps, that smooths the prior; 0: none.

        Raises
        ------
        ValueError
            Frequencies of another shape, negative, or all zero.
        """
        counts = frequencies.to(self.prior)
        if counts.shape != self.prior.shape or bool((counts < 0).any()) or not bool(counts.sum() > 0):
            raise ValueError(f"A prior needs {self.count} frequencies, none negative and not all 0.")
        prior = counts / counts.sum()
        if smooth:
            kernel = torch.softmax(-torch.cdist(self.centers, self.centers).square() / (2 * smooth**2), dim=0)
            prior = kernel @ prior
        mix = (1 - uniform) * prior + uniform / (counts > 0).sum()
        weights = mix.clamp(min=torch.finfo(mix.dtype).tiny) ** -alpha
        self.prior.copy_(prior)  # buffers: no gradient is kept of them
        self.weights.copy_(weights / (prior * weights).sum())

    def rebalancing(self, target: Tensor) -> Tensor:
        """Return each pixel's weight, (N, h, w): that of the strongest bin of its soft target (N, Q, h, w)."""
        return self.weights[target.argmax(dim=1)]

    def mean(self, logits: Tensor, *, temperature: float | None = None) -> Tensor:
        """Return the annealed mean of a distribution over the bins.

        Parameters
        ----------
        logits : Tensor, (N, Q, h, w)
            Or the logarithm of a distribution.
        temperature : float, optional
            Instead of the bins' own.

        Returns
        -------
        Tensor, (N, 2, h, w)
        """
        planes = logits.flatten(2)
        share = (planes - planes.amax(dim=1, keepdim=True)).mul_(1 / (temperature or self.temperature)).exp_()
        table = torch.cat([self.centers, torch.ones_like(self.centers[:, :1])], dim=1).to(share.dtype)
        sums = torch.matmul(table.T, share)  # one pass for the colours and for what they are divided by
        return (sums[:, :2] / sums[:, 2:]).unflatten(2, logits.shape[2:])

    def doubt(self, logits: Tensor) -> Tensor:
        """Return the entropy of the distribution, (N, 1, h, w): 0 where one bin has it all, 1 where all are alike.

        No gradient goes through it: doubt never moves the colour.
        """
        planes = logits.detach().flatten(2)
        logs = planes - planes.amax(dim=1, keepdim=True)
        share = logs.exp()
        ones = share.new_ones(1, self.count)
        mass = torch.matmul(ones, share)
        entropy = torch.log(mass) - torch.matmul(ones, share.mul_(logs)) / mass
        return (entropy / math.log(self.count)).clamp(0, 1).unflatten(2, logits.shape[2:])

    def _closeness(self, ab: Tensor) -> Tensor:
        """Return half the squared distance to each bin, negative and but for a term of the colour: (N, h, w, Q)."""
        points = ab.movedim(1, -1).float()
        centers = self.centers.float()
        return points @ centers.T - centers.square().sum(dim=1) / 2


@lru_cache(maxsize=8)
def gamut_cells(step: float = 10.0, slack: float | None = 0.0) -> NDArray[np.float64]:
    """Return the centres of the cells that meet sRGB's gamut, (Q, 2), by a* and then b*; see :class:`AbBins`."""
    reach = math.floor(LIMIT / step) * step
    axis = np.arange(-reach, reach + step / 2, step)
    grid = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
    if slack is not None:
        grid = grid[_meeting(axis, step / 2 + slack)]
    grid.flags.writeable = False
    return grid


def _meeting(axis: NDArray[np.float64], half: float) -> NDArray[np.bool_]:
    """Tell which squares, ``half`` around each centre of the grid, hold a displayable colour; (len(axis) ** 2,)."""
    shown = _displayable()
    shown = shown[np.argsort(shown[:, 1])]
    meets = []
    for center in axis:
        b = shown[np.abs(shown[:, 0] - center) <= half, 1]  # sorted
        meets.append(np.searchsorted(b, axis - half, "left") < np.searchsorted(b, axis + half, "right"))
    return np.concatenate(meets)


def _displayable() -> NDArray[np.float64]:
    """Return (a*, b*) of the faces of the sRGB cube, (n, 2): a solid's shadow is the shadow of its surface."""
    level = np.linspace(0, 1, _LEVELS)
    first, second = (x.reshape(-1) for x in np.meshgrid(level, level, indexing="ij"))
    faces = [
        np.roll(np.stack([np.full_like(first, end), first, second], axis=-1), axis, axis=-1)
        for axis in range(3)
        for end in (0.0, 1.0)
    ]
    return np.asarray(rgb_to_lab(np.concatenate(faces))[:, 1:])


__all__ = ["LIMIT", "PAPER_SLACK", "AbBins", "gamut_cells"]
