"""Ratios of a batch, each measured in one run.

Two workers against one, memory with the number of series, and ``lut`` against bare pydicom.

    python benchmarks/batch_speed.py [workers] [memory] [pydicom]

Wall time needs as many free processors as workers; processor seconds are given beside it for a computer that is busy.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from medcolor import phantom
from medcolor.batch import BatchSettings, Conduct, run_batch
from medcolor.batch.engine import PoolEngine
from medcolor.batch.settings import Caps


def cpu() -> float:
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def make(folder: Path, count: int, shape: tuple[int, int, int]) -> Path:
    scan = phantom.scan("CT", shape=shape)
    for number in range(count):
        phantom.write_dicom(scan, folder / str(number), series=f"series {number}", study=f"study {number // 4}")
    return folder


def run(source: Path, out: Path, workers: int, colorizer: str = "lut:viridis") -> dict[str, float]:
    """Run a batch in a process of its own; seconds of work, processor seconds, peak bytes of parent and of a child."""
    code = "import sys; sys.path.insert(0, sys.argv[1]); import batch_speed; batch_speed.one(*sys.argv[2:])"
    command = [sys.executable, "-c", code, str(Path(__file__).parent), str(source), str(out), str(workers), colorizer]
    return dict(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))


def one(source: str, out: str, workers: str, colorizer: str) -> None:
    engine = PoolEngine(int(workers), Caps())
    report = run_batch([Path(source)], Path(out), BatchSettings(colorizer), Conduct(quiet=True), engine=engine)
    assert report.exit_code == 0
    print(json.dumps({"seconds": report.seconds, "cpu": cpu(), "parent": peak(), "child": engine.peak}))


def peak() -> int:
    """Return the most bytes that this process had in memory: what getrusage says counts those of its parent, too."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def workers(base: Path) -> float:
    """Return how much faster two workers are than one, by processor seconds."""
    source = make(base / "in", 24, (256, 256, 24))
    one_, two = (run(source, base / f"out{n}", n, "physics") for n in (1, 2))
    print(f"workers: one {one_['seconds']:.1f} s, two {two['seconds']:.1f} s: {one_['seconds'] / two['seconds']:.2f} x")
    used = 2 * one_["cpu"] / two["cpu"]  # what two free processors would come to, start-up of two children included
    print(f"workers: processor seconds {one_['cpu']:.1f} and {two['cpu']:.1f}: {used:.2f} x on free processors")
    return used


def memory(base: Path) -> float:
    """Return how much more memory 200 series take than 20."""
    peaks = {}
    for count in (20, 200):
        found = run(make(base / f"in{count}", count, (64, 64, 8)), base / f"out{count}", 1)
        peaks[count] = found["parent"], found["child"]
        print(f"memory, {count} series: parent {peaks[count][0] / 2**20:.0f}, child {peaks[count][1] / 2**20:.0f} MiB")
    more = sum(peaks[200]) / sum(peaks[20])
    print(f"memory: 200 series take {more:.2f} x the memory of 20")
    return more


def pydicom(base: Path) -> float:
    """Return how long ``lut`` takes of the time of bare pydicom, by processor seconds."""
    source = make(base / "in", 6, (512, 512, 40))
    since, used = time.monotonic(), cpu()
    bare(source, base / "bare")
    wall, used = time.monotonic() - since, cpu() - used
    found, empty = run(source, base / "out", 1), run(source / "0", base / "empty", 1)
    print(
        f"pydicom: bare {wall:.1f} s ({used:.1f} s processor); lut batch {found['seconds']:.1f} s: "
        f"{found['seconds'] / wall:.2f} x"
    )
    more = (found["cpu"] - empty["cpu"]) / (used * 5 / 6)  # without start-up: five of the six series
    print(f"pydicom: in processor seconds, start-up left out: {more:.2f} x")
    return more


def bare(source: Path, out: Path) -> None:
    """Read every file and write it as RGB, with pydicom and numpy alone."""
    import pydicom

    from medcolor.luts import load_lut

    table = load_lut("viridis")
    for path in sorted(source.rglob("*.dcm")):
        ds = pydicom.dcmread(path)
        values = ds.pixel_array * float(ds.RescaleSlope) + float(ds.RescaleIntercept)
        gray = np.clip((values + 160) * (255 / 400), 0, 255).astype(np.uint8)
        ds.PixelData = table[gray].tobytes()
        ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PlanarConfiguration = 3, "RGB", 0
        ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 8, 8, 7, 0
        target = out / path.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        ds.save_as(target)


if __name__ == "__main__":
    for name in sys.argv[1:] or ("workers", "memory", "pydicom"):
        with tempfile.TemporaryDirectory() as folder:
            {"workers": workers, "memory": memory, "pydicom": pydicom}[name](Path(folder))
