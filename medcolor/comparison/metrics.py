"""How good a segmentation of one patient is, by MONAI's figures and by stated rules where these have none.

Rules. A label that the reference does not have is judged only where the segmentation invents it: then Dice and
surface Dice are 0; where both are without it there is nothing to judge and the figure is NaN. A label that the
segmentation misses altogether has Dice and surface Dice 0, a volume error of 1, and as HD95 the diagonal of the image:
a failure counts, it is never left out. The figure of a patient is the mean over the labels that have one.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medcolor.comparison.cells import Row
from medcolor.comparison.tasks import Masks

METRICS = ("dice", "nsd", "hd95", "volume_error")
FAILED = "failed"
"""1 where a label of the reference was missed altogether; its mean over patients is the share of failures."""


def patient_rows(
    patient: str,
    found: Masks,
    reference: Masks,
    labels: Mapping[int, str],
    *,
    spacing: tuple[float, float, float],
    tolerance: float,
    volume: bool = True,
) -> list[Row]:
    """Return the figures of a patient: each metric, and each metric of each label as "dice:LABEL".

    Parameters
    ----------
    patient : str
    found, reference : ndarray of uint8, (nk, nj, ni)
    labels : Mapping of int to str
    spacing : tuple of float
        Along i, j, k, in mm (or pixels).
    tolerance : float
        Of the surface Dice, in the same unit.
    volume : bool
        Distances are in three dimensions; False: slice by slice, and the mean over slices that have a figure.
    """
    values: dict[str, dict[str, float]] = {metric: {} for metric in (*METRICS, FAILED)}
    for label, name in labels.items():
        one = _figures(found == label, reference == label, spacing, tolerance, volume)
        for metric, value in one.items():
            values[metric][name] = value
    rows = [Row(patient, metric, mean_of(found.values())) for metric, found in values.items()]
    if len(labels) > 1:
        rows += [Row(patient, f"{metric}:{name}", v) for metric, of in values.items() for name, v in of.items()]
    return rows


def mean_of(values: Iterable[float]) -> float:
    """Return the mean of what is no NaN; NaN where there is nothing."""
    known = [float(value) for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan


def _figures(
    found: NDArray[np.bool_],
    reference: NDArray[np.bool_],
    spacing: tuple[float, float, float],
    tolerance: float,
    volume: bool,
) -> dict[str, float]:
    exists, given = bool(reference.any()), bool(found.any())
    if not exists:
        score = 0.0 if given else math.nan
        return {"dice": score, "nsd": score, "hd95": math.nan, "volume_error": math.nan, FAILED: math.nan}
    sizes = int(found.sum()), int(reference.sum())
    error = abs(sizes[0] - sizes[1]) / sizes[1]
    if not given:
        far = math.hypot(*(n * s for n, s in zip(reference.shape[::-1], spacing, strict=True)))
        if not volume:
            far = math.hypot(reference.shape[2] * spacing[0], reference.shape[1] * spacing[1])
        return {"dice": 0.0, "nsd": 0.0, "hd95": far, "volume_error": error, FAILED: 1.0}
    nsd, hd95 = _surfaces(found, reference, spacing, tolerance, volume)
    return {"dice": _dice(found, reference), "nsd": nsd, "hd95": hd95, "volume_error": error, FAILED: 0.0}


def _tensor(mask: NDArray[np.bool_]) -> Any:
    import torch

    return torch.from_numpy(np.ascontiguousarray(mask, np.float32))[None, None]


def _dice(found: NDArray[np.bool_], reference: NDArray[np.bool_]) -> float:
    from monai.metrics import compute_dice

    return float(compute_dice(_tensor(found), _tensor(reference), include_background=True)[0, 0])


def _surfaces(
    found: NDArray[np.bool_],
    reference: NDArray[np.bool_],
    spacing: tuple[float, float, float],
    tolerance: float,
    volume: bool,
) -> tuple[float, float]:
    """Return surface Dice and HD95."""
    if volume:
        return _surface(found, reference, spacing[::-1], tolerance)
    across = math.hypot(reference.shape[2] * spacing[0], reference.shape[1] * spacing[1])
    per_slice = []
    for one, other in zip(found, reference, strict=True):
        if one.any() and other.any():
            per_slice.append(_surface(one, other, spacing[1::-1], tolerance))
        elif one.any() or other.any():
            per_slice.append((0.0, across if other.any() else math.nan))
    return mean_of(nsd for nsd, _ in per_slice), mean_of(far for _, far in per_slice)


def _surface(
    found: NDArray[np.bool_], reference: NDArray[np.bool_], spacing: tuple[float, ...], tolerance: float
) -> tuple[float, float]:
    from monai.metrics import compute_hausdorff_distance, compute_surface_dice

    where = np.argwhere(found | reference)  # the rest of the image has no surface, and costs time
    box = tuple(slice(max(low - 1, 0), high + 2) for low, high in zip(where.min(0), where.max(0), strict=True))
    one, other = _tensor(found[box]), _tensor(reference[box])
    step = list(spacing)
    with warnings.catch_warnings():  # MONAI 1.6 warns of an argument that it passes itself
        warnings.filterwarnings("ignore", message=".*always_return_as_numpy.*", category=FutureWarning)
        nsd = compute_surface_dice(one, other, [tolerance], include_background=True, spacing=step)[0, 0]
        far = compute_hausdorff_distance(one, other, include_background=True, percentile=95, spacing=step)[0, 0]
    return float(nsd), float(far)


__all__ = ["FAILED", "METRICS", "mean_of", "patient_rows"]
