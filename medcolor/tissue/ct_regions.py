"""Regions of a CT: outside, body, lung, gas, fluid, bone, contrast medium; at about 1.5 mm, in little memory."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medcolor.scan import Scan
from medcolor.tissue.model import valid
from medcolor.tissue.regions import (
    Mask,
    closed,
    erode,
    filled,
    grow,
    large_parts,
    opened,
    pixel_mm,
    reduced,
    reduction,
    shrink_slices,
)


class Region(IntEnum):
    """Codes of the region map; each has its row in the table of probabilities."""

    OUTSIDE = 0
    SKIN = 1  # the rim between body and outside: partial volume
    BODY = 2
    LUNG = 3  # lung with its vessels
    LUNG_RIM = 4
    GAS = 5  # gas inside the body that is no lung, with its rim
    FLUID = 6  # homogeneous and near 0 HU over several voxels
    BONE = 7
    MARROW = 8  # well inside bone
    CONTRAST = 9  # larger smooth bright parts without a brighter shell


BRIGHT_HU = 130  # above soft tissue: contrast medium or bone
_LONGEST = 256  # pixels along the longer side of a slice while regions are found
_FIELD_MM = 400.0  # field of view assumed where a file does not say


def find_regions(scan: Scan) -> tuple[NDArray[np.uint8], int]:
    """Return region codes at reduced resolution, (nk, nj', ni'), and the reduction factor."""
    factor = reduction(scan.shape, _LONGEST)
    mm = pixel_mm(scan, field_mm=_FIELD_MM) * factor
    hu = np.clip(reduced(scan, factor), -1024, 3071).astype(np.int16)
    body = _body(hu, _no_image(scan, factor), mm)
    lung, gas = _air_inside(hu, body, mm, slice_mm=scan.geometry.spacing[2])
    noise = noise_hu(hu)
    codes = np.full(hu.shape, Region.BODY, dtype=np.uint8)
    for k in range(hu.shape[0]):
        _inside(codes[k], hu[k], body[k], lung[k], gas[k], mm, noise)
    return codes, factor


def noise_hu(hu: NDArray[Any]) -> float:
    """Estimate the noise of slices (n, nj, ni) in HU: median absolute second difference in soft parts."""
    if hu.shape[2] < 3:
        return 0.0
    found = []
    for plane in hu[np.unique(np.linspace(0, len(hu) - 1, min(len(hu), 5)).astype(int))].astype(np.float32):
        bend = plane[:, 1:-1] - (plane[:, :-2] + plane[:, 2:]) / 2
        found.append(bend[abs(plane[:, 1:-1]) < 150])
    bends = np.abs(np.concatenate(found))
    return float(np.median(bends)) * 1.4826 / 1.5**0.5 if bends.size else 0.0


def _no_image(scan: Scan, factor: int) -> Mask | None:
    """Where the file has no image (beyond a round field of view), at reduced resolution."""
    if scan.padding is None:
        return None
    ni, nj, nk = scan.shape
    out = np.empty((nk, -(-nj // factor), -(-ni // factor)), dtype=bool)
    for k in range(nk):
        good = valid(scan, slice(k, k + 1))
        out[k] = False if good is None else shrink_slices(~good, factor)[0] > 0.5
    return out


def _body(hu: NDArray[np.int16], no_image: Mask | None, mm: float) -> Mask:
    """Mask of the patient: no table, no clothes, holes filled; also where the field of view cuts the body."""
    solid = np.empty(hu.shape, dtype=bool)
    for k, plane in enumerate(hu):
        solid[k] = opened(plane > -300, min(3.5 / mm, min(plane.shape) / 8))
    solid = large_parts(solid, fraction=0.08)
    if not solid.any():
        solid = hu > -300
    for k, plane in enumerate(hu):
        body = grow(solid[k], 1) & (plane > -500) | solid[k]  # what opening took off thin parts
        solid[k] = ~_room_air(~body, plane, None if no_image is None else no_image[k])
    return solid


def _room_air(empty: Mask, hu: NDArray[np.int16], no_image: Mask | None) -> Mask:
    """Parts that touch the edge of the image, except lung cut by the edge (denser than air, and mostly inside)."""
    from scipy import ndimage

    edge = np.zeros(empty.shape, dtype=bool)
    edge[[0, -1]] = edge[:, [0, -1]] = True
    if no_image is not None:
        edge |= grow(no_image, 1)
        empty = empty & ~no_image
    labels, n = ndimage.label(empty)
    if n == 0:
        return empty if no_image is None else no_image
    touching = np.bincount(labels[edge], minlength=n + 1)
    perimeter = np.bincount(labels[empty & ~erode(empty, 1) | empty & edge], minlength=n + 1)
    medians = np.concatenate([[0], ndimage.median(hu, labels, np.arange(1, n + 1))])
    cut_lung = (medians > -930) & (touching < 0.5 * perimeter)
    outside = (touching > 0) & ~cut_lung
    outside[0] = False
    return outside[labels] if no_image is None else outside[labels] | no_image


def _air_inside(hu: NDArray[np.int16], body: Mask, mm: float, *, slice_mm: float) -> tuple[Mask, Mask]:
    """Tell lung from other gas inside the body by size and density."""
    from scipy import ndimage

    air = (hu < -400) & body
    labels, n = ndimage.label(air)
    lung = np.zeros(n + 1, dtype=bool)
    if n:
        sizes = np.bincount(labels.ravel(), minlength=n + 1)
        # A lung is large: at least 4 cm2 in one slice, or 30 ml in a volume (5 mm slices: 12 cm2 in all).
        least = 400 / mm**2 if hu.shape[0] == 1 else max(400 / mm**2, 30_000 / (mm**2 * slice_mm))
        for label, box in enumerate(ndimage.find_objects(labels), start=1):
            if sizes[label] >= least:
                own = labels[box] == label
                core = own & erode(air[box], 1)
                values = hu[box][core if core.any() else own]
                lung[label] = -950 < float(np.median(values)) < -400
    is_lung = lung[labels]
    return is_lung, air & ~is_lung


def _inside(
    codes: NDArray[np.uint8], hu: NDArray[np.int16], body: Mask, lung: Mask, gas: Mask, mm: float, noise: float
) -> None:
    """Write the codes of one slice; later ones override earlier ones."""
    if hu.max() > BRIGHT_HU:
        bone, contrast = _bone_and_contrast(hu, body & ~lung, mm)
    else:
        bone = contrast = np.zeros(hu.shape, dtype=bool)
    codes[_fluid(hu, mm, noise) & body] = Region.FLUID
    whole_lung = closed(lung, 4 / mm) & body if lung.any() else lung
    rim = grow(whole_lung, 1) & ~whole_lung
    codes[rim] = Region.LUNG_RIM
    codes[grow(bone, 1)] = Region.BONE
    codes[erode(bone, 1)] = Region.MARROW
    codes[contrast] = Region.CONTRAST
    codes[whole_lung] = Region.LUNG
    codes[grow(gas, 1) & ~whole_lung] = Region.GAS
    codes[grow(~body, 2)] = Region.SKIN
    codes[~grow(body, 1)] = Region.OUTSIDE


def _fluid(hu: NDArray[np.int16], mm: float, noise: float) -> Mask:
    """Where several millimetres are near 0 HU together; a single such voxel between fat and muscle is a mixture."""
    from scipy import ndimage

    size = 2 * max(1, round(2.5 / mm)) + 1
    least = 2.5 if noise > 12 else 1.5  # mm: noise asks for larger parts before they are believed
    values = np.clip(hu, -200, 200).astype(np.float32)
    mean = ndimage.uniform_filter(values, size)
    spread = ndimage.uniform_filter(values * values, size) - mean * mean
    even = (abs(mean - 4) < 15) & (spread < (8 + 1.3 * noise) ** 2)
    return grow(opened(even, max(1, least / mm)), size // 2)


def _bone_and_contrast(hu: NDArray[np.int16], where: Mask, mm: float) -> tuple[Mask, Mask]:
    """Tell bone from contrast medium: bone has a shell brighter than its inside, a vessel or kidney has not."""
    from scipy import ndimage

    core = erode((hu > BRIGHT_HU) & (hu < 700) & where, max(1, 1.5 / mm))
    labels, n = ndimage.label(core)
    contrast, spongy = np.zeros(hu.shape, dtype=bool), np.zeros(hu.shape, dtype=bool)
    reach = max(2, round(5 / mm))
    brightest = ndimage.maximum_filter(hu, 2 * reach + 1)
    for label, box in enumerate(ndimage.find_objects(labels), start=1):
        around = tuple(slice(max(0, b.start - reach), b.stop + reach) for b in box)
        own, near = labels[around] == label, hu[around]
        if own.sum() * mm**2 < 25:  # too small to have a shell
            continue
        inside = float(near[own].mean())
        edge = own & ~erode(own, 1)
        shelled = float(np.mean(brightest[around][edge] > max(inside + 60, 260)))
        is_contrast = shelled < 0.5 or _brightest_inside(near, own, inside)
        target = contrast if is_contrast else spongy
        target[around] |= grow(own, max(2, round(2.5 / mm))) & (near > BRIGHT_HU - 15)
    bone = (hu > 230) & where & ~contrast
    bone = ndimage.uniform_filter(bone.astype(np.float32), 3) > 0.2  # single voxels are calcifications
    bone = closed(bone | (spongy & ~contrast), 5 / mm) & where & ~contrast
    holes, n = ndimage.label(filled(bone) & ~bone & ~contrast)
    if n:
        means = ndimage.mean(hu, holes, np.arange(1, n + 1))
        bone |= np.concatenate([[False], np.atleast_1d(means) > 85])[holes]
    return bone, contrast & ~bone


def _brightest_inside(hu: NDArray[np.int16], own: Mask, mean: float) -> bool:
    """Whether a part is brightest in the middle, as contrast medium in bowel is, however uneven."""
    from scipy import ndimage

    deep = erode(own, 2)
    if not deep.any():
        return False
    outward = float(ndimage.maximum_filter(hu, 3)[grow(own, 1) & ~own].mean()) - mean
    return outward < 0 and float(hu[own & ~deep].mean()) < float(hu[deep].mean()) - 50
