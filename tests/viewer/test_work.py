"""Hints, palette, drawing, cropping, export and comparison by their panels, looking at pixels and files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import medcolor
from medcolor import phantom
from medcolor.color import restore_gray
from medcolor.scan import to_slices
from medcolor.viewing.comparison import NO_EVIDENCE
from medcolor.viewing.session import ColoringSession
from napari_plugin import canvas, layers
from napari_plugin.compare_panel import ComparePanel
from napari_plugin.edit_panel import EditPanel
from napari_plugin.palette_panel import PalettePanel
from napari_plugin.steer_panel import SteerPanel

pytestmark = [pytest.mark.viewer, pytest.mark.filterwarnings("default")]
SHAPE = (96, 80, 4)


def coloring(viewer: Any) -> ColoringSession:
    session = ColoringSession(phantom.scan("CT", shape=SHAPE), colorizer="physics")
    for _ in session.work():
        pass
    canvas.attach(viewer)
    for data, about, _ in (layers.gray_layer(session.scan, "x"), layers.color_layer(session, "x")):
        viewer.add_image(data, **about)
    viewer.dims.set_current_step(0, 2)
    return session


def shown(viewer: Any) -> set[tuple[int, ...]]:
    picture = viewer.screenshot(canvas_only=True, flash=False)
    return {tuple(color) for color in picture[..., :3].reshape(-1, 3).tolist()}


def test_a_click_steers_the_canvas_and_undo_brings_it_back(viewer: Any, qtbot: Any) -> None:
    session = coloring(viewer)
    before = session.rgba.copy()
    steer, palette = SteerPanel(viewer), PalettePanel(viewer)
    for panel in (steer, palette):
        qtbot.addWidget(panel)
    steer.start()
    assert steer.tissue.count() == len(session.look.palette.names)
    steer.tissue.setCurrentIndex(steer.tissue.findData("fluid"))
    steer.points.add([[2, 38, 30]])  # what a click does
    assert session.probe(30, 38, 2).tissue[0][0] == "fluid"
    qtbot.waitUntil(lambda: not steer.steering.waiting and not steer._errand.running, timeout=10_000)
    assert session.probe(30, 38, 0).tissue[0][0] == "fluid"
    steer.points.visible = False
    assert tuple(session.rgba[2, 38, 30, :3].tolist()) in shown(viewer)
    steer.take_back()
    assert len(steer.points.data) == 0
    assert np.array_equal(session.rgba, before)

    palette.set_rgb("soft_tissue", (60, 90, 220))
    assert "easily confused" in palette.apart.text()
    qtbot.waitUntil(lambda: not palette._rest.running, timeout=10_000)
    assert not session.stale
    assert np.array_equal(restore_gray(session.rgba[..., :3]), restore_gray(before[..., :3]))
    blue = tuple(session.rgba[2, 38, 30, :3].tolist())
    assert blue[2] > blue[0]
    assert blue in shown(viewer)
    palette.take_back()
    qtbot.waitUntil(lambda: not palette._rest.running, timeout=10_000)
    assert np.array_equal(session.rgba, before)
    steer.close()
    palette.close()


def test_drawing_cropping_and_saving_leave_every_colour_as_it_was(viewer: Any, qtbot: Any, tmp_path: Path) -> None:
    session = coloring(viewer)
    before = session.rgba.copy()
    panel = EditPanel(viewer)
    qtbot.addWidget(panel)

    panel.annotate()
    panel.drawing.paint((2, 30, 30), 3)
    panel.save_annotation(tmp_path / "drawn.nii.gz")
    drawn = medcolor.read_segmentation(tmp_path / "drawn.nii.gz")
    assert drawn.labels[30, 30, 2] == 3
    assert "ml" in panel.words.text()
    panel.drawing.visible = False

    panel.draw_box()
    panel.box.add([[2, 20, 10], [2, 20, 60], [2, 50, 60], [2, 50, 10]], shape_type="rectangle")
    panel.first.setValue(2)
    panel.last.setValue(3)
    panel.crop()
    qtbot.waitUntil(lambda: "x, cropped (colour)" in viewer.layers, timeout=20_000)
    part = viewer.layers["x, cropped (colour)"]
    assert np.array_equal(part.data, before[1:3, 20:51, 10:61, :3])
    assert tuple(part.data_to_world((0, 0, 0))) == tuple(viewer.layers["x (colour)"].data_to_world((1, 20, 10)))
    viewer.layers.remove(part)
    viewer.layers.selection.active = viewer.layers["x (colour)"]

    panel.save(tmp_path / "dicom", "dicom")
    qtbot.waitUntil(lambda: not panel._errand.running, timeout=20_000)
    again = medcolor.read(tmp_path / "dicom")
    assert np.array_equal(to_slices(again.rgb), before[..., :3])

    panel.screenshot(tmp_path / "shot.png")
    swatches = {tuple(color) for color in session.ramps()[5].tolist()}
    picture = np.asarray(Image.open(tmp_path / "shot.png"))
    canvas_width = viewer.screenshot(canvas_only=True, flash=False).shape[1]
    legend = {tuple(color) for color in picture[:, canvas_width:].reshape(-1, 3).tolist()}
    assert len(legend & swatches) > 20
    assert np.array_equal(session.rgba, before)
    panel.close()


def test_a_comparison_is_shown_with_its_words_and_jumps(viewer: Any, qtbot: Any) -> None:
    coloring(viewer)
    panel = ComparePanel(viewer)
    qtbot.addWidget(panel)
    assert panel.notice.text() == NO_EVIDENCE
    panel.method.setCurrentIndex(panel.method.findData("k-means"))
    panel.run()
    qtbot.waitUntil(lambda: panel.compared is not None, timeout=30_000)
    assert len(layers.layers_of(viewer, "compared")) == 3
    assert "% of the pixels agree" in panel.words.text()
    assert "ml on gray" in panel.words.text()
    viewer.dims.set_current_step(0, 0)
    panel.jump_to_disagreement()
    spot = panel.compared.largest_disagreement()
    assert spot is not None
    assert viewer.dims.current_step[0] == spot[2]
    panel.run()
    qtbot.waitUntil(lambda: not panel._errand.running, timeout=30_000)
    assert len(layers.layers_of(viewer, "compared")) == 3
    panel.close()


def test_a_panel_taken_out_of_its_dock_lets_go_of_the_viewer_even_in_the_middle_of_work(
    viewer: Any, qtbot: Any
) -> None:
    coloring(viewer)
    panels = [SteerPanel(viewer), PalettePanel(viewer), EditPanel(viewer), ComparePanel(viewer)]
    docks = [viewer.window.add_dock_widget(panel, name=type(panel).__name__) for panel in panels]
    panels[3].method.setCurrentIndex(panels[3].method.findData("k-means"))
    panels[3].extent.setCurrentIndex(1)
    panels[3].run()
    errand = panels[3]._errand
    for dock in docks:
        viewer.window.remove_dock_widget(dock)
    assert all(panel._closed for panel in panels)
    assert not [callback for callback in viewer.mouse_move_callbacks if "SteerPanel" in repr(callback)]
    viewer.dims.set_current_step(0, 1)
    viewer.layers.selection.active = viewer.layers[0]
    qtbot.waitUntil(lambda: not errand.running, timeout=20_000)
    assert layers.layers_of(viewer, "compared") == []
