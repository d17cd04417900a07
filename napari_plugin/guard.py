"""Keeps a layer's colours what their legend says: napari's sliders would change them behind its back."""

from __future__ import annotations

from typing import Any

from napari_plugin import desk

HONEST: dict[str, Any] = {"contrast_limits": (0, 255), "gamma": 1.0, "opacity": 1.0}
BLENDINGS = ("translucent", "translucent_no_depth")
_SAID = (
    "{what} of a colour layer would make its colours differ from the legend: it was set back. "
    "For brightness and contrast use the window in the medcolor panel, for less colour its strength."
)


class Guard:
    """Sets contrast limits, gamma, opacity and blending of one layer back, and says so.

    Parameters
    ----------
    layer
        An RGB(A) layer with a legend.
    """

    def __init__(self, layer: Any) -> None:
        self._layer, self._busy = layer, False
        self.said = 0
        for name in (*HONEST, "blending"):
            getattr(layer.events, name).connect(self._on_change)
        self._restore()

    def _on_change(self, event: Any) -> None:
        if self._busy:
            return
        changed = self._restore()
        if changed:
            self.said += 1
            desk.tell(_SAID.format(what=" and ".join(changed).capitalize()))

    def _restore(self) -> list[str]:
        """Set back what is not as it must be; return its names."""
        self._busy, changed = True, []
        try:
            for name, honest in HONEST.items():
                found = getattr(self._layer, name)
                if (tuple(found) if isinstance(honest, tuple) else found) != honest:
                    setattr(self._layer, name, honest)
                    changed.append(name.replace("_", " "))
            if str(self._layer.blending) not in BLENDINGS:
                self._layer.blending = BLENDINGS[0]
                changed.append("blending")
        finally:
            self._busy = False
        return changed
