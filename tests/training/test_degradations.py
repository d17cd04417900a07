"""Degradations: nothing at level 0, what is promised above, more with the level, the same by seed; targets stay."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from medcolor import phantom
from medcolor.scan import GRAY_LEVEL, MODALITIES, to_slices
from medcolor.tissue import CLASSES
from medcolor.training import degradations as d
from medcolor.training.conditions import SEVERITIES, evaluation_table, training_degradations
from medcolor.training.views import CropOrPad, FieldOfView, Rotation
from medcolor.windowing import display_bounds

torch.set_num_threads(1)
WINDOW = (0.0, 100.0)
KINDS = (
    d.GaussianNoise, d.RicianNoise, d.PoissonNoise, d.Speckle, d.Gamma, d.Blur, d.BiasField, d.Resolution, d.Motion,
    d.MetalStreaks, d.ToneCurve, Rotation, FieldOfView,
)  # fmt: skip
STILL = [kind for kind in (*KINDS, d.LostUnits) if kind not in {Rotation, FieldOfView}]


def chance(seed=0):
    return np.random.RandomState(seed)


def picture(shape=(2, 40, 48), seed=1):
    """A smooth positive picture with edges, in the window."""
    y, x = np.mgrid[: shape[1], : shape[2]]
    base = 40 + 25 * np.sin(x / 5.0) + 15 * np.cos(y / 4.0)
    base[10:20, 12:30] = 90
    return torch.from_numpy(np.stack([base + 2 * n for n in range(shape[0])]).astype(np.float32))


def sample(family="CT", size=(32, 40), seed=0):
    rng = np.random.default_rng(seed)
    target = rng.random((len(CLASSES[family]), *size)).astype(np.float32)
    image = picture((2, *size))
    return {
        "image": image[:1], "neighbour": image[1:], "target": torch.from_numpy(target / target.sum(0)),
        "still": torch.ones(size), "window": torch.tensor(WINDOW), "units": "HU", "patient": "p", "family": family,
        "key": "a/0",
    }  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_level_zero_is_identity_and_a_copy(kind):
    image = picture()
    out = kind().apply(image, 0.0, window=WINDOW, chance=chance())
    assert torch.equal(out, image)
    assert out.data_ptr() != image.data_ptr()


@pytest.mark.parametrize("kind", [*KINDS, d.LostUnits])
def test_the_same_seed_gives_the_same_bytes_and_leaves_the_input(kind):
    image = picture()
    before = image.clone()
    level = 0.4
    first = kind().apply(image, level, window=WINDOW, chance=chance(3))
    second = kind().apply(image, level, window=WINDOW, chance=chance(3))
    assert torch.equal(first, second)
    assert torch.equal(image, before)
    assert first.dtype == torch.float32
    assert first.shape == image.shape
    assert torch.isfinite(first).all()


@pytest.mark.parametrize(
    "kind", [k for k in (*KINDS, d.LostUnits) if k not in {d.Gamma, d.Blur, d.Resolution, Rotation}]
)
def test_another_seed_gives_another_image(kind):
    image = picture()
    outs = [kind().apply(image, 0.4, window=WINDOW, chance=chance(seed)) for seed in (1, 2)]
    assert not torch.equal(*outs)


@pytest.mark.parametrize("kind", [k for k in KINDS if k is not FieldOfView])
def test_more_level_changes_more(kind):
    image = picture()
    levels = (0.1, 0.3, 0.6) if kind is not Rotation else (2.0, 6.0, 12.0)
    change = [
        float((kind().apply(image, level, window=WINDOW, chance=chance(5)) - image).square().mean()) for level in levels
    ]
    if kind in {d.Blur, d.Resolution, d.Motion}:
        change = [
            float((kind().apply(image, level, window=WINDOW, chance=chance(5)) - image).square().mean())
            for level in (0.7, 1.5, 2.5)
        ]
    assert 0 < change[0] < change[1] < change[2]


@settings(max_examples=20, deadline=None)
@given(st.sampled_from([0.02, 0.05, 0.1, 0.25]), st.floats(-500, 500), st.floats(10, 4000), st.integers(0, 99))
def test_gaussian_noise_has_the_promised_mean_and_variance(level, low, width, seed):
    image = torch.full((1, 100, 100), low + width / 2)
    noise = (d.GaussianNoise().apply(image, level, window=(low, low + width), chance=chance(seed)) - image).double()
    assert float(noise.std()) == pytest.approx(level * width, rel=0.05)
    assert abs(float(noise.mean())) < 0.05 * level * width


@pytest.mark.parametrize("level", [0.02, 0.05, 0.1])
def test_rician_noise_is_rayleigh_in_air_and_gaussian_in_strong_signal(level):
    sigma = 100 * level
    air = d.RicianNoise().apply(torch.zeros(1, 200, 200), level, window=WINDOW, chance=chance()).double()
    assert float(air.mean()) == pytest.approx(sigma * math.sqrt(math.pi / 2), rel=0.02)
    assert float(air.var()) == pytest.approx(sigma**2 * (2 - math.pi / 2), rel=0.04)
    bright = d.RicianNoise().apply(torch.full((1, 200, 200), 2000.0), level, window=WINDOW, chance=chance()).double()
    assert float(bright.std()) == pytest.approx(sigma, rel=0.02)
    assert air.min() >= 0


@pytest.mark.parametrize("level", [0.02, 0.05, 0.1])
def test_poisson_noise_has_the_variance_of_gaussian_noise_on_average_and_grows_with_the_signal(level):
    image = torch.cat([torch.full((1, 200, 100), 20.0), torch.full((1, 200, 100), 60.0)], dim=2)
    noise = (d.PoissonNoise().apply(image, level, window=WINDOW, chance=chance()) - image).double()
    weak, strong = noise[..., :100].var(), noise[..., 100:].var()
    assert float((weak + strong) / 2) == pytest.approx((100 * level) ** 2, rel=0.05)
    assert float(strong / weak) == pytest.approx(3, rel=0.1)
    assert abs(float(noise.mean())) < 0.02 * 100 * level
    empty = torch.zeros(1, 8, 8)
    assert torch.equal(d.PoissonNoise().apply(empty, level, window=WINDOW, chance=chance()), empty)


@pytest.mark.parametrize("level", [0.1, 0.25, 0.5])
def test_speckle_is_multiplicative_with_mean_one(level):
    image = torch.cat([torch.full((1, 200, 100), 20.0), torch.full((1, 200, 100), 60.0)], dim=2)
    factor = (d.Speckle().apply(image, level, window=WINDOW, chance=chance()) / image).double()
    assert float(factor.mean()) == pytest.approx(1, abs=0.01)
    assert float(factor[..., :100].std()) == pytest.approx(level, rel=0.04)
    assert float(factor[..., 100:].std()) == pytest.approx(level, rel=0.04)
    assert factor.min() >= 0


@settings(max_examples=20, deadline=None)
@given(st.sampled_from([0.8, 0.6, 0.5]), st.floats(-300, 300), st.floats(1, 3000))
def test_gamma_is_the_power_inside_the_window_keeps_its_ends_and_has_an_inverse(exponent, low, width):
    x = torch.linspace(low - width, low + 2 * width, 301)[None, None]
    out = d.Gamma().apply(x, math.log(exponent), window=(low, low + width), chance=chance())
    gray, changed = (x.double() - low) / width, (out.double() - low) / width
    inside = (gray > 1e-3) & (gray < 1 - 1e-3)
    torch.testing.assert_close(changed[inside], gray[inside] ** exponent, atol=2e-3, rtol=0)
    assert torch.equal(out[(gray <= -1e-3) | (gray >= 1 + 1e-3)], x[(gray <= -1e-3) | (gray >= 1 + 1e-3)])
    assert (out.diff() >= -1e-3 * width).all()
    back = d.Gamma().apply(out, -math.log(exponent), window=(low, low + width), chance=chance())
    torch.testing.assert_close(back, x, atol=5e-3 * width, rtol=0)


def test_blur_keeps_the_mean_and_has_the_promised_width():
    image = torch.zeros(1, 41, 41)
    image[0, 20, 20] = 1
    for sigma in (0.7, 1.5, 2.5):
        out = d.Blur().apply(image, sigma, window=WINDOW, chance=chance()).double()
        assert float(out.sum()) == pytest.approx(1, abs=1e-4)
        x = torch.arange(41.0) - 20
        assert float((out[0].sum(0) * x**2).sum()) == pytest.approx(sigma**2, rel=0.05)


@pytest.mark.parametrize("level", [0.1, 0.25, 0.5])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_shading_is_smooth_the_same_for_all_slices_and_reaches_its_level(level, seed):
    image = torch.full((2, 50, 60), 10.0)
    factor = d.BiasField().apply(image, level, window=WINDOW, chance=chance(seed)) / image
    assert float((factor - 1).abs().max()) == pytest.approx(level, rel=1e-4)
    assert torch.equal(factor[0], factor[1])
    assert factor[0].diff(dim=0).abs().max() < 0.5 * level
    assert factor.min() > 0


def test_lost_units_are_whole_gray_levels_of_the_window():
    image = torch.linspace(-50, 150, 201)[None, None]
    out = d.LostUnits().apply(image, 0.0, window=WINDOW, chance=chance())
    expected = np.rint(255 * np.clip(image.numpy() / 100, 0, 1))
    np.testing.assert_array_equal(out.numpy(), expected)
    before = sample()
    after = d.LostUnits(0.3)(before)
    assert after["units"] == GRAY_LEVEL
    assert after["window"].tolist() == [0, 255]
    assert before["units"] == "HU"
    for key in d.IMAGES:
        assert torch.equal(after[key], after[key].round())
        assert after[key].min() >= 0
        assert after[key].max() <= 255


@pytest.mark.parametrize("kind", STILL)
def test_targets_are_untouched_by_what_does_not_move_the_image(kind):
    before = sample()
    transform = kind(0.4)
    transform.set_random_state(seed=1)
    after = transform(before)
    assert after["target"] is before["target"]
    assert after["still"] is before["still"]
    assert after["patient"] == "p"
    assert not torch.equal(after["image"], before["image"])
    assert not torch.equal(after["neighbour"], before["neighbour"])


@pytest.mark.parametrize("transform", [Rotation(12.0), FieldOfView(0.3), CropOrPad((24, 56)), CropOrPad((50, 20))])
def test_what_moves_the_image_moves_the_target_alike(transform):
    """The target here is a function of the image, and still is one after both moved, up to half a pixel's gradient."""
    moved = sample("MR", (48, 48))
    y, x = np.mgrid[:48, :48]
    share = torch.from_numpy((np.exp(-((x - 20) ** 2 + (y - 26) ** 2) / 120)).astype(np.float32))
    moved["target"] = torch.zeros(6, 48, 48)
    moved["target"][0], moved["target"][3] = 1 - share, share
    moved["image"], moved["neighbour"] = 50 * share[None], 20 * share[None]
    transform.set_random_state(seed=4)
    after = transform(moved)
    torch.testing.assert_close(after["target"].sum(0), torch.ones(after["target"].shape[1:]))
    near = 0.05 if isinstance(transform, CropOrPad) else 4.0  # pixels are mixed, tissues are not: half a pixel apart
    torch.testing.assert_close(after["image"][0], 50 * after["target"][3], atol=near, rtol=0)
    torch.testing.assert_close(after["neighbour"][0], 20 * after["target"][3], atol=near, rtol=0)
    assert after["still"].shape == after["image"].shape[1:]
    assert set(after["still"].unique().tolist()) <= {0.0, 1.0}


