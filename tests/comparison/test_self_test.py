"""The instrument on studies whose truth is known. Long versions by name: ``pytest -m slow tests/comparison``.

``--log-cli-level=INFO`` shows the rates.
"""

from __future__ import annotations

import logging

import numpy as np
import pytest
from comparison.simulated_studies import MEASURED, QUIET, World, heavy, normal, skewed, upper_bound

from medcolor.comparison.statistics import Word

PLANTED = 0.03
LOG = logging.getLogger(__name__)


def found(world: World, gain: float, studies: int, *, first: int = 0) -> float:
    """Return in which share of studies the planted gain is called a gain."""
    words = [world.study(first + seed, {"arm": gain})["arm"].verdict for seed in range(studies)]
    return words.count(Word.GAIN) / studies


def mistaken(world: World, studies: int, *, arms: int = 1, first: int = 10_000) -> int:
    """Return in how many studies without any effect some verdict, that of gray again included, says gain or loss."""
    gains = {f"arm{n}": 0.0 for n in range(arms)}
    lines = (world.study(first + seed, gains).values() for seed in range(studies))
    return sum(any(line.verdict != Word.NONE for line in study) for study in lines)


def test_a_planted_gain_of_three_dice_is_found_in_a_few_studies() -> None:
    assert found(World(), PLANTED, 12) >= 0.8
    assert found(World(runs=1, tier="classical", training=0.0, rest=0.02), PLANTED, 12) >= 0.8


def test_nothing_is_found_in_a_few_studies_without_effect() -> None:
    assert mistaken(World(training=MEASURED), 40) <= 6


def test_a_planted_loss_is_called_a_loss() -> None:
    words = [World().study(seed, {"arm": -0.05})["arm"].verdict for seed in range(5)]
    assert words == [Word.LOSS] * 5


def test_the_noise_of_training_is_as_large_as_was_measured() -> None:
    """Gray against gray again, means over patients of one training, within +-.1 in 95 % of pairs."""
    chance = np.random.default_rng(0)
    pairs = MEASURED * (normal(chance, (4000,)) - normal(chance, (4000,)))
    assert np.mean(np.abs(pairs) <= 0.1) == pytest.approx(0.95, abs=0.012)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "world",
    [World(), World(noise=heavy), World(noise=skewed), World(runs=1, tier="classical", training=0.0, rest=0.02)],
    ids=["normal", "heavy tails", "skewed", "without training"],
)
def test_a_planted_gain_of_three_dice_is_found_in_nine_of_ten_studies(world: World) -> None:
    share = found(world, PLANTED, 100)
    LOG.info(f"+3 Dice called a gain in {share:.0%} of 100 studies")
    assert share >= 0.9


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "world",
    [
        World(training=QUIET),
        World(training=MEASURED),
        World(training=MEASURED, noise=heavy),
        World(training=MEASURED, noise=skewed),
        World(training=MEASURED, runs=4, patients=8),
        World(training=MEASURED, runs=4, patients=129),
        World(runs=1, tier="classical", training=0.0, patients=8),
    ],
    ids=["quiet", "noisy", "noisy heavy", "noisy skewed", "4 x 8", "4 x 129", "without training"],
)
def test_without_effect_verdicts_are_wrong_in_less_than_eight_of_a_hundred_studies(world: World) -> None:
    studies = 1000
    wrong = mistaken(world, studies)
    LOG.info(f"{wrong} of {studies} studies mistaken, upper bound {upper_bound(wrong, studies):.1%}")
    assert upper_bound(wrong, studies) < 0.08


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_ten_arms_without_effect_are_no_ten_chances() -> None:
    studies = 400
    wrong = mistaken(World(training=MEASURED, patients=20), studies, arms=10)
    LOG.info(f"{wrong} of {studies} studies of ten arms mistaken, upper bound {upper_bound(wrong, studies):.1%}")
    assert upper_bound(wrong, studies) < 0.08


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_with_noisy_trainings_a_study_says_what_it_could_have_seen_and_sees_that() -> None:
    """Eight trainings as noisy as measured cannot see 3 Dice by any procedure: the noise of eight means alone is 1.6.

    The study says so itself, and finds what it says it can find; with enough trainings it finds 3 Dice.
    """
    world = World(training=MEASURED, patients=129)
    said = [world.study(seed, {"arm": 0.0})["arm"].smallest_difference for seed in range(60)]
    smallest = float(np.median(said))
    at_three, at_smallest = found(world, PLANTED, 100), found(world, smallest, 100)
    many = found(World(training=MEASURED, patients=129, runs=40), PLANTED, 100)
    LOG.info(
        f"smallest {smallest:.3f} found in {at_smallest:.0%}; .03 in {at_three:.0%}, with 40 trainings in {many:.0%}"
    )
    assert smallest > PLANTED
    assert at_smallest >= 0.65  # 80 % is what is said; of 100 studies
    assert many >= 0.9
