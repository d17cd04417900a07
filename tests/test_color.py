"""The colour law: whatever the colour, the gray comes back."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from medcolor import cielab, color, color_law, color_table
from medcolor.vision import Deficiency, compensate, simulate

STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
GRAYS = np.arange(256, dtype=np.uint8)
CHANNELS = np.arange(256) / 255
LINEAR = np.where(CHANNELS <= 0.04045, CHANNELS / 12.92, ((CHANNELS + 0.055) / 1.055) ** 2.4)


def law(red, green, blue):
    """The law as it is written, in float64 and nothing else: the oracle."""
    Y = 0.2126 * LINEAR[red] + 0.7152 * LINEAR[green] + 0.0722 * LINEAR[blue]
    encoded = np.where(Y <= 0.0031308, 12.92 * Y, 1.055 * Y ** (1 / 2.4) - 0.055)
    return np.rint(255 * encoded).astype(np.uint8)


def law_of(rgb):
    return law(rgb[..., 0], rgb[..., 1], rgb[..., 2])


def unpack(table):
    return table & 255, table >> 8 & 255, table >> 16


def test_every_entry_of_the_table_reads_back_as_its_gray():
    table = color.law_table()
    assert table.shape == (color_table.NODES, color_table.NODES, 256)
    for gray in range(256):  # 12 million colours: with these, the law holds for all (a*, b*) there are
        assert (law(*unpack(table[..., gray])) == gray).all()


def test_the_oracle_would_see_a_single_entry_that_is_one_level_off():
    broken = color.law_table()[..., 100].copy()
    broken[7, 9] += 256  # one step of green
    assert (law(*unpack(broken)) != 100).sum() == 1


def test_restore_gray_is_exact_for_all_triples_and_none_lies_on_a_border():
    blue = np.arange(256)
    borders = color_law.gray_thresholds()
    nearest = np.inf
    for red in range(256):
        triples = np.empty((256, 256, 3), dtype=np.uint8)
        triples[..., 0], triples[..., 1], triples[..., 2] = red, blue[:, None], blue
        np.testing.assert_array_equal(color.restore_gray(triples), law_of(triples))
        Y = (0.2126 * LINEAR[red] + 0.7152 * LINEAR[:, None] + 0.0722 * LINEAR).ravel()
        above = np.searchsorted(borders, Y)
        gap = np.minimum(np.abs(borders[np.minimum(above, 254)] - Y), np.abs(borders[np.maximum(above - 1, 0)] - Y))
        nearest = min(nearest, gap.min())
    assert nearest > 1e-11  # ten thousand times the rounding of float64: no machine can disagree


@pytest.mark.parametrize("strength", STRENGTHS)
def test_law_holds_for_all_grays_and_50_000_colors_at_every_strength_and_for_every_deficiency(strength):
    rng = np.random.default_rng(int(strength * 100))
    ab = rng.uniform(-130, 130, (50_176, 2)).astype(np.float32)
    palette = rng.uniform(-80, 80, (8, 2))
    options = [(d, severity) for d in Deficiency for severity in (0.5, 1.0)]
    safe = np.concatenate([compensate(palette, d, severity) for d, severity in options])
    ab[: len(safe)] = safe
    rgb = np.empty((len(ab), 3), dtype=np.uint8)
    for gray in GRAYS:
        color.apply_color(np.full(len(ab), gray), ab, strength=strength, out=rgb)
        assert (law_of(rgb) == gray).all()
        if strength == 0:
            assert (rgb == gray).all()


def test_law_is_broken_by_what_it_forbids():
    gray = np.full(1000, 120, np.uint8)
    ab = np.random.default_rng(0).uniform(-100, 100, (1000, 2))
    lab = np.column_stack([np.full(1000, cielab.gray_to_lightness()[120]), ab])
    clipped = np.rint(255 * np.clip(cielab.lab_to_rgb(lab), 0, 1)).astype(np.uint8)
    assert (law_of(clipped) != gray).mean() > 0.5
    simulated = simulate(color.apply_color(gray, ab), Deficiency.DEUTAN)
    assert (color.restore_gray(simulated) != gray).any()


numbers = st.floats(width=32) | st.floats(-130, 130, width=32)


@given(
    hnp.arrays(np.uint8, 40),
    hnp.arrays(np.float32, (40, 2), elements=numbers),
    st.floats(0, 1),
)
def test_law_holds_for_any_numbers_nan_and_infinity_included(gray, ab, strength):
    rgb = color.apply_color(gray, ab, strength=strength)
    np.testing.assert_array_equal(law_of(rgb), gray)
    np.testing.assert_array_equal(color.restore_gray(rgb), gray)
    broken = ~np.isfinite(ab).all(axis=1)
    np.testing.assert_array_equal(rgb[broken], np.repeat(gray[broken, None], 3, axis=1))


@given(hnp.arrays(np.uint8, 30), hnp.arrays(np.float32, (30, 2), elements=numbers), st.floats(0, 1))
@settings(deadline=None)
def test_torch_gives_the_same_bytes_as_numpy(gray, ab, strength):
    import torch

    theirs = color.apply_color_torch(torch.from_numpy(gray), torch.from_numpy(ab), strength=strength)
    np.testing.assert_array_equal(theirs.numpy(), color.apply_color(gray, ab, strength=strength))


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_torch_gives_the_same_bytes_for_a_million_pixels(device):
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device here")
    rng = np.random.default_rng(5)
    gray = rng.integers(0, 256, (4, 512, 512), dtype=np.uint8)
    ab = rng.uniform(-120, 120, (4, 512, 512, 2)).astype(np.float32)
    theirs = color.apply_color_torch(torch.from_numpy(gray).to(device), torch.from_numpy(ab).to(device), strength=0.7)
    assert theirs.cpu().numpy().tobytes() == color.apply_color(gray, ab, strength=0.7).tobytes()


def test_color_is_the_wanted_one_shrunk_into_the_gamut_up_to_the_grid_and_8_bits():
    rng = np.random.default_rng(6)
    gray = rng.integers(40, 250, 40_000).astype(np.uint8)
    ab = rng.uniform(-60, 60, (len(gray), 2))
    L = cielab.gray_to_lightness()[gray]
    wanted = np.column_stack([L, cielab.shrink_to_gamut(L, ab)])
    difference = cielab.delta_e_2000(cielab.rgb_to_lab(color.apply_color(gray, ab)), wanted)
    assert difference.mean() < 0.3
    assert np.quantile(difference, 0.99) < 0.8


def test_the_table_is_the_same_on_every_machine():
    digest = hashlib.sha256(color.law_table().astype("<u4").tobytes()).hexdigest()
    assert digest == "9609d7f1a664d771891054c8493c331a66edc4d9bde9a0e683d2ec83a5f26b87"


def test_table_is_read_only_and_one_for_the_process():
    assert color.law_table() is color.law_table()
    with pytest.raises(ValueError, match="read-only"):
        color.law_table()[0, 0, 0] = 1


def test_ab_index_is_the_place_in_the_table():
    ab = np.random.default_rng(7).uniform(-120, 120, (1000, 2))
    gray = np.arange(1000, dtype=np.uint8)
    packed = color.law_table().reshape(-1, 256)[color.ab_index(ab), gray]
    np.testing.assert_array_equal(np.stack(unpack(packed), axis=-1), color.apply_color(gray, ab))
    assert color.ab_index([0.0, 0.0]) == color_table.CENTER


def test_strength_multiplies_ab():
    ab = np.random.default_rng(8).uniform(-60, 60, (5000, 2)).astype(np.float32)
    gray = np.arange(5000, dtype=np.uint8)
    np.testing.assert_array_equal(color.apply_color(gray, ab, strength=0.5), color.apply_color(gray, ab / 2))


def annealed(posteriors, palette):
    squared = posteriors.astype(np.float64) ** 2
    return np.moveaxis(np.tensordot(palette.T, squared / squared.sum(axis=0), axes=1), 0, -1)


@pytest.fixture
def mixture():
    rng = np.random.default_rng(9)
    p = rng.dirichlet(np.full(10, 0.3), (3, 40, 37)).transpose(3, 0, 1, 2).astype(np.float32)
    return rng.integers(0, 256, (3, 40, 37), dtype=np.uint8), np.ascontiguousarray(p), rng.uniform(-60, 60, (10, 2))


def test_posteriors_give_the_annealed_mean_of_the_palette(mixture):
    gray, posteriors, palette = mixture
    rgb = color.color_from_posteriors(gray, posteriors, palette)
    reference = color.apply_color(gray, annealed(posteriors, palette))
    np.testing.assert_array_equal(law_of(rgb), gray)
    differs = (rgb != reference).any(axis=-1)
    assert differs.mean() < 1e-3  # the last bit of float32 beside a border of the grid
    sharp = np.zeros_like(posteriors)
    sharp[4] = 1
    np.testing.assert_array_equal(
        color.color_from_posteriors(gray, sharp, palette),
        color.apply_color(gray, np.broadcast_to(palette[4], (*gray.shape, 2))),
    )


def test_blocks_give_the_bytes_of_the_whole_and_any_layout_of_posteriors_will_do(mixture):
    gray, posteriors, palette = mixture
    whole = color.color_from_posteriors(gray, posteriors, palette, strength=0.8)
    parts = [
        color.color_from_posteriors(gray[k : k + 1], posteriors[:, k : k + 1], palette, strength=0.8) for k in range(3)
    ]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    channel_last = np.moveaxis(np.ascontiguousarray(np.moveaxis(posteriors, 0, -1)), -1, 0)
    out = np.empty_like(whole)
    assert color.color_from_posteriors(gray, channel_last.astype(np.float64), palette, strength=0.8, out=out) is out
    np.testing.assert_array_equal(out, whole)


def test_posteriors_of_any_length_give_the_bytes_of_the_whole():
    rng = np.random.default_rng(12)
    gray, posteriors = rng.integers(0, 256, 70_001, dtype=np.uint8), rng.random((7, 70_001), dtype=np.float32)
    palette = rng.uniform(-90, 90, (7, 2))
    whole = color.color_from_posteriors(gray, posteriors, palette)
    for length in (1, 7, 64, 8191, 8193, 40_000):
        for first in (0, 13, 30_001):
            part = np.s_[first : first + length]
            np.testing.assert_array_equal(
                color.color_from_posteriors(gray[part], posteriors[:, part], palette), whole[part]
            )


def test_threads_of_the_caller_do_not_share_buffers():
    from concurrent.futures import ThreadPoolExecutor

    rng = np.random.default_rng(13)
    gray, posteriors = rng.integers(0, 256, 50_000, dtype=np.uint8), rng.random((5, 50_000), dtype=np.float32)
    palettes = rng.uniform(-60, 60, (8, 5, 2))
    alone = [color.color_from_posteriors(gray, posteriors, palette) for palette in palettes]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda palette: color.color_from_posteriors(gray, posteriors, palette), palettes))
    np.testing.assert_array_equal(together, alone)


def test_long_images_are_the_same_as_their_chunks():
    rng = np.random.default_rng(10)
    gray, ab = rng.integers(0, 256, 100_003, dtype=np.uint8), rng.uniform(-90, 90, (100_003, 2)).astype(np.float32)
    ab[70_000] = np.nan  # the slow path of one chunk must not change the others
    ab[99_000] = 1e30
    whole = color.apply_color(gray, ab)
    parts = [color.apply_color(gray[s : s + 999], ab[s : s + 999]) for s in range(0, gray.size, 999)]
    np.testing.assert_array_equal(whole, np.concatenate(parts))


@pytest.mark.parametrize("bad", [0.0, np.nan, np.inf, -np.inf, 1e-30, 1e30])
def test_pixels_without_usable_posteriors_are_gray_and_their_neighbors_are_not_touched(mixture, bad):
    gray, posteriors, palette = mixture
    before = color.color_from_posteriors(gray, posteriors, palette)
    posteriors[:, 1, 5, 6] = bad
    after = color.color_from_posteriors(gray, posteriors, palette)
    assert (after[1, 5, 6] == gray[1, 5, 6]).all()
    after[1, 5, 6] = before[1, 5, 6]
    np.testing.assert_array_equal(after, before)


def test_strength_0_is_the_gray_image(mixture):
    gray, posteriors, palette = mixture
    rgb = color.color_from_posteriors(gray, posteriors, palette, strength=0)
    np.testing.assert_array_equal(rgb, np.repeat(gray[..., None], 3, axis=-1))


def test_restore_gray_reads_any_layout():
    rgb = np.random.default_rng(11).integers(0, 256, (5, 33, 17, 3), dtype=np.uint8)
    for view in (rgb, rgb.transpose(2, 1, 0, 3), rgb[::2, ::-1], rgb[0, 0], rgb[0, 0, 0], rgb[:0], rgb[..., ::-1]):
        np.testing.assert_array_equal(color.restore_gray(view), law_of(view))
    assert color.restore_gray(rgb[0, 0, 0]).shape == ()


def test_empty_images_have_no_colors():
    assert color.apply_color(np.empty((0, 4), np.uint8), np.empty((0, 4, 2))).shape == (0, 4, 3)
    assert color.color_from_posteriors(np.empty(0, np.uint8), np.empty((2, 0)), np.zeros((2, 2))).shape == (0, 3)


GRAY = np.zeros((4, 5), np.uint8)
AB = np.zeros((4, 5, 2), np.float32)


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: color.apply_color(GRAY.astype(np.int16), AB), TypeError, "uint8"),
        (lambda: color.apply_color(GRAY, AB[..., 0]), ValueError, "shape"),
        (lambda: color.apply_color(GRAY, AB, strength=1.5), ValueError, "0..1"),
        (lambda: color.apply_color(GRAY, AB, strength=float("nan")), ValueError, "0..1"),
        (lambda: color.apply_color(GRAY, AB, out=np.empty((4, 5, 3))), ValueError, "out"),
        (lambda: color.apply_color(GRAY, AB, out=np.empty((3, 5, 4), np.uint8).T), ValueError, "out"),
        (lambda: color.color_from_posteriors(GRAY, np.ones((3, 4, 4)), np.zeros((3, 2))), ValueError, "posteriors"),
        (lambda: color.color_from_posteriors(GRAY, np.ones((3, 4, 5)), np.zeros((2, 2))), ValueError, "palette_ab"),
        (lambda: color.color_from_posteriors(GRAY, np.ones((0, 4, 5)), np.zeros((0, 2))), ValueError, "K >= 1"),
        (lambda: color.restore_gray(np.zeros((4, 3))), TypeError, "uint8"),
        (lambda: color.restore_gray(np.zeros((3, 4), np.uint8)), ValueError, "3"),
    ],
)
def test_wrong_input_is_refused_with_what_is_accepted(call, error, says):
    with pytest.raises(error, match=says):
        call()


def test_color_needs_no_torch():
    code = (
        "import sys, medcolor.color, medcolor.vision; print(sorted({'torch', 'scipy', 'skimage'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_gray_is_restored_alike_from_any_layout_in_memory() -> None:
    block = np.random.default_rng(4).integers(0, 256, (3, 5, 4, 3), dtype=np.uint8)
    expected = color.restore_gray(block)
    for order in ((0, 1, 2), (2, 1, 0), (1, 2, 0), (0, 2, 1)):
        view = block.transpose(*order, 3)
        np.testing.assert_array_equal(color.restore_gray(view), expected.transpose(order))
        np.testing.assert_array_equal(color.restore_gray(view[::2, ::-1]), expected.transpose(order)[::2, ::-1])
    np.testing.assert_array_equal(color.restore_gray(block[:0].transpose(2, 1, 0, 3)).shape, (4, 5, 0))
    one = np.broadcast_to(block[:1], (1, 5, 4, 3)).transpose(2, 1, 0, 3)
    np.testing.assert_array_equal(color.restore_gray(one), expected[:1].transpose(2, 1, 0))
