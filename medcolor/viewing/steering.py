"""Hints at work on a colouring: the slice at once, the volume after it, and every step can be taken back."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medcolor.color import apply_color
from medcolor.colorizers.evidence import Evidence
from medcolor.colorizers.point_hints import Hint as PointHint
from medcolor.errors import SettingError
from medcolor.palettes import Palette
from medcolor.scan import KAxis
from medcolor.viewing.hinted import HintedEvidence
from medcolor.viewing.hints import Hint, Spread, shares, spread, spread_in_slice
from medcolor.viewing.session import ColoringSession

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


class Steering:
    """Hints on one colouring.

    A network that takes hints (zhang2017) is told them, and decides how far they reach; a hint changes its own slice
    then. For all others they spread along the gray.

    Parameters
    ----------
    session : ColoringSession
        One that has classes (physics, segmentations, networks), or whose network takes hints; a table has none.

    Attributes
    ----------
    hints : tuple of Hint
    """

    def __init__(self, session: ColoringSession) -> None:
        self._session = session
        self._before: tuple[PointHint, ...] | None = None  # what the network was told by whoever made it
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

    @property
    def palette(self) -> Palette | None:
        """The classes that a hint may name, None where there are none."""
        if not self._session.done:
            return None
        return self._session.colorizer.taught if self._session.takes_hints else self._session.look.palette  # type: ignore[attr-defined]

    def suggest(self, i: int, j: int, k: int, *, count: int = 5) -> list[Suggestion]:
        """Return the classes that a voxel most probably is, each with the colour it would have there.

        None where a network takes hints that knows no tissue.

        Raises
        ------
        SettingError
            The slice is not coloured yet, or by a table.
        """
        self._require(k)
        if self._session.takes_hints:
            return []
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
        palette = self.palette
        assert palette is not None
        if hint.tissue is not None and hint.tissue not in palette.names:
            raise SettingError(f'"{hint.tissue}" is no class here. Classes: {", ".join(palette.names)}.')
        if not self._session.rgba[k, j, i, 3]:
            raise SettingError("There is no colour at this place: it is outside the body.")
        if self._session.takes_hints:
            self._tell([*self._told(), PointHint(i, j, k, ab=hint.ab, tissue=hint.tissue)])
            self._hints.append((hint, Spread((j, i), {}), False))
            return k
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
            if self._session.takes_hints:  # what could wait until the picture was there
                self._session.settle(hint.voxel[2])
                self._hints[number] = (hint, found, True)
                yield hint.voxel[2]
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
        return self._tell(self._told()) if self._session.takes_hints else self._after(set(found.distances))

    def clear(self) -> list[int]:
        """Take all hints back; return the slices that were repainted."""
        slices = {k for _, found, _ in self._hints for k in found.distances}
        self._hints.clear()
        return self._tell(self._told()) if self._session.takes_hints else self._after(slices)

    # Inside

    def _told(self) -> list[PointHint]:
        """Return what the network is told now."""
        if self._before is None:
            self._before = self._session.hints
        return [*self._before, *(PointHint(*hint.voxel, ab=hint.ab, tissue=hint.tissue) for hint in self.hints)]

    def _tell(self, hints: list[PointHint]) -> list[int]:
        return list(self._session.tell(hints))

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
        if self._session.done and self.palette is None:
            raise SettingError(
                "These colours have no classes (a colour table, or colours learned without tissue): steer a colouring "
                "by tissue."
            )
        if self._session.evidence(k) is None and not (self._session.takes_hints and self._session.colored(k)):
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


__all__ = ["HintedEvidence", "Steering", "Suggestion"]
