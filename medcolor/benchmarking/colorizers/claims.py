"""What the review repeats of its systems, asked again on medical images: yes, no, or no evidence, by interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medcolor.benchmarking.colorizers.hints import GAIN, HintCurve
from medcolor.benchmarking.colorizers.table import MEASURED, Table, paired
from medcolor.training.statistics import DRAWS, Floats, Interval, bootstrap

YES, NO, OPEN = "yes", "no", "no evidence"
NOT_MEASURED = "not measured"


@dataclass(frozen=True)
class Claim:
    """One method against its own control.

    Attributes
    ----------
    question : str
    ours, theirs : str
        Methods.
    figure : str
        Of the table.
    lower : bool
        Whether less of it is better.
    """

    question: str
    ours: str
    theirs: str
    figure: str
    lower: bool = True


CLAIMS = (
    Claim("Nazeri 2018: does the conditional GAN beat its own U-Net in MAE?", "nazeri", "nazeri_unet", "mae_ab"),
    Claim(
        "Zhang 2016: does class rebalancing raise the rebalanced AuC?",
        "zhang2016",
        "zhang2016_plain",
        "auc_rebalanced",
        lower=False,
    ),
    Claim("DeOldify: does NoGAN beat plain GAN training in CIEDE2000?", "nogan", "plain_gan", "ciede2000"),
    Claim(
        "Cheng 2015: does clustering the references help Deep Colorization in CIEDE2000?",
        "deep",
        "deep_single",
        "ciede2000",
    ),
)
MONOTONE = "Zhang 2017: does every further step of hints raise PSNR, and how many hints reach +5 dB?"
VARIANTS = (*(claim.theirs for claim in CLAIMS), "deep_blind", "welsh_level")
"""Controls of single claims, and special cases of a method; in the table only where their bundles are."""


@dataclass(frozen=True)
class Answer:
    """What was found of a claim on a modality, or on all of them.

    Attributes
    ----------
    family : str
        "all": the mean over modalities, each counting the same.
    found : Interval or None
        Of the paired difference, method minus control.
    answer : str
    remark : str
    """

    family: str
    found: Interval | None
    answer: str
    remark: str = ""


def answer_of(difference: Interval, *, lower: bool) -> str:
    """Return yes where the whole interval is on the better side of 0, no where it is on the other, else neither."""
    if not np.isfinite(difference.low):
        return OPEN
    low, high = (difference.low, difference.high) if lower else (-difference.high, -difference.low)
    return YES if high < 0 else NO if low > 0 else OPEN


def answers(table: Table, claim: Claim) -> list[Answer]:
    """Return the answer of each modality, and of all that could be measured where these are two or more."""
    out, columns = [], []
    for family in table.families:
        ours, theirs = table.entry(claim.ours, family), table.entry(claim.theirs, family)
        missing = [
            f"{family.lower()}_{name}"
            for name, entry in ((claim.ours, ours), (claim.theirs, theirs))
            if entry is None or entry.status != MEASURED
        ]
        if missing or ours is None or theirs is None or ours.row is None or theirs.row is None:
            out.append(Answer(family, None, NOT_MEASURED, f"no {' and no '.join(missing)}"))
            continue
        mine, other = ours.row.value(claim.figure), theirs.row.value(claim.figure)
        difference = paired(mine, other)
        columns.append(np.array([mine[p] - other[p] for p in sorted(mine) if p in other]))
        out.append(Answer(family, difference, answer_of(difference, lower=claim.lower)))
    if len(columns) > 1:
        pooled = over_modalities(columns)
        out.append(Answer("all", pooled, answer_of(pooled, lower=claim.lower)))
    return out


def over_modalities(columns: Sequence[Floats], *, seed: int = 0) -> Interval:
    """Return the mean over modalities of the mean over patients; patients are drawn within their modality."""
    kept = [column[np.isfinite(column)] for column in columns]
    kept = [column for column in kept if column.size]
    if not kept:
        return bootstrap([])
    chance = np.random.default_rng(seed)
    drawn = np.mean([c[chance.integers(c.size, size=(DRAWS, c.size))].mean(axis=1) for c in kept], axis=0)
    low, high = np.percentile(drawn, (2.5, 97.5))
    value = float(np.mean([column.mean() for column in kept]))
    return Interval(value, float(low), float(high), sum(column.size for column in kept))


def monotone(curve: HintCurve) -> Answer:
    """Return yes where each step of hints gains by its whole interval, no where one loses by it.

    ``found`` is the smallest gain among the steps.
    """
    steps = [curve.gain(place, over=place - 1) for place in range(1, len(curve.counts))]
    least = min(steps, key=lambda step: step.value)
    said = NO if any(step.high < 0 for step in steps) else YES if all(step.low > 0 for step in steps) else OPEN
    enough = curve.enough
    remark = f"no number of hints up to {curve.counts[-1]} gains {GAIN:g} dB"
    if enough is not None:
        remark = f"{enough} hints gain {curve.gain(curve.counts.index(enough)):.2f} dB"
    return Answer("", least, said, remark)


__all__ = ["CLAIMS", "MONOTONE", "NOT_MEASURED", "VARIANTS", "Answer", "Claim", "answer_of", "answers", "monotone"]
