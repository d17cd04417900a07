"""How fast a trained colorizer is, against one forward pass of the published ECCV16 network at the same size.

Run:  python benchmarks/network_speed.py [--bundle FOLDER] [--size 512] [--slices 1] [--runs 15] [--threads 2]
                                           [--device cpu] [--processor-time] [--record]

Builds both. A row is a whole colorizer call on a scan in memory, by the slice: normalization, network, posteriors,
display gray, the colour law, and once a scan the look whether it is CT at all. Without --bundle the variants have
random weights, which cost as much as trained ones.
Every run gets new voxels, so that no cache helps. Rows and reference take turns, and the ratio is of medians; the
smallest times are given too, because they suffer least from other work on the machine. --processor-time counts the
time processors spent on this process: with one thread, a figure that other work on the machine hardly changes.
--record writes the ratio, with size and threads, into the metadata of the bundles: "medcolor colorizers" shows it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch

from medcolor.bundles import load_bundle, write_bundle
from medcolor.colorizers.network import NetworkColorizer
from medcolor.geometry import Geometry
from medcolor.networks import ECCV16, VARIANTS, Normalization, TissueUNet
from medcolor.palettes import load_palette
from medcolor.scan import Scan, from_slices

TARGET = "medcolor.networks.tissue_unet.TissueUNet"


def random_bundle(folder: Path, variant: str) -> Path:
    """Write a CT bundle of one variant with random weights."""
    classes = len(load_palette("CT").names)
    config = {"_target_": TARGET, "classes": classes, **VARIANTS[variant]}
    write_bundle(
        folder,
        TissueUNet(classes, **VARIANTS[variant]),
        family="CT",
        network_config=config,
        normalization=Normalization.default("CT"),
        description="random weights, for timing",
    )
    return folder


def slices(size: int, rng: np.random.Generator, count: int = 1) -> Scan:
    """Return CT slices that were never seen before: a disc of tissue with noise."""
    y, x = np.mgrid[:size, :size] / size - 0.5
    body = np.where(np.hypot(x, y) < 0.4, 40.0, -1000.0) + rng.normal(0, 30, (count, size, size))
    voxels = from_slices(body.astype(np.int16))
    return Scan(voxels, Geometry(voxels.shape, np.eye(4)), modality="CT", units="HU")


def reference(size: int, device: torch.device, rng: np.random.Generator) -> Callable[[], None]:
    """Return one forward pass of ECCV16, in the memory layout that suits it better."""
    network = ECCV16().eval().to(device).to(memory_format=torch.channels_last)

    def run() -> None:
        lightness = torch.from_numpy(rng.uniform(0, 100, (1, 1, size, size)).astype(np.float32)).to(device)
        with torch.inference_mode():
            network(lightness).cpu()

    return run


def timed(clock: Callable[[], float], run: Callable[[], object]) -> float:
    """Return the seconds a call takes."""
    start = clock()
    run()
    return clock() - start


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, action="append", default=[], help="a CT bundle you trust")
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--slices", type=int, default=1, help="of each scan; times are for one slice")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--processor-time", action="store_true")
    parser.add_argument("--record", action="store_true")
    arguments = parser.parse_args()
    clock = time.process_time if arguments.processor_time else time.perf_counter
    torch.set_num_threads(arguments.threads)
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as scratch:
        folders = arguments.bundle or [random_bundle(Path(scratch) / name, name) for name in VARIANTS]
        colorizers = {
            Path(folder).name: NetworkColorizer(load_bundle(folder, trust=True), device=arguments.device)
            for folder in folders
        }
    eccv = reference(arguments.size, torch.device(arguments.device), rng)
    times: dict[str, list[float]] = {name: [] for name in [*colorizers, "eccv16"]}
    for turn in range(-1, arguments.runs):
        seconds = {}
        for name, colorizer in colorizers.items():
            timed(clock, partial(colorizer, slices(arguments.size, rng)))  # the reference emptied the caches
            scan = slices(arguments.size, rng, arguments.slices)
            seconds[name] = timed(clock, partial(colorizer, scan)) / arguments.slices
        if turn % 3 == 0 or turn < 0:  # the slow one every third turn
            seconds["eccv16"] = timed(clock, eccv)
        for name in seconds if turn >= 0 else ():  # the first turn warms up
            times[name].append(seconds[name])
    kind = "processor time" if arguments.processor_time else "wall time"
    print(f"{arguments.size} x {arguments.size}, {arguments.threads} threads, {arguments.device}, {kind}")
    base = times.pop("eccv16")
    print(f"{'eccv16':18s} 32.236 M          {statistics.median(base) * 1e3:8.1f} ms (min {min(base) * 1e3:.1f})")
    for name, values in times.items():
        parameters = sum(p.numel() for p in colorizers[name].bundle.network.parameters())
        size = 2 * parameters / 1e6
        ratio, best = statistics.median(base) / statistics.median(values), min(base) / min(values)
        print(
            f"{name:18s} {parameters / 1e6:6.3f} M {size:5.2f} MB {statistics.median(values) * 1e3:8.1f} ms "
            f"(min {min(values) * 1e3:.1f}): {ratio:.0f} x faster (of the smallest times {best:.0f} x)"
        )
        if arguments.record and arguments.bundle:
            record(colorizers[name].bundle.card.folder, ratio, arguments.threads, arguments.size)


def record(folder: Path, ratio: float, threads: int, size: int) -> None:
    """Write a ratio into the metadata of a bundle."""
    path = folder / "metadata.json"
    metadata = json.loads(path.read_text(encoding="utf-8"))
    metadata["medcolor"]["speed"] = {"times_eccv16": round(ratio, 1), "threads": threads, "size": size}
    path.write_text(json.dumps(metadata, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
