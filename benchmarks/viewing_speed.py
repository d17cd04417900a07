"""Speed of a colouring session, as ratios to one bare forward of its network in the same run; no window is opened.

    python benchmarks/viewing_speed.py [FOLDER] [--colorizer SPEC] [--trust] [--repeats 9] [--threads 2]

FOLDER is a CT series; without it a phantom of 512 x 512 x 41 is coloured. SPEC is a trained bundle, by name or with
--trust by path; without one, a network of the shipped size with random weights is timed: colours are nonsense, the work
is the same. Bars: the first coloured slice within 3 forwards, every change of look within 50 ms, a cancel within 2 s.
Turns are interleaved and the median counts; exits 1 when a bar is missed. The canvas draw is not in it: a viewer's own
benchmark adds it to both sides.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from medcolor import phantom, read
from medcolor.colorizers import load_colorizer
from medcolor.colorizers.network import NetworkColorizer
from medcolor.scan import Scan
from medcolor.viewing.session import ColoringSession, warm_up

FORWARDS, REPAINT, CANCEL = 3.0, 0.050, 2.0


def random_network(folder: Path) -> NetworkColorizer:
    """Return a CT network of the shipped architecture whose weights nobody trained."""
    from medcolor.bundles import write_bundle
    from medcolor.networks import Normalization, TissueUNet
    from medcolor.palettes import load_palette

    torch.manual_seed(0)
    classes = len(load_palette("CT").names)
    config = {"_target_": "medcolor.networks.tissue_unet.TissueUNet", "classes": classes}
    network = TissueUNet(classes)
    with torch.no_grad():
        network.head.weight.mul_(8)  # opinions, though nobody's
    write_bundle(
        folder / "ct_random", network, family="CT", network_config=config,
        normalization=Normalization.default("CT"), description="random weights, for timing only",
    )  # fmt: skip
    colorizer = load_colorizer(str(folder / "ct_random"), trust=True)
    assert isinstance(colorizer, NetworkColorizer)
    return colorizer


def seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def forward_of(colorizer: NetworkColorizer, scan: Scan) -> Callable[[], object]:
    """Return one bare forward at the size of a slice: tensors in, logits out."""
    ni, nj, _ = scan.shape
    pixels = torch.zeros(1, getattr(colorizer.network, "in_channels", 1), nj, ni).to(memory_format=torch.channels_last)
    prediction = colorizer.predict(scan)

    def forward() -> object:
        with torch.inference_mode():
            return colorizer.network(pixels, *prediction._volume)

    return forward


def first_slice(scan: Scan, colorizer: NetworkColorizer) -> float:
    """Return the seconds from the press of the button to the first coloured slice, the session included."""
    start = time.perf_counter()
    work = ColoringSession(scan, colorizer=colorizer).work(scan.shape[2] // 2)
    next(work)
    took = time.perf_counter() - start
    work.close()  # type: ignore[attr-defined]
    return took


def changes(session: ColoringSession, repeats: int) -> dict[str, tuple[float, float]]:
    """Return the median seconds of each kind of change on the visible slice, its posteriors kept; and of CPU time."""
    kinds: dict[str, list[dict[str, object]]] = {
        "palette": [{"palette": "contrast"}, {"palette": "anatomical"}],
        "strength": [{"strength": s} for s in (0.9, 0.6, 0.3, 1.0)],
        "window": [{"window": w} for w in ("bone", "lung", "abdomen")],
        "colour vision": [{"cvd": c} for c in ("deutan", "protan", "tritan", None)],
    }
    if isinstance(session.colorizer, NetworkColorizer):
        kinds["fade"] = [{"fade": f} for f in (0.5, 0.8, 0.0)]
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in kinds}
    for turn in range(repeats):
        for name, options in kinds.items():
            change = options[turn % len(options)]
            start = time.process_time()
            wall = seconds(lambda change=change: session.recolor(**change))  # type: ignore[misc]
            taken[name].append((wall, time.process_time() - start))
    medians = {name: np.median(values, axis=0) for name, values in taken.items()}
    return {name: (float(wall), float(cpu)) for name, (wall, cpu) in medians.items()}


def cancelling(scan: Scan, colorizer: object, after: float) -> float:
    session = ColoringSession(scan, colorizer=colorizer)  # type: ignore[arg-type]
    work = session.work()
    thread = threading.Thread(target=lambda: list(work))
    thread.start()
    time.sleep(after)
    took = seconds(lambda: (session.cancel(), thread.join()))
    return took


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--colorizer")
    parser.add_argument("--trust", action="store_true")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    scan = phantom.scan("CT", shape=(512, 512, 41)) if options.folder is None else read(options.folder)
    with tempfile.TemporaryDirectory() as scratch:
        if options.colorizer is None:
            colorizer = random_network(Path(scratch))
        else:
            loaded = load_colorizer(options.colorizer, trust=options.trust)
            if not isinstance(loaded, NetworkColorizer):
                parser.error(f"{options.colorizer} has no network to compare with.")
            colorizer = loaded
        print(f"{scan!r}, {colorizer.name}, {options.threads} threads\n")
        missed = report(scan, colorizer, options.repeats)
    return missed


def report(scan: Scan, colorizer: NetworkColorizer, repeats: int) -> int:
    cold = seconds(warm_up)
    forward = forward_of(colorizer, scan)
    forward(), first_slice(scan, colorizer)
    pairs = [(seconds(forward), first_slice(scan, colorizer)) for _ in range(repeats)]
    bare, first = (float(np.median(column)) for column in zip(*pairs, strict=True))
    ratio = float(np.median([b / a for a, b in pairs]))
    missed = 0

    def line(name: str, value: str, bar: str, met: bool) -> None:
        nonlocal missed
        missed |= not met
        print(f"{name:<44}{value:>24}   {bar:<14}{'' if met else 'MISSED'}")

    print(f"table of colours, once in a process: {1000 * cold:.0f} ms; bare forward: {1000 * bare:.0f} ms")
    line("first coloured slice", f"{1000 * first:.0f} ms = {ratio:.2f} x", f"<= {FORWARDS:g} x", ratio <= FORWARDS)
    for by in (colorizer, "physics"):
        session = ColoringSession(scan, colorizer=by)
        took = seconds(lambda session=session: list(session.work()))  # type: ignore[misc]
        name = session.colorizer.name
        voxels = scan.voxels.size
        print(f"{name}: whole volume {took:.1f} s, {session.nbytes / voxels:.1f} bytes a voxel beside the scan, "
              f"{session.nbytes / voxels * 512 * 512 * 300 / 1e9:.2f} GB for 512 x 512 x 300")  # fmt: skip
        for kind, (wall, cpu) in changes(session, 3 * repeats).items():
            value = f"{1000 * wall:.1f} ms (CPU {1000 * cpu:.1f})"
            line(f"{name}: {kind} of the visible slice", value, "<= 50 ms", wall <= REPAINT)
        worst = max(cancelling(scan, by, after) for after in (0.0, 0.1, 0.3, 0.7, 1.5))
        line(f"{name}: cancel, worst of five moments", f"{1000 * worst:.0f} ms", "<= 2 s", worst <= CANCEL)
    return missed


if __name__ == "__main__":
    sys.exit(main())
