"""The colour panel without a window: what it asks of the core, in which order, and what stays true meanwhile."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from medcolor import phantom
from medcolor.color import restore_gray
from medcolor.colorizers import load_colorizer
from medcolor.scan import Scan, to_slices
from medcolor.viewing import choices
from medcolor.viewing.session import ColoringSession
from medcolor.voi import Window

pytest.importorskip("napari", reason='napari is not installed (pip install "medcolor[napari]")')
from napari.components import ViewerModel

from napari_plugin import layers
from napari_plugin.guard import HONEST
from napari_plugin.panel import ColorPanel
from napari_plugin.panel_look import LookBox
from napari_plugin.showing import toggle_color

pytestmark = [pytest.mark.viewer, pytest.mark.filterwarnings("default")]
Opener = Callable[..., ColorPanel]


@pytest.fixture
def open_panel(qtbot: Any) -> Iterator[Opener]:
    """Show a scan in a viewer without a window, with the panel beside it."""
    panels: list[ColorPanel] = []

    def opened(scan: Scan, *, color: bool = True, colorizer: str = "physics") -> ColorPanel:
        model = ViewerModel()
        data, about, _ = layers.gray_layer(scan, "it")
        model.add_image(data, **about)
        panel = ColorPanel(model)
        qtbot.addWidget(panel)
        panels.append(panel)
        panel.look.colorizer.setCurrentText(colorizer)
        if color:
            panel.color()
            finish(qtbot, panel)
        return panel

    yield opened
    for panel in panels:
        panel.close_down()


def finish(qtbot: Any, panel: ColorPanel) -> None:
    coloring = panel.scene.coloring  # type: ignore[union-attr]
    qtbot.waitUntil(lambda: coloring.settled and not coloring.working and not panel._soon.isActive(), timeout=60_000)


def rgb_of(panel: ColorPanel) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return what the colour layer shows now, (rows, columns, 4)."""
    found: np.ndarray[Any, np.dtype[np.uint8]] = panel.scene.coloring.layer._slice.image.view  # type: ignore[union-attr]
    return found


@pytest.mark.parametrize("family", ["CT", "NM"])
def test_what_the_panel_asks_is_a_subset_of_what_the_core_takes(family: str, qtbot: Any) -> None:
    session = set(inspect.signature(ColoringSession).parameters) - {"scan"}
    recolor = set(inspect.signature(ColoringSession.recolor).parameters) - {"self"}
    look = LookBox()
    qtbot.addWidget(look)
    asked: set[str] = set()
    look.changed.connect(lambda chosen: asked.update(chosen))
    look.offer(phantom.scan(family))
    for spec in choices.colorizers(phantom.scan(family)):
        look.colorizer.setCurrentText(spec)
        look.fade.setValue(40)
        assert set(look.arguments()) | {"window"} <= session, spec
    look.palette.setCurrentIndex(1)
    look.strength.setValue(30)
    look.cvd.setCurrentIndex(2)
    assert asked == {"palette", "strength", "cvd", "fade"} & recolor


def test_the_visible_slice_is_coloured_first_and_gray_stays(open_panel: Opener, ct_scan: Scan, qtbot: Any) -> None:
    panel = open_panel(ct_scan, color=False)
    model, scene = panel.viewer, panel.scene
    assert scene is not None
    model.dims.set_current_step(0, 4)
    threads: list[threading.Thread] = []
    scene.coloring.on_layer.append(lambda _: threads.append(threading.current_thread()))
    panel.color()
    assert panel.viewer.layers[-1].name == "it (gray)", "no empty layer while nothing is known"
    order = []
    worker = scene.coloring._worker
    worker.yielded.connect(order.append)
    finish(qtbot, panel)
    assert threads == [threading.main_thread()], "the viewer is touched by its own thread alone"
    assert order[0] == 4
    assert sorted(order) == list(range(6))
    gray, color = model.layers
    assert (gray.name, color.name) == ("it (gray)", "it (colour)")
    assert color.data.dtype == np.uint8
    assert color.rgb
    assert np.shares_memory(color.data, scene.coloring.session.rgba)
    assert tuple(color.scale) == tuple(gray.scale)
    assert (color.data[..., 3] == 0).any(), "the outside is transparent"
    assert scene.coloring.fidelity == (0, ct_scan.voxels.size)
    assert "yes, 0 of" in panel.trust.fidelity.text()
    assert "not for diagnosis" in panel.trust.notice.text()


