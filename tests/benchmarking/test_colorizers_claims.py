"""What the table says of the review's claims: yes, no or no evidence, never more than its interval."""

from __future__ import annotations

import numpy as np
import pytest

from medcolor.benchmarking.colorizers.claims import CLAIMS, answer_of, answers, monotone, over_modalities
from medcolor.benchmarking.colorizers.hints import HintCurve
from medcolor.benchmarking.colorizers.markdown import to_markdown
from medcolor.benchmarking.colorizers.rows import Row
from medcolor.benchmarking.colorizers.table import MEASURED, NOT_TRAINED, Entry, Table, verdict
from medcolor.training.statistics import Interval, bootstrap

NAZERI, ZHANG = CLAIMS[0], CLAIMS[1]


def entry(method: str, family: str, figure: str, values: list[float]) -> Entry:
    patients = {f"p{n}": {figure: value, "ciede2000": value} for n, value in enumerate(values)}
    return Entry(method, family, MEASURED, f"{family}_{method}", "phantoms", Row(patients, 1, 1, 0))


def table(ours: dict[str, list[float]], theirs: dict[str, list[float]], figure: str, *names: str) -> Table:
    entries = [entry(names[0], family, figure, values) for family, values in ours.items()]
    entries += [entry(names[1], family, figure, values) for family, values in theirs.items()]
    return Table(sorted(entries, key=lambda e: e.family))


@pytest.mark.parametrize(
    ("low", "high", "lower", "said"),
    [
        (-2.0, -1.0, True, "yes"),
        (1.0, 2.0, True, "no"),
        (-1.0, 1.0, True, "no evidence"),
        (1.0, 2.0, False, "yes"),
        (-2.0, -1.0, False, "no"),
        (-1.0, 1.0, False, "no evidence"),
        (np.nan, np.nan, True, "no evidence"),
        (-1.0, 0.0, True, "no evidence"),
    ],
)
def test_an_answer_is_clear_of_zero_or_none(low: float, high: float, lower: bool, said: str) -> None:
    assert answer_of(Interval((low + high) / 2, low, high, 5), lower=lower) == said


def test_each_modality_answers_by_pairs_and_all_together_count_the_same() -> None:
    chance = np.random.default_rng(0)
    level = chance.uniform(5, 30, 12)  # patients differ far more than methods
    ours = {"CT": list(level - 1 + chance.normal(0, 0.1, 12)), "MR": list(level[:6] + 1), "PT": [1.0, 2.0]}
    theirs = {"CT": list(level), "MR": list(level[:6]), "US": [1.0]}
    found = {a.family: a for a in answers(table(ours, theirs, "mae_ab", "nazeri", "nazeri_unet"), NAZERI)}
    assert (found["CT"].answer, found["MR"].answer) == ("yes", "no")
    assert found["PT"].answer == found["US"].answer == "not measured"
    assert found["PT"].remark == "no pt_nazeri_unet"
    pooled = found["all"].found
    assert pooled is not None
    assert pooled.value == pytest.approx((np.mean(np.array(ours["CT"]) - level) + 1) / 2)
    assert pooled.patients == 18


def test_a_gain_is_better_where_more_is_better() -> None:
    ours, theirs = {"CT": [90.0, 91.0, 95.0]}, {"CT": [80.0, 82.0, 84.0]}
    said = answers(table(ours, theirs, "auc_rebalanced", "zhang2016", "zhang2016_plain"), ZHANG)
    assert [a.answer for a in said] == ["yes"], "one modality is not all"


def test_one_modality_pooled_is_its_own_bootstrap() -> None:
    column = np.random.default_rng(0).normal(1, 1, 40)
    pooled, own = over_modalities([column]), bootstrap(column)
    assert pooled.value == own.value
    assert (pooled.low, pooled.high) == pytest.approx((own.low, own.high), abs=0.05)


def test_hints_are_monotone_only_where_every_step_gains() -> None:
    rising = {f"p{n}": [20.0 + n, 22.0 + n, 26.0 + n] for n in range(5)}
    said = monotone(HintCurve((0, 1, 2), rising))
    assert said.answer == "yes"
    assert said.found is not None
    assert said.found.value == pytest.approx(2)
    assert said.remark == "2 hints gain 6.00 [6.00, 6.00] dB"
    falling = {p: [*row[:2], row[1] - 1] for p, row in rising.items()}
    assert monotone(HintCurve((0, 1, 2), falling)).answer == "no"
    mixed = {p: [*row[:2], row[1] + step] for (p, row), step in zip(rising.items(), (-2, 2, -1, 1, 0), strict=True)}
    said = monotone(HintCurve((0, 1, 2), mixed))
    assert (said.answer, said.remark) == ("no evidence", "no number of hints up to 2 gains 5 dB")


def test_better_needs_an_interval_clear_of_zero() -> None:
    assert verdict(Interval(-1, -2, -0.1, 5)) == "better"
    assert verdict(Interval(-1, -2, 0.1, 5)) == "not better"
    assert verdict(Interval(-1, np.nan, np.nan, 1)) == "not better", "one patient is no evidence"
    assert verdict(Interval(np.nan, np.nan, np.nan, 0)) == ""


def test_the_page_has_a_line_for_every_pair_and_every_claim() -> None:
    one = table({"CT": [1.0, 2.0]}, {"CT": [3.0, 5.0]}, "mae_ab", "nazeri", "gray")
    missing = Entry("deep", "CT", NOT_TRAINED, "no bundle ct_deep")
    text = to_markdown(Table([*one.entries, missing], ("a fact",)))
    assert "| deep | not trained: no bundle ct_deep | - | - | - |" in text
    assert "- a fact" in text
    assert "| nazeri | CT_nazeri | 1.50 [1.00, 2.00] | -2.50 [-3.00, -2.00] better | - |" in text
    for claim in CLAIMS:
        assert claim.question in text
    assert text.count("not measured") == len(CLAIMS) + 1
