"""What each voxel is made of: soft tissue posteriors, and hard labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medcolor.errors import GeometryError
from medcolor.geometry import Geometry, Space
from medcolor.scan import frozen_view


@dataclass(frozen=True, slots=True, eq=False)
class TissueMap:
    """How probable each tissue class is, voxel by voxel.

    Parameters
    ----------
    posteriors : ndarray of float, (ni, nj, nk, n_classes)
        In [0, 1], summing to 1 (within 1 % for half precision).
    classes : tuple of str
        Class names in palette order.
    geometry : Geometry
    modality : str
        Family, one of :data:`MODALITIES`.
    """

    posteriors: NDArray[Any]
    classes: tuple[str, ...]
    geometry: Geometry
    modality: str

    def __post_init__(self) -> None:
        expected = (*self.geometry.shape, len(self.classes))
        if self.posteriors.shape != expected:
            raise GeometryError(f"TissueMap.posteriors must have shape {expected}, got {self.posteriors.shape}.")
        if len(set(self.classes)) != len(self.classes):
            raise ValueError(f"TissueMap classes must differ, got {self.classes}.")
        object.__setattr__(self, "posteriors", frozen_view(self.posteriors))

    def segmentation(self) -> Segmentation:
        """Return the most probable class per voxel; label n is class n - 1."""
        labels = self.posteriors.argmax(axis=-1).astype(np.uint16) + np.uint16(1)
        return Segmentation(labels, self.geometry, {n + 1: name for n, name in enumerate(self.classes)})


@dataclass(frozen=True, slots=True, eq=False)
class Segmentation:
    """Labels on a grid; 0 is background.

    Parameters
    ----------
    labels : ndarray of uint16, (ni, nj, nk)
    geometry : Geometry
    names : Mapping of int to str
        Every label present, except 0, has a name.
    """

    labels: NDArray[np.uint16]
    geometry: Geometry
    names: Mapping[int, str]

    def __post_init__(self) -> None:
        if self.labels.shape != self.geometry.shape or self.labels.dtype != np.uint16:
            raise GeometryError(
                f"Segmentation.labels must be uint16 of shape {self.geometry.shape}, "
                f"got {self.labels.dtype} {self.labels.shape}."
            )
        unnamed = set(np.unique(self.labels).tolist()) - set(self.names) - {0}
        if unnamed:
            raise ValueError(f"Segmentation labels without a name: {sorted(unnamed)}.")
        object.__setattr__(self, "labels", frozen_view(self.labels))
        object.__setattr__(self, "names", MappingProxyType(dict(self.names)))

    def volume_ml(self, label: int) -> float:
        """Volume of one label in millilitres; needs a geometry in mm."""
        if self.geometry.space is Space.PIXEL:
            raise GeometryError("Volumes need a pixel size in mm, and this image has none.")
        return float(np.count_nonzero(self.labels == label)) * self.geometry.voxel_volume / 1000.0
