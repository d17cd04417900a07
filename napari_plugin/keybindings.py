"""Keys. On medcolor's own layers they come before napari's (whose C stretches contrast); elsewhere after them.

napari does not act on ``keybindings`` in a manifest yet, so they are bound here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from weakref import ref

Action = Callable[[Any], None]


def next_window(viewer: Any) -> None:
    """Show the gray layer with the next named window of its modality."""
    from medcolor.viewing.wording import window_words
    from medcolor.windowing import NAMED_WINDOWS, default_display
    from napari_plugin import layers

    layer = layers.current(viewer, "gray")
    if layer is None:
        return
    found = layers.about(layer) or {}
    scan = found["scan"]
    if scan.rgb is not None:
        return
    named = [default_display(scan), *NAMED_WINDOWS.get(scan.family or "", {}).values()]
    choices = {str(choice): choice for choice in named}  # the file's own may be one of the named
    names = list(choices)
    place = names.index(found["window"]) + 1 if found["window"] in names else 0
    chosen = choices[names[place % len(names)]]
    found["window"] = str(chosen)
    layer.contrast_limits = layers.limits(chosen)
    viewer.status = f"Window {window_words(chosen)}"


def bind(viewer: Any, layer: Any, actions: Mapping[str, Action]) -> None:
    """Bind keys to a layer of ours, and to its viewer for when another layer is selected."""
    for key, action in actions.items():
        run = _for(ref(viewer), action)
        layer.bind_key(key, run, overwrite=True)
        viewer.bind_key(key, run, overwrite=True)


def _for(viewer: ref[Any], action: Action) -> Action:
    def run(_: Any) -> None:
        alive = viewer()
        if alive is not None:
            action(alive)

    run.__doc__ = action.__doc__
    return run
