"""The figures: what a perfect and a hopeless answer get, against other people's code, and intervals by patient."""

from __future__ import annotations

import itertools
import json
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from medcolor import phantom, tissue
from medcolor.cielab import delta_e_2000
from medcolor.palettes import load_palette
from medcolor.scan import Scan, to_slices
from medcolor.training import metrics
from medcolor.training.arms import Prediction, learned, physics
from medcolor.training.conditions import evaluation_table
from medcolor.training.evaluate import LabeledScan, evaluate, labeled_scans, mean_error
from medcolor.training.evaluation import Bar, Evaluation, groups_of
from medcolor.training.statistics import Interval, bootstrap, by_patient, difference_of_means, ratio_of_means

AB = load_palette("CT", "contrast").ab
K = len(AB)


def random_posteriors(seed: int, pixels: int = 400, sharp: float = 3.0) -> np.ndarray:
    x = np.exp(sharp * np.random.default_rng(seed).normal(size=(K, pixels)))
    return (x / x.sum(axis=0)).astype(np.float32)


# --- plain figures -------------------------------------------------------------------------------------------------


@given(st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_equal_posteriors_are_perfect_and_dice_is_symmetric(seed: int) -> None:
    p, t = random_posteriors(seed), random_posteriors(seed + 1)
    same = metrics.posterior_dice(t, t)
    np.testing.assert_allclose(same[np.isfinite(same)], 1)
    both = np.isfinite(metrics.posterior_dice(p, t)) & np.isfinite(metrics.posterior_dice(t, p))
    np.testing.assert_allclose(metrics.posterior_dice(p, t)[both], metrics.posterior_dice(t, p)[both])


def test_dice_of_hard_labels_is_the_usual_dice_and_absent_classes_have_none() -> None:
    p, t = np.eye(3)[[0, 0, 1, 1]].T, np.eye(3)[[0, 1, 1, 1]].T
    np.testing.assert_allclose(metrics.posterior_dice(p, t), [2 / 3, 4 / 5, np.nan])


def test_color_error_is_zero_for_equal_colours_and_that_of_the_eye_otherwise() -> None:
    gray = np.full((4, 5), 119, np.uint8)
    one, other = np.zeros((4, 5, 2), np.float32), np.full((4, 5, 2), 20, np.float32)
    assert not metrics.color_error(gray, other, other).any()
    ideal = delta_e_2000([50.0, 0, 0], [50.0, 20, 20])
    np.testing.assert_allclose(metrics.color_error(gray, one, other), ideal, atol=0.5)  # 8-bit colours


def test_colour_that_black_cannot_show_is_no_error() -> None:
    gray = np.zeros((2, 2), np.uint8)
    assert not metrics.color_error(gray, np.zeros((2, 2, 2)), np.full((2, 2, 2), 60.0)).any()


def test_calibration_of_an_honest_guesser_is_near_zero_and_of_a_boaster_is_not() -> None:
    chance = np.random.default_rng(0)
    p = random_posteriors(1, 40_000, sharp=1.0)
    label = (chance.random(p.shape[1]) > np.cumsum(p, axis=0)).sum(axis=0).clip(0, K - 1)
    t = np.eye(K, dtype=np.float32)[label].T
    assert metrics.calibration(p, t).error < 0.02
    assert metrics.calibration(p**4 / (p**4).sum(axis=0), t).error > 0.2
    assert metrics.calibration(p, p, soft=True).error < 1e-6


def test_calibration_counts_add_up_and_equal_a_plain_calculation() -> None:
    p, t = random_posteriors(2, 500), random_posteriors(3, 500)
    whole = metrics.calibration(p, t)
    halves = metrics.calibration(p[:, :200], t[:, :200]) + metrics.calibration(p[:, 200:], t[:, 200:])
    assert halves.error == pytest.approx(whole.error)
    confidence, right = p.max(axis=0), p.argmax(axis=0) == t.argmax(axis=0)
    edges = np.linspace(0, 1, 16)
    plain = 0.0
    for low, high in itertools.pairwise(edges):
        inside = (confidence >= low) & (confidence < high if high < 1 else confidence <= 1)
        if inside.any():
            plain += inside.mean() * abs(confidence[inside].mean() - right[inside].mean())
    assert whole.error == pytest.approx(plain, abs=1e-6)


def test_risk_coverage_rewards_doubt_where_the_error_is() -> None:
    error = np.random.default_rng(0).exponential(size=1000)
    assert metrics.risk_coverage(error, -error) < 0.65
    assert metrics.risk_coverage(error, error) > 1.1
    assert metrics.risk_coverage(error, np.random.default_rng(1).random(1000)) == pytest.approx(1, abs=0.1)
    assert np.isnan(metrics.risk_coverage(np.zeros(5), np.zeros(5)))


def test_flicker_looks_only_where_class_and_gray_stay() -> None:
    gray = np.array([[100, 100, 100]], np.uint8)
    still = metrics.still_pixels(
        gray, np.array([[101, 180, 100]], np.uint8), np.array([[1, 1, 1]]), np.array([[1, 1, 2]])
    )
    assert still.tolist() == [[True, False, False]]
    ab = np.zeros((1, 3, 2))
    assert metrics.flicker(ab, ab + np.array([3, 4]), still) == pytest.approx(5)
    assert np.isnan(metrics.flicker(ab, ab, np.zeros_like(still)))


def test_edges_are_three_pixels_on_each_side() -> None:
    labels = np.zeros((1, 12, 12), int)
    labels[:, :, 6:] = 1
    assert np.flatnonzero(metrics.near_edges(labels)[0, 5]).tolist() == [3, 4, 5, 6, 7, 8]
    assert not metrics.near_edges(np.zeros((2, 5, 5), int)).any()


@pytest.mark.parametrize("size", [(8, 8), (9, 11), (5, 4)])
def test_quarter_resolution_keeps_even_colour_and_blurs_edges(size: tuple[int, int]) -> None:
    even = np.full((1, *size, 2), 7.0, np.float32)
    np.testing.assert_allclose(metrics.quarter_resolution(even), even, rtol=1e-6)
    split = even.copy()
    split[:, :, size[1] // 2 :] = -7
    coarse = metrics.quarter_resolution(split)
    assert coarse.shape == split.shape
    assert np.abs(coarse - split).max() > 1


def test_auroc_is_that_of_mann_and_whitney_ties_included() -> None:
    chance = np.random.default_rng(0)
    inside, outside = chance.integers(0, 6, 50), chance.integers(2, 9, 40)
    oracle = stats.mannwhitneyu(outside, inside).statistic / (50 * 40)
    assert metrics.auroc(inside, outside) == pytest.approx(oracle)
    assert metrics.auroc([0, 1], [2, 3]) == 1
    assert metrics.auroc([1, 1], [1, 1]) == 0.5
    assert np.isnan(metrics.auroc([], [1]))


# --- intervals -----------------------------------------------------------------------------------------------------


def test_the_interval_of_a_mean_is_that_of_scipy() -> None:
    values = np.random.default_rng(0).normal(3, 1, 25)
    oracle = stats.bootstrap((values,), np.mean, method="percentile", n_resamples=4000, rng=np.random.default_rng(1))
    found = bootstrap(values)
    assert found.value == pytest.approx(values.mean())
    assert (found.low, found.high) == pytest.approx(tuple(oracle.confidence_interval), abs=0.05)
    assert bootstrap(values) == found


def test_about_nineteen_in_twenty_intervals_hold_the_truth() -> None:
    chance = np.random.default_rng(0)
    held = [i.low <= 0 <= i.high for i in (bootstrap(chance.normal(size=20), draws=400) for _ in range(200))]
    assert 0.86 <= np.mean(held) <= 0.99


def test_ratios_and_differences_are_paired_by_patient() -> None:
    base = np.random.default_rng(0).uniform(1, 9, 15)
    ratio = bootstrap(np.stack([base / 2, base], axis=1), ratio_of_means)
    assert (ratio.value, ratio.low, ratio.high) == pytest.approx((0.5, 0.5, 0.5))
    shift = bootstrap(np.stack([base + 1, base], axis=1), difference_of_means)
    assert (shift.value, shift.low, shift.high) == pytest.approx((1, 1, 1))


def test_drawing_runs_too_makes_intervals_wider() -> None:
    chance = np.random.default_rng(0)
    runs = chance.normal(0, 1, (5, 1, 1)) + chance.normal(0, 0.1, (5, 12, 1))
    alone, both = bootstrap(runs.mean(axis=0)), bootstrap(runs)
    assert alone.value == pytest.approx(both.value)
    assert both.high - both.low > 3 * (alone.high - alone.low)


def test_patients_without_a_figure_are_left_out_and_one_patient_has_no_interval() -> None:
    table = by_patient({"b": {"x": 1.0}, "a": {"x": 3.0}, "c": {}}, "x")
    np.testing.assert_array_equal(table, [[3], [1], [np.nan]])
    assert bootstrap(table).patients == 2
    assert f"{bootstrap([4.0]):.1f}" == "4.0 [one patient]"
    assert f"{bootstrap([np.nan]):.1f}" == "-"
    assert Interval(1.0, np.nan, np.nan, 1).to_json() == {"value": 1.0, "low": None, "high": None, "patients": 1}
    with pytest.raises(ValueError, match="table must be"):
        bootstrap(np.zeros((1, 1, 1, 1)))


# --- arms on cases -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cases() -> list[LabeledScan]:
    torch.set_num_threads(1)
    scans = [phantom.scan("CT", shape=(40, 36, 3), seed=seed) for seed in (0, 1)]
    return [LabeledScan(f"p{n}", scan, tissue.fit(scan).posteriors(slice(None))) for n, scan in enumerate(scans)]


def blind(scan: Scan) -> Prediction:
    shape = to_slices(scan.voxels).shape
    return Prediction(np.full((K, *shape), 1 / K, np.float32))


def test_an_arm_that_is_the_target_is_perfect_and_a_blind_one_is_not(cases: list[LabeledScan]) -> None:
    found = evaluate(cases, {"learned": physics, "physics": blind}, family="CT")
    assert found.interval("error", "learned").value == 0
    assert found.interval("error", "physics").value > 1
    assert found.interval("ece_soft", "learned").value == pytest.approx(0, abs=1e-6)
    own = found.interval("ece_target", "learned").value
    assert own > 0.005, "the target is not sure of its own first class"
    assert found.interval("ece", "learned").value == pytest.approx(own)
    assert found.interval("edge_error", "learned").value < found.interval("edge_floor", "learned").value
    bars = {bar.name: bar for bar in found.bars()}
    assert bars["1 CIEDE2000 to the target"].met
    assert bars["1 posterior Dice, fat"].found.value == pytest.approx(1)
    assert bars["5 edge error, part of the 1/4 floor"].found.value == 0
    assert bars["4 flicker, part of the target's"].found.value == pytest.approx(1)
    assert bars["2 degraded, middle level, part of physics"].met is None


def test_a_class_that_is_nowhere_has_no_bar(cases: list[LabeledScan]) -> None:
    groups = groups_of("CT", tissue.CLASSES["CT"])
    present = {name for name, parts in groups.items() if any(np.isin(c.target.argmax(0), parts).any() for c in cases)}
    found = evaluate(cases, {"learned": physics}, family="CT")
    named = {bar.name.removeprefix("1 posterior Dice, ") for bar in found.bars() if "Dice" in bar.name}
    assert named == present


def test_the_degraded_table_compares_on_the_same_input_and_units_lost_have_no_physics(cases: list[LabeledScan]) -> None:
    from medcolor.training.conditions import evaluation_table

    table = [c for c in evaluation_table("CT") if c.severity == "middle" or c.name == "lost_units"]
    found = evaluate(cases, {"learned": blind, "physics": physics}, family="CT", conditions=table)
    assert set(found.levels.values()) == {"middle", "high"}
    assert found.interval("error", "physics", "noise, middle").value > 0
    assert found.interval("error", "learned", "lost_units, high").patients == 2
    assert found.interval("error", "physics", "lost_units, high").patients == 0
    bars = {bar.name: bar for bar in found.bars()}
    means = [found.degraded_means(arm) for arm in ("learned", "physics")]
    expected = np.mean(list(means[0].values())) / np.mean(list(means[1].values()))
    assert bars["2 degraded, middle level, part of physics"].found.value == pytest.approx(expected)
    assert bars["2 units lost entirely"].limit == 4
    assert "| lost_units, high |" in found.to_markdown()


def test_results_are_written_as_json_and_markdown_without_naming_patients(
    cases: list[LabeledScan], tmp_path: Path
) -> None:
    found = evaluate(cases, {"learned": blind, "physics": physics}, family="CT")
    paths = found.write(tmp_path)
    record = json.loads(paths[0].read_text())
    assert record["clean"]["learned"]["error"]["patients"] == 2
    assert {bar["met"] for bar in record["bars"]} <= {True, False, None}
    text = paths[1].read_text()
    assert "| 1 CIEDE2000 to the target |" in text
    assert "p0" not in text + json.dumps(record)


def test_a_bar_on_nothing_is_not_measured_rather_than_met() -> None:
    nothing = Interval(np.nan, np.nan, np.nan, 0)
    assert Bar("x", nothing, 1).met is None
    assert Evaluation("CT", ("outside",), "contrast").to_markdown() == "Nothing was evaluated.\n"
    with pytest.raises(ValueError, match="nothing to evaluate"):
        evaluate([], {"learned": physics}, family="CT")


class Output(NamedTuple):
    logits: torch.Tensor
    log_scale: torch.Tensor


class Threshold(torch.nn.Module):
    """A stand-in whose answer for a pixel depends on that pixel alone."""

    def forward(self, x: torch.Tensor) -> Output:
        return Output(x * torch.arange(K).reshape(1, K, 1, 1), x)


def test_the_learned_arm_gives_the_same_whatever_the_batch(cases: list[LabeledScan]) -> None:
    from medcolor.networks.normalization import Normalization

    one, three = (learned(Threshold(), Normalization.default("CT"), batch=n)(cases[0].scan) for n in (1, 3))
    np.testing.assert_array_equal(one.posteriors, three.posteriors)
    np.testing.assert_array_equal(one.confidence, three.confidence)
    assert one.posteriors.shape == cases[0].target.shape
    np.testing.assert_allclose(one.posteriors.sum(axis=0), 1, rtol=1e-5)


def test_validation_error_is_the_mean_over_patients(cases: list[LabeledScan]) -> None:
    found = mean_error(cases, blind, family="CT")
    table = evaluate(cases, {"learned": blind}, family="CT")
    assert found["error"] == pytest.approx(table.interval("error", "learned").value)
    assert found["gray_error"] == pytest.approx(table.interval("gray_error", "learned").value)


def test_a_patient_with_many_scans_counts_once(cases: list[LabeledScan]) -> None:
    once = mean_error(cases, blind, family="CT")
    often = mean_error([cases[0]] * 3 + [cases[1]], blind, family="CT")
    assert often == pytest.approx(once)


def test_the_chance_of_a_degradation_does_not_depend_on_the_order_of_evaluation(cases: list[LabeledScan]) -> None:
    noise = [c for c in evaluation_table("CT") if c.name == "noise" and c.severity == "middle"]
    one, other = (
        evaluate(order, {"physics": physics}, family="CT", conditions=noise) for order in (cases, cases[::-1])
    )
    assert one.figures("physics", "noise, middle") == other.figures("physics", "noise, middle")


def test_scans_of_a_dataset_come_with_its_targets(cases: list[LabeledScan], tmp_path: Path) -> None:
    from medcolor.training.datasets import Case, Loaded, TissueDataset

    known = [
        Case(f"c{n}", c.patient, "CT", "test", 3, partial(Loaded, c.scan, None, c.target)) for n, c in enumerate(cases)
    ]
    again = list(labeled_scans(TissueDataset(known, cache=tmp_path)))
    assert [(one.patient, one.contiguous) for one in again] == [("p0", True), ("p1", True)]
    assert again[1].scan is cases[1].scan
    np.testing.assert_allclose(again[0].target, cases[0].target, atol=0.01)
    assert [one.patient for one in labeled_scans(TissueDataset(known, cache=tmp_path), limit=1)] == ["p0"]


def test_a_target_of_another_size_is_refused(cases: list[LabeledScan]) -> None:
    with pytest.raises(ValueError, match="does not fit a scan"):
        LabeledScan("p", cases[0].scan, cases[0].target[:, :2])
