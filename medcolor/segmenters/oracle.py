"""How groups without a meaning get one, by a rule that is the same for every image: the best that labels allow.

What comes out is no segmentation that anybody could have had: it looks at the reference. It says how well the groups
of an image follow what is sought, which is what images are compared by.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray


def assigned(groups: NDArray[np.integer], reference: NDArray[np.integer], labels: Iterable[int]) -> NDArray[np.uint8]:
    """Join groups into labels.

    A group belongs to the label that has most of its pixels, background left out. Of the groups of a label those are
    taken that make its Dice greatest: in order of the share of their pixels that have the label, as many as help.
    Among all unions of these groups that one is the best.

    Parameters
    ----------
    groups : ndarray of int, (nj, ni) or any shape
        From 1 on; 0 is never assigned.
    reference : ndarray of int, same shape
    labels : iterable of int

    Returns
    -------
    ndarray of uint8, same shape
    """
    return np.asarray(chosen_groups(groups, reference, labels)[groups])


def chosen_groups(
    groups: NDArray[np.integer], reference: NDArray[np.integer], labels: Iterable[int]
) -> NDArray[np.uint8]:
    """Return the label of each group by the rule of :func:`assigned`, (groups + 1,)."""
    wanted = sorted(labels)
    size = np.bincount(groups.reshape(-1))
    inside = np.stack([np.bincount(groups[reference == label], minlength=len(size)) for label in wanted])
    best = inside.argmax(axis=0)
    table = np.zeros(len(size), np.uint8)
    for row, label in enumerate(wanted):
        mine = np.flatnonzero((best == row) & (inside[row] > 0) & (np.arange(len(size)) > 0))
        mine = mine[np.argsort(-inside[row, mine] / size[mine], kind="stable")]
        if not mine.size:
            continue
        dice = 2 * np.cumsum(inside[row, mine]) / (np.cumsum(size[mine]) + np.count_nonzero(reference == label))
        table[mine[: int(dice.argmax()) + 1]] = label
    return table


def box_around(reference: NDArray[np.bool_], *, margin: float = 0.1, least: int = 3) -> NDArray[np.bool_]:
    """Return the box of what is sought, larger by a share of its sides; nothing where nothing is sought.

    Parameters
    ----------
    reference : ndarray of bool, (nj, ni)
    margin : float
        Of the box's side, added at each end.
    least : int
        Pixels added at least.
    """
    out = np.zeros(reference.shape, np.bool_)
    if reference.any():
        spans = []
        for axis in (1, 0):
            there = np.flatnonzero(reference.any(axis=axis))
            more = max(round(margin * (there[-1] - there[0] + 1)), least)
            spans.append(slice(max(int(there[0]) - more, 0), int(there[-1]) + more + 1))
        out[spans[0], spans[1]] = True
    return out


__all__ = ["assigned", "box_around", "chosen_groups"]
