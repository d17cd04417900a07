"""Recolouring the whole (a*, b*) plane for an eye: gray stays, classes come apart, shades follow their colour."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medcolor import phantom, tissue
from medcolor.cielab import delta_e_2000, rgb_to_lab
from medcolor.color import ab_index, apply_color, restore_gray
from medcolor.errors import PaletteError, UnknownColorizerError
from medcolor.palettes import load_palette, with_cvd
from medcolor.recoloring import Recoloring, count_colors, dominant_colors, recoloring, recoloring_of_palette
from medcolor.scan import MODALITIES, to_slices
from medcolor.vision import Deficiency, parse_cvd, separability, simulate
from medcolor.windowing import display_gray

EYES = ["protan", "deutan", "tritan"]


def spots(colors: object, *, seed: int = 0, count: int = 400, width: float = 2.0) -> np.ndarray:
    """Colours around some centres."""
    generator = np.random.default_rng(seed)
    centers = np.asarray(colors, float)
    return np.concatenate([center + generator.normal(0, width, (count, 2)) for center in centers])


def of_palette(family: str, eye: str) -> Recoloring:
    found = recoloring_of_palette(load_palette(family, "contrast"), eye)
    assert found is not None
    return found


@pytest.mark.parametrize("eye", EYES)
@pytest.mark.parametrize("family", MODALITIES)
def test_classes_of_a_learned_palette_come_apart_as_the_palette_s_own(family: str, eye: str) -> None:
    palette = load_palette(family, "contrast")
    moved = with_cvd(palette, eye)
    to = recoloring_of_palette(palette, eye)
    if moved.sha256 == palette.sha256:
        assert to is None
        return
    assert to is not None
    kind, severity = parse_cvd(eye)
    before, after = (separability(ab, kind, severity).min() for ab in (palette.ab, to(palette.ab)))
    own = separability(moved.ab, kind, severity).min()
    assert after > before - 0.5
    assert after > own - 2.5  # to the nearest node, and each colour pulls at the others a little


@pytest.mark.parametrize("eye", EYES)
def test_tissues_of_a_picture_are_told_apart_better_by_that_eye_at_the_same_gray(eye: str) -> None:
    """On a phantom, coloured as a network would that learned the palette perfectly, and seen as the eye sees it."""
    scan = phantom.scan("MR", shape=(96, 112, 4))
    posteriors, palette = tissue.fit(scan).posteriors(slice(None)), load_palette("MR", "contrast")
    weights = posteriors**2
    ab = np.einsum("knji,kc->njic", weights, palette.ab) / weights.sum(axis=0)[..., None]
    gray = np.ascontiguousarray(to_slices(display_gray(scan)))
    to = of_palette("MR", eye)
    pictures = [apply_color(gray, ab), apply_color(gray, to(ab))]
    for rgb in pictures:
        np.testing.assert_array_equal(restore_gray(rgb), gray)
    labels = posteriors.argmax(axis=0)
    figures = []
    for rgb in pictures:
        seen = rgb_to_lab(simulate(rgb, Deficiency(eye)) / 255)
        # the mean colour of each class at one lightness, so that lightness does not tell them apart
        means = [np.array([50, *seen[labels == k][:, 1:].mean(axis=0)]) for k in range(1, len(palette.classes))]
        figures.append(min(float(delta_e_2000(p, q)) for p, q in itertools.pairwise(means)))
    assert figures[1] > figures[0] + 0.5


@given(st.integers(0, 10_000), st.sampled_from(EYES))
@settings(deadline=None, max_examples=6)
def test_gray_is_gray_and_colours_as_a_whole_stay_colours(seed: int, eye: str) -> None:
    generator = np.random.default_rng(seed)
    centers = generator.uniform(-60, 60, (5, 2))
    found = recoloring(count_colors(spots(centers, seed=seed)), eye)
    if found is None:
        return
    np.testing.assert_array_equal(found(np.zeros((7, 2))), 0)
    assert np.isfinite(found.table).all()
    chroma = np.hypot(*found(centers).T)  # one alone may come near gray, to be told from its neighbour
    assert chroma.mean() > 0.2 * np.hypot(*centers.T).mean()


def test_severity_zero_and_a_single_colour_change_nothing() -> None:
    counts = count_colors(spots([[40, 10], [-30, 20], [10, -50]]))
    assert recoloring(counts, "deutan:0") is None
    assert recoloring(count_colors(spots([[40, 10]])), "deutan") is None
    assert recoloring(count_colors(np.zeros((9, 2))), "deutan") is None
    assert recoloring_of_palette(load_palette("CT", "contrast"), "protan:0") is None


@pytest.mark.parametrize("eye", [*EYES, "deutan:0.6"])
def test_the_dominant_colours_come_apart_in_the_order_in_which_the_eye_sees_them(eye: str) -> None:
    found = recoloring(count_colors(spots([[45, 25], [-35, 30], [10, -45], [5, 50], [30, -10]])), eye)
    assert found is not None
    kind, severity = parse_cvd(eye)
    before, after = (separability(ab, kind, severity).min() for ab in (found.colors, found.moved))
    assert after > before + 1
    assert np.abs(found(found.colors) - found.moved).max() < 4


def test_a_paler_shade_becomes_the_paler_shade_of_what_its_colour_became() -> None:
    to = of_palette("CT", "deutan")
    hue_of = lambda ab: np.arctan2(ab[:, 1], ab[:, 0])  # noqa: E731
    full = to.colors
    turned = (hue_of(to(full)) - hue_of(to(0.6 * full)) + np.pi) % (2 * np.pi) - np.pi
    assert np.median(np.abs(turned)) < 0.35
    assert (np.hypot(*to(0.6 * full).T) < np.hypot(*to(full).T) + 1).all()


def test_neighbouring_colours_stay_neighbours() -> None:
    """No pair of adjacent nodes outside the gray middle is torn apart: no edge appears where none was."""
    to = of_palette("CT", "protan")
    side = round(len(to.table) ** 0.5)
    plane = to.table.reshape(side, side, 2).astype(float)
    axis = np.arange(side) - side // 2
    inside = np.hypot(*np.meshgrid(axis, axis, indexing="ij")) < 80
    for shift in (1, 0):
        steps = np.hypot(*np.moveaxis(np.diff(plane, axis=1 - shift), -1, 0))
        both = inside[1:] & inside[:-1] if shift else inside[:, 1:] & inside[:, :-1]
        assert steps[both].max() < 25
        assert np.median(steps[both]) < 3


def test_dominant_colours_are_found_where_colours_are_and_rare_ones_count() -> None:
    centers = np.array([[50.0, 20], [-40, 30], [0, -60]])
    common, rare = spots(centers, count=5000), spots([[-20.0, -30]], count=60)
    found = dominant_colors(count_colors(np.concatenate([common, rare, np.zeros((50_000, 2))])))
    wanted = np.concatenate([centers, [[-20, -30]]])
    nearest = np.sqrt(((wanted[:, None] - found[None]) ** 2).sum(axis=-1)).min(axis=1)
    assert nearest.max() < 3
    assert len(found) == 4
    assert len(dominant_colors(count_colors(spots(np.random.default_rng(1).uniform(-60, 60, (30, 2)))))) <= 8


def test_it_is_the_same_every_time_and_applied_by_a_table() -> None:
    counts = count_colors(spots([[40, 10], [-30, 20], [10, -50]]))
    first, second = recoloring(counts, "tritan"), recoloring(counts, "tritan")
    assert first is not None
    assert second is not None
    np.testing.assert_array_equal(first.table, second.table)
    ab = np.random.default_rng(2).uniform(-120, 120, (50, 60, 2)).astype(np.float32)
    np.testing.assert_array_equal(first(ab), first.table[ab_index(ab)])
    assert first(np.full((2, 2), np.nan)).tolist() == [[0, 0], [0, 0]]


@pytest.mark.parametrize(
    ("spec", "error"),
    [
        ("deuter", UnknownColorizerError),
        ("deutan:2", PaletteError),
        ("deutan:x", PaletteError),
        ("", UnknownColorizerError),
    ],
)
def test_an_eye_that_is_none_is_refused(spec: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        recoloring(count_colors(np.zeros((1, 2))), spec)
