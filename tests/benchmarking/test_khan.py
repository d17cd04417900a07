"""Khan's columns: what SSIM and PSNR compare, who labelled what, and what the command says of it."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from medcolor import phantom
from medcolor.benchmarking.colorizers.arms import PhysicsArm
from medcolor.benchmarking.colorizers.cells import Cells
from medcolor.benchmarking.khan.blur import BLURRED, SIGMAS, blurred, blurred_arm
from medcolor.benchmarking.khan.choosing import (
    BY_DICE,
    BY_NOBODY,
    BY_SSIM,
    best_sigma,
    best_table,
    dice_on_validation,
    table_shown,
)
from medcolor.benchmarking.khan.labels import LABELS, is_simulated, simulated_task, tasks_of
from medcolor.benchmarking.khan.likeness import LUMA, LUMINANCE, READINGS, RGB, compared, likeness, luma, psnr
from medcolor.benchmarking.khan.markdown import to_markdown
from medcolor.benchmarking.khan.pictures import ShuffledArm, looks_of, measure, painted
from medcolor.benchmarking.khan.run import ARMS, SEGMENTED, Request, benchmark
from medcolor.benchmarking.khan.segmentation import Bench, mean_dice, planned
from medcolor.benchmarking.khan.table import COLUMNS, interval, to_csv
from medcolor.cli import run
from medcolor.color import apply_color
from medcolor.color_law import restore_gray
from medcolor.comparison.cells import Cell
from medcolor.comparison.metrics import patient_rows
from medcolor.comparison.tasks import Subject, Task
from medcolor.errors import OutputExistsError, SettingError, TrainingError
from medcolor.luts import load_lut
from medcolor.scan import MODALITIES, to_slices

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
ROOT = Path(__file__).parents[2]
GRAY = arrays(np.uint8, (2, 16, 20))


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def packs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ultrasound of nine people with an outline (four test, two validate), and radiographs of three without."""
    folder = tmp_path_factory.mktemp("packs")
    sides = {"train": [0, 1, 2], "val": [3, 4], "test": [5, 6, 7, 8]}
    images, masks = [], []
    for n in range(9):
        scan, drawn = phantom.scan("US", seed=n, shape=(64, 64, 2)), phantom.labels("US", shape=(64, 64, 2))
        values = to_slices(scan.voxels)
        wanted = [label for label, name in drawn.names.items() if name == "anechoic"]
        images.append(np.roll(values, n, axis=2).astype(np.uint8))
        masks.append(np.roll(np.isin(to_slices(drawn.labels), wanted), n, axis=2).astype(np.uint8))
    owners = np.array([f"CANARY-{n}" for n in range(9) for _ in range(2)])
    np.savez(folder / "us_hc18.npz", images=np.concatenate(images), masks=np.concatenate(masks), groups=owners)
    films = [phantom.scan("XR", seed=n, shape=(80, 96, 1)).voxels[..., 0].T for n in range(3)]
    films = [np.clip(film / film.max() * 255, 0, 255).astype(np.uint8) for film in films]
    np.savez(folder / "xray_nih.npz", images=np.stack(films), groups=np.array([f"CANARY-X{n}" for n in range(3)]))
    manifest = [{"pack": f"{name}.npz", "licence": "CC0"} for name in ("us_hc18", "xray_nih")]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    split = {
        "us_hc18": {side: [f"CANARY-{n}" for n in who] for side, who in sides.items()},
        "xray_nih": {"train": ["CANARY-X0"], "val": ["CANARY-X1"], "test": ["CANARY-X2"]},
    }
    (folder / "splits.json").write_text(json.dumps(split))
    return folder


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(text.splitlines()))


def of(rows: list[dict[str, str]], **wanted: str) -> list[dict[str, str]]:
    return [row for row in rows if all(row[key] == value for key, value in wanted.items())]


@settings(max_examples=20, deadline=None)
@given(GRAY)
def test_gray_against_itself_is_perfect_in_every_reading(gray: np.ndarray) -> None:
    found = likeness([(np.repeat(gray[..., None], 3, axis=-1), gray)])
    for reading in READINGS:
        assert found.psnr(reading) == math.inf
        assert found.ssim[reading] == pytest.approx(1, abs=1e-6)
    assert found.slices == 2


@settings(max_examples=20, deadline=None)
@given(GRAY, arrays(np.float32, (2, 16, 20, 2), elements=st.floats(-80, 80, width=32)))
def test_any_colours_under_the_law_are_perfect_in_luminance_and_only_there(gray: np.ndarray, ab: np.ndarray) -> None:
    rgb = apply_color(gray, ab)
    found = likeness([(rgb, gray)])
    assert found.psnr(LUMINANCE) == math.inf
    assert found.ssim[LUMINANCE] == pytest.approx(1, abs=1e-6)
    different = bool((rgb != gray[..., None]).any())
    assert math.isinf(found.psnr(RGB)) != different


