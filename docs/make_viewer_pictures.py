"""Make the pictures of docs/viewer.md and README.md: the viewer itself, worked by its own controls, on its own samples.

Run:  xvfb-run -a -s "-screen 0 1600x1200x24" python docs/make_viewer_pictures.py [name ...]
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import napari
import numpy as np
from PIL import Image
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

SIZE = (1400, 860)
MOST_BYTES = 300_000
LONGEST = 300.0  # s that anything here may take
THEME = "medcolor-reading-room"


def wait(seconds: float, until: Callable[[], bool] | None = None) -> None:
    """Let the window live, for a while or until something is so."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        QApplication.processEvents()
        if until is not None and until():
            return
        time.sleep(0.01)
    if until is not None:
        raise TimeoutError("the viewer did not get there")


def opened(sample: str) -> tuple[Any, Any]:
    """Return a viewer with a coloured sample, and its colour panel."""
    viewer = napari.Viewer(show=True)
    viewer.window.resize(*SIZE)
    viewer.theme = THEME
    _, panel = viewer.window.add_plugin_dock_widget("medcolor", "Colour")
    viewer.open_sample("medcolor", sample)
    wait(0.5)
    viewer.reset_view()
    panel.top.button.click()
    wait(LONGEST, lambda: panel.scene.coloring.session is not None and not panel.scene.coloring.working)
    wait(1.0)
    return viewer, panel


def clear_of_legend(viewer: Any) -> None:
    """Make the image smaller and drag it down to the left, as one does where the legend covers it."""
    camera = viewer.scene.camera
    camera.zoom *= 0.8
    depth, down, right = camera.center
    camera.center = (depth, down - 45 / camera.zoom, right + 75 / camera.zoom)  # pixels on the screen
    wait(0.5)


def point_at(viewer: Any, across: float, down: float) -> None:
    """Move the mouse over the canvas, to shares of its size, as a hand would: by way of another place."""
    native = viewer.window._qt_viewer.canvas.native
    for share in (0.98, 1.0):
        QTest.mouseMove(native, QPoint(int(share * across * native.width()), int(share * down * native.height())))
        wait(0.5)


def color() -> Any:
    """Show the colour panel, the legend, and what is under the cursor."""
    viewer, panel = opened("real_ct")
    panel.look.window.setCurrentIndex(panel.look.window.findText("soft", Qt.MatchFlag.MatchStartsWith))
    panel.look.window.activated.emit(panel.look.window.currentIndex())
    clear_of_legend(viewer)
    wait(2.0)
    point_at(viewer, 0.36, 0.7)
    return viewer


def split() -> Any:
    """Show gray beside colour."""
    viewer, panel = opened("real_mr_brain")
    _press(panel, "Split")
    clear_of_legend(viewer)
    point_at(viewer, 0.6, 0.6)
    wait(1.0)
    return viewer


def planes() -> Any:
    """Show three planes with one cursor."""
    viewer, _ = opened("real_mr_brain")
    dock, three = viewer.window.add_plugin_dock_widget("medcolor", "Three planes", tabify=True)
    dock.raise_()
    clear_of_legend(viewer)
    three.move_to(three.planes.placement.position(80, 140, 72))
    wait(1.0)
    return viewer


def volume() -> Any:
    """Show the scan in three dimensions."""
    viewer, _ = opened("real_mr_brain")
    dock, look = viewer.window.add_plugin_dock_widget("medcolor", "3-D", tabify=True)
    dock.raise_()
    look.go.click()
    wait(LONGEST, lambda: look.layer is not None)
    look.views["left"].click()
    wait(1.0)
    return viewer


PICTURES = {"viewer_color": color, "viewer_split": split, "viewer_planes": planes, "viewer_volume": volume}


def _press(panel: Any, text: str) -> None:
    next(button for button in panel.top.modes.buttons() if button.text() == text).click()


def saved(viewer: Any, path: Path) -> None:
    """Write the window as a picture of few bytes."""
    wait(0.5)
    picture = Image.fromarray(np.asarray(viewer.screenshot(canvas_only=False, flash=False))[..., :3])
    picture.save(path, quality=90, subsampling=0, optimize=True)
    if path.stat().st_size > MOST_BYTES:
        raise ValueError(f"{path.name}: {path.stat().st_size} bytes, at most {MOST_BYTES} wanted")


def main() -> None:
    """Write docs/images/viewer_*.jpg, or those that are named."""
    folder = Path(__file__).parent / "images"
    try:
        for name in sys.argv[1:] or PICTURES:
            viewer = PICTURES[name]()
            saved(viewer, folder / f"{name}.jpg")
            viewer.close()
    finally:
        napari.Viewer.close_all()  # a window that is open when Python ends takes it down
        wait(0.5)


if __name__ == "__main__":
    main()