def test_a_rotation_turns_by_its_angle_in_pixels():
    image = torch.zeros(1, 61, 121)
    image[0, 30, 90] = 1
    out = Rotation().apply(image, 90.0, window=WINDOW, chance=chance())
    assert np.argwhere(out[0].numpy() > 0.5).tolist() in ([[0, 60]], [[60, 60]])


def test_crops_come_from_everywhere_and_padding_is_outside():
    crop = CropOrPad((16, 16))
    image = torch.arange(32.0 * 40).reshape(1, 32, 40)
    corners = {float(crop(image).min()) for _ in range(30)}
    assert len(corners) > 10
    padded = CropOrPad((64, 64), centered=True)(sample())
    assert (padded["target"][0, :10] == 1).all()
    assert (padded["target"].sum(0) - 1).abs().max() < 1e-5
    assert float(padded["image"].min()) == float(sample()["image"].min())


@pytest.mark.parametrize("kind", KINDS)
def test_every_degradation_is_a_transform_on_bare_tensors_too(kind):
    transform = kind(prob=1.0, window=WINDOW)
    transform.set_random_state(seed=2)
    first = transform(picture())
    transform.set_random_state(seed=2)
    assert torch.equal(first, transform(picture()))
    assert torch.equal(kind(prob=0.0)(picture()), picture())


