"""Laws of a trained colorizer, on bundles with random weights: what holds for them holds for any."""

from __future__ import annotations

import dataclasses
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from bundle_examples import TINY, random_bundle

from medcolor import phantom
from medcolor.bundles import load_bundle
from medcolor.color import apply_color_torch, color_from_posteriors, restore_gray
from medcolor.color_scan import ColorScan, Law
from medcolor.colorizers import list_colorizers, load_colorizer
from medcolor.colorizers.network import NetworkColorizer
from medcolor.colorizers.prediction import faded, mean_ab
from medcolor.colorizers.tiles import tiles
from medcolor.errors import BundleError, ModalityError, UnknownColorizerError
from medcolor.geometry import Geometry, Space
from medcolor.networks import Normalization, TissueUNet
from medcolor.scan import MODALITIES, Scan
from medcolor.voi import VoiLut, Window
from medcolor.windowing import display_gray


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("bundles")
    for family in MODALITIES:
        random_bundle(root / f"{family.lower()}_random", family=family)
    return root


@cache
def _bundle(root: Path, family: str) -> object:
    return load_bundle(root / f"{family.lower()}_random", trust=True)


def colorizer_for(root: Path, family: str, **options: object) -> NetworkColorizer:
    return NetworkColorizer(_bundle(root, family), **{"check": False, **options})  # type: ignore[arg-type]


@cache
def phantom_scan(family: str) -> Scan:
    return phantom.scan(family)


def assert_law(scan: Scan, colorizer: NetworkColorizer, window: object = None) -> ColorScan:
    colored = colorizer(scan, window=window)  # type: ignore[arg-type]
    keep = np.ones(scan.shape, bool) if scan.colored is None else ~scan.colored
    assert colored.law is colorizer.law is Law.LIGHTNESS
    assert np.count_nonzero(restore_gray(colored.rgb)[keep] != display_gray(scan, window)[keep]) == 0  # type: ignore[arg-type]
    return colored


@pytest.mark.parametrize("family", MODALITIES)
def test_the_gray_law_holds_on_every_modality_and_there_is_colour(folder: Path, family: str) -> None:
    colored = assert_law(phantom_scan(family), colorizer_for(folder, family))
    assert np.ptp(colored.rgb, axis=-1).max() > 5


@pytest.mark.parametrize(
    "options",
    [
        {"strength": 0.25, "palette": "contrast"},
        {"cvd": "protan", "palette": "deutan"},
        {"fade": 1.0},
        {"fade": 0.5, "strength": 0.7, "cvd": "tritan:0.5"},
    ],
)
def test_the_gray_law_holds_for_every_option(folder: Path, options: dict[str, object]) -> None:
    assert_law(phantom_scan("CT"), colorizer_for(folder, "CT", **options), "bone")


@pytest.mark.parametrize("window", [Window(40, 1), Window(0, 1e6), VoiLut(0, np.array([200, 3, 90], np.uint8))])
def test_a_window_changes_the_gray_and_not_what_the_network_sees(folder: Path, window: object) -> None:
    colorizer = colorizer_for(folder, "CT")
    assert_law(phantom_scan("CT"), colorizer, window)
    assert colorizer.predict(phantom_scan("CT"))._normalization == Normalization("hu")


def test_strength_zero_is_the_displayed_gray(folder: Path) -> None:
    scan = phantom_scan("CT")
    rgb = colorizer_for(folder, "CT", strength=0.0, fade=0.5)(scan).rgb
    np.testing.assert_array_equal(rgb, np.repeat(display_gray(scan)[..., None], 3, axis=-1))


@pytest.mark.parametrize("family", ["CT", "MR"])
def test_the_same_input_gives_the_same_bytes_and_the_grid_is_kept(folder: Path, family: str) -> None:
    scan = phantom_scan(family)
    first, second = colorizer_for(folder, family)(scan), colorizer_for(folder, family)(scan)
    np.testing.assert_array_equal(first.rgb, second.rgb)
    assert first.provenance.dumps() == second.provenance.dumps()
    assert first.geometry is scan.geometry
    assert not first.rgb.flags.writeable


