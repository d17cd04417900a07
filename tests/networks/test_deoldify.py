"""What is DeOldify's own: spectral norms of 1, attention that begins with nothing, and a critic."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrize import is_parametrized

from medcolor.networks import DeOldify, DeOldifyCritic
from medcolor.networks.spectral import SelfAttention, ShuffleUp


@pytest.fixture(autouse=True)
def _one_thread_and_one_seed() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


def test_spectrally_normalized_weights_have_a_largest_singular_value_of_one() -> None:
    network = DeOldify()
    for _ in range(30):
        network(torch.randn(2, 1, 16, 16))  # each pass in training improves the estimate
    network.eval()
    normalized = [m for m in network.modules() if isinstance(m, nn.Conv2d) and is_parametrized(m, "weight")]
    assert len(normalized) >= 8
    for conv in normalized:
        assert float(torch.linalg.matrix_norm(conv.weight.detach().flatten(1), 2)) == pytest.approx(1, abs=0.02)


def test_attention_begins_with_nothing_and_then_reaches_the_far_corner() -> None:
    attention = SelfAttention(16).eval()
    x = torch.randn(1, 16, 12, 12)
    torch.testing.assert_close(attention(x), x)
    attention.gamma.data.fill_(1)
    moved = x.clone()
    moved[..., 0, 0] += 5
    assert (attention(moved) - attention(x))[..., -1, -1].abs().max() > 1e-4


def test_attention_over_averaged_places_is_attention_where_nothing_is_averaged() -> None:
    every, fewer = SelfAttention(16).eval(), SelfAttention(16, side=8).eval()
    every.gamma.data.fill_(1)
    fewer.load_state_dict(every.state_dict())
    x = torch.randn(1, 16, 8, 8)
    torch.testing.assert_close(every(x), fewer(x), rtol=0, atol=0)
    coarse = x.repeat_interleave(3, 2).repeat_interleave(3, 3)  # constant within each averaged place
    inside = fewer(coarse)[..., 1::3, 1::3]  # the middle of each, where enlarging changes nothing
    torch.testing.assert_close(inside, every(x), rtol=1e-4, atol=1e-4)


def test_enlargement_begins_without_a_checkerboard() -> None:
    up = ShuffleUp(8, 4, normalized=False).eval()
    x = torch.randn(1, 8, 6, 6)
    flat = up(x[..., :1, :1].expand(-1, -1, 6, 6))
    torch.testing.assert_close(flat, flat[..., :1, :1].expand_as(flat))
    # nearest neighbours, averaged with the one before: every second pixel is exactly a cell's
    with torch.no_grad():
        cells = torch.relu(up.unit.conv(x)[:, ::4])
    torch.testing.assert_close(up(x)[..., 1::2, 1::2], cells)


def test_the_critic_gives_a_logit_for_each_patch_and_learns_from_every_parameter() -> None:
    critic = DeOldifyCritic()
    logits = critic(torch.randn(2, 3, 96, 112))
    assert logits.shape == (2, 1, 3, 4)
    optimizer = torch.optim.SGD(critic.parameters(), 1e-2)
    logits.mean().backward()
    optimizer.step()
    optimizer.zero_grad()
    critic(torch.randn(2, 3, 96, 96)).mean().backward()
    assert not [name for name, p in critic.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]


def test_the_critic_learns_to_tell_colours_apart() -> None:
    critic = DeOldifyCritic(width=8)
    optimizer = torch.optim.Adam(critic.parameters(), 2e-3)
    truth = torch.tensor([1.0, 1.0, 0.0, 0.0])

    def pictures() -> torch.Tensor:
        out = 0.3 * torch.randn(4, 3, 64, 64)
        out[:2, 1] += 0.5  # real ones are redder
        return out

    for _ in range(25):
        optimizer.zero_grad()
        nn.functional.binary_cross_entropy_with_logits(critic(pictures()).mean((1, 2, 3)), truth).backward()
        optimizer.step()
    judged = critic.eval()(pictures()).mean((1, 2, 3))
    assert judged[:2].min() > judged[2:].max()


def test_the_critic_says_how_large_a_picture_must_be() -> None:
    assert DeOldifyCritic()(torch.zeros(1, 3, 64, 64)).shape == (1, 1, 1, 1)
    with pytest.raises(ValueError, match="64 pixels"):
        DeOldifyCritic()(torch.zeros(1, 3, 63, 80))


def test_the_critics_published_width_begins_with_256_channels_and_ends_with_2048() -> None:
    with torch.device("meta"):
        convolutions = [m for m in DeOldifyCritic.published().layers if isinstance(m, nn.Conv2d)]
    assert [m.out_channels for m in convolutions] == [256, 256, 512, 512, 1024, 1024, 2048, 2048, 1]
