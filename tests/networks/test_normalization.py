"""What a network is shown: fixed where values have a unit, one fit for a whole volume where they have none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medcolor import phantom
from medcolor.geometry import Geometry
from medcolor.networks.normalization import Normalization
from medcolor.scan import MODALITIES, Scan


def scan_of(values: np.ndarray, **fields: object) -> Scan:
    return Scan(values, Geometry(values.shape, np.eye(4)), **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize("family", MODALITIES)
def test_every_phantom_fills_the_range_and_none_leaves_it(family: str) -> None:
    scan = phantom.scan(family)
    inputs = Normalization.default(family).fit(scan)(scan.voxels)
    assert inputs.dtype == np.float32
    assert inputs.shape == scan.shape
    assert inputs.min() >= -1
    assert inputs.max() <= 1
    assert inputs.std() > 0.1


@given(st.floats(-2000, 5000), st.floats(0.5, 300))
def test_more_hounsfield_units_are_never_less_input(value: float, step: float) -> None:
    low, high = Normalization("hu")(np.array([value, value + step], np.float32))
    assert low <= high
    if -1000 < value < 3000 - step:
        assert low < high


@pytest.mark.parametrize("kind", ["hu", "suv", "linear"])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16])
def test_integers_by_table_are_what_the_pieces_give(kind: str, dtype: type) -> None:
    normalization = Normalization(kind, 3, 90)  # type: ignore[arg-type]
    info = np.iinfo(dtype)
    values = np.linspace(info.min, info.max, 300).astype(dtype).reshape(3, 10, 10)
    np.testing.assert_array_equal(normalization(values), normalization(values.astype(np.float64)))


def test_the_unit_decides_and_not_the_window_or_the_other_slices() -> None:
    values = np.random.default_rng(1).normal(0, 300, (9, 8, 3)).astype(np.int16)
    both, one = scan_of(values, modality="CT", units="HU"), scan_of(values[..., :1], modality="CT", units="HU")
    assert Normalization("hu").fit(both) == Normalization("hu").fit(one) == Normalization("hu")


def test_a_ct_that_lost_its_unit_is_mapped_by_its_gray() -> None:
    gray = np.arange(64, dtype=np.uint8).reshape(8, 8, 1)
    fitted = Normalization("hu").fit(scan_of(gray, modality="CT", units="gray level"))
    assert fitted == Normalization("linear", 0, 255)
    np.testing.assert_allclose(fitted(np.array([0, 255], np.uint8)), [-1, 1])
    fitted = Normalization("hu").fit(scan_of(gray.astype(np.float32), modality="CT", units="arbitrary"))
    assert fitted.kind == "linear"
    assert 0 < fitted.low < fitted.high < 64


@given(st.floats(0.01, 1e4), st.floats(-1e4, 1e4))
def test_values_without_a_unit_may_be_scaled_and_shifted(factor: float, offset: float) -> None:
    values = np.random.default_rng(2).gamma(2, 40, (20, 15, 2)).astype(np.float64)
    moved = values * factor + offset
    first, second = (Normalization("percentile").fit(scan_of(v, modality="MR"))(v) for v in (values, moved))
    np.testing.assert_allclose(first, second, atol=1e-4)


def test_statistics_are_of_the_whole_volume_without_its_padding_and_the_same_each_time() -> None:
    values = np.random.default_rng(3).normal(100, 20, (30, 20, 5)).astype(np.float32)
    padding = np.zeros(values.shape, bool)
    padding[:10] = True
    spoiled = np.where(padding, np.float32(-1e6), values)
    spoiled[15, 10, 2] = np.nan
    fitted = Normalization("percentile").fit(scan_of(spoiled, modality="MR", padding=padding))
    assert fitted == Normalization("percentile").fit(scan_of(spoiled, modality="MR", padding=padding))
    low, high = np.percentile(values[10:], (0.5, 99.5))
    assert fitted.low == pytest.approx(low, abs=1)
    assert fitted.high == pytest.approx(high, abs=1)
    assert fitted(spoiled)[15, 10, 2] == -1


def test_a_large_volume_is_sampled_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(4).normal(100, 20, (64, 60, 20)).astype(np.float32)
    whole = Normalization("percentile", 5, 95).fit(scan_of(values, modality="MR"))
    monkeypatch.setattr("medcolor.networks.normalization._SAMPLE", 4000)
    part = Normalization("percentile", 5, 95).fit(scan_of(values, modality="MR"))
    assert part.low == pytest.approx(whole.low, abs=3)
    assert part.high == pytest.approx(whole.high, abs=3)


def test_monochrome1_is_turned_so_that_bone_is_bright() -> None:
    values = np.random.default_rng(5).normal(100, 20, (30, 20, 1)).astype(np.float32)
    usual, turned = (
        Normalization("percentile").fit(scan_of(values, modality="DX", inverted=inverted)) for inverted in (False, True)
    )
    np.testing.assert_allclose(turned(values), -usual(values), atol=1e-6)


@pytest.mark.parametrize("level", [0.0, 7.0, -1e30, 1e30])
def test_a_constant_volume_is_the_middle(level: float) -> None:
    values = np.full((4, 3, 2), level, np.float32)
    assert np.abs(Normalization("percentile").fit(scan_of(values, modality="MR"))(values)).max() < 1e-3


def test_an_array_is_fitted_as_a_scan_is() -> None:
    values = np.random.default_rng(6).gamma(2, 40, (2, 15, 20)).astype(np.float32)
    scan = scan_of(values.transpose(2, 1, 0), modality="MR")
    assert Normalization("percentile").fit_values(values) == Normalization("percentile").fit(scan)
    assert Normalization("hu").fit_values(values) == Normalization("hu")


@pytest.mark.parametrize(
    "arguments",
    [("zscore",), ("percentile", 5, 5), ("percentile", -1, 99), ("linear", 3, 2), ("linear", float("nan"), 2)],
)
def test_bounds_that_make_no_sense_are_refused(arguments: tuple[object, ...]) -> None:
    with pytest.raises(ValueError, match="Normalization"):
        Normalization(*arguments)  # type: ignore[arg-type]


def test_percentiles_must_be_fitted_first() -> None:
    with pytest.raises(ValueError, match=r"fit\(scan\)"):
        Normalization("percentile")(np.zeros((1, 2, 2), np.float32))
