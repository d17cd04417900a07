"""The legend on the canvas: an overlay like napari's scale bar, so that screenshots have it too."""

from __future__ import annotations

from typing import Any

from napari._vispy.overlays.base import ViewerOverlayMixin, VispyCanvasOverlay  # no public way to draw an overlay
from napari._vispy.utils.visual import overlay_to_visual
from napari.components.overlays import CanvasOverlay
from pydantic import PrivateAttr
from vispy.scene.visuals import Image

NAME = "medcolor_legend"


class LegendOverlay(CanvasOverlay):
    """A picture in a corner of the canvas, pixel for pixel.

    Attributes
    ----------
    revision : int
        Counts pictures; :attr:`picture` is uint8 RGBA, (height, width, 4).
    """

    revision: int = 0
    box: bool = False
    _picture: Any = PrivateAttr(default=None)

    def show(self, picture: Any) -> None:
        """Show another picture."""
        self._picture = picture
        self.revision += 1
        self.visible = True

    @property
    def picture(self) -> Any:
        """What is shown, None before :meth:`show`."""
        return self._picture


class _VispyLegend(ViewerOverlayMixin, VispyCanvasOverlay):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(node=Image(interpolation="nearest", clim=(0, 255)), **kwargs)
        self.overlay.events.revision.connect(self._on_picture)
        self._on_picture()
        self.reset()

    def _on_picture(self, event: Any = None) -> None:
        picture = self.overlay.picture
        if picture is not None:
            self.node.set_data(picture)
            self.y_size, self.x_size = (float(n) for n in picture.shape[:2])
            self._on_position_change()
            self.node.update()


overlay_to_visual[LegendOverlay] = _VispyLegend


def legend_of(viewer: Any) -> LegendOverlay:
    """Return the viewer's legend; made, and hidden, where there is none yet."""
    overlays = viewer.canvas.overlays
    if NAME not in overlays:
        overlays[NAME] = LegendOverlay(position="top_right")
    found: LegendOverlay = overlays[NAME]
    return found
