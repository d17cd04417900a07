"""The simulated user and the oracle: rules that hold whatever the segmenter does."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from medcolor.segmenters.clicks import REST, TARGET, Clicked, click, deepest, largest
from medcolor.segmenters.oracle import assigned, box_around

ROWS, COLUMNS = np.ogrid[:32, :32]
DISC = (ROWS - 14) ** 2 + (COLUMNS - 17) ** 2 < 64
EVERYWHERE = np.ones(DISC.shape, bool)


def near(seeds: np.ndarray) -> np.ndarray:
    """Label each pixel by the nearest seed."""
    from scipy import ndimage

    _, (j, i) = ndimage.distance_transform_edt(seeds == 0, return_indices=True)
    return seeds[j, i]


def test_the_first_two_clicks_are_deepest_inside_and_deepest_outside() -> None:
    seen: list[np.ndarray] = []
    click(lambda seeds: seen.append(seeds.copy()) or seeds, DISC, EVERYWHERE, most=2)
    assert seen[0][14, 17] == TARGET
    outside = deepest(~DISC)
    assert seen[0][outside] == REST
    assert not (seen[0][DISC] == REST).any()
    assert not (seen[0][~DISC] == TARGET).any()


def test_sessions_are_the_same_every_time_and_get_better() -> None:
    one, other = (click(near, DISC, EVERYWHERE, most=12) for _ in range(2))
    assert one.dice == other.dice
    assert np.array_equal(one.result, other.result)
    assert one.dice[0] == 0
    assert one.dice[-1] > 0.85 > one.dice[1]


def test_each_further_click_goes_into_what_is_wrong() -> None:
    seen: list[np.ndarray] = []

    def stubborn(seeds: np.ndarray) -> np.ndarray:
        seen.append(seeds.copy())
        return np.full(seeds.shape, REST)

    found = click(stubborn, DISC, EVERYWHERE, most=4)
    assert found.dice == (0, 0, 0, 0)
    assert (seen[-1] == TARGET).sum() > 0
    assert found.needed(0.8) is None


def test_a_perfect_result_ends_the_session() -> None:
    found = click(lambda seeds: np.where(DISC, TARGET, REST), DISC, EVERYWHERE, most=9)
    assert found.dice == (0.0, 1.0)
    assert found.needed(0.9) == 2
    assert found.after(7) == 1.0


@pytest.mark.parametrize(("level", "clicks"), [(0.1, 2), (0.8, 3), (0.9, None)])
def test_never_is_never(level: float, clicks: int | None) -> None:
    assert Clicked((0.0, 0.3, 0.85, 0.8), DISC).needed(level) == clicks


def test_a_session_without_anything_sought_is_refused() -> None:
    for reference, inside, most in ((~EVERYWHERE, EVERYWHERE, 5), (DISC, ~DISC, 5), (DISC, EVERYWHERE, 1)):
        with pytest.raises(ValueError, match="session"):
            click(near, reference, inside, most=most)


def test_the_largest_error_is_clicked_at_its_deepest_point() -> None:
    wrong = np.zeros((20, 20), bool)
    wrong[1:4, 1:4] = wrong[8:15, 6:17] = True
    assert not largest(wrong)[2, 2]
    assert deepest(largest(wrong))[0] == 11


SMALL = arrays(np.int64, (3, 4), elements=st.integers(0, 4))


@settings(deadline=None, max_examples=60)
@given(groups=SMALL, reference=arrays(np.int64, (3, 4), elements=st.integers(0, 1)))
def test_no_other_union_of_groups_has_a_better_dice(groups: np.ndarray, reference: np.ndarray) -> None:
    found = assigned(groups, reference, [1]) == 1
    truth = reference == 1

    def dice(mask: np.ndarray) -> float:
        return 2 * (mask & truth).sum() / max(mask.sum() + truth.sum(), 1)

    unions = (np.isin(groups, [n for n, taken in zip((1, 2, 3, 4), bits, strict=True) if taken])
              for bits in product((0, 1), repeat=4))  # fmt: skip
    assert dice(found) == pytest.approx(max(map(dice, unions)))
    assert not found[groups == 0].any()


def test_a_group_belongs_to_the_label_it_has_most_of() -> None:
    groups = np.array([[1, 1, 1, 2, 2, 2]])
    reference = np.array([[1, 1, 2, 2, 2, 0]])
    assert assigned(groups, reference, [1, 2]).tolist() == [[1, 1, 1, 2, 2, 2]]


@settings(deadline=None, max_examples=30)
@given(arrays(np.bool_, (9, 8)))
def test_a_box_holds_all_that_is_sought_with_a_margin(reference: np.ndarray) -> None:
    box = box_around(reference, least=2)
    assert box[reference].all()
    assert box.any() == reference.any()
    for j, i in np.argwhere(reference):
        assert box[max(j - 2, 0) : j + 3, max(i - 2, 0) : i + 3].all()
