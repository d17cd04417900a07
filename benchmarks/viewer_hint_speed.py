"""How long a hint in the viewer takes to become a picture, against one forward pass of the published network of 2017.

Run:  python benchmarks/viewer_hint_speed.py [--size 512] [--reference-size 256] [--runs 9] [--threads 2] [--here]

"hint": :meth:`medcolor.viewing.steering.Steering.add` on a slice coloured by ct_zhang2017, until its pixels are those
on the canvas: told, decoded in the process beside the window, carried over and painted under the colour law.
"siggraph17": one forward pass at the published widths without the side head. Both take turns on the same machine. With
--here the compact network runs in this process, too, and the times are those that processors spent on it: other work
on the machine counts for less. Exit status 1: a hint took more than a tenth (of the medians).
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time

import torch

from medcolor import phantom
from medcolor.colorizers import load_colorizer
from medcolor.networks import SIGGRAPH17
from medcolor.viewing.apart import Apart
from medcolor.viewing.hints import Hint
from medcolor.viewing.session import ColoringSession
from medcolor.viewing.steering import Steering

BAR, K = 10.0, 1


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--reference-size", type=int, default=256)
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--here", action="store_true")
    chosen = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(chosen.threads)  # of the other process
    torch.set_num_threads(chosen.threads)
    clock = time.process_time if chosen.here else time.perf_counter
    scan = phantom.scan("CT", shape=(chosen.size, chosen.size, 3))
    apart = None if chosen.here else Apart()
    colorizer = load_colorizer("ct_zhang2017", device="cpu") if chosen.here else "ct_zhang2017"
    session = ColoringSession(scan, colorizer=colorizer, apart=apart)
    list(session.work(K))
    steering, middle = Steering(session), chosen.size // 2
    network = SIGGRAPH17(class_head=False).eval().to(memory_format=torch.channels_last)
    gray, side = torch.rand(1, 1, chosen.reference_size, chosen.reference_size) * 2 - 1, chosen.reference_size
    hints, times = torch.zeros(1, 3, side, side), {"hint": list[float](), "siggraph17": list[float]()}
    hints[..., 10:15, 10:15] = 0.3
    with torch.inference_mode():
        for turn in range(-1, chosen.runs):  # the first turn warms up
            started = clock()
            network(gray, hints=hints)
            between = clock()
            steering.add(Hint((middle + 3 * turn, middle, K), ab=(40.0, float(turn))))
            ended = clock()
            list(steering.spread())  # what can wait until the picture is there
            if turn >= 0:
                times["siggraph17"].append(between - started)
                times["hint"].append(ended - between)
    if apart is not None:
        apart.close()
    for name, values in times.items():
        print(f"{name:12s} median {1e3 * statistics.median(values):.0f} ms, best {1e3 * min(values):.0f} ms")
    ratios = [function(times["siggraph17"]) / function(times["hint"]) for function in (statistics.median, min)]
    print(
        f"a hint is a picture in 1/{ratios[0]:.1f} (of the best 1/{ratios[1]:.1f}) of one forward pass; bar: 1/{BAR:g}"
    )
    kind = "processor time, one process" if chosen.here else "wall time, two processes"
    print(
        f"{chosen.threads} threads, {kind}; load of this computer: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    )
    return 0 if ratios[0] >= BAR else 1


if __name__ == "__main__":
    sys.exit(main())
