"""What a page says about one scan, as numbers and small arrays: nothing here knows HTML."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medcolor.color import restore_gray
from medcolor.color_scan import ColorScan, Law
from medcolor.palettes import Palette, legend
from medcolor.report.legend import LegendRow
from medcolor.scan import Scan, to_slices
from medcolor.voi import Display
from medcolor.windowing import grayscale


@dataclass(frozen=True)
class Fidelity:
    """How well a coloured scan keeps its law, counted over every pixel of the volume.

    Attributes
    ----------
    pixels : int
        Pixels compared (already-coloured ones are not ours and not counted).
    broken : int
        LIGHTNESS: pixels whose gray does not come back. LUT: pixels whose colour is not that of their gray.
    """

    law: Law
    pixels: int
    broken: int
    passed_through: int

    def __str__(self) -> str:
        verdict = "yes" if self.broken == 0 else "NO"
        what = "gray recoverable" if self.law is Law.LIGHTNESS else "colour is a function of the gray alone"
        return f"{what}: {verdict}, {self.broken} of {self.pixels} pixels differ"


def measure_fidelity(scan: Scan, colored: ColorScan, display: Display) -> Fidelity:
    """Check the law of every pixel, slice by slice."""
    gray_of, rgb = grayscale(scan, display), to_slices(colored.rgb)
    skip = None if scan.colored is None else to_slices(scan.colored)
    table: dict[int, NDArray[np.uint8]] = {}
    broken = 0
    for k in range(rgb.shape[0]):
        gray = gray_of(slice(k, k + 1))[0]
        keep = np.ones(gray.shape, bool) if skip is None else ~skip[k]
        if colored.law is Law.LIGHTNESS:
            broken += int(np.count_nonzero((restore_gray(rgb[k]) != gray) & keep))
        else:
            broken += _count_strays(gray[keep], rgb[k][keep], table)
    passed = 0 if scan.colored is None else int(np.count_nonzero(scan.colored))
    return Fidelity(colored.law, int(np.prod(colored.shape)) - passed, broken, passed)


def _count_strays(gray: NDArray[np.uint8], rgb: NDArray[np.uint8], table: dict[int, NDArray[np.uint8]]) -> int:
    levels, first = np.unique(gray, return_index=True)
    for level, index in zip(levels.tolist(), first.tolist(), strict=True):
        table.setdefault(level, rgb[index].copy())
    expected = np.zeros((256, 3), np.uint8)
    for level, color in table.items():
        expected[level] = color
    return int(np.count_nonzero((expected[gray] != rgb).any(axis=-1)))


@dataclass(frozen=True)
class TissueFigures:
    """What the tissue model says about the slices shown.

    Attributes
    ----------
    rows : list of LegendRow
    confidence : ndarray of uint8, (n, nj, ni)
        Largest posterior of each voxel of the slices shown, 0..255.
    mean_confidence : float
        Its mean over voxels that are not background.
    """

    rows: list[LegendRow]
    confidence: NDArray[np.uint8]
    mean_confidence: float


def measure_tissue(scan: Scan, palette: Palette, shown: list[int]) -> TissueFigures:
    """Fit the tissue model and summarise it over the slices shown."""
    from medcolor import tissue

    model = tissue.fit(scan)
    totals = np.zeros(len(model.classes))
    confidence = np.empty((len(shown), scan.shape[1], scan.shape[0]), np.uint8)
    sure = weight = 0.0
    for row, k in enumerate(shown):
        posteriors = model.posteriors(slice(k, k + 1))[:, 0]
        largest = posteriors.max(axis=0)
        inside = 1 - posteriors[0]
        totals += posteriors.reshape(len(totals), -1).sum(axis=1, dtype=np.float64)
        sure += float((largest * inside).sum(dtype=np.float64))
        weight += float(inside.sum(dtype=np.float64))
        confidence[row] = np.rint(255 * largest)
    background = palette.classes[0].name in {"outside", "air"}
    if background:
        totals[0] = 0
    shares = totals / max(totals.sum(), 1e-9)
    rows = [LegendRow(entry, float(share)) for entry, share in zip(legend(palette), shares, strict=True)]
    return TissueFigures(rows, confidence, sure / max(weight, 1e-9))


def half_of_image(gray: NDArray[np.uint8]) -> float:
    """Return the column, in per cent of the width, that has half of the image's light on each side."""
    light = gray.sum(axis=0, dtype=np.float64).cumsum()
    return 50.0 if light[-1] == 0 else round(100 * float(np.searchsorted(light, light[-1] / 2)) / light.size, 1)


def choose_slices(scan: Scan, most: int) -> list[int]:
    """Return up to ``most`` slices, spread over the middle four fifths where there are more."""
    n = scan.shape[2]
    if n <= most:
        return list(range(n))
    first, last = n * 0.1, n * 0.9
    return sorted({round(first + (last - first) * step / (most - 1)) for step in range(most)})
