"""Planes and volumes on the screen, by their pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from medcolor import phantom
from medcolor.geometry import Geometry
from medcolor.scan import Scan, from_slices
from medcolor.viewing.session import ColoringSession
from medcolor.viewing.wording import probe_words
from medcolor.voi import Window
from napari_plugin import canvas, layers
from napari_plugin.planes_panel import PlanesPanel
from napari_plugin.volume_panel import VolumePanel

pytestmark = [pytest.mark.viewer, pytest.mark.filterwarnings("default")]


def coloring(viewer: Any, scan: Scan, colorizer: str = "physics") -> ColoringSession:
    session = ColoringSession(scan, colorizer=colorizer)
    for _ in session.work():
        pass
    canvas.attach(viewer)
    for data, about, _ in (layers.gray_layer(scan, "x"), layers.color_layer(session, "x")):
        viewer.add_image(data, **about)
    return session


def corner() -> Scan:
    """A dark block with one bright corner: left, front, head."""
    block = np.zeros((24, 26, 28), np.int16)  # k to the head, j to the back, i to the left
    block[17:23, 3:9, 20:26] = 700
    geometry = Geometry.from_lps((28, 26, 24), np.diag([2.0, 2.0, 3.0, 1.0]))
    return Scan(from_slices(block), geometry, "CT", units="HU", windows=(Window(500, 1000),))


def bright_spot(viewer: Any) -> tuple[float, float]:
    """Return where the bright pixels are, right and down of the middle, as shares of the picture."""
    picture = viewer.screenshot(canvas_only=True, flash=False)[..., :3].astype(int)
    assert picture.max() > 150, "3-D is black"
    assert np.ptp(picture, axis=-1).max() > 40, "3-D has no colour"
    rows, columns = np.nonzero(picture.max(axis=-1) > 150)
    return columns.mean() / picture.shape[1] - 0.5, rows.mean() / picture.shape[0] - 0.5


def assert_letters_tell_where(viewer: Any, x: float, y: float) -> None:
    """The spot lies left, front and head: letters beside it are of these, those across from it are not."""
    said = {side: viewer.canvas.overlays[f"medcolor_{side}"].text for side in ("left", "right", "top", "bottom")}
    near = said["right" if x > 0 else "left"], said["bottom" if y > 0 else "top"]
    far = said["left" if x > 0 else "right"], said["top" if y > 0 else "bottom"]
    assert all(text and set(text) <= set("LAS") for text in near), (x, y, said)
    assert all(text and set(text) <= set("RPI") for text in far), (x, y, said)


def test_a_volume_is_coloured_and_never_mirrored(viewer: Any, qtbot: Any) -> None:
    viewer.canvas.overlays.scale_bar.visible = False
    coloring(viewer, corner(), "lut:hot_iron")
    viewer.canvas.overlays.scale_bar.visible = False
    panel = VolumePanel(viewer)
    qtbot.addWidget(panel)
    panel.show_volume()
    qtbot.waitUntil(lambda: panel.layer is not None, timeout=20_000)
    for where, right, down in (
        ("front", 1, -1), ("back", -1, -1), ("left", -1, -1), ("right", 1, -1), ("head", -1, -1), ("feet", 1, -1),
    ):  # fmt: skip
        panel.look_from(where)
        x, y = bright_spot(viewer)
        assert x * right > 0.02, where
        assert y * down > 0.02, where
        assert_letters_tell_where(viewer, x, y)
    assert [layer.name for layer in viewer.layers if layer.visible] == ["x (3-D)"]
    panel.leave()
    assert viewer.dims.ndisplay == 2
    assert [layer.name for layer in viewer.layers if layer.visible] == ["x (gray)", "x (colour)"]
    panel.close()


def test_a_volume_is_seen_from_the_front_whichever_plane_was_shown_before(viewer: Any, qtbot: Any) -> None:
    coloring(viewer, corner(), "lut:hot_iron")
    viewer.dims.order = (1, 0, 2)  # as coronal slices are shown
    viewer.canvas.overlays.scale_bar.visible = False
    panel = VolumePanel(viewer)
    qtbot.addWidget(panel)
    panel.show_volume()
    qtbot.waitUntil(lambda: panel.layer is not None, timeout=20_000)
    x, y = bright_spot(viewer)
    assert x > 0.02
    assert y < -0.02
    panel.leave()
    assert tuple(viewer.dims.order) == (1, 0, 2)
    assert layers.about(viewer.layers.selection.active)["kind"] == "color", "keys have a layer to act on"
    panel.close()


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (2, 0, 1)])
@pytest.mark.parametrize("depth", ["away", "towards"])
def test_letters_are_true_in_3d_even_where_napari_mirrors(viewer: Any, order: tuple[int, ...], depth: str) -> None:
    viewer.canvas.overlays.scale_bar.visible = False
    coloring(viewer, corner(), "lut:hot_iron")
    viewer.canvas.overlays.scale_bar.visible = False
    viewer.dims.order = order
    viewer.dims.ndisplay = 3
    viewer.scene.camera.orientation = (depth, "down", "right")
    viewer.reset_view()
    overlays = viewer.canvas.overlays
    along = [str(viewer.layers[0].axis_labels[axis]) for axis in order[1:]]
    ends = {"z": ("I", "S"), "y": ("A", "P"), "x": ("R", "L")}
    sides = (("top", "bottom"), ("left", "right"))
    found = [tuple(overlays[f"medcolor_{side}"].text for side in pair) for pair in sides]
    assert found == [ends[name] for name in along]
    viewer.scene.camera.angles = (0, 35, 90)
    turned = [overlays[f"medcolor_{side}"].text for side in ("left", "right")]
    assert all(len(text) == 2 for text in turned), f"35 degrees off lie between two sides: {turned}"
    opposite = str.maketrans("LRAPSI", "RLPAIS")
    assert turned[0].translate(opposite) == turned[1]


def test_planes_follow_the_viewer_and_the_viewer_follows_planes(viewer: Any, qtbot: Any) -> None:
    session = coloring(viewer, phantom.scan("CT", shape=(64, 48, 6)))
    panel = PlanesPanel(viewer)
    panel.resize(700, 600)
    qtbot.addWidget(panel)
    panel.show()
    panel.move_to((2, 20, 30))
    panel.draw()
    assert viewer.dims.current_step[0] == 2
    for view in panel.views:
        grabbed = view.grab().toImage()
        for position in ((2, 14, 24), (2, 20, 45), (4, 20, 18)):
            if position[view._pane.axis] != (2, 20, 30)[view._pane.axis]:
                continue
            point = view.point_of(position) * grabbed.devicePixelRatio()
            found = grabbed.pixelColor(round(point.x()), round(point.y())).getRgb()[:3]
            assert found == tuple(session.rgba[position][:3])
    viewer.dims.set_current_step(0, 5)
    assert panel.position == (5, 20, 30)
    axial = panel.views[0]
    axial._take(axial.point_of((5, 10, 50)))
    assert panel.position == (5, 10, 50)
    assert "HU" in panel.words.text()
    there = probe_words(session.probe(50, 10, 5)).split(" · ")
    qtbot.waitUntil(lambda: panel.words.text().splitlines()[: len(there)] == there, timeout=5000)
    axial_point = axial.point_of((5, 20, 30))
    viewer.layers["x (colour)"].visible = False  # what C does
    qtbot.waitUntil(lambda: not panel._timer.isActive(), timeout=5000)
    found = axial.grab().toImage().pixelColor(round(axial_point.x()), round(axial_point.y())).getRgb()[:3]
    assert found == (int(session.gray[5, 20, 30]),) * 3, "gray on the canvas is gray in the planes"
    panel.resize(300, 900)
    qtbot.waitUntil(lambda: len({view.geometry().left() for view in panel.views}) == 1, timeout=5000)
    assert len({view.geometry().top() for view in panel.views}) == 3, "one below another where it is tall"
    viewer.layers.clear()
    assert panel.planes is None
