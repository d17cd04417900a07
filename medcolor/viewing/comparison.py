"""A segmenter on gray and the same segmenter on colour, side by side on one scan.

Classical segmenters (:mod:`medcolor.segmenters`), given the same seeds and the same settings; only the image differs:
L* alone, or L*, a* and b*. What one scan shows proves nothing: :data:`NO_EVIDENCE` belongs beside every figure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medcolor.cielab import gray_to_lightness, rgb_to_lab
from medcolor.colorizers import Progress
from medcolor.errors import SettingError
from medcolor.scan import KAxis, Scan, from_slices
from medcolor.segmenters.grouping import k_means
from medcolor.segmenters.seeded import SEEDED
from medcolor.tissue_map import Segmentation
from medcolor.viewing.live import LiveColors

NO_EVIDENCE = (
    "No evidence of gain from one scan: this shows where two results differ, not which is right. Colour is computed "
    "from the gray and adds no measurement."
)

MOST_VOXELS = 4_000_000
"""What is compared at once: these methods hold many numbers for each voxel."""

_CLASSES = 4  # of methods without seeds
_SCALE = 100.0  # L* runs from 0 to 100; a* and b* are in the same unit


@dataclass(frozen=True, slots=True)
class Method:
    """One segmenter.

    Attributes
    ----------
    name, meaning : str
    seeded : bool
        Whether it wants at least two labels of seeds.
    """

    name: str
    meaning: str
    seeded: bool


METHODS = (
    Method("watershed", "seeds grow until they meet at the steepest edges", seeded=True),
    Method("superpixels", "pixels are grouped, then groups go to the seeds most like them", seeded=True),
    Method("k-means", f"{_CLASSES} groups of alike pixels; no seeds", seeded=False),
)


@dataclass(frozen=True, slots=True, eq=False)
class Compared:
    """Two results and how they differ.

    Attributes
    ----------
    method : Method
    gray, color : Segmentation
        The same labels mean the same thing.
    disagreement : ndarray of bool, (nk, nj, ni)
    agreement : float
        Share of the compared pixels with equal labels.
    dice : Mapping of str to Mapping
        "gray" and "colour" -> label -> Dice against a mask; empty without one.
    """

    method: Method
    gray: Segmentation
    color: Segmentation
    disagreement: NDArray[np.bool_]
    agreement: float
    dice: Mapping[str, Mapping[int, float]]

    def volumes(self) -> dict[int, tuple[float, float]]:
        """Return label -> ml on gray and on colour; empty where pixels have no volume."""
        if not self.gray.has_volume:
            return {}
        labels = sorted(self.gray.names)
        return {label: (self.gray.volume_ml(label), self.color.volume_ml(label)) for label in labels}

    def largest_disagreement(self) -> tuple[int, int, int] | None:
        """Return (i, j, k) of a pixel deep inside the largest connected disagreement; None where there is none."""
        from scipy import ndimage

        found, count = ndimage.label(self.disagreement)
        if not count:
            return None
        largest = int(np.bincount(found.reshape(-1))[1:].argmax()) + 1
        inside = found == largest
        k = int(inside.sum(axis=(1, 2)).argmax())
        depth = ndimage.distance_transform_edt(np.pad(inside[k], 1))[1:-1, 1:-1]
        j, i = np.unravel_index(int(depth.argmax()), depth.shape)
        return int(i), int(j), k


def compare(
    session: LiveColors,
    method: str,
    *,
    seeds: NDArray[np.integer] | None = None,
    mask: Segmentation | None = None,
    slices: range | None = None,
    progress: Progress | None = None,
) -> Compared:
    """Segment the gray and the colour of a scan, slice by slice.

    Parameters
    ----------
    session : LiveColors
        The slices compared must be coloured.
    method : str
        Name of one of :data:`METHODS`.
    seeds : ndarray of int, (nk, nj, ni), optional
        0 where nothing is said; labels from 1 on, at least two. A slice without seeds of its own takes those of the
        nearest slice that has them, at the same place.
    mask : Segmentation, optional
        On the scan's grid; Dice is computed for each label that the results have too.
    slices : range, optional
        Default all.
    progress : callable, optional
        Told (slices done, slices in all).

    Raises
    ------
    SettingError
        No such method, seeds missing, slices not coloured yet, too much at once, or scikit-image is not installed.
    GeometryError
        The mask is on another grid.
    """
    chosen = next((known for known in METHODS if known.name == method), None)
    if chosen is None:
        raise SettingError(f'"{method}" is no segmenter here. Known: {", ".join(known.name for known in METHODS)}.')
    scan, numbers = session.scan, range(session.total) if slices is None else slices
    _require(session, numbers)
    if mask is not None:
        mask.geometry.require_match(scan.geometry, "The mask and the scan")
    seeded = _seeds_of(chosen, seeds, scan)
    results = [np.zeros(scan.shape[::-1], np.uint16) for _ in range(2)]
    compared = np.zeros(scan.shape[::-1], np.bool_)
    for done, k in enumerate(numbers, 1):
        inside = session.rgba[k, ..., 3] > 0
        own = None if seeded is None else seeded(k)
        if inside.any():
            compared[k] = inside
            for result, image in zip(results, _images(session, k), strict=True):
                result[k] = np.where(inside, _SEGMENTERS[chosen.name](image, own, inside), 0)
        if progress is not None:
            progress(done, len(numbers))
    labels = sorted(set(np.unique(results[0])) | set(np.unique(results[1])) - {0})
    names = {int(label): f"{'label' if chosen.seeded else 'group'} {label}" for label in labels if label}
    gray, color = (Segmentation(from_slices(result), scan.geometry, names) for result in results)
    disagreement = results[0] != results[1]
    share = 1 - float(np.count_nonzero(disagreement)) / max(int(np.count_nonzero(compared)), 1)
    return Compared(chosen, gray, color, disagreement, share, _dice(mask, results, numbers))


def in_words(found: Compared) -> str:
    """Return the figures of a comparison, one line each."""
    lines = [f"{found.method.name}: {100 * found.agreement:.2f} % of the pixels agree."]
    lines += [
        f"{found.gray.names[label]}: {gray:.4g} ml on gray, {color:.4g} ml on colour"
        for label, (gray, color) in found.volumes().items()
    ]
    for label, gray in found.dice.get("gray", {}).items():
        lines.append(f"Dice of label {label}: {gray:.3f} on gray, {found.dice['colour'][label]:.3f} on colour")
    return "\n".join(lines)


def dice(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """Return 2 |A and B| / (|A| + |B|); NaN where both are empty: there is nothing to agree about."""
    total = int(np.count_nonzero(one)) + int(np.count_nonzero(other))
    return 2 * int(np.count_nonzero(one & other)) / total if total else float("nan")


def _require(session: LiveColors, numbers: range) -> None:
    ni, nj, _ = session.scan.shape
    if ni * nj * len(numbers) > MOST_VOXELS:
        most = max(MOST_VOXELS // (ni * nj), 1)
        raise SettingError(f"{len(numbers)} slices of {ni} x {nj} are too many at once: compare {most} or fewer.")
    if not len(numbers) or not session.done:
        raise SettingError("Colour the scan first: there is nothing to compare yet.")
    missing = [k for k in numbers if session.evidence(k) is None] if session.look.table is None else []
    if missing:
        raise SettingError(f"{len(missing)} of these slices are not coloured yet: let it finish first.")


def _seeds_of(
    method: Method, seeds: NDArray[np.integer] | None, scan: Scan
) -> Callable[[int], NDArray[np.integer]] | None:
    if not method.seeded:
        return None
    if seeds is None or seeds.shape != scan.shape[::-1]:
        raise SettingError(f"{method.name} needs seeds on the scan: paint at least two labels.")
    with_seeds = np.array([k for k, part in enumerate(seeds) if len(np.unique(part[part > 0])) >= 2])
    if not with_seeds.size:
        raise SettingError(f"{method.name} needs seeds of at least two labels in one slice.")
    film = scan.k_axis is not KAxis.SPACE
    return lambda k: seeds[k if film and k in with_seeds else with_seeds[np.abs(with_seeds - k).argmin()]]


def _images(session: LiveColors, k: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return gray and colour of a slice as (L*, 0, 0) and (L*, a*, b*), in units of 100, (nj, ni, 3)."""
    rgb = session.rgba[k, ..., :3]
    gray = session.gray[k]
    lightness = gray_to_lightness()[gray][..., None] * np.array([1.0, 0.0, 0.0])
    color = rgb_to_lab(rgb / 255.0)
    return np.asarray(lightness / _SCALE, np.float64), np.asarray(color / _SCALE, np.float64)


