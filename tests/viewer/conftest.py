"""What the viewer tests share. Those marked ``viewer`` need a display; run them with xvfb-run where there is none."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("napari", reason='napari is not installed (pip install "medcolor[napari]")')

_LIBRARIES = ("libEGL.so.1", "libGL.so.1", "libxcb-icccm.so.4", "libxcb-keysyms.so.1", "libxcb-cursor.so.0",
              "libxkbcommon-x11.so.0")  # fmt: skip


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


@pytest.fixture
def viewer(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    """A viewer on the screen, as a user has it; its pixels are drawn by Mesa under Xvfb."""
    if sys.platform == "linux":
        if not os.environ.get("DISPLAY"):
            pytest.skip("no display: run this test with xvfb-run")
        if missing := [name for name in _LIBRARIES if not _loads(name)]:  # Qt would abort the whole process
            pytest.skip(f"Qt needs {', '.join(missing)}: install what .ci/setup names")
    make: Callable[..., Any] = request.getfixturevalue("make_napari_viewer")
    from napari import settings
    from npe2 import PluginManager

    from napari_plugin.preferences import prefer

    found = PluginManager.instance()
    if "medcolor" not in found:
        found.register(manifest())
    monkeypatch.setattr(settings, "_CFG_PATH", str(tmp_path / "settings.yaml"))  # nobody's own are read or written
    settings._clear_plugin_settings_cache()
    prefer("opening", "panel", False)  # tests open the panels that they are about
    prefer("display", "reading_room", "never")
    yield make(show=True)
    settings._clear_plugin_settings_cache()


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect what the user is told."""
    from napari.utils import notifications

    heard: list[str] = []
    for name in ("show_error", "show_warning", "show_info"):
        monkeypatch.setattr(notifications, name, heard.append)
    return heard


def manifest() -> Any:
    """Return the manifest as installed."""
    from npe2 import PluginManifest

    return PluginManifest.from_distribution("medcolor")
