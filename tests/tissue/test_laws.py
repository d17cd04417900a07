from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tissue_laws import require_posteriors, scan_of

from medcolor.errors import ModalityError
from medcolor.geometry import Space
from medcolor.scan import MODALITIES, KAxis
from medcolor.tissue import CLASSES, fit, tissue_map

SHAPES = [(1, 1, 1), (1, 1, 7), (1, 9, 1), (3, 2, 2), (1, 16, 16), (2, 16, 5), (1, 33, 64)]


def ramp(shape):
    return np.linspace(-1000, 2000, int(np.prod(shape))).reshape(shape)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("modality", MODALITIES)
@pytest.mark.parametrize(
    "make",
    [np.zeros, np.ones, lambda s: np.full(s, -1000.0), lambda s: np.full(s, 40.0), ramp],
    ids=["zeros", "ones", "air", "forty", "ramp"],
)
def test_any_shape_and_any_constant_has_posteriors(modality, shape, make):
    require_posteriors(scan_of(make(shape).astype(np.float32), modality))


@pytest.mark.parametrize("modality", MODALITIES)
@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int16, np.uint16, np.int32, np.uint32, np.float32, np.float64])
def test_every_sample_type_is_read(modality, dtype):
    random = np.random.default_rng(3)
    values = random.integers(0, 100, (2, 24, 30)).astype(dtype)
    require_posteriors(scan_of(values, modality))


@pytest.mark.parametrize("modality", MODALITIES)
def test_nan_and_infinity_are_outside_for_certain(modality):
    values = np.random.default_rng(0).normal(100, 50, (2, 20, 20)).astype(np.float32)
    values[0, 3:9, 3:9] = np.nan
    values[1, 5, 5], values[1, 6, 6] = np.inf, -np.inf
    p = require_posteriors(scan_of(values, modality))
    assert (p[0][~np.isfinite(values)] == 1).all()


@pytest.mark.parametrize("modality", MODALITIES)
@pytest.mark.parametrize("value", [np.nan, np.inf, 3e38, -3e38])
def test_an_image_of_nothing_but_bad_values_does_not_crash(modality, value):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        require_posteriors(scan_of(np.full((1, 12, 12), value, np.float32), modality))
        require_posteriors(scan_of(np.full((1, 12, 12), value * 1e200), modality))  # beyond single precision


@pytest.mark.parametrize("modality", MODALITIES)
def test_padding_is_outside_for_certain(modality):
    values = np.random.default_rng(1).integers(0, 200, (2, 32, 40)).astype(np.int16)
    padding = np.zeros(values.shape, bool)
    padding[:, :6] = True
    require_posteriors(scan_of(values, modality, padding=padding))
    p = require_posteriors(scan_of(values, modality, padding=np.ones(values.shape, bool)))
    assert (p[0] == 1).all()


@pytest.mark.parametrize("modality", MODALITIES)
@pytest.mark.parametrize("spacing", [(1e-4, 1e-4, 1e-4), (0.05, 0.05, 1), (50, 50, 200), (0.5, 3, 12)], ids=str)
def test_no_spacing_breaks_a_model(modality, spacing):
    values = np.random.default_rng(2).normal(60, 200, (2, 40, 48)).astype(np.float32)
    require_posteriors(scan_of(values, modality, spacing=spacing))


@pytest.mark.parametrize("modality", MODALITIES)
@given(
    values=hnp.arrays(
        np.float32,
        st.tuples(st.integers(1, 3), st.integers(1, 24), st.integers(1, 24)),
        elements=st.floats(-3000, 5000, width=32) | st.sampled_from([0.0, np.nan, np.inf]),
    ),
    inverted=st.booleans(),
    time=st.booleans(),
)
@settings(max_examples=12, deadline=None, derandomize=True)
def test_posteriors_are_probabilities_for_any_values(modality, values, inverted, time):
    require_posteriors(
        scan_of(
            values,
            modality,
            inverted=inverted,
            space=Space.PIXEL if inverted else Space.PATIENT,
            k_axis=KAxis.TIME if time else KAxis.SPACE,
        )
    )


def test_an_unknown_modality_is_refused_with_the_known_ones():
    with pytest.raises(ModalityError, match=r"OT.*CT, MR, PT, NM, US, XR, MG.*--modality"):
        fit(scan_of(np.zeros((1, 4, 4)), "OT"))


def test_ct_without_hounsfield_units_is_refused_with_the_way_out():
    with pytest.raises(ModalityError, match=r"gray level.*rescale"):
        fit(scan_of(np.zeros((1, 4, 4)), "CT", units="gray level"))


def test_the_tissue_map_holds_the_same_posteriors_voxel_by_voxel():
    values = np.random.default_rng(5).normal(0, 300, (3, 20, 28)).astype(np.int16)
    scan = scan_of(values, "CT")
    found = tissue_map(scan)
    assert found.classes == CLASSES["CT"]
    assert found.posteriors.shape == (28, 20, 3, 10)
    whole = fit(scan).posteriors(slice(None))
    np.testing.assert_array_equal(found.posteriors.transpose(3, 2, 1, 0), whole)
    assert found.segmentation().labels.max() <= 10


def test_importing_the_tissue_models_loads_no_scipy():
    import subprocess
    import sys

    code = "import sys, medcolor.tissue; sys.exit(int('scipy' in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
