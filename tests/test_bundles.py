"""Bundles: what a folder must hold, what is refused, and that MONAI runs them without us."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from bundle_examples import TINY, random_bundle

from medcolor import phantom
from medcolor.bundle_files import METADATA, WEIGHTS
from medcolor.bundles import bundle_names, find_bundle, load_bundle, read_card
from medcolor.colorizers import load_colorizer
from medcolor.errors import BundleError
from medcolor.io import read
from medcolor.networks import VARIANTS, Normalization, TissueUNet
from medcolor.palettes import load_palette
from medcolor.resources import config_dir


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return random_bundle(tmp_path / "ct_random").folder


def change_metadata(folder: Path, **ours: object) -> None:
    path = folder / METADATA
    metadata = json.loads(path.read_text())
    metadata["medcolor"] |= ours
    path.write_text(json.dumps(metadata))


def replace_weights(folder: Path, content: bytes) -> None:
    """As somebody would who also corrects the hash."""
    (folder / WEIGHTS).write_bytes(content)
    change_metadata(folder, weights_sha256=hashlib.sha256(content).hexdigest())


class Trap:
    """Pickled, it would write a file where it is opened."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


def test_what_was_written_is_loaded_again_with_its_weights_in_half_precision(folder: Path) -> None:
    bundle = load_bundle(folder, trust=True)
    assert bundle.card.family == "CT"
    assert bundle.card.classes == load_palette("CT").names
    assert bundle.card.weights_sha256 == hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()
    assert bundle.normalization == Normalization("hu")
    assert not bundle.network.training
    assert all(parameter.dtype is torch.float32 for parameter in bundle.network.parameters())
    torch.manual_seed(1)
    again = random_bundle(folder.parent / "again")
    assert again.weights_sha256 == bundle.card.weights_sha256, "the same numbers give the same file"


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_is_far_below_eight_megabytes(name: str, tmp_path: Path) -> None:
    card = random_bundle(tmp_path / name, config=VARIANTS[name])
    assert (card.folder / WEIGHTS).stat().st_size < 2e6
    assert isinstance(load_bundle(card.folder, trust=True).network, TissueUNet)


def break_config(folder: Path, old: str, new: str) -> None:
    path = folder / "inference.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def change_tensors(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    from safetensors.torch import load, save

    tensors = load((folder / WEIGHTS).read_bytes())
    change(tensors)
    replace_weights(folder, save(tensors))


