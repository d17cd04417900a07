"""Where the files that travel with medcolor are, in a wheel, an editable install or a bare checkout."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent


def _folder(name: str) -> Path:
    installed = _PACKAGE / name
    return installed if installed.is_dir() else _PACKAGE.parent / name


def config_dir() -> Path:
    """Return the folder that holds palettes and one folder for each trained colorizer."""
    return _folder("configs")


def sample_dir() -> Path:
    """Return the folder that describes the sample images."""
    return _folder("sample_data")
