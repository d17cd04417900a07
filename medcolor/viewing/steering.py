"""Hints at work on a colouring: the slice at once, the volume after it, and every step can be taken back."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from medcolor.color import apply_color, index_from_posteriors
from medcolor.colorizers.evidence import Evidence, Index, Look
from medcolor.errors import SettingError
from medcolor.scan import KAxis
from medcolor.viewing.hints import Hint, Spread, shares, spread, spread_in_slice
from medcolor.viewing.live import LiveColors

_FULL = np.float32(255)


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A class that a voxel may be.

    Attributes
    ----------
    tissue, label : str
        Name, and name for people.
    probability : float
        As the colouring has it now.
    rgb : tuple of int
        What the voxel would look like, at its own gray.
    """

    tissue: str
    label: str
    probability: float
    rgb: tuple[int, int, int]


@dataclass(frozen=True, slots=True, eq=False)
class HintedEvidence:
    """What a colorizer says of a slice, and what somebody says on top of it.

    Parameters
    ----------
    base : Evidence
    classes : tuple of (int, ndarray of uint8 (nj, ni))
        Class of the palette, and how much a hint of it counts; 255 is 1.
    colors : tuple of ((a*, b*), ndarray of uint8 (nj, ni))
        The same of hints of a colour.
    """

    base: Evidence
    classes: tuple[tuple[int, NDArray[np.uint8]], ...]
    colors: tuple[tuple[tuple[float, float], NDArray[np.uint8]], ...]
    exact: bool = field(default=True, init=False)  # there is no other account of hints

    @property
    def nbytes(self) -> int:
        """Memory of the base and the weights."""
        return self.base.nbytes + sum(part.nbytes for _, part in (*self.classes, *self.colors))

    def index(self, look: Look) -> Index:
        """Return the nodes of the mean of all colours; a fade of the colorizer's own applies where no hint counts."""
        hinted = self._hinted() > 0
        index = self.base.index(look)
        if not hinted.any():
            return index
        rows, columns = _window(hinted)
        part = hinted[rows, columns]
        planes = self.posteriors()[:, rows, columns][:, part]
        ab = look.ab
        if self.colors:
            weights = np.stack([w[rows, columns][part] for _, w in self.colors]).astype(np.float32) / _FULL
            planes = np.concatenate([planes * (1 - weights.sum(axis=0)), weights])
            ab = np.concatenate([ab, np.array([color for color, _ in self.colors], np.float32)])
        index = index.copy()
        index[rows, columns][part] = index_from_posteriors(np.ascontiguousarray(planes), ab, strength=look.strength)
        return index

    def posteriors(self) -> NDArray[np.float32]:
        """Return the probabilities, hints included; a hint of a colour leaves them alone."""
        whole = self.base.posteriors()
        if self.classes:
            weights = np.stack([w for _, w in self.classes]).astype(np.float32) / _FULL
            whole = whole * (1 - weights.sum(axis=0))
            for (number, _), one in zip(self.classes, weights, strict=True):
                whole[number] += one
        return whole

    def at(self, j: int, i: int) -> NDArray[np.float32]:
        """Return the probabilities of one voxel."""
        values = self.base.at(j, i).astype(np.float32)
        counted = {number: float(w[j, i]) / 255 for number, w in self.classes}
        values = values * np.float32(1 - sum(counted.values()))
        for number, one in counted.items():
            values[number] += np.float32(one)
        return values

    def confidence(self, look: Look) -> NDArray[np.uint8]:
        """Return the colorizer's, and 255 where a hint counts in full."""
        own, hinted = self.base.confidence(look).astype(np.float32), self._hinted()
        return np.rint(own + (_FULL - own) * hinted).astype(np.uint8)

    def outside(self) -> NDArray[np.bool_]:
        """Return where the colorizer says that no body is."""
        return self.base.outside()

    def totals(self) -> NDArray[np.float64]:
        """Return the sums, hints included."""
        return np.asarray(self.posteriors().sum(axis=(1, 2), dtype=np.float64))

    def compact(self) -> HintedEvidence:
        """Return it with the base as it is kept."""
        return HintedEvidence(self.base.compact(), self.classes, self.colors)

    def unpacked(self) -> HintedEvidence:
        """Return it with the base as it is painted again and again."""
        return HintedEvidence(self.base.unpacked(), self.classes, self.colors)

    def _hinted(self) -> NDArray[np.float32]:
        total = np.zeros(self.base.outside().shape, np.float32)
        for _, part in (*self.classes, *self.colors):
            total += part
        return np.minimum(total / _FULL, 1)


