"""Gray and colour at one's fingertips: the key C, a split that moves, a gray layer that is always there."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from napari.viewer import Viewer  # the annotation is how napari hands its viewer over

from napari_plugin import desk, layers
from napari_plugin.coloring import Coloring

MODES = ("colour", "gray", "split", "swipe")
KEY = "C"
_NEAR = 12  # pixels from the line where a press takes hold of it


def toggle_color(viewer: Viewer) -> None:
    """Show gray or colour of the selected colour layer, else of the topmost."""
    layer = layers.current(desk.bare(viewer), "color")
    if layer is None:
        return
    showing = (layers.about(layer) or {}).get("showing")
    if showing is None:
        layer.visible = not layer.visible
    else:
        showing.toggle()


class Showing:
    """How one coloured scan is shown: in colour, in gray, or colour beside gray.

    The gray side of a split is a view of the session's display gray, above the colour: no pixel is copied, and the
    gray is the very one that the colours were made from.

    Parameters
    ----------
    coloring
    tell
        Called when the mode changed.
    """

    def __init__(self, coloring: Coloring, tell: Any) -> None:
        self._coloring, self._tell = coloring, tell
        self.mode, self.place = "colour", 0.5
        self._side: Any = None
        coloring.on_layer.append(self._on_layer)

    def show(self, mode: str) -> None:
        """Show in one of :data:`MODES`."""
        color = self._coloring.layer
        if color is None or color not in self._coloring.viewer.layers:
            return
        self.mode = mode
        self._keep_gray()
        color.visible = mode != "gray"
        if mode in {"split", "swipe"}:
            self.move(self.place)
        else:
            self._drop()
        self._tell()

    def toggle(self) -> None:
        """Go from gray to colour; from anything else to gray."""
        self.show("colour" if self.mode == "gray" else "gray")

    def move(self, place: float) -> None:
        """Put the line between gray (before it) and colour, 0 to 1 of the image."""
        viewer, session = self._coloring.viewer, self._coloring.session
        if session is None or viewer.dims.ndisplay != 2:
            return
        self.place = min(max(float(place), 0.0), 1.0)
        axis = self._axis()
        gray = layers.arranged(self._coloring.scan, session.gray)
        count = gray.shape[axis]
        kept = min(max(round(self.place * count), 1), count)
        where = layers.spatial(self._coloring.scan)
        translate = list(where["translate"])
        part: list[slice] = [slice(None)] * 3
        if where["scale"][axis] > 0:
            part[axis] = slice(0, kept)
        else:
            part[axis] = slice(count - kept, count)
            translate[axis] += (count - kept) * where["scale"][axis]
        data = gray[tuple(part)]
        if self._side is None or self._side not in viewer.layers:
            self._add(data, where | {"translate": tuple(translate)})
            return
        if self._side.data.shape != data.shape or tuple(self._side.translate) != tuple(translate):
            self._side.data = data
            self._side.translate = tuple(translate)

    def place_of(self, world: Any) -> float:
        """Return where along the image a world position is, 0 to 1."""
        axis = self._axis()
        count = self._coloring.layer.data.shape[axis]
        index = float(self._coloring.layer.world_to_data(world)[-3:][axis])
        share = (index + 0.5) / count
        return share if layers.spatial(self._coloring.scan)["scale"][axis] > 0 else 1 - share

    # The mouse

    def on_move(self, viewer: Any, event: Any) -> None:
        """Let the line follow the mouse, in swipe."""
        if self.mode == "swipe" and self._coloring.layer is not None:
            self.move(self.place_of(event.position))

    def on_drag(self, viewer: Any, event: Any) -> Generator[None, None, None]:
        """Let the line be dragged, in split."""
        if self.mode != "split" or event.button != 1 or not self._near(event):
            return
        camera = viewer.scene.camera
        panned, camera.mouse_pan = camera.mouse_pan, False
        event.handled = True
        yield
        while event.type == "mouse_move":
            self.move(self.place_of(event.position))
            event.handled = True
            yield
        camera.mouse_pan = panned

    def _near(self, event: Any) -> bool:
        if self._coloring.layer is None:
            return False
        axis = self._axis()
        extent = abs(self._coloring.layer.scale[-3:][axis]) * self._coloring.layer.data.shape[axis]
        return abs(self.place_of(event.position) - self.place) * extent * event.camera_zoom < _NEAR

    # Layers

    def _axis(self) -> int:
        """Return the layer axis that runs to the right on the screen."""
        dims = self._coloring.viewer.dims
        return max(int(dims.displayed[-1]) - (dims.ndim - 3), 0)

    def _add(self, data: Any, where: dict[str, Any]) -> None:
        from napari.layers import Image

        viewer, scan = self._coloring.viewer, self._coloring.scan
        active = viewer.layers.selection.active
        side = Image(
            data, name=f"{self._coloring.name} (gray side)", colormap="gray", contrast_limits=(0, 255),
            interpolation2d="nearest", metadata=layers.metadata(scan, "gray side"), **where,
        )  # fmt: skip
        viewer.layers.insert(viewer.layers.index(self._coloring.layer) + 1, side)
        side.bounding_box.visible = True
        side.bounding_box.points = False
        side.bounding_box.line_color = "white"
        viewer.layers.selection.active = active
        self._side = side
        self._bind(side)

    def _drop(self) -> None:
        if self._side is not None and self._side in self._coloring.viewer.layers:
            self._coloring.viewer.layers.remove(self._side)
        self._side = None

    def _keep_gray(self) -> None:
        """Gray is the reference: bring it back where somebody removed it, show it where somebody hid it."""
        viewer, gray = self._coloring.viewer, self._coloring.gray
        if gray not in viewer.layers:
            active = viewer.layers.selection.active
            viewer.layers.insert(viewer.layers.index(self._coloring.layer), gray)
            viewer.layers.selection.active = active
        gray.visible = True

    def _on_layer(self, coloring: Coloring) -> None:
        coloring.layer.metadata[layers.KEY]["showing"] = self
        self._bind(coloring.layer)
        self._bind(coloring.gray)
        if self.mode != "colour":
            self.show(self.mode)

    def _bind(self, layer: Any) -> None:
        layer.bind_key(KEY, self._on_key, overwrite=True)

    def _on_key(self, layer: Any) -> None:
        """Show gray or colour."""
        self.toggle()