def test_look_and_window_repaint_the_visible_slice_without_asking_the_colorizer(
    open_panel: Opener, ct_scan: Scan, qtbot: Any
) -> None:
    panel = open_panel(ct_scan)
    session = panel.scene.coloring.session  # type: ignore[union-attr]
    kept = list(session._painted.kept)
    before = rgb_of(panel).copy()
    for change in (
        lambda: panel.look.strength.setValue(50),
        lambda: panel.look.window.activated.emit(panel.look.window.findText("bone", flags=_starts())),
        lambda: panel.look.palette.setCurrentText("contrast"),
        lambda: panel.look.cvd.setCurrentText("deutan"),
    ):
        change()
        qtbot.waitUntil(lambda: panel.scene.coloring.settled, timeout=20_000)  # type: ignore[union-attr]
        after = rgb_of(panel).copy()
        assert (after != before).any()
        assert (restore_gray(after[..., :3]) == session.gray[session._visible]).all()
        before = after
    finish(qtbot, panel)
    qtbot.waitUntil(lambda: not session.stale and not panel.scene.coloring.working, timeout=20_000)  # type: ignore[union-attr]
    assert all(one is other for one, other in zip(kept, session._painted.kept, strict=True))
    assert panel.scene.coloring.gray.contrast_limits == [-500, 1300]  # type: ignore[union-attr]


def _starts() -> Any:
    from qtpy.QtCore import Qt

    return Qt.MatchFlag.MatchStartsWith


def test_another_slice_shows_the_look_of_now_at_once(open_panel: Opener, ct_scan: Scan) -> None:
    panel = open_panel(ct_scan)
    coloring = panel.scene.coloring  # type: ignore[union-attr]
    coloring.change(strength=0.0)
    panel.viewer.dims.set_current_step(0, 1)
    shown = rgb_of(panel)[..., :3]
    assert (shown == coloring.session.gray[1][..., None]).all()


def test_c_goes_to_gray_and_back_and_gray_cannot_be_lost(open_panel: Opener, ct_scan: Scan) -> None:
    panel = open_panel(ct_scan)
    model = panel.viewer
    gray, color = model.layers
    for layer in (gray, color):
        assert "C" in {str(key) for key in layer.keymap}
    toggle_color(model)
    assert not color.visible
    gray.visible = False
    model.layers.remove(gray)
    toggle_color(model)
    toggle_color(model)
    assert gray in model.layers
    assert gray.visible
    assert model.layers.index(gray) < model.layers.index(color)


def test_sliders_that_would_falsify_the_legend_are_set_back(open_panel: Opener, ct_scan: Scan, said: list[str]) -> None:
    color = open_panel(ct_scan).viewer.layers["it (colour)"]
    color.gamma, color.opacity, color.contrast_limits, color.blending = 2.0, 0.4, (30, 90), "additive"
    assert {name: getattr(color, name) for name in HONEST} == {**HONEST, "contrast_limits": [0, 255]}
    assert color.blending == "translucent"
    assert len(said) == 4
    assert all("legend" in message for message in said)
    color.blending = "translucent_no_depth"
    assert color.blending == "translucent_no_depth"


def test_gray_and_colour_share_one_window_however_it_is_set(open_panel: Opener, ct_scan: Scan) -> None:
    panel = open_panel(ct_scan)
    scene = panel.scene
    assert scene is not None
    gray, session = scene.coloring.gray, scene.coloring.session
    gray.contrast_limits = (-160, 240)
    assert str(session.display).endswith("C 40 W 400")
    gray.contrast_limits = (0, 100)
    assert session.display == Window(50, 100)
    assert "by hand" in panel.look.window.currentText()
    event = SimpleNamespace(button=2, modifiers=(), pos=(10, 10), handled=False, type="mouse_press")
    drag = scene.windowing.on_drag(panel.viewer, event)
    next(drag)
    event.type, event.pos = "mouse_move", (110, 60)
    next(drag)
    assert not panel.viewer.scene.camera.mouse_pan, "napari's zoom must not act too"
    event.type = "mouse_release"
    assert list(drag) == []
    assert panel.viewer.scene.camera.mouse_pan
    assert session.display.width > 150
    assert session.display.center > 50
    low, high = session.display.bounds
    assert gray.contrast_limits == pytest.approx([low, high])


def test_a_split_shows_the_very_gray_beside_the_colour(open_panel: Opener, ct_scan: Scan) -> None:
    panel = open_panel(ct_scan)
    scene = panel.scene
    assert scene is not None
    scene.showing.show("split")
    scene.showing.move(0.25)
    side = panel.viewer.layers["it (gray side)"]
    assert np.shares_memory(side.data, scene.coloring.session.gray)
    assert side.data.shape == (6, 48, 16)
    color = panel.viewer.layers["it (colour)"]
    edge = color.data_to_world((0, 0, 15.5))
    assert scene.showing.place_of(edge) == pytest.approx(0.25)
    event = SimpleNamespace(
        button=1, position=tuple(edge), camera_zoom=1.0, handled=False, type="mouse_press", modifiers=()
    )
    drag = scene.showing.on_drag(panel.viewer, event)
    next(drag)
    event.type, event.position = "mouse_move", tuple(color.data_to_world((0, 0, 31.5)))
    next(drag)
    event.type = "mouse_release"
    assert list(drag) == []
    assert side.data.shape == (6, 48, 32)
    scene.showing.show("colour")
    assert "it (gray side)" not in panel.viewer.layers


