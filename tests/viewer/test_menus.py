"""Panels as a user opens them: by the names in napari's menu, which hands them a viewer in its own way."""

from __future__ import annotations

from typing import Any

import pytest
from npe2 import PluginManifest

from napari_plugin import layers

pytestmark = [pytest.mark.viewer, pytest.mark.filterwarnings("default")]


def names() -> list[str]:
    contributed = PluginManifest.from_distribution("medcolor").contributions.widgets
    return [widget.display_name for widget in contributed or ()]


def test_every_panel_opens_by_its_name_in_the_menu_and_closes(viewer: Any) -> None:
    for name in names():
        dock, panel = viewer.window.add_plugin_dock_widget("medcolor", name)
        assert type(panel.viewer) is type(viewer), f"{name}: not a proxy, whose layers are other objects at every look"
        viewer.window.remove_dock_widget(dock)


def test_a_panel_of_the_menu_colors_a_sample_of_the_menu(viewer: Any, qtbot: Any) -> None:
    _, panel = viewer.window.add_plugin_dock_widget("medcolor", "Colour")
    viewer.open_sample("medcolor", "phantom_us")
    panel.top.button.click()
    qtbot.waitUntil(lambda: panel.scene.coloring.session is not None, timeout=5_000)
    qtbot.waitUntil(lambda: not panel.scene.coloring.working, timeout=60_000)
    assert panel.scene.coloring.fidelity is not None
    assert panel.scene.coloring.fidelity[0] == 0
    assert [(layers.about(layer) or {})["kind"] for layer in viewer.layers] == ["gray", "color"]
