"""A CT phantom with known answers: body on a table, lung, bowel gas, kidney, bone, metal."""

from __future__ import annotations

import numpy as np
import pytest
from tissue_laws import most_probable, require_posteriors, scan_of

from medcolor.geometry import Space

SIZE = 192
J, I = np.mgrid[:SIZE, :SIZE]  # noqa: E741  rows and columns
PARTS = ("air", "table", "fat", "muscle", "lung", "gas", "kidney", "cyst", "cortical", "marrow", "metal")


def disk(j, i, rj, ri=None):
    return ((J - j) / rj) ** 2 + ((I - i) / (ri or rj)) ** 2 < 1


def phantom(n=3, noise=8.0, seed=0):
    """HU (n, 192, 192) at 2 mm, and a dictionary of masks of what is where."""
    hu = np.full((SIZE, SIZE), -1000.0)
    where = {}

    def put(name, mask, value):
        hu[mask] = value
        for other in where.values():
            other &= ~mask
        where[name] = mask.copy()

    put("air", np.ones_like(hu, bool), -1000)
    put("table", (J > 150) & (J < 153) & (I > 20) & (I < 172), 60)
    put("fat", disk(100, 96, 48, 72), -100)
    put("muscle", disk(100, 96, 41, 65), 50)
    put("lung", disk(92, 58, 22, 18), -850)
    put("gas", disk(80, 112, 7), -990)
    put("kidney", disk(100, 135, 11, 9), 210)
    put("cyst", disk(120, 60, 8), 5)
    put("cortical", disk(122, 96, 11), 700)
    put("marrow", disk(122, 96, 8), 200)
    put("metal", disk(75, 140, 3), 3000)
    volume = np.repeat(hu[None], n, axis=0)
    return volume + np.random.default_rng(seed).normal(0, noise, volume.shape), where


def middle(mask):
    """The mask without its rim: partial volume is nobody's."""
    from scipy import ndimage

    return ndimage.binary_erosion(mask, iterations=2)


EXPECTED = {
    "air": "outside",
    "table": "outside",
    "fat": "fat",  # its outermost voxels are skin
    "muscle": "soft_tissue",
    "lung": "lung",
    "gas": "gas",
    "kidney": "enhanced",
    "cyst": "fluid",
    "marrow": "spongy_bone",
}


@pytest.mark.parametrize("n", [1, 3], ids=["one slice", "volume"])
@pytest.mark.parametrize("noise", [0.0, 10.0, 25.0])
@pytest.mark.parametrize("space", [Space.PATIENT, Space.PIXEL])
def test_every_part_of_the_phantom_gets_its_class(n, noise, space):
    hu, where = phantom(n, noise)
    scan = scan_of(hu.astype(np.int16), "CT", spacing=(2, 2, 10), space=space)
    names = most_probable(require_posteriors(scan), scan)
    for part, name in EXPECTED.items():
        inside = where[part] if part == "table" else middle(where[part])
        assert np.mean(names[:, inside] == name) > (0.85 if part == "fat" else 0.93), part
    assert np.mean(names[:, where["cortical"]] == "cortical_bone") > 0.6
    assert (names[:, middle(where["metal"])] == "metal").all()


def test_air_between_the_body_and_the_edge_is_outside_also_where_the_body_touches_the_edge():
    hu, where = phantom(1, 5.0)
    cut = hu[:, :, 40:150]
    scan = scan_of(cut.astype(np.int16), "CT", spacing=(2, 2, 10))
    names = most_probable(require_posteriors(scan), scan)[0]
    assert np.mean(names[middle(where["air"])[:, 40:150]] == "outside") > 0.99
    assert np.mean(names[middle(where["muscle"])[:, 40:150]] == "soft_tissue") > 0.93
    assert np.mean(names[middle(where["gas"])[:, 40:150]] == "gas") > 0.95


def test_lung_cut_by_the_edge_of_the_image_is_still_lung():
    hu, where = phantom(1, 5.0)
    cut = slice(58, 150)
    scan = scan_of(hu[:, :, cut].astype(np.int16), "CT", spacing=(2, 2, 10))
    names = most_probable(require_posteriors(scan), scan)[0]
    assert np.mean(names[middle(where["lung"])[:, cut]] == "lung") > 0.9


def test_lung_against_muscle_has_no_rim_of_fat():
    hu, where = phantom(3, 0.0)
    from scipy import ndimage

    blurred = ndimage.gaussian_filter(hu, (0, 1, 1))
    scan = scan_of(blurred.astype(np.int16), "CT", spacing=(2, 2, 10))
    p = require_posteriors(scan)
    rim = ndimage.binary_dilation(where["lung"], iterations=2) & ~ndimage.binary_erosion(where["lung"], iterations=2)
    assert p[3][:, rim].mean() < 0.15  # a table of HU alone gives 0.3


def test_single_voxels_between_fat_and_muscle_are_no_fluid():
    hu, where = phantom(3, 0.0)
    from scipy import ndimage

    blurred = ndimage.gaussian_filter(hu, (0, 1, 1))
    p = require_posteriors(scan_of(blurred.astype(np.int16), "CT", spacing=(2, 2, 10)))
    border = ndimage.binary_dilation(where["fat"], iterations=1) & where["muscle"]
    assert p[4][:, border].mean() < 0.15


def test_posteriors_are_soft_between_classes():
    """A slow ramp from fat to muscle passes through doubt, not through a step."""
    ramp = np.broadcast_to(np.linspace(-150, 80, 200), (1, 120, 200))
    p = require_posteriors(scan_of(ramp.astype(np.float32), "CT", spacing=(1, 1, 3)))
    fat = p[3, 0, 60, 10:190]
    assert (np.diff(fat) < 0.01).all()
    assert ((fat > 0.1) & (fat < 0.9)).sum() >= 10


def test_a_sheet_and_a_wire_on_the_skin_change_nothing_inside():
    hu, where = phantom(3, 5.0)
    plain = scan_of(hu.astype(np.int16), "CT", spacing=(2, 2, 10))
    hu[:, 40:41, 60:130] = 30
    dressed = scan_of(hu.astype(np.int16), "CT", spacing=(2, 2, 10))
    a, b = (most_probable(require_posteriors(s), s)[:, middle(where["muscle"])] for s in (plain, dressed))
    assert np.mean(a == b) > 0.99
