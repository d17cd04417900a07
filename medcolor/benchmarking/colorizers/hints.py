"""PSNR against the number of hints: random reveals of the target, as in Zhang 2017."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from medcolor.benchmarking.colorizers import figures
from medcolor.benchmarking.colorizers.bundle_arms import ChromaArm
from medcolor.benchmarking.colorizers.rows import paint
from medcolor.benchmarking.colorizers.views import View, one_slice, spread
from medcolor.colorizers.point_hints import Hint
from medcolor.training.statistics import Floats, Interval, bootstrap, difference_of_means

COUNTS = (0, 1, 2, 5, 10, 20, 50, 100)
REVEAL = 6  # pixels along a side
GAIN = 5.0  # dB
PATIENTS = 20  # at most, spread evenly: eight numbers of hints each


@dataclass(frozen=True)
class HintCurve:
    """PSNR of each number of hints.

    Parameters
    ----------
    counts : tuple of int
    psnr : dict of str to list of float
        Patient -> dB for each count.
    """

    counts: tuple[int, ...]
    psnr: dict[str, list[float]]

    def _table(self) -> Floats:
        return np.array([self.psnr[p] for p in sorted(self.psnr)], np.float64).reshape(-1, len(self.counts))

    def at(self, place: int) -> Interval:
        """Return the PSNR at a place of ``counts``."""
        return bootstrap(self._table()[:, place])

    def gain(self, place: int, *, over: int = 0) -> Interval:
        """Return the paired gain at a place over another one."""
        return bootstrap(self._table()[:, [place, over]], difference_of_means)

    @property
    def enough(self) -> int | None:
        """Smallest number of hints whose mean gain over none reaches 5 dB; None where none does."""
        return next((n for place, n in enumerate(self.counts) if self.gain(place).value >= GAIN), None)

    def to_csv(self) -> dict[str, object]:
        """Return columns of the CSV."""
        row: dict[str, object] = {f"psnr_hints_{n}": f"{self.at(i).value:.2f}" for i, n in enumerate(self.counts)}
        return row | {"hints_for_5_db": "none" if self.enough is None else self.enough}

    def to_json(self) -> dict[str, Any]:
        """Return it JSON-able."""
        return {"counts": list(self.counts), "psnr": self.psnr}

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> HintCurve:
        """Return what :meth:`to_json` gave."""
        return cls(tuple(record["counts"]), {p: [float(v) for v in row] for p, row in record["psnr"].items()})


def takes_hints(arm: object) -> bool:
    """Whether an arm is a system that hints can be given to."""
    return isinstance(arm, ChromaArm) and "hints" in arm.maker.needs


def measure_hints(
    arm: ChromaArm, views: Sequence[View], *, seed: int = 0, progress: Callable[[], None] | None = None
) -> HintCurve:
    """Reveal more and more of the target's colours at random places of one slice of each patient.

    The first n reveals are the same whatever comes after them, so that only their number differs.
    """
    found: dict[str, list[float]] = {}
    for view in chosen(views):
        rng = np.random.default_rng([seed, view.slices[0], len(found)])
        given = reveals(view, max(COUNTS), rng)
        for count in COUNTS:
            system = replace(arm.maker, hints=tuple(given[:count]))
            painted = paint(ChromaArm(system), view)
            found.setdefault(view.patient, []).append(figures.psnr(painted.rgb, view.target_rgb))
        if progress is not None:
            progress()
    return HintCurve(COUNTS, found)


def chosen(views: Sequence[View]) -> list[View]:
    """Return the middle slice looked at of the first scan of some patients."""
    firsts = list({view.patient: view for view in reversed(views)}.values())[::-1]
    return [one_slice(firsts[n], len(firsts[n].slices) // 2) for n in spread(len(firsts), PATIENTS)]


def reveals(view: View, count: int, rng: np.random.Generator) -> list[Hint]:
    """Return patches of 6 x 6 anywhere in a view's one slice, each with the mean colour that is shown there."""
    _, nj, ni = view.gray.shape
    half, ab = REVEAL // 2, view.target_lab[0, ..., 1:]
    out = []
    for _ in range(count):
        i, j = (int(rng.integers(half, side - half + 1)) for side in (ni, nj))
        a, b = ab[j - half : j + half, i - half : i + half].reshape(-1, 2).mean(axis=0).tolist()
        out.append(Hint(i, j, view.slices[0], ab=(a, b), size=REVEAL))
    return out


__all__ = ["COUNTS", "GAIN", "HintCurve", "measure_hints", "reveals", "takes_hints"]
