"""What a run keeps, one small file for each thing measured, so that an interrupted one goes on where it was."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medcolor.io.atomic import atomic_files


@dataclass(frozen=True)
class Cells:
    """A folder of measurements, each under a hash of everything it depends on.

    Parameters
    ----------
    folder : Path
        Made when something is kept. It holds pseudonyms of patients: not for a repository.
    """

    folder: Path

    def find(self, name: str, *depends: str) -> dict[str, Any] | None:
        """Return what was kept under a name that depends on the same things; None where there is nothing."""
        path = self._path(name, depends)
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):  # never made, or damaged: it is measured again
            return None
        return found if isinstance(found, dict) else None

    def keep(self, name: str, record: Mapping[str, Any], *depends: str) -> None:
        """Keep a measurement."""
        path = self._path(name, depends)
        with atomic_files([path], force=True) as files, files.open(path) as stream:
            stream.write((json.dumps(record, allow_nan=False) + "\n").encode())

    def _path(self, name: str, depends: tuple[str, ...]) -> Path:
        digest = hashlib.sha256(json.dumps(depends).encode()).hexdigest()
        return self.folder / f"{name}-{digest[:20]}.json"


__all__ = ["Cells"]
