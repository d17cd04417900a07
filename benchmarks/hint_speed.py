"""How long a new hint takes to become a new picture, against one forward pass of the published network of 2017.

Run:  python benchmarks/hint_speed.py [--weights FILE] [--size 512] [--reference-size 256] [--runs 15] [--threads 2]
                                        [--processor-time]

Rows, all in one process and taking turns. "siggraph17": one forward pass at the published widths, without the side
head and with the decoder computed once, in the faster of two memory layouts: the fastest that network can be. "new
hint": the slice is encoded already; the network's decoder, and the 8-bit picture under the colour law. "new slice":
the same with the encoder. "with suggestions": with the side head too, from which colours are offered. Every run has a
hint of another colour at another place. Without --weights the compact network has random ones, which cost as much.
The ratio is of medians; the smallest times are given too, because they suffer least from other work on the machine.
--processor-time counts the time processors spent on this process. Exit status 1: a new hint took more than a tenth.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from medcolor.color import apply_color_torch
from medcolor.networks import SIGGRAPH17, Zhang2017

BAR = 10.0
"""How many times faster a new hint has to be."""


def hinted(size: int, chance: torch.Generator) -> Tensor:
    """Return one hint (1, 3, size, size) of any colour anywhere, on 5 x 5 pixels."""
    hints = torch.zeros(1, 3, size, size)
    row, column = (int(torch.randint(size - 5, (1,), generator=chance)) for _ in range(2))
    hints[0, :2, row : row + 5, column : column + 5] = torch.rand(2, 1, 1, generator=chance) - 0.5
    hints[0, 2, row : row + 5, column : column + 5] = 1
    return hints


def reference(size: int, chance: torch.Generator) -> dict[str, Callable[[], object]]:
    """Return one forward pass of the published network, in either memory layout."""
    runs = {}
    for layout, order in (("", torch.contiguous_format), (" channels last", torch.channels_last)):
        network = SIGGRAPH17(class_head=False).eval().to(memory_format=order)

        def run(network: SIGGRAPH17 = network) -> object:
            gray = torch.rand(1, 1, size, size, generator=chance) * 2 - 1
            return network(gray, hints=hinted(size, chance)).ab

        runs[f"siggraph17{layout}"] = run
    return runs


def compact(weights: Path | None, size: int, chance: torch.Generator) -> dict[str, Callable[[], object]]:
    """Return what becomes of a hint with the compact network."""
    network = Zhang2017()
    if weights is not None:
        from safetensors.torch import load_file

        network.load_state_dict({name: value.float() for name, value in load_file(weights).items()})
    network = network.folded().to(memory_format=torch.channels_last)
    levels = torch.randint(0, 256, (size, size), dtype=torch.uint8, generator=chance)
    gray = levels[None, None] / 127.5 - 1
    known = network.encode(gray)

    def picture(ab: Tensor) -> Tensor:
        return apply_color_torch(levels, ab[0].movedim(0, -1).contiguous())

    def new_hint() -> object:
        return picture(network.decode(known, hinted(size, chance), classify=False).ab)

    def new_slice() -> object:
        return picture(network(gray, hints=hinted(size, chance), classify=False).ab)

    def with_suggestions() -> object:
        out = network.decode(known, hinted(size, chance))
        return picture(out.ab), network.suggest(out.logits, size // 2, size // 2)

    return {"new hint": new_hint, "new slice": new_slice, "with suggestions": with_suggestions}


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, help="model.safetensors of a zhang2017 bundle")
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--reference-size", type=int, default=256)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--processor-time", action="store_true")
    arguments = parser.parse_args()
    clock = time.process_time if arguments.processor_time else time.perf_counter
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    chance = torch.Generator().manual_seed(0)
    with torch.inference_mode():
        rows = reference(arguments.reference_size, chance) | compact(arguments.weights, arguments.size, chance)
        times: dict[str, list[float]] = {name: [] for name in rows}
        for turn in range(-1, arguments.runs):  # the first turn warms up
            for name, run in rows.items():
                run() if not name.startswith("siggraph17") else None  # the large network emptied the caches
                start = clock()
                run()
                if turn >= 0:
                    times[name].append(clock() - start)
    kind = "processor time" if arguments.processor_time else "wall time"
    print(f"{arguments.threads} threads, {kind}, median of {arguments.runs} (smallest)")
    base = min((times[name] for name in rows if name.startswith("siggraph17")), key=statistics.median)
    ratios = {name: statistics.median(base) / statistics.median(values) for name, values in times.items()}
    for name, values in times.items():
        size = arguments.reference_size if name.startswith("siggraph17") else arguments.size
        print(
            f"{name:24s} {size:4d} x {size:<4d} {statistics.median(values) * 1e3:8.1f} ms ({min(values) * 1e3:.1f}): "
            f"1/{ratios[name]:.1f} of siggraph17 (of the smallest times 1/{min(base) / min(values):.1f})"
        )
    return 0 if ratios["new hint"] >= BAR else 1


if __name__ == "__main__":
    sys.exit(main())