def test_more_chroma_is_less_like_gray() -> None:
    gray = np.tile(np.arange(40, 216, 4, dtype=np.uint8), (1, 32, 1))
    noise = [
        likeness([(apply_color(gray, np.full((*gray.shape, 2), size, np.float32)), gray)]).psnr(RGB)
        for size in (2, 6, 12, 20)
    ]
    assert noise == sorted(noise, reverse=True)
    assert len(set(noise)) == 4


@settings(max_examples=10, deadline=None)
@given(GRAY, arrays(np.uint8, (2, 16, 20, 3)))
def test_figures_are_those_of_scikit_image(gray: np.ndarray, rgb: np.ndarray) -> None:
    from skimage.metrics import peak_signal_noise_ratio, structural_similarity

    found = likeness([(rgb, gray)])
    for reading, (ours, theirs) in compared(rgb, gray).items():
        errors = [float(np.square(a.astype(float) - b).mean()) for a, b in zip(ours, theirs, strict=True)]
        if all(errors):
            oracle = [peak_signal_noise_ratio(b, a, data_range=255) for a, b in zip(ours, theirs, strict=True)]
            assert [psnr(error) for error in errors] == pytest.approx(oracle, abs=1e-9)
        alike = []
        for a, b in zip(ours, theirs, strict=True):
            for channel in range(a.shape[-1]):
                one, other = (image[..., channel].astype(float) for image in (b, a))
                how = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
                alike.append(structural_similarity(one, other, data_range=255, **how))
        assert found.ssim[reading] == pytest.approx(np.mean(alike), abs=1e-3), "MONAI computes in single precision"
        assert found.mse[reading] == pytest.approx(np.mean(errors))


def test_luma_is_that_of_rec_601() -> None:
    assert luma(np.array([[[[255, 0, 0], [0, 255, 0], [0, 0, 255], [7, 7, 7]]]], np.uint8)).tolist() == [
        [[76, 150, 29, 7]]
    ]


def test_a_slice_smaller_than_the_window_has_no_ssim() -> None:
    gray = np.zeros((1, 8, 8), np.uint8)
    found = likeness([(np.zeros((1, 8, 8, 3), np.uint8), gray)])
    assert math.isnan(found.ssim[RGB])
    assert found.psnr(RGB) == math.inf


def test_an_infinite_figure_has_no_interval() -> None:
    assert interval([math.inf, math.inf])[0] == math.inf
    assert math.isnan(interval([math.inf, 30.0])[1])
    value, low, high = interval([20.0, 30.0, 40.0])
    assert low < value == 30 < high


def test_shuffled_colours_are_the_same_colours_elsewhere_and_keep_the_law(packs: Path) -> None:
    (look, *_) = looks_of(packs, "US", "test", 1, 1)
    arm = PhysicsArm("US")
    shuffled = ShuffledArm(arm)
    (plain,), (moved,) = (list(one(look.scan, look.slices)) for one in (arm, shuffled))
    assert plain.ab is not None
    assert moved.ab is not None
    assert not np.array_equal(plain.ab, moved.ab)
    before, after = (one.reshape(-1, 2)[np.lexsort(one.reshape(-1, 2).T)] for one in (plain.ab, moved.ab))
    assert np.array_equal(before, after)
    assert np.array_equal(restore_gray(painted(shuffled, look)), look.gray)
    assert shuffled.identity != arm.identity
    for one in measure(shuffled, [look]).values():
        assert one.psnr(LUMINANCE) == math.inf
        assert one.psnr(LUMA) < math.inf


def test_every_modality_has_labels_or_a_statement(packs: Path) -> None:
    assert set(LABELS) == set(MODALITIES)
    for family, labels in LABELS.items():
        real = [task for task in labels.tasks if not is_simulated(task)]
        assert bool(real) != bool(labels.statement), family
        assert not labels.statement or "no labels" in labels.statement
    tasks, said = tasks_of("US", packs)
    assert list(tasks) == ["us_hc18"]
    assert said == ""
    tasks, said = tasks_of("CT", packs)
    assert tasks == {}
    assert "not measured on sts_ct" in said


@pytest.mark.parametrize(("name", "label"), [("simulated:NM", "raised uptake"), ("simulated:MG", "fibroglandular")])
def test_simulated_tasks_know_their_answer_and_who_is_on_which_side(name: str, label: str) -> None:
    task = simulated_task(name)
    assert list(task.labels.values()) == [label]
    assert len(task.patients("test")) == 24
    assert len(task.patients("val")) == 12
    one = task.subjects("test")[0]
    assert one.masks.shape == to_slices(one.scan.voxels).shape
    assert 0 < one.masks.mean() < 0.5
    assert one.patient.endswith("-8"), "the sides of what bundles were trained on"
    with pytest.raises(SettingError, match="no simulated task"):
        simulated_task("simulated:CT")


