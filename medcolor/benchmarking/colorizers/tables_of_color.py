"""Which colour table is the best one for a modality, by its validation patients: the strongest control of its kind."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medcolor.benchmarking.colorizers import views as views_module
from medcolor.benchmarking.colorizers.arms import LutArm, code_hash
from medcolor.benchmarking.colorizers.cells import Cells
from medcolor.benchmarking.colorizers.rows import paint
from medcolor.benchmarking.colorizers.views import View, data_identity
from medcolor.cielab import delta_e_2000
from medcolor.luts import list_luts

GRAY_RAMP = "gray"
"""Not among the tables: no colour at all is a control of its own."""


def best_table(val: Sequence[View], cells: Cells) -> str:
    """Return the table with the least CIEDE2000 inside the body, mean over patients; the first of equals."""
    depends = (data_identity(val), code_hash(views_module, __file__), *list_luts())
    family = str(val[0].scan.family)
    if (record := cells.find(f"{family}-best-table", *depends)) is not None:
        return str(record["table"])
    errors = {name: _error(LutArm(name), val) for name in list_luts() if name != GRAY_RAMP}
    table = min(errors, key=lambda name: errors[name])
    cells.keep(f"{family}-best-table", {"table": table, "errors": errors}, *depends)
    return table


def _error(arm: LutArm, val: Sequence[View]) -> float:
    found: dict[str, list[float]] = {}
    for view in val:
        body = view.body
        if body.any():
            error = delta_e_2000(paint(arm, view).lab[body], view.target_lab[body])
            found.setdefault(view.patient, []).append(float(error.mean(dtype=np.float64)))
    return float(np.mean([np.mean(errors) for errors in found.values()]))


__all__ = ["GRAY_RAMP", "best_table"]
