"""PET: uptake by SUV, in steps near those of clinical reading; relative uptake when the scan has no SUV."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medcolor.scan import Scan
from medcolor.tissue.model import CLASSES, TableModel, values_of
from medcolor.tissue.regions import pixel_mm, reduced, reduction, region_lookup, sample
from medcolor.tissue.uptake import body_mask, codes_of, log_bins, typical_inside, uptake_tables

EDGES = (1.0, 2.5, 5.0, 10.0)  # SUV; sources in docs/tissue.md
WIDTH = 0.35  # relative, our own choice: SUV repeats within about 10 %, calibration differs between sites
FAINT = 0.15  # SUV, our own choice: between air outside and lung, the faintest large organ
_FLOOR, _CEILING = 0.01, 100.0


def build(scan: Scan) -> TableModel:
    """Fit the PET model.

    Without SUV the level is the voxel over the mean of the body: for activity that stays in the body that mean is
    1 SUV by definition, so the same steps are the nearest honest guess.
    """
    factor = reduction(scan.shape, 256)
    small = np.maximum(reduced(scan, factor), 0)
    mm = pixel_mm(scan, field_mm=600) * factor
    smooth = _smooth(small)
    unit = 1.0 if scan.units.upper().startswith("SUV") else _body_mean(smooth)
    body = body_mask(smooth, FAINT * unit, mm)

    def bins(block: slice) -> NDArray[np.uint16]:
        return log_bins(values_of(scan, block) / np.float32(unit), _FLOOR, _CEILING)

    tables = uptake_tables(EDGES, width=WIDTH, faint=FAINT, floor=_FLOOR, ceiling=_CEILING)
    return TableModel(CLASSES["PT"], tables, region_lookup(scan, codes_of(body), factor), bins)


def _smooth(small: NDArray[np.float32]) -> NDArray[np.float32]:
    from scipy import ndimage

    return ndimage.uniform_filter(small, (0, 3, 3))


def _body_mean(level: NDArray[np.float32]) -> float:
    """Find the mean of the body without knowing the unit: fixed point of "the body is above FAINT of its mean"."""
    unit = float(sample(level, 500_000).mean(dtype=np.float64))
    for _ in range(20):
        found = typical_inside(level, level > FAINT * unit)
        if found <= 0 or abs(found - unit) <= 1e-3 * unit:
            break
        unit = found
    return max(unit, 1e-20)
