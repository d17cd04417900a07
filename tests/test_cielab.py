"""Colour conversion and differences, against published values, scikit-image and colour-science."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medcolor import cielab

pytestmark = pytest.mark.filterwarnings("ignore:.*related API features are not available")  # colour-science

# Sharma, Wu, Dalal (2005), Table 1: L1 a1 b1, L2 a2 b2, CIEDE2000.
SHARMA = """
50.0000 2.6772 -79.7751 50.0000 0.0000 -82.7485 2.0425
50.0000 3.1571 -77.2803 50.0000 0.0000 -82.7485 2.8615
50.0000 2.8361 -74.0200 50.0000 0.0000 -82.7485 3.4412
50.0000 -1.3802 -84.2814 50.0000 0.0000 -82.7485 1.0000
50.0000 -1.1848 -84.8006 50.0000 0.0000 -82.7485 1.0000
50.0000 -0.9009 -85.5211 50.0000 0.0000 -82.7485 1.0000
50.0000 0.0000 0.0000 50.0000 -1.0000 2.0000 2.3669
50.0000 -1.0000 2.0000 50.0000 0.0000 0.0000 2.3669
50.0000 2.4900 -0.0010 50.0000 -2.4900 0.0009 7.1792
50.0000 2.4900 -0.0010 50.0000 -2.4900 0.0010 7.1792
50.0000 2.4900 -0.0010 50.0000 -2.4900 0.0011 7.2195
50.0000 2.4900 -0.0010 50.0000 -2.4900 0.0012 7.2195
50.0000 -0.0010 2.4900 50.0000 0.0009 -2.4900 4.8045
50.0000 -0.0010 2.4900 50.0000 0.0010 -2.4900 4.8045
50.0000 -0.0010 2.4900 50.0000 0.0011 -2.4900 4.7461
50.0000 2.5000 0.0000 50.0000 0.0000 -2.5000 4.3065
50.0000 2.5000 0.0000 73.0000 25.0000 -18.0000 27.1492
50.0000 2.5000 0.0000 61.0000 -5.0000 29.0000 22.8977
50.0000 2.5000 0.0000 56.0000 -27.0000 -3.0000 31.9030
50.0000 2.5000 0.0000 58.0000 24.0000 15.0000 19.4535
50.0000 2.5000 0.0000 50.0000 3.1736 0.5854 1.0000
50.0000 2.5000 0.0000 50.0000 3.2972 0.0000 1.0000
50.0000 2.5000 0.0000 50.0000 1.8634 0.5757 1.0000
50.0000 2.5000 0.0000 50.0000 3.2592 0.3350 1.0000
60.2574 -34.0099 36.2677 60.4626 -34.1751 39.4387 1.2644
63.0109 -31.0961 -5.8663 62.8187 -29.7946 -4.0864 1.2630
61.2901 3.7196 -5.3901 61.4292 2.2480 -4.9620 1.8731
35.0831 -44.1164 3.7933 35.0232 -40.0716 1.5901 1.8645
22.7233 20.0904 -46.6940 23.0331 14.9730 -42.5619 2.0373
36.4612 47.8580 18.3852 36.2715 50.5065 21.2231 1.4146
90.8027 -2.0831 1.4410 91.1528 -1.6435 0.0447 1.4441
90.9257 -0.5406 -0.9208 88.6381 -0.8985 -0.7239 1.5381
6.7747 -0.2908 -2.4247 5.8714 -0.0985 -2.2286 0.6377
2.0776 0.0795 -1.1350 0.9033 -0.0636 -0.5514 0.9082
"""
PAIRS = np.array([[float(x) for x in line.split()] for line in SHARMA.strip().splitlines()])
unit = st.floats(0, 1, allow_subnormal=False)


def test_ciede2000_gives_sharmas_34_published_differences_in_both_directions():
    assert PAIRS.shape == (34, 7)
    for first, second in ((PAIRS[:, :3], PAIRS[:, 3:6]), (PAIRS[:, 3:6], PAIRS[:, :3])):
        np.testing.assert_allclose(cielab.delta_e_2000(first, second), PAIRS[:, 6], atol=5.1e-5)


def test_ciede2000_agrees_with_scikit_image_and_colour_science_on_random_pairs():
    import colour
    import skimage.color

    rng = np.random.default_rng(2)
    first, second = (rng.uniform((0, -90, -90), (100, 90, 90), (20_000, 3)) for _ in range(2))
    second[:10_000] = first[:10_000] + rng.normal(0, 2, (10_000, 3))
    ours = cielab.delta_e_2000(first, second)
    np.testing.assert_allclose(ours, skimage.color.deltaE_ciede2000(first, second), atol=1e-9)
    np.testing.assert_allclose(ours, colour.delta_E(first, second, method="CIE 2000"), atol=1e-9)


def test_ciede2000_is_no_plain_euclidean_distance():
    assert cielab.delta_e_2000([50, 60, 0], [50, 70, 0]) < 5  # Euclid says 10


def test_xyz_and_lab_agree_with_scikit_image_and_colour_science_for_the_same_white():
    import colour
    import skimage.color

    xyz = np.random.default_rng(3).uniform(0, 1, (5000, 3))
    white = (0.95047, 1.0, 1.08883)
    ours = cielab.xyz_to_lab(xyz, white=white)
    np.testing.assert_allclose(ours, skimage.color.xyz2lab(xyz, illuminant="D65"), atol=2e-3)  # its 7.787 is rounded
    w = np.array(white)
    np.testing.assert_allclose(ours, colour.XYZ_to_Lab(xyz, w[:2] / w.sum()), atol=1e-4)
    np.testing.assert_allclose(cielab.lab_to_xyz(ours, white=white), xyz, atol=1e-12)


def test_srgb_agrees_with_scikit_image_and_colour_science_up_to_their_whites_and_matrix_digits():
    import colour
    import skimage.color

    rgb = np.random.default_rng(4).uniform(0, 1, (5000, 3))
    ours = cielab.rgb_to_lab(rgb)
    np.testing.assert_allclose(cielab.srgb_to_linear(rgb), colour.models.eotf_sRGB(rgb), atol=1e-12)
    np.testing.assert_allclose(cielab.linear_to_srgb(rgb), colour.models.eotf_inverse_sRGB(rgb), atol=1e-12)
    np.testing.assert_allclose(cielab.linear_to_xyz(rgb), colour.RGB_to_XYZ(rgb, "sRGB"), atol=1e-12)
    np.testing.assert_allclose(ours, colour.XYZ_to_Lab(colour.sRGB_to_XYZ(rgb)), atol=0.02)
    np.testing.assert_allclose(ours, skimage.color.rgb2lab(rgb), atol=0.03)


@pytest.mark.parametrize(
    ("rgb", "lab"),
    [  # Lindbloom's CIE colour calculator, sRGB under D65, to its tenth
        ((255, 0, 0), (53.24, 80.09, 67.20)),
        ((0, 255, 0), (87.73, -86.18, 83.18)),
        ((0, 0, 255), (32.30, 79.19, -107.86)),
        ((255, 255, 0), (97.14, -21.55, 94.48)),
        ((255, 255, 255), (100.0, 0.0, 0.0)),
        ((0, 0, 0), (0.0, 0.0, 0.0)),
    ],
)
def test_primaries_have_their_published_lab_values(rgb, lab):
    np.testing.assert_allclose(cielab.rgb_to_lab(np.array(rgb, dtype=np.uint8)), lab, atol=0.03)


def test_every_neutral_color_has_no_chroma():
    grays = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
    assert np.abs(cielab.rgb_to_lab(grays)[:, 1:]).max() < 1e-12


@given(st.tuples(unit, unit, unit))
def test_srgb_comes_back_from_lab(rgb):
    np.testing.assert_allclose(cielab.lab_to_rgb(cielab.rgb_to_lab(rgb)), rgb, atol=1e-11)


def test_float32_stays_float32_and_nan_stays_nan():
    for convert in (cielab.rgb_to_lab, cielab.lab_to_rgb, cielab.srgb_to_linear, cielab.linear_to_srgb):
        result = convert(np.array([0.5, np.nan, 0.25], dtype=np.float32))
        assert result.dtype == np.float32
        assert np.isnan(result).any()


def test_gray_and_lightness_are_inverse_on_all_grays():
    table = cielab.gray_to_lightness()
    assert table[0] == 0
    assert table[255] == pytest.approx(100)
    assert (np.diff(table) > 0).all()
    np.testing.assert_array_equal(cielab.lightness_to_gray(table), np.arange(256))
    np.testing.assert_array_equal(cielab.lightness_to_gray([-5, 50, 120]), [0, 119, 255])


lightness = st.floats(0.5, 99.5)
angle = st.floats(0, 360)


@given(lightness, angle)
def test_largest_chroma_is_the_edge_of_the_gamut(L, hue):
    chroma = float(cielab.max_chroma(L, hue))
    direction = np.array([np.cos(np.radians(hue)), np.sin(np.radians(hue))])
    assert cielab.in_gamut([L, *(chroma * direction)])
    assert not cielab.in_gamut([L, *((chroma + 0.3) * direction)])


@given(lightness, st.floats(-400, 400), st.floats(-400, 400))
def test_shrinking_keeps_lightness_and_hue_and_ends_inside_the_gamut(L, a, b):
    shrunk = cielab.shrink_to_gamut(L, [a, b])
    assert cielab.in_gamut([L, *shrunk])
    assert np.hypot(*shrunk) <= np.hypot(a, b)
    assert abs(shrunk[0] * b - shrunk[1] * a) <= 1e-9 * max(1.0, a * a + b * b)  # same direction
    assert shrunk @ [a, b] >= 0
    np.testing.assert_array_equal(cielab.shrink_to_gamut(L, shrunk), shrunk)


@given(unit, unit, unit)
def test_colors_srgb_can_show_are_not_shrunk(r, g, b):
    lab = cielab.rgb_to_lab([r, g, b])
    np.testing.assert_array_equal(cielab.shrink_to_gamut(lab[0], lab[1:]), lab[1:])


def test_shrinking_differs_from_channel_clipping_which_moves_lightness():
    lab = np.array([50.0, 90.0, 40.0])
    clipped = cielab.rgb_to_lab(np.clip(cielab.lab_to_rgb(lab), 0, 1))
    shrunk = cielab.rgb_to_lab(cielab.lab_to_rgb([50.0, *cielab.shrink_to_gamut(50.0, lab[1:])]))
    assert abs(clipped[0] - 50) > 1
    assert shrunk[0] == pytest.approx(50, abs=1e-6)
