"""Running a trained colorizer: the same colours for any batch, any tiling, in memory that does not grow."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
from bundle_examples import TINY, random_bundle

from medcolor.bundles import load_bundle
from medcolor.cli import run
from medcolor.color import restore_gray
from medcolor.colorizers.network import NetworkColorizer
from medcolor.geometry import Geometry
from medcolor.scan import Scan, from_slices, to_slices
from medcolor.windowing import display_gray

MAMMOGRAM = (4000, 5000)  # ni, nj
pytestmark = pytest.mark.filterwarnings("ignore:This looks like")  # the recognizer is right: discs and grain


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def volume(count: int, size: int, family: str = "CT") -> Scan:
    rng = np.random.default_rng(3)
    y, x = np.mgrid[:size, :size] / size - 0.5
    body = np.where(np.hypot(x, y) < 0.4, 40.0, -1000.0)
    voxels = (body + rng.normal(0, 80, (count, size, size))).astype(np.int16)
    return Scan(from_slices(voxels), Geometry((size, size, count), np.eye(4)), modality=family, units="HU")


def step(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.abs(one.astype(np.int16) - other).max(axis=-1)


def test_on_a_cpu_the_batch_changes_no_byte(tmp_path: Path) -> None:
    bundle, scan = load_bundle(random_bundle(tmp_path / "ct").folder, trust=True), volume(9, 96)
    one, three, eight = (NetworkColorizer(bundle, device="cpu", batch=n)(scan).rgb for n in (1, 3, 8))
    np.testing.assert_array_equal(one, three)
    np.testing.assert_array_equal(one, eight)


@pytest.mark.parametrize("fade", [0.0, 1.0])
def test_slices_in_one_batch_as_on_a_gpu_keep_gray_and_colours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fade: float
) -> None:
    bundle, scan = load_bundle(random_bundle(tmp_path / "ct").folder, trust=True), volume(9, 96)
    monkeypatch.setattr(NetworkColorizer, "at_once", property(lambda colorizer: colorizer.batch))
    one, *others = (NetworkColorizer(bundle, device="cpu", batch=n, fade=fade)(scan).rgb for n in (1, 3, 8))
    for other in others:
        np.testing.assert_array_equal(restore_gray(to_slices(other)), to_slices(display_gray(scan)))
        differs = step(one, other)
        assert (differs > 0).mean() < 1e-4, "only where (a*, b*) lies on the border between two nodes of the table"
        assert differs.max() <= 3, "one node further in (a*, b*), which is at most three 8-bit steps inside the gamut"


def mammogram(ni: int, nj: int) -> Scan:
    x, y = np.arange(ni, dtype=np.float32), np.arange(nj, dtype=np.float32)[:, None]
    breast = 900 * np.exp(-((x / ni) ** 2)) * np.exp(-(((y - nj / 2) / nj * 3) ** 2))
    grain = np.random.default_rng(5).integers(0, 120, (-(-nj // 4), -(-ni // 4)), dtype=np.uint16)
    voxels = breast.astype(np.uint16) + grain.repeat(4, axis=0)[:nj].repeat(4, axis=1)[:, :ni]
    return Scan(from_slices(voxels[None]), Geometry((ni, nj, 1), np.eye(4)), modality="MG", units="arbitrary")


def test_a_mammogram_of_20_million_pixels_is_coloured_tile_by_tile_under_the_law(tmp_path: Path) -> None:
    scan = mammogram(*MAMMOGRAM)
    bundle = load_bundle(random_bundle(tmp_path / "mg", family="MG", config=TINY).folder, trust=True)
    colorizer, seen = NetworkColorizer(bundle, device="cpu"), []
    colorizer.network.register_forward_pre_hook(lambda _, given: seen.append(given[0].shape[-2:].numel()))
    rgb = colorizer(scan).rgb
    assert len(seen) == 4 * 5, "tiles of 1024 x 1024"
    assert max(seen) < 1.3 * (1 << 20), "and little more: memory does not follow the size of the image"
    assert np.count_nonzero(restore_gray(rgb) != display_gray(scan)) == 0
    assert np.ptp(rgb[::50, ::50].astype(np.int16), axis=-1).max() > 5, "there is colour"


def test_a_mammogram_in_tiles_has_the_colours_of_one_piece(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scan = mammogram(1300, 1100)
    bundle = load_bundle(random_bundle(tmp_path / "mg", family="MG", config=TINY).folder, trust=True)
    colorizer = NetworkColorizer(bundle, device="cpu")
    whole = colorizer(scan).rgb
    monkeypatch.setattr("medcolor.colorizers.tiles._WHOLE", 1 << 20)
    assert len(list(colorizer.predict(scan).tensors(slice(0, 1)))) == 4
    differs = step(colorizer(scan).rgb, whole)
    assert (differs > 0).mean() < 1e-4
    assert differs.max() <= 3


def test_a_stream_holds_one_block_whatever_the_number_of_slices(tmp_path: Path) -> None:
    bundle = load_bundle(random_bundle(tmp_path / "ct").folder, trust=True)
    colorizer = NetworkColorizer(bundle, device="cpu")
    peaks = []
    for count in (8, 8, 32):  # of four slices a block; the first one fills tables and caches
        voxels = np.broadcast_to(to_slices(volume(1, 256).voxels), (count, 256, 256))
        scan = Scan(from_slices(voxels), Geometry((256, 256, count), np.eye(4)), modality="CT", units="HU")
        tracemalloc.start()
        for _ in colorizer.stream(scan):
            pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] <= 1.1 * peaks[1]


def test_the_list_of_colorizers_says_size_data_and_speed_of_trained_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, ours in {
        "ct_known": {
            "speed": {"times_eccv16": 47.6, "threads": 2, "size": 512},
            "training": {"data": [{"name": "knees"}, {"name": "hips"}], "patients": {"train": 30}},
        },
        "ct_silent": {},
        "ct_odd": {"speed": "fast", "training": ["what", "ever"]},
    }.items():
        path = random_bundle(tmp_path / name).folder / "metadata.json"
        metadata = json.loads(path.read_text())
        metadata["medcolor"] |= ours
        path.write_text(json.dumps(metadata))
    monkeypatch.setattr("medcolor.bundles.config_dir", lambda: tmp_path)
    assert run(["colorizers"]) == 0
    listed = capsys.readouterr().out
    assert "0.0 MB; 48 x faster than ECCV16; trained on knees, hips (30 patients)" in listed
    assert listed.count("speed not recorded; trained on data it does not name") == 2
    assert run(["colorizers", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    size = (tmp_path / "ct_known" / "model.safetensors").stat().st_size
    assert rows["ct_known"] | {"size": size, "times_eccv16": 47.6} == rows["ct_known"]
    assert "size" not in rows["physics"]
