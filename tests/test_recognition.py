"""What a scan looks like: laws of the check, on phantoms, simulations and drawings; patients only where they are."""

from __future__ import annotations

import dataclasses
import json
import shutil
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from medcolor import phantom
from medcolor.bundles import bundle_names
from medcolor.errors import BundleError
from medcolor.geometry import Geometry, Space
from medcolor.networks.recognizer import CLASSES, SIDE, Recognizer, as_seen, thumbnail
from medcolor.recognition import BLANK, COLOR, TINY, Recognition, load_judge, mismatch, recognize
from medcolor.resources import config_dir
from medcolor.scan import MODALITIES, Finding, Scan, Severity, from_slices, to_slices

FOLDER = config_dir() / "recognizer"


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@cache
def phantom_scan(family: str, seed: int = 7) -> Scan:
    return phantom.scan(family, seed=seed)


def image(slices: NDArray[np.generic], **fields: object) -> Scan:
    """A scan of (n, h, w) that claims nothing."""
    nk, nj, ni = slices.shape[:3]
    geometry = Geometry.from_spacing((ni, nj, nk), (1, 1, 1), Space.PIXEL)
    return Scan(from_slices(np.ascontiguousarray(slices)), geometry, **fields)  # type: ignore[arg-type]


def close(one: Recognition, other: Recognition, atol: float) -> bool:
    return one.seen == other.seen and np.allclose(
        [one.probabilities[c] for c in CLASSES], [other.probabilities[c] for c in CLASSES], atol=atol
    )


def noise(seed: int, shape: tuple[int, int, int] = (2, 200, 180)) -> Scan:
    return image(np.random.default_rng(seed).normal(100, 20, shape).astype(np.float32))


@pytest.mark.parametrize("family", MODALITIES)
def test_a_phantom_is_seen_as_what_it_imitates_and_raises_no_alarm(family: str) -> None:
    found = recognize(phantom_scan(family))
    assert found.seen == family
    assert sum(found.probabilities.values()) == pytest.approx(1, abs=1e-5)
    assert found.unusual == found.probabilities["other"]
    assert mismatch(phantom_scan(family), family) is None


@pytest.mark.parametrize("shape", [(64, 48, 4), (48, 40, 3), (24, 20, 2), (300, 260, 2)])
@pytest.mark.parametrize("family", MODALITIES)
def test_a_phantom_of_any_size_raises_no_alarm(family: str, shape: tuple[int, int, int]) -> None:
    assert mismatch(phantom.scan(family, seed=3, shape=shape), family) is None


@pytest.mark.parametrize("family", MODALITIES)
def test_a_phantom_that_claims_to_be_another_modality_raises_an_alarm_that_names_it(family: str) -> None:
    alike = {("PT", "NM"), ("NM", "PT")}  # the same physics; the card says how often they are mistaken
    for claimed in set(MODALITIES) - {family}:
        if (family, claimed) in alike:
            continue
        found = mismatch(dataclasses.replace(phantom_scan(family), modality=claimed), claimed)
        assert isinstance(found, Finding), claimed
        assert found.code == "unlike-modality"
        assert found.severity is Severity.WARNING
        assert found.message.startswith("This looks like ")
        assert "may mean nothing" in found.message


@pytest.mark.parametrize("family", ["NM", "MG"])
@pytest.mark.parametrize("n", [8, 9, 18, 19, 28])
def test_simulated_scans_kept_for_the_test_are_known(family: str, n: int) -> None:
    from medcolor.training.sources import simulated_cases

    case = simulated_cases(family, count=n + 1)[n]
    assert case.split == "test"
    assert mismatch(case.load().scan, family) is None


