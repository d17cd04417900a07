"""Whether the viewer stays alive while a scan is coloured, and how soon what is chosen is seen.

Run:  xvfb-run -a python benchmarks/viewer_speed.py SERIES_FOLDER [--colorizer auto] [--runs 9] [--presses 5]
                                                    [--at-once]

Prints the worst wait of a 10 ms timer on the Qt loop, by what the session was doing; the first coloured slice beside
one bare forward pass of the network at that size, with what it is told, and one draw of the canvas; how long a cancel
takes; and what a repaint costs beyond napari's own draw of an RGB layer. The button is pressed when all is ready, as it
is for whoever looks at the scan first, and on a slice that the network has not seen yet; with --at-once, as soon as the
window is there. The first slice is pressed for again --presses times, each time by a new session.

--colorizer slowest: the shipped colorizers of the scan's modality are asked about one slice each, in a process of their
own, and the slowest one is measured. --colorizer all: every one of them, each in a process of its own.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from medcolor.viewing.choices import takes
from medcolor.viewing.named_bundles import NamedBundle, NamedMethod

_TIMER, _BAR = 10, 100  # ms


class Wait(NamedTuple):
    """How long the timer had to wait, in ms: by the clock, by what this process computed, by what its window did."""

    wall: float
    process: float
    window: float
    doing: str


class Pulse:
    """A timer on the Qt loop that notes how long it had to wait, and while what."""

    def __init__(self, doing: Callable[[], str]) -> None:
        from qtpy.QtCore import Qt, QTimer

        self.waits: list[Wait] = []
        self._doing, self._last = doing, self._now()
        self._timer = QTimer()
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._beat)
        self._timer.start(_TIMER)

    @staticmethod
    def _now() -> tuple[float, float, float]:
        return time.perf_counter(), time.process_time(), time.thread_time()

    def _beat(self) -> None:
        now = self._now()
        wall, process, window = (1000 * (after - before) for after, before in zip(now, self._last, strict=True))
        self.waits.append(Wait(wall, min(wall, process), window, self._doing()))
        self._last = now

    def stop(self) -> None:
        """Print the worst waits, by what went on.

        On a busy computer most of a wait is other people's. What our threads computed meanwhile is the most that can
        be ours; what the window's own thread did is the least.
        """
        self._timer.stop()
        for doing in dict.fromkeys(wait.doing for wait in self.waits):
            waits = [wait for wait in self.waits if wait.doing == doing]
            worst = (max(getattr(wait, kind) for wait in waits) for kind in ("wall", "process", "window"))
            over = sum(wait.process > _BAR for wait in waits)
            print(
                "10 ms timer, {}: worst {:.0f} ms; by our own threads {:.0f} ms, by the window's {:.0f} ms; ".format(
                    doing, *worst
                )
                + f"{over} of {len(waits)} over {_BAR} ms"
            )


def until(condition: Callable[[], Any], seconds: float = 600.0) -> float:
    """Let Qt work until something is true; return how long that took."""
    from qtpy.QtCore import QEventLoop, QTimer

    started, loop, look, came = time.perf_counter(), QEventLoop(), QTimer(), [bool(condition())]

    def check() -> None:
        came[0] = came[0] or bool(condition())
        if came[0] or time.perf_counter() - started > seconds:
            loop.quit()

    look.timeout.connect(check)
    look.start(1)
    if not came[0]:
        loop.exec()
    look.stop()
    if not came[0]:
        raise SystemExit(f"Nothing came within {seconds:g} s.")
    return time.perf_counter() - started


def opened(series: Path, colorizer: str) -> tuple[Any, Any]:
    """Return a viewer that shows a scan, and its colour panel."""
    import napari

    from medcolor.io.isolated import read_isolated
    from napari_plugin import layers
    from napari_plugin.canvas import attach
    from napari_plugin.panel import ColorPanel

    viewer = napari.Viewer(show=True)
    attach(viewer)
    data, about, _ = layers.gray_layer(read_isolated(series), "benchmark")
    viewer.add_image(data, **about)
    panel = ColorPanel(viewer)
    viewer.window.add_dock_widget(panel, name="Colour", area="right")
    panel.look.colorizer.setCurrentText(colorizer)
    draw(viewer)
    return viewer, panel


def draw(viewer: Any) -> None:
    """Draw the canvas and wait for its pixels."""
    viewer.screenshot(canvas_only=True, flash=False)


def seconds(action: Callable[[], Any], runs: int) -> float:
    """Return the median time of an action."""
    times = []
    for _ in range(runs):
        started = time.perf_counter()
        action()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def forward(session: Any, runs: int) -> float | None:
    """Return the time of one bare forward pass over a slice; None where no network colours."""
    if not isinstance(session.colorizer, NamedBundle | NamedMethod):
        return None
    import torch

    from medcolor.colorizers import load_colorizer

    network: Any = load_colorizer(session.colorizer.name).network  # type: ignore[attr-defined]
    ni, nj, _ = session.scan.shape
    gray = torch.zeros(1, getattr(network, "in_channels", 1), nj, ni)
    volume = (torch.zeros(1, network.summary),) if getattr(network, "summary", 0) else ()
    told = {}
    if "posteriors" in getattr(network, "needs", ()):
        told["posteriors"] = torch.full((1, network.semantic, nj, ni), 1 / network.semantic)
    with torch.inference_mode():
        network(gray, *volume, **told)  # the first run at a size is slower
        return seconds(lambda: network(gray, *volume, **told), runs)


def presses(viewer: Any, panel: Any, colorizer: str, count: int) -> list[float]:
    """Return how long the first coloured slice took after a press, by new sessions that were got ready."""
    coloring, times = panel.scene.coloring, []
    for _ in range(count):
        until(lambda: not coloring.working)
        for session in coloring._sessions.values():
            session.close()
        coloring._sessions.clear()
        coloring.session = None
        coloring.get_ready(**panel.look.arguments())
        until(lambda: coloring.prepared)
        step(viewer, coloring)
        started = time.perf_counter()
        panel.color()
        until(lambda: coloring.place_of_layer.shows(coloring.session))
        draw(viewer)
        times.append(time.perf_counter() - started)
        coloring.cancel()
    until(lambda: not coloring.working)
    return times


def step(viewer: Any, coloring: Any) -> None:
    """Go to the next slice: one that nothing has been computed of."""
    axis = viewer.dims.ndim - 3 + coloring.placement.slice_axis
    viewer.dims.set_current_step(axis, viewer.dims.current_step[axis] + 1)
    draw(viewer)


def ranked(series: Path) -> list[tuple[float, str]]:
    """Return (seconds for one slice, name) of the shipped colorizers of a scan, the slowest first; tables left out."""
    from medcolor.colorizers import load_colorizer
    from medcolor.colorizers.slicewise import slicewise
    from medcolor.io import read
    from medcolor.viewing.choices import colorizers

    scan, times = read(series), []
    for name in colorizers(scan):
        if name != "auto" and not name.startswith("lut:"):
            slices = slicewise(load_colorizer(name), scan)
            slices.evidence(scan.shape[2] // 2)
            times.append((seconds(lambda slices=slices: slices.evidence(scan.shape[2] // 2), 3), name))
    return sorted(times, reverse=True)


def in_a_process(*arguments: str) -> str:
    """Run this benchmark in a process of its own, and return what it prints."""
    done = subprocess.run([sys.executable, __file__, *arguments], stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout


def repaints(viewer: Any, panel: Any, runs: int) -> None:
    """Print what a change of look costs beyond a draw of the layer."""
    coloring = panel.scene.coloring
    turn = [0]

    def plain() -> None:
        coloring.refresh()
        draw(viewer)

    def strength() -> None:
        turn[0] += 1
        coloring.change(strength=0.5 + 0.4 * (turn[0] % 2))
        draw(viewer)

    def palette() -> None:
        turn[0] += 1
        coloring.session.recolor(palette=("contrast", "anatomical")[turn[0] % 2])
        plain()

    def window() -> None:
        from medcolor.voi import Window

        turn[0] += 1
        panel.scene.windowing.set(Window(40 + 10 * (turn[0] % 2), 400))
        draw(viewer)

    own = seconds(plain, runs)
    print(f"napari draws an RGB layer in {1000 * own:.0f} ms")
    known = takes(coloring.session.colorizer)
    for change in (strength, palette, window):
        if change is palette and "palette" not in known:
            print(
                f"palette: not repainted, {coloring.session.colorizer.name} has colours of its own and refuses another"
            )
            continue
        change()
        took = seconds(change, runs)
        print(f"{change.__name__}: {1000 * (took - own):+.0f} ms beyond that, {took / own:.2f} times (bar: +50 ms)")


def measure(series: Path, colorizer: str, runs: int, again: int, at_once: bool) -> None:
    """Measure one colorizer and print."""
    viewer, panel = opened(series, colorizer)
    coloring = panel.scene.coloring
    canvas = seconds(lambda: draw(viewer), runs)
    pulse = Pulse(lambda: str(coloring.session.step) if coloring.session is not None else "getting ready")
    if not at_once:
        print(f"ready {until(lambda: coloring.prepared):.1f} s after the window")
        step(viewer, coloring)
    panel.color()
    first = until(lambda: coloring.shown or not coloring.working)
    if not coloring.shown:
        raise SystemExit(f"{colorizer} colours nothing here: {coloring.session.step}.")
    started = time.perf_counter()
    draw(viewer)
    first += time.perf_counter() - started
    whole = first + until(lambda: not coloring.working)
    pulse.stop()
    print(
        f"{coloring.session.status}; gray recoverable: {coloring.fidelity[0]} of {coloring.fidelity[1]} pixels differ"
    )
    print(f"first coloured slice {1000 * first:.0f} ms after the press, all {coloring.session.total} {whole:.1f} s")
    repaints(viewer, panel, runs)

    until(lambda: not coloring.working)
    coloring._sessions.clear()
    coloring.start(**panel.look.arguments())
    until(lambda: coloring.session.step in {"looking at the whole volume", "colouring"} or not coloring.working)
    started = time.perf_counter()
    coloring.cancel()
    until(lambda: not coloring.working)
    print(f"cancel took {1000 * (time.perf_counter() - started):.0f} ms (bar: 2000 ms)")

    more = presses(viewer, panel, colorizer, again)
    network = coloring.session.colorizer
    print(f"torch in the window's process: {'imported' if 'torch' in sys.modules else 'never imported'}")
    bare = forward(coloring.session, runs)
    viewer.close()
    if bare is not None:
        times = [first, *more]
        said = ", ".join(
            f"{name} {1000 * f(times):.0f} ms" for name, f in (("best", min), ("median", statistics.median))
        )
        print(
            f"first coloured slice, {len(times)} presses: {said}; {network.name}: one bare forward {1000 * bare:.0f} ms"
        )
        ratios = [f(times) / (bare + canvas) for f in (min, statistics.median, max)]
        print(
            "that is {:.2f} (best), {:.2f} (median), {:.2f} (worst) times ".format(*ratios)
            + f"one bare forward and one draw ({1000 * canvas:.0f} ms); bar: 3"
        )
    print(f"load of this computer: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("series", type=Path)
    parser.add_argument("--colorizer", default="auto", help="a name, slowest or all")
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--presses", type=int, default=5)
    parser.add_argument("--at-once", action="store_true", help="press before anything is ready")
    parser.add_argument(
        "--rank", action="store_true", help="only ask every colorizer about a slice, and print how long"
    )
    chosen = parser.parse_args()
    if chosen.rank:
        for took, name in ranked(chosen.series):
            print(f"{name} {1000 * took:.0f} ms")
        return
    colorizer, rest = chosen.colorizer, ["--runs", str(chosen.runs), "--presses", str(chosen.presses)]
    if colorizer in {"slowest", "all"}:
        order = in_a_process(str(chosen.series), "--rank")
        print(f"one slice, colorizer by colorizer:\n{order}", flush=True)
        names = [line.split()[0] for line in order.splitlines()]
        for name in names if colorizer == "all" else names[:1]:
            at_once = ["--at-once"] if chosen.at_once else []
            print(f"== {name}\n" + in_a_process(str(chosen.series), "--colorizer", name, *rest, *at_once), flush=True)
        return
    measure(chosen.series, colorizer, chosen.runs, chosen.presses, chosen.at_once)


if __name__ == "__main__":
    main()
