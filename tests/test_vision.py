"""Colour-vision deficiency: two independent models, the separability figure, and what compensation promises."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medcolor import cielab
from medcolor.vision import Deficiency, compensate, separability, simulate, simulate_linear
from medcolor.vision_models import brettel, machado

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*related API features are not available", "ignore:.*simulation of tritanomaly is based on"
)
NAMES = {Deficiency.PROTAN: "Protanomaly", Deficiency.DEUTAN: "Deuteranomaly", Deficiency.TRITAN: "Tritanomaly"}
PALETTE = np.array([[0, 0], [-5, -30], [35, 15], [5, 45], [-30, -5], [40, 30], [60, 40], [20, 20], [0, 10], [-10, -45]])
every_deficiency = pytest.mark.parametrize("deficiency", Deficiency)
every_model = pytest.mark.parametrize("model", ["machado", "brettel"])


@every_deficiency
def test_machado_matrices_are_those_of_colour_science(deficiency):
    from colour.blindness import matrix_cvd_Machado2009

    for tenth in range(11):
        # At a tenth: between them colour-science 0.4 extends the next interval instead of interpolating in this one.
        reference = matrix_cvd_Machado2009(NAMES[deficiency], tenth / 10)
        np.testing.assert_allclose(machado(deficiency, tenth / 10), reference, atol=1e-9)


@every_deficiency
def test_machado_is_linear_between_its_tenths(deficiency):
    middle = (machado(deficiency, 0.3) + machado(deficiency, 0.4)) / 2
    np.testing.assert_allclose(machado(deficiency, 0.35), middle, atol=1e-12)


# An earlier libDaltonLens (public domain), to five digits: both half planes from the same cones, anchors and white as
# ours. Its later version prints entries that differ by up to 0.011.
PUBLISHED_BRETTEL = {
    Deficiency.PROTAN: (
        ((0.14510, 1.20165, -0.34675), (0.10447, 0.85316, 0.04237), (0.00429, -0.00603, 1.00174)),
        ((0.14115, 1.16782, -0.30897), (0.10495, 0.85730, 0.03776), (0.00431, -0.00586, 1.00155)),
        (0.00048, 0.00416, -0.00464),
    ),
    Deficiency.DEUTAN: (
        ((0.36198, 0.86755, -0.22953), (0.26099, 0.64512, 0.09389), (-0.01975, 0.02686, 0.99289)),
        ((0.37009, 0.88540, -0.25549), (0.25767, 0.63782, 0.10451), (-0.01950, 0.02741, 0.99209)),
        (-0.00293, -0.00645, 0.00938),
    ),
    Deficiency.TRITAN: (
        ((1.01354, 0.14268, -0.15622), (-0.01181, 0.87561, 0.13619), (0.07707, 0.81208, 0.11085)),
        ((0.93337, 0.19999, -0.13336), (0.05809, 0.82565, 0.11626), (-0.37923, 1.13825, 0.24098)),
        (0.03960, -0.02831, -0.01129),
    ),
}


@every_deficiency
def test_brettel_matrices_and_the_side_they_are_for_are_the_published_ones(deficiency):
    first, second, normal = brettel(deficiency)
    published = PUBLISHED_BRETTEL[deficiency]
    np.testing.assert_allclose(first, published[0], atol=5e-4)
    np.testing.assert_allclose(second, published[1], atol=5e-4)
    direction = np.array(published[2])
    assert normal @ direction > 0.99999 * np.linalg.norm(normal) * np.linalg.norm(direction)


# The same libDaltonLens after Vienot, Brettel, Mollon (1999): one plane for all colours.
VIENOT = {
    Deficiency.PROTAN: ((0.10889, 0.89111, 0.0), (0.10889, 0.89111, 0.0), (0.00447, -0.00447, 1.0)),
    Deficiency.DEUTAN: ((0.29031, 0.70969, 0.0), (0.29031, 0.70969, 0.0), (-0.02197, 0.02197, 1.0)),
}


@pytest.mark.parametrize("deficiency", VIENOT)
@every_model
def test_both_models_are_near_vienot_for_dichromats(deficiency, model):
    rgb = np.random.default_rng(1).uniform(0, 1, (4000, 3))
    ours = np.clip(simulate_linear(rgb, deficiency, model=model), 0, 1)
    theirs = np.clip(rgb @ np.array(VIENOT[deficiency]).T, 0, 1)
    lab = [cielab.xyz_to_lab(cielab.linear_to_xyz(x)) for x in (ours, theirs, rgb)]
    apart = cielab.delta_e_2000(lab[0], lab[1])
    changed = cielab.delta_e_2000(lab[2], lab[1])
    assert apart.mean() < 0.5 * changed.mean()  # the models agree much better than either does with normal vision


@every_deficiency
@every_model
def test_gray_looks_gray_to_everyone(deficiency, model):
    gray = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
    np.testing.assert_allclose(simulate(gray, deficiency, model=model).astype(int), gray, atol=1)


@every_deficiency
def test_a_dichromat_sees_two_dimensions_and_seeing_twice_changes_nothing(deficiency):
    rgb = np.random.default_rng(2).uniform(0.2, 0.8, (500, 3))
    once = simulate_linear(rgb, deficiency, model="brettel")
    np.testing.assert_allclose(simulate_linear(once, deficiency, model="brettel"), once, atol=1e-6)
    for matrix in brettel(deficiency)[:2]:
        assert np.linalg.matrix_rank(matrix, tol=1e-9) == 2


@every_deficiency
@every_model
def test_severity_0_is_normal_vision_and_more_severity_changes_more(deficiency, model):
    rgb = np.random.default_rng(3).integers(0, 256, (2000, 3), dtype=np.uint8)
    np.testing.assert_array_equal(simulate(rgb, deficiency, 0.0, model=model), rgb)
    changes = [
        np.abs(simulate(rgb, deficiency, s, model=model).astype(int) - rgb).mean() for s in (0.2, 0.4, 0.6, 0.8, 1.0)
    ]
    assert (np.diff(changes) > 0).all()


def test_simulation_keeps_the_type_of_pixels_and_the_range_of_displays():
    red = np.array([[255, 0, 0]], dtype=np.uint8)
    seen = simulate(red, Deficiency.PROTAN)
    assert seen.dtype == np.uint8
    assert seen[0, 0] < 150  # the published darkening of red
    floats = simulate(red / 255.0, Deficiency.PROTAN)
    np.testing.assert_array_equal(np.rint(floats * 255), seen)
    assert floats.min() >= 0
    assert floats.max() <= 1


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: simulate(np.zeros(3), Deficiency.PROTAN, 1.1), "severity"),
        (lambda: simulate(np.zeros(3), Deficiency.PROTAN, float("nan")), "severity"),
        (lambda: simulate(np.zeros(3), "tetra"), "tetra"),
        (lambda: simulate(np.zeros(3), Deficiency.PROTAN, model="guess"), "guess"),
        (lambda: separability([[1, 2, 3]]), "shape"),
        (lambda: compensate([[0, float("nan")], [1, 2]], Deficiency.PROTAN), "finite"),
        (lambda: compensate([[0, 1], [1, 2]], Deficiency.PROTAN, -0.1), "severity"),
    ],
)
def test_wrong_input_is_refused(call, says):
    with pytest.raises(ValueError, match=says):
        call()


def test_separability_is_the_difference_of_neighbors_after_shrinking_at_each_lightness():
    ab = np.array([[0.0, 0.0], [10.0, 0.0], [200.0, 0.0]])
    figures = separability(ab, lightness=(50, 70))
    assert figures.shape == (2, 2)
    assert figures[0, 0] == pytest.approx(float(cielab.delta_e_2000([50, 0, 0], [50, 10, 0])))
    edge = cielab.max_chroma(70, 0)
    assert figures[1, 1] == pytest.approx(float(cielab.delta_e_2000([70, 10, 0], [70, edge, 0])))


def test_red_and_green_of_one_lightness_are_apart_for_normal_eyes_and_close_for_deutans():
    ab = cielab.rgb_to_lab([[0.69, 0.29, 0.29], [0.36, 0.47, 0.27]])[:, 1:]  # both near L* 46
    normal, deutan = (separability(ab, d, lightness=(46,)).min() for d in (None, Deficiency.DEUTAN))
    assert normal > 30
    assert deutan < normal / 3


@every_deficiency
@every_model
@pytest.mark.parametrize("severity", [0.5, 1.0])
def test_compensation_raises_the_figure_of_a_tissue_palette_to_a_clear_difference(deficiency, model, severity):
    before = separability(PALETTE, deficiency, severity, model=model).min()
    safe = compensate(PALETTE, deficiency, severity, model=model)
    assert before < 3
    assert separability(safe, deficiency, severity, model=model).min() >= 10
    np.testing.assert_array_equal(safe, compensate(PALETTE, deficiency, severity, model=model))


pairs = st.lists(st.tuples(st.floats(-130, 130), st.floats(-130, 130)), min_size=1, max_size=6)


@given(pairs, st.sampled_from(Deficiency), st.floats(0, 1), st.sampled_from([(50.0,), (30.0, 50.0, 70.0)]))
@settings(max_examples=25, deadline=None)
def test_compensation_never_lowers_the_figure_and_stays_inside_the_gamut(ab, deficiency, severity, lightness):
    safe = compensate(ab, deficiency, severity, lightness)
    assert safe.shape == (len(ab), 2)
    before, after = (separability(x, deficiency, severity, lightness).min(initial=99) for x in (ab, safe))
    assert after >= before - 1e-6  # shrinking twice rounds twice
    inside = [cielab.in_gamut(np.column_stack([np.full(len(ab), level), safe])) for level in lightness]
    assert np.any(inside, axis=0).all()


def test_compensation_leaves_gray_classes_gray_and_does_nothing_for_normal_vision():
    safe = compensate(PALETTE, Deficiency.PROTAN)
    np.testing.assert_array_equal(safe[0], 0)
    shown = compensate(PALETTE, Deficiency.PROTAN, 0.0)
    np.testing.assert_allclose(separability(shown), separability(PALETTE), atol=1e-6)


def test_a_milder_deficiency_is_given_a_milder_change():
    ab = np.array([[30.0, 20.0], [-25.0, 20.0], [0.0, -35.0], [10.0, 50.0]])
    moved = [np.hypot(*(compensate(ab, Deficiency.DEUTAN, s) - ab).T).mean() for s in (0.1, 1.0)]
    assert moved[0] < moved[1]
