"""A simulated user: clicks where the result is most wrong, until it is good enough or patience ends.

Nothing is drawn at random, so two images are clicked by the same rule and differ only in what the segmenter makes of
the clicks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Seeds = NDArray[np.intp]

TARGET, REST = 1, 2
"""Values of seeds: what is sought, and all else."""
RADIUS = 2  # pixels of the disc that a click marks


@dataclass(frozen=True, slots=True)
class Clicked:
    """How a session went.

    Attributes
    ----------
    dice : tuple of float
        After each click. Two clicks begin: one into what is sought, one outside; after the first there is nothing.
    result : ndarray of bool, (nj, ni)
        After the last.
    """

    dice: tuple[float, ...]
    result: Mask

    def after(self, clicks: int) -> float:
        """Return Dice after that many clicks; a session that ended early, being perfect, stays there."""
        return self.dice[min(clicks, len(self.dice)) - 1]

    def needed(self, level: float) -> int | None:
        """Return how many clicks it took to reach a Dice; None: never."""
        return next((n for n, value in enumerate(self.dice, start=1) if value >= level), None)


def click(segment: Callable[[Seeds], NDArray[np.integer]], reference: Mask, inside: Mask, *, most: int = 10) -> Clicked:
    """Play a session.

    Parameters
    ----------
    segment : callable
        Seeds (nj, ni) with TARGET and REST to labels of the same values.
    reference : ndarray of bool, (nj, ni)
        What is sought; some of it must be inside.
    inside : ndarray of bool, (nj, ni)
        Where there is an image.
    most : int
        Clicks, at least 2.

    Raises
    ------
    ValueError
        Nothing is sought, or fewer than two clicks allowed.
    """
    sought = reference & inside
    if not sought.any() or most < 2:
        raise ValueError("A session needs something to be sought inside the image, and at least two clicks.")
    seeds = np.zeros(reference.shape, np.intp)
    found = np.zeros(reference.shape, np.bool_)
    dice = [0.0]
    _mark(seeds, deepest(sought), sought, TARGET)
    for number in range(2, most + 1):
        wrong = inside & ~sought if number == 2 else largest((sought & ~found) | (found & ~sought))
        if not wrong.any():
            break
        place = deepest(wrong)
        value = TARGET if sought[place] else REST
        _mark(seeds, place, sought if value == TARGET else inside & ~sought, value)
        found = (np.asarray(segment(seeds)) == TARGET) & inside
        dice.append(float(2 * np.count_nonzero(found & sought) / (np.count_nonzero(found) + np.count_nonzero(sought))))
    return Clicked(tuple(dice), found)


def largest(wrong: Mask) -> Mask:
    """Return the largest connected part; of equals the first from the top."""
    from scipy import ndimage

    parts, count = ndimage.label(wrong)
    if not count:
        return np.zeros(wrong.shape, np.bool_)
    return np.asarray(parts == int(np.bincount(parts.reshape(-1))[1:].argmax()) + 1)


def deepest(region: Mask) -> tuple[int, int]:
    """Return the pixel farthest from the region's edge, the image's own edge being one; of equals the first."""
    from scipy import ndimage

    depth = ndimage.distance_transform_edt(np.pad(region, 1))[1:-1, 1:-1]
    j, i = np.unravel_index(int(np.argmax(depth)), depth.shape)
    return int(j), int(i)


def _mark(seeds: Seeds, place: tuple[int, int], allowed: Mask, value: int) -> None:
    """Mark a disc, where a careful user would: not across the border of what is sought."""
    rows, columns = np.ogrid[: seeds.shape[0], : seeds.shape[1]]
    disc = (rows - place[0]) ** 2 + (columns - place[1]) ** 2 <= RADIUS**2
    seeds[disc & allowed] = value


__all__ = ["RADIUS", "REST", "TARGET", "Clicked", "click", "deepest", "largest"]
