"""What each voxel is made of: soft tissue posteriors, and hard labels."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medcolor.errors import GeometryError
from medcolor.geometry import Geometry, Space
from medcolor.scan import Finding, frozen_view, to_slices

_LARGEST = 128.0  # |a*|, |b*|; no sRGB colour goes beyond 108


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


@dataclass(frozen=True, slots=True)
class Code:
    """A coded concept, as DICOM writes it: SCT 10200004 "Liver"."""

    scheme: str
    value: str
    meaning: str

    def __str__(self) -> str:
        return f"{self.meaning} ({self.scheme} {self.value})"


@dataclass(frozen=True, slots=True, eq=False)
class Segmentation:
    """Labels on a grid; 0 is background.

    Parameters
    ----------
    labels : ndarray of uint16, (ni, nj, nk)
    geometry : Geometry
    names : Mapping of int to str
        Every label present, except 0, has a name; names of labels that are not present are welcome.
    colors : Mapping of int to (a*, b*)
        Colours that the file or a table recommends; each within +-128. Labels may be without.
    codes : Mapping of int to Code
        What a label means in a terminology, where that is known.
    audit : tuple of Finding
        What the reader noticed.
    frame_of_reference : str
        DICOM UID of the world its geometry is in; empty when not known.

    Attributes
    ----------
    counts : Mapping of int to int
        Voxels of each label present, background left out, in order of the labels.
    """

    labels: NDArray[np.uint16]
    geometry: Geometry
    names: Mapping[int, str]
    colors: Mapping[int, tuple[float, float]] = field(default_factory=dict)
    codes: Mapping[int, Code] = field(default_factory=dict)
    audit: tuple[Finding, ...] = ()
    frame_of_reference: str = ""
    counts: Mapping[int, int] = field(init=False)

    def __post_init__(self) -> None:
        if self.labels.shape != self.geometry.shape or self.labels.dtype != np.uint16:
            raise GeometryError(
                f"Segmentation.labels must be uint16 of shape {self.geometry.shape}, "
                f"got {self.labels.dtype} {self.labels.shape}."
            )
        counts = _count(self.labels)
        if unnamed := counts.keys() - self.names.keys():
            raise ValueError(f"Segmentation labels without a name: {sorted(unnamed)}.")
        for what, mapping in (("colours", self.colors), ("codes", self.codes)):
            if strangers := sorted(mapping.keys() - self.names.keys()):
                raise ValueError(f"Segmentation has {what} for labels that have no name: {strangers[:10]}.")
        colors = {n: (float(a), float(b)) for n, (a, b) in self.colors.items()}
        for label, ab in colors.items():
            if not (np.isfinite(ab).all() and max(map(abs, ab)) <= _LARGEST):
                raise ValueError(
                    f"The colour of label {label} must be a finite (a*, b*) within ±{_LARGEST:g}, got {ab}."
                )
        object.__setattr__(self, "labels", frozen_view(self.labels))
        for name, value in (("names", self.names), ("colors", colors), ("codes", self.codes), ("counts", counts)):
            object.__setattr__(self, name, MappingProxyType(dict(value)))

    @property
    def sha256(self) -> str:
        """Hash of the labels and of where they are, and of nothing else: the same in whatever file they are kept."""
        digest = hashlib.sha256(f"{self.geometry.shape} {self.geometry.space}".encode())
        digest.update((np.round(self.geometry.affine, 4) + 0.0).astype("<f8").tobytes())  # + 0.0: one zero
        for block in to_slices(self.labels):
            digest.update(np.ascontiguousarray(block, dtype="<u2").data)
        return digest.hexdigest()

    @property
    def has_volume(self) -> bool:
        """Whether voxels are so many mm³: not without a pixel size, and not in a projection, which has no depth."""
        flat = self.geometry.space is Space.DETECTOR and self.geometry.shape[2] == 1
        return self.geometry.space is not Space.PIXEL and not flat

    def volume_ml(self, label: int) -> float:
        """Volume of one label in millilitres; needs a geometry that :attr:`has_volume`."""
        if not self.has_volume:
            raise GeometryError(
                "Volumes need voxels with three sides in mm: this image has no pixel size, or no depth."
            )
        return self.counts.get(label, 0) * self.geometry.voxel_volume / 1000.0


def _count(labels: NDArray[np.uint16]) -> dict[int, int]:
    """Count voxels slice by slice: a whole volume at once would take eight bytes for each."""
    total = np.zeros(1 << 16, np.int64)
    for block in to_slices(labels):
        total += np.bincount(block.reshape(-1), minlength=1 << 16)
    return {int(label): int(total[label]) for label in np.flatnonzero(total) if label}
