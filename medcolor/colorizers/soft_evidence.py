"""Posteriors of one slice: as a colorizer computed them, and as they are kept for a whole volume."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from medcolor.color import ab_index, index_from_posteriors
from medcolor.colorizers.evidence import Index, Look
from medcolor.colorizers.prediction import HALF_CONFIDENCE
from medcolor.networks.expected_error import SMALLEST_ERROR

FAINTEST = 4  # of 255: weights below that share of the largest one move no colour by a step

_FULL = np.float32(255)
_LOWEST, _PER_STEP = np.float32(-5), np.float32(24)
_CHUNK = 1 << 14


class Rating(Protocol):
    """How a network finds its colours, and what it says of their error."""

    def index(self, planes: NDArray[np.float32], look: Look) -> Index:
        """Return the nodes just as the colorizer finds them."""
        ...

    def confidence(self, look: Look) -> NDArray[np.uint8]:
        """Return the confidence."""
        ...

    def log_scale(self) -> NDArray[np.float32]:
        """Return the log of the error as a multiple of the posteriors' spread, (nj, ni)."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class SoftEvidence:
    """Posteriors as a colorizer computed them.

    Parameters
    ----------
    planes : ndarray of float32, (n, nj, ni)
        Of the classes present.
    classes : tuple of int
        Which of the palette's they are, in rising order.
    count : int
        K.
    rating : Rating or None
        How a colorizer rates itself; None: by the largest posterior.
    exact : bool
        Whether these are the colorizer's own numbers.
    """

    planes: NDArray[np.float32]
    classes: tuple[int, ...]
    count: int
    rating: Rating | None = None
    exact: bool = True

    @property
    def nbytes(self) -> int:
        """Memory of the posteriors."""
        return self.planes.nbytes

    def index(self, look: Look) -> Index:
        """Return the nodes as the colorizer finds them."""
        if not self.classes:
            return np.full(self.planes.shape[1:], ab_index(np.zeros(2, np.float32)), np.int32)
        if self.rating is not None:
            return self.rating.index(self.planes, look)
        return index_from_posteriors(self.planes, look.ab[list(self.classes)], strength=look.strength)

    def posteriors(self) -> NDArray[np.float32]:
        """Return the probabilities, classes that are absent included."""
        whole = np.zeros((self.count, *self.planes.shape[1:]), np.float32)
        whole[list(self.classes)] = self.planes / np.maximum(self.planes.sum(axis=0), np.float32(1e-12))
        return whole

    def at(self, j: int, i: int) -> NDArray[np.float32]:
        """Return the probabilities of one voxel."""
        values = np.zeros(self.count, np.float32)
        values[list(self.classes)] = self.planes[:, j, i]
        return values / np.float32(max(float(values.sum()), 1e-12))

    def confidence(self, look: Look) -> NDArray[np.uint8]:
        """Return the colorizer's confidence, or the largest posterior."""
        if self.rating is not None:
            return self.rating.confidence(look)
        total = np.maximum(self.planes.sum(axis=0), np.float32(1e-12))
        return np.rint(self.planes.max(axis=0) / total * _FULL).astype(np.uint8)

    def outside(self) -> NDArray[np.bool_]:
        """Return where the first class leads."""
        if not self.classes or self.classes[0] != 0:
            return np.zeros(self.planes.shape[1:], np.bool_)
        if len(self.classes) == 1:
            return np.ones(self.planes.shape[1:], np.bool_)
        return np.asarray(self.planes[0] >= self.planes[1:].max(axis=0))

    def totals(self) -> NDArray[np.float64]:
        """Return the sums."""
        sums = np.zeros(self.count)
        total = np.maximum(self.planes.sum(axis=0), np.float32(1e-12))
        sums[list(self.classes)] = [float((plane / total).sum(dtype=np.float64)) for plane in self.planes]
        return sums

    def unpacked(self) -> SoftEvidence:
        """Return itself."""
        return self

    def compact(self) -> SparseEvidence:
        """Return the weights that matter at 8 bits each; see :class:`SparseEvidence`."""
        factor = _FULL / np.maximum(self.planes.max(axis=0, initial=0), np.float32(1e-12))
        scaled, present = np.empty_like(factor), np.empty(factor.shape, np.bool_)
        kept, bits, weights = [], [], []
        for number, plane in zip(self.classes, self.planes, strict=True):
            np.multiply(plane, factor, out=scaled)
            np.greater_equal(scaled, np.float32(FAINTEST - 0.5), out=present)
            values = scaled[present]
            if values.size:
                kept.append(number)
                bits.append(np.packbits(present.reshape(-1)))
                weights.append(np.rint(values).astype(np.uint8))
        scale = None if self.rating is None else quantized_scale(self.rating.log_scale())
        shape = self.planes.shape[1:]
        return SparseEvidence(tuple(bits), tuple(weights), shape, tuple(kept), self.count, scale)