def test_the_dice_that_chooses_is_the_dice_that_judges() -> None:
    chance = np.random.default_rng(0)
    for _ in range(20):
        found, drawn = chance.integers(0, 3, (2, 3, 9, 9)).astype(np.uint8)
        drawn[drawn == chance.integers(1, 5)] = 0
        rows = patient_rows("a", found, drawn, {1: "one", 2: "two"}, spacing=(1, 1, 1), tolerance=1)
        (dice,) = (row.value for row in rows if row.metric == "dice")
        assert mean_dice(list(found), list(drawn), [1, 2]) == pytest.approx(dice, abs=1e-6, nan_ok=True)


def test_the_table_chosen_is_best_on_validation_patients(packs: Path, tmp_path: Path) -> None:
    tasks, _ = tasks_of("US", packs)
    table, by = best_table(packs, "US", tasks, Cells(tmp_path), slices=1)
    assert by == BY_DICE
    shown = {name: table_shown(name) for name in ("hot_iron", "viridis", table)}
    scores = dice_on_validation(tasks["us_hc18"], packs, shown, slices=1)
    assert scores[table] == max(scores.values())
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert best_table(packs, "US", tasks, Cells(tmp_path), slices=1) == (table, by)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == kept
    assert best_table(packs, "XR", {}, Cells(tmp_path), slices=1)[1] == BY_SSIM
    assert best_table(packs, "CT", {}, Cells(tmp_path), slices=1)[1] == BY_NOBODY


def test_tables_and_blurs_are_judged_as_they_were_chosen(packs: Path) -> None:
    """The arms ``lut:NAME`` and ``blurred:SIGMA``, on the validation side, have the Dice they were chosen by."""
    tasks, _ = tasks_of("US", packs)
    task = tasks["us_hc18"]
    shown = {"lut:viridis": table_shown("viridis"), "blurred:2": lambda gray: blurred(gray, 2)[..., None]}
    expected = dice_on_validation(task, packs, shown, slices=1)
    swapped = {"val": "test", "test": "val", "train": "train"}

    class Swapped(Bench):
        def task(self, name: str) -> Task:
            def subjects() -> list[Subject]:
                return [replace(one, split=swapped[one.split]) for one in task.subjects()]

            return replace(task, _subjects=subjects)

    bench = Swapped(planned("us_hc18", ("gray", *shown), 8, 1), packs, "cpu")
    for arm, value in expected.items():
        outcome = bench.run(Cell("us_hc18", "classical", "k-means", arm))
        assert np.mean(list(outcome.values("dice").values())) == pytest.approx(value, abs=1e-6), arm
    assert expected["lut:viridis"] != expected["blurred:2"]


def test_the_blur_chosen_is_one_of_those_and_a_wrong_one_is_refused(packs: Path, tmp_path: Path) -> None:
    tasks, _ = tasks_of("US", packs)
    assert best_sigma(packs, "US", tasks, Cells(tmp_path), slices=1) in SIGMAS
    assert best_sigma(packs, "XR", {}, Cells(tmp_path), slices=1) == SIGMAS[0]
    for name in ("blurred:", "blurred:0", "blurred:-1", "blurred:much"):
        with pytest.raises(SettingError, match="is no arm"):
            blurred_arm(name)