Segmenter = Callable[[NDArray[np.float64], "NDArray[np.integer] | None", NDArray[np.bool_]], NDArray[np.integer]]


def _seeded(name: str) -> Segmenter:
    def segment(
        image: NDArray[np.float64], seeds: NDArray[np.integer] | None, inside: NDArray[np.bool_]
    ) -> NDArray[np.integer]:
        assert seeds is not None
        return SEEDED[name](image, seeds, inside)

    return segment


_SEGMENTERS: dict[str, Segmenter] = {
    "watershed": _seeded("watershed"),
    "superpixels": _seeded("superpixels_to_seeds"),
    "k-means": lambda image, seeds, inside: k_means(image, inside, classes=_CLASSES),
}


def _dice(mask: Segmentation | None, results: list[NDArray[np.uint16]], numbers: range) -> dict[str, dict[int, float]]:
    if mask is None:
        return {}
    where = slice(numbers.start, numbers.stop, numbers.step)
    truth = mask.labels.transpose(2, 1, 0)[where]
    labels = [label for label in mask.counts if any((result == label).any() for result in results)]
    return {
        name: {label: dice(result[where] == label, truth == label) for label in labels}
        for name, result in zip(("gray", "colour"), results, strict=True)
    }


__all__ = ["METHODS", "NO_EVIDENCE", "Compared", "Method", "compare", "dice", "in_words"]
