"""What smoothing posteriors through slices would do to flicker and error (docs/adr/0015).

Run:  python benchmarks/through_slices.py ct_tissue --data PACKS -o WORK [--side test]

Takes the shipped bundle and physics on the scans of one side that have neighbouring slices, and prints for each setting
the flicker as part of physics' and of the target's, and CIEDE2000 to the target; means over patients. Targets are kept
in WORK, made at the first run.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medcolor.cielab import gray_to_lightness
from medcolor.palettes import load_palette
from medcolor.resources import config_dir
from medcolor.training import arms, metrics
from medcolor.training.evaluate import LabeledScan, labeled_scans
from medcolor.training.recipe import read_recipe
from medcolor.training.sides import datasets
from medcolor.training.systems import system_of
from medcolor.windowing import default_display, grayscale

SETTINGS = ((0, 1.0), (1, 3.0), (1, 6.0), (1, 12.0), (2, 3.0), (2, 6.0), (2, 12.0), (3, 6.0))
"""Slices to either side, and the difference of L* at which a slice counts by exp(-1/2)."""

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Case:
    """A scan with what the target, the bundle and physics say of it, each (K, nk, nj, ni)."""

    patient: str
    gray: NDArray[np.uint8]
    body: NDArray[np.bool_]
    target: Floats
    learned: Floats
    physics: Floats


def smoothed(posteriors: Floats, lightness: Floats, reach: int, scale: float) -> Floats:
    """Return means of posteriors (K, nk, nj, ni) over slices up to ``reach`` away whose lightness agrees."""
    count = len(lightness)
    total, weights = np.zeros_like(posteriors), np.zeros_like(lightness)
    for away in range(-reach, reach + 1):
        here = slice(max(0, -away), count - max(0, away))
        there = slice(max(0, away), count - max(0, -away))
        weight = np.exp(-np.square(lightness[here] - lightness[there]) / (2 * scale * scale))
        total[:, here] += posteriors[:, there] * weight
        weights[here] += weight
    return total / weights


def cases(bundle: str, data: Path, work: Path, side: str) -> Iterator[Case]:
    """Yield the scans of one side that have neighbouring slices."""
    recipe = read_recipe([bundle])
    system = system_of(recipe)
    dataset = datasets(recipe, data, work, neighbors=system.neighbors())[side]
    learned = system.shipped(config_dir() / bundle, "cpu")
    for case in labeled_scans(dataset):
        if case.contiguous and case.scan.shape[2] > 1:
            yield _case(case, learned(case.scan), arms.physics(case.scan))


def _case(case: LabeledScan, learned: arms.Prediction, physics: arms.Prediction) -> Case:
    gray = grayscale(case.scan, default_display(case.scan))(slice(None))
    return Case(case.patient, gray, case.body, case.target, learned.posteriors, physics.posteriors)


def figures(case: Case, reach: int, scale: float, ab: Floats) -> list[float]:
    """Return flicker of the smoothed bundle, of physics and of the target, and the error of the smoothed bundle."""
    lightness = gray_to_lightness()[case.gray].astype(np.float32)
    likely = smoothed(case.learned, lightness, reach, scale)
    own, told, wanted = (metrics.expected_ab(p, ab) for p in (likely, case.physics, case.target))
    labels, body = case.target.argmax(axis=0), case.body
    still = metrics.still_pixels(case.gray[:-1], case.gray[1:], labels[:-1], labels[1:]) & body[:-1] & body[1:]
    error = metrics.color_error(case.gray[body], own[body], wanted[body]).mean()
    return [*(metrics.flicker(colors[:-1], colors[1:], still) for colors in (own, told, wanted)), float(error)]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", choices=["ct_tissue", "mr_tissue", "pt_tissue"])
    parser.add_argument("--data", type=Path, required=True, help="folder of packs")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder where targets are kept")
    parser.add_argument("--side", choices=["val", "test"], default="test")
    arguments = parser.parse_args()
    found = list(cases(arguments.bundle, arguments.data, arguments.output, arguments.side))
    if not found:
        raise SystemExit(f"No scan of {arguments.bundle} on the {arguments.side} side has neighbouring slices.")
    recipe = read_recipe([arguments.bundle])
    ab = load_palette(recipe.family, str(recipe.get("style", "contrast"))).ab
    patients = sorted({case.patient for case in found})
    print(f"{arguments.bundle}, {arguments.side}: {len(patients)} patients with neighbouring slices")
    for reach, scale in SETTINGS:
        rows = [
            np.mean([figures(case, reach, scale, ab) for case in found if case.patient == patient], axis=0)
            for patient in patients
        ]
        own, told, wanted, error = np.mean(rows, axis=0)
        print(f"{reach} slices, {scale:4.1f} L*: {own / told:.2f} {own / wanted:.2f}, error {error:.2f}", flush=True)


if __name__ == "__main__":
    main()
