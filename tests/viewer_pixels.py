"""What a user sees of a viewer, as pixels."""

from __future__ import annotations

from typing import Any

import numpy as np


def pixels(viewer: Any) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return the canvas as the user sees it, (rows, columns, 3)."""
    from qtpy.QtWidgets import QApplication

    for _ in range(3):
        QApplication.processEvents()
    return np.asarray(viewer.screenshot(canvas_only=True, flash=False))[..., :3]
