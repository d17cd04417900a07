"""Groups of alike pixels of one slice, without seeds and without chance.

Images are (nj, ni, channels) of float, in which one unit of any channel means the same; lightness comes first.
Groups are numbered from 1 in order of lightness, 0 is where ``inside`` says that nothing is to be segmented.
"""

from __future__ import annotations

import heapq
import warnings
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medcolor.errors import SettingError

Image = NDArray[np.floating]
Inside = NDArray[np.bool_]
Groups = NDArray[np.intp]

CLASSES = 6
"""Groups of k-means and mixture, which need not be connected."""
REGIONS = 12
"""What superpixels and trees are merged to: connected regions, so more of them."""
_COMPACTNESS = 0.1  # below, noise tears superpixels to pieces, and pieces join whatever is beside them
_GRAIN = 60  # pixels of a superpixel before merging
_ROUNDS = 50
_SETTLED = 1e-5  # gain of the mean log likelihood in a round that is no gain any more
_SAMPLE = 4000  # pixels that the mixture is fitted to
_LEAST_SPREAD = 1e-4  # added to variances, in channel units squared: one step of 8-bit gray is 0.004


def k_means(image: Image, inside: Inside, *, classes: int = CLASSES) -> Groups:
    """Lloyd's algorithm from quantiles of lightness."""
    points = np.asarray(image[inside], np.float64)
    return _in_order(nearest_of(points, classes), points, inside)


