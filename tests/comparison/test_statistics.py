"""Laws of the verdict: what may not matter does not, what must does, and closed forms hold."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from medcolor.comparison.statistics import Estimate, Word, estimate, holm, judge

TABLES = st.tuples(st.integers(2, 5), st.integers(2, 9)).flatmap(
    lambda shape: arrays(np.float64, shape, elements=st.integers(-1000, 1000).map(lambda n: n / 1000))
)


def same(one: Estimate, other: Estimate) -> None:
    for name in ("difference", "bootstrap_low", "bootstrap_high", "wilcoxon"):
        assert getattr(one, name) == pytest.approx(getattr(other, name), abs=1e-9, nan_ok=True), name
    assert one.interval() == pytest.approx(other.interval(), abs=1e-6, nan_ok=True)


def error_of(one: Estimate) -> float:
    return one.errors[0][0]


@settings(deadline=None, max_examples=40)
@given(TABLES)
def test_a_difference_turned_round_turns_the_interval_round(table: np.ndarray) -> None:
    one, other = estimate(table, draws=200), estimate(-table, draws=200)
    assert other.difference == pytest.approx(-one.difference, abs=1e-12)
    assert other.interval() == pytest.approx((-one.interval()[1], -one.interval()[0]), abs=1e-9)
    assert one.p == pytest.approx(other.p, abs=1e-9)
    assert [v.word for v in judge([one])] == [v.word for v in judge([other], better=-1)]


@settings(deadline=None, max_examples=40)
@given(TABLES, st.randoms(use_true_random=False))
def test_the_order_of_patients_and_of_trainings_does_not_matter(table: np.ndarray, random: object) -> None:
    rows, columns = list(range(len(table))), list(range(table.shape[1]))
    random.shuffle(rows)  # type: ignore[attr-defined]
    random.shuffle(columns)  # type: ignore[attr-defined]
    one, other = estimate(table), estimate(table[rows][:, columns])
    assert other.difference == pytest.approx(one.difference, abs=1e-12)
    assert other.interval() == pytest.approx(one.interval(), abs=1e-6)
    if len(np.unique(table.mean(axis=0).round(9))) == table.shape[1] and len(
        np.unique(table.mean(axis=1).round(9))
    ) == len(table):  # ties may change places, and then the same draws meet others
        same(one, other)


def test_differences_that_are_alike_but_for_rounding_are_ties_in_any_order() -> None:
    table = np.zeros((4, 8))
    table[0] = [-0.519, 0.807, 0, 0.001, -0.001, 0.002, -0.002, 0.003]
    table[1:, :2] = [[0.036, -0.2], [0.001, -0.415], [-0.344, 0.634]]
    found = {round(estimate(table[list(rows)]).wilcoxon, 9) for rows in itertools.permutations(range(4))}
    assert len(found) == 1


@settings(deadline=None, max_examples=30)
@given(TABLES, st.floats(0.01, 100))
def test_another_unit_changes_nothing_but_the_unit(table: np.ndarray, unit: float) -> None:
    one, other = estimate(table, draws=200), estimate(table * unit, draws=200)
    assert other.difference == pytest.approx(one.difference * unit, abs=1e-9)
    assert error_of(other) == pytest.approx(error_of(one) * unit, abs=1e-9)


@settings(deadline=None, max_examples=40)
@given(TABLES)
def test_the_standard_error_knows_trainings_and_patients(table: np.ndarray) -> None:
    """Never below what the patients alone, or the trainings alone, would give."""
    found = estimate(table, draws=50)
    for means in (table.mean(axis=0), table.mean(axis=1)):
        error = means.std(ddof=1) / np.sqrt(len(means))
        assert error_of(found) >= error - 1e-12
        half = stats.t.isf(0.025, len(means) - 1) * error
        assert found.interval()[1] - found.difference >= half - 1e-9


def test_one_run_without_chance_is_the_paired_t_test() -> None:
    values = np.random.default_rng(3).normal(0.02, 0.05, 17)
    found, expected = estimate(values, repeats=False), stats.ttest_1samp(values, 0)
    assert found.p == pytest.approx(expected.pvalue)
    assert found.interval() == pytest.approx(tuple(expected.confidence_interval(0.95)))
    assert found.wilcoxon == pytest.approx(stats.wilcoxon(values).pvalue)
    assert found.effect == pytest.approx(values.mean() / values.std(ddof=1))
    assert [degrees for _, degrees in found.errors] == [16]


def test_where_only_trainings_differ_it_is_the_t_test_over_trainings() -> None:
    by_run = np.array([0.01, -0.02, 0.05, 0.03])
    found = estimate(np.repeat(by_run[:, None], 30, axis=1))
    assert found.errors[0][1] == 3
    assert found.p == pytest.approx(stats.ttest_1samp(by_run, 0).pvalue)


def test_a_table_by_hand() -> None:
    """[[0, 2], [2, 8]]: mean squares 16 (trainings), 16 (patients), 4 (rest); variance (16 + 16 - 4) / 4."""
    found = estimate([[0.0, 2.0], [2.0, 8.0]])
    assert found.difference == 3
    assert found.errors[0] == pytest.approx((np.sqrt(28 / 4), 28**2 / (16**2 + 16**2 + 4**2)))
    assert found.errors[1:] == ((2, 1), (2, 1))
    half = max(stats.t.isf(0.025, degrees) * error for error, degrees in found.errors)
    assert found.interval() == pytest.approx((3 - half, 3 + half))


def test_runs_that_are_copies_of_each_other_count_once() -> None:
    values = np.random.default_rng(1).normal(0, 1, 12)
    one, copies = estimate(values, repeats=False), estimate(np.tile(values, (5, 1)))
    assert copies.errors[0] == pytest.approx(one.errors[0])
    assert copies.p == pytest.approx(one.p)


def test_fewer_trainings_widen_the_interval() -> None:
    chance = np.random.default_rng(5)
    widths = {runs: [] for runs in (2, 4, 8)}
    for _ in range(60):
        table = chance.normal(0, 0.05, (8, 1)) + chance.normal(0, 0.05, (8, 30))
        for runs in widths:
            low, high = estimate(table[:runs], draws=10).interval()
            widths[runs].append(high - low)
    middle = {runs: np.median(width) for runs, width in widths.items()}
    assert middle[2] > 1.5 * middle[4] > 1.5 * middle[8]


def test_one_training_has_no_interval_and_no_verdict() -> None:
    found = estimate([[0.3, 0.31, 0.29, 0.3]])
    assert not found.judged
    assert "one training" in found.remark
    assert found.difference == pytest.approx(0.3)
    assert np.isnan(found.interval()).all()
    assert judge([found])[0].word is Word.NONE


def test_one_patient_has_no_interval() -> None:
    assert estimate([0.4], repeats=False).remark == "one patient"
    assert estimate(np.full((3, 2), np.nan)).remark == "no patient has a figure"


def test_nothing_at_all_is_no_evidence() -> None:
    found = estimate(np.zeros((4, 10)))
    assert (found.p, found.wilcoxon, found.difference) == (1.0, 1.0, 0.0)
    assert judge([found])[0].word is Word.NONE


def test_equal_gains_of_all_patients_are_judged_by_the_sign_test() -> None:
    assert estimate(np.full(5, 0.01), repeats=False).p == 2**-4
    assert estimate(np.full(8, 0.25), repeats=False).p == 2**-7


def test_a_patient_with_a_hole_is_left_out_and_counted() -> None:
    table = np.random.default_rng(2).normal(0, 1, (3, 9))
    holed = table.copy()
    holed[1, 4] = np.nan
    found = estimate(holed)
    assert (found.patients, found.left_out) == (8, 1)
    same(found, Estimate(**{**vars_of(estimate(np.delete(table, 4, axis=1))), "left_out": 1}))


def vars_of(one: Estimate) -> dict[str, object]:
    return {name: getattr(one, name) for name in one.__slots__}


def test_folds_are_independent_and_weigh_by_their_patients() -> None:
    chance = np.random.default_rng(8)
    first, second = chance.normal(0, 1, (3, 4)), chance.normal(1, 1, (2, 6))
    table = np.full((5, 10), np.nan)
    table[:3, :4], table[3:, 4:] = first, second
    one, two, both = estimate(first), estimate(second), estimate(table)
    assert both.difference == pytest.approx(0.4 * one.difference + 0.6 * two.difference)
    for place in range(3):
        (first_error, first_degrees), (second_error, second_degrees) = one.errors[place], two.errors[place]
        parts = np.array([0.16 * first_error**2, 0.36 * second_error**2])
        degrees = parts.sum() ** 2 / (parts**2 / [first_degrees, second_degrees]).sum()
        assert both.errors[place] == pytest.approx((np.sqrt(parts.sum()), degrees))
    assert (both.runs, both.patients) == (5, 10)


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.6]) == pytest.approx([1, 1])
    assert holm([]).size == 0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.floats(0.001, 0.2))
def test_holm_is_the_step_down_procedure(p: list[float], level: float) -> None:
    """Rejections of the procedure as Holm wrote it down: stop at the first that fails."""
    rejected = np.zeros(len(p), bool)
    for step, place in enumerate(sorted(range(len(p)), key=lambda n: p[n])):
        if p[place] * (len(p) - step) >= level:
            break
        rejected[place] = True
    assert (holm(p) < level).tolist() == rejected.tolist()


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_lies_between_the_raw_value_and_bonferroni(p: list[float]) -> None:
    adjusted, raw = holm(p), np.array(p)
    assert (adjusted >= raw - 1e-15).all()
    assert (adjusted <= np.minimum(raw * len(p), 1) + 1e-15).all()
    order = np.argsort(raw, kind="stable")
    assert (np.diff(adjusted[order]) >= 0).all()


def test_verdicts_agree_with_the_intervals_of_holms_steps() -> None:
    chance = np.random.default_rng(4)
    family = [estimate(chance.normal(mean, 1, (4, 20)), draws=10) for mean in (0, 0.5, 1, 2, -2, 0.2)]
    for one, verdict in zip(family, judge(family), strict=True):
        if verdict.word is Word.GAIN:
            assert verdict.low_holm > 0
        elif verdict.word is Word.LOSS:
            assert verdict.high_holm < 0
        assert verdict.low_holm <= one.interval()[0] + 1e-12
        assert verdict.p_holm >= one.p
    assert {verdict.word for verdict in judge(family)} == {Word.GAIN, Word.LOSS, Word.NONE}


def test_where_less_is_better_less_is_a_gain() -> None:
    found = estimate(np.random.default_rng(0).normal(-5, 1, 12), repeats=False)
    assert judge([found])[0].word is Word.LOSS
    assert judge([found], better=-1)[0].word is Word.GAIN


def test_the_smallest_difference_is_seen_as_often_as_it_says() -> None:
    chance = np.random.default_rng(9)
    small = np.median(
        [estimate(chance.normal(0, 1, 25), repeats=False, draws=2).smallest_difference() for _ in range(200)]
    )
    seen = [
        judge([estimate(chance.normal(small, 1, 25), repeats=False, draws=2)])[0].word is Word.GAIN for _ in range(400)
    ]
    assert 0.73 < np.mean(seen) < 0.87


def test_the_verdicts_are_three_words() -> None:
    assert [str(word) for word in Word] == ["gain", "loss", "no evidence"]


def test_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="trainings, patients"):
        estimate(np.zeros((2, 2, 2)))
