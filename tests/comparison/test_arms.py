"""What segmenters are shown: the gray in every arm, colour that a display can show, controls that know nothing."""

from __future__ import annotations

import numpy as np
import pytest

from medcolor.cielab import lab_to_rgb
from medcolor.color import restore_gray
from medcolor.comparison.arms import ARMS, is_control, load_arm, with_pictures
from medcolor.comparison.controls import BLUR, REACH, blurred, position, shuffled, smooth
from medcolor.comparison.grid import on_grid
from medcolor.comparison.learned_augmentation import variant
from medcolor.comparison.phantoms import phantom_task
from medcolor.comparison.renders import lightness, shown
from medcolor.errors import BundleError, SettingError, UnknownColorizerError
from medcolor.io import write
from medcolor.scan import Scan, from_slices
from medcolor.windowing import display_gray

TASK = phantom_task("phantom:MR")
LAWFUL = ("physics", "tissue")
GRAYS = ("gray", "gray_again", "gray3", "init_selfsupervised", "init_colorizer", "colorizer_as_segmenter")


@pytest.fixture(scope="module")
def scan() -> Scan:
    return on_grid(TASK.subjects("test")[0], 64).scan


def rendered(name: str, scan: Scan, seed: int = 0) -> np.ndarray:
    return load_arm(name, TASK).render(scan, np.random.default_rng(seed))


@pytest.mark.parametrize("name", LAWFUL)
def test_the_gray_comes_back_from_every_colour_that_claims_it(name: str, scan: Scan) -> None:
    rgb = np.rint(255 * lab_to_rgb(100.0 * rendered(name, scan).transpose(0, 2, 3, 1).astype(np.float64)))
    assert np.array_equal(from_slices(restore_gray(rgb.astype(np.uint8))), display_gray(scan))
    assert np.abs(rendered(name, scan)[:, 1:]).max() > 0.05


@pytest.mark.parametrize("name", [*GRAYS, "smooth", "position", "shuffled", "posterior"])
def test_lightness_comes_first_and_is_that_of_the_display(name: str, scan: Scan) -> None:
    arm, light = load_arm(name, TASK), lightness(scan)
    out = rendered(name, scan)
    assert out.shape == (scan.shape[2], arm.channels, 64, 64)
    assert out.dtype == np.float32
    tolerance = 0.01 if name == "shuffled" else 0  # 8-bit colour: its lightness is within a rounding of the gray's
    for channel in range(arm.gray_channels):
        assert np.abs(out[:, channel] - light).max() <= tolerance


def test_what_is_shown_is_cielab_of_eight_bits() -> None:
    rgb = np.array([[[[255, 0, 0], [0, 0, 0]], [[255, 255, 255], [0, 0, 255]]]], np.uint8).transpose(2, 1, 0, 3)
    lab = shown(rgb)
    np.testing.assert_allclose(lab[:, 0].reshape(-1) * 100, [53.24, 0, 100, 32.3], atol=0.02)
    np.testing.assert_allclose(lab[0, 1:, 0, 0] * 100, [80.09, 67.2], atol=0.05)


def test_shuffling_keeps_each_colour_and_no_place(scan: Scan) -> None:
    colored, moved = rendered("tissue", scan), rendered("shuffled", scan, seed=3)
    for before, after in zip(colored, moved, strict=True):
        pairs = [np.sort(part[1] * 1000 + part[2], axis=None) for part in (before, after)]
        np.testing.assert_array_equal(*pairs)
    together = np.corrcoef(colored[:, 1].reshape(-1), moved[:, 1].reshape(-1))[0, 1]
    assert abs(together) < 0.1
    assert np.array_equal(colored[:, 0], moved[:, 0])
    assert not np.array_equal(moved, rendered("shuffled", scan, seed=4))


def test_shuffling_leaves_what_is_no_image_alone() -> None:
    there = np.zeros((1, 6, 6), bool)
    there[:, 2:] = True
    image = np.random.default_rng(0).random((1, 3, 6, 6), np.float32)
    out = shuffled(image, there, np.random.default_rng(1))
    assert np.array_equal(out[:, :, :2], image[:, :, :2])


def test_position_depends_on_the_place_alone() -> None:
    rng = np.random.default_rng(0)
    one, other = (position(rng.random((2, 3, 9, 7), np.float32)) for _ in range(2))
    assert np.array_equal(one[:, 1:], other[:, 1:])
    assert np.unique(one[0, 1:].reshape(2, -1), axis=1).shape[1] == 63
    assert (one[:, 1:].min(), one[:, 1:].max()) == (-REACH, REACH)