@pytest.mark.parametrize("family", MODALITIES)
def test_noise_and_patterns_are_no_scan_of_any_family(family: str) -> None:
    j, i = np.mgrid[:160, :160]
    ramp = (i + j).astype(np.float32)[None]
    board = (((i // 20 + j // 20) % 2) * 255).astype(np.uint8)[None]
    for scan in (noise(1), noise(2), image(ramp), image(board)):
        found = mismatch(scan, family)
        assert found is not None
        assert "none of the seven" in found.message


@pytest.mark.parametrize("family", MODALITIES)
def test_units_scale_and_window_play_no_part(family: str) -> None:
    scan = phantom_scan(family)
    other = dataclasses.replace(
        scan, voxels=scan.voxels.astype(np.float64) * 1e-3 - 77, units="arbitrary", windows=(), modality="OT"
    )
    assert close(recognize(scan), recognize(other), 0.02)


@pytest.mark.parametrize("scale", [1e-30, 1e30, 1e300])
def test_values_beyond_single_precision_are_looked_at_all_the_same(scale: float) -> None:
    scan = phantom_scan("CT")
    huge = dataclasses.replace(scan, voxels=scan.voxels.astype(np.float64) * scale)
    assert close(recognize(scan), recognize(huge), 0.02)


@pytest.mark.parametrize("family", ["XR", "MG"])
def test_stored_inverted_and_said_so_looks_the_same(family: str) -> None:
    assert close(recognize(phantom.scan(family)), recognize(phantom.scan(family, inverted=True)), 0.02)


def test_lost_units_of_ct_are_no_alarm() -> None:
    voxels = phantom_scan("CT").voxels.astype(np.float32)
    for center, width in ((40, 400), (300, 1500), (-600, 1500)):
        gray = np.clip((voxels - center) / width + 0.5, 0, 1) * 255
        assert mismatch(dataclasses.replace(phantom_scan("CT"), voxels=gray.astype(np.uint8)), "CT") is None


def test_what_is_no_image_does_not_count() -> None:
    scan = phantom_scan("CT")
    block = to_slices(scan.voxels).astype(np.float32).copy()
    block[:, :9], block[:, -3:, 40:60] = np.nan, np.inf
    padding = np.zeros(scan.shape, bool)
    padding[:12] = True
    holes = dataclasses.replace(scan, voxels=from_slices(block), padding=padding)
    assert recognize(holes).seen == "CT"


@pytest.mark.parametrize("value", [0, 255, -1024])
@pytest.mark.parametrize("family", MODALITIES)
def test_a_blank_scan_is_found_by_rule(value: int, family: str) -> None:
    scan = image(np.full((3, 40, 50), value, np.int16))
    assert recognize(scan).seen == BLANK
    assert recognize(scan).doubt(family) == 1
    found = mismatch(scan, family)
    assert found is not None
    assert found.message.startswith("This scan is blank")


def test_padding_and_what_is_not_finite_do_not_make_a_blank_scan_an_image() -> None:
    block = np.full((2, 40, 50), 7, np.float32)
    block[0, 3, 4], block[1, 3, 4] = np.nan, 99
    padding = np.zeros((50, 40, 2), bool)
    padding[4, 3, 1] = True
    assert recognize(image(block, padding=padding)).seen == BLANK


def test_one_slice_that_shows_something_is_found_among_many_blank_ones() -> None:
    block = np.zeros((40, 48, 64), np.int16)
    block[1] = to_slices(phantom.scan("CT", shape=(64, 48, 3)).voxels)[1]
    assert recognize(image(block)).seen != BLANK


def test_a_picture_in_colour_is_found_by_rule_and_doppler_is_not() -> None:
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 255, (1, 64, 80, 3), dtype=np.uint8)
    colored = (rgb != rgb[..., :1]).any(axis=-1)
    picture = image(rgb[..., 1], rgb=from_slices(rgb), colored=from_slices(colored))
    assert recognize(picture).seen == COLOR
    found = mismatch(picture, "US")
    assert found is not None
    assert "picture in colour" in found.message

    scan = phantom_scan("US")
    box = np.zeros(scan.shape, bool)
    box[100:180, 80:150] = True
    source = np.repeat(scan.voxels[..., None], 3, axis=3).astype(np.uint8)
    source[box] = (200, 40, 30)
    doppler = dataclasses.replace(scan, rgb=source, colored=box)
    assert recognize(doppler).seen == "US"
    assert mismatch(doppler, "US") is None


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 9, 300), (2, 15, 15)])
def test_of_what_is_too_small_nothing_is_said(shape: tuple[int, int, int]) -> None:
    scan = image(np.arange(np.prod(shape), dtype=np.int16).reshape(shape))
    assert recognize(scan).seen == TINY
    assert all(mismatch(scan, family) is None for family in MODALITIES)


