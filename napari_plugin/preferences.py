"""The settings of the manifest (Preferences > medcolor), with a default where napari has none."""

from __future__ import annotations

from typing import Any


def preference(section: str, name: str, *, otherwise: Any) -> Any:
    """Return a setting; ``otherwise`` where the plugin is used without its manifest, as in a script."""
    from napari.settings import get_plugin_settings

    try:
        return getattr(getattr(get_plugin_settings("medcolor"), section), name)
    except (KeyError, AttributeError):
        return otherwise


def prefer(section: str, name: str, value: Any) -> None:
    """Keep a setting for this viewer and those to come."""
    from napari.settings import get_plugin_settings

    setattr(getattr(get_plugin_settings("medcolor"), section), name, value)
