"""What another form of a network costs in colour, on the scans of test patients: both coloured, and compared.

The difference is CIEDE2000 between the two outputs as they are shown, the colour law included, at the scan's default
display and inside the body by the network's own word (its most probable class is not the one that means "no body").
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from medcolor.cielab import delta_e_2000, rgb_to_lab
from medcolor.color import color_from_posteriors, restore_gray
from medcolor.training.statistics import Interval, bootstrap
from medcolor.windowing import default_display, grayscale

if TYPE_CHECKING:
    from medcolor.colorizers.network import NetworkColorizer
    from medcolor.colorizers.prediction import Prediction
    from medcolor.scan import Scan

VISIBLE = 1.0
"""CIEDE2000 that is about a just noticeable difference."""


@dataclass(eq=False)
class _Patient:
    pixels: int = 0
    changed: int = 0
    visible: int = 0
    error: float = 0.0


@dataclass(eq=False)
class Parity:
    """The colours of one arm against those of the reference, and how long both took, in turn.

    Attributes
    ----------
    largest : float
        CIEDE2000 of the pixel that differs most.
    broken : int
        Pixels that break the colour law.
    """

    slices: int = 0
    largest: float = 0.0
    broken: int = 0
    seconds: list[tuple[float, float]] = field(default_factory=list)
    _patients: dict[str, _Patient] = field(default_factory=dict)

    def add(self, patient: str, gray: NDArray[np.uint8], ours: NDArray[np.uint8], reference: NDArray[np.uint8],
            body: NDArray[np.bool_]) -> None:  # fmt: skip
        """Compare a block of slices, (n, nj, ni[, 3])."""
        row = self._patients.setdefault(patient, _Patient())
        differs = (ours != reference).any(axis=-1) & body
        error = delta_e_2000(rgb_to_lab(ours[differs]), rgb_to_lab(reference[differs]))
        self.slices += len(gray)
        self.broken += int(np.count_nonzero(restore_gray(ours) != gray))
        self.largest = max(self.largest, float(error.max(initial=0.0)))
        row.pixels += int(np.count_nonzero(body))
        row.changed += int(np.count_nonzero(differs))
        row.visible += int(np.count_nonzero(error > VISIBLE))
        row.error += float(error.sum(dtype=np.float64))

    @property
    def error(self) -> Interval:
        """Mean CIEDE2000, with its interval by patient."""
        return bootstrap([row.error / row.pixels for row in self._patients.values() if row.pixels])

    @property
    def time_ratio(self) -> float:
        """Time of this arm as a part of the reference's, of medians; the first slice, which warms up, left out."""
        ours, reference = zip(*(self.seconds[1:] or self.seconds), strict=True)
        return statistics.median(ours) / statistics.median(reference)

    def share(self, what: str) -> float:
        """Return the share of body pixels that are ``changed`` or ``visible``."""
        rows = self._patients.values()
        return sum(getattr(row, what) for row in rows) / max(1, sum(row.pixels for row in rows))

    def to_json(self) -> dict[str, Any]:
        """Return the figures that do not depend on the machine's speed."""
        return {
            "measured": True,
            "ciede2000": self.error.to_json(),
            "largest": round(self.largest, 4),
            "pixels_changed": self.share("changed"),
            "pixels_above_1": self.share("visible"),
            "pixels_breaking_the_law": self.broken,
            "patients": len(self._patients),
            "slices": self.slices,
        }

    def __str__(self) -> str:
        return (
            f"CIEDE2000 {self.error:.2g} in the mean, {self.largest:.2g} at most; {self.share('changed'):.3%} of body "
            f"pixels differ, {self.share('visible'):.3%} by more than 1; {self.broken} break the colour law "
            f"({len(self._patients)} test patients, {self.slices} slices)"
        )


def compare(
    arms: Sequence[NetworkColorizer],
    scans: Iterable[tuple[str, Scan]],
    *,
    progress: Callable[[int, int], None] | None = None,
    total: int = 0,
) -> list[Parity]:
    """Colour scans with several colorizers and compare all others with the first.

    Parameters
    ----------
    arms : sequence of NetworkColorizer
        Of one bundle, on the CPU; the first is the reference.
    scans : iterable of (patient, Scan)
    progress : callable, optional
        Called with (scans done, ``total``).

    Returns
    -------
    list of Parity
        One for each arm but the first.
    """
    results = [Parity() for _ in arms[1:]]
    turn = 0
    for done, (patient, scan) in enumerate(scans, start=1):
        gray_of, ab = grayscale(scan, default_display(scan)), arms[0].palette_for(scan).ab
        predictions = [arm.predict(scan) for arm in arms]
        for k in range(scan.shape[2]):
            block = slice(k, k + 1)
            gray = np.ascontiguousarray(gray_of(block))
            painted: dict[int, tuple[NDArray[np.uint8], NDArray[np.bool_]]] = {}
            seconds: dict[int, float] = {}
            for n in range(turn, turn + len(arms)):  # another one begins each time
                start = time.perf_counter()
                painted[n % len(arms)] = _painted(predictions[n % len(arms)], block, gray, ab)
                seconds[n % len(arms)] = time.perf_counter() - start
            turn += 1
            for n, result in enumerate(results, start=1):
                result.add(patient, gray, painted[n][0], painted[0][0], painted[0][1])
                result.seconds.append((seconds[n], seconds[0]))
        if progress is not None:
            progress(done, total)
    return results


def _painted(
    prediction: Prediction, block: slice, gray: NDArray[np.uint8], ab: NDArray[np.float32]
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    rgb = np.empty((*gray.shape, 3), np.uint8)
    body = np.empty(gray.shape, np.bool_)
    for tile, posteriors, _ in prediction.tensors(block):
        likely = posteriors.numpy()
        rgb[tile.kept] = color_from_posteriors(np.ascontiguousarray(gray[tile.kept]), likely, ab)
        body[tile.kept] = likely[0] < likely[1:].max(axis=0)
    return rgb, body


__all__ = ["VISIBLE", "Parity", "compare"]
