"""What a network is taught: physics posteriors cleaned by context, joined with what experts drew.

A network that copies physics voxel by voxel learns nothing new. The targets therefore know more than one voxel does:
neighbours of like gray agree (a mean-field conditional random field, Krähenbühl and Koltun 2011, with the near
neighbours only), slices agree where they are contiguous, specks that no neighbouring slice confirms go to what
surrounds them, and an expert's mask rules out the classes it contradicts. The network then sees degraded input.

Everything works on a few slices at a time with a margin, so any split into blocks gives the same answer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medcolor import tissue
from medcolor.errors import GeometryError
from medcolor.scan import KAxis, Scan, from_slices, to_slices
from medcolor.tissue.model import CLASSES, Posteriors, TissueModel, values_of
from medcolor.tissue.regions import pixel_mm
from medcolor.tissue_map import Segmentation, TissueMap
from medcolor.training.expert_masks import joined, known_masks

PASSES = 3  # of the random field; also how far, in slices, a voxel sees
_MARGIN = PASSES + 1  # and one more for specks
_BLOCK = 4  # slices cleaned at once
_FAR_MM = 7.0  # slices farther apart than this are not neighbours
_SAME_PLANE = tuple((dj, di) for dj in (-1, 0, 1) for di in (-1, 0, 1) if (dj, di) != (0, 0))


@dataclass(frozen=True, slots=True)
class Context:
    """How strongly context speaks in one modality family.

    Parameters
    ----------
    strength : float
        Log odds given to a class by neighbours that all have it and look alike.
    alike : float
        Difference of gray at which neighbours stop to count: HU for CT, else a share of the range of the scan.
        At least 2.5 standard deviations of its noise.
    smallest : Mapping of str to float
        Connected parts of a class below this many mm² are specks. Classes that are truly small have none.
    roots : bool
        Compare square roots: counts, whose noise grows with them.
    """

    strength: float
    alike: float
    smallest: Mapping[str, float]
    roots: bool = False


_LEVELS = dict.fromkeys(CLASSES["MR"], 9.0)
_UPTAKE = {"outside": 100.0, "background": 45.0, "low": 45.0, "moderate": 45.0, "high": 25.0}
CONTEXT: Mapping[str, Context] = MappingProxyType(
    {
        "CT": Context(
            2.5, 40.0,
            {"outside": 30, "gas": 4, "lung": 200, "fat": 6, "fluid": 60, "soft_tissue": 8, "enhanced": 12,
             "spongy_bone": 12},
        ),
        "MR": Context(3.0, 0.05, _LEVELS | {"outside": 60.0}),
        "PT": Context(2.0, 0.08, _UPTAKE, roots=True),
        "NM": Context(0.8, 0.05, {"outside": 100.0}, roots=True),  # the model smooths already
        "US": Context(3.0, 0.10, dict.fromkeys(CLASSES["US"], 20.0) | {"bright": 6.0, "outside": 100.0}),
        "XR": Context(2.0, 0.05, {"outside": 200, "air": 100, "soft_tissue": 60, "dense": 60, "bone": 30}),
        "MG": Context(2.0, 0.05, {"air": 50, "skin": 2, "fat": 2, "fibroglandular": 2, "pectoral": 100}),
    }
)  # fmt: skip


def contiguous_slices(scan: Scan) -> bool:
    """Whether neighbouring slices show neighbouring tissue: positions in space, even, and near enough."""
    return scan.k_axis is KAxis.SPACE and not scan.irregular and scan.geometry.spacing[2] <= _FAR_MM


class CleanTargets:
    """Targets of one scan, block by block; has the interface of a :class:`TissueModel`.

    Parameters
    ----------
    scan : Scan
    masks : Segmentation, optional
        What an expert drew, on the scan's grid. :func:`medcolor.training.expert_masks.mask_classes` says which names
        are used.
    contiguous : bool, optional
        Whether slices are neighbours in space; None asks the scan.

    Raises
    ------
    ModalityError
        No tissue model for the scan.
    GeometryError
        Masks are on another grid.
    """

    def __init__(self, scan: Scan, masks: Segmentation | None = None, *, contiguous: bool | None = None) -> None:
        self._model: TissueModel = tissue.fit(scan)
        if masks is not None and masks.labels.shape != scan.shape:
            raise GeometryError(f"Masks of shape {masks.labels.shape} do not fit a scan of shape {scan.shape}.")
        family = scan.family or ""
        self._scan, self._masks, self._context = scan, masks, CONTEXT[family]
        self._meanings = known_masks(masks, family) if masks is not None else {}
        wanted = contiguous_slices(scan) if contiguous is None else contiguous
        self._contiguous = wanted and scan.shape[2] > 1
        self._mm = pixel_mm(scan, field_mm=400.0)
        self._alike = self._gray_scale()

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in palette order."""
        return self._model.classes

    def posteriors(self, block: slice) -> Posteriors:
        """Return the cleaned probabilities of a range of slices, (K, n, nj, ni) float32, summing to 1 over K."""
        ni, nj, nk = self._scan.shape
        start, stop, _ = block.indices(nk)
        out = np.empty((len(self.classes), stop - start, nj, ni), dtype=np.float32)
        for first in range(start, stop, _BLOCK):
            last = min(first + _BLOCK, stop)
            out[:, first - start : last - start] = self._cleaned(first, last, nk)
        return out

    def _cleaned(self, first: int, last: int, nk: int) -> Posteriors:
        margin = _MARGIN if self._contiguous else 0
        low, high = max(first - margin, 0), min(last + margin, nk)
        wide = slice(low, high)
        p = self._model.posteriors(wide)
        if self._masks is not None and self._meanings:
            labels = to_slices(self._masks.labels)[wide]
            p = joined(p, labels, self._meanings, self.classes, no_image=self._scan.padded(wide))
        field = _mean_field(
            p, self._grays(wide), self._context.strength, self._alike, through=self._contiguous,
        )  # fmt: skip
        least = [self._context.smallest.get(name, 0.0) / self._mm**2 for name in self.classes]
        return _without_specks(field, least, first - low, last - low, through=self._contiguous)

    def _grays(self, block: slice) -> NDArray[np.float32]:
        values = values_of(self._scan, block)
        return np.sqrt(np.maximum(values, 0)) if self._context.roots else values

    def _gray_scale(self) -> float:
        """Return the difference of gray at which neighbours stop to count."""
        nk = self._scan.shape[2]
        some = np.unique(np.linspace(0, nk - 1, min(nk, 7)).astype(int))
        grays = np.concatenate([self._grays(slice(k, k + 1)) for k in some])
        unit = 1.0
        if self._scan.units != "HU":
            inside = grays[grays > grays.min()]
            low, high = np.percentile(inside, (0.5, 99.5)) if inside.size else (0.0, 1.0)
            unit = float(max(high - low, 1e-12))
        return max(self._context.alike * unit, 2.5 * _noise(grays), 1e-12)


