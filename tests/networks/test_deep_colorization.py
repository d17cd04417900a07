"""Deep Colorization: its descriptors against an outside implementation, its clusters, its filter."""

from __future__ import annotations

import math
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from medcolor import phantom, tissue
from medcolor.bundle_writing import half_precision
from medcolor.colorizers.prediction import network_input
from medcolor.networks.deep_colorization import DeepColorization
from medcolor.networks.deep_descriptors import (
    LAYOUT,
    PATCH,
    RADIUS,
    daisy,
    layout,
    local_descriptors,
    local_width,
    patches,
)
from medcolor.networks.joint_bilateral import joint_bilateral
from medcolor.palettes import load_palette
from medcolor.training.datasets import Case, Loaded, TissueDataset
from medcolor.training.deep_clusters import Effort, Pictured, clustered, fit, grow, quality
from medcolor.training.losses import target_ab
from medcolor.training.recipe import read_recipe


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


def picture(height: int = 60, width: int = 72) -> torch.Tensor:
    """A CT phantom as networks see it, (1, 1, height, width)."""
    from medcolor.networks import Normalization

    scan = phantom.scan("CT", shape=(width, height, 3))
    return torch.from_numpy(network_input(scan, Normalization("hu"), slice(1, 2))[0])[None]


def working(semantic: int = 0, clusters: int = 2, **options: object) -> DeepColorization:
    network = DeepColorization(semantic=semantic, clusters=clusters, **options).eval()  # type: ignore[arg-type]
    with torch.no_grad():
        for part in (*network.weights, *network.biases):
            part.normal_(0, 0.3)
        network.used.fill_(1)
        network.layouts.normal_()
        network.semantics.uniform_()
    return network


def test_daisy_is_scikit_images_away_from_the_borders() -> None:
    from skimage.feature import daisy as oracle

    gray = picture()
    found = daisy(gray)[0].movedim(0, -1).numpy()
    expected = oracle(
        gray[0, 0].numpy().astype(np.float64), step=1, radius=RADIUS, rings=1, histograms=4, orientations=8,
        normalization="off",
    )[..., 8:]  # fmt: skip
    inner = found[RADIUS:-RADIUS, RADIUS:-RADIUS]
    assert inner.shape == expected.shape
    np.testing.assert_allclose(inner, expected, rtol=1e-3, atol=1e-3 * expected.max())