def narrow_weights(folder: Path) -> bytes:
    return (random_bundle(folder, config={**TINY, "widths": (4, 16)}).folder / WEIGHTS).read_bytes()


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "no metadata": (lambda f: (f / METADATA).unlink(), "metadata.json is missing"),
    "no weights": (lambda f: (f / WEIGHTS).unlink(), "model.safetensors is missing"),
    "no config": (lambda f: (f / "inference.yaml").unlink(), "inference.yaml is missing"),
    "metadata no JSON": (lambda f: (f / METADATA).write_text("{"), "expected JSON"),
    "metadata no text": (lambda f: (f / METADATA).write_bytes(b"\xff\xfe\x00"), "expected JSON"),
    "metadata without end": (lambda f: (f / METADATA).write_text("[" * 100_000), "expected JSON"),
    "metadata a list": (lambda f: (f / METADATA).write_text("[]"), "expected JSON"),
    "metadata of another model": (lambda f: (f / METADATA).write_text('{"version": "1"}'), "expected JSON"),
    "another family": (lambda f: change_metadata(f, family="MR"), "palettes of MR have outside, dark"),
    "an unknown family": (lambda f: change_metadata(f, family="OCT"), "none of CT, MR"),
    "other classes": (lambda f: change_metadata(f, classes=["outside", "fat"]), "classes are outside, fat"),
    "another hash": (lambda f: change_metadata(f, weights_sha256="0" * 64), "damaged or was replaced"),
    "one bit flipped": (
        lambda f: (f / WEIGHTS).write_bytes(bytes([*(f / WEIGHTS).read_bytes()[:-1], 255])),
        "damaged or was replaced",
    ),
    "a renamed pickle": (lambda f: replace_weights(f, pickle.dumps(Trap(f / "sprung"))), "no safetensors file"),
    "weights a folder": (
        lambda f: ((f / WEIGHTS).unlink(), (f / WEIGHTS).mkdir()),
        "model.safetensors is missing",
    ),
    "cut off": (lambda f: (f / WEIGHTS).write_bytes((f / WEIGHTS).read_bytes()[:-100]), "damaged or was replaced"),
    "cut off, hash and all": (
        lambda f: replace_weights(f, (f / WEIGHTS).read_bytes()[:-100]),
        "no safetensors file",
    ),
    "cut off in the header": (lambda f: replace_weights(f, (f / WEIGHTS).read_bytes()[:50]), "no safetensors file"),
    "a tensor missing": (lambda f: change_tensors(f, lambda t: t.pop("head.bias")), "does not fit network_def"),
    "a tensor too many": (
        lambda f: change_tensors(f, lambda t: t.update(more=torch.zeros(1))),
        "does not fit network_def",
    ),
    "weights of fewer classes": (
        lambda f: change_tensors(f, lambda t: t.update({"head.bias": t["head.bias"][:-4]})),
        "does not fit network_def",
    ),
    "NaN": (lambda f: change_tensors(f, lambda t: t["head.bias"].fill_(float("nan"))), "not finite"),
    "infinite": (lambda f: change_tensors(f, lambda t: t["head.bias"].fill_(float("inf"))), "not finite"),
    "empty weights": (lambda f: replace_weights(f, b""), "no safetensors file"),
    "weights of another width": (
        lambda f: replace_weights(f, narrow_weights(f.parent / "narrow")),
        "does not fit network_def",
    ),
    "config with too few classes": (lambda f: break_config(f, "classes: 10", "classes: 9"), "has 9 classes"),
    "config without an inferer": (lambda f: break_config(f, "inferer: {", "other: {"), "must define network_def"),
    "config no YAML": (lambda f: (f / "inference.yaml").write_text("{["), "must define network_def"),
    "config that raises": (lambda f: break_config(f, "kind: hu", 'kind: "$1 / 0"'), "ZeroDivisionError"),
    "an unknown normalization": (lambda f: break_config(f, "kind: hu", "kind: zscore"), "zscore"),
    "another normalization type": (
        lambda f: break_config(f, "_target_: medcolor.networks.normalization.Normalization", "_target_: builtins.dict"),
        "normalization must be",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_a_bad_bundle_is_a_typed_error_that_names_the_file_and_never_a_fallback(folder: Path, case: str) -> None:
    spoil, message = BAD[case]
    spoil(folder)
    with pytest.raises(BundleError, match=message) as raised:
        load_bundle(folder, trust=True)
    assert "ct_random" in str(raised.value)
    assert not (folder / "sprung").exists(), "a pickle was opened"


def test_a_shipped_bundle_needs_no_trust_by_its_path_either(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(config_dir())
    for way in (config_dir() / "xr_tissue", Path("xr_tissue") / ".." / "xr_tissue"):
        assert load_bundle(way).card.name == "xr_tissue"
    with pytest.raises(BundleError, match="no bundle"):
        load_bundle("")


def test_a_folder_elsewhere_runs_nothing_without_trust(folder: Path) -> None:
    break_config(folder, "imports:", f"imports:\n  - \"$open('{folder / 'sprung'}', 'w').close()\"")
    with pytest.raises(BundleError, match="trust=True"):
        load_bundle(folder)
    assert not (folder / "sprung").exists()


@pytest.mark.parametrize("name", ["", "ct_nothing", "../configs", "palettes"])
def test_an_unknown_bundle_is_an_error_that_lists_what_exists(name: str) -> None:
    with pytest.raises(BundleError, match=r"no bundle|trust=True"):
        find_bundle(name)


def test_no_half_finished_bundle_is_registered() -> None:
    for name in bundle_names():
        assert read_card(find_bundle(name)).name == name


@pytest.mark.parametrize("more", [{}, {"corrects": True}, {"corrects": True, "neighbours": True, "tone": True}])
@pytest.mark.parametrize("variant", ["tiny", "quarter_refined", "quarter_bilinear"])
def test_metadata_tells_the_network_s_true_input_and_output(
    tmp_path: Path, variant: str, more: dict[str, bool]
) -> None:
    card = random_bundle(tmp_path / "x", config={**VARIANTS.get(variant, TINY), **more})
    network = load_bundle(card.folder, trust=True).network
    data = card.metadata["network_data_format"]
    told = [torch.zeros(1, part["num_channels"]) for name, part in data["inputs"].items() if name == "volume"]
    logits = network(torch.zeros(1, data["inputs"]["image"]["num_channels"], 33, 20), *told).logits
    assert logits.shape == (1, data["outputs"]["pred"]["num_channels"], 33, 20)
    said = tuple(data["outputs"]["pred"]["channel_def"].values())
    assert said == (*card.classes, "trust in physics") if more else said == card.classes
    assert len(data["inputs"]["image"]["channel_def"]) == data["inputs"]["image"]["num_channels"]
    for key in ("version", "monai_version", "pytorch_version", "numpy_version", "schema", "intended_use"):
        assert card.metadata[key]


WITHOUT_FIRE = """
import sys
from monai.bundle import run
run(config_file=sys.argv[1], dataset_dir=sys.argv[2], output_dir=sys.argv[3], palette="contrast")
"""


def test_monai_runs_a_bundle_without_our_command_line(folder: Path, tmp_path: Path) -> None:
    import pydicom

    scan = phantom.scan("CT", shape=(48, 40, 3))
    phantom.write_dicom(scan, tmp_path / "scans" / "a")
    if importlib.util.find_spec("fire"):
        command = ["-m", "monai.bundle", "run", "--config_file", "inference.yaml", "--palette", "contrast"]
        command += ["--dataset_dir", str(tmp_path / "scans"), "--output_dir", str(tmp_path / "out")]
    else:  # the function behind MONAI's command line, whose parser is not installed
        command = ["-c", WITHOUT_FIRE, "inference.yaml", str(tmp_path / "scans"), str(tmp_path / "out")]
    result = subprocess.run(
        [sys.executable, *command], cwd=folder, capture_output=True, text=True, timeout=200, check=False
    )
    assert result.returncode == 0, result.stderr[-3000:]
    colorizer = load_colorizer(str(folder), trust=True, palette="contrast")
    expected = colorizer(read(tmp_path / "scans" / "a")).rgb.transpose(2, 1, 0, 3)
    written = [pydicom.dcmread(path).pixel_array for path in sorted((tmp_path / "out").rglob("*.dcm"))]
    np.testing.assert_array_equal(np.stack(written), expected)
