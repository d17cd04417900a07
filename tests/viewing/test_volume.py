"""Volumes to look into: opacity by class, colours untouched, within limits, in place."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medcolor import phantom
from medcolor.color import restore_gray
from medcolor.errors import GeometryError, SettingError
from medcolor.palettes import load_palette
from medcolor.scan import MODALITIES
from medcolor.viewing import volume as volumes
from medcolor.viewing.placement import place
from medcolor.viewing.session import ColoringSession


def colored(family: str, shape: tuple[int, int, int], colorizer: str = "physics") -> ColoringSession:
    session = ColoringSession(phantom.scan(family, shape=shape), colorizer=colorizer)
    for _ in session.work():
        pass
    return session


@pytest.fixture(scope="module")
def ct() -> ColoringSession:
    return colored("CT", (64, 48, 6))


def test_every_preset_names_classes_of_its_palette() -> None:
    for family in MODALITIES:
        names = set(load_palette(family).names)
        for preset in volumes._PRESETS.get(family, ()):
            assert set(preset.opacity) <= names
            assert all(0 < value <= 1 for value in preset.opacity.values())
            assert not {"outside", "air"} & set(preset.opacity)


def test_colours_stay_and_only_alpha_tells_the_classes_apart(ct: ColoringSession) -> None:
    for preset in volumes.presets(ct.scan, ct.look.palette.names):
        before = ct.rgba.copy()
        made = volumes.volume(ct, preset)
        assert np.array_equal(ct.rgba, before)
        expected = place(ct.scan).to_layer(before)
        assert np.array_equal(made.rgba[..., :3], expected[..., :3])
        assert np.array_equal(restore_gray(made.rgba[..., :3]), place(ct.scan).to_layer(ct.gray))
        assert not made.rgba[expected[..., 3] == 0, 3].any()
        assert made.rgba[..., 3].any()
        assert made.note == ""


def test_bones_are_opaque_and_flesh_is_not(ct: ColoringSession) -> None:
    truth = phantom.labels("CT", shape=ct.scan.shape)
    number = {name: label for label, name in truth.names.items()}
    labels = truth.labels.transpose(2, 1, 0)
    alpha = volumes.volume(ct, "bones").rgba[..., 3]
    assert np.median(alpha[labels == number["cortical_bone"]]) > 150
    assert np.median(alpha[labels == number["soft_tissue"]]) < 5


def test_what_cannot_be_relied_on_becomes_more_transparent(ct: ColoringSession) -> None:
    plain, unsure = volumes.volume(ct, "flesh"), volumes.volume(ct, "flesh", by_confidence=True)
    assert (unsure.rgba[..., 3] <= plain.rgba[..., 3]).all()
    assert (unsure.rgba[..., 3] < plain.rgba[..., 3]).any()


def test_a_large_volume_is_thinned_to_voxels_that_are_real(ct: ColoringSession) -> None:
    made = volumes.volume(ct, most_voxels=2000, largest_side=20)
    assert max(made.rgba.shape[:3]) <= 20
    assert np.prod(made.rgba.shape[:3]) <= 2000
    k, j, i = made.stride
    assert np.array_equal(made.rgba[..., :3], ct.rgba[::k, ::j, ::i, :3])
    assert made.scale == pytest.approx([s * n for s, n in zip(place(ct.scan).scale, made.stride, strict=True)])
    assert str(j) in made.note


@given(
    shape=st.tuples(*[st.integers(1, 3000)] * 3),
    spacing=st.tuples(*[st.floats(0.1, 10)] * 3),
)
@settings(max_examples=60, deadline=None)
def test_strides_fit_and_are_no_larger_than_needed(shape: tuple[int, ...], spacing: tuple[float, ...]) -> None:
    stride = volumes.strides(shape, spacing, 512, 10_000_000)
    sides = [-(-side // n) for side, n in zip(shape, stride, strict=True)]
    assert max(sides) <= 512
    assert np.prod(sides) <= 10_000_000
    if max(shape) <= 512 and np.prod(shape) <= 10_000_000:
        assert stride == (1, 1, 1)


def test_a_coronal_series_is_thinned_along_its_own_axes() -> None:
    session = colored("PT", (24, 40, 9))
    made = volumes.volume(session, most_voxels=3000)
    where = place(session.scan)
    thinned = where.to_layer(session.rgba)[tuple(slice(None, None, n) for n in made.stride)]
    assert np.array_equal(made.rgba[..., :3], thinned[..., :3])
    assert made.scale == pytest.approx([s * n for s, n in zip(where.scale, made.stride, strict=True)])


def test_a_table_is_looked_into_by_gray() -> None:
    session = colored("CT", (32, 24, 3), "lut:hot_iron")
    made = volumes.volume(session)
    assert made.preset.name == "gray"
    bright = session.gray > 200
    assert made.rgba[bright, 3].min() > made.rgba[session.gray < 50, 3].max()


@pytest.mark.parametrize("family", ["NM", "US", "XR", "MG"])
def test_what_has_no_depth_is_refused(family: str) -> None:
    session = ColoringSession(phantom.scan(family, shape=(32, 40, 1)), colorizer="physics")
    with pytest.raises(GeometryError, match="no depth"):
        volumes.volume(session)


def test_an_unknown_preset_and_an_uncoloured_scan_are_refused(ct: ColoringSession) -> None:
    with pytest.raises(SettingError, match="bones"):
        volumes.volume(ct, "bone")
    with pytest.raises(SettingError, match="colour the scan"):
        volumes.volume(ColoringSession(ct.scan, colorizer="physics"))