def test_blurred_keeps_the_gray_and_adds_what_a_gaussian_makes_of_it(scan: Scan) -> None:
    from skimage.filters import gaussian

    arm, light = load_arm("blurred", TASK), lightness(scan)
    out = rendered("blurred", scan)
    assert arm.control
    assert out.shape[1] == arm.channels == 2
    assert np.array_equal(out[:, 0], light)
    for slice_, seen in zip(light, out[:, 1], strict=True):
        np.testing.assert_allclose(seen, gaussian(slice_, BLUR, mode="nearest"), atol=1e-5)
    point = np.zeros((1, 3, 33, 33), np.float32)
    point[0, 0, 16, 16] = 1
    assert blurred(point)[0, 1].sum() == pytest.approx(1, abs=1e-3)


def test_smooth_chroma_is_smooth_random_and_blind() -> None:
    image = np.random.default_rng(0).random((2, 3, 64, 64), np.float32)
    out = smooth(image, np.random.default_rng(5))
    assert np.abs(np.diff(out[:, 1:], axis=-1)).max() < 0.06
    assert np.array_equal(out[:, 1:], smooth(np.zeros_like(image), np.random.default_rng(5))[:, 1:])
    assert not np.array_equal(out[0, 1:], out[1, 1:])


@pytest.mark.parametrize(
    ("spec", "recolored", "dropout"),
    [
        ("tissue", False, 0),
        ("tissue+recolor", True, 0),
        ("physics+drop=0.3", False, 0.3),
        ("lut+recolor+drop=.5", True, 0.5),
    ],
)
def test_modifiers_change_the_training_and_not_the_picture(
    spec: str, recolored: bool, dropout: float, scan: Scan
) -> None:
    arm = load_arm(spec, TASK)
    assert (arm.name, arm.recolored, arm.chroma_dropout) == (spec, recolored, dropout)
    assert np.array_equal(rendered(spec, scan), rendered(spec.partition("+")[0], scan))
    assert is_control(spec) == is_control(spec.partition("+")[0])


@pytest.mark.parametrize(
    ("spec", "error", "said"),
    [
        ("tissue+blur", SettingError, "no modifier"),
        ("gray+drop=0.5", SettingError, "chroma"),
        ("tissue+drop=2", SettingError, "below 1"),
        ("auto", SettingError, "name the colorizer"),
        ("rgb:nowhere", SettingError, "no folder"),
        ("unheard", BundleError, "no bundle"),
        ("lut:unheard", UnknownColorizerError, "unheard"),
    ],
)
def test_what_is_no_arm_is_refused(spec: str, error: type[Exception], said: str, scan: Scan) -> None:
    with pytest.raises(error, match=said):
        load_arm(spec, TASK).render(scan, np.random.default_rng(0))


def test_every_arm_says_what_it_is_and_gray_is_a_control() -> None:
    assert {"gray", "gray_again", "gray3", "shuffled", "smooth", "position", "blurred"} <= {
        n for n in ARMS if is_control(n)
    }
    assert not any(map(is_control, ("tissue", "physics", "lut", "rgb:somewhere", "my_bundle")))


def test_rgb_volumes_that_somebody_brings_are_an_arm(scan: Scan, tmp_path) -> None:
    from medcolor.colorizers import load_colorizer

    painted = load_colorizer("physics", palette="contrast")(scan)
    write(painted, tmp_path / "MR test 0.nii.gz")
    arm = load_arm(f"rgb:{tmp_path}", TASK)
    out = arm.render(with_pictures(arm, "MR test 0", scan), np.random.default_rng(0))
    assert np.array_equal(out, rendered("physics", scan))
    with pytest.raises(SettingError, match="each needs one"):
        with_pictures(arm, "somebody else", scan)


def test_a_brightened_scan_is_brighter_and_keeps_its_window(scan: Scan) -> None:
    rng = np.random.default_rng(2)
    before = lightness(scan)
    middle = (before > 0.3) & (before < 0.6)
    for _ in range(5):
        state = rng.bit_generator.state
        gain, offset = 1 + 0.2 * rng.uniform(-1, 1), 0.1 * rng.uniform(-1, 1)
        rng.bit_generator.state = state
        after = lightness(variant(scan, rng))
        np.testing.assert_allclose(after[middle], gain * (before[middle] - 0.5) + 0.5 + offset, atol=0.02)