def _noise(grays: NDArray[np.float32]) -> float:
    """Estimate noise by the median absolute second difference along rows, where there is any signal."""
    if grays.shape[2] < 3:
        return 0.0
    bend = np.abs(grays[..., 1:-1] - (grays[..., :-2] + grays[..., 2:]) / 2)
    bend = bend[bend > 0]
    return float(np.median(bend)) * 1.4826 / 1.5**0.5 if bend.size else 0.0


def _mean_field(
    p: Posteriors, grays: NDArray[np.float32], strength: float, alike: float, *, through: bool
) -> Posteriors:
    """Let alike neighbours agree; (K, n, nj, ni). A voxel unlike all its neighbours keeps what physics says."""
    moves = [(0, dj, di, 1.0 if dj == 0 or di == 0 else 0.7) for dj, di in _SAME_PLANE]
    if through:
        moves += [(-1, 0, 0, 1.5), (1, 0, 0, 1.5)]
    all_weights = np.float32(sum(weight for *_, weight in moves))
    kernels = []
    for dk, dj, di, weight in moves:
        to, source = _overlap(grays.shape, dk, dj, di)
        difference = (grays[to] - grays[source]) / np.float32(alike)
        kernels.append((to, source, np.float32(weight) * np.exp(-0.5 * difference * difference)))
    q = p
    for _ in range(PASSES):
        support = np.zeros_like(p)
        for to, source, kernel in kernels:
            for k in range(len(p)):
                support[k][to] += kernel * q[k][source]
        support *= np.float32(strength) / all_weights
        np.exp(support, out=support)
        support *= p
        support /= support.sum(axis=0)
        q = support
    return q