class Steering:
    """Hints on one colouring.

    Parameters
    ----------
    session : LiveColors
        One that has classes: physics, segmentations, networks; a table has none.

    Attributes
    ----------
    hints : tuple of Hint
    """

    def __init__(self, session: LiveColors) -> None:
        self._session = session
        self._hints: list[tuple[Hint, Spread, bool]] = []  # and whether it went through the volume
        self._base: dict[int, Evidence] = {}
        self._seen: dict[int, NDArray[np.uint8]] = {}

    @property
    def hints(self) -> tuple[Hint, ...]:
        """In the order in which they were given."""
        return tuple(hint for hint, _, _ in self._hints)

    @property
    def waiting(self) -> bool:
        """Whether hints have not gone through the volume yet."""
        return not all(done for _, _, done in self._hints)

    def suggest(self, i: int, j: int, k: int, *, count: int = 5) -> list[Suggestion]:
        """Return the classes that a voxel most probably is, each with the colour it would have there.

        Raises
        ------
        SettingError
            The slice is not coloured yet, or by a table.
        """
        self._require(k)
        evidence, palette = self._session.evidence(k), self._session.look.palette
        assert evidence is not None
        assert palette is not None
        values = evidence.at(j, i)
        order = np.argsort(-values, kind="stable")[:count]
        gray = np.full(len(order), self._session.gray[k, j, i], np.uint8)
        rgb = apply_color(gray, palette.ab[order], strength=self._session.look.strength)
        return [
            Suggestion(palette.names[n], palette.classes[n].label, float(values[n]), (int(r), int(g), int(b)))
            for n, (r, g, b) in zip(order.tolist(), rgb, strict=True)
        ]

    def add(self, hint: Hint) -> int:
        """Take a hint and repaint its slice; return the slice. :meth:`spread` carries it through the volume.

        Raises
        ------
        SettingError
            Outside the scan or the body, no such class, or the slice is not coloured yet.
        """
        i, j, k = hint.voxel
        if not all(0 <= n < side for n, side in zip(hint.voxel, self._session.scan.shape, strict=True)):
            raise SettingError(f"The hint at {hint.voxel} is outside the scan of {self._session.scan.shape} voxels.")
        self._require(k)
        palette = self._session.look.palette
        assert palette is not None
        if hint.tissue is not None and hint.tissue not in palette.names:
            raise SettingError(f'"{hint.tissue}" is no class here. Classes: {", ".join(palette.names)}.')
        if not self._session.rgba[k, j, i, 3]:
            raise SettingError("There is no colour at this place: it is outside the body.")
        found = spread_in_slice(hint, self._gray(k), self._spacing())
        self._hints.append((hint, found, False))
        self._repaint(k)
        self._note()
        return k

    def spread(self) -> Iterator[int]:
        """Carry hints through the volume; yield each slice as it is repainted. Slices not coloured yet are left."""
        for number, (hint, found, done) in enumerate(self._hints):
            if done:
                continue
            whole = spread(hint, self._gray, self._spacing(), self._session.total, first=found)
            if number >= len(self._hints) or self._hints[number][0] is not hint:
                return  # taken back meanwhile
            self._hints[number] = (hint, whole, True)
            for k in sorted(whole.distances, key=lambda k: abs(k - hint.voxel[2])):
                if self._session.evidence(k) is not None:
                    self._repaint(k)
                    yield k

    def undo(self) -> list[int]:
        """Take the last hint back; return the slices that were repainted."""
        if not self._hints:
            return []
        _, found, _ = self._hints.pop()
        return self._after(set(found.distances))

    def clear(self) -> list[int]:
        """Take all hints back; return the slices that were repainted."""
        slices = {k for _, found, _ in self._hints for k in found.distances}
        self._hints.clear()
        return self._after(slices)

    # Inside

    def _after(self, slices: set[int]) -> list[int]:
        touched = sorted(k for k in slices if k in self._base)
        for k in touched:
            self._repaint(k)
        self._note()
        if not self._hints:
            self._seen.clear()
        return touched

    def _note(self) -> None:
        if self._hints:
            self._session.amendments["hints"] = [hint.to_json() for hint in self.hints]
        else:
            self._session.amendments.pop("hints", None)

    def _require(self, k: int) -> None:
        if self._session.done and self._session.look.palette is None:
            raise SettingError(
                "These colours have no classes (a colour table, or colours learned without tissue): steer a colouring "
                "by tissue."
            )
        if self._session.evidence(k) is None:
            raise SettingError("This slice is not coloured yet.")

    def _spacing(self) -> tuple[float, float, float]:
        i, j, k = self._session.scan.geometry.spacing
        return i, j, k if self._session.scan.k_axis is KAxis.SPACE else math.inf

    def _gray(self, k: int) -> NDArray[np.uint8]:
        """Return the gray of a slice as it was when hints first met it: a change of window moves no hint."""
        if k not in self._seen:
            self._seen[k] = self._session.gray[k].copy()
        return self._seen[k]

    def _repaint(self, k: int) -> None:
        evidence = self._session.evidence(k)
        if evidence is None:
            return
        if not isinstance(evidence, HintedEvidence):
            self._base[k] = evidence
        base = evidence.base if isinstance(evidence, HintedEvidence) else evidence
        palette = self._session.look.palette
        assert palette is not None
        met = [(hint, found) for hint, found, _ in self._hints if k in found.distances]
        if not met:
            self._session.amend(k, base)
            return
        distances = np.full((len(met), *self._session.gray.shape[1:]), np.inf, np.float32)
        for plane, (_, found) in zip(distances, met, strict=True):
            found.into(k, plane)
        distances[:, self._session.rgba[k, ..., 3] == 0] = np.inf
        classes: dict[int, NDArray[np.float32]] = {}
        colors: dict[tuple[float, float], NDArray[np.float32]] = {}
        for (hint, _), share in zip(met, shares(distances), strict=True):
            if hint.ab is not None:
                colors[hint.ab] = colors.get(hint.ab, np.float32(0)) + share
            elif hint.tissue is not None:
                number = palette.names.index(hint.tissue)
                classes[number] = classes.get(number, np.float32(0)) + share
        amended = HintedEvidence(
            base,
            tuple((number, _quantized(w)) for number, w in sorted(classes.items())),
            tuple((ab, _quantized(w)) for ab, w in sorted(colors.items())),
        )
        self._session.amend(k, amended)


def _quantized(share: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return shares in 255 steps, rounded down: several of them sum to 1 at most."""
    return np.floor(share * np.float32(255.001)).astype(np.uint8)


def _window(mask: NDArray[np.bool_]) -> tuple[slice, slice]:
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


__all__ = ["HintedEvidence", "Steering", "Suggestion"]