@pytest.mark.parametrize("family", MODALITIES)
def test_colour_does_not_depend_on_how_the_volume_is_cut(
    folder: Path, family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan = phantom_scan(family)
    whole = colorizer_for(folder, family)(scan).rgb
    monkeypatch.setattr("medcolor.colorizers.painting._BLOCK_VOXELS", 1)
    np.testing.assert_array_equal(colorizer_for(folder, family, batch=3)(scan).rgb, whole)


@pytest.mark.parametrize("batch", [2, 5, 64])
def test_slices_computed_together_say_what_they_say_alone(folder: Path, batch: int) -> None:
    scan, colorizer = phantom_scan("CT"), colorizer_for(folder, "CT")
    inputs = torch.from_numpy(Normalization("hu")(scan.voxels.transpose(2, 1, 0)))[:, None]
    with torch.inference_mode():
        alone = torch.cat([colorizer.network(x[None]).logits for x in inputs])
        together = torch.cat([colorizer.network(x).logits for x in inputs.split(batch)])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-4)
    ab = colorizer.palette_for(scan).ab
    first, second = (mean_ab(torch.softmax(logits, 1).permute(1, 0, 2, 3), ab) for logits in (alone, together))
    assert (first - second).abs().max() < 0.01, "far below one step of the table, which is 1"


def test_the_way_over_a_device_gives_the_colours_of_the_cpu_within_a_step(folder: Path) -> None:
    scan, colorizer = phantom_scan("CT"), colorizer_for(folder, "CT")
    posteriors = colorizer.predict(scan).posteriors(slice(0, 3))
    gray = np.ascontiguousarray(display_gray(scan).transpose(2, 1, 0)[:3])
    ab = colorizer.palette_for(scan).ab
    direct = color_from_posteriors(gray, posteriors, ab)
    over = apply_color_torch(torch.from_numpy(gray), mean_ab(torch.from_numpy(posteriors), ab)).numpy()
    np.testing.assert_array_equal(restore_gray(over), gray)
    different = (over != direct).any(axis=-1)
    assert different.mean() < 1e-3, "only where rounding falls the other way"


