"""The window: dragged with the right mouse button, and one for the gray layer and the colours."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

from medcolor.viewing.choices import windows
from medcolor.viewing.dragging import between, bounds, dragged
from medcolor.voi import Display
from medcolor.windowing import default_display
from napari_plugin import layers

BUTTON = 2


class Windowing:
    """The window of one scan. The gray layer's contrast limits and the colours follow each other.

    Parameters
    ----------
    gray
        The scan's layer.
    apply
        Called with every new window.
    """

    def __init__(self, gray: Any, apply: Callable[[Display], None]) -> None:
        self._gray, self._apply, self._busy = gray, apply, False
        self.scan = (layers.about(gray) or {})["scan"]
        self.display: Display = default_display(self.scan)
        self._own = self.scan.rgb is None
        if self._own:
            self._on_limits()
            gray.events.contrast_limits.connect(self._on_limits)

    def release(self) -> None:
        """Let go of the layer."""
        if self._own:
            self._gray.events.contrast_limits.disconnect(self._on_limits)

    def set(self, display: Display) -> None:
        """Show gray and colours with a window."""
        if not self._own:
            return
        self.display = display
        self._busy = True
        try:
            low, high = layers.limits(display)
            reach = self._gray.contrast_limits_range
            self._gray.contrast_limits_range = (min(low, reach[0]), max(high, reach[1]))
            self._gray.contrast_limits = (low, high)
            (layers.about(self._gray) or {})["window"] = str(display)
        finally:
            self._busy = False
        self._apply(display)

    def on_drag(self, viewer: Any, event: Any) -> Generator[None, None, None]:
        """Change the window while the right button is held: to the right wider, down darker."""
        if event.button != BUTTON or event.modifiers or not self._own:
            return
        camera = viewer.scene.camera
        before, begun, start = (camera.mouse_pan, camera.mouse_zoom), self.display, tuple(event.pos)
        camera.mouse_pan = camera.mouse_zoom = False
        event.handled = True
        yield
        while event.type == "mouse_move":
            self.set(dragged(begun, event.pos[0] - start[0], event.pos[1] - start[1]))
            event.handled = True
            yield
        camera.mouse_pan, camera.mouse_zoom = before

    def _on_limits(self, event: Any = None) -> None:
        """Follow napari's own slider, and the key W."""
        if self._busy:
            return
        shown = tuple(float(value) for value in self._gray.contrast_limits)
        if all(abs(a - b) < 1e-6 * max(1.0, abs(b)) for a, b in zip(shown, bounds(self.display), strict=True)):
            return
        said = (layers.about(self._gray) or {}).get("window")
        known = [display for display in windows(self.scan).values() if bounds(display) == shown]
        named = [display for display in known if str(display) == said]
        self.display = (named or known or [between(*shown)])[0]
        (layers.about(self._gray) or {})["window"] = str(self.display)
        self._apply(self.display)
