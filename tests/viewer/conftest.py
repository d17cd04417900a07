"""What the viewer tests share. Those marked ``viewer`` need a display; run them with xvfb-run where there is none."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("napari", reason='napari is not installed (pip install "medcolor[napari]")')


@pytest.fixture
def viewer(request: pytest.FixtureRequest) -> Iterator[Any]:
    """A viewer on the screen, as a user has it; its pixels are drawn by Mesa under Xvfb."""
    if not os.environ.get("DISPLAY") and os.name == "posix" and os.uname().sysname == "Linux":
        pytest.skip("no display: run this test with xvfb-run")
    make: Callable[..., Any] = request.getfixturevalue("make_napari_viewer")
    from npe2 import PluginManager

    found = PluginManager.instance()
    if "medcolor" not in found:
        found.register(manifest())
    return make(show=True)


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
