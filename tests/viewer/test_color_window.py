"""The colour panel in a window, by its pixels and its threads. Without a display: run under xvfb-run."""

from __future__ import annotations

import importlib.util
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from viewer_pixels import pixels

from medcolor import phantom
from medcolor.scan import Scan

pytest.importorskip("napari", reason='napari is not installed (pip install "medcolor[napari]")')
from qtpy.QtCore import QTimer

from napari_plugin import layers
from napari_plugin.canvas import attach
from napari_plugin.panel import ColorPanel
from napari_plugin.turns import Turns
from napari_plugin.volume_panel import VolumePanel

pytestmark = [pytest.mark.viewer, pytest.mark.filterwarnings("default")]
BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "viewer_speed.py"


@pytest.fixture
def scan() -> Scan:
    return phantom.scan("CT", shape=(96, 96, 8))


@pytest.fixture
def deep() -> Scan:
    """Enough work that somebody can change their mind meanwhile."""
    return phantom.scan("CT", shape=(320, 320, 24))


def docked(viewer: Any, scan: Scan) -> tuple[ColorPanel, Any]:
    attach(viewer)
    data, about, _ = layers.gray_layer(scan, "it")
    viewer.add_image(data, **about)
    panel = ColorPanel(viewer)
    dock = viewer.window.add_dock_widget(panel, name="Colour")
    panel.look.colorizer.setCurrentText("physics")
    return panel, dock


def colored(viewer: Any, scan: Scan, qtbot: Any) -> ColorPanel:
    panel, _ = docked(viewer, scan)
    panel.color()
    qtbot.waitUntil(lambda: not panel.scene.coloring.working, timeout=60_000)
    qtbot.waitUntil(lambda: not panel._soon.isActive() and not panel.trust._soon.isActive(), timeout=5_000)
    return panel


def chroma(picture: np.ndarray[Any, Any]) -> int:
    return int(np.ptp(picture.astype(int), axis=-1).max())


def canvas_place(viewer: Any, world: Any) -> tuple[int, int]:
    """Return the canvas pixel (row, column) of a world position."""
    camera, size = viewer.scene.camera, viewer.canvas.size
    shown = viewer.dims.displayed
    row = (world[shown[0]] - camera.center[1]) * camera.zoom + size[0] / 2
    column = (world[shown[1]] - camera.center[2]) * camera.zoom + size[1] / 2
    return int(row), int(column)


UNDERWAY = ("looking at the whole volume", "colouring")
"""Steps of a session at work; the first passes unseen where it was made ready ahead."""


@pytest.fixture
def calm() -> Iterator[set[int]]:
    """The threads there were before; afterwards there are no others."""
    from qtpy.QtCore import QThreadPool

    before = {thread.ident for thread in threading.enumerate()}
    yield before  # type: ignore[misc]
    assert QThreadPool.globalInstance().waitForDone(2000), "a worker is still there"
    assert QThreadPool.globalInstance().activeThreadCount() == 0


def test_the_canvas_is_coloured_c_makes_it_gray_and_the_legend_tells_its_colours(
    viewer: Any, scan: Scan, qtbot: Any
) -> None:
    panel = colored(viewer, scan, qtbot)
    scene = panel.scene
    assert scene is not None
    session = scene.coloring.session
    with_legend = pixels(viewer)
    assert chroma(with_legend) > 40

    # the legend, pixel for pixel
    picture = viewer.canvas.overlays["medcolor_legend"].picture
    swatches = picture[..., :3][np.ptp(picture[..., :3].astype(int), axis=-1) > 0]
    found = {tuple(color) for color in with_legend.reshape(-1, 3).tolist()}
    assert {tuple(color) for color in swatches.tolist()} <= found

    # every probed voxel has the colour that the legend shows for its class at its gray
    panel.trust.legend.setChecked(False)
    qtbot.waitUntil(lambda: not viewer.canvas.overlays["medcolor_legend"].visible, timeout=5_000)
    canvas = pixels(viewer)
    k, names, ramps = scene.coloring.visible_slice, session.look.palette.names, session.ramps()
    probed: set[str] = set()
    for j in range(4, 92, 3):
        for i in range(4, 92, 3):
            probe = session.probe(i, j, k)
            name, share = probe.tissue[0]
            if share < 0.98 or name in probed or name == "outside":
                continue
            row, column = canvas_place(viewer, scene.coloring.layer.data_to_world((k, j, i)))
            assert tuple(canvas[row, column]) == probe.rgb, (name, i, j)
            told = ramps[names.index(name), probe.gray].astype(int)
            assert np.abs(told - probe.rgb).max() <= 2, name
            probed.add(name)
    assert {"fat", "soft_tissue"} <= probed

    # C, as a user presses it
    native = viewer.window._qt_viewer.canvas.native
    qtbot.keyClick(native, "c")
    gray = pixels(viewer)
    assert chroma(gray) == 0
    middle = (slice(100, -100), slice(100, -100))
    assert np.abs(gray[middle].astype(int) - canvas[middle]).max() > 20
    qtbot.keyClick(native, "c")
    assert (pixels(viewer) == canvas).all()

    # split: gray to the left of the line, colour to the right
    viewer.canvas.overlays.scale_bar.visible = False
    scene.showing.show("split")
    scene.showing.move(0.5)
    split = pixels(viewer)
    line = canvas_place(viewer, scene.coloring.layer.data_to_world((k, 0, 47.5)))[1]
    assert chroma(split[:, : line - 3]) == 0
    assert chroma(split[:, line + 3 :]) > 40


