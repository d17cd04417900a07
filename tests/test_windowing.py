from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.pixels import apply_windowing

from medcolor.errors import SettingError, UnknownColorizerError
from medcolor.geometry import Geometry, Space
from medcolor.scan import GRAY_LEVEL, Scan
from medcolor.voi import VoiLut, Window, WindowFunction
from medcolor.windowing import default_display, display_gray, inverse_table, named_window, percentile_window


def scan_of(values: np.ndarray, **fields: object) -> Scan:
    shape = (*values.shape, 1, 1, 1)[:3]
    return Scan(values.reshape(shape), Geometry.from_spacing(shape, (1, 1, 1), Space.PIXEL), **fields)  # type: ignore[arg-type]


@pytest.mark.filterwarnings("ignore:overflow encountered in exp:RuntimeWarning")  # pydicom's own sigmoid
@pytest.mark.parametrize("function", list(WindowFunction))
@pytest.mark.parametrize(("center", "width"), [(40, 400), (-500, 1400), (0, 1), (3.5, 7), (2048, 4096)])
def test_windows_agree_with_pydicom(function: WindowFunction, center: float, width: float) -> None:
    values = np.arange(-2000, 4096)
    ds = Dataset()
    ds.PhotometricInterpretation, ds.BitsStored, ds.PixelRepresentation = "MONOCHROME2", 8, 0
    ds.WindowCenter, ds.WindowWidth, ds.VOILUTFunction = center, width, str(function)
    expected = apply_windowing(values.astype(np.float64), ds)  # 0..255 as floats
    got = Window(center, width, function).gray(values).astype(float)
    assert np.abs(got - expected).max() <= 0.5 + 1e-9


@pytest.mark.parametrize(
    ("center", "width", "function"),
    [(40, 0, "LINEAR_EXACT"), (40, -1, "LINEAR"), (40, 0.5, "LINEAR"), (np.nan, 10, "LINEAR"), (0, np.inf, "SIGMOID")],
)
def test_a_window_without_width_is_refused(center: float, width: float, function: str) -> None:
    with pytest.raises(ValueError, match="width"):
        Window(center, width, WindowFunction(function))


@given(st.floats(-3000, 3000), st.floats(1, 5000), st.sampled_from(list(WindowFunction)))
def test_gray_grows_with_the_value(center: float, width: float, function: WindowFunction) -> None:
    gray = Window(center, width, function).gray(np.linspace(-6000, 6000, 999))
    assert (np.diff(gray.astype(int)) >= 0).all()


@pytest.mark.parametrize("dtype", ["int16", "uint16", "uint8", "int8", "int32", "float32"])
def test_the_table_for_integers_gives_what_the_formula_gives(dtype: str) -> None:
    values = np.linspace(-100, 100, 201) if np.dtype(dtype).kind != "u" else np.linspace(0, 200, 201)
    scan = scan_of(values.astype(dtype).reshape(201, 1, 1))
    window = Window(20, 130)
    np.testing.assert_array_equal(display_gray(scan, window), window.gray(scan.voxels))


def test_inverted_scans_show_low_values_bright_and_padding_black() -> None:
    padding = np.array([False, False, True]).reshape(3, 1, 1)
    scan = scan_of(np.array([0, 100, 0], np.int16), inverted=True, padding=padding)
    np.testing.assert_array_equal(display_gray(scan, Window(50, 100)).ravel(), [255, 0, 0])


def test_nan_is_black_not_garbage() -> None:
    scan = scan_of(np.array([np.nan, 10, -np.inf, np.inf], np.float32))
    np.testing.assert_array_equal(display_gray(scan, Window(5, 10)).ravel(), [0, 255, 0, 255])
    turned = scan_of(np.array([np.nan, 10, -np.inf, np.inf], np.float32), inverted=True)
    np.testing.assert_array_equal(display_gray(turned, Window(5, 10)).ravel(), [0, 0, 255, 0])


def test_a_voi_table_clamps_at_both_ends() -> None:
    lut = VoiLut(-5, np.array([10, 20, 30], np.uint8))
    np.testing.assert_array_equal(lut.gray(np.array([-100, -5, -4, -3, 100])), [10, 10, 20, 30, 30])


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"modality": "CT", "units": "HU"}, "abdomen C 40 W 400"),
        ({"modality": "PT", "units": "SUVbw"}, "suv0-6 C 3 W 6"),
        ({"modality": "CT", "units": "HU", "windows": (Window(7, 9),)}, "C 7 W 9"),
        ({"modality": "US", "units": GRAY_LEVEL}, "as stored C 127.5 W 255"),
    ],
)
def test_default_display_is_the_files_wish_then_the_modalitys_habit(fields: dict[str, object], expected: str) -> None:
    assert str(default_display(scan_of(np.arange(9, dtype=np.uint8), **fields))) == expected


@pytest.mark.parametrize("values", [np.zeros(5), np.full(5, np.nan), np.array([3.0]), np.array([1e30, 1e30])])
def test_a_constant_image_still_gets_a_window(values: np.ndarray) -> None:
    scan = scan_of(values.astype(np.float32), modality="MR")
    assert display_gray(scan).dtype == np.uint8


def test_percentiles_of_a_large_volume_see_every_column(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medcolor.windowing._SAMPLE", 1000)
    values = np.zeros((64, 100, 5), np.float32) + np.arange(64, dtype=np.float32)[:, None, None]
    window = percentile_window(scan_of(values, modality="MR"), 0, 100, name="all")
    assert window.bounds == pytest.approx((1, 63))


def test_an_unknown_window_name_lists_those_that_exist() -> None:
    with pytest.raises(UnknownColorizerError, match=r"abdomen.*lung"):
        named_window("liver", "CT")


@pytest.mark.parametrize("text", ["40/400", "40,400", " 40 / 4e2"])
def test_a_window_in_words_is_the_window_in_numbers(text: str) -> None:
    scan = scan_of(np.arange(-200, 300, dtype=np.int16), modality="CT", units="HU")
    np.testing.assert_array_equal(display_gray(scan, text), display_gray(scan, Window(40, 400)))


@pytest.mark.parametrize(
    ("window", "kind"), [("40/0", SettingError), ("40", UnknownColorizerError), ((40, 400), TypeError), (40, TypeError)]
)
def test_what_is_no_window_is_refused_before_any_pixel(window: Any, kind: type[Exception]) -> None:
    with pytest.raises(kind, match=r"window"):
        display_gray(scan_of(np.zeros(3, np.int16), modality="CT", units="HU"), window)


def test_inverse_table_gives_back_the_values_of_a_legend() -> None:
    scan = scan_of(np.arange(9, dtype=np.int16), modality="CT", units="HU")
    np.testing.assert_allclose(inverse_table(scan, Window(40, 400), np.array([0, 255])), [-160, 240])


@pytest.mark.parametrize("inverted", [False, True])
@pytest.mark.parametrize("function", list(WindowFunction))
def test_every_value_of_a_legend_is_shown_with_its_gray(function: WindowFunction, inverted: bool) -> None:
    levels, window = np.arange(256), Window(40, 400, function)
    shown = inverse_table(scan_of(np.zeros(1, np.float32), inverted=inverted), window, levels)
    scan = scan_of(shown.astype(np.float32), inverted=inverted)
    np.testing.assert_array_equal(display_gray(scan, window).ravel(), levels)
