"""Phantoms with known answers for MR, PET, NM, ultrasound, X-ray and mammography."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy import ndimage
from tissue_laws import most_probable, require_posteriors, scan_of

from medcolor.scan import KAxis, from_slices

J, I = np.mgrid[:160, :160]  # noqa: E741  rows and columns


def disk(j, i, rj, ri=None):
    return ((J - j) / rj) ** 2 + ((I - i) / (ri or rj)) ** 2 < 1


def core(mask, n=3):
    return ndimage.binary_erosion(mask, iterations=n)


def rician(signal, sigma, seed=0):
    random = np.random.default_rng(seed)
    return np.hypot(signal + random.normal(0, sigma, signal.shape), random.normal(0, sigma, signal.shape))


# --- MR -----------------------------------------------------------------------------------------------------------
BODY, BONE = disk(80, 80, 65, 60), disk(85, 80, 14)
MUSCLE, MARROW, FLUID = disk(80, 80, 54, 49), disk(85, 80, 8), disk(50, 60, 9)


def thigh(*, shading=0.0, sigma=10.0):
    signal = np.zeros((4, 160, 160))
    for mask, level in ((BODY, 900), (MUSCLE, 330), (BONE, 40), (MARROW, 850), (FLUID, 130)):
        signal[:, mask] = level
    u, v = I / 80 - 1, J / 80 - 1
    return rician(signal * np.exp(shading * (0.7 * u + 0.4 * v - 0.5 * u * v)), sigma)


@pytest.mark.parametrize("shading", [0.0, 0.6])
@pytest.mark.parametrize("factor", [1.0, 0.01, 30.0])
def test_mr_levels_follow_the_signal_whatever_the_scale_and_the_shading(shading, factor):
    scan = scan_of((thigh(shading=shading) * factor).astype(np.float32), "MR", spacing=(1.5, 1.5, 5))
    p = require_posteriors(scan)
    level = np.tensordot(np.arange(6), p, 1)
    fat, muscle, bone, marrow, fluid = (
        level[:, core(m)].mean() for m in (BODY & ~MUSCLE, MUSCLE & ~BONE & ~FLUID, BONE & ~MARROW, MARROW, FLUID)
    )
    assert bone < fluid < muscle - 0.3 < fat - 1
    assert abs(marrow - fat) < 0.5
    names = most_probable(p, scan)
    assert np.mean(names[:, ~ndimage.binary_dilation(BODY, iterations=4)] == "outside") > 0.99
    assert np.mean(names[:, core(BODY)] != "outside") > 0.999


def test_mr_shading_moves_hardly_any_muscle_to_another_level():
    scan = scan_of(thigh(shading=0.6, sigma=4).astype(np.float32), "MR", spacing=(1.5, 1.5, 5))
    level = np.tensordot(np.arange(6), require_posteriors(scan), 1)[0]
    muscle = core(MUSCLE & ~BONE & ~FLUID, 4)
    left, right = level[muscle & (I < 60)].mean(), level[muscle & (I > 100)].mean()
    assert abs(left - right) < 0.6


def test_mr_dark_bone_inside_the_body_is_dark_and_not_outside():
    scan = scan_of(thigh().astype(np.float32), "MR", spacing=(1.5, 1.5, 5))
    names = most_probable(require_posteriors(scan), scan)
    assert np.mean(names[:, core(BONE & ~MARROW, 1)] == "dark") > 0.9


# --- PET and NM ---------------------------------------------------------------------------------------------------
def hot_spots(levels):
    suv = np.where(disk(80, 80, 60, 45), 0.6, 0.001) + np.zeros((3, 160, 160))
    spots = [disk(50 + 20 * n, 80, 8) for n in range(len(levels))]
    for spot, level in zip(spots, levels, strict=True):
        suv[:, spot] = level
    return suv, spots


def test_pet_steps_are_suv_steps():
    suv, spots = hot_spots([1.7, 3.5, 7.0, 15.0])
    scan = scan_of(suv.astype(np.float32), "PT", spacing=(4, 4, 4))
    names = most_probable(require_posteriors(scan), scan)
    for spot, name in zip(spots, ["low", "moderate", "high", "intense"], strict=True):
        assert (names[:, spot] == name).all()
    assert (names[:, 100, 50] == "background").all()
    assert (names[:, :10] == "outside").all()


@pytest.mark.parametrize("boundary", [1.0, 2.5, 5.0, 10.0])
def test_pet_classes_are_equally_probable_at_their_boundary(boundary):
    suv, _ = hot_spots([boundary])
    p = require_posteriors(scan_of(suv.astype(np.float32), "PT", spacing=(4, 4, 4)))[:, 1, 50, 80]
    upper = 1 + 1 + [1.0, 2.5, 5.0, 10.0].index(boundary)
    assert p[upper:].sum() == pytest.approx(0.5, abs=0.02)


def test_pet_without_suv_is_the_same_whatever_the_unit():
    suv, _ = hot_spots([1.7, 3.5, 7.0])
    a, b = (
        require_posteriors(scan_of((suv * f).astype(np.float32), "PT", units="Bq/ml", spacing=(4, 4, 4)))
        for f in (1.0, 4096.0)
    )
    np.testing.assert_allclose(a, b, atol=2e-2)


def test_nm_uptake_is_relative_to_the_background_of_the_body():
    counts, spots = hot_spots([1.0])
    counts = counts / 0.6 * 40
    counts[:, spots[0]] = 40 * 8
    counts[:, disk(110, 80, 8)] = 40 * 20
    noisy = np.random.default_rng(0).poisson(counts).astype(np.uint16)
    scan = scan_of(noisy, "NM")
    names = most_probable(require_posteriors(scan), scan)
    assert np.mean(names[:, core(spots[0], 4)] == "high") > 0.9
    assert np.mean(names[:, core(disk(110, 80, 8), 4)] == "intense") > 0.9
    assert np.mean(names[:, disk(80, 50, 8)] == "background") > 0.99
    assert np.mean(names[:, :10] == "outside") > 0.99


# --- ultrasound ---------------------------------------------------------------------------------------------------
def sector_image(n=1):
    distance, angle = np.hypot(J - 5, I - 80), np.arctan2(I - 80, J - 5)
    sector = (abs(angle) < 0.6) & (distance > 15) & (distance < 140)
    echo = np.where(sector, 80.0, 0.0)
    cyst, stone = disk(80, 70, 14), disk(110, 95, 8)
    echo[cyst], echo[stone] = 2, 240
    speckle = np.random.default_rng(0).rayleigh(0.8, (n, 160, 160))
    return (
        np.clip(echo * np.where(echo > 200, 0.95 + 0.05 * speckle, speckle), 0, 255).astype(np.uint8),
        sector,
        cyst,
        stone,
    )


def test_us_echogenicity_survives_speckle():
    image, sector, cyst, stone = sector_image()
    scan = scan_of(image, "US", units="gray level")
    names = most_probable(require_posteriors(scan), scan)[0]
    assert np.mean(names[core(cyst)] == "anechoic") > 0.95
    assert np.mean(names[core(stone)] == "bright") > 0.95
    tissue = core(sector & ~ndimage.binary_dilation(cyst | stone, iterations=4), 6)
    assert np.mean(np.isin(names[tissue], ["isoechoic", "hypoechoic", "hyperechoic"])) > 0.98
    assert np.mean(names[tissue] == "isoechoic") > 0.8
    assert np.mean(names[~ndimage.binary_dilation(sector, iterations=5)] == "outside") > 0.97


def test_us_frames_of_a_cine_share_one_sector():
    image = sector_image(4)[0]
    image[2, 90:] = 0
    scan = scan_of(image, "US", units="gray level", k_axis=KAxis.TIME)
    outside = require_posteriors(scan)[0]
    np.testing.assert_array_equal(outside[0] > 0.5, outside[2] > 0.5)


# --- X-ray --------------------------------------------------------------------------------------------------------
LUNGS = disk(75, 50, 45, 20) | disk(75, 110, 45, 20)
CHEST = disk(85, 80, 78, 70)


def chest():
    gray = np.where(CHEST, 150.0, 12.0)
    gray[LUNGS] = 70
    ribs = LUNGS & (J % 22 < 5)
    gray[ribs] += 28
    gray[disk(60, 80, 70, 8)] = 175
    gray[130:136, 76:84] = 255
    image = gray + np.random.default_rng(0).normal(0, 1.5, gray.shape)
    return np.clip(image, 0, 255).astype(np.uint8)[None], ribs


def test_xray_lungs_are_air_ribs_are_bone_and_the_rest_is_tissue():
    image, ribs = chest()
    scan = scan_of(image, "DX", spacing=(2.5, 2.5, 1))
    names = most_probable(require_posteriors(scan), scan)[0]
    assert np.mean(names[core(LUNGS & ~ndimage.binary_dilation(ribs, iterations=2), 1)] == "air") > 0.9
    assert np.mean(names[core(ribs, 1) & core(LUNGS, 5)] == "bone") > 0.7
    rest = core(CHEST, 8) & ~ndimage.binary_dilation(LUNGS, iterations=6)
    assert np.mean(np.isin(names[rest], ["soft_tissue", "dense", "bone", "metal"])) > 0.98
    assert np.mean(names[131:135, 77:83] == "metal") > 0.9


def test_xray_polarity_changes_nothing():
    image, _ = chest()
    scan = scan_of(image, "DX", spacing=(2.5, 2.5, 1))
    turned = dataclasses.replace(scan, voxels=from_slices(255 - image), inverted=True)
    np.testing.assert_allclose(require_posteriors(scan), require_posteriors(turned), atol=1e-5)


def test_xray_white_collimator_bands_are_outside():
    image, _ = chest()
    image[:, :, :14] = image[:, :, -9:] = 250
    scan = scan_of(image, "CR", spacing=(2.5, 2.5, 1))
    names = most_probable(require_posteriors(scan), scan)[0]
    assert (names[:, :13] == "outside").all()
    assert (names[:, -8:] == "outside").all()
    assert np.mean(names[core(CHEST, 4)] == "outside") == 0


# --- mammography --------------------------------------------------------------------------------------------------
def breast(*, muscle=True):
    """A left mediolateral view, (1, 400, 300) at 0.5 mm."""
    j, i = np.mgrid[:400, :300]
    mask = ((j - 200) / 190) ** 2 + (i / 170) ** 2 < 1
    depth = ndimage.distance_transform_edt(np.pad(mask, ((0, 0), (1, 0)), mode="edge"))[:, 1:]
    gray = np.where(mask, 60 * np.clip(depth / 25, 0.2, 1), 1.0)
    gland = ((j - 220) / 70) ** 2 + ((i - 80) / 50) ** 2 < 1
    gray[gland] += 70
    triangle = (i / 90 + (j - 10) / 190 < 1) & mask
    if muscle:
        gray[triangle] = 190
    calc = ((j - 220) ** 2 + (i - 90) ** 2 < 1.5**2) | ((j - 230) ** 2 + (i - 70) ** 2 < 1.5**2)
    gray[calc] = 250
    gray[20:40, 240:280] = 240  # a label
    noise = np.random.default_rng(0).normal(0, 1.5, gray.shape)
    return np.clip(gray + noise, 0, 255).astype(np.uint8)[None], mask, gland, triangle, calc


@pytest.mark.parametrize("side", ["L", "R"])
@pytest.mark.parametrize("facts", [{"ViewPosition": "MLO"}, {}], ids=["view known", "view unknown"])
def test_mammogram_parts_get_their_classes(side, facts):
    image, mask, gland, triangle, calc = breast()
    parts = [image[0], mask, gland, triangle, calc]
    image, mask, gland, triangle, calc = (a if side == "L" else a[:, ::-1] for a in parts)
    scan = scan_of(image[None], "MG", spacing=(0.5, 0.5, 1), facts=facts)
    names = most_probable(require_posteriors(scan), scan)[0]
    assert np.mean(names[~ndimage.binary_dilation(mask, iterations=4)] == "air") > 0.999
    deep = ndimage.binary_erosion(mask, iterations=10)
    assert np.mean(names[core(triangle, 6)] == "pectoral") > 0.95
    plain_gland = gland & ~triangle & ~ndimage.binary_dilation(calc, iterations=5)
    assert np.mean(names[core(plain_gland, 4)] == "fibroglandular") > 0.95
    assert np.mean(names[core(deep & ~gland & ~triangle, 5)] == "fat") > 0.9
    assert np.mean(names[calc] == "calcification") > 0.8
    assert np.mean(names == "calcification") < 0.002


def test_a_craniocaudal_view_has_no_pectoral_triangle():
    image, *_ = breast()
    scan = scan_of(image, "MG", spacing=(0.5, 0.5, 1), facts={"ViewPosition": "CC"})
    assert (most_probable(require_posteriors(scan), scan) != "pectoral").all()


def test_a_breast_without_muscle_in_the_corner_gets_none():
    image, *_ = breast(muscle=False)
    scan = scan_of(image, "MG", spacing=(0.5, 0.5, 1))
    assert np.mean(most_probable(require_posteriors(scan), scan) == "pectoral") < 0.01