def test_a_network_is_got_ready_while_nobody_asks_and_ends_with_the_panel(
    viewer: Any, scan: Scan, qtbot: Any, calm: set[int]
) -> None:
    panel, dock = docked(viewer, scan)
    panel.look.colorizer.setCurrentText("ct_tissue")
    coloring = panel.scene.coloring  # type: ignore[union-attr]
    qtbot.waitUntil(lambda: coloring.ahead.ready, timeout=200_000)
    _, empty = viewer.layers
    assert (empty.name, layers.layers_of(viewer, "color")) == ("it (colour)", [])
    assert viewer.layers.selection.active is not empty
    assert chroma(pixels(viewer)) == 0, "what is to come is transparent"
    process = panel._apart.pid
    assert process is not None
    panel.color()
    qtbot.waitUntil(lambda: not coloring.working, timeout=60_000)
    assert list(viewer.layers)[1:] == [empty], "no layer is added while colours come"
    assert coloring.layer is empty
    assert viewer.layers.selection.active is empty
    assert coloring.session.colorizer.name == "ct_tissue"
    assert coloring.fidelity == (0, scan.voxels.size)
    assert chroma(pixels(viewer)) > 40
    viewer.window.remove_dock_widget(dock)
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)
    assert empty in viewer.layers, "colours stay"


def test_what_takes_the_window_long_is_done_in_turns_before_anybody_asks_for_colours(
    viewer: Any, scan: Scan, qtbot: Any
) -> None:
    panel, _ = docked(viewer, scan)  # physics: no network is loaded
    coloring = panel.scene.coloring  # type: ignore[union-attr]
    assert len(viewer.layers) == 1
    qtbot.waitUntil(lambda: coloring.prepared, timeout=20_000)
    gray, empty = viewer.layers
    assert coloring.session is None
    assert empty.visible
    assert viewer.layers.selection.active is gray
    assert viewer.canvas.overlays["medcolor_legend"].picture is not None
    assert viewer.window._qt_viewer.canvas.native.updatesEnabled()
    added: list[Any] = []
    viewer.layers.events.inserted.connect(added.append)
    panel.color()
    qtbot.waitUntil(lambda: not coloring.working, timeout=60_000)
    assert added == []
    assert coloring.layer is empty


def test_turns_come_one_by_one_and_what_each_changed_is_drawn_in_between(viewer: Any, qtbot: Any) -> None:
    native, seen = viewer.window._qt_viewer.canvas.native, list[str]()
    turns = Turns(viewer)

    def first() -> None:
        seen.append(f"first, drawing {native.updatesEnabled()}")
        QTimer.singleShot(0, lambda: seen.append("the window's turn"))

    def second() -> None:
        seen.append("second")

    turns.then(first, second)
    turns.then(second)
    assert seen == []
    qtbot.waitUntil(lambda: turns.idle, timeout=5_000)
    assert seen == ["first, drawing False", "the window's turn", "second"]
    assert native.updatesEnabled()
    turns.then(first)
    turns.close()
    assert turns.idle
    assert len(seen) == 3


def test_a_panel_that_was_not_used_takes_its_empty_layer_with_it(viewer: Any, scan: Scan, qtbot: Any) -> None:
    _, dock = docked(viewer, scan)
    qtbot.waitUntil(lambda: len(viewer.layers) == 2, timeout=20_000)
    viewer.window.remove_dock_widget(dock)
    assert [layer.name for layer in viewer.layers] == ["it (gray)"]


