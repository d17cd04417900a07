"""What is under the cursor: value, tissues, confidence, in napari's status bar and in the panel."""

from __future__ import annotations

from typing import Any

from medcolor.viewing.session import ColoringSession
from medcolor.viewing.wording import probe_words, value_words
from napari_plugin import layers
from napari_plugin.coloring import Coloring


def words_at(coloring: Coloring, world: Any) -> str:
    """Return what is known at a world position; empty beside the scan, and in 3-D, where a pixel is no voxel."""
    if coloring.viewer.dims.ndisplay != 2:
        return ""
    i, j, k = coloring.placement.voxel(coloring.gray.world_to_data(world)[-3:])
    if not all(0 <= n < side for n, side in zip((i, j, k), coloring.scan.shape, strict=True)):
        return ""
    session: ColoringSession | None = coloring.session
    if session is None:
        return value_words(coloring.scan.voxels[i, j, k].item(), coloring.scan.units)
    return probe_words(session.probe(i, j, k))


def say_no_colors(layer: Any) -> None:
    """Let the status bar say where the cursor is and nothing else: red and green of a volume are no measurement."""
    plain = layer.get_status

    def get_status(position: Any = None, **about: Any) -> dict[str, str]:
        status: dict[str, str] = plain(position, **about)
        return status | {"value": "", "coordinates": status.get("coords", "")}

    layer.get_status = get_status


def speak(coloring: Coloring) -> None:
    """Let the status bar say of the colour layer what the scan is there, not which red and green it shows.

    napari asks the layer, from a thread of its own; the session answers from any.
    """
    layer = coloring.layer
    about_it = layers.about(layer) or {}
    speaks = "coloring" in about_it
    about_it["coloring"] = coloring
    if speaks:
        return
    plain = layer.get_status

    def get_status(position: Any = None, **about: Any) -> dict[str, str]:
        status: dict[str, str] = plain(position, **about)
        if position is not None and about.get("world"):
            words = words_at(about_it["coloring"], position)
            status["value"] = words
            status["coordinates"] = f"{status.get('coords', '')}: {words}"
        return status

    layer.get_status = get_status