def _overlap(shape: tuple[int, ...], *move: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Return where a voxel and its neighbour at ``move`` both exist: slices of the voxel, slices of the neighbour."""
    to = tuple(slice(max(-m, 0), n - max(m, 0)) for n, m in zip(shape, move, strict=True))
    source = tuple(slice(max(m, 0), n - max(-m, 0)) for n, m in zip(shape, move, strict=True))
    return to, source


def _without_specks(q: Posteriors, least: list[float], first: int, last: int, *, through: bool) -> Posteriors:
    """Give specks of slices first..last to what surrounds them, unless a neighbouring slice has them too."""
    from scipy import ndimage

    winner = q.argmax(axis=0)
    out = q[:, first:last].copy()
    eight = np.ones((3, 3))
    for k in range(first, last):
        speck = np.zeros(winner.shape[1:], dtype=bool)
        for c, size in enumerate(least):
            if size <= 1:
                continue
            labels, n = ndimage.label(winner[k] == c, eight)
            small = np.bincount(labels.ravel(), minlength=n + 1) < size
            small[0] = False
            if through:
                for other in (k - 1, k + 1):
                    if 0 <= other < len(winner):
                        small[labels[winner[other] == c]] = False
            speck |= small[labels]
        speck &= out[0, k - first] < 1  # certain by padding
        if speck.any() and not speck.all():
            j, i = ndimage.distance_transform_edt(speck, return_distances=False, return_indices=True)
            out[:, k - first] = out[:, k - first][:, j, i]
    return out


def clean_targets(scan: Scan, masks: Segmentation | None = None, *, contiguous: bool | None = None) -> TissueMap:
    """Return the targets of a whole scan; half precision, (ni, nj, nk, K).

    Parameters
    ----------
    scan, masks, contiguous
        As for :class:`CleanTargets`.

    Raises
    ------
    ModalityError, GeometryError
        As :class:`CleanTargets`.
    """
    model = CleanTargets(scan, masks, contiguous=contiguous)
    ni, nj, nk = scan.shape
    stacked = np.empty((nk, nj, ni, len(model.classes)), dtype=np.float16)
    for k in range(0, nk, _BLOCK):
        stacked[k : k + _BLOCK] = np.moveaxis(model.posteriors(slice(k, k + _BLOCK)), 0, -1)
    return TissueMap(from_slices(stacked), model.classes, scan.geometry, scan.family or scan.modality)


@lru_cache(maxsize=1)
def _code() -> str:
    """Return a digest of the code that makes targets: a target of older code is not found again."""
    here = Path(__file__)
    files = [*sorted(Path(tissue.__file__).parent.glob("*.py")), here, here.with_name("expert_masks.py")]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def content_hash(scan: Scan, masks: Segmentation | None = None, *, contiguous: bool | None = None) -> str:
    """Return a sha256 of everything the targets depend on: voxels, grid, units, masks, and the code itself."""
    digest = hashlib.sha256()

    def add(*parts: Any) -> None:
        for part in parts:
            digest.update(repr(part).encode() + b"\0")

    add(_code(), scan.shape, scan.voxels.dtype.str, scan.modality, scan.units, scan.inverted, scan.k_axis.value)
    add(scan.irregular, scan.geometry.space.value, [round(s, 6) for s in scan.geometry.spacing], contiguous)
    add(str(scan.facts.get("ViewPosition", "")))
    for k in range(scan.shape[2]):
        digest.update(np.ascontiguousarray(to_slices(scan.voxels)[k]).data)
        if scan.padding is not None:
            digest.update(scan.padded(slice(k, k + 1)).tobytes())
    if masks is not None:
        add(sorted(masks.names.items()))
        digest.update(np.ascontiguousarray(to_slices(masks.labels)).data)
    return digest.hexdigest()
