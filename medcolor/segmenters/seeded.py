"""Segmenters that are told a little: seeds of each label, or a box around what is sought.

Images are (nj, ni, channels) of float, in which one unit of any channel means the same; seeds are whole numbers, 0
where nothing is said.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medcolor.segmenters.grouping import (
    Image,
    Inside,
    grains,
    log_density,
    means_of,
    nearest_of,
    skimage_segmentation,
    spread,
)

Seeds = NDArray[np.integer]
Labels = NDArray[np.intp]

BETA = 1.0
"""How much an edge hinders the random walker: exp(-BETA) at a step as large as the image's mean square step.

So no factor on the channels, and no repetition of them, changes anything. Set beforehand, tuned on no image.
"""
_GRAIN = 250  # pixels of a superpixel that goes to the nearest seed
_COMPONENTS, _CUTS, _GAMMA = 5, 3, 50.0  # Rother 2004: Gaussians of each side, rounds, weight of smoothness
_CAPACITY = 1000.0  # max-flow counts whole numbers: a thousandth of a nat


def watershed(image: Image, seeds: Seeds, inside: Inside) -> Labels:
    """Seeds grow until they meet at the steepest edges."""
    from scipy import ndimage

    steepness = np.zeros(inside.shape)
    for channel in np.moveaxis(np.asarray(image, np.float64), -1, 0):
        for axis in (0, 1):
            steepness += np.square(ndimage.gaussian_filter1d(ndimage.gaussian_filter(channel, 1), 1, axis, order=1))
    return np.asarray(skimage_segmentation().watershed(np.sqrt(steepness), seeds * inside, mask=inside))


def superpixels_to_seeds(image: Image, seeds: Seeds, inside: Inside) -> Labels:
    """Pixels are grouped, then groups go to the seeds most like them."""
    found = grains(image, inside, grain=_GRAIN)
    means = means_of(found, image)
    chosen = seeds * inside
    values = [int(value) for value in np.unique(chosen) if value > 0]
    if not values:
        return np.zeros(inside.shape, np.intp)
    centers = np.stack([image[chosen == value].mean(axis=0) for value in values])
    nearest = np.linalg.norm(means[:, None] - centers, axis=-1).argmin(axis=1)
    return np.asarray(np.where(inside, np.array(values)[nearest][found], 0))


def random_walker(image: Image, seeds: Seeds, inside: Inside, *, beta: float = BETA) -> Labels:
    """Each pixel goes to the seeds that a walk from it, hindered by edges, meets first most probably (Grady 2006).

    Solved exactly: an iterative solver's tolerance would decide ties.
    """
    from scipy import sparse
    from scipy.sparse.linalg import splu

    told = np.where(inside, seeds, 0)
    values = [int(value) for value in np.unique(told) if value > 0]
    out = np.zeros(inside.shape, np.intp)
    if len(values) < 2:
        out[inside] = values[0] if values else 0
        return out
    number = np.full(inside.shape, -1)
    number[inside] = np.arange(int(inside.sum()))
    ends, weights = _edges(np.asarray(image, np.float64), number, beta)
    count = int(inside.sum())
    places = np.concatenate(ends), np.concatenate(ends[::-1])
    graph: Any = sparse.coo_matrix((np.tile(weights, 2), places), (count, count)).tocsr()
    laplacian = sparse.diags(np.asarray(graph.sum(axis=1)).reshape(-1) + 1e-12) - graph
    flat = told[inside]
    seeded, free = np.flatnonzero(flat), np.flatnonzero(flat == 0)
    result = flat.copy()
    if free.size:
        known = np.stack([flat[seeded] == value for value in values[:-1]], axis=-1).astype(float)
        rows = laplacian.tocsr()[free]
        factors = splu(rows[:, free].tocsc(), permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True})
        solved = factors.solve(-(rows[:, seeded] @ known))
        likely = np.concatenate([solved, 1 - solved.sum(axis=1, keepdims=True)], axis=1)
        result[free] = np.array(values)[likely.argmax(axis=1)]
    out[inside] = result
    return out


def _edges(
    image: NDArray[np.float64], number: NDArray[np.integer], beta: float
) -> tuple[tuple[NDArray[np.integer], NDArray[np.integer]], NDArray[np.float64]]:
    """Return pixel pairs that touch, and the weight of each: exp(-beta d^2 / mean d^2)."""
    starts, stops, steps = [], [], []
    for one, other, change in (
        (number[:, 1:], number[:, :-1], np.diff(image, axis=1)),
        (number[1:], number[:-1], np.diff(image, axis=0)),
    ):
        both = (one >= 0) & (other >= 0)
        starts.append(other[both])
        stops.append(one[both])
        steps.append(np.square(change[both]).sum(axis=-1))
    step = np.concatenate(steps)
    weights = np.exp(-beta / max(float(step.mean()), 1e-12) * step) + 1e-10
    return (np.concatenate(starts), np.concatenate(stops)), weights


def grab_cut(image: Image, box: Inside, inside: Inside) -> Inside:
    """Return what is in a box and unlike what is around it (Rother 2004).

    Parameters
    ----------
    image : ndarray of float, (nj, ni, channels)
    box : ndarray of bool, (nj, ni)
        Nothing outside it is sought.
    inside : ndarray of bool, (nj, ni)
    """
    values = np.asarray(image, np.float64)
    possible = box & inside
    found = possible.copy()
    if not possible.any() or not (inside & ~box).any():
        return found
    ends, smoothness = _smoothness(values, inside)
    points, may = values[inside], possible[inside]
    for _ in range(_CUTS):
        front = _likelihood(points, points[found[inside]])
        back = _likelihood(points, points[~found[inside]])
        cut = _min_cut(front, back, may, ends, smoothness)
        if np.array_equal(cut, found[inside]) or not cut.any():
            break
        found = np.zeros(inside.shape, np.bool_)
        found[inside] = cut
    return found


def _likelihood(points: NDArray[np.float64], examples: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return minus the log density of points under Gaussians of the examples."""
    label = nearest_of(examples, min(_COMPONENTS, len(examples)))
    logs = []
    for n in np.unique(label):
        group = examples[label == n]
        logs.append(np.log(len(group) / len(examples)) + log_density(points, group.mean(axis=0), spread(group)))
    return np.asarray(-np.logaddexp.reduce(np.stack(logs), axis=0))