def test_the_legend_is_clear_of_the_letters_and_there_in_3_d(viewer: Any, scan: Scan, qtbot: Any) -> None:
    viewer.window._qt_window.resize(1000, 640)
    panel = colored(viewer, scan, qtbot)
    legend = viewer.canvas.overlays["medcolor_legend"]
    qtbot.waitUntil(lambda: legend.visible and legend.picture[..., 3].any(), timeout=20_000)
    with_legend = pixels(viewer)
    panel.trust.legend.setChecked(False)  # as a user hides it: the panel would show again what was hidden behind it
    qtbot.waitUntil(lambda: not legend.visible, timeout=5_000)
    without = pixels(viewer)
    height, width = without.shape[:2]
    right = (slice(height // 2 - 22, height // 2 + 22), slice(width - 60, None))
    top = (slice(0, 50), slice(width // 2 - 22, width // 2 + 22))
    assert (with_legend != without).any()
    for letter in (right, top):
        assert (with_legend[letter] == without[letter]).all()
        assert without[letter].max() > 180, "there is a letter"
    panel.trust.legend.setChecked(True)
    volume = VolumePanel(viewer)
    qtbot.addWidget(volume)
    volume.show_volume()
    qtbot.waitUntil(lambda: volume.layer is not None, timeout=20_000)
    qtbot.waitUntil(lambda: legend.visible, timeout=5_000)
    in_depth = legend.picture
    volume.leave()
    qtbot.waitUntil(lambda: legend.picture is not in_depth, timeout=5_000)
    assert panel.scene is not None
    volume.close()


def test_panels_are_tabs_of_one_place(viewer: Any, scan: Scan, qtbot: Any) -> None:
    panel, dock = docked(viewer, scan)
    other = viewer.window.add_dock_widget(VolumePanel(viewer), name="3-D", area="right")
    window = viewer.window._qt_window
    qtbot.waitUntil(lambda: other in window.tabifiedDockWidgets(dock), timeout=5_000)
    assert panel.height() > 300


def test_cancel_takes_effect_within_two_seconds_and_work_goes_on_from_there(
    viewer: Any, deep: Scan, qtbot: Any, calm: set[int]
) -> None:
    panel, _ = docked(viewer, deep)
    coloring = panel.scene.coloring  # type: ignore[union-attr]
    for moment in (UNDERWAY, UNDERWAY[1:]):
        panel.color()
        qtbot.waitUntil(lambda moment=moment: coloring.session.step in moment, timeout=60_000)
        started, spent = time.perf_counter(), time.process_time()
        panel.color()
        qtbot.waitUntil(lambda: not coloring.working, timeout=60_000)
        took = min(time.perf_counter() - started, time.process_time() - spent)  # a busy computer is not our fault
        assert took < 2, moment
    assert 0 < coloring.session.done < 24
    qtbot.waitUntil(lambda: panel.top.button.text() == "Go on", timeout=5_000)
    panel.color()
    qtbot.waitUntil(lambda: coloring.session.stale == 0, timeout=60_000)


def test_closing_the_dock_in_the_middle_ends_the_thread(viewer: Any, deep: Scan, qtbot: Any, calm: set[int]) -> None:
    panel, dock = docked(viewer, deep)
    coloring = panel.scene.coloring  # type: ignore[union-attr]
    panel.color()
    qtbot.waitUntil(lambda: coloring.session.step in UNDERWAY, timeout=60_000)
    with qtbot.captureExceptions() as raised:
        viewer.window.remove_dock_widget(dock)
        assert coloring.session.wait(20.0)
        viewer.dims.set_current_step(0, 2)
        qtbot.wait(50)
    assert raised == []
    assert viewer.mouse_move_callbacks == []


def test_closing_the_viewer_in_the_middle_ends_the_thread(viewer: Any, deep: Scan, qtbot: Any, calm: set[int]) -> None:
    panel, _ = docked(viewer, deep)
    coloring = panel.scene.coloring  # type: ignore[union-attr]
    panel.color()
    qtbot.waitUntil(lambda: coloring.session.step == "colouring", timeout=60_000)
    session = coloring.session
    with qtbot.captureExceptions() as raised:
        viewer.close()
        qtbot.wait(50)
    assert raised == []
    assert session.wait(0.1)


def test_the_window_stays_alive_while_a_scan_is_coloured(viewer: Any, deep: Scan, qtbot: Any) -> None:
    """Lenient: computers are busy. benchmarks/viewer_speed.py has the figures."""
    spec = importlib.util.spec_from_file_location("viewer_speed", BENCHMARK)
    assert spec is not None
    assert spec.loader is not None
    speed = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(speed)
    panel, _ = docked(viewer, deep)
    qtbot.wait(100)
    coloring = panel.scene.coloring  # type: ignore[union-attr]
    pulse = speed.Pulse(lambda: str(coloring.session.step) if coloring.session else "idle")
    panel.color()
    qtbot.waitUntil(lambda: not coloring.working, timeout=60_000)
    pulse.stop()
    ours = sorted((wait.process for wait in pulse.waits), reverse=True)
    assert len(ours) > 10
    assert ours[0] < 600
    assert ours[2] < 200, "only the new layer may take a moment"