def test_equal_scans_give_equal_answers_and_nothing_is_written_to() -> None:
    scan = phantom_scan("MR")
    before = scan.voxels.copy()
    assert recognize(scan) == recognize(dataclasses.replace(scan))
    np.testing.assert_array_equal(scan.voxels, before)


@pytest.mark.parametrize("size", [(16, 16), (40, 200), (96, 96), (97, 95), (512, 512), (700, 90)])
def test_thumbnails_keep_the_mean_and_the_range(size: tuple[int, int]) -> None:
    x = torch.rand(2, *size)
    small = thumbnail(x)
    assert small.shape == (2, SIDE, SIDE)
    assert float(small.min()) >= float(x.min()) - 1e-6
    assert float(small.max()) <= float(x.max()) + 1e-6
    assert float(small.mean()) == pytest.approx(float(x.mean()), abs=0.02)


def test_rank_does_not_change_with_any_rising_curve_and_extremes_do_not_blind() -> None:
    x = torch.rand(1, SIDE, SIDE).mul(250).round()
    seen = as_seen(x)
    assert seen.shape == (1, 2, SIDE, SIDE)
    assert float(seen.abs().max()) <= 1
    np.testing.assert_allclose(as_seen(x**2)[0, 1], seen[0, 1], atol=0.12)  # dark levels fall together
    hot = x.clone()
    hot[0, 0, 0] = 1e9
    np.testing.assert_allclose(as_seen(hot)[0, :, 1:], seen[0, :, 1:], atol=0.02)
    flat = as_seen(torch.full((1, SIDE, SIDE), 3.0))
    assert torch.isfinite(flat).all()
    speck = torch.zeros(1, SIDE, SIDE)
    speck[0, 5, 5] = 1
    assert torch.isfinite(as_seen(speck)).all()


def test_folding_changes_nothing() -> None:
    network = Recognizer()
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.uniform_(-0.2, 0.2)
                module.running_var.uniform_(0.5, 2)
    x = torch.rand(3, 2, SIDE, SIDE)
    with torch.inference_mode():
        plain = network.eval()(x)
        np.testing.assert_allclose(network.folded()(x), plain, atol=1e-4)


def test_the_recognizer_is_small_and_no_colorizer() -> None:
    assert sum(p.numel() for p in Recognizer().parameters()) < 200_000
    assert (FOLDER / "model.safetensors").stat().st_size < 400_000
    assert "recognizer" not in bundle_names()


def broken(folder: Path, change: str) -> Path:
    shutil.copytree(FOLDER, folder)
    metadata, weights = folder / "metadata.json", folder / "model.safetensors"
    content = json.loads(metadata.read_text())
    match change:
        case "no metadata":
            metadata.unlink()
        case "no weights":
            weights.unlink()
        case "other bytes":
            weights.write_bytes(weights.read_bytes()[:-1] + b"?")
        case "no json":
            metadata.write_text("{")
        case "no thresholds":
            del content["recognizer"]["thresholds"]
            metadata.write_text(json.dumps(content))
        case "other classes":
            content["recognizer"]["classes"] = ["CT", "MR"]
            metadata.write_text(json.dumps(content))
        case "other network":
            import hashlib

            from safetensors.torch import save

            weights.write_bytes(save({"head.bias": torch.zeros(8)}))
            content["recognizer"]["weights_sha256"] = hashlib.sha256(weights.read_bytes()).hexdigest()
            metadata.write_text(json.dumps(content))
    return folder


@pytest.mark.parametrize(
    "change",
    ["no metadata", "no weights", "other bytes", "no json", "no thresholds", "other classes", "other network"],
)
def test_damaged_files_are_a_typed_error(tmp_path: Path, change: str) -> None:
    folder = broken(tmp_path / "recognizer", change)
    with pytest.raises(BundleError, match="recognizer"):
        load_judge(folder)


def test_thresholds_are_chosen_not_left() -> None:
    thresholds = load_judge(FOLDER).thresholds
    assert set(thresholds) == set(MODALITIES)
    assert all(0.01 <= value <= 0.3 for value in thresholds.values())


def test_the_card_says_what_it_cannot_tell() -> None:
    card = (FOLDER / "README.md").read_text()
    for words in ("What it cannot tell", "AUROC", "false alarms", "few sites", "simulated scans only"):
        assert words in card