def _smoothness(
    image: NDArray[np.float64], inside: Inside
) -> tuple[tuple[NDArray[np.integer], NDArray[np.integer]], NDArray[np.float64]]:
    number = np.full(inside.shape, -1)
    number[inside] = np.arange(int(inside.sum()))
    starts, stops, steps, far = [], [], [], []
    for (a, b), distance in (
        ((np.s_[:, 1:], np.s_[:, :-1]), 1.0),
        ((np.s_[1:], np.s_[:-1]), 1.0),
        ((np.s_[1:, 1:], np.s_[:-1, :-1]), 2**0.5),
        ((np.s_[1:, :-1], np.s_[:-1, 1:]), 2**0.5),
    ):
        both = (number[a] >= 0) & (number[b] >= 0)
        starts.append(number[b][both])
        stops.append(number[a][both])
        steps.append(np.square(image[a] - image[b])[both].sum(axis=-1))
        far.append(np.full(int(both.sum()), distance))
    step = np.concatenate(steps)
    beta = 1 / max(2 * float(step.mean()), 1e-12)
    return (np.concatenate(starts), np.concatenate(stops)), _GAMMA * np.exp(-beta * step) / np.concatenate(far)


def _min_cut(
    front: NDArray[np.float64],
    back: NDArray[np.float64],
    may: NDArray[np.bool_],
    ends: tuple[NDArray[np.integer], NDArray[np.integer]],
    smoothness: NDArray[np.float64],
) -> NDArray[np.bool_]:
    """Return which pixels are in front: the cut that costs least."""
    from scipy import sparse
    from scipy.sparse.csgraph import breadth_first_order, maximum_flow

    count = len(front)
    source, sink = count, count + 1
    surplus = np.where(may, back - front, -1e5)  # outside the box: never in front
    pixels = np.arange(count)
    gain, loss = surplus > 0, surplus < 0
    starts = np.concatenate([np.full(int(gain.sum()), source), pixels[loss], *ends])
    stops = np.concatenate([pixels[gain], np.full(int(loss.sum()), sink), *ends[::-1]])
    costs = np.concatenate([surplus[gain], -surplus[loss], smoothness, smoothness])
    whole = np.minimum(np.rint(costs * _CAPACITY), 1e8).astype(np.int32)
    graph: Any = sparse.coo_matrix((whole, (starts, stops)), (count + 2, count + 2)).tocsr()
    left: Any = graph - maximum_flow(graph, source, sink).flow
    left.data[left.data < 0] = 0
    left.eliminate_zeros()
    reached = breadth_first_order(left, source, return_predecessors=False)
    out = np.zeros(count + 2, np.bool_)
    out[reached] = True
    return out[:count]


SEEDED: Mapping[str, Callable[[Image, Seeds, Inside], Labels]] = MappingProxyType(
    {"watershed": watershed, "superpixels_to_seeds": superpixels_to_seeds, "random_walker": random_walker}
)
"""By name."""

__all__ = ["BETA", "SEEDED", "grab_cut", "random_walker", "superpixels_to_seeds", "watershed"]
