"""Streaming: the colours of the call, block by block, with none kept."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from bundle_examples import random_bundle
from label_scenes import blobs

from medcolor import phantom
from medcolor.colorizers import Colorizer, load_colorizer
from medcolor.colorizers.segmentation import SegmentationColorizer
from medcolor.errors import ModalityError
from medcolor.geometry import Geometry, Space
from medcolor.mapped_files import let_go, on_disk_above
from medcolor.scan import Scan, from_slices, to_slices

pytestmark = pytest.mark.filterwarnings("ignore:This looks like")
SCAN = phantom.scan("CT", shape=(80, 64, 7))


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def trained(folder: Path) -> Colorizer:
    return load_colorizer(str(random_bundle(folder / "ct_random").folder), trust=True)


KINDS: dict[str, Callable[[Path], Colorizer]] = {
    "physics": lambda _: load_colorizer("physics"),
    "auto": lambda _: load_colorizer("auto"),
    "table": lambda _: load_colorizer("lut:hot_iron"),
    "labels": lambda _: SegmentationColorizer(blobs(SCAN.geometry)),
    "network": trained,
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("window", [None, "bone"])
def test_a_stream_gives_the_bytes_of_the_call_in_order(
    kind: str, window: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    colorizer = KINDS[kind](tmp_path)
    whole = to_slices(colorizer(SCAN, window=window).rgb)
    monkeypatch.setattr("medcolor.colorizers.painting._BLOCK_VOXELS", 2 * 80 * 64)
    stop = 0
    for block, rgb in colorizer.stream(SCAN, window=window):
        assert block.start == stop, "without gap or overlap"
        np.testing.assert_array_equal(rgb, whole[block])
        assert rgb.flags.writeable, "nobody else holds it"
        stop = block.stop
    assert stop == SCAN.shape[2]


def test_what_was_colour_already_passes_through_a_stream(tmp_path: Path) -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (20, 16, 3, 3), dtype=np.uint8)
    rgb[10:] = rgb[10:, ..., :1]
    colored = (rgb != rgb[..., :1]).any(axis=-1)
    geometry = Geometry.from_spacing((20, 16, 3), (1, 1, 1), Space.PIXEL)
    scan = Scan(rgb[..., 1].copy(), geometry, modality="US", units="gray level", rgb=rgb, colored=colored)
    out = np.concatenate([part for _, part in load_colorizer("physics").stream(scan)])
    np.testing.assert_array_equal(out[to_slices(colored)], to_slices(rgb)[to_slices(colored)])


def test_a_refusal_comes_before_the_first_block_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(ModalityError):
        trained(tmp_path).stream(phantom.scan("MR"))


def test_a_mapped_file_is_let_go_of_and_memory_is_not(tmp_path: Path) -> None:
    values = np.arange(1 << 16, dtype="<i2")
    values.tofile(tmp_path / "values.raw")
    own = np.memmap(tmp_path / "values.raw", "<i2", mode="c")
    own[:] = 7
    for mapped in (np.memmap(tmp_path / "values.raw", "<i2", mode="r"), values.copy()):
        let_go(mapped[5:].reshape(-1, 1))
        np.testing.assert_array_equal(mapped, values)
    let_go(own[5:])
    assert (own == 7).all(), "changes that no file holds are kept"


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="needs Linux's account of memory")
def test_a_stream_of_a_mapped_scan_leaves_no_page_of_it_in_memory(tmp_path: Path) -> None:
    shape = (256, 256, 40)
    np.random.default_rng(0).integers(-200, 300, shape).astype("<i2").tofile(tmp_path / "scan.raw")
    voxels = np.memmap(tmp_path / "scan.raw", "<i2", mode="r", shape=shape[::-1])
    scan = Scan(from_slices(voxels), Geometry(shape, np.eye(4)), modality="CT", units="HU")
    for _ in trained(tmp_path).stream(scan):
        entry = Path("/proc/self/smaps").read_text().split("scan.raw")[1]
        resident = int(re.search(r"Rss:\s+(\d+) kB", entry)[1])  # type: ignore[index]
        assert resident < voxels.nbytes / 1024 / 4


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="needs Linux's account of memory")
def test_colours_of_a_large_volume_lie_in_a_file_and_leave_memory_as_they_are_made() -> None:
    scan = phantom.scan("CT", shape=(128, 96, 60))
    paint = load_colorizer("lut:viridis")
    in_memory = paint(scan)
    with on_disk_above(1 << 20):
        on_disk = paint(scan)
    held = {}
    for entry in re.split(r"\n(?=[0-9a-f]+-[0-9a-f]+ )", Path("/proc/self/smaps").read_text()):
        size, rss = (int(re.search(rf"\n{name}:\s+(\d+) kB", entry)[1]) for name in ("Size", "Rss"))  # type: ignore[index]
        if "(deleted)" in entry.split("\n")[0] and size * 1024 >= on_disk.rgb.nbytes:
            held[size] = rss
    assert len(held) == 1
    assert sum(held.values()) == 0
    np.testing.assert_array_equal(on_disk.rgb, in_memory.rgb)
    let_go(on_disk.rgb)
    np.testing.assert_array_equal(on_disk.rgb, in_memory.rgb)  # nothing was lost
