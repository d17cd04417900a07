"""The table of all systems, on packs of phantoms: what it says, what it keeps, and that it says what is missing."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from chroma_examples import Example, Plain, chroma_bundle

from medcolor import phantom
from medcolor.benchmarking.colorizers.arms import GrayArm, LutArm
from medcolor.benchmarking.colorizers.asked import Request
from medcolor.benchmarking.colorizers.bundle_arms import ChromaArm, bundle_arm
from medcolor.benchmarking.colorizers.cells import Cells
from medcolor.benchmarking.colorizers.costs import measure_costs, peak_memory
from medcolor.benchmarking.colorizers.hints import COUNTS, measure_hints, reveals, takes_hints
from medcolor.benchmarking.colorizers.markdown import to_markdown
from medcolor.benchmarking.colorizers.rows import paint
from medcolor.benchmarking.colorizers.run import benchmark
from medcolor.benchmarking.colorizers.table import to_csv
from medcolor.benchmarking.colorizers.tables_of_color import best_table
from medcolor.benchmarking.colorizers.views import find_views
from medcolor.cielab import delta_e_2000, rgb_to_lab
from medcolor.cli import run
from medcolor.errors import BundleError, OutputExistsError, SettingError, TrainingError
from medcolor.luts import load_lut
from medcolor.training.arms import physics
from medcolor.training.datasets import TissueDataset
from medcolor.training.evaluate import evaluate, labeled_scans
from medcolor.training.sources import find_cases

ROOT = Path(__file__).parents[2]
CONTROLS = ("gray", "lut", "physics")


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def packs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small CTs of five people (two test, one validates) and radiographs of three, none of whom validates."""
    folder = tmp_path_factory.mktemp("packs")
    volumes = [phantom.scan("CT", seed=n, shape=(64, 48, 3)).voxels.transpose(2, 1, 0) for n in range(5)]
    owners = [f"CANARY-{n}" for n in range(5) for _ in range(3)]
    np.savez(folder / "ct_abd_chest.npz", images=np.concatenate(volumes).astype(np.float16), groups=np.array(owners))
    films = [phantom.scan("XR", seed=n, shape=(80, 96, 1)).voxels[..., 0].T for n in range(3)]
    films = [np.clip(film / film.max() * 255, 0, 255).astype(np.uint8) for film in films]
    np.savez(folder / "xray_nih.npz", images=np.stack(films), groups=np.array([f"CANARY-X{n}" for n in range(3)]))
    manifest = [{"pack": "xray_nih.npz", "licence": "CC0"}, {"pack": "ct_abd_chest.npz", "licence": "CC BY 4.0"}]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    sides = {
        "ct_abd_chest": {"train": ["CANARY-0", "CANARY-4"], "val": ["CANARY-2"], "test": ["CANARY-1", "CANARY-3"]},
        "xray_nih": {"train": ["CANARY-X0"], "val": [], "test": ["CANARY-X1", "CANARY-X2"]},
    }
    (folder / "splits.json").write_text(json.dumps(sides))
    return folder


@pytest.fixture(scope="module")
def targets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("targets")


def asked(packs: Path, targets: Path, cells: Path, **options: object) -> Request:
    default = {"families": ("CT",), "methods": CONTROLS, "slices": 3, "costs": False}
    return Request(packs, targets, cells, **(default | options))  # type: ignore[arg-type]


def test_figures_are_those_of_the_evaluation(packs: Path, targets: Path, tmp_path: Path) -> None:
    table, _ = benchmark(asked(packs, targets, tmp_path, methods=("gray", "physics")))
    dataset = TissueDataset(find_cases(packs, family="CT"), split="test", cache=targets)
    oracle = evaluate(list(labeled_scans(dataset)), {"physics": physics}, family="CT").to_json()["clean"]["physics"]
    for method, name in (("physics", "error"), ("gray", "gray_error")):
        entry = table.entry(method, "CT")
        assert entry is not None
        assert entry.interval("ciede2000").value == pytest.approx(oracle[name]["value"], rel=1e-3)
    entry = table.entry("physics", "CT")
    assert entry is not None
    assert entry.interval("risk_80").value == pytest.approx(oracle["risk"]["value"], rel=0.05)
    assert entry.interval("jitter_target").patients == 2


