"""How much ``medcolor colorize`` costs beside a bare pydicom process that writes as many RGB objects.

Run:  python benchmarks/colorize_speed.py SERIES_FOLDER [--runs 5]

Prints the ratio of whole-process wall times (median of pairs taken in turn) and the peak memory above that after
imports, as a multiple of the decoded series.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BARE = """
import os, sys
from pathlib import Path
import pydicom
source, out = (Path(a) for a in sys.argv[1:3])
out.mkdir(parents=True)
series = [pydicom.dcmread(p) for p in sorted(source.iterdir()) if p.suffix == ".dcm"]
for number, ds in enumerate(series):
    gray = (ds.pixel_array >> 3).astype("uint8")
    ds.PixelData = gray.repeat(3).tobytes()
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PlanarConfiguration = 3, "RGB", 0
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 8, 8, 7, 0
    with open(out / f"{number:04d}.dcm", "wb") as stream:
        ds.save_as(stream)
        stream.flush()
        os.fsync(stream.fileno())
"""

MEMORY = """
import resource, sys
import medcolor.cli, medcolor.cli.colorize, medcolor.io, medcolor.colorizers.lut, medcolor.io.dicom.read
import medcolor.io.dicom.write, medcolor.io.dicom.values, pydicom, rich.console, PIL.Image
medcolor.cli.build_app()
before = int(open("/proc/self/statm").read().split()[1]) * 4096
assert medcolor.cli.run(sys.argv[1:]) == 0
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before)
"""


def wall(command: list[str]) -> float:
    """Return the wall time of one process, in seconds."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("series", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--colorizer", default="lut:hot_iron")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)

        def ours(name: str) -> list[str]:
            tail = ["colorize", str(arguments.series), "-o", str(root / name), "--to", "dicom", "--quiet"]
            return [sys.executable, "-m", "medcolor", *tail, "--colorizer", arguments.colorizer]

        wall(ours("warm"))
        pairs = []
        for n in range(arguments.runs):
            bare = [sys.executable, "-c", BARE, str(arguments.series), str(root / f"bare{n}")]
            pairs.append((wall(ours(f"ours{n}")), wall(bare)))
        ratios = [a / b for a, b in pairs]
        print(f"medcolor colorize {statistics.median(a for a, _ in pairs):.2f} s")
        print(f"bare pydicom      {statistics.median(b for _, b in pairs):.2f} s")
        print(f"ratio             {statistics.median(ratios):.2f} (min {min(ratios):.2f}, max {max(ratios):.2f})")
        memory = [sys.executable, "-c", MEMORY, *ours("memory")[3:]]
        peak = int(subprocess.run(memory, check=True, capture_output=True, text=True).stdout.split()[-1])
        decoded = decoded_bytes(arguments.series)
        print(f"peak memory       {peak / 1e6:.1f} MB above imports = {peak / decoded:.2f} x the decoded series")


def decoded_bytes(folder: Path) -> int:
    """Return the size of the series' stored pixels once decoded."""
    import pydicom

    total = 0
    for path in sorted(folder.glob("*.dcm")):
        ds = pydicom.dcmread(path, stop_before_pixels=True)
        total += ds.Rows * ds.Columns * ds.BitsAllocated // 8
    return total


if __name__ == "__main__":
    main()
