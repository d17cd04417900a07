"""ONNX: the same colours from another runtime, what a file says of itself, and what is refused."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from bundle_examples import TINY, random_bundle

from medcolor import phantom
from medcolor.bundles import load_bundle
from medcolor.cli import run
from medcolor.color import restore_gray
from medcolor.colorizers import load_colorizer
from medcolor.colorizers.network import NetworkColorizer
from medcolor.errors import BundleError, SettingError, TrainingError, WriteError
from medcolor.exporting.export import UNMEASURED, export_onnx
from medcolor.exporting.int8 import calibration_slices
from medcolor.exporting.parity import Parity
from medcolor.geometry import Geometry
from medcolor.networks.volume_summary import SUMMARY
from medcolor.scan import Scan, from_slices, to_slices
from medcolor.training.sources import find_cases
from medcolor.windowing import display_gray

pytestmark = [
    pytest.mark.filterwarnings("ignore"),  # the exporter and the quantizer warn of their own ways
    pytest.mark.timeout(900),  # an export takes ten seconds of a core, and minutes of a shared one
]


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle whose network is told of the volume as a whole."""
    config = {**TINY, "summary": SUMMARY}
    return random_bundle(tmp_path_factory.mktemp("bundles") / "ct_random", config=config).folder


@pytest.fixture(scope="module")
def exported(folder: Path) -> Path:
    for name in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(name, reason='needs pip install "medcolor[onnx]"')
    return export_onnx(folder, folder.parent / "plain.onnx", trust=True).path