def test_the_command_writes_figures_statements_and_nobody(
    packs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, published = tmp_path / "out", tmp_path / "study"
    arguments = ["benchmark", "khan", "--data", str(packs), "-o", str(out), "--slices", "1", "--quiet"]
    arguments += ["--modalities", "US", "XR", "CT", "--tables", str(published)]
    assert run(arguments) == 0
    rows = rows_of((published / "khan.csv").read_text())
    assert tuple(rows[0]) == COLUMNS
    for arm in SEGMENTED:
        for noise in of(rows, modality="US", arm=arm, figure="psnr_luminance"):
            assert (noise["value"] == "inf") == (arm != "lut")
        (dice,) = of(rows, modality="US", arm=arm, figure="dice")
        if arm in {"tissue", "shuffled"}:  # the bundle learned from a pack of this name, and others may be in it here
            assert dice["status"] == "not measured"
            assert "cannot be judged on us_hc18" in dice["remark"]
            continue
        assert dice["status"] == "measured", dice["remark"]
        assert 0 <= float(dice["value"]) <= 1
        assert dice["patients"] == "4"
    judged = of(rows, modality="US", figure="dice_minus_gray")
    assert {row["arm"] for row in judged} == {"lut", "physics", BLURRED}
    assert {row["verdict"] for row in judged} <= {"gain", "loss", "no evidence"}
    assert not of(rows, modality="XR", figure="dice", status="measured")
    (xr,) = of(rows, modality="XR", status="not measured")
    assert "no labels" in xr["remark"]
    (ct,) = of(rows, modality="CT")
    assert "no test patients" in ct["remark"]
    text = (published / "khan.md").read_text()
    assert "X-ray: no labels." in text
    assert "What is not publicly known of Khan's evaluation" in text
    assert "medcolor benchmark khan --data DATA -o DIR --modalities US XR CT --slices 1" in text
    for part in (text, (published / "khan.csv").read_text()):
        assert "CANARY" not in part
        assert str(packs) not in part
    assert capsys.readouterr().out == ""
    assert run(arguments) == 2, "it exists"
    kept = {path: path.stat().st_mtime_ns for path in (out / "cells").iterdir()}
    before = (out / "khan.csv").read_text()
    assert run([*arguments, "--force"]) == 0
    assert {path: path.stat().st_mtime_ns for path in (out / "cells").iterdir()} == kept, "measured once"
    assert (out / "khan.csv").read_text() == before


def test_simulated_figures_are_said_to_be_simulated(packs: Path, tmp_path: Path) -> None:
    (section,) = sections = benchmark(Request(packs, tmp_path, ("NM",), 3, 1))
    rows = rows_of(to_csv(sections))
    measured = of(rows, status="measured")
    assert {row["patients_are"] for row in measured} == {"simulated"}
    assert {row["arm"] for row in of(measured, figure="dice")} == set(SEGMENTED)
    assert {row["arm"] for row in of(measured, figure="dice_minus_gray")} == set(SEGMENTED) - {"gray"}
    assert {row["arm"] for row in of(measured, figure="dice_minus_shuffled")} == {"lut", "physics", "tissue"}
    assert {row["arm"] for row in of(measured, figure="dice_minus_lut")} == {"physics", "tissue"}
    assert {row["arm"] for row in of(measured, figure="dice_minus_blurred")} == {"lut", "physics", "tissue"}
    assert {row["arm"] for row in of(measured, figure="psnr_rgb")} == set(ARMS)
    assert {row["verdict"] for row in of(measured, figure="dice_minus_lut")} == {""}, "a verdict is against gray"
    gray, tissue = (float(of(measured, figure="dice", arm=arm)[0]["value"]) for arm in ("gray", "tissue"))
    (difference,) = of(measured, figure="dice_minus_gray", arm="tissue")
    assert float(difference["value"]) == pytest.approx(tissue - gray, abs=1e-5)
    text = to_markdown([section], {})
    assert "### NM, simulated\n" in text
    assert "raised uptake, **simulated: says nothing of patients**" in text
    assert "Segmentation of patients:" not in text
    assert "Segmentation of simulated scans:" in text


def test_an_interrupted_run_goes_on_and_gives_the_same_table(packs: Path, tmp_path: Path) -> None:
    class Enough(Exception):
        pass

    def stop(done: int, total: int) -> None:
        if done > 3:
            raise Enough

    with pytest.raises(Enough):
        benchmark(Request(packs, tmp_path / "broken", ("US",), 4, 1), progress=stop)
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "broken").iterdir()}
    assert len(kept) == 4, "the table, and three arms"
    seen: list[tuple[int, int]] = []
    resumed = benchmark(Request(packs, tmp_path / "broken", ("US",), 4, 1), progress=lambda *at: seen.append(at))
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert seen[-1] == (12, 12)
    assert to_csv(resumed) == to_csv(benchmark(Request(packs, tmp_path / "fresh", ("US",), 4, 1)))


def test_requests_that_make_no_sense_are_refused(packs: Path, tmp_path: Path) -> None:
    for options in (
        {"families": ("XX",)},
        {"families": ()},
        {"families": ("CT", "CT")},
        {"slices": 0},
        {"patients": 0},
    ):
        with pytest.raises(SettingError):
            Request(packs, tmp_path, **options)
    with pytest.raises(TrainingError, match=r"manifest\.json"):
        benchmark(Request(tmp_path, tmp_path / "cells", ("US",)))


def test_what_is_kept_of_patients_stays_outside_the_repository(tmp_path: Path) -> None:
    from medcolor.benchmarking.khan.page import check_output

    if (ROOT / ".git").exists():
        with pytest.raises(SettingError, match="may be committed"):
            check_output(ROOT / "docs" / "study")
    check_output(tmp_path, ROOT / "docs" / "nowhere")
    (tmp_path / "khan.csv").write_text("an earlier one")
    with pytest.raises(OutputExistsError):
        check_output(tmp_path)
    check_output(tmp_path, force=True)


def test_a_table_of_colours_breaks_what_the_law_keeps() -> None:
    gray = np.tile(np.arange(256, dtype=np.uint8), (1, 16, 1))
    found = likeness([(load_lut("viridis")[gray], gray)])
    assert found.psnr(LUMINANCE) < 40
