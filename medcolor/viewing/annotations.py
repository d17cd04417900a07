"""What a user draws on a coloured scan: labels of their own, beside the colours and never in them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medcolor.errors import WriteError
from medcolor.scan import Scan, from_slices
from medcolor.tissue_map import Segmentation
from medcolor.viewing.placement import place


def empty_drawing(scan: Scan) -> NDArray[np.uint16]:
    """Return labels to draw on, with the axes of a layer."""
    return place(scan).to_layer(np.zeros(scan.shape[::-1], np.uint16))


def annotation(scan: Scan, labels: NDArray[Any], names: Mapping[int, str] | None = None) -> Segmentation:
    """Return a drawing as a segmentation on the grid of its scan.

    Parameters
    ----------
    scan : Scan
    labels : ndarray of int, (nk, nj, ni)
        0 where nothing is drawn.
    names : Mapping of int to str, optional
        Labels without a name are called "annotation 1" ...

    Raises
    ------
    WriteError
        Another shape, nothing drawn, or labels beyond 65535.
    """
    if labels.shape != scan.shape[::-1] or labels.dtype.kind not in "iu":
        raise WriteError("An annotation has the size of its scan, and whole numbers as labels.")
    present = [int(label) for label in np.unique(labels) if label]
    if not present:
        raise WriteError("Nothing is drawn yet.")
    if min(present) < 0 or max(present) > 65535:
        raise WriteError(f"Labels are numbers from 1 to 65535, found {min(present)} to {max(present)}.")
    named = {label: (names or {}).get(label) or f"annotation {label}" for label in present}
    return Segmentation(from_slices(labels.astype(np.uint16)), scan.geometry, named)


def volumes_in_words(drawn: Segmentation) -> str:
    """Return each label with its volume, or its pixels where they have no volume."""
    if not drawn.has_volume:
        return "\n".join(f"{drawn.names[label]}: {count} pixels" for label, count in drawn.counts.items())
    return "\n".join(f"{drawn.names[label]}: {drawn.volume_ml(label):.3g} ml" for label in drawn.counts)


__all__ = ["annotation", "empty_drawing", "volumes_in_words"]
