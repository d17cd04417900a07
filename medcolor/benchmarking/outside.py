"""Pictures of patients stay outside the repository."""

from __future__ import annotations

import tomllib
from pathlib import Path

from medcolor.errors import SettingError


def refuse_checkout(folder: Path, what: str) -> None:
    """Refuse a folder inside a checkout of this project; ``what`` says what shows patients.

    Raises
    ------
    SettingError
        Somebody could commit pictures of patients from there.
    """
    for place in (folder.resolve(), *folder.resolve().parents):
        if (place / ".git").exists() and _is_this_project(place):
            raise SettingError(
                f"{folder} lies in a checkout of medcolor ({place}). {what} shows patients, and no picture of a "
                "patient may be committed: name a folder outside it."
            )


def _is_this_project(folder: Path) -> bool:
    try:
        return bool(tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]["name"] == "medcolor")
    except (OSError, ValueError, KeyError, TypeError):
        return False


__all__ = ["refuse_checkout"]
