"""Panels as a user opens them: by the names in napari's menu, which hands them a viewer in its own way.

The page for newcomers is walked, too: every menu, key and button that it names is there.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from npe2 import PluginManifest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QAbstractButton, QLabel

from napari_plugin import canvas, layers, showing

pytestmark = [pytest.mark.viewer, pytest.mark.filterwarnings("default")]

PAGE = " ".join((Path(__file__).parents[2] / "docs" / "viewer.md").read_text().split())


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
    _, hints = viewer.window.add_plugin_dock_widget("medcolor", "Hints")
    hints.place.click()
    for mode in ("gray", "colour"):  # C, while the layer of hints is the selected one
        QTest.keyClick(viewer.window._qt_viewer.canvas.native, Qt.Key.Key_C)
        assert panel.scene.showing.mode == mode


def test_every_key_of_the_page_is_bound_and_every_key_bound_is_on_the_page() -> None:
    table = set(re.findall(r"\| \*\*(\w)\*\* \|", PAGE))
    assert table == set(canvas.KEYS) | {showing.KEY}


def test_every_menu_and_button_of_the_page_is_there(viewer: Any) -> None:
    walks = re.findall(r"(?<!\*)\*([A-Z][^*]* > [^*]+)\*(?!\*)", PAGE)
    assert len(walks) > 8
    for walk in walks:
        if walk != "File > Open Sample > medcolor":  # a submenu, not an action
            entry(viewer, walk.split(" > "))
    shown = {widget.text() for name in names() for widget in parts(viewer, name)}
    bold = {word for word in re.findall(r"\*\*([^*]+?)\*\*", PAGE) if not re.search(r"[:.]$|^\w$", word)}
    said = {word for words in bold for word in words.split(", ")}
    assert {word for word in said if not any(text.startswith(word) for text in shown)} == set()


def parts(viewer: Any, name: str) -> list[Any]:
    panel = viewer.window.add_plugin_dock_widget("medcolor", name)[1]
    return [*panel.findChildren(QAbstractButton), *panel.findChildren(QLabel)]


def entry(viewer: Any, walk: list[str]) -> Any:
    """Return the action at the end of a walk through the menu bar."""
    menu = viewer.window._qt_window.menuBar()
    for step in walk:
        if hasattr(menu, "aboutToShow"):
            menu.aboutToShow.emit()
        found = {action.text().replace("&", "").removesuffix(" (medcolor)"): action for action in menu.actions()}
        assert step in found, f"{' > '.join(walk)}: {step} is not among {sorted(found)}"
        menu = found[step].menu() or menu
    return found[step]
