"""Where a stack is: its affine from the positions of its slices, and an audit of how well they fit one.

The k axis runs from the first slice to the last, so a tilted gantry gives a sheared grid with every voxel where the
scanner put it. What does not fit one affine is reported, in millimetres; nothing is resampled.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from medcolor.errors import GeometryError
from medcolor.geometry import Geometry, Space
from medcolor.io.dicom import header
from medcolor.io.dicom.slices import Frame, image_type, place_name
from medcolor.io.dicom.stacks import Stack, along_normal
from medcolor.scan import Finding, KAxis, Severity, family

EXACT_MM = 1e-3  # positions this close to one affine are taken as on it
ROUNDED = 0.01  # up to this share of a slice spacing, positions are rounded and not uneven
UNEVEN = 0.05  # up to this share, one grid is still right for most uses (a PET bed overlap), and the error is named
_TILT_DEGREES = 0.05
_OBLIQUE = 1e-3  # direction cosines
_NAMED = 5  # places named in one finding


def place(stack: Stack) -> tuple[Geometry, list[Finding]]:
    """Return the geometry of a stack and what was noticed about it."""
    frames = stack.frames
    rows, columns, _ = frames[0].size
    shape = (columns, rows, len(frames))
    findings = [*stack.findings, *_content_findings(stack)]
    if not stack.placed:
        geometry, more = _unplaced(stack, shape)
        return geometry, [*findings, *more]
    try:
        affine, more = _affine(stack)
        geometry = Geometry.from_lps(shape, affine, Space.PATIENT)
    except GeometryError:
        stack.placed = False
        geometry, more = _unplaced(stack, shape)
    return geometry, [*findings, *more]


# -- without positions -----------------------------------------------------------------------------------------------


def _unplaced(stack: Stack, shape: tuple[int, int, int]) -> tuple[Geometry, list[Finding]]:
    first = stack.frames[0]
    modality = header.text(first.header, "Modality").upper()
    findings = _damage(first)
    if family(modality) in {"CT", "MR", "PT"} and stack.k_axis is KAxis.SPACE:
        order = "; slices are in the order of their numbers" if shape[2] > 1 else ""
        findings.append(Finding("no-position", f"The file gives no usable position in the patient{order}."))
    if first.spacing is None:
        findings.append(Finding("no-spacing", "The file gives no pixel size; distances are in pixels.", Severity.NOTE))
        return Geometry.from_spacing(shape, (1.0, _aspect(first.header), 1.0), Space.PIXEL), findings
    between = _said_thickness(first) if stack.k_axis is KAxis.SPACE else None
    return Geometry.from_spacing(shape, (first.spacing[1], first.spacing[0], between or 1.0), Space.DETECTOR), findings


def _damage(frame: Frame) -> list[Finding]:
    """Report attributes of place that are there and cannot be used."""
    findings = []
    mosaic = "MOSAIC" in image_type(frame.header)
    if frame.orientation is None and not mosaic and header.values(frame.header, "ImageOrientationPatient"):
        text = "Image Orientation (Patient) is no pair of directions at a right angle; it is not used."
        findings.append(Finding("bad-plane", text))
    if frame.spacing is None and header.values(frame.header, "PixelSpacing"):
        findings.append(Finding("bad-spacing", "Pixel Spacing is no pair of positive numbers; it is not used."))
    return findings


def _aspect(ds: Any) -> float:
    """Return the height of a pixel over its width."""
    ratio = header.numbers(ds, "PixelAspectRatio")
    usable = len(ratio) == 2 and all(np.isfinite(ratio)) and min(ratio) > 0
    return ratio[0] / ratio[1] if usable else 1.0


def _said_thickness(frame: Frame, *keywords: str) -> float | None:
    """Return what the header says of the distance between slices, or of their thickness."""
    for keyword in keywords or ("SpacingBetweenSlices", "SliceThickness"):
        for item in frame.macro("PixelMeasuresSequence"):
            found = header.number(item, keyword)
            if found is not None and np.isfinite(found) and abs(found) > 0:
                return abs(found)
    return None


# -- with positions --------------------------------------------------------------------------------------------------


def _affine(stack: Stack) -> tuple[NDArray[np.float64], list[Finding]]:
    """Return the LPS affine of a placed stack."""
    frames = stack.frames
    first = frames[0]
    row, column = np.array(first.orientation, dtype=np.float64).reshape(2, 3)
    normal = np.cross(row, column)
    normal /= np.linalg.norm(normal)
    between_rows, between_columns = first.spacing or (1.0, 1.0)
    positions = np.array([frame.position for frame in frames], dtype=np.float64)
    findings: list[Finding] = []
    distance = along_normal(frames)
    step = normal * _single_step(first)
    if len(frames) > 1 and stack.k_axis is KAxis.SPACE:
        step = (positions[-1] - positions[0]) / (len(frames) - 1)
        even = float(distance[-1] - distance[0]) / (len(frames) - 1)
        findings += _spacing_findings(frames, distance, _off_grid(frames, positions, step))
        if any(finding.severity is Severity.IRREGULAR for finding in findings):
            step *= _usual(np.diff(distance)) / even  # a gap must not stretch the rest of the grid
        findings += _tilt_findings(step, normal)
    findings += _oblique_findings(row, column)
    affine = np.eye(4)
    affine[:3, 0] = row * between_columns
    affine[:3, 1] = column * between_rows
    affine[:3, 2] = step
    affine[:3, 3] = positions[0]
    return affine, findings


def _single_step(frame: Frame) -> float:
    """Return the extent along k of a lone slice: its thickness, one pixel where the header is silent."""
    return _said_thickness(frame, "SliceThickness", "SpacingBetweenSlices") or min(frame.spacing or (1.0,))


def _spacing_findings(frames: list[Frame], distance: NDArray[np.float64], off: NDArray[np.float64]) -> list[Finding]:
    """Find missing slices, spacing that changes for another reason, and slices beside the line of the others."""
    gaps = np.diff(distance)
    usual = _usual(gaps)
    times = gaps / usual
    uneven = np.abs(times - 1) > ROUNDED
    missing = uneven & (np.rint(times) >= 2) & (np.abs(times - np.rint(times)) < UNEVEN)
    findings = []
    if missing.any():
        findings.append(_gap_finding(frames, np.rint(times).astype(int) - 1, missing, usual))
    if (uneven & ~missing).any():
        findings.append(_uneven_finding(frames, gaps, uneven & ~missing, missing, float(off.max())))
    if not findings and off.max() > EXACT_MM:
        findings.append(_fit_finding(frames, off, usual))
    return findings


def _usual(gaps: NDArray[np.float64]) -> float:
    """Return the median distance, of two middle ones the smaller: a gap is never the rule."""
    return float(np.percentile(gaps, 50, method="lower"))


def _uneven_finding(
    frames: list[Frame], gaps: NDArray[np.float64], uneven: NDArray[np.bool_], missing: NDArray[np.bool_], off: float
) -> Finding:
    usual = _usual(gaps)
    k = int(np.flatnonzero(uneven)[0])
    low, high = float(gaps[~missing].min()), float(gaps[~missing].max())
    text = (
        f"Slice spacing varies from {low:.4g} to {high:.4g} mm, first between {place_name(frames[k])} and "
        f"{place_name(frames[k + 1])}"
    )
    slight = not missing.any() and max(usual - low, high - usual, off) <= UNEVEN * usual
    if slight:
        return Finding("nonuniform-spacing", f"{text}; slices lie up to {off:.2g} mm from an even grid.")
    return Finding("nonuniform-spacing", f"{text}.", Severity.IRREGULAR)


def _gap_finding(frames: list[Frame], count: NDArray[Any], missing: NDArray[np.bool_], usual: float) -> Finding:
    places = []
    for k in np.flatnonzero(missing)[:_NAMED]:
        what = "1 slice is" if count[k] == 1 else f"{count[k]} slices are"
        places.append(f"{what} missing between {place_name(frames[k])} and {place_name(frames[k + 1])}")
    rest = int(missing.sum()) - len(places)
    text = "; ".join(places) + (f"; and at {rest} more places" if rest > 0 else "")
    return Finding("gap", f"{text} (spacing {usual:.4g} mm elsewhere).", Severity.IRREGULAR)


def _off_grid(frames: list[Frame], positions: NDArray[np.float64], step: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how far, in mm, the worst corner of each slice is from where one affine puts it."""
    off = np.linalg.norm(positions - positions[0] - np.arange(len(frames))[:, None] * step, axis=1)
    turn = (np.array([f.orientation for f in frames]) - np.array(frames[0].orientation)).reshape(-1, 2, 3)
    rows, columns, _ = frames[0].size
    between_rows, between_columns = frames[0].spacing or (1.0, 1.0)
    extent = np.array([columns * between_columns, rows * between_rows])
    return np.asarray(off + (np.linalg.norm(turn, axis=2) * extent).sum(axis=1))