@dataclass(frozen=True, slots=True, eq=False)
class SparseEvidence:
    """Posteriors kept at a few bytes a voxel: of each class its share of the largest, in 255 steps, where not faint.

    For K classes whose colours lie within D of each other, the mean colour is off by at most D sqrt(K - 1) / 510 from
    rounding and D (K - 1) (FAINTEST / 255)^2 from what is left out: below one node of the table (one unit of a* or
    b*) for every palette that travels with medcolor. The gray is exact: it is not touched.

    Parameters
    ----------
    bits : tuple of ndarray of uint8
        For each class kept, packed: where it has a weight.
    weights : tuple of ndarray of uint8
        Those weights.
    shape : tuple of int
        (nj, ni).
    classes, count
        As in :class:`SoftEvidence`.
    scale : ndarray of uint8, (nj, ni), or None
        :func:`quantized_scale` of the log scale of a network.
    """

    bits: tuple[NDArray[np.uint8], ...]
    weights: tuple[NDArray[np.uint8], ...]
    shape: tuple[int, ...]
    classes: tuple[int, ...]
    count: int
    scale: NDArray[np.uint8] | None
    exact: bool = field(default=False, init=False)

    @property
    def nbytes(self) -> int:
        """Memory of bits, weights and scale."""
        return sum(part.nbytes for part in (*self.bits, *self.weights)) + (
            0 if self.scale is None else self.scale.nbytes
        )

    def unpacked(self) -> SoftEvidence:
        """Return the weights as planes: what is painted again and again of the slice somebody looks at."""
        planes = np.zeros((len(self.classes), *self.shape), np.float32)
        for plane, bits, weights in zip(planes, self.bits, self.weights, strict=True):
            plane.reshape(-1)[np.unpackbits(bits, count=plane.size).view(np.bool_)] = weights
        rating = None if self.scale is None else _KeptRating(planes, self.classes, self.scale)
        return SoftEvidence(planes, self.classes, self.count, rating, exact=False)

    def index(self, look: Look) -> Index:
        """Return the nodes, each within one of what the colorizer gives."""
        return self.unpacked().index(look)

    def posteriors(self) -> NDArray[np.float32]:
        """Return the probabilities, faint ones as 0."""
        return self.unpacked().posteriors()

    def at(self, j: int, i: int) -> NDArray[np.float32]:
        """Return the probabilities of one voxel."""
        place = j * self.shape[1] + i
        byte, mask = place >> 3, 0x80 >> (place & 7)
        values = np.zeros(self.count, np.float32)
        for number, bits, weights in zip(self.classes, self.bits, self.weights, strict=True):
            if bits[byte] & mask:
                before = int(np.bitwise_count(bits[:byte]).sum()) + (int(bits[byte]) & ~(2 * mask - 1)).bit_count()
                values[number] = weights[before]
        return values / np.float32(max(float(values.sum()), 1e-12))

    def confidence(self, look: Look) -> NDArray[np.uint8]:
        """Return the colorizer's confidence, nearly, or the largest weight."""
        return self.unpacked().confidence(look)

    def outside(self) -> NDArray[np.bool_]:
        """Return where the first class leads."""
        return self.unpacked().outside()

    def totals(self) -> NDArray[np.float64]:
        """Return the sums."""
        return self.unpacked().totals()

    def compact(self) -> SparseEvidence:
        """Return itself."""
        return self


@dataclass(frozen=True, slots=True, eq=False)
class _KeptRating:
    """What a network said of its error, as kept; near its own word, not the same."""

    planes: NDArray[np.float32]
    classes: tuple[int, ...]
    scale: NDArray[np.uint8]

    def index(self, planes: NDArray[np.float32], look: Look) -> Index:
        ab = look.ab[list(self.classes)]
        if look.fade == 0:
            return index_from_posteriors(planes, ab, strength=look.strength)
        mean, error = _mean_and_error(planes, ab, self.scale)
        mean *= np.float32(look.strength) * (1 - np.float32(look.fade) * error / (error + np.float32(HALF_CONFIDENCE)))
        return ab_index(np.moveaxis(mean, 0, -1))

    def confidence(self, look: Look) -> NDArray[np.uint8]:
        _, error = _mean_and_error(self.planes, look.ab[list(self.classes)], self.scale)
        return np.rint(_FULL / (1 + error / np.float32(HALF_CONFIDENCE))).astype(np.uint8)

    def log_scale(self) -> NDArray[np.float32]:
        log_scale = (self.scale.astype(np.float32) - 1) / _PER_STEP + _LOWEST
        return np.where(self.scale == 0, np.float32(-np.inf), log_scale)


def quantized_scale(log_scale: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return a network's log scale in steps of 1/24; 0 is minus infinity, where no image is."""
    codes = np.clip(np.rint((np.maximum(log_scale, -9) - _LOWEST) * _PER_STEP) + 1, 1, 255)
    return np.where(np.isneginf(log_scale), 0, codes).astype(np.uint8)


def _mean_and_error(
    planes: NDArray[np.float32], ab: NDArray[np.float32], scale: NDArray[np.uint8]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the mean (a*, b*), (2, nj, ni), and the error to expect; as :mod:`medcolor.networks.expected_error`."""
    flat = planes.reshape(len(planes), -1)
    mean, error = np.empty((2, flat.shape[1]), np.float32), np.empty(flat.shape[1], np.float32)
    table = np.exp((np.arange(256, dtype=np.float32) - 1) / _PER_STEP + _LOWEST)
    table[0] = 0
    for start in range(0, flat.shape[1], _CHUNK):
        part = slice(start, start + _CHUNK)
        p = flat[:, part]
        weights = p * p
        center = (ab.T @ weights) / np.maximum(weights.sum(axis=0), np.float32(1e-12))
        spread = np.zeros(p.shape[1], np.float32)
        for probability, color in zip(p, ab, strict=True):
            gap = center - color[:, None]
            gap *= gap
            spread += probability * np.sqrt(gap[0] + gap[1])
        spread /= np.maximum(p.sum(axis=0), np.float32(1e-12))
        mean[:, part] = center
        error[part] = np.maximum(spread, np.float32(SMALLEST_ERROR)) * table[scale.reshape(-1)[part]]
    return mean.reshape(2, *planes.shape[1:]), error.reshape(planes.shape[1:])


__all__ = ["Rating", "SoftEvidence", "SparseEvidence", "quantized_scale"]
