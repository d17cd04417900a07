"""Colour tables: byte for byte what their owners ship, and honest about what they keep."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.pixels.processing import _expand_segmented_lut
from skimage.color import rgb2lab

from medcolor.errors import SettingError, UnknownColorizerError
from medcolor.luts import describe_lut, list_luts, load_lut, with_strength

FILES = {
    "hot_iron": "hotiron", "pet": "pet", "hot_metal_blue": "hotmetalblue", "pet_20_step": "pet20step",
    "spring": "spring", "summer": "summer", "fall": "fall", "winter": "winter",
}  # fmt: skip
CMAP = {
    "gray": "matlab:gray", "viridis": "bids:viridis", "magma": "bids:magma", "inferno": "bids:inferno",
    "plasma": "bids:plasma", "cividis": "cividis:cividis", "batlow": "crameri:batlow", "cet_l03": "colorcet:fire",
    "cet_l08": "colorcet:bmy", "cet_l16": "colorcet:kbgyw",
}  # fmt: skip


def test_every_table_has_an_oracle_here() -> None:
    assert list_luts() == [*FILES, *CMAP]


@pytest.mark.parametrize("name", list_luts())
def test_a_table_is_256_colors_that_nobody_can_change(name: str) -> None:
    table = load_lut(name)
    assert table.shape == (256, 3)
    assert table.dtype == np.uint8
    with pytest.raises(ValueError, match="read-only"):
        table[0] = 1
    assert load_lut(name) is table


@pytest.mark.parametrize("name", FILES)
def test_dicom_tables_are_what_the_file_says(name: str) -> None:
    ds = pydicom.dcmread(Path(pydicom.__file__).parent / "data" / "palettes" / f"{FILES[name]}.dcm")
    channels = []
    for color in ("Red", "Green", "Blue"):
        assert list(ds[f"{color}PaletteColorLookupTableDescriptor"].value) == [256, 0, 8]
        plain = ds.get(f"{color}PaletteColorLookupTableData")
        data = plain or bytes(
            _expand_segmented_lut(tuple(ds[f"Segmented{color}PaletteColorLookupTableData"].value), "<B")
        )
        channels.append(np.frombuffer(data, np.uint8))
    np.testing.assert_array_equal(load_lut(name), np.stack(channels, axis=-1))


def test_fall_and_winter_are_not_swapped() -> None:
    """pydicom 3.0.2 swaps them when asked by name."""
    assert load_lut("fall")[0].tolist() == [255, 255, 0]
    assert load_lut("winter")[0].tolist() == [0, 0, 255]


@pytest.mark.parametrize("name", CMAP)
def test_uniform_maps_are_those_of_cmap(name: str) -> None:
    import cmap

    own = np.array([cmap.Colormap(CMAP[name])(i / 255).rgba8[:3] for i in range(256)], dtype=int)
    assert np.abs(own - load_lut(name)).max() <= 1  # it samples continuously, at 255ths
    stops = np.asarray(cmap.Colormap(CMAP[name]).color_stops.to_lut(256))[:, :3]
    np.testing.assert_array_equal(load_lut(name), np.rint(stops * 255))


def test_the_gray_table_is_the_identity() -> None:
    np.testing.assert_array_equal(load_lut("gray"), np.arange(256)[:, None].repeat(3, axis=1))


@pytest.mark.parametrize("name", list_luts())
def test_what_a_table_says_of_itself_is_measured(name: str) -> None:
    info, table = describe_lut(name), load_lut(name)
    assert info.colors == len({tuple(color) for color in table.tolist()})
    assert info.injective == (info.colors == 256)
    lightness = rgb2lab(table[None])[0, :, 0]
    steps = np.diff(lightness) * np.sign(lightness[-1] - lightness[0])
    assert info.largest_reversal == pytest.approx(max(0, -steps.min()), abs=0.02)
    assert info.monotone == (info.largest_reversal <= 0.05)


def test_known_verdicts() -> None:
    assert describe_lut("hot_iron").injective
    assert describe_lut("hot_iron").monotone
    assert not describe_lut("pet_20_step").injective
    assert describe_lut("pet_20_step").largest_reversal > 20
    assert not describe_lut("pet").monotone
    for name in ("viridis", "magma", "inferno", "plasma", "cividis", "batlow", "cet_l03", "cet_l08", "cet_l16"):
        assert describe_lut(name).monotone


@pytest.mark.parametrize(("wrong", "near"), [("virdis", "viridis"), ("HOT-IRON", "hot_iron"), ("jet", ""), ("", "")])
def test_an_unknown_table_is_refused_with_what_exists(wrong: str, near: str) -> None:
    with pytest.raises(UnknownColorizerError, match="Available: hot_iron") as caught:
        load_lut(wrong)
    assert (f'Did you mean "{near}"?' in str(caught.value)) == bool(near)


def test_listing_tables_imports_no_plotting_and_no_readers() -> None:
    code = "import sys, medcolor.luts as l; l.list_luts(); print(*sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"matplotlib", "cmap", "pydicom", "torch"} & set(out.stdout.split())


@pytest.mark.parametrize("strength", [-0.1, 1.1, float("nan")])
def test_a_strength_outside_0_to_1_is_refused_and_does_not_wrap_around(strength: float) -> None:
    with pytest.raises(SettingError, match="strength"):
        with_strength(load_lut("pet"), strength)