def test_a_level_must_be_a_number_or_a_range():
    for bad in ((0.5, 0.1), (0.0, math.nan), math.inf):
        with pytest.raises(ValueError, match="level"):
            d.Blur(bad)


@pytest.mark.parametrize("family", MODALITIES)
def test_the_evaluation_table_is_the_agreed_one(family):
    table = evaluation_table(family)
    levels = {name: [c.level for c in table if c.name == name] for name in dict.fromkeys(c.name for c in table)}
    assert levels["noise"] == ([0.1, 0.25, 0.5] if family == "US" else [0.02, 0.05, 0.1])
    np.testing.assert_allclose(np.exp(levels["gamma"]), [0.8, 0.6, 0.5])
    np.testing.assert_allclose(np.exp(levels["inverse_gamma"]), [1 / 0.8, 1 / 0.6, 2])
    assert levels["blur"] == [0.7, 1.5, 2.5]
    assert levels.get("shading") == ([0.1, 0.25, 0.5] if family in {"MR", "US"} else None)
    assert ("lost_units" in levels) == (family == "CT")
    kind = {"MR": d.RicianNoise, "PT": d.PoissonNoise, "NM": d.PoissonNoise, "US": d.Speckle}
    assert type(table[0].degradation) is kind.get(family, d.GaussianNoise)
    assert [c.severity for c in table if c.name == "blur"] == list(SEVERITIES)