def mixture(image: Image, inside: Inside, *, classes: int = CLASSES) -> Groups:
    """Gaussians with full covariances by expectation-maximization, from k-means; each pixel to the most probable."""
    everything = np.asarray(image[inside], np.float64)
    points = everything[:: max(len(everything) // _SAMPLE, 1)]
    label = nearest_of(points, classes)
    groups = [points[label == n] for n in np.unique(label)]
    model = [(len(group) / max(len(points), 1), group.mean(axis=0), spread(group)) for group in groups]
    before = -np.inf
    for _ in range(_ROUNDS if len(model) > 1 else 0):
        share, likelihood = _shares(points, model)
        if likelihood - before < _SETTLED:
            break
        before = likelihood
        weight = share.sum(axis=0) + 1e-12
        model = []
        for n, total in enumerate(weight):
            mean = share[:, n] @ points / total
            apart = points - mean
            covariance = (share[:, n, None] * apart).T @ apart / total
            model.append((total / len(points), mean, covariance + _LEAST_SPREAD * np.eye(len(mean))))
    found = _shares(everything, model)[0].argmax(axis=1) if len(model) > 1 else np.zeros(len(everything), np.intp)
    return _in_order(found, everything, inside)


def superpixels(image: Image, inside: Inside, *, regions: int = REGIONS) -> Groups:
    """SLIC, then neighbours that differ least are merged until ``regions`` are left."""
    return merged(grains(image, inside, grain=_GRAIN, compactness=_COMPACTNESS), image, regions)


def felzenszwalb(image: Image, inside: Inside, *, regions: int = REGIONS) -> Groups:
    """Felzenszwalb and Huttenlocher's tree, then neighbours that differ least are merged until ``regions`` are left."""
    segmentation = skimage_segmentation()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Got image with third dimension")  # more channels than three are meant
        found = segmentation.felzenszwalb(np.asarray(image, np.float64), scale=0.5, sigma=0.8, min_size=20)
    return merged(np.where(inside, found + 1, 0), image, regions)


def grains(image: Image, inside: Inside, *, grain: int, compactness: float = 0.03) -> Groups:
    """Return SLIC superpixels of about ``grain`` pixels, numbered from 1."""
    if not inside.any():
        return np.zeros(inside.shape, np.intp)
    count = max(inside.size // grain, 20)  # of the whole slice: with a mask, SLIC first spends its time on seeds in it
    found = skimage_segmentation().slic(
        image, n_segments=count, compactness=compactness, channel_axis=-1, convert2lab=False, start_label=1
    )
    return np.where(inside, found, 0)


def merged(found: NDArray[np.integer], image: Image, regions: int) -> Groups:
    """Merge touching regions, always the two that raise the variance inside regions least (Ward), down to ``regions``.

    Parameters
    ----------
    found : ndarray of int, (nj, ni)
        Regions from 1 on; 0 belongs to none.
    image : ndarray of float, (nj, ni, channels)
    regions : int
        Left where that many are connected; parts that touch nothing stay.
    """
    numbers, flat = np.unique(found, return_inverse=True)
    flat = flat.reshape(found.shape)
    background = int(np.flatnonzero(numbers == 0)[0]) if (numbers == 0).any() else -1
    sizes = np.bincount(flat.reshape(-1)).astype(float)
    means = means_of(flat, image)
    near: dict[int, set[int]] = {n: set() for n in range(len(numbers)) if n != background}
    for one, other in ((flat[1:], flat[:-1]), (flat[:, 1:], flat[:, :-1])):
        pairs = np.unique(np.stack([one[one != other], other[one != other]], axis=-1), axis=0)
        for a, b in pairs.tolist():
            if background not in (a, b):
                near[a].add(b)
                near[b].add(a)

    def cost(a: int, b: int) -> float:
        return float(sizes[a] * sizes[b] / (sizes[a] + sizes[b]) * np.square(means[a] - means[b]).sum())

    age = dict.fromkeys(near, 0)
    heap = [(cost(a, b), a, b, 0, 0) for a in near for b in near[a] if a < b]
    heapq.heapify(heap)
    into = {n: n for n in near}
    while len(near) > regions and heap:
        _, a, b, aged, bged = heapq.heappop(heap)
        if a not in near or b not in near or (age[a], age[b]) != (aged, bged):
            continue
        means[a] = (sizes[a] * means[a] + sizes[b] * means[b]) / (sizes[a] + sizes[b])
        sizes[a] += sizes[b]
        age[a] += 1
        into[b] = a
        for other in near.pop(b) - {a}:
            near[other].discard(b)
            near[other].add(a)
            near[a].add(other)
        near[a].discard(b)
        for other in near[a]:
            first, second = min(a, other), max(a, other)
            heapq.heappush(heap, (cost(a, other), first, second, age[first], age[second]))
    root = np.arange(len(numbers))
    for n in into:
        last = n
        while into[last] != last:
            last = into[last]
        root[n] = last
    inside = flat != background
    return _in_order(root[flat[inside]], np.asarray(image[inside], np.float64), inside)


def means_of(found: NDArray[np.integer], image: Image) -> NDArray[np.float64]:
    """Return the mean of each number's pixels, (numbers, channels)."""
    flat = found.reshape(-1)
    counts = np.maximum(np.bincount(flat), 1)
    sums = [np.bincount(flat, weights=channel) for channel in image.reshape(-1, image.shape[-1]).T]
    return np.stack([total / counts for total in sums], axis=-1)


def spread(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the covariance of points (n, channels), never singular."""
    apart = points - points.mean(axis=0)
    return np.asarray(apart.T @ apart / max(len(points), 1) + _LEAST_SPREAD * np.eye(points.shape[1]))


def log_density(
    points: NDArray[np.float64], mean: NDArray[np.float64], covariance: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the log of a Gaussian's density at points (n, channels), but for its constant."""
    factor = np.linalg.cholesky(covariance)
    away = np.linalg.solve(factor, (points - mean).T)
    return np.asarray(-0.5 * np.square(away).sum(axis=0) - np.log(np.diag(factor)).sum())


def _shares(
    points: NDArray[np.float64], model: list[tuple[float, NDArray[np.float64], NDArray[np.float64]]]
) -> tuple[NDArray[np.float64], float]:
    """Return each Gaussian's share of each point, (n, Gaussians), and the mean log likelihood."""
    logs = np.stack([np.log(max(w, 1e-12)) + log_density(points, mean, cov) for w, mean, cov in model], axis=-1)
    highest = logs.max(axis=1, keepdims=True)
    logs -= highest
    np.exp(logs, out=logs)
    total = logs.sum(axis=1, keepdims=True)
    return np.asarray(logs / total), float((np.log(total) + highest).mean())


def nearest_of(points: NDArray[np.float64], classes: int) -> Groups:
    """Return which of ``classes`` means each of the points (n, channels) is nearest to, by Lloyd's algorithm."""
    if not len(points):
        return np.zeros(0, np.intp)
    ranked = points[np.argsort(points[:, 0], kind="stable")]
    centers = np.stack([part.mean(axis=0) for part in np.array_split(ranked, classes) if len(part)])
    label = np.zeros(len(points), np.intp)
    for _ in range(_ROUNDS):
        label = (np.square(centers).sum(axis=1) - 2 * points @ centers.T).argmin(axis=1)
        moved = np.stack([points[label == n].mean(axis=0) if (label == n).any() else c for n, c in enumerate(centers)])
        if np.allclose(moved, centers, atol=1e-6):
            break
        centers = moved
    return label


def _in_order(label: NDArray[np.integer], points: NDArray[np.float64], inside: Inside) -> Groups:
    """Return groups numbered from 1 by mean lightness, in their place in the slice."""
    out = np.zeros(inside.shape, np.intp)
    if len(label):
        numbers, place = np.unique(label, return_inverse=True)
        means = np.bincount(place, weights=points[:, 0]) / np.bincount(place)
        rank = np.empty(len(numbers), np.intp)
        rank[np.argsort(means, kind="stable")] = np.arange(1, len(numbers) + 1)
        out[inside] = rank[place]
    return out


def skimage_segmentation() -> Any:
    """Return scikit-image's module.

    Raises
    ------
    SettingError
        It is not installed.
    """
    try:
        from skimage import segmentation
    except ImportError as error:
        raise SettingError('This needs scikit-image: pip install "medcolor[study]", or "medcolor[napari]".') from error
    return segmentation


GROUPERS: Mapping[str, Callable[[Image, Inside], Groups]] = MappingProxyType(
    {"k-means": k_means, "mixture": mixture, "superpixels": superpixels, "felzenszwalb": felzenszwalb}
)
"""By name."""

__all__ = [
    "CLASSES",
    "GROUPERS",
    "REGIONS",
    "felzenszwalb",
    "grains",
    "k_means",
    "log_density",
    "means_of",
    "merged",
    "mixture",
    "nearest_of",
    "skimage_segmentation",
    "spread",
    "superpixels",
]
