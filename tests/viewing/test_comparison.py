"""Gray against colour on one scan: the same seeds and settings, honest figures, and no claim."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra.numpy import arrays

from medcolor import phantom
from medcolor.errors import GeometryError, SettingError
from medcolor.scan import to_slices
from medcolor.tissue_map import Segmentation
from medcolor.viewing import comparison
from medcolor.viewing.session import ColoringSession

SHAPE = (96, 80, 3)
METHODS = [method.name for method in comparison.METHODS]


def colored(strength: float = 1.0) -> ColoringSession:
    session = ColoringSession(phantom.scan("CT", shape=SHAPE), colorizer="physics", strength=strength)
    for _ in session.work():
        pass
    return session


@pytest.fixture(scope="module")
def session() -> ColoringSession:
    return colored()


@pytest.fixture(scope="module")
def seeds() -> np.ndarray:
    """Brush strokes in the middle slice: 1 in the liver, 2 in fat, by the phantom's own truth."""
    truth = phantom.labels("CT", shape=SHAPE)
    number = {name: label for label, name in truth.names.items()}
    labels = to_slices(truth.labels)
    out = np.zeros(SHAPE[::-1], np.uint8)
    for value, name in ((5, "soft_tissue"), (2, "fat")):
        spots = np.argwhere(labels[1] == number[name])[::7]
        out[1, spots[:, 0], spots[:, 1]] = value
    return out


@pytest.mark.parametrize("method", METHODS)
def test_without_colour_both_sides_are_the_same(method: str, seeds: np.ndarray) -> None:
    found = comparison.compare(colored(strength=0.0), method, seeds=seeds, slices=range(1, 2))
    assert found.agreement > 0.99


@pytest.mark.parametrize("method", METHODS)
def test_results_have_labels_volumes_and_an_honest_share(
    method: str, session: ColoringSession, seeds: np.ndarray
) -> None:
    found = comparison.compare(session, method, seeds=seeds)
    one, other = to_slices(found.gray.labels), to_slices(found.color.labels)
    assert np.array_equal(found.disagreement, one != other)
    inside = session.rgba[..., 3] > 0
    assert not one[~inside].any()
    assert found.agreement == pytest.approx(1 - (one != other).sum() / inside.sum())
    assert set(found.gray.names) == ({2, 5} if found.method.seeded else {1, 2, 3, 4})
    voxel = session.scan.geometry.voxel_volume / 1000
    for label, (gray, color) in found.volumes().items():
        assert gray == pytest.approx((one == label).sum() * voxel)
        assert color == pytest.approx((other == label).sum() * voxel)
    again = comparison.compare(session, method, seeds=seeds)
    assert np.array_equal(found.color.labels, again.color.labels)


def test_a_watershed_finds_what_was_seeded(session: ColoringSession, seeds: np.ndarray) -> None:
    truth = phantom.labels("CT", shape=SHAPE)
    number = {name: label for label, name in truth.names.items()}
    mask = np.where(truth.labels == number["fat"], 2, 0).astype(np.uint16)
    found = comparison.compare(
        session, "watershed", seeds=seeds, mask=Segmentation(mask, session.scan.geometry, {2: "fat"}),
        slices=range(1, 2),
    )  # fmt: skip
    assert found.dice["gray"][2] > 0.5
    assert found.dice["colour"][2] > 0.5
    expected = comparison.dice(found.color.labels[..., 1] == 2, mask[..., 1] == 2)
    assert found.dice["colour"][2] == pytest.approx(expected)


def test_the_jump_goes_into_the_largest_disagreement(session: ColoringSession) -> None:
    found = comparison.compare(session, "k-means", slices=range(1, 2))
    blank = np.zeros(SHAPE[::-1], np.bool_)
    blank[0, 5:8, 5:8] = blank[2, 30:50, 20:60] = True
    jump = comparison.Compared(found.method, found.gray, found.color, blank, 0.5, {}).largest_disagreement()
    assert jump is not None
    i, j, k = jump
    assert k == 2
    assert 35 <= j < 45
    assert 25 <= i < 55
    blank[:] = False
    assert comparison.Compared(found.method, found.gray, found.color, blank, 1, {}).largest_disagreement() is None


MASKS = arrays(np.bool_, (4, 5))


@given(one=MASKS, other=MASKS)
def test_dice_is_symmetric_one_for_equals_and_nan_for_nothing(one: np.ndarray, other: np.ndarray) -> None:
    found = comparison.dice(one, other)
    assert found == comparison.dice(other, one) or np.isnan(found)
    assert np.isnan(found) == (not one.any() and not other.any())
    if one.any():
        assert comparison.dice(one, one) == 1
        assert 0 <= found <= 1


@pytest.mark.parametrize("label", [1, 3])
def test_a_projection_has_no_volume(label: int) -> None:
    session = ColoringSession(phantom.scan("XR", shape=(60, 72, 1)), colorizer="physics")
    for _ in session.work():
        pass
    found = comparison.compare(session, "k-means")
    assert label in found.gray.names
    assert found.volumes() == {}


def test_what_cannot_be_compared_is_refused(session: ColoringSession, seeds: np.ndarray) -> None:
    for arguments, said in (
        (("snakes",), "k-means"),
        (("watershed",), "two labels"),
    ):
        with pytest.raises(SettingError, match=said):
            comparison.compare(session, *arguments)
    with pytest.raises(SettingError, match="two labels in one slice"):
        comparison.compare(session, "superpixels", seeds=np.where(seeds == 2, 2, 0))
    with pytest.raises(SettingError, match="Colour the scan first"):
        comparison.compare(ColoringSession(session.scan, colorizer="physics"), "k-means")
    other = phantom.labels("CT", shape=(32, 24, 3))
    with pytest.raises(GeometryError, match="grid"):
        comparison.compare(session, "k-means", mask=other)


def test_the_words_say_that_nothing_is_proven() -> None:
    assert comparison.NO_EVIDENCE.startswith("No evidence of gain from one scan")
