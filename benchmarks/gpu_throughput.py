"""How many CT slices of 512 x 512 a trained colorizer colours in a second on a GPU, from memory to memory.

Run:  python benchmarks/gpu_throughput.py [--bundle FOLDER] [--slices 512] [--batch 8 16 32 64] [--runs 5]

A run is a whole colorizer call: values in the computer's memory are normalized, sent to the GPU, through the network,
the display gray and the colour law applied, and the colours brought back. Voxels are new in every run, so that no cache
helps. The median of the runs counts. Every row also says how many pixels broke the colour law (0 is the only good
answer) and how far colours are from those of one slice at a time. Without a GPU it says so and measures nothing.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from colorize_memory import random_bundle

from medcolor.bundles import load_bundle
from medcolor.color import restore_gray
from medcolor.colorizers.network import NetworkColorizer
from medcolor.geometry import Geometry
from medcolor.scan import Scan, from_slices, to_slices
from medcolor.windowing import display_gray


def volume(count: int, size: int, rng: np.random.Generator) -> Scan:
    """Return a CT volume that was never seen before: discs of tissue with noise."""
    y, x = np.mgrid[:size, :size] / size - 0.5
    body = np.where(np.hypot(x, y) < 0.4, 40, -1000).astype(np.int16)
    noise = rng.integers(-60, 60, (size, size), dtype=np.int16)
    voxels = np.stack([body + np.roll(noise, 37 * k, axis=1) for k in range(count)])
    return Scan(from_slices(voxels), Geometry((size, size, count), np.eye(4)), modality="CT", units="HU")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, help="a CT bundle you trust")
    parser.add_argument("--slices", type=int, default=512)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--batch", type=int, nargs="+", default=[8, 16, 32, 64])
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        print("no CUDA here: not measured")
        return
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as scratch:
        bundle = load_bundle(arguments.bundle or random_bundle(Path(scratch) / "ct_random", "CT"), trust=True)
    print(f"{torch.cuda.get_device_name()}, {arguments.slices} slices of {arguments.size} x {arguments.size}")
    few = volume(16, arguments.size, rng)
    alone = NetworkColorizer(bundle, palette="contrast", device="cuda", batch=1)(few).rgb
    for batch in arguments.batch:
        colorizer = NetworkColorizer(bundle, palette="contrast", device="cuda", batch=batch)
        together = colorizer(few).rgb  # warms up, too
        step = np.abs(together.astype(np.int16) - alone).max(axis=-1)
        broken = int(np.count_nonzero(restore_gray(to_slices(together)) != to_slices(display_gray(few))))
        seconds = []
        for _ in range(arguments.runs):
            scan = volume(arguments.slices, arguments.size, rng)
            start = time.perf_counter()
            colorizer(scan)
            seconds.append(time.perf_counter() - start)
        rate = arguments.slices / statistics.median(seconds)
        print(
            f"batch {batch:3d}: {rate:7.0f} slices/s (best {arguments.slices / min(seconds):.0f}); {broken} pixels "
            f"break the law; against batch 1 {(step > 0).mean():.4%} of pixels differ, {(step > 1).mean():.4%} by more "
            f"than one 8-bit step, {step.max()} at most"
        )


if __name__ == "__main__":
    main()