def _fit_finding(frames: list[Frame], off: NDArray[np.float64], usual: float) -> Finding:
    worst = int(off.argmax())
    if off[worst] <= ROUNDED * usual:
        text = f"Slice positions are rounded: up to {off[worst]:.2g} mm from an even grid (spacing {usual:.4g} mm)."
        return Finding("rounded-positions", text, Severity.NOTE)
    text = f"The slice at {place_name(frames[worst])} lies {off[worst]:.3g} mm off the line of the others."
    severity = Severity.WARNING if off[worst] <= UNEVEN * usual else Severity.IRREGULAR
    return Finding("shifted-slices", text, severity)


def _tilt_findings(step: NDArray[np.float64], normal: NDArray[np.float64]) -> list[Finding]:
    cosine = float(np.clip(step @ normal / np.linalg.norm(step), -1, 1))
    degrees = float(np.degrees(np.arccos(cosine)))
    if degrees <= _TILT_DEGREES:
        return []
    text = f"The slices are stacked {degrees:.1f} degrees off their normal (gantry tilt); the grid is sheared to fit."
    return [Finding("gantry-tilt", text)]


def _oblique_findings(row: NDArray[np.float64], column: NDArray[np.float64]) -> list[Finding]:
    off = max(float(np.sort(np.abs(axis))[1]) for axis in (row, column))
    if off <= _OBLIQUE:
        return []
    text = f"The slices are oblique: {np.degrees(np.arcsin(min(off, 1.0))):.1f} degrees off the axes of the patient."
    return [Finding("oblique", text, Severity.NOTE)]


# -- what is in the slices -------------------------------------------------------------------------------------------


def _content_findings(stack: Stack) -> list[Finding]:
    """Report what makes a stack of images no plain volume."""
    findings = []
    kinds = image_type(stack.frames[0].header)
    if "MOSAIC" in kinds:
        text = "A Siemens mosaic: many slices side by side in one picture, with no place of their own."
        findings.append(Finding("mosaic", text))
    if "LOCALIZER" in kinds:
        findings.append(Finding("localizer", "A localizer (scout) image.", Severity.NOTE))
    kernels = {header.text(f.header, "ConvolutionKernel") for f in _one_per_file(stack.frames)}
    if len(kernels) > 1:
        text = f"Slices of {len(kernels)} reconstruction kernels are mixed: texture differs from slice to slice."
        findings.append(Finding("mixed-kernel", text))
    return findings


def _one_per_file(frames: list[Frame]) -> list[Frame]:
    return list({id(frame.instance): frame for frame in frames}.values())