@pytest.mark.parametrize("family", MODALITIES)
def test_a_condition_gives_physics_and_network_the_same_input(family):
    scan = phantom.scan(family, shape=(40, 48, 2))
    for condition in evaluation_table(family):
        found = condition.on_scan(scan, key="x")
        again = condition.on_scan(scan, key="x")
        np.testing.assert_array_equal(found.voxels, again.voxels)
        assert found.shape == scan.shape
        image = torch.from_numpy(to_slices(scan.voxels).astype(np.float32))
        direct = condition.on_image(image, window=display_bounds(scan), key="x").numpy()
        np.testing.assert_array_equal(to_slices(found.voxels).astype(np.float32), direct)
        if condition.name == "lost_units":
            assert (found.units, found.voxels.dtype) == (GRAY_LEVEL, np.uint8)
        else:
            assert found.units == scan.units
            assert display_bounds(found) == pytest.approx(display_bounds(scan))


def test_chance_belongs_to_the_line_and_the_image():
    line, other = evaluation_table("CT")[:2]
    first = line.on_sample(sample())
    assert torch.equal(line.on_sample(sample())["image"], first["image"])
    assert not torch.equal(line.on_sample(sample() | {"key": "a/1"})["image"], first["image"])
    assert line.chance("a").randint(2**31) != other.chance("a").randint(2**31)


@pytest.mark.parametrize("family", MODALITIES)
def test_training_degradations_repeat_by_seed_and_keep_posteriors(family):
    transform = training_degradations(family)
    seen = []
    for seed in (1, 1, 2):
        transform.set_random_state(seed=seed)
        seen.append(transform(sample(family)))
        torch.testing.assert_close(seen[-1]["target"].sum(0), torch.ones(32, 40))
        assert torch.isfinite(seen[-1]["image"]).all()
    assert torch.equal(seen[0]["image"], seen[1]["image"])
    assert torch.equal(seen[0]["target"], seen[1]["target"])
    assert not torch.equal(seen[0]["image"], seen[2]["image"])
    clean = training_degradations(family, strength=0.0)(sample(family))
    assert torch.equal(clean["image"], sample(family)["image"])


def test_training_degradations_refuse_what_they_do_not_know():
    with pytest.raises(ValueError, match="family"):
        training_degradations("OT")
    with pytest.raises(ValueError, match="strength"):
        training_degradations("CT", strength=2.0)


@pytest.mark.parametrize("inverted", [0, 1])
def test_what_comes_in_from_beyond_the_image_is_dark_in_either_polarity(inverted: int) -> None:
    values = torch.linspace(1, 2, 400).reshape(1, 20, 20)
    sample = {"image": values, "target": torch.ones(2, 20, 20) / 2, "inverted": inverted}
    moved = Rotation(45.0)(sample)["image"]
    assert float(moved[0, 0, 0]) == (2 if inverted else 1)


def test_values_that_stand_for_the_volume_change_with_the_image_and_not_with_its_shape() -> None:
    sample = {"image": torch.rand(1, 16, 16), "reference": torch.rand(8, 8), "window": torch.tensor([0.0, 1.0])}
    for kind in (d.GaussianNoise(0.1), d.Gamma(0.5), d.BiasField(0.3), d.LostUnits(0.2)):
        out = kind(dict(sample))
        assert out["reference"].shape == (8, 8)
        assert not torch.equal(out["reference"], sample["reference"]), kind
    for same in (d.Blur(1.0), Rotation(10.0), d.Motion(1.0)):
        assert torch.equal(same(dict(sample))["reference"], sample["reference"]), same
    lost = d.LostUnits(0.2)(sample | {"reference": sample["image"][0]})
    assert torch.equal(lost["reference"], lost["image"][0]), "by the same window"


@given(seed=st.integers(0, 2**31), level=st.floats(0.01, 2.0))
def test_a_tone_curve_keeps_the_order_of_values_and_the_ends_of_the_window(seed, level):
    x = torch.linspace(-50, 250, 301)[None, None]
    bent = d.ToneCurve().apply(x, level, window=(0.0, 200.0), chance=np.random.RandomState(seed))
    assert (bent.diff() >= -1e-3).all()
    torch.testing.assert_close(bent[0, 0, [50, 250]], torch.tensor([0.0, 200.0]), atol=1e-2, rtol=0)
    torch.testing.assert_close(bent[0, 0, [0, 300]], torch.tensor([-50.0, 250.0]), atol=1e-2, rtol=0)