def test_a_patch_is_the_gray_around_a_pixel() -> None:
    gray = picture()
    found = patches(gray, 3)[0].numpy()
    padded = np.pad(gray[0, 0].numpy(), PATCH // 2, mode="edge")
    for j, i in ((0, 0), (5, 7), (19, 23)):
        np.testing.assert_array_equal(found[:, j, i], padded[3 * j : 3 * j + PATCH, 3 * i : 3 * i + PATCH].ravel())


def test_descriptors_at_a_stride_are_those_of_every_so_many_pixels() -> None:
    gray = picture()
    posteriors = torch.softmax(torch.randn(1, 5, 60, 72), dim=1)
    whole, some = local_descriptors(gray, posteriors), local_descriptors(gray, posteriors, 2)
    assert whole.shape[1] == local_width(5) == 49 + 32 + 5
    torch.testing.assert_close(some, whole[..., ::2, ::2])


def test_where_nothing_varies_daisy_says_nothing() -> None:
    flat = local_descriptors(torch.full((1, 1, 40, 40), 0.3) + 1e-4 * torch.randn(1, 1, 40, 40), None)
    assert float(flat[:, PATCH * PATCH :].abs().max()) < 0.02


def test_the_layout_tells_images_apart_and_is_of_a_fixed_size() -> None:
    gray = picture()
    assert layout(gray).shape == layout(picture(32, 40)).shape == (1, LAYOUT)
    moved = torch.roll(gray, (20, 20), dims=(2, 3))
    assert float((layout(gray) - layout(moved)).abs().max()) > 0.1
    torch.testing.assert_close(layout(torch.cat([gray, moved]))[1:], layout(moved))


def test_the_filter_smooths_within_and_not_across_edges_of_the_gray() -> None:
    gray = torch.zeros(1, 1, 40, 40)
    gray[..., 20:] = 1
    clean = torch.cat([gray * 40, 20 - gray * 40], dim=1)
    noisy = clean + 5 * torch.randn(1, 2, 40, 40)
    found = joint_bilateral(noisy, gray, radius=3, softness=0.1)
    assert (found - clean).std() < 0.4 * (noisy - clean).std()
    torch.testing.assert_close(joint_bilateral(clean, gray, radius=3, softness=0.1), clean, atol=1e-3, rtol=0)
    assert joint_bilateral(noisy, gray, radius=0, softness=0.1) is noisy


@pytest.mark.parametrize("size", [(16, 16), (17, 70), (45, 31)])
@pytest.mark.parametrize(("semantic", "stride"), [(0, 1), (6, 2)])
def test_any_size_comes_back_as_it_was(size: tuple[int, int], semantic: int, stride: int) -> None:
    with torch.no_grad():
        out = working(semantic, stride=stride)(torch.rand(2, 1, *size) * 2 - 1)
    assert out.ab.shape == (2, 2, *size)
    assert out.ab.isfinite().all()


def test_a_slice_does_not_see_its_neighbours_in_the_batch() -> None:
    network, grays = working(4), torch.rand(3, 1, 40, 56) * 2 - 1
    posteriors = torch.softmax(torch.randn(3, 4, 40, 56), dim=1)
    with torch.no_grad():
        together = network(grays, posteriors=posteriors).ab
        for n in range(3):
            alone = network(grays[n : n + 1], posteriors=posteriors[n : n + 1]).ab[0]
            torch.testing.assert_close(alone, together[n], rtol=1e-4, atol=1e-3)


def test_an_image_is_coloured_by_the_cluster_it_is_most_like() -> None:
    network = working(3, clusters=3)
    first, second = picture(), -picture()
    even = torch.full((1, 3, 60, 72), 1 / 3)
    with torch.no_grad():
        network.layouts[0], network.layouts[1] = layout(first)[0], layout(second)[0]
        network.semantics.fill_(1 / 3)
        network.used[2] = 0
        network.layouts[2] = layout(first)[0]
    assert network.choose(torch.cat([second, first]), even.expand(2, -1, -1, -1)).tolist() == [1, 0]
    with torch.no_grad():  # of images laid out alike the semantic histogram decides
        network.layouts[1] = layout(first)[0]
        network.semantics[0], network.semantics[1] = torch.tensor([1.0, 0, 0]), torch.tensor([0.0, 1, 0])
    named = torch.zeros(1, 3, 60, 72)
    named[:, 1] = 1
    assert network.choose(first, named).tolist() == [1]


def test_posteriors_of_other_classes_are_refused() -> None:
    with pytest.raises(ValueError, match="knows 6 tissue classes"):
        working(6)(picture(), posteriors=torch.ones(1, 4, 60, 72))
    assert working(0).needs == frozenset()
    assert working(6).needs == {"posteriors"}
    assert DeepColorization(semantic="CT").semantic == len(load_palette("CT").names)


def test_the_published_network_has_the_published_layers() -> None:
    """128 numbers of a pixel, three hidden layers of half as many units."""
    with torch.device("meta"):
        network = DeepColorization.published()
    assert [tuple(w.shape[1:]) for w in network.weights] == [(128, 64), (64, 64), (64, 64), (64, 2)]
    assert sum(p.numel() for p in network.parameters()) == 128 * 64 + 64 + 2 * (64 * 64 + 64) + 64 * 2 + 2


def test_the_compact_one_is_small_and_quick() -> None:
    compact = {"stride": 1, "hidden": 40, "radius": 1}  # configs/methods/deep.yaml, for the most classes there are
    network, gray = working(10, clusters=8, **compact), torch.rand(1, 1, 512, 512) * 2 - 1
    assert sum(p.numel() for p in network.parameters()) <= 500_000
    posteriors = torch.full((1, 10, 512, 512), 0.1)
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        network(gray, posteriors=posteriors)
    assert counter.get_total_flops() <= 4e9
    start = time.process_time()
    with torch.inference_mode():
        network(gray, posteriors=posteriors)
    assert time.process_time() - start < 5


def test_a_bundles_half_precision_gives_nearly_the_same_colours() -> None:
    network, again = working(4), working(4)
    again.load_state_dict(half_precision(network.state_dict()), strict=True)
    with torch.no_grad():
        assert float((again(picture()).ab - network(picture()).ab).abs().mean()) < 0.25


def image(rng: np.random.Generator, kind: int, *, width: int) -> Pictured:
    """Pixels whose colour is a linear function of their numbers, another one for each kind of image."""
    slope = torch.tensor([[30.0, 0], [0, 30], [-30, 30]])[kind]
    pixels = torch.from_numpy(rng.normal(size=(200, width)).astype(np.float32)) * (torch.arange(width) < 2)
    place = torch.zeros(LAYOUT)
    place[kind] = 3 + 0.1 * float(rng.normal())
    return Pictured(pixels, pixels[:, :1] * slope, place, torch.zeros(0))


def test_clusters_are_found_and_each_image_is_coloured_by_its_own_better_than_by_one_for_all() -> None:
    rng = np.random.default_rng(1)
    width = local_width(0)
    images = [image(rng, n % 3, width=width) for n in range(24)]
    quick = Effort(steps=100, tuning=150, batch=256, learning_rate=1e-2)
    many, one = DeepColorization(semantic=0, clusters=6), DeepColorization(semantic=0, clusters=1)
    made = grow(many, images, psnr=30.0, effort=quick, seed=0)
    grow(one, images, psnr=30.0, effort=quick, seed=0)
    kinds = [{n % 3 for n in members} for members in made]
    assert all(len(kind) == 1 for kind in kinds)
    assert {kind.pop() for kind in kinds} == {0, 1, 2}
    assert int(many.used.sum()) == len(made) == 3

    def own(network: DeepColorization, n: int) -> float:
        far = (images[n].layout - network.layouts).square().sum(dim=1).masked_fill(network.used == 0, math.inf)
        return quality(network, int(far.argmin()), images[n])

    assert min(own(many, n) for n in range(24)) > max(own(one, n) for n in range(24)) + 5


def test_images_that_no_network_fits_are_clustered_again_until_the_last_layer_takes_them() -> None:
    rng = np.random.default_rng(2)
    images = [image(rng, n % 3, width=local_width(0)) for n in range(12)]
    network = DeepColorization(semantic=0, clusters=4)
    made = grow(network, images, psnr=1000.0, effort=Effort(steps=2, tuning=2, batch=64), seed=0)
    assert sorted(n for members in made for n in members) == list(range(12))
    assert 1 <= len(made) <= 4


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_no_cluster_is_empty_and_everybody_is_in_one(count: int) -> None:
    features = torch.cat([torch.randn(10, 4) + 8 * n for n in range(3)])
    groups = clustered(features, count)
    assert sorted(n for group in groups for n in group) == list(range(30))
    assert all(groups)
    if count == 3:
        assert sorted(map(sorted, groups)) == [list(range(10 * n, 10 * n + 10)) for n in range(3)]
    assert len(clustered(torch.ones(5, 4), count)) == 1


def dataset(tmp_path: Path) -> TissueDataset:
    scans = [phantom.scan("CT", shape=(64, 56, 4), seed=n) for n in range(4)]
    cases = [Case(f"c{n}", f"p{n}", "CT", "train", 4, partial(Loaded, scan)) for n, scan in enumerate(scans)]
    return TissueDataset(cases, cache=tmp_path / "targets")


@pytest.mark.parametrize("arm", ["deep", "deep_single", "deep_blind"])
def test_a_few_phantoms_teach_it_colours_better_than_gray(arm: str, tmp_path: Path) -> None:
    recipe = read_recipe([arm, "ct"])
    told: list[tuple[int, int]] = []
    network = fit(
        recipe,
        {"train": dataset(tmp_path)},
        progress=lambda *at: told.append(at),
        slices=8,
        pixels=500,
        steps=200,
        tuning=50,
    )
    assert told[-1][0] == told[-1][1]
    assert network.semantic == (0 if arm == "deep_blind" else 10)
    assert network.clusters == (1 if arm == "deep_single" else 8)
    scan = phantom.scan("CT", shape=(64, 56, 4), seed=9)
    posteriors = torch.from_numpy(tissue.fit(scan).posteriors(slice(None))).movedim(0, 1)
    wanted = target_ab(posteriors, torch.from_numpy(load_palette("CT", "contrast").ab))
    gray = torch.from_numpy(network_input(scan, recipe.get("normalization"), slice(0, 4))[0])[:, None]
    with torch.inference_mode():
        found = network.eval()(gray, **({"posteriors": posteriors} if network.semantic else {})).ab
    assert (found - wanted).abs().mean() < (0.5 if network.semantic else 0.7) * wanted.abs().mean()
