"""The layer of the colours: its place is taken before anybody asks, because adding a layer takes napari long.

Adding it and drawing it for the first time are two turns of the event loop. Until there are colours it is transparent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_plugin import layers
from napari_plugin.guard import Guard

if TYPE_CHECKING:
    from medcolor.scan import Scan
    from medcolor.viewing.session import ColoringSession


class ColorLayer:
    """Where the colours of one scan are shown in one viewer.

    Parameters
    ----------
    viewer
    gray
        The layer of the scan.
    scan : Scan
    name : str
        Of the scan.
    """

    def __init__(self, viewer: Any, gray: Any, scan: Scan, name: str) -> None:
        self._viewer, self._gray, self._scan, self._name = viewer, gray, scan, name
        ours = (one for one in layers.layers_of(viewer, "color") if (layers.about(one) or {})["scan"] is scan)
        self.layer: Any = next(ours, None)  # a panel that was closed left it
        self._place: Any = None

    @property
    def shown(self) -> bool:
        """Whether the colours are a layer of the viewer."""
        return self.layer is not None and self.layer in self._viewer.layers

    def shows(self, session: ColoringSession | None) -> bool:
        """Whether the layer is this session's, and is there."""
        return self.shown and (layers.about(self.layer) or {}).get("session") is session

    @property
    def taken(self) -> bool:
        """Whether there is a layer to show colours in."""
        return self.shown or (self._place is not None and self._place in self._viewer.layers)

    def take(self) -> None:
        """Take the place of the layer where there is none yet; hidden, so that nothing has to be drawn for it."""
        if not self.taken and self._gray in self._viewer.layers:
            self._place = self._added(*layers.kept_place(self._scan, self._name)[:2], visible=False)

    def wake(self) -> None:
        """Draw the empty layer, so that what draws it is ready."""
        if self._place is not None and self.taken and not self._place.visible:
            self._place.visible = True

    def give_back(self) -> None:
        """Take the empty layer away where nothing came to be shown in it."""
        if self._place is not None and self._place in self._viewer.layers:
            self._viewer.layers.remove(self._place)
        self._place = None

    def show(self, session: ColoringSession) -> bool:
        """Show the picture of a session, in the layer there is, else in a new one; return whether it is the first."""
        layer = self.layer if self.shown else self._place
        self._place = None
        if layer is not None and layer in self._viewer.layers:
            _, about, _ = layers.color_layer(session, self._name)
            layer.data = layers.arranged(self._scan, session.rgba)
            layer.metadata[layers.KEY] |= about["metadata"][layers.KEY]
        else:
            layer = self._added(*layers.color_layer(session, self._name)[:2])
        first, self.layer = not self.shown, layer
        if "guard" not in layer.metadata[layers.KEY]:
            layer.metadata[layers.KEY]["guard"] = Guard(layer)  # for as long as there is a layer
        if first and not layer.visible:
            layer.visible = True
        return first

    def select(self) -> None:
        """Make it the layer that keys and sliders act on."""
        self._viewer.layers.selection.active = self.layer

    def _added(self, data: Any, about: dict[str, Any], *, visible: bool = True) -> Any:
        from napari.layers import Image

        ours, active = self._viewer.layers, self._viewer.layers.selection.active
        ours._activate_on_insert = False  # no public way: showing its controls and hiding them again takes long
        layer = Image(data, **about | {"contrast_limits": (0, 255), "visible": visible})
        try:
            ours.insert(ours.index(self._gray) + 1 if self._gray in ours else len(ours), layer)
        finally:
            ours._activate_on_insert = True
        ours.selection.active = active
        return layer
