"""Trainings that may differ in what is shown alone, and give the same bits again."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from medcolor.comparison.learned import NETWORKS, Fitting, Shown, begun, body_of, load_body, predict, train
from medcolor.comparison.learned_augmentation import Moves, moved
from medcolor.comparison.learned_pretraining import KINDS, pretrain
from medcolor.errors import SettingError

SIDE = 32


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Small convolutions wait for threads longer than they compute."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


SHORT = Fitting(steps=2, batch=4)


def slices(channels: int = 1, count: int = 6) -> Shown:
    rng = np.random.default_rng(0)
    masks = np.zeros((count, SIDE, SIDE), np.uint8)
    masks[1:, 8:24, 10:22] = 1
    images = rng.normal(0.3, 0.05, (count, channels, SIDE, SIDE))
    images[:, 0] += 0.4 * masks
    return Shown(torch.from_numpy(images[None]).half(), torch.from_numpy(masks))


def weights(network: torch.nn.Module) -> list[torch.Tensor]:
    return list(network.state_dict().values())


@pytest.mark.parametrize("network", NETWORKS)
def test_a_training_gives_the_same_bits_again_and_others_with_another_seed(network: str) -> None:
    one, same, other = (train(slices(), 1, network=network, fitting=SHORT, seed=seed) for seed in (5, 5, 6))
    assert all(torch.equal(a, b) for a, b in zip(weights(one), weights(same), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(weights(one), weights(other), strict=True))


def test_a_training_leaves_the_surroundings_chance_alone() -> None:
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    train(slices(), 1, fitting=SHORT)
    assert torch.equal(torch.rand(3), expected)


def test_a_plain_square_is_learned() -> None:
    network = train(slices(), 1, fitting=Fitting(steps=60, batch=6), seed=0)
    shown = slices()
    found = predict(network, shown.images[0].float().numpy())
    truth = shown.masks.numpy()
    assert 2 * (found & truth).sum() / (found.sum() + truth.sum()) > 0.9


@pytest.mark.parametrize("network", NETWORKS)
def test_arms_begin_with_the_same_weights_wherever_these_do_not_touch_the_input(network: str) -> None:
    one, three = begun(network, 1, 2, 7).state_dict(), begun(network, 3, 2, 7).state_dict()
    differ = [
        name for name in one if not (one[name].shape == three[name].shape and torch.equal(one[name], three[name]))
    ]
    assert all(one[name].shape != three[name].shape for name in differ)
    assert 1 <= len(differ) <= 3


def test_gray_and_colour_see_the_same_slices_moved_and_brightened_alike() -> None:
    torch.manual_seed(0)
    moves = Moves.draw(4, True, 0.0)
    gray, masks = slices().images[0, :4].float(), slices().masks[:4]
    color = torch.cat([gray, torch.rand(4, 2, SIDE, SIDE)], dim=1)
    torch.manual_seed(1)
    one, labels = moved(gray, masks, moves, 1, False, False)
    torch.manual_seed(1)
    other, same = moved(color, masks, moves, 1, False, False)
    assert torch.equal(one[:, 0], other[:, 0])
    assert torch.equal(labels, same)
    assert not torch.equal(other[:, 1:], color[:, 1:])


def test_chroma_that_belongs_to_the_place_stays_and_dropped_chroma_is_gone() -> None:
    torch.manual_seed(0)
    color = torch.rand(8, 3, SIDE, SIDE)
    masks = torch.zeros(8, SIDE, SIDE, dtype=torch.uint8)
    placed, _ = moved(color, masks, Moves.draw(8, True, 0.0), 1, True, False)
    assert torch.equal(placed[:, 1:], color[:, 1:])
    half = Moves.draw(400, False, 0.5)
    assert 0.4 < half.gray.float().mean() < 0.6
    dropped, _ = moved(color, masks, Moves.draw(8, False, 1.1), 1, False, False)
    assert not dropped[:, 1:].any()
    assert dropped[:, 0].any()


def test_without_augmentation_nothing_changes() -> None:
    gray, masks = slices().images[0].float(), slices().masks
    out, labels = moved(gray, masks, Moves.draw(6, False, 0.0), 1, False, False)
    torch.testing.assert_close(out, gray.clamp(0, 1), atol=1e-5, rtol=0)
    assert torch.equal(labels, masks.long())


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_learned_before_is_carried_over_but_for_the_head(kind: str) -> None:
    images = torch.rand(5, 3, SIDE, SIDE).half()
    one, same = (pretrain(kind, images, network="unet", fitting=SHORT, seed=2) for _ in range(2))
    assert all(torch.equal(one[name], same[name]) for name in one)
    network = begun("unet", 1, 4, 0)
    head = network[1].weight.clone()
    load_body(network, one)
    assert all(torch.equal(body_of(network)[name], one[name]) for name in one)
    assert torch.equal(network[1].weight, head)
    plain = train(slices(), 1, fitting=SHORT, seed=0)
    begun_with = train(slices(), 1, fitting=SHORT, seed=0, body=one)
    assert not torch.equal(plain[1].weight, begun_with[1].weight)


def test_what_cannot_be_trained_is_refused() -> None:
    with pytest.raises(SettingError, match="no network"):
        train(slices(), 1, network="transformer", fitting=SHORT)
    with pytest.raises(SettingError, match="another network"):
        load_body(begun("unet", 3, 2, 0), body_of(begun("unet", 1, 2, 0)))
    with pytest.raises(SettingError, match="at least 1"):
        Fitting(steps=0)
    with pytest.raises(SettingError, match="no pretraining"):
        pretrain("rest", torch.rand(1, 1, SIDE, SIDE), network="unet", fitting=SHORT, seed=0)