def test_the_command_writes_a_table_that_says_what_is_missing_and_names_nobody(
    packs: Path, targets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, published = tmp_path / "out", tmp_path / "review"
    arguments = ["benchmark", "colorizers", "--data", str(packs), "-o", str(out), "--cache", str(targets)]
    arguments += ["--modalities", "CT", "XR", "US", "--methods", *CONTROLS, "plain", "--slices", "1", "--no-costs"]
    assert run(arguments) == 2, "no method of that name"
    arguments[arguments.index("plain")] = "ddcolor_"
    assert run(arguments) == 2
    arguments[arguments.index("ddcolor_")] = "nazeri_unet"
    assert run([*arguments, "--tables", str(published)]) == 0
    written = capsys.readouterr()
    assert "pixels in 5 pairs of method and modality break the law" in written.err
    with (published / "colorizers.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0])[:2] == ["method", "modality"]
    said = {(row["method"], row["modality"]): row["status"] for row in rows}
    assert len(said) == len(rows) == 12
    assert {said[m, "US"] for m in (*CONTROLS, "nazeri_unet")} == {"no test patients"}
    assert {said["nazeri_unet", family] for family in ("CT", "XR")} == {"not trained"}
    assert said["lut", "XR"] == "not measured"
    assert {said[pair] for pair in (("gray", "CT"), ("lut", "CT"), ("physics", "CT"), ("gray", "XR"))} == {"measured"}
    for row in rows:
        assert (row["status"] == "measured") == (row["ciede2000"] != "")
        assert row["pixels_breaking_law"] == ("0" if row["status"] == "measured" else "")
    gray = next(row for row in rows if (row["method"], row["modality"]) == ("gray", "CT"))
    assert (gray["against_gray"], gray["hellinger"] != "", gray["auc_rebalanced"] != "") == ("", True, True)
    text, page = (published / "colorizers.md").read_text(), (out / "colorizers.html").read_text()
    assert "not trained: no bundle ct_nazeri_unet" in text
    assert "no ct_nazeri and no ct_nazeri_unet" in text, "of the claim"
    assert "Not measured: no bundle here takes hints." in text
    assert "not trained: no bundle xr_nazeri_unet" in page
    for part in (text, page, (published / "colorizers.csv").read_text()):
        assert "CANARY" not in part
        assert str(packs) not in part
    assert not (published / "colorizers.html").exists(), "pictures stay where they are"
    assert run(arguments) == 2, "it exists"


def test_an_interrupted_run_goes_on_and_gives_the_same_bytes(packs: Path, targets: Path, tmp_path: Path) -> None:
    class Enough(Exception):
        pass

    def stop(done: int, total: int) -> None:
        if done > 6:  # two patients of three slices: in the middle of the second row
            raise Enough

    with pytest.raises(Enough):
        benchmark(asked(packs, targets, tmp_path / "broken"), progress=stop)
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "broken").iterdir()}
    assert {path.name.rsplit("-", 1)[0] for path in kept} == {"CT-best-table", "CT-gray-row"}
    seen: list[tuple[int, int]] = []
    resumed, _ = benchmark(asked(packs, targets, tmp_path / "broken"), progress=lambda *at: seen.append(at))
    assert {path: path.stat().st_mtime_ns for path in kept} == kept, "measured once"
    fresh, _ = benchmark(asked(packs, targets, tmp_path / "fresh"))
    assert to_csv(resumed) == to_csv(fresh)
    assert to_markdown(resumed) == to_markdown(fresh)
    assert seen[-1] == (18, 18)
    other, _ = benchmark(asked(packs, targets, tmp_path / "broken", slices=1))
    assert to_csv(other) != to_csv(fresh), "other slices are another cell"
    cell = next(path for path in kept if "gray" in path.name)
    cell.write_text("{")
    again, _ = benchmark(asked(packs, targets, tmp_path / "broken"))
    assert to_csv(again) == to_csv(fresh), "a damaged cell is measured again"


def test_further_bundles_are_measured_by_their_names_and_their_weights(
    packs: Path, targets: Path, tmp_path: Path
) -> None:
    found = []
    for seed in (1, 2):
        folder = tmp_path / str(seed) / "ct_nazeri_unet"
        chroma_bundle(folder, seed=seed)
        chroma_bundle(tmp_path / str(seed) / "xr_plain", family="XR")
        options = {"methods": ("gray",), "also": (folder.parent,), "slices": 1}
        table, shown = benchmark(asked(packs, targets, tmp_path / "cells", **options))
        entry = table.entry("nazeri_unet", "CT")
        assert entry is not None
        assert entry.title == "ct_nazeri_unet"
        assert entry.row is not None
        assert entry.row.broken == 0
        assert entry.interval("lightness_drift").value > 0, "its L* is another network input's"
        assert np.isfinite(entry.interval("compensated_deutan").value)
        assert set(shown[0].pictures) == {"gray", "nazeri_unet", "target"}
        found.append(entry.interval("ciede2000").value)
    assert found[0] != found[1]
    with pytest.raises(SettingError, match="second nazeri_unet"):
        benchmark(asked(packs, targets, tmp_path / "cells", also=(folder, folder)))
    chroma_bundle(tmp_path / "false" / "ct_nazeri")
    with pytest.raises(BundleError, match="says that its method is plain: it cannot be the row nazeri"):
        benchmark(asked(packs, targets, tmp_path / "cells", also=(tmp_path / "false",), slices=1))
    with pytest.raises(BundleError, match="none in it"):
        benchmark(asked(packs, targets, tmp_path / "cells", also=(packs,)))
    command = ["benchmark", "colorizers", "--data", str(packs), "-o", str(tmp_path / "out"), "--also", str(folder)]
    assert run(command) == 2, "nobody said that it is trusted"


