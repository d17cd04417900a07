"""The temperature of a training is the one its answers were drawn at."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax

from medcolor import phantom
from medcolor.scan import Scan
from medcolor.training import metrics
from medcolor.training.arms import Colors, Prediction
from medcolor.training.evaluate import LabeledScan
from medcolor.training.temperature import temperature_of, tempered

CLASSES, SHAPE = 6, (64, 48, 2)


def drawn(temperature: float, seed: int) -> tuple[LabeledScan, Prediction]:
    """Return what a network says, and classes drawn at a temperature of it."""
    chance = np.random.default_rng(seed)
    scan = phantom.scan("XR", shape=SHAPE)
    logits = chance.normal(0, 1.5, (CLASSES, SHAPE[2], SHAPE[1], SHAPE[0]))
    logits[0] = -20  # nothing is outside
    true = softmax(logits / temperature, axis=0)
    first = (true.cumsum(axis=0) < chance.uniform(size=true.shape[1:])).sum(axis=0)
    target = (np.arange(CLASSES)[:, None, None, None] == first).astype(np.float32)
    return LabeledScan(f"p{seed}", scan, target), Prediction(softmax(logits, axis=0).astype(np.float32))


@pytest.mark.parametrize("temperature", [0.3, 0.6, 1.0, 2.0])
def test_it_finds_the_temperature_that_answers_were_drawn_at(temperature: float) -> None:
    pairs = [drawn(temperature, seed) for seed in range(2)]
    said = {id(case.scan): prediction for case, prediction in pairs}
    found = temperature_of(lambda scan: said[id(scan)], [case for case, _ in pairs])
    assert found == pytest.approx(temperature, rel=0.05)
    case, prediction = pairs[0]
    p, t = (x.reshape(CLASSES, -1) for x in (prediction.posteriors, case.target))
    before, after = metrics.calibration(p, t).error, metrics.calibration(tempered(p, found), t).error
    assert after < 0.03
    assert temperature == 1 or after < 0.5 * before


def test_where_there_is_nothing_to_go_by_it_is_one() -> None:
    case, _ = drawn(1.0, 0)
    nothing = LabeledScan("p", case.scan, np.zeros_like(case.target))

    def colours(scan: Scan) -> Colors:
        return Colors(np.zeros((SHAPE[2], SHAPE[1], SHAPE[0], 2), np.float32))

    assert temperature_of(colours, [case]) == 1
    assert temperature_of(lambda _: Prediction(nothing.target), [nothing]) == 1
    assert temperature_of(colours, []) == 1
