"""Welsh 2002: the features, the nearest sample, and what references and swatches make of it."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from medcolor import phantom
from medcolor.bundles import load_bundle, write_bundle
from medcolor.cielab import rgb_to_lab
from medcolor.color import restore_gray
from medcolor.colorizers import load_colorizer
from medcolor.colorizers.chroma import ChromaColorizer
from medcolor.colorizers.point_hints import Hint
from medcolor.networks import Normalization
from medcolor.networks.welsh import LEVELS, STEPS, Welsh, level_means, sampled, spread
from medcolor.palettes import load_palette
from medcolor.scan import to_slices
from medcolor.training.datasets import Case, Loaded, TissueDataset
from medcolor.training.recipe import read_recipe
from medcolor.training.welsh_samples import fit, spread_over_patients
from medcolor.windowing import display_gray


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def with_samples(rows: object) -> Welsh:
    samples = torch.as_tensor(rows, dtype=torch.float32)
    network = Welsh(samples=len(samples))
    network.set_samples(samples)
    return network.eval()


def random_samples(seed: int, count: int = 64) -> torch.Tensor:
    scale = torch.tensor([100.0, 30.0, 100.0, 100.0])
    return torch.rand(count, 4, generator=torch.Generator().manual_seed(seed)) * scale


def colors(network: Welsh, lightness: np.ndarray) -> np.ndarray:
    gray = torch.as_tensor(lightness, dtype=torch.float32)[None, None] / 50 - 1
    with torch.inference_mode():
        return network(gray).ab[0].movedim(0, -1).numpy()


def test_the_spread_is_the_standard_deviation_of_25_pixels() -> None:
    lightness = np.random.default_rng(1).uniform(0, 100, (23, 31)).astype(np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(lightness, 2, mode="edge"), (5, 5))
    found = spread(torch.from_numpy(lightness)[None, None])[0, 0].numpy()
    np.testing.assert_allclose(found, windows.std(axis=(2, 3)), atol=1e-3)


def test_where_nothing_varies_the_spread_is_nearly_nothing() -> None:
    assert float(spread(torch.full((1, 1, 9, 9), 73.3)).max()) < 0.05


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000))
def test_the_sample_of_a_pixel_is_hardly_farther_than_its_nearest(seed: int) -> None:
    samples = random_samples(seed)
    samples[:, 2] = torch.arange(len(samples))  # a* names the sample
    lightness = np.random.default_rng(seed).uniform(0, 100, (40, 36)).astype(np.float32)
    chosen = colors(with_samples(samples), lightness)[..., 0].astype(int)
    wide = spread(torch.from_numpy(lightness)[None, None])[0, 0].numpy()
    gaps = np.sqrt(
        0.5 * (lightness[..., None] - samples[:, 0].numpy()) ** 2 + 0.5 * (wide[..., None] - samples[:, 1].numpy()) ** 2
    )
    taken = np.take_along_axis(gaps, chosen[..., None], axis=-1)[..., 0]
    step = 100 / (STEPS[0] - 1)
    assert step == 50 / (STEPS[1] - 1) == 0.25
    assert (taken - gaps.min(axis=-1)).max() <= 0.25 + 1e-2
    assert np.mean(chosen == gaps.argmin(axis=-1)) > 0.95


def test_lightness_and_texture_decide_as_the_paper_says() -> None:
    """Two tissues of one mean lightness, smooth and rough, and a lighter one: three samples tell them apart."""
    generator = np.random.default_rng(2)
    picture = np.full((60, 90), 40.0, np.float32)
    picture[:, 30:60] += generator.normal(0, 12, (60, 30))
    picture[:, 60:] = 80
    found = colors(with_samples([[40, 0, 10, 0], [40, 12, -10, 0], [80, 0, 0, 30]]), picture)
    np.testing.assert_array_equal(found[10:50, 5:25], np.broadcast_to([10, 0], (40, 20, 2)))
    np.testing.assert_array_equal(found[10:50, 65:85], np.broadcast_to([0, 30], (40, 20, 2)))
    assert np.mean(found[10:50, 35:55, 0] == -10) > 0.8


def test_other_weights_are_read_after_the_first_use() -> None:
    network = with_samples([[50, 0, 10, 20]])
    picture = np.full((16, 16), 50, np.float32)
    np.testing.assert_array_equal(colors(network, picture)[0, 0], [10, 20])
    network.load_state_dict({"samples": torch.tensor([[50.0, 0, -5, 6]])})
    np.testing.assert_array_equal(colors(network, picture)[0, 0], [-5, 6])


def test_samples_lie_one_in_each_cell_of_a_grid_and_are_those_of_the_picture() -> None:
    lightness = torch.arange(40.0).mul(2)[:, None].expand(40, 50)[None].contiguous()
    ab = torch.stack([torch.arange(40.0)[:, None].expand(40, 50), torch.arange(50.0)[None].expand(40, 50)])
    found = sampled(lightness, ab, 20, seed=3)
    assert len(found) == 25
    rows, columns = found[:, 2].reshape(5, 5), found[:, 3].reshape(5, 5)
    assert (rows.div(8, rounding_mode="floor") == torch.arange(5)[:, None]).all()
    assert (columns.div(10, rounding_mode="floor") == torch.arange(5)).all()
    torch.testing.assert_close(found[:, 0], 2 * found[:, 2])
    torch.testing.assert_close(sampled(lightness, ab, 20, seed=3), found)
    assert not torch.equal(sampled(lightness, ab, 20, seed=4), found)


def test_the_level_form_is_the_smoothed_mean_of_each_lightness() -> None:
    from scipy.ndimage import gaussian_filter1d

    lightness = torch.arange(LEVELS).repeat_interleave(4) * (100 / (LEVELS - 1))
    ab = torch.rand(len(lightness), 2, generator=torch.Generator().manual_seed(1)) * 80 - 40
    found = level_means(lightness, ab).numpy()
    means = ab.reshape(LEVELS, 4, 2).mean(dim=1).numpy()
    expected = gaussian_filter1d(means, 3, axis=0, truncate=20)
    np.testing.assert_allclose(found[40:-40], expected[40:-40], atol=1e-3)
    network = Welsh(form="level").eval()
    network.set_samples(torch.cat([lightness[:, None], torch.zeros(len(ab), 1), ab], dim=1))
    ramp = np.linspace(0, 100, LEVELS, dtype=np.float32)[None].repeat(16, axis=0)
    np.testing.assert_allclose(colors(network, ramp)[3], found, atol=1e-3)


def test_a_level_that_no_sample_has_takes_the_nearest() -> None:
    network = Welsh(form="level").eval()
    network.set_samples(torch.tensor([[20.0, 0, 10, -10]]))
    found = colors(network, np.linspace(0, 100, 64, dtype=np.float32)[None].repeat(16, axis=0))
    np.testing.assert_allclose(found, np.broadcast_to([10, -10], found.shape), atol=1e-3)


def test_a_reference_is_mapped_to_the_mean_and_spread_of_what_is_coloured() -> None:
    generator = torch.Generator().manual_seed(1)
    pictures = torch.rand(2, 3, 64, 64, generator=generator) * torch.tensor([50.0, 40, 40])[:, None, None]
    network = Welsh(samples=512).matched(pictures, mean=60.0, spread=10.0)
    assert network.samples.shape[0] >= 512
    light = network.samples[:, 0]
    assert abs(float(light.mean()) - 60) < 2
    assert abs(float(light.std()) - 10) < 1
    assert 6 < float(network.samples[:, 1].mean()) < 12  # texture is scaled with it


@pytest.mark.parametrize("form", ["samples", "level"])
def test_a_scan_gets_back_the_colours_it_gave(form: str, tmp_path: Path) -> None:
    """Reference and scan are the same: what lightness and texture can tell comes back."""
    scan = phantom.scan("US", shape=(120, 100, 1))
    given_colors = load_colorizer("physics", palette="contrast")(scan)
    empty = Welsh(samples=1024, form=form)
    folder = tmp_path / "us_welsh"
    write_bundle(
        folder,
        empty,
        family="US",
        network_config={"_target_": "medcolor.networks.welsh.Welsh", "samples": 1024, "form": form},
        normalization=Normalization("linear", 0, 255),
        description="nothing yet",
        method="welsh",
    )
    by = ChromaColorizer(load_bundle(folder, trust=True), device="cpu", reference=given_colors, check=False)
    colored = by(scan)
    assert np.count_nonzero(restore_gray(colored.rgb) != display_gray(scan)) == 0
    wanted, found = (rgb_to_lab(rgb[..., 0, :] / 255)[..., 1:] for rgb in (given_colors.rgb, colored.rgb))
    assert np.abs(found - wanted).mean() < 0.6 * np.abs(wanted).mean()
    assert by.bundle.network.samples.abs().max() == 0  # the bundle's own network is left alone


def test_hints_are_the_swatches_that_every_slice_is_coloured_by(tmp_path: Path) -> None:
    scan = phantom.scan("CT", shape=(64, 64, 4))
    write_bundle(
        tmp_path / "ct_welsh",
        with_samples(random_samples(1)),
        family="CT",
        network_config={"_target_": "medcolor.networks.welsh.Welsh", "samples": 64},
        normalization=Normalization("hu"),
        description="random samples",
        method="welsh",
    )
    hints = (Hint(2, 2, 0, ab=(0.0, 0.0)), Hint(32, 32, 2, tissue="fat"))
    by = ChromaColorizer(load_bundle(tmp_path / "ct_welsh", trust=True), device="cpu", hints=hints, check=False)
    ab = np.concatenate([part[1] for part in by.ab(scan)])
    palette = load_palette("CT", "contrast")
    fat = palette.ab[palette.names.index("fat")]
    is_fat = np.isclose(ab, fat, atol=0.01).all(axis=-1)
    assert (is_fat | (ab == 0).all(axis=-1)).all()
    assert is_fat.any(axis=(1, 2)).all()
    assert not is_fat.all()


@pytest.mark.parametrize("size", [(16, 16), (17, 70), (45, 31)])
@pytest.mark.parametrize("form", ["samples", "level"])
def test_any_size_comes_back_as_it_was(size: tuple[int, int], form: str) -> None:
    network = Welsh(samples=4, form=form).eval()
    network.set_samples(random_samples(5, 4))
    with torch.no_grad():
        out = network(torch.rand(2, 1, *size) * 2 - 1)
        assert out.ab.shape == (2, 2, *size)
        assert out.ab.isfinite().all()
        torch.testing.assert_close(
            network(torch.rand(2, 1, *size) * 0 + 1).ab[0], network(torch.ones(1, 1, *size)).ab[0]
        )


def test_tiles_change_no_colour() -> None:
    network = with_samples(random_samples(7))
    gray = torch.rand(1, 1, 70, 80) * 2 - 1
    with torch.no_grad():
        whole = network(gray).ab
        part = network(gray[..., 30 - 2 : 60 + 2, 20 - 2 : 50 + 2]).ab[..., 2:-2, 2:-2]
    torch.testing.assert_close(part, whole[..., 30:60, 20:50], rtol=0, atol=0)


def test_a_slice_of_512_pixels_takes_well_under_a_second() -> None:
    network, gray = with_samples(random_samples(8, 1024)), torch.rand(1, 1, 512, 512) * 2 - 1
    with torch.inference_mode():
        network(gray)
        start = time.process_time()
        network(gray)
    assert time.process_time() - start < 0.5


def dataset(tmp_path: Path, *, side: str = "train", patients: int = 3) -> TissueDataset:
    scans = [phantom.scan("CT", shape=(64, 48, 3 + n)) for n in range(patients)]
    cases = [
        Case(f"{side}{n}", f"{side}-patient{n}", "CT", side, scan.shape[2], partial(Loaded, scan))
        for n, scan in enumerate(scans)
    ]
    return TissueDataset(cases, cache=tmp_path / "targets")


@pytest.mark.parametrize(
    ("count", "shares"),
    [(1, {1}), (2, {1}), (3, {1}), (5, {1, 2}), (9, {3}), (50, {3, 4, 5})],  # of 3, 4 and 5 slices
)
def test_slices_are_spread_over_patients(tmp_path: Path, count: int, shares: set[int]) -> None:
    data = dataset(tmp_path)
    places = spread_over_patients(data, count)
    assert places == sorted(set(places))
    of = [data.place(place)[0] for place in places]
    assert {of.count(n) for n in set(of)} == shares
    assert len(places) == min(count, len(data))


@pytest.mark.parametrize("recipe", ["welsh", "welsh_level"])
def test_samples_of_training_patients_colour_them_better_than_gray(tmp_path: Path, recipe: str) -> None:
    told: list[tuple[int, int]] = []
    read = read_recipe([recipe, "ct"])
    network = fit(read, {"train": dataset(tmp_path)}, progress=lambda *at: told.append(at), slices=6)
    assert told[-1] == (6, 6)
    again = fit(read_recipe([recipe, "ct"]), {"train": dataset(tmp_path)}, slices=6)
    torch.testing.assert_close(network.samples, again.samples, rtol=0, atol=0)
    scan = phantom.scan("CT", shape=(64, 48, 4))
    from medcolor import tissue
    from medcolor.training.losses import target_ab

    posteriors = torch.from_numpy(tissue.fit(scan).posteriors(slice(None))).movedim(0, 1)
    wanted = target_ab(posteriors, torch.from_numpy(load_palette("CT", "contrast").ab))
    gray = torch.from_numpy(Normalization("hu")(to_slices(scan.voxels)))[:, None]
    with torch.inference_mode():
        found = network(gray).ab
    assert (found - wanted).abs().mean() < 0.4 * wanted.abs().mean()


def test_the_sizes_in_a_state_dict_are_those_of_the_config(tmp_path: Path) -> None:
    """However few training pixels there are: a bundle builds the network from its config and loads strictly."""
    network = fit(read_recipe(["welsh", "ct"]), {"train": dataset(tmp_path, patients=1)}, slices=1)
    assert network.samples.shape == (1024, 4)
