"""A synthetic night: many small series of every modality, three in a hundred of them bad, two workers, nobody watching.

    python benchmarks/batch_night.py [2000] [--workers 2] [--colorizer physics] [--folder FOLDER]

Says how long it took and what it held in memory, and fails unless the summary accounts for every file, every good
series is coloured, every bad one is refused or parked, and a second run finds nothing to do.
"""

from __future__ import annotations

import argparse
import itertools
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import pydicom

from medcolor import phantom
from medcolor.io.child_process import resident
from medcolor.phantom.traps import TRAPS

SHAPES = {
    "CT": (64, 64, 6),
    "MR": (64, 64, 5),
    "PT": (48, 48, 6),
    "US": (64, 48, 1),
    "MG": (64, 48, 1),
    "XR": (64, 64, 1),
}
BAD = (
    "deflate-bomb",
    "header-65535-squared",
    "header-100000-frames",
    "header-huge-rle",
    "nested-5000",
    "cut off",
    "empty",
)
TIMEOUT = 120  # none of the bad ones hangs: only a computer that is very busy gets near


def make(folder: Path, count: int) -> tuple[int, int, int]:
    """Write the night's input; returns files, good series, bad ones."""
    traps = {trap.name: trap for trap in TRAPS}
    kinds = itertools.cycle(SHAPES)
    scans = {kind: phantom.scan(kind, shape=shape) for kind, shape in SHAPES.items()}
    good = bad = 0
    for number in range(count):
        place = folder / f"{number % 50:02d}" / str(number)
        if number % 100 in {7, 40, 73}:
            spoil(place, BAD[bad % len(BAD)], traps, number)
            bad += 1
            continue
        kind = next(kinds)
        phantom.write_dicom(scans[kind], place, series=f"s{number}", study=f"t{number // 3}", patient=f"p{number // 6}")
        good += 1
    return sum(path.is_file() for path in folder.rglob("*")), good, bad


def spoil(place: Path, how: str, traps: dict[str, object], number: int) -> None:
    place.mkdir(parents=True)
    if how == "empty":
        (place / "0001.dcm").write_bytes(b"")
    elif how == "cut off":
        scan = phantom.scan("CT", shape=(32, 32, 1))
        (path,) = phantom.write_dicom(scan, place, series=f"s{number}", study=f"t{number}")
        path.write_bytes(path.read_bytes()[:900])
    else:
        traps[how].make(place)  # type: ignore[attr-defined]
        for path in place.rglob("*"):  # each a series of its own, as far as a header can be read
            try:
                ds = pydicom.dcmread(path, stop_before_pixels=False)
                ds.SeriesInstanceUID = f"2.25.{10**20 + number}"
                ds.save_as(path)
            except Exception:
                continue


def night(source: Path, out: Path, workers: int, colorizer: str) -> tuple[int, float, float]:
    """Run the command; exit code, seconds, and the most bytes that all its processes had in memory together."""
    command = [sys.executable, "-m", "medcolor", "batch", source, "-o", out, "--workers", str(workers)]
    command += ["--colorizer", colorizer, "--timeout", str(TIMEOUT), "--quiet", "--metrics", out.with_suffix(".prom")]
    since, peak = time.monotonic(), 0
    process = subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL)
    while process.poll() is None:
        peak = max(peak, sum(resident(pid) for pid in family(process.pid)))
        time.sleep(0.2)
    return process.returncode, time.monotonic() - since, peak


def family(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return [pid]
    return [pid, *(one for child in children for one in family(int(child)))]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("series", type=int, nargs="?", default=2000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--colorizer", default="physics")
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    base = given.folder or Path(tempfile.mkdtemp())
    files, good, bad = make(base / "in", given.series)
    print(
        f"night: {given.series} series, {files} files, {bad} series bad ({100 * bad / given.series:.1f} %)", flush=True
    )
    code, seconds, peak = night(base / "in", base / "out", given.workers, given.colorizer)
    summary = (base / "out/summary.html").read_text()
    told = re.search(r'id="files">(\d+)<', summary)
    made = Counter(path.parent for path in (base / "out").glob("*/*/provenance.json"))
    print(f"night: exit {code}, {seconds:.0f} s, {60 * given.series / seconds:.0f} series/min, {peak / 2**20:.0f} MiB")
    assert code == 3, code
    assert told is not None
    assert int(told[1]) == files, f"the summary accounts for {told[1]} of {files} files"
    assert len(made) == good, f"{len(made)} of {good} good series are coloured"
    code, again, _ = night(base / "in", base / "out", given.workers, given.colorizer)
    print(f"night: a second run {again:.0f} s")
    assert code == 3
    assert Counter(path.parent for path in (base / "out").glob("*/*/provenance.json")) == made
    if given.folder is None:
        shutil.rmtree(base)


if __name__ == "__main__":
    main()