def test_progress_counts_slices_up_to_all_of_them_and_can_cancel(folder: Path) -> None:
    scan, seen = phantom_scan("CT"), []
    colorizer = colorizer_for(folder, "CT")
    colorizer(scan, progress=lambda done, total: seen.append((done, total)))
    assert seen == sorted(seen)
    assert seen[-1] == (scan.shape[2], scan.shape[2])

    def cancel(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        colorizer(scan, progress=cancel)


def test_pixels_that_are_colour_already_pass_through_byte_identical(folder: Path) -> None:
    generator = np.random.default_rng(3)
    rgb = np.repeat(generator.integers(0, 256, (64, 48, 1, 1), dtype=np.uint8), 3, axis=-1)
    rgb[10:20, 5:15] = generator.integers(0, 256, (10, 10, 1, 3))
    colored = (rgb != rgb[..., :1]).any(axis=-1)
    geometry = Geometry.from_spacing((64, 48, 1), (1, 1, 1), Space.PIXEL)
    scan = Scan(restore_gray(rgb), geometry, modality="US", units="gray level", rgb=rgb, colored=colored)
    out = assert_law(scan, colorizer_for(folder, "US"))
    np.testing.assert_array_equal(out.rgb[colored], rgb[colored])
    assert out.provenance.passed_through == np.count_nonzero(colored) > 0


@pytest.mark.parametrize("family", ["CT", "MR", "PT", "MG"])
@pytest.mark.parametrize("fill", ["constant", "one pixel", "one row", "padding everywhere", "nan"])
@pytest.mark.parametrize("fade", [0.0, 1.0])
def test_degenerate_scans_are_coloured_without_breaking_the_law(
    folder: Path, family: str, fill: str, fade: float
) -> None:
    shape = {"one pixel": (1, 1, 1), "one row": (17, 1, 1)}.get(fill, (16, 12, 2))
    values = np.full(shape, 40, np.float32)
    if fill == "nan":
        values[::2] = np.nan
    padding = np.ones(shape, bool) if fill == "padding everywhere" else None
    scan = Scan(values, Geometry(shape, np.eye(4)), modality=family, units=phantom_scan(family).units, padding=padding)
    assert_law(scan, colorizer_for(folder, family, fade=fade))


def test_where_no_image_is_the_tissue_is_the_first_class_for_certain(folder: Path) -> None:
    values = np.random.default_rng(1).normal(0, 100, (20, 18, 2)).astype(np.float32)
    padding = np.zeros(values.shape, bool)
    padding[:5], values[9, 9, 1] = True, np.nan
    scan = Scan(values, Geometry(values.shape, np.eye(4)), modality="CT", units="HU", padding=padding)
    prediction = colorizer_for(folder, "CT").predict(scan)
    posteriors = prediction.posteriors(slice(None)).transpose(0, 3, 2, 1)
    empty = padding | ~np.isfinite(values)
    assert (posteriors[0][empty] == 1).all()
    assert (posteriors[1:, empty] == 0).all()
    np.testing.assert_allclose(posteriors.sum(axis=0), 1, atol=1e-5)
    assert (prediction.expected_error(slice(None)).transpose(2, 1, 0)[empty] == 0).all()
    assert posteriors[0][~empty].mean() < 0.9


def test_confidence_fades_chroma_as_far_as_asked(folder: Path) -> None:
    scan = phantom_scan("CT")
    chroma = [
        np.ptp(colorizer_for(folder, "CT", fade=fade)(scan).rgb.astype(int), axis=-1).mean() for fade in (0, 0.5, 1)
    ]
    assert chroma[0] > chroma[1] > chroma[2] > 0
    confidence = colorizer_for(folder, "CT").predict(scan).confidence(slice(0, 2))
    assert 0 < confidence.min() <= confidence.max() <= 1
    assert faded(torch.tensor([0.0, 10.0]), 1.0).tolist() == [1.0, 0.5]
    assert faded(torch.tensor([10.0]), 0.0).tolist() == [1.0]


def test_a_large_slice_cut_into_tiles_has_no_seams(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(2).normal(0, 200, (150, 131, 1)).astype(np.float32)
    scan = Scan(values, Geometry(values.shape, np.eye(4)), modality="CT", units="HU")
    colorizer = colorizer_for(folder, "CT")
    whole = colorizer.predict(scan).posteriors(slice(None))
    monkeypatch.setattr("medcolor.colorizers.tiles._WHOLE", 1)
    monkeypatch.setattr("medcolor.colorizers.tiles._SIDE", 64)
    cut = colorizer.predict(scan)
    assert len(list(cut.tensors(slice(None)))) == 9
    np.testing.assert_allclose(cut.posteriors(slice(None)), whole, atol=1e-5)
    assert_law(scan, colorizer)


@pytest.mark.parametrize("shape", [(3, 10, 7), (5, 4000, 5000), (1, 1500, 1500)])
def test_tiles_cover_every_pixel_once_and_stay_small(shape: tuple[int, int, int]) -> None:
    count = np.zeros(shape, np.uint8) if np.prod(shape) < 10**8 else None
    area = 0
    for tile in tiles(shape, reach=182, multiple=32, batch=2):
        area += int(np.prod([s.stop - s.start for s in tile.kept]))
        assert np.prod([s.stop - s.start for s in tile.seen[1:]]) <= 1 << 22
        assert all(s.start % 32 == 0 for s in tile.seen[1:])
        if count is not None:
            count[tile.kept] += 1
    assert area == np.prod(shape)
    assert count is None or (count == 1).all()


@pytest.mark.parametrize(("modality", "hint"), [("MR", "CT"), ("OT", "--modality"), ("CR", "CT")])
def test_another_modality_is_refused_and_the_way_out_is_said(folder: Path, modality: str, hint: str) -> None:
    scan = dataclasses.replace(phantom_scan("CT"), modality=modality)
    with pytest.raises(ModalityError, match=hint):
        colorizer_for(folder, "CT")(scan)


@pytest.mark.parametrize(
    "options", [{"fade": 1.5}, {"fade": -0.1}, {"fade": float("nan")}, {"strength": 2}, {"batch": 0}, {"device": "tpu"}]
)
def test_an_option_that_cannot_be_honoured_is_refused(folder: Path, options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"fade|Device"):
        colorizer_for(folder, "CT", **options)


def test_auto_says_which_device_it_chose(folder: Path) -> None:
    chosen = colorizer_for(folder, "CT").torch_device.type
    assert chosen == ("cuda" if torch.cuda.is_available() else "cpu")


def test_provenance_says_what_was_done_and_names_no_folder(folder: Path) -> None:
    colorizer = colorizer_for(folder, "CT", palette="contrast", strength=0.5, fade=0.25)
    record = colorizer(phantom_scan("CT"), window="lung").provenance.to_json()
    assert record["colorizer"] == "ct_random"
    looks = {"palette": "contrast", "strength": 0.5, "cvd": None, "fade": 0.25}
    assert record["options"] == looks | {"temperature": 1.0}
    assert record["weights_sha256"] == colorizer.bundle.card.weights_sha256
    assert str(folder) not in str(record)


def test_the_legend_is_the_network_s_own_word(folder: Path) -> None:
    scan, colorizer = phantom_scan("CT"), colorizer_for(folder, "CT")
    legend = colorizer.legend_for(scan)
    posteriors = colorizer.predict(scan).posteriors(slice(None))
    sums = posteriors.sum(axis=(1, 2, 3), dtype=np.float64)
    sums[0] = 0
    assert [row.entry.name for row in legend.rows] == list(colorizer.palette_for(scan).names)
    np.testing.assert_allclose([row.share for row in legend.rows], sums / sums.sum(), atol=1e-6)
    assert "ct_random" in legend.measure


def test_a_folder_is_loaded_only_when_it_is_trusted(folder: Path) -> None:
    with pytest.raises(BundleError, match="trust=True"):
        load_colorizer(str(folder / "ct_random"))
    colorizer = load_colorizer(str(folder / "ct_random"), trust=True, fade=0.5, device="cpu", strength=0.5)
    assert isinstance(colorizer, NetworkColorizer)
    assert (colorizer.fade, colorizer.strength, colorizer.torch_device.type) == (0.5, 0.5, "cpu")


def test_the_registry_lists_complete_bundles_and_loads_them_by_name(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    random_bundle(tmp_path / "mr_complete", family="MR")
    for missing in ("metadata.json", "model.safetensors"):
        random_bundle(tmp_path / f"without_{missing}")
        (tmp_path / f"without_{missing}" / missing).unlink()
    monkeypatch.setattr("medcolor.bundles.config_dir", lambda: tmp_path)
    trained = [info for info in list_colorizers() if info.name not in {"auto", "physics"} and ":" not in info.name]
    assert [(info.name, info.law, info.modalities) for info in trained] == [("mr_complete", Law.LIGHTNESS, ("MR",))]
    assert load_colorizer("mr_complete")(phantom_scan("MR")).provenance.colorizer == "mr_complete"
    with pytest.raises(UnknownColorizerError, match="mr_complete"):
        load_colorizer("mr_complet")


def test_options_of_trained_bundles_are_refused_elsewhere() -> None:
    assert load_colorizer("physics", device="cpu")
    for options in ({"fade": 0.5}, {"device": "cuda"}):
        with pytest.raises(ValueError, match="trained"):
            load_colorizer("physics", **options)  # type: ignore[arg-type]


def test_the_halo_is_as_wide_as_the_network_sees() -> None:
    network = TissueUNet(3, **TINY).eval()  # type: ignore[arg-type]
    x = torch.randn(1, 1, 96, 96, requires_grad=True)
    network(x).logits[..., 47:49, 47:49].sum().backward()
    seen = x.grad[0, 0].abs().sum(0).nonzero()  # type: ignore[index]
    assert 47 - int(seen.min()) <= network.reach
    assert int(seen.max()) - 48 <= network.reach