def test_a_table_is_measured_as_it_is_shown(packs: Path, targets: Path) -> None:
    view = find_views(packs, "CT", slices=2, cache=targets)[0]
    painted = paint(LutArm("hot_iron"), view)
    assert np.array_equal(painted.rgb, load_lut("hot_iron")[view.gray])
    assert np.allclose(painted.lab, rgb_to_lab(painted.rgb), atol=1e-3)


def test_the_table_chosen_is_the_one_whose_pictures_are_nearest(packs: Path, targets: Path, tmp_path: Path) -> None:
    val = find_views(packs, "CT", split="val", slices=2, cache=targets)
    chosen, errors = best_table(val, Cells(tmp_path)), {}
    for name in ("hot_iron", "viridis", chosen):
        of_scans = [delta_e_2000(paint(LutArm(name), v).lab[v.body], v.target_lab[v.body]).mean() for v in val]
        errors[name] = np.mean(of_scans)
    (cell,) = tmp_path.iterdir()
    kept = json.loads(cell.read_text())["errors"]
    assert {name: kept[name] for name in errors} == pytest.approx(errors, rel=1e-4)
    assert kept[chosen] == min(kept.values())
    assert "gray" not in kept


def test_hints_reveal_the_target_and_more_of_them_give_more(packs: Path, targets: Path, tmp_path: Path) -> None:
    chroma_bundle(tmp_path / "ct_example", kind=Example)
    chroma_bundle(tmp_path / "ct_plain", kind=Plain)
    arm, deaf = bundle_arm(tmp_path / "ct_example"), bundle_arm(tmp_path / "ct_plain")
    assert isinstance(arm, ChromaArm)
    assert (takes_hints(arm), takes_hints(deaf), takes_hints(GrayArm())) == (True, False, False)
    views = find_views(packs, "CT", slices=1, cache=targets)
    for hint in reveals(views[0], 30, np.random.default_rng(0)):
        patch = views[0].target_lab[0, hint.j - 3 : hint.j + 3, hint.i - 3 : hint.i + 3, 1:]
        assert patch.shape == (6, 6, 2)
        assert hint.ab == pytest.approx(patch.reshape(-1, 2).mean(axis=0), abs=1e-4)
    curve = measure_hints(arm, views)
    assert len(curve.psnr) == 2
    assert all(np.diff(row)[-1] > 0 and row[-1] > row[0] for row in curve.psnr.values())
    assert curve.gain(0).value == 0
    assert curve.enough in (*COUNTS, None)


def test_costs_are_measured_beside_the_published_network(tmp_path: Path) -> None:
    chroma_bundle(tmp_path / "ct_plain", kind=Plain)
    arms = [GrayArm(), bundle_arm(tmp_path / "ct_plain")]
    nothing, plain = measure_costs(arms, "CT", memory=False, rounds=1)
    assert (nothing.parameters, nothing.gflops, nothing.weights_mib) == (0, 0, 0)
    assert plain.parameters == 3 * 25 + 3
    assert plain.gflops == pytest.approx(2 * 3 * 25 * 512 * 512 / 1e9)
    assert nothing.unit_ms == plain.unit_ms > plain.ms > 0
    assert (nothing.broken, plain.broken, plain.peak_mib) == (0, 0, None)
    peak = peak_memory(GrayArm(), "CT")
    assert peak is None or 50 < peak < 4000


def test_requests_that_make_no_sense_are_refused(packs: Path, targets: Path, tmp_path: Path) -> None:
    for options in ({"families": ("XX",)}, {"families": ()}, {"methods": ("x",)}, {"slices": 0}, {"patients": 0}):
        with pytest.raises(SettingError):
            asked(packs, targets, tmp_path, **options)
    with pytest.raises(TrainingError, match="US"):
        benchmark(asked(packs, targets, tmp_path, families=("US",)))


def test_pictures_of_patients_stay_outside_the_repository(packs: Path, tmp_path: Path) -> None:
    from medcolor.benchmarking.colorizers.page import check_output

    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout")
    with pytest.raises(SettingError, match="may be committed"):
        check_output(ROOT / "docs" / "review")
    check_output(tmp_path, ROOT / "docs" / "nowhere")
    (tmp_path / "colorizers.csv").write_text("an earlier one")
    with pytest.raises(OutputExistsError):
        check_output(tmp_path)
    check_output(tmp_path, force=True)
