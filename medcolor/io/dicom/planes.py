"""Where each slice of a colour object lies: the source's own strings where pixels stay in place.

Positions are copied as text, because a value that goes through a float may come back with another last digit and
then no longer equals the source's, which is how viewers match series. Only what has no such text, or was moved to
another grid, takes its position from the geometry.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medcolor.color_scan import ColorScan
from medcolor.errors import GeometryError
from medcolor.geometry import Space
from medcolor.scan import KAxis, family

# Headers and geometry that differ by more are two grids. The reader takes slices within 5 % of the spacing for even,
# and directions within 1 % for unit vectors at right angles.
_MOVED, _TURNED = 0.1, 0.03
_MACROS = ("PlanePositionSequence", "PlaneOrientationSequence", "PixelMeasuresSequence")


@dataclass(frozen=True, slots=True)
class Plane:
    """Image Plane attributes (PS3.3 C.7.6.2) as DICOM decimal strings; LPS mm.

    Parameters
    ----------
    position : tuple of str, (3,)
    orientation : tuple of str, (6,)
        Row direction, then column direction.
    spacing : tuple of str, (2,)
        Between rows, then between columns.
    thickness : str
        Empty when the source does not say.
    """

    position: tuple[str, ...]
    orientation: tuple[str, ...]
    spacing: tuple[str, ...]
    thickness: str = ""

    @property
    def location(self) -> float:
        """Distance from the origin along the slice normal, mm."""
        row, column = np.array(self.orientation, dtype=float).reshape(2, 3)
        return float(np.cross(row, column) @ np.array(self.position, dtype=float))

    @property
    def numbers(self) -> NDArray[np.float64]:
        """The in-plane affine in LPS: columns are one step along i, one step along j, the position; (3, 3)."""
        row, column = np.array(self.orientation, dtype=float).reshape(2, 3)
        between_rows, between_columns = (float(s) for s in self.spacing)
        return np.stack([row * between_columns, column * between_rows, np.array(self.position, dtype=float)], axis=1)


def decimal(value: float) -> str:
    """Return a DICOM decimal string (at most 16 characters) as near to ``value`` as that allows."""
    from pydicom.valuerep import format_number_as_ds

    rounded = round(float(value), 12)
    return format_number_as_ds(rounded + 0.0 if rounded else 0.0)


def decimals(values: Any) -> tuple[str, ...]:
    """Return the strings of a DS element as the source has them; those over 16 characters are shortened."""
    items = [values] if isinstance(values, str | float | int) else list(values)
    texts = [str(item).strip() for item in items]
    return tuple(text if len(text) <= 16 else decimal(float(text)) for text in texts)


def same_grid(colored: ColorScan) -> bool:
    """Whether slice k of ``colored`` is, pixel by pixel, frame k of its DICOM source."""
    headers, frames = colored.source.headers, colored.source.frames
    ni, nj, nk = colored.shape
    return (
        bool(headers)
        and len(frames) == nk
        and all(headers[n].get("Rows") == nj and headers[n].get("Columns") == ni for n, _ in frames)
    )


def slice_planes(colored: ColorScan) -> tuple[tuple[Plane, ...] | None, bool]:
    """Return one plane for each slice, and whether they are where the source's pixels are.

    Returns
    -------
    planes : tuple of Plane or None
        None for projections and whatever else has no place in the patient.
    in_place : bool
        False when the colour is on another grid than its source.

    Raises
    ------
    GeometryError
        Rows and columns are not at right angles: DICOM cannot say that.
    """
    in_place = same_grid(colored)
    if colored.geometry.space is not Space.PATIENT or colored.k_axis is KAxis.VIEW or _projection(colored):
        return None, in_place or not colored.source.headers
    if in_place:
        headers = colored.source.headers
        found = [plane_of(headers[n], frame) for n, frame in colored.source.frames]
        planes = [plane for plane in found if plane is not None]
        if len(planes) == len(found) and (colored.irregular or _agree(planes, colored)):
            return tuple(planes), True
        in_place = len(planes) < len(found)  # nothing to contradict the geometry: NM keeps positions elsewhere
    return _from_geometry(colored), in_place or not colored.source.headers


def _projection(colored: ColorScan) -> bool:
    return family(colored.modality) in {"XR", "MG"}


def plane_of(header: Any, frame: int) -> Plane | None:
    """Return the plane a DICOM header gives to a 0-based frame, None unless it is complete."""
    found: dict[str, Any] = {}
    for item in _places(header, frame):
        for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness"):
            if keyword not in found and item.get(keyword) not in (None, ""):
                found[keyword] = item.get(keyword)
    try:
        position = decimals(found["ImagePositionPatient"])
        orientation = decimals(found["ImageOrientationPatient"])
        spacing = decimals(found["PixelSpacing"])
        thickness = decimals(found["SliceThickness"])[0] if "SliceThickness" in found else ""
        plane = Plane(position, orientation, spacing, thickness)
        complete = (len(position), len(orientation), len(spacing)) == (3, 6, 2) and np.isfinite(plane.numbers).all()
    except (KeyError, ValueError, TypeError):
        return None
    return plane if complete else None


def _places(header: Any, frame: int) -> Iterable[Any]:
    """Yield the datasets that may hold plane attributes of a frame, the most specific first."""
    per_frame, shared = header.get("PerFrameFunctionalGroupsSequence"), header.get("SharedFunctionalGroupsSequence")
    groups = [per_frame[frame]] if per_frame and frame < len(per_frame) else []
    groups += list(shared)[:1] if shared else []
    for group in groups:
        for macro in _MACROS:
            yield from list(group.get(macro) or [])[:1]
    if int(header.get("NumberOfFrames") or 1) == 1:
        yield header


def _agree(planes: Sequence[Plane], colored: ColorScan) -> bool:
    """Whether header planes and the geometry put every slice at the same place."""
    affine, (step_i, step_j, step_k) = colored.geometry.to_lps()[:3], colored.geometry.spacing
    tolerance = np.array([_TURNED * step_i, _TURNED * step_j, _MOVED * (step_k if len(planes) > 1 else step_i)])
    for k, plane in enumerate(planes):
        step = k if colored.k_axis is KAxis.SPACE else 0
        expected = np.stack([affine[:, 0], affine[:, 1], affine[:, 3] + step * affine[:, 2]], axis=1)
        if (np.linalg.norm(plane.numbers - expected, axis=0) > tolerance).any():
            return False
    return True


def _from_geometry(colored: ColorScan) -> tuple[Plane, ...]:
    geometry = colored.geometry
    affine, direction = geometry.to_lps(), np.diag([-1.0, -1.0, 1.0]) @ geometry.direction
    skew = abs(float(direction[:, 0] @ direction[:, 1]))
    if skew > 1e-4:
        raise GeometryError(
            f"Rows and columns are {np.degrees(np.arccos(skew)):.2f} degrees apart; DICOM accepts right angles only. "
            "Resample to an orthogonal grid first, or write NIfTI."
        )
    orientation = tuple(decimal(value) for value in (*direction[:, 0], *direction[:, 1]))
    step_i, step_j, step_k = geometry.spacing
    spacing = (decimal(step_j), decimal(step_i))
    moves = np.arange(geometry.shape[2]) * (colored.k_axis is KAxis.SPACE)
    positions = affine[:3, 3] + moves[:, None] * affine[:3, 2]
    return tuple(Plane(tuple(map(decimal, p)), orientation, spacing, decimal(step_k)) for p in positions)
