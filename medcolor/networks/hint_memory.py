"""How a hint reaches all tissue that looks like the hinted one, however far away.

Each cell of the image belongs in shares to a few prototypes (learned, by its features alone). Two cells are alike as
far as their shares agree: the likeness is the product of the shares, summed over the prototypes. A cell's colour is
then the mean of the hinted colours by likeness. Written over prototypes this costs a sum over the image instead of one
over all pairs, has no loop over hints, and is exactly nothing where there are no hints.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

_FEW = 1e-4


def hint_cells(hints: Tensor, side: int) -> Tensor:
    """Return the hints of squares of pixels.

    Parameters
    ----------
    hints : Tensor, (N, 3, H, W)
        Colour (any unit) and 1 where it is given.
    side : int
        Of a square; divides H and W.

    Returns
    -------
    Tensor, (N, 3, H / side, W / side)
        Mean of the colours given in a square, and 1 where there is one.
    """
    mask = hints[:, 2:]
    share = functional.avg_pool2d(mask, side)
    colors = functional.avg_pool2d(hints[:, :2] * mask, side) / share.clamp(min=_FEW)
    return torch.cat([colors, (share > 0).to(share.dtype)], dim=1)


def recalled(shares: Tensor, cells: Tensor) -> Tensor:
    """Return what hints say of every cell of an image by what it looks like.

    Parameters
    ----------
    shares : Tensor, (N, C, h, w)
        Of the prototypes; sum to 1.
    cells : Tensor, (N, 3, h, w)
        From :func:`hint_cells`.

    Returns
    -------
    Tensor, (N, 3, h, w)
        Colour, and how much it is worth: 0 (nothing like it was hinted, colour 0) to 1.
    """
    place = shares.flatten(2)
    mask = cells[:, 2:]
    given = torch.cat([cells[:, :2] * mask, mask], dim=1).flatten(2)
    memory = torch.bmm(given, place.transpose(1, 2))  # (N, 3, C): the hints of each prototype
    sums = torch.bmm(memory, place).unflatten(2, shares.shape[2:])
    colors, likeness = sums[:, :2], sums[:, 2:]
    worth = -torch.expm1(-likeness)
    return torch.cat([colors / likeness.clamp(min=_FEW) * worth, worth], dim=1)


__all__ = ["hint_cells", "recalled"]
