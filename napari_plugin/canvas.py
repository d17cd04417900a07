"""What medcolor adds to a canvas as soon as a scan lies on it: the acquired plane, letters, scale bar, a note."""

from __future__ import annotations

from textwrap import fill
from typing import Any
from weakref import WeakKeyDictionary

from medcolor.geometry import Space
from medcolor.scan import KAxis
from medcolor.viewing.placement import letters, place
from medcolor.viewing.volume import view
from napari_plugin import dropping, keybindings, layers
from napari_plugin.preferences import preference

_PLACES = {"left": "middle_left", "right": "middle_right", "top": "top_center", "bottom": "bottom_center"}
_SIDES = {"L": "left", "R": "right", "A": "front", "P": "back", "S": "head", "I": "feet"}
_LEANS = 0.3  # sine from which a second letter is written
_NOTE, _NOTE_WIDTH = "medcolor_note", 32  # characters
_canvases: WeakKeyDictionary[Any, Canvas] = WeakKeyDictionary()


def attach(viewer: Any) -> Canvas:
    """Give a viewer its letters, and let it open together what is dropped together; call it before layers are added."""
    if viewer not in _canvases:
        _canvases[viewer] = Canvas(viewer)
        dropping.together(viewer)
    return _canvases[viewer]


def toggle_letters(viewer: Any) -> None:
    """Show or hide the orientation letters."""
    attach(viewer).toggle()


def toggle_color(viewer: Any) -> None:
    """Show gray or colour, on whichever layer of ours one is: hints and drawings, too."""
    from napari_plugin import showing

    showing.toggle_color(viewer)


KEYS: dict[str, keybindings.Action] = {"C": toggle_color, "O": toggle_letters, "W": keybindings.next_window}
"""What our layers answer to."""


class Canvas:
    """The letters of one viewer; follows its layers, its order of axes and its camera."""

    def __init__(self, viewer: Any) -> None:
        from weakref import ref

        self._viewer = ref(viewer)
        self.shown = bool(preference("display", "letters", otherwise=True))
        self._add_overlays(viewer)
        viewer.layers.events.inserted.connect(self._on_insert)
        for event in (
            viewer.layers.events.removed,
            viewer.layers.selection.events.active,
            viewer.dims.events.order,
            viewer.dims.events.ndisplay,
            viewer.dims.events.ndim,
            viewer.scene.camera.events.orientation,
            viewer.scene.camera.events.angles,
        ):
            event.connect(self.update)
        self.update()

    def _add_overlays(self, viewer: Any) -> None:
        from napari.components.overlays import TextOverlay

        for side, position in _PLACES.items():
            viewer.canvas.overlays[f"medcolor_{side}"] = TextOverlay(position=position, font_size=16, box=True)
        viewer.canvas.overlays[_NOTE] = TextOverlay(position="top_left", font_size=9, box=True)
        viewer.canvas.overlays.scale_bar.visible = bool(preference("display", "scale_bar", otherwise=True))

    def _on_insert(self, event: Any) -> None:
        """Show the plane that was acquired, and bind the keys of our layers."""
        viewer, layer = self._viewer(), event.value
        found = layers.about(layer)
        if viewer is None or found is None:
            return
        keybindings.bind(viewer, layer, KEYS)
        if len(layers.layers_of(viewer)) == 1:
            where = place(found["scan"])
            above = viewer.dims.ndim - 3
            viewer.dims.order = (*range(above), *(above + axis for axis in where.order))
            viewer.scene.camera.orientation2d = ("up" if where.upward else "down", "right")
            viewer.reset_view()
        self.update()

    def toggle(self) -> None:
        """Show or hide letters."""
        self.shown = not self.shown
        self.update()

    def update(self, event: Any = None) -> None:
        """Write the letters that are true now."""
        viewer = self._viewer()
        if viewer is None:
            return
        layer = layers.current(viewer)
        found = layers.about(layer) or {}
        said = self._letters(viewer, found["scan"]) if found and self.shown else ("", "", "", "")
        for side, text in zip(_PLACES, said, strict=True):
            _write(viewer.canvas.overlays[f"medcolor_{side}"], text)
        _write(viewer.canvas.overlays[_NOTE], fill(found.get("note") or "", _NOTE_WIDTH))

    def _letters(self, viewer: Any, scan: Any) -> tuple[str, str, str, str]:
        dims = viewer.dims
        above = dims.ndim - 3
        if dims.ndisplay == 3:
            return _letters_of_volume(viewer, scan)
        stepped, down, right = (axis - above for axis in dims.order[-3:])
        if dims.ndisplay != 2 or above < 0 or sorted((stepped, down, right)) != [0, 1, 2]:
            return "", "", "", ""
        vertical, horizontal = (str(side) for side in viewer.scene.camera.orientation2d)
        flipped = (vertical == "up", horizontal == "left")
        if down < right:
            return letters(scan, stepped, flipped)
        top, bottom, left, right_side = letters(scan, stepped, flipped[::-1])  # axes exchanged on screen
        return left, right_side, top, bottom


def _letters_of_volume(viewer: Any, scan: Any) -> tuple[str, str, str, str]:
    """Return the letters round a volume as the camera turns it."""
    dims, camera = viewer.dims, viewer.scene.camera
    shown = tuple(axis - (dims.ndim - 3) for axis in dims.order[-3:])
    if scan.k_axis is not KAxis.SPACE or scan.geometry.space is not Space.PATIENT or sorted(shown) != [0, 1, 2]:
        return "", "", "", ""
    toward, up = camera.view_direction, camera.up_direction
    turn = 1 if str(camera.handedness) == "right" else -1
    right = [turn * (toward[m] * up[n] - toward[n] * up[m]) for m, n in ((1, 2), (2, 0), (0, 1))]
    sides = [[sign * each[shown.index(axis)] for axis in range(3)] for each in (right, up) for sign in (-1, 1)]
    left_letter, right_letter, bottom, top = (_nearest(scan, side) for side in sides)
    return left_letter, right_letter, top, bottom


def _nearest(scan: Any, direction: list[float]) -> str:
    """Return the sides of the patient that a direction of the canvas points to, the nearest first."""
    near = {
        letter: -sum(a * b for a, b in zip(view(scan, side)[0], direction, strict=True))
        for letter, side in _SIDES.items()
    }
    first, second = sorted(near, key=near.__getitem__, reverse=True)[:2]
    return first + (second if near[second] > _LEANS else "")


def _write(overlay: Any, text: str) -> None:
    overlay.text = text
    overlay.visible = bool(text)