def test_the_probe_reads_units_tissues_and_confidence_while_colour_is_shown(open_panel: Opener, ct_scan: Scan) -> None:
    panel = open_panel(ct_scan)
    color = panel.viewer.layers["it (colour)"]
    values = to_slices(ct_scan.voxels)
    k, j, i = np.unravel_index(int(np.argmin(abs(values - 60))), values.shape)
    world = color.data_to_world((k, j, i))
    status = color.get_status(world, dims_displayed=[1, 2], view_direction=None, world=True)
    assert status["value"].startswith(f"{values[k, j, i]} HU · soft tissue")
    assert "confidence" in status["value"]
    event = SimpleNamespace(position=world, is_dragging=False)
    panel._on_move(panel.viewer, event)
    assert f"{values[k, j, i]} HU" in panel.trust.probe.text()
    panel._on_move(panel.viewer, SimpleNamespace(position=color.data_to_world((0, -500, 0))))
    assert "HU" not in panel.trust.probe.text()


def test_what_is_coloured_can_be_saved_when_the_panel_is_closed(open_panel: Opener, ct_scan: Scan, qtbot: Any) -> None:
    panel = open_panel(ct_scan)
    session = panel.scene.coloring.session  # type: ignore[union-attr]
    panel.close_down()
    np.testing.assert_array_equal(session.result().rgb, load_colorizer("physics")(ct_scan).rgb)


def test_colorizers_that_were_used_come_back_at_once(open_panel: Opener, ct_scan: Scan, qtbot: Any) -> None:
    panel = open_panel(ct_scan)
    coloring = panel.scene.coloring  # type: ignore[union-attr]
    physics = coloring.session
    panel.look.colorizer.setCurrentText("lut:hot_iron")
    finish(qtbot, panel)
    assert coloring.session is not physics
    assert not panel.look.palette.isEnabled()
    assert "not promised" in panel.trust.fidelity.text()
    panel.viewer.layers.remove(coloring.layer)
    qtbot.waitUntil(panel.top.button.isEnabled, timeout=5_000)
    panel.look.colorizer.setCurrentText("physics")
    assert coloring.session is physics
    assert np.shares_memory(coloring.layer.data, physics.rgba)
    assert len([layer for layer in panel.viewer.layers if "colour" in layer.name]) == 1


def test_a_refusal_is_one_sentence_and_the_panel_goes_on(open_panel: Opener, said: list[str], qtbot: Any) -> None:
    from dataclasses import replace

    scan = replace(phantom.scan("CT", shape=(40, 32, 3)), units="gray level")
    panel = open_panel(scan)
    assert len(said) == 1
    assert said[0]
    assert layers.layers_of(panel.viewer, "color") == [], "its place is empty"
    assert panel.top.button.isEnabled()
    panel.look.colorizer.setCurrentText("lut:viridis")
    finish(qtbot, panel)
    assert [layer.name for layer in layers.layers_of(panel.viewer, "color")] == ["it (colour)"]
    assert len(panel.viewer.layers) == 2


def test_a_panel_that_is_opened_again_takes_up_the_layer_that_is_there(
    open_panel: Opener, ct_scan: Scan, qtbot: Any, said: list[str]
) -> None:
    panel = open_panel(ct_scan)
    model = panel.viewer
    panel.close_down()
    model.layers["it (colour)"].gamma = 2.0
    assert model.layers["it (colour)"].gamma == 1.0, "the legend outlives the panel, so must its guard"
    again = ColorPanel(model)
    qtbot.addWidget(again)
    again.look.colorizer.setCurrentText("physics")
    again.color()
    finish(qtbot, again)
    assert [layer.name for layer in model.layers] == ["it (gray)", "it (colour)"]
    assert np.shares_memory(model.layers["it (colour)"].data, again.scene.coloring.session.rgba)  # type: ignore[union-attr]
    again.close_down()


def test_a_layer_that_was_removed_comes_back_with_its_colours(open_panel: Opener, ct_scan: Scan, qtbot: Any) -> None:
    panel = open_panel(ct_scan)
    before = rgb_of(panel).copy()
    coloring = panel.scene.coloring  # type: ignore[union-attr]
    panel.viewer.layers.remove(coloring.layer)
    assert not coloring.shown
    panel.color()
    qtbot.waitUntil(lambda: coloring.shown, timeout=20_000)
    finish(qtbot, panel)
    assert [layers.about(one)["kind"] for one in panel.viewer.layers] == ["gray", "color"]  # type: ignore[index]
    assert np.array_equal(rgb_of(panel), before)


def test_confidence_is_a_layer_of_its_own(open_panel: Opener, ct_scan: Scan) -> None:
    panel = open_panel(ct_scan)
    panel.trust.confidence.setChecked(True)
    layer = panel.viewer.layers["it (confidence)"]
    assert np.shares_memory(layer.data, panel.scene.coloring.session.confidence)  # type: ignore[union-attr]
    panel.trust.confidence.setChecked(False)
    assert "it (confidence)" not in panel.viewer.layers
