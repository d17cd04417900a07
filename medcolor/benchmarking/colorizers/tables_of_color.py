"""Which colour table is the best one for a modality, by its validation patients: the strongest control of its kind."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from medcolor.benchmarking.colorizers import views as views_module
from medcolor.benchmarking.colorizers.arms import code_hash
from medcolor.benchmarking.colorizers.cells import Cells
from medcolor.benchmarking.colorizers.views import View, data_identity, lab_of
from medcolor.cielab import delta_e_2000
from medcolor.color_law import restore_gray
from medcolor.luts import list_luts, load_lut

GRAY_RAMP = "gray"
"""Not among the tables: no colour at all is a control of its own."""


def best_table(val: Sequence[View], cells: Cells) -> str:
    """Return the table with the least CIEDE2000 inside the body, mean over patients; the first of equals."""
    depends = (data_identity(val), code_hash(views_module, __file__), *list_luts())
    family = str(val[0].scan.family)
    if (record := cells.find(f"{family}-best-table", *depends)) is not None:
        return str(record["table"])
    rgb, weights = target_colors(val)
    lab, gray = lab_of(rgb), restore_gray(rgb)
    names = [name for name in list_luts() if name != GRAY_RAMP]
    errors = {name: float(delta_e_2000(lab_of(load_lut(name))[gray], lab) @ weights) for name in names}
    table = min(errors, key=lambda name: errors[name])
    cells.keep(f"{family}-best-table", {"table": table, "errors": errors}, *depends)
    return table


def target_colors(val: Sequence[View]) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Return each colour that the targets show inside a body, (n, 3), and what part of the mean it is, (n,).

    A pixel counts by its scan, a scan by its patient, and patients alike. A target's colour says its gray (the law),
    so a table's error at a pixel depends on that colour alone, and there are far fewer of them than pixels.
    """
    parts: dict[str, list[NDArray[np.uint32]]] = {}
    for view in val:
        if view.body.any():
            channels = view.target_rgb[view.body].astype(np.uint32)
            parts.setdefault(view.patient, []).append(channels @ np.array([1 << 16, 1 << 8, 1], np.uint32))
    pixels = np.concatenate([scan for scans in parts.values() for scan in scans])
    shares = [
        np.full(scan.size, 1 / (scan.size * len(scans) * len(parts))) for scans in parts.values() for scan in scans
    ]
    packed, place = np.unique(pixels, return_inverse=True)
    rgb = np.stack([packed >> 16, (packed >> 8) & 255, packed & 255], axis=-1).astype(np.uint8)
    return rgb, np.bincount(place, np.concatenate(shares), len(packed)).astype(np.float64)


__all__ = ["GRAY_RAMP", "best_table", "target_colors"]
