"""What was drawn, on the grid of the scan it was drawn on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from medcolor.comparison.tasks import Masks
from medcolor.errors import SettingError
from medcolor.scan import Scan


def masks_on(scan: Scan, drawn: Any, path: Path, labels: frozenset[int] | None = None) -> Masks:
    """Return labels on the grid of a scan, (nk, nj, ni) uint8; those that are not asked for are background.

    Raises
    ------
    SettingError
        A label that ``labels`` does not name, or one above 255.
    GeometryError
        No common grid.
    """
    from medcolor.colorizers.label_grid import place

    strangers = [n for n in drawn.counts if n > 255 or (labels is not None and n not in labels)]
    if strangers:
        raise SettingError(f"{path} holds labels {strangers[:8]}, which dataset.json does not name (or above 255).")
    slice_of = place(drawn, scan).slice_of if drawn.counts else (lambda k: np.zeros(scan.shape[1::-1], np.uint8))
    return np.stack([np.asarray(slice_of(k)).astype(np.uint8) for k in range(scan.shape[2])])


__all__ = ["masks_on"]
