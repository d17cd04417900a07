"""Speed of colour, as ratios to scikit-image's lab2rgb in one run, on a 512 x 512 slice.

    python benchmarks/color_speed.py [--repeats 60]

The contenders take turns, and every turn has a new input, so that neither the machine's mood nor a cache favours one.
Two threads at most (OMP_NUM_THREADS=2 is set here unless it is set already). The bars are ratios to lab2rgb as it is
usually called, on float64; the ratio to its float32 path stands beside them. Exits 1 when a bar is missed.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import warnings
from collections.abc import Callable

os.environ.setdefault("OMP_NUM_THREADS", "2")

import numpy as np
from scipy.ndimage import gaussian_filter
from skimage.color import lab2rgb

from medcolor.color import apply_color, color_from_posteriors, law_table, restore_gray

SIDE, CLASSES = 512, 10
BARS = {"posteriors to RGB": 1 / 3, "LUT gather": 1 / 10}


def smooth_slice(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return gray (1, 512, 512) and tissue-like posteriors (10, 1, 512, 512): smooth regions, sharp in places."""
    fields = [gaussian_filter(rng.standard_normal((SIDE, SIDE)), 6) for _ in range(CLASSES + 1)]
    gray = np.clip(128 + 900 * fields.pop(), 0, 255).astype(np.uint8)
    weights = np.exp(60 * np.stack(fields))
    return gray[None], (weights / weights.sum(axis=0)).astype(np.float32)[:, None]


def contenders(rng: np.random.Generator) -> dict[str, Callable[[int], object]]:
    """Return what is timed; each takes the number of the turn and perturbs its input by it."""
    gray, posteriors = smooth_slice(rng)
    palette = rng.uniform(-50, 50, (CLASSES, 2))
    ab = np.moveaxis(np.tensordot(palette.T.astype(np.float32), posteriors[:, 0], axes=1), 0, -1).copy()
    lab = np.concatenate([gray[0][..., None] / 2.55, ab / 2], axis=-1)
    lut = rng.integers(0, 256, (256, 3), dtype=np.uint8)
    rgb = np.empty((1, SIDE, SIDE, 3), dtype=np.uint8)
    turned = [np.ascontiguousarray(np.roll(posteriors, k, axis=0)) for k in range(4)]
    grays = [gray + np.uint8(k) for k in range(4)]
    labs = [lab.astype(t) + k for t in (np.float64, np.float32) for k in range(4)]
    return {
        "lab2rgb, float64": lambda n: lab2rgb(labs[n % 4]),
        "lab2rgb, float32": lambda n: lab2rgb(labs[4 + n % 4]),
        "posteriors to RGB": lambda n: color_from_posteriors(grays[n % 4], turned[n % 4], palette, out=rgb),
        "(a*, b*) to RGB": lambda n: apply_color(grays[n % 4], ab[None], strength=1 - n % 4 / 8, out=rgb),
        "LUT gather": lambda n: np.take(lut, grays[n % 4], axis=0, out=rgb, mode="clip"),
        "restore_gray": lambda n: restore_gray(rgb),
    }


def medians(timed: dict[str, Callable[[int], object]], repeats: int) -> dict[str, float]:
    """Return the median seconds of each."""
    seconds: dict[str, list[float]] = {name: [] for name in timed}
    for turn in range(repeats + 3):
        for name, call in timed.items():
            start = time.perf_counter()
            call(turn)
            seconds[name].append(time.perf_counter() - start)
    return {name: float(np.median(values[3:])) for name, values in seconds.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=60)
    repeats = parser.parse_args().repeats
    warnings.simplefilter("ignore")  # lab2rgb remarks on colours outside the gamut
    start = time.perf_counter()
    table = law_table()
    print(f"table: {time.perf_counter() - start:.2f} s to build, {table.nbytes / 1e6:.0f} MB")
    result = medians(contenders(np.random.default_rng(0)), repeats)
    reference, single = result["lab2rgb, float64"], result["lab2rgb, float32"]
    missed = False
    for name, seconds in result.items():
        bar = BARS.get(name)
        verdict = "" if bar is None else f"   bar {bar:.3f}: {'met' if seconds / reference <= bar else 'MISSED'}"
        missed |= bar is not None and seconds / reference > bar
        ratios = f"{seconds / reference:6.3f} of lab2rgb, {seconds / single:.3f} of it in float32"
        print(f"{name:18} {1e3 * seconds:7.2f} ms   {ratios}{verdict}")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
