"""Figures of a patient: hand cases, an outside oracle, and the rules for what is empty."""

from __future__ import annotations

import math

import numpy as np
import pytest
import SimpleITK as sitk

from medcolor.comparison.metrics import patient_rows

LABELS = {1: "one", 2: "two"}


def figures(found: np.ndarray, reference: np.ndarray, labels: dict[int, str] | None = None, **how: object) -> dict:
    settings = {"spacing": (1.0, 1.0, 1.0), "tolerance": 1.0} | how
    rows = patient_rows("p", found.astype(np.uint8), reference.astype(np.uint8), labels or {1: "one"}, **settings)
    return {row.metric: row.value for row in rows}


def box(shape: tuple[int, int, int], *sides: slice, label: int = 1) -> np.ndarray:
    out = np.zeros(shape, np.uint8)
    out[sides] = label
    return out


SHAPE = (6, 24, 20)
TRUTH = box(SHAPE, slice(1, 5), slice(6, 18), slice(5, 15))


def test_a_perfect_result_is_perfect() -> None:
    found = figures(TRUTH, TRUTH)
    assert found == {"dice": 1.0, "nsd": 1.0, "hd95": 0.0, "volume_error": 0.0, "failed": 0.0}


def test_dice_and_volume_are_those_of_itk() -> None:
    rng = np.random.default_rng(0)
    result = np.where(rng.random(SHAPE) < 0.8, np.roll(TRUTH, 2, axis=2), 0)
    overlap = sitk.LabelOverlapMeasuresImageFilter()
    overlap.Execute(sitk.GetImageFromArray(TRUTH), sitk.GetImageFromArray(result.astype(np.uint8)))
    found = figures(result, TRUTH)
    assert found["dice"] == pytest.approx(overlap.GetDiceCoefficient(1), abs=1e-6)
    assert found["volume_error"] == pytest.approx(abs(int(result.sum()) - int(TRUTH.sum())) / TRUTH.sum())


@pytest.mark.parametrize(("tolerance", "expected"), [(2.9, False), (3.1, True)])
def test_a_shift_within_the_tolerance_in_mm_costs_nothing(tolerance: float, expected: bool) -> None:
    moved = np.roll(TRUTH, 2, axis=2)  # two pixels of 1.5 mm
    found = figures(moved, TRUTH, spacing=(1.5, 1.0, 1.0), tolerance=tolerance)
    assert (found["nsd"] == pytest.approx(1)) == expected
    assert found["hd95"] == pytest.approx(3.0)


def test_distances_between_slices_count_only_in_a_volume() -> None:
    higher = np.roll(TRUTH, 1, axis=0)
    assert figures(higher, TRUTH, spacing=(1, 1, 9), volume=True)["hd95"] == pytest.approx(9)
    apart = figures(TRUTH, TRUTH, spacing=(1, 1, 9), volume=False)
    assert (apart["nsd"], apart["hd95"]) == (1, 0)


def test_a_label_that_was_missed_is_a_failure_that_counts() -> None:
    found = figures(np.zeros(SHAPE), TRUTH, spacing=(1.0, 2.0, 3.0))
    assert (found["dice"], found["nsd"], found["volume_error"], found["failed"]) == (0, 0, 1, 1)
    assert found["hd95"] == pytest.approx(math.hypot(20 * 1, 24 * 2, 6 * 3))


def test_what_was_invented_scores_nothing_and_what_is_not_there_is_not_judged() -> None:
    invented = figures(TRUTH, np.zeros(SHAPE))
    assert (invented["dice"], invented["nsd"]) == (0, 0)
    assert math.isnan(invented["hd95"])
    assert math.isnan(invented["volume_error"])
    assert all(math.isnan(value) for value in figures(np.zeros(SHAPE), np.zeros(SHAPE)).values())


def test_a_patients_figure_is_the_mean_over_the_labels_that_have_one() -> None:
    both = TRUTH + box(SHAPE, slice(0, 6), slice(0, 4), slice(0, 4), label=2)
    found = figures(TRUTH, both, LABELS)
    assert (found["dice:one"], found["dice:two"], found["dice"]) == (1, 0, 0.5)
    assert found["failed"] == 0.5
    alone = figures(TRUTH, TRUTH, LABELS)
    assert math.isnan(alone["dice:two"])
    assert alone["dice"] == 1


def test_slices_of_separate_images_are_judged_one_by_one() -> None:
    half = TRUTH.copy()
    half[1:3] = 0  # missed in two of four slices
    found = figures(half, TRUTH, volume=False)
    assert found["nsd"] == pytest.approx(0.5)
    assert found["hd95"] == pytest.approx(math.hypot(20, 24) / 2)
