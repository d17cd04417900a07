"""How much memory a trained colorizer takes, for a few slices and for many, and for one large mammogram.

Run:  python benchmarks/colorize_memory.py [--bundle FOLDER] [--slices 100 1000] [--size 512] [--threads 2]

Each row is a process of its own and its peak resident memory (VmHWM: interpreter, torch, network, everything; nothing
is subtracted). Linux only.

stream  colorizer.stream(scan): the scan is a file that is mapped, not read, and colours go block by block to another
        file. What is left is what colouring itself holds: this must not grow with the number of slices.
call    colorizer(scan), with the scan in memory and the result in memory, as "medcolor colorize" does: 2 bytes a voxel
        of CT and 3 of colour are the user's own data and grow with the scan; the last column is the rest.
large   colorizer(scan) of one mammogram of 4000 x 5000, in memory.

Without --bundle the weights are random, which take as much memory as trained ones. --device cuda is not measured here.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

LARGE = (4000, 5000)  # ni, nj


def random_bundle(folder: Path, family: str) -> Path:
    """Write a bundle of the default design with random weights."""
    from medcolor.bundles import write_bundle
    from medcolor.networks import VARIANTS, Normalization, TissueUNet
    from medcolor.palettes import load_palette

    classes, design = len(load_palette(family).names), VARIANTS["quarter_refined"]
    network_config = {"_target_": "medcolor.networks.tissue_unet.TissueUNet", "classes": classes, **design}
    write_bundle(
        folder,
        TissueUNet(classes, **design),
        family=family,
        network_config=network_config,
        normalization=Normalization.default(family),
        description="random weights, for measuring memory",
    )
    return folder


def write_slices(path: Path, count: int, size: int) -> None:
    """Write discs of tissue with noise, no two slices alike, as int16."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:size, :size] / size - 0.5
    body, noise = np.where(np.hypot(x, y) < 0.4, 40.0, -1000.0), rng.normal(0, 30, (size, size))
    with path.open("wb") as stream:
        for k in range(count):
            stream.write((body + np.roll(noise, 37 * k, axis=1)).astype("<i2").tobytes())


def child(mode: str, bundle: Path, path: Path, count: int, size: int, threads: int) -> None:
    """Colour, and print the peak."""
    import torch

    from medcolor.colorizers import load_colorizer
    from medcolor.geometry import Geometry
    from medcolor.scan import Scan, from_slices

    torch.set_num_threads(threads)
    colorizer = load_colorizer(str(bundle), trust=True, device="cpu")
    if mode == "large":
        ni, nj = LARGE
        voxels = np.random.default_rng(0).integers(0, 4096, (1, nj, ni), dtype=np.uint16)
        colorizer(Scan(from_slices(voxels), Geometry((ni, nj, 1), np.eye(4)), modality="MG", units="arbitrary"))
    elif mode == "call":
        voxels = np.fromfile(path, "<i2").reshape(count, size, size)
        colorizer(Scan(from_slices(voxels), Geometry((size, size, count), np.eye(4)), modality="CT", units="HU"))
    else:
        voxels = np.memmap(path, "<i2", mode="r", shape=(count, size, size))
        scan = Scan(from_slices(voxels), Geometry((size, size, count), np.eye(4)), modality="CT", units="HU")
        with path.with_suffix(".rgb").open("wb") as colored:
            for _, rgb in colorizer.stream(scan):
                colored.write(rgb)
    status = Path("/proc/self/status").read_text(encoding="ascii")
    print(next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")))


def peak(mode: str, bundle: Path, path: Path, count: int, size: int, threads: int) -> float:
    """Return the peak of a process of its own, in MB."""
    command = [sys.executable, __file__, "--child", mode, str(bundle), str(path), str(count), str(size), str(threads)]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return int(out.split()[-1]) * 1024 / 1e6


def main() -> None:
    """Measure and print."""
    if sys.argv[1:2] == ["--child"]:
        mode, bundle, path, *numbers = sys.argv[2:]
        count, size, threads = map(int, numbers)
        child(mode, Path(bundle), Path(path), count, size, threads)
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, help="a CT bundle you trust")
    parser.add_argument("--slices", type=int, nargs=2, default=(100, 1000))
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    size, threads = arguments.size, arguments.threads
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        bundle = arguments.bundle or random_bundle(root / "ct_random", "CT")
        peaks: dict[str, list[float]] = {"stream": [], "call": []}
        for count in arguments.slices:
            path = root / "scan.raw"
            write_slices(path, count, size)
            for mode, found in peaks.items():
                found.append(peak(mode, bundle, path, count, size, threads))
                data = count * size * size * 5 / 1e6 if mode == "call" else 0.0
                rest = f", {found[-1] - data:6.0f} MB without scan and result" if data else ""
                print(f"{mode:7s}{count:6d} slices of {size} x {size}: peak {found[-1]:6.0f} MB{rest}", flush=True)
        for mode, (few, many) in peaks.items():
            print(f"{mode:7s}{arguments.slices[1]} slices take {many / few:.2f} x the memory of {arguments.slices[0]}")
        ni, nj = LARGE
        found = peak("large", random_bundle(root / "mg_random", "MG"), root, 1, 1, threads)
        data = ni * nj * 5 / 1e6
        print(
            f"large        1 slice of {ni} x {nj}: peak {found:6.0f} MB, {found - data:6.0f} MB without scan and result"
        )


if __name__ == "__main__":
    main()
