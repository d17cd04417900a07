"""Whether the viewer stays alive while a scan is coloured, and how soon what is chosen is seen.

Run:  xvfb-run -a python benchmarks/viewer_speed.py SERIES_FOLDER [--colorizer auto] [--runs 9] [--at-once]

Prints the worst wait of a 10 ms timer on the Qt loop, by what the session was doing; the first coloured slice beside
one bare forward pass of the network at that size and one draw of the canvas; how long a cancel takes; and what a
repaint costs beyond napari's own draw of an RGB layer. The button is pressed when the process that runs the network is
ready, as it is for whoever looks at the scan first; with --at-once, as soon as the window is there.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from medcolor.viewing.named_bundles import NamedBundle

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
    import numpy as np

    if not isinstance(session.colorizer, NamedBundle):
        return None
    import torch

    from medcolor.colorizers import load_colorizer

    network: Any = load_colorizer(session.colorizer.name).network  # type: ignore[attr-defined]
    ni, nj, _ = session.scan.shape
    batch = torch.from_numpy(np.zeros((1, network.in_channels, nj, ni), np.float32))
    volume = (torch.zeros(1, network.summary),) if getattr(network, "summary", 0) else ()
    with torch.inference_mode():
        return seconds(lambda: network(batch, *volume), runs)


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
    for change in (strength, palette, window):
        change()
        took = seconds(change, runs)
        print(f"{change.__name__}: {1000 * (took - own):+.0f} ms beyond that, {took / own:.2f} times (bar: +50 ms)")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("series", type=Path)
    parser.add_argument("--colorizer", default="auto")
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--at-once", action="store_true", help="press before anything is ready")
    chosen = parser.parse_args()
    viewer, panel = opened(chosen.series, chosen.colorizer)
    coloring = panel.scene.coloring
    canvas = seconds(lambda: draw(viewer), chosen.runs)

    pulse = Pulse(lambda: str(coloring.session.step) if coloring.session is not None else "getting ready")
    if not chosen.at_once:
        print(f"ready {until(lambda: coloring.prepared):.1f} s after the window")
    panel.color()
    first = until(lambda: coloring.shown)
    started = time.perf_counter()
    draw(viewer)
    first += time.perf_counter() - started
    whole = first + until(lambda: not coloring.working)
    pulse.stop()
    print(f"first coloured slice {1000 * first:.0f} ms after the press, all {coloring.session.total} {whole:.1f} s")
    bare = forward(coloring.session, chosen.runs)
    if bare is not None:
        print(f"one bare forward {1000 * bare:.0f} ms, one draw {1000 * canvas:.0f} ms")
        print(f"first coloured slice: {first / (bare + canvas):.2f} times one bare forward and one draw (bar: 3)")
    print(f"load of this computer: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print(f"gray recoverable: {coloring.fidelity[0]} of {coloring.fidelity[1]} pixels differ")
    repaints(viewer, panel, chosen.runs)

    until(lambda: not coloring.working)
    again = panel.scene.coloring
    again._sessions.clear()
    again.start(colorizer=chosen.colorizer)
    until(lambda: again.session.step in {"looking at the whole volume", "colouring"} or not again.working)
    started = time.perf_counter()
    again.cancel()
    until(lambda: not again.working)
    print(f"cancel took {1000 * (time.perf_counter() - started):.0f} ms (bar: 2000 ms)")
    viewer.close()


if __name__ == "__main__":
    main()