@pytest.fixture(scope="module")
def listed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four volumes to learn ranges from, and two test patients."""
    data = tmp_path_factory.mktemp("data")
    for n in range(6):
        scan = phantom.scan("CT", shape=(40, 36, 3), seed=n)
        nib.save(nib.Nifti1Image(np.asarray(scan.voxels), scan.geometry.affine), data / f"sub-{n}.nii.gz")
    parts = {"training": range(4), "test": range(4, 6)}
    items = {name: [{"image": f"./sub-{n}.nii.gz"} for n in numbers] for name, numbers in parts.items()}
    (data / "list.json").write_text(json.dumps({"modality": {"0": "CT"}, **items}))
    return data / "list.json"


def scan_of(shape: tuple[int, int, int], seed: int = 0) -> Scan:
    ni, nj, nk = shape
    voxels = np.random.default_rng(seed).normal(20, 150, (nk, nj, ni)).astype(np.int16)
    return Scan(from_slices(voxels), Geometry(shape, np.eye(4)), modality="CT", units="HU")


def assert_alike(folder: Path, path: Path, scan: Scan) -> None:
    bundle = load_bundle(folder, trust=True)
    reference, other = NetworkColorizer(bundle, device="cpu"), NetworkColorizer(bundle, onnx=path)
    expected, found = (c.predict(scan) for c in (reference, other))
    whole = slice(0, scan.shape[2])
    np.testing.assert_allclose(found.posteriors(whole), expected.posteriors(whole), atol=1e-4)
    np.testing.assert_allclose(found.expected_error(whole), expected.expected_error(whole), rtol=1e-3)
    colored = other(scan)
    np.testing.assert_array_equal(restore_gray(colored.rgb), display_gray(scan))
    assert (colored.rgb != reference(scan).rgb).any(axis=-1).mean() < 1e-3


@pytest.mark.parametrize("shape", [(64, 48, 3), (33, 47, 1), (1, 1, 1), (130, 5, 2)])
def test_one_file_gives_the_bundle_s_colours_for_every_size(
    folder: Path, exported: Path, shape: tuple[int, int, int]
) -> None:
    assert_alike(folder, exported, scan_of(shape))


def test_large_slices_are_tiled_as_for_the_bundle(
    folder: Path, exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("medcolor.colorizers.tiles._WHOLE", 1)
    monkeypatch.setattr("medcolor.colorizers.tiles._SIDE", 64)
    assert_alike(folder, exported, scan_of((150, 131, 1)))


@pytest.mark.parametrize("more", [{}, {"neighbours": True, "tone": True, "smooths": True}])
def test_a_network_that_corrects_physics_is_shown_it_by_the_file_too(
    exported: Path, tmp_path: Path, more: dict[str, bool]
) -> None:
    folder = random_bundle(tmp_path / "mr_random", family="MR", config={**TINY, "corrects": True, **more}).folder
    path = export_onnx(folder, tmp_path / "correcting.onnx", trust=True).path
    assert NetworkColorizer(load_bundle(folder, trust=True), onnx=path).network.corrects
    assert_alike(folder, path, phantom.scan("MR"))
    assert not NetworkColorizer(load_bundle(exported.parent / "ct_random", trust=True), onnx=exported).network.corrects


def test_eight_bits_of_a_network_that_corrects_are_calibrated_on_what_it_is_shown(listed: Path, tmp_path: Path) -> None:
    folder = random_bundle(tmp_path / "ct_random", config={**TINY, "corrects": True}).folder
    bundle = load_bundle(folder, trust=True)
    found = calibration_slices(find_cases(listed, family="CT"), bundle.normalization, bundle.network, count=4)
    assert {given["image"].shape[1] for given in found} == {1 + len(bundle.card.classes)}
    assert all(given["image"].min() >= -1 and given["image"].max() <= 1 for given in found)


def test_several_slices_at_a_time_are_computed_alike(folder: Path, exported: Path) -> None:
    bundle = load_bundle(folder, trust=True)
    x, volume = torch.randn(3, 1, 40, 56), torch.randn(1, SUMMARY)
    found = NetworkColorizer(bundle, onnx=exported).network(x, volume)
    with torch.inference_mode():
        expected = bundle.network(x, volume)
    np.testing.assert_allclose(found.logits, expected.logits, atol=1e-3)
    np.testing.assert_allclose(found.log_scale, expected.log_scale, atol=1e-3)


def test_the_file_and_its_sidecar_say_what_it_is_and_name_no_machine(folder: Path, exported: Path) -> None:
    import onnx

    model = onnx.load(exported)
    record = json.loads({entry.key: entry.value for entry in model.metadata_props}["medcolor"])
    sidecar = json.loads(Path(f"{exported}.json").read_text())
    card = load_bundle(folder, trust=True).card
    assert record.items() <= sidecar.items()
    assert sidecar["sha256"] == hashlib.sha256(exported.read_bytes()).hexdigest()
    assert (record["weights_sha256"], tuple(record["classes"])) == (card.weights_sha256, card.classes)
    assert record["precision"] == "float32"
    assert record["parity"] == {"palette": "contrast"} | UNMEASURED, "nobody measured it, so it says so"
    content = exported.read_bytes()
    for trace in (str(folder.parent), "site-packages", "forward", str(Path.home())):
        assert trace.encode() not in content
    assert all(d.dim_param for d in [model.graph.input[0].type.tensor_type.shape.dim[n] for n in (0, 2, 3)])


def test_provenance_names_the_file_by_its_hash(folder: Path, exported: Path) -> None:
    colorizer = load_colorizer(str(folder), trust=True, onnx=exported)
    options = colorizer(scan_of((20, 16, 1))).provenance.options
    assert options["onnx_sha256"] == hashlib.sha256(exported.read_bytes()).hexdigest()
    assert "onnx_sha256" not in load_colorizer(str(folder), trust=True)(scan_of((20, 16, 1))).provenance.options


def test_eight_bits_are_calibrated_on_training_and_measured_on_test_patients(
    folder: Path, listed: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    out = folder.parent / "small.onnx"
    monkeypatch.chdir(folder)
    before = sorted(folder.iterdir())
    assert run(["export", "onnx", str(folder), "--trust", "-o", str(out), "--int8", "--data", str(listed)]) == 0
    assert sorted(folder.iterdir()) == before, "the quantizer left something behind"
    said = capsys.readouterr()
    assert said.out.strip() == str(out)
    for words in ("float32 against the bundle: CIEDE2000 ", "int8 against the bundle: CIEDE2000", "2 test patients"):
        assert words in said.err
    parity = json.loads(Path(f"{out}.json").read_text())["parity"]
    assert parity["measured"]
    assert (parity["patients"], parity["slices"], parity["pixels_breaking_the_law"]) == (2, 6, 0)
    assert 0 < parity["ciede2000"]["value"] < 8, "8 bits cost something"
    scan = scan_of((64, 48, 2))
    colored = load_colorizer(str(folder), trust=True, onnx=out)(scan)
    np.testing.assert_array_equal(restore_gray(colored.rgb), display_gray(scan))


REFUSED = {
    "8 bits without data": ({"int8": True}, SettingError, "needs data"),
    "another ending": ({"output": "x.pt"}, WriteError, "ends in .onnx"),
    "no trust": ({"trust": False}, BundleError, "trust=True"),
    "no test patient": ({"data": "list"}, TrainingError, "no test patient of CT"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_an_export_that_cannot_be_what_was_meant_is_refused_before_any_work(
    folder: Path, tmp_path: Path, case: str
) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    options, error, message = REFUSED[case]
    scan = scan_of((8, 8, 1))
    nib.save(nib.Nifti1Image(np.asarray(scan.voxels), np.eye(4)), tmp_path / "a.nii.gz")
    listing = {"modality": {"0": "CT"}, "validation": [{"image": "./a.nii.gz"}]}
    (tmp_path / "list.json").write_text(json.dumps(listing))
    chosen = {"trust": True, **options}
    if chosen.get("data"):
        chosen["data"] = tmp_path / "list.json"
    with pytest.raises(error, match=message):
        export_onnx(folder, tmp_path / str(chosen.pop("output", "x.onnx")), **chosen)  # type: ignore[arg-type]
    assert not list(tmp_path.glob("x.*"))


def test_nothing_is_overwritten_unasked(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    (tmp_path / "x.onnx.json").write_text("mine")
    with pytest.raises(FileExistsError):
        export_onnx(folder, tmp_path / "x.onnx", trust=True)


def test_a_missing_package_is_named_with_its_extra(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    (tmp_path / "x.onnx").write_bytes(b"anything")
    with pytest.raises(SettingError, match=r'onnxruntime is not installed.*"medcolor\[onnx\]"'):
        load_colorizer(str(folder), trust=True, onnx=tmp_path / "x.onnx")
    with pytest.raises(SettingError, match=r"medcolor\[onnx\]"):
        export_onnx(folder, tmp_path / "y.onnx", trust=True)


def foreign(path: Path, exported: Path) -> None:
    import onnx

    model = onnx.load(exported)
    del model.metadata_props[:]
    onnx.save(model, path)


BAD_FILES = {
    "missing": (lambda path, _: None, "is missing"),
    "no ONNX": (lambda path, _: path.write_bytes(b"not a graph"), "no ONNX file"),
    "empty": (lambda path, _: path.write_bytes(b""), "no ONNX file"),
    "cut off": (lambda path, exported: path.write_bytes(exported.read_bytes()[:-5000]), "no ONNX file"),
    "somebody else's": (foreign, 'not made by "medcolor export onnx"'),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_bad_file_is_a_typed_error_and_never_the_bundle_s_own_network(
    folder: Path, exported: Path, tmp_path: Path, case: str
) -> None:
    spoil, message = BAD_FILES[case]
    spoil(tmp_path / "x.onnx", exported)
    with pytest.raises(BundleError, match=message):
        load_colorizer(str(folder), trust=True, onnx=tmp_path / "x.onnx")


def test_a_file_of_other_weights_is_refused(exported: Path, tmp_path: Path) -> None:
    other = random_bundle(tmp_path / "other", config=TINY, seed=2)
    with pytest.raises(BundleError, match="other weights"):
        load_colorizer(str(other.folder), trust=True, onnx=exported)


@pytest.mark.parametrize("spec", ["physics", "auto", "lut:hot_iron"])
def test_an_onnx_file_belongs_to_a_trained_bundle(spec: str) -> None:
    with pytest.raises(SettingError, match="no trained bundle"):
        load_colorizer(spec, onnx="x.onnx")


def test_parity_is_the_mean_ciede2000_of_the_body_by_patient() -> None:
    from skimage.color import deltaE_ciede2000, rgb2lab

    rng = np.random.default_rng(0)
    parity = Parity()
    means = []
    for patient in ("a", "b"):
        one = rng.integers(0, 256, (2, 6, 5, 3), dtype=np.uint8)
        other = one.copy()
        other[:, ::2] += 1
        body = rng.random(one.shape[:3]) < 0.7
        parity.add(patient, restore_gray(one), one, other, body)
        means.append(deltaE_ciede2000(rgb2lab(one), rgb2lab(other))[body].mean())
    np.testing.assert_allclose(parity.error.value, np.mean(means), rtol=2e-3)
    record = parity.to_json()
    assert (record["patients"], record["slices"], record["pixels_breaking_the_law"]) == (2, 4, 0)
    same = Parity()
    gray = to_slices(display_gray(scan_of((9, 8, 2))))
    rgb = np.repeat(gray[..., None], 3, axis=-1)
    same.add("a", gray, rgb, rgb, np.ones(gray.shape, bool))
    assert (same.error.value, same.largest, same.share("changed"), same.broken) == (0, 0, 0, 0)


def test_the_command_line_colours_with_the_file(folder: Path, exported: Path, tmp_path: Path) -> None:
    phantom.write_dicom(phantom.scan("CT", shape=(40, 36, 2)), tmp_path / "scan")
    command = ["colorize", str(tmp_path / "scan"), "--colorizer", str(folder), "--trust", "--quiet"]
    assert run([*command, "-o", str(tmp_path / "out"), "--onnx", str(exported)]) == 0
    record = json.loads((tmp_path / "out" / "provenance.json").read_text())
    assert hashlib.sha256(exported.read_bytes()).hexdigest() in json.dumps(record)
    assert run([*command[:2], "--colorizer", "physics", "-o", str(tmp_path / "x"), "--onnx", str(exported)]) == 2
