"""Scans degraded ahead: the target stays, physics speaks of what the network sees."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from medcolor import phantom, tissue
from medcolor.cli import run
from medcolor.colorizers import load_colorizer
from medcolor.colorizers.corrections import Told, WithNeighbours
from medcolor.errors import TrainingError
from medcolor.scan import Scan, from_slices, to_slices
from medcolor.training.conditions import randomly_degraded
from medcolor.training.datasets import Case, Loaded, TissueDataset
from medcolor.training.degradations import REFERENCE, Chance
from medcolor.training.degraded_scans import DegradedScans
from medcolor.training.drawing import NEIGHBOUR_PHYSICS, PHYSICS, stack_samples
from medcolor.training.supervised import train
from medcolor.training.views import CropOrPad
from medcolor.windowing import bent, display_bounds


def dataset(cache: Path, family: str = "PT", slices: int = 5) -> TissueDataset:
    cases = [
        Case(f"it/{n}", f"p{n}", family, "train", slices, lambda n=n: Loaded(scan_of(family, n, slices)), True)
        for n in range(2)
    ]
    return TissueDataset(cases, cache=cache, neighbors=True)


def by_physics(scan: Scan) -> Told:
    return Told(scan, tissue.fit(scan), 0.0)


def degraded(base: TissueDataset, cache: Path, **more: Any) -> DegradedScans:
    return DegradedScans(base, cache=cache, **{"told": by_physics, **more})


def scan_of(family: str, seed: int, slices: int = 5):  # type: ignore[no-untyped-def]
    return phantom.scan(family, shape=(40, 36, slices), seed=seed)


def test_a_sample_is_the_degraded_slice_its_clean_target_and_physics_of_the_degraded_scan(tmp_path: Path) -> None:
    base = dataset(tmp_path)
    ahead = degraded(base, tmp_path, variants=3, slices=4, clean=0.0)
    assert len(ahead) == 2 * 3 * 4
    changed = 0
    for index in range(len(ahead)):
        sample = ahead[index]
        case, k = (int(part) for part in sample["key"].removeprefix("it/").split("/"))
        clean = base[5 * case + k]
        np.testing.assert_array_equal(sample["target"], clean["target"])
        assert sample[PHYSICS].shape == sample[NEIGHBOUR_PHYSICS].shape == sample["target"].shape
        np.testing.assert_allclose(sample[PHYSICS].sum(dim=0), 1, atol=1e-5)
        changed += not np.array_equal(sample["image"], clean["image"])
    assert changed > len(ahead) / 2


def test_what_physics_says_is_fitted_to_the_degraded_scan(tmp_path: Path) -> None:
    base = dataset(tmp_path, "MR", slices=1)
    sample = degraded(base, tmp_path, variants=1, slices=1, clean=0.0)[0]
    shown = replace(scan_of("MR", 0, 1), voxels=from_slices(sample["image"].numpy()), units=sample["units"])
    expected = tissue.fit(shown).posteriors(slice(0, 1))[:, 0]
    np.testing.assert_allclose(sample[PHYSICS], expected, atol=0.01)


def test_each_slice_comes_with_what_physics_says_of_it_and_of_its_own_neighbour(tmp_path: Path) -> None:
    base = dataset(tmp_path, "MR")
    ahead = degraded(base, tmp_path, variants=1, slices=5, clean=1.0)
    seen = set()
    for index in range(len(ahead)):
        sample = ahead[index]
        case, k = (int(part) for part in sample["key"].removeprefix("it/").split("/"))
        said = tissue.fit(scan_of("MR", case)).posteriors(slice(0, 5))
        np.testing.assert_allclose(sample[PHYSICS], said[:, k], atol=0.01)
        np.testing.assert_allclose(sample[NEIGHBOUR_PHYSICS], said[:, k + 1 if k < 4 else k - 1], atol=0.01)
        np.testing.assert_array_equal(sample[REFERENCE], base[5 * case + k][REFERENCE])
        seen.add((case, k))
    assert len(seen) == 10, "every slice once"


def test_what_is_no_image_is_dark_as_in_use(tmp_path: Path) -> None:
    voxels = np.asarray(scan_of("XR", 0, 1).voxels).astype(np.float32)
    voxels[:9] = np.nan
    scan = replace(scan_of("XR", 0, 1), voxels=voxels, inverted=True)
    base = TissueDataset([Case("it/0", "p", "XR", "train", 1, lambda: Loaded(scan), False)], cache=tmp_path)
    for clean in (0.0, 1.0):
        image = degraded(base, tmp_path, variants=1, slices=1, clean=clean)[0]["image"][0]
        assert (image[:, :9] >= image[:, 9:].max()).all(), "dark is the largest value of an inverted scan"


@pytest.mark.parametrize("wanted", [{"clean": 25.0}, {"strength": -0.1}, {"strange": 2.0}])
def test_shares_out_of_range_are_refused(wanted: dict[str, float], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"0\.\.1"):
        degraded(dataset(tmp_path), tmp_path, **wanted)


def test_left_clean_a_scan_is_what_it_was_and_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = dataset(tmp_path)
    first = degraded(base, tmp_path, variants=2, slices=2, clean=1.0)[0]
    monkeypatch.setattr("medcolor.training.degraded_scans.randomly_degraded", None)  # not called again
    again = degraded(base, tmp_path, variants=2, slices=2, clean=1.0)[0]
    case, k = (int(part) for part in first["key"].removeprefix("it/").split("/"))
    for name in ("image", "neighbour", REFERENCE):
        np.testing.assert_array_equal(first[name], again[name])
    np.testing.assert_array_equal(first["image"], base[5 * case + k]["image"])
    np.testing.assert_array_equal(first["neighbour"], base[5 * case + k]["neighbour"])


def test_a_crop_cuts_physics_as_it_cuts_the_target_and_batches_hold_both(tmp_path: Path) -> None:
    ahead = degraded(dataset(tmp_path), tmp_path, variants=1, slices=2, clean=1.0)
    crop = CropOrPad((24, 48))
    crop.set_random_state(3)
    cut = crop(ahead[0])
    assert cut[PHYSICS].shape[-2:] == cut["target"].shape[-2:] == (24, 48)
    np.testing.assert_allclose(cut[PHYSICS].sum(dim=0), 1, atol=1e-5)
    whole = {tuple(column) for column in ahead[0][PHYSICS].flatten(1).T.tolist()}
    assert {tuple(column) for column in cut[PHYSICS].flatten(1).T.tolist()} <= whole | {(1.0, *[0.0] * 5)}
    batch = stack_samples([cut, cut])
    assert batch[PHYSICS].shape == batch[NEIGHBOUR_PHYSICS].shape == batch["target"].shape


def test_where_neighbours_are_shown_a_sample_has_what_physics_says_of_three_slices_and_a_crop_cuts_them_alike(
    tmp_path: Path,
) -> None:
    base = dataset(tmp_path, "MR")
    told = lambda scan: Told(scan, WithNeighbours(tissue.fit(scan), scan.shape[2]), 0.0)  # noqa: E731
    ahead = degraded(base, tmp_path, variants=1, slices=5, clean=1.0, told=told, teller="neighbours")
    for index in range(5):
        sample = ahead[index]
        case, k = (int(part) for part in sample["key"].removeprefix("it/").split("/"))
        said = tissue.fit(scan_of("MR", case)).posteriors(slice(0, 5))
        for part, other in zip(sample[PHYSICS].split(6), (k, max(k - 1, 0), min(k + 1, 4)), strict=True):
            np.testing.assert_allclose(part, said[:, other], atol=0.01)
        crop = CropOrPad((48, 24))
        crop.set_random_state(index)
        for part in crop(sample)[PHYSICS].split(6):
            np.testing.assert_allclose(part.sum(dim=0), 1, atol=1e-5)


def test_of_strange_scans_physics_is_the_target_and_its_share_is_kept(tmp_path: Path) -> None:
    base = dataset(tmp_path, "MR")
    ahead = degraded(base, tmp_path, variants=12, slices=1, clean=0.0, strange=0.5)
    strange = 0
    for index in range(len(ahead)):
        sample = ahead[index]
        case, k = (int(part) for part in sample["key"].removeprefix("it/").split("/"))
        if not np.array_equal(sample["target"], base[5 * case + k]["target"]):
            strange += 1
            np.testing.assert_array_equal(sample["target"], sample[PHYSICS])
            assert not sample["still"].any()
    assert 6 <= strange <= 18


def test_another_teller_makes_other_samples(tmp_path: Path) -> None:
    base = dataset(tmp_path)
    plain = degraded(base, tmp_path, variants=1, slices=1, clean=1.0)[0]
    twice = lambda scan: by_physics(replace(scan, voxels=2 * np.asarray(scan.voxels, np.float32)))  # noqa: E731
    other = degraded(base, tmp_path, variants=1, slices=1, clean=1.0, told=twice, teller="twice")[0]
    np.testing.assert_allclose(other["image"], 2 * plain["image"])


@pytest.mark.parametrize("gamma", [-0.6, 0.3])
@pytest.mark.parametrize("family", ["MR", "US", "XR"])
def test_a_tone_that_is_asked_for_is_given_whatever_else_happens(family: str, gamma: float) -> None:
    scan = phantom.scan(family)
    bounds = display_bounds(scan)
    expected = bent(to_slices(scan.voxels).astype(np.float32), bounds, gamma)
    for left in ({"clean": 1.0}, {"clean": 0.0, "strength": 0.0}):
        found = randomly_degraded(scan, Chance(1), log_gamma=gamma, **left)
        np.testing.assert_allclose(to_slices(found.voxels), expected, rtol=1e-6)
        assert display_bounds(found) == pytest.approx(bounds)
    for seed in range(20):
        assert randomly_degraded(scan, Chance(seed), clean=0.0, log_gamma=gamma).units == scan.units


@pytest.mark.parametrize("family", ["MR", "PT", "US", "XR", "NM", "MG"])
def test_random_degradation_is_a_function_of_its_chance_and_keeps_the_grid(family: str) -> None:
    scan = phantom.scan(family)
    one, same, other = (randomly_degraded(scan, Chance(seed), clean=0.0) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.voxels, same.voxels)
    assert one.shape == scan.shape
    assert one.geometry == scan.geometry
    assert not np.array_equal(np.asarray(one.voxels, float), np.asarray(other.voxels, float))
    assert randomly_degraded(scan, Chance(1), clean=1.0) is scan
    assert np.isfinite(to_slices(one.voxels)).all()


@pytest.mark.parametrize("wanted", [{"variants": 0}, {"slices": 0}])
def test_numbers_that_leave_nothing_are_refused(wanted: dict[str, int], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        degraded(dataset(tmp_path), tmp_path, **wanted)


@pytest.fixture(scope="module")
def volumes(five_volumes: Callable[[str], Path]) -> Path:
    return five_volumes("MR")


@pytest.fixture
def settings(small_training: dict[str, Any]) -> Callable[..., str]:
    small = small_training | {
        "network::corrects": True,
        "network::tone": False,
        "data::modality": "MR",
        "fit::steps": 2,
    }
    return lambda **more: yaml.safe_dump({**small, **more})


def test_a_correcting_network_is_trained_measured_and_used_by_the_same_commands(
    volumes: Path, settings: Callable[..., str], tmp_path: Path
) -> None:
    quick, out = tmp_path / "quick.yaml", tmp_path / "out"
    quick.write_text(settings(**{"augmentation::variants": 2}))
    command = ["train", "mr_tissue", "tiny", str(quick), "--data", str(volumes), "-o", str(out), "--device", "cpu"]
    assert run([*command, "--quiet"]) == 0
    loaded = load_colorizer(str(out), trust=True)
    assert loaded.network.corrects  # type: ignore[attr-defined]
    assert "physics" in (out / "evaluation.md").read_text()
    assert "corrects" in (out / "README.md").read_text()
    assert loaded(phantom.scan("MR")).rgb.shape[-1] == 3


def test_a_network_of_ct_cannot_correct_physics_which_refuses_what_has_no_unit(
    volumes: Path, settings: Callable[..., str], tmp_path: Path
) -> None:
    quick = tmp_path / "quick.yaml"
    quick.write_text(settings(**{"data::modality": "CT"}))
    with pytest.raises(TrainingError, match="Hounsfield"):
        train(["ct_tissue", "tiny", quick], data=volumes, output=tmp_path / "out", device="cpu")


def test_variants_are_for_networks_that_correct(volumes: Path, settings: Callable[..., str], tmp_path: Path) -> None:
    quick = tmp_path / "quick.yaml"
    quick.write_text(settings(**{"network::corrects": False, "augmentation::variants": 2}))
    with pytest.raises(TrainingError, match="variants"):
        train(["mr_tissue", "tiny", quick], data=volumes, output=tmp_path / "out", device="cpu")
