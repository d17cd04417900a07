"""Which slices of a test patient are segmented, and the figures of the result: the same in every tier."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medcolor.comparison.cells import Row, Shown
from medcolor.comparison.metrics import patient_rows
from medcolor.comparison.tasks import Subject, Task

Labels = NDArray[np.uint8]


def spread(subject: Subject, most: int | None) -> NDArray[np.intp]:
    """Return which slices are segmented: all, or so many spread evenly over those that there are."""
    count = len(subject.masks)
    if most is None or count <= most:
        return np.arange(count)
    return np.rint((np.arange(most) + 0.5) * count / most - 0.5).astype(np.intp)


def rows_of(subject: Subject, found: Labels, task: Task, tolerance: float, chosen: NDArray[np.intp]) -> list[Row]:
    """Return the figures of a patient; of some of a volume's slices distances are within the slices."""
    scan = subject.scan
    return patient_rows(
        subject.patient,
        found,
        subject.masks[chosen],
        task.labels,
        spacing=scan.geometry.spacing,
        tolerance=tolerance,
        volume=task.volume and len(chosen) == len(subject.masks),
    )


def largest(subject: Subject, found: Labels, chosen: NDArray[np.intp]) -> Shown:
    """Return the segmented slice with most of the reference."""
    place = int((subject.masks[chosen] > 0).sum(axis=(1, 2)).argmax())
    return Shown(subject.patient, int(chosen[place]), found[place].astype(np.uint8))


__all__ = ["largest", "rows_of", "spread"]
