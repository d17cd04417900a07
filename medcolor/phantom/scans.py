"""Phantoms: simulated scans of every modality whose answer is known for every voxel.

The anatomy depends on the family and the shape alone; ``seed`` changes the noise. No phantom shows a person.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medcolor.errors import ModalityError
from medcolor.geometry import Geometry, Space
from medcolor.phantom import nuclear, projection, tomography, ultrasound
from medcolor.phantom.shapes import Canvas
from medcolor.scan import GRAY_LEVEL, KAxis, Scan, Source, from_slices
from medcolor.tissue_map import Segmentation
from medcolor.voi import Window

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Recipe:
    """How the phantom of one family is made: field of view in mm (slices: their distance), painter, detector."""

    modality: str
    classes: tuple[str, ...]
    shape: Shape
    field: tuple[float, float]
    slice_distance: float
    paint: Callable[[Canvas], None]
    expose: Callable[[Canvas, tuple[float, float, float], np.random.Generator], NDArray[Any]]
    units: str = "arbitrary"
    space: Space = Space.PATIENT
    k_axis: KAxis = KAxis.SPACE
    windows: tuple[Window, ...] = ()
    coronal: bool = False
    facts: tuple[tuple[str, Any], ...] = ()


RECIPES: dict[str, Recipe] = {
    "CT": Recipe(
        "CT", tomography.CT_CLASSES, (224, 224, 12), (400, 400), 5.0, tomography.paint_ct, tomography.expose_ct,
        units="HU", windows=(Window(40, 400, name="abdomen"),), facts=(("BodyPartExamined", "ABDOMEN"),),
    ),
    "MR": Recipe(
        "MR", tomography.MR_CLASSES, (192, 224, 10), (192, 224), 5.0, tomography.paint_mr, tomography.expose_mr,
        facts=(("BodyPartExamined", "BRAIN"),),
    ),
    "PT": Recipe(
        "PT", nuclear.UPTAKE_CLASSES, (144, 256, 36), (576, 1024), 6.5, nuclear.paint_pt, nuclear.expose_pt,
        units="SUVbw", coronal=True, facts=(("BodyPartExamined", "WHOLEBODY"),),
    ),
    "NM": Recipe(
        "NM", nuclear.UPTAKE_CLASSES, (192, 640, 2), (580, 1933), 1.0, nuclear.paint_nm, nuclear.expose_nm,
        units="counts", space=Space.DETECTOR, k_axis=KAxis.VIEW, facts=(("BodyPartExamined", "WHOLEBODY"),),
    ),
    "US": Recipe(
        "US", ultrasound.US_CLASSES, (400, 320, 1), (200, 160), 1.0, ultrasound.paint_us, ultrasound.expose_us,
        units=GRAY_LEVEL, space=Space.DETECTOR, k_axis=KAxis.TIME, facts=(("BodyPartExamined", "ABDOMEN"),),
    ),
    "XR": Recipe(
        "DX", projection.XR_CLASSES, (400, 480, 1), (360, 432), 1.0, projection.paint_xr, projection.expose_xr,
        space=Space.DETECTOR, facts=(("BodyPartExamined", "CHEST"), ("ViewPosition", "PA")),
    ),
    "MG": Recipe(
        "MG", projection.MG_CLASSES, (320, 480, 1), (160, 240), 1.0, projection.paint_mg, projection.expose_mg,
        space=Space.DETECTOR,
        facts=(("BodyPartExamined", "BREAST"), ("ImageLaterality", "L"), ("ViewPosition", "MLO")),
    ),
}  # fmt: skip


def _recipe(family: str) -> Recipe:
    if family not in RECIPES:
        raise ModalityError(f'There is no phantom for "{family}". Families: {", ".join(RECIPES)}.')
    return RECIPES[family]


def _painted(recipe: Recipe, shape: Shape) -> tuple[Canvas, tuple[float, float, float]]:
    spacing = (recipe.field[0] / shape[0], recipe.field[1] / shape[1], recipe.slice_distance)
    canvas = Canvas.of(shape, spacing, recipe.classes)
    recipe.paint(canvas)
    return canvas, spacing


def _geometry(recipe: Recipe, shape: Shape, spacing: tuple[float, float, float]) -> Geometry:
    if recipe.space is not Space.PATIENT:
        return Geometry.from_spacing(shape, spacing, recipe.space)
    lps = np.diag([*spacing, 1.0])
    if recipe.coronal:  # rows run to the feet, slices from front to back
        lps = np.array([[spacing[0], 0, 0, 0], [0, 0, spacing[2], 0], [0, -spacing[1], 0, 0], [0, 0, 0, 1.0]])
    lps[:3, 3] = -lps[:3, :3] @ ((np.array(shape) - 1) / 2)
    return Geometry.from_lps(shape, lps)


def scan(family: str, *, seed: int = 0, shape: Shape | None = None, inverted: bool = False) -> Scan:
    """Return the phantom of a modality family.

    Parameters
    ----------
    family : str
        CT, MR, PT, NM, US, XR or MG.
    seed : int
        Of the noise. Equal arguments give equal bytes.
    shape : (ni, nj, nk), optional
        The field of view stays in the plane; slices keep their distance. US with nk > 1 is a cine.
    inverted : bool
        XR and MG: store as MONOCHROME1 (low is bright). The displayed image is the same.

    Returns
    -------
    Scan
        CT in HU, PT in SUVbw, NM in counts, US as 8-bit gray levels, the others in arbitrary units.

    Raises
    ------
    ModalityError
        No such family, or ``inverted`` where no scanner does that.
    """
    recipe = _recipe(family)
    if inverted and family not in {"XR", "MG"}:
        raise ModalityError(f"Only XR and MG phantoms can be MONOCHROME1, not {family}.")
    shape = shape or recipe.shape
    canvas, spacing = _painted(recipe, shape)
    block = recipe.expose(canvas, spacing, np.random.default_rng(seed))
    if inverted:
        block = (projection.DETECTOR_MAX - block).astype(block.dtype)
    digest = hashlib.sha256(f"phantom {family} {seed} {shape} {inverted}".encode()).hexdigest()
    return Scan(
        from_slices(np.ascontiguousarray(block)), _geometry(recipe, shape, spacing), recipe.modality,
        units=recipe.units, windows=recipe.windows, inverted=inverted, k_axis=recipe.k_axis,
        facts=dict(recipe.facts), source=Source("phantom", digest=digest),
    )  # fmt: skip


def labels(family: str, *, shape: Shape | None = None) -> Segmentation:
    """Return the true class of every voxel of :func:`scan`, named as the tissue classes of the family.

    Label n is class n - 1 in palette order, as in :meth:`TissueMap.segmentation`.
    """
    recipe = _recipe(family)
    shape = shape or recipe.shape
    canvas, spacing = _painted(recipe, shape)
    names = {n + 1: name for n, name in enumerate(recipe.classes)}
    return Segmentation(from_slices(canvas.labels), _geometry(recipe, shape, spacing), names)


def letter(geometry: Geometry | None = None, *, modality: str = "CT", units: str = "HU") -> Scan:
    """Return a scan without any symmetry: every voxel has its own value, and a 3-D letter F can be seen.

    For agreement tests: a voxel's value tells which index it was written at, see :func:`letter_index`.

    Parameters
    ----------
    geometry : Geometry, optional
        At most 16 000 voxels. Default: 23 x 17 x 11, anisotropic, oblique.
    """
    if geometry is None:
        geometry = oblique((23, 17, 11), (0.8, 1.1, 2.5), angles=(20, -15, 35), origin=(-31.5, 42.25, 118.0))
    ni, nj, nk = geometry.shape
    count = ni * nj * nk
    if count > 16_000:
        raise ValueError(f"letter() numbers voxels in 16 bits: at most 16 000, got {count}.")
    block = np.arange(count, dtype=np.int16).reshape(nk, nj, ni)
    block = np.where(_letter_mask(nk, nj, ni), block + np.int16(16_000), block)
    return Scan(
        from_slices(block), geometry, modality, units=units, windows=(Window(16_000, 32_000),),
        source=Source("phantom", digest=hashlib.sha256(repr(geometry.affine.tolist()).encode()).hexdigest()),
    )  # fmt: skip


def letter_index(values: NDArray[Any], shape: Shape) -> NDArray[np.intp]:
    """Return the (..., 3) index (i, j, k) at which :func:`letter` has each value."""
    k, j, i = np.unravel_index(np.asarray(values, np.intp) % 16_000, shape[::-1])
    return np.stack([i, j, k], axis=-1)


def letter_rgb(shape: Shape) -> NDArray[np.uint8]:
    """Return colour that encodes the voxel: red is i, green is j, blue is k (each modulo 256)."""
    grid = np.indices(shape[::-1], dtype=np.uint8)[::-1]
    return from_slices(np.ascontiguousarray(np.moveaxis(grid, 0, -1)))


def _letter_mask(nk: int, nj: int, ni: int) -> NDArray[np.bool_]:
    k, j, i = np.ogrid[:nk, :nj, :ni]
    u, v, w = (i + 0.5) / ni, (j + 0.5) / nj, (k + 0.5) / nk
    stem = (u > 0.2) & (u < 0.35) & (v > 0.1) & (v < 0.9)
    bars = (u > 0.2) & (((u < 0.8) & (v > 0.1) & (v < 0.25)) | ((u < 0.6) & (v > 0.45) & (v < 0.58)))
    mask: NDArray[np.bool_] = (stem | bars) & (w > 0.3 - 0.25 * v)  # thicker at its foot: no mirror symmetry in k
    return mask


def oblique(
    shape: Shape,
    spacing: tuple[float, float, float],
    *,
    angles: tuple[float, float, float] = (0.0, 0.0, 0.0),
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0),
    flip: tuple[bool, bool, bool] = (False, False, False),
) -> Geometry:
    """Build a right-angled grid, turned by ``angles`` degrees about x, y and z, with axes flipped at will.

    The axes point to the patient's left, back and head (as axial DICOM slices do) before turning; ``origin`` is
    the RAS+ mm position of voxel (0, 0, 0).
    """
    turn = np.eye(3)
    for axis, angle in enumerate(angles):
        c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
        one = np.eye(3)
        a, b = [n for n in range(3) if n != axis]
        one[[a, b], [a, b]], one[a, b], one[b, a] = c, -s, s
        turn = one @ turn
    axes = turn @ np.diag([-1.0, -1.0, 1.0]) @ np.diag([-1.0 if f else 1.0 for f in flip])
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = axes * np.array(spacing), origin
    return Geometry(shape, affine)
