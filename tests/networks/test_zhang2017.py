"""Hints: they show where they are given, reach what looks alike, and are nothing where there are none."""

from __future__ import annotations

import pytest
import torch

from medcolor.networks import SIGGRAPH17, Zhang2017
from medcolor.networks.color_suggestions import suggested_colors
from medcolor.networks.hint_memory import hint_cells, recalled

AB = 110.0


def small(seed: int = 0) -> Zhang2017:
    torch.manual_seed(seed)
    return Zhang2017(width=12, end=12, prototypes=8, overall=8)


def scene(count: int, chance: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Return images with two bright squares far apart on dark ground, and which pixels are square."""
    gray = -0.6 + 0.05 * torch.randn(count, 1, 48, 48, generator=chance)
    inside = torch.zeros(count, 1, 48, 48)
    inside[..., 6:18, 6:18] = 1
    inside[..., 30:42, 30:42] = 1
    return gray + inside * 1.0, inside


def one_hint(ab: torch.Tensor) -> torch.Tensor:
    """Return hints for the first square alone: its colour (N, 2), scaled to -1..1, on 3 x 3 pixels."""
    hints = torch.zeros(len(ab), 3, 48, 48)
    hints[..., 10:13, 10:13] = torch.cat([ab, torch.ones(len(ab), 1)], dim=1)[..., None, None]
    return hints


@pytest.fixture(scope="module")
def taught() -> Zhang2017:
    """Return a network that has seen squares in any colour, told by a hint in one of the two."""
    network, chance = small(), torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(network.parameters(), lr=5e-3)
    for _ in range(120):
        gray, inside = scene(4, chance)
        color = torch.rand(4, 2, generator=chance) - 0.5
        ab = network.train()(gray, hints=one_hint(color), classify=False).ab / AB
        loss = (ab - color[..., None, None] * inside).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return network.eval()


@torch.no_grad()
def test_a_hinted_color_appears_at_the_hint_and_on_all_that_looks_alike(taught: Zhang2017) -> None:
    gray, inside = scene(1, torch.Generator().manual_seed(7))
    color = torch.tensor([[0.3, -0.25]])
    ab = taught(gray, hints=one_hint(color)).ab / AB
    at_hint, far_away = ab[0, :, 11, 11], ab[0, :, 33:39, 33:39].mean(dim=(1, 2))
    ground = ab[(inside == 0).expand_as(ab)].abs().mean().item()
    torch.testing.assert_close(at_hint, color[0], atol=0.08, rtol=0)
    torch.testing.assert_close(far_away, color[0], atol=0.08, rtol=0)  # 28 pixels from the hint
    assert ground < 0.05


@torch.no_grad()
def test_another_color_at_the_same_place_gives_another_picture(taught: Zhang2017) -> None:
    gray, _ = scene(1, torch.Generator().manual_seed(8))
    known = taught.encode(gray)
    red, green = (taught.decode(known, one_hint(torch.tensor([[a, 0.1]]))).ab[0, 0, 36, 36] / AB for a in (0.4, -0.4))
    assert (red - green).item() > 0.5


@torch.no_grad()
def test_no_hints_are_the_same_as_an_empty_mask() -> None:
    network = small().eval()
    gray = torch.rand(2, 1, 31, 45) * 2 - 1
    empty = torch.zeros(2, 3, 31, 45)
    empty[:, :2] = 0.7  # colours that are not given
    for one, other in zip(network(gray), network(gray, hints=empty), strict=True):
        if one is not None:
            torch.testing.assert_close(one, other)


@torch.no_grad()
def test_the_published_network_does_not_see_colors_outside_the_mask() -> None:
    torch.manual_seed(0)
    network = SIGGRAPH17(width=4).eval()
    gray = torch.rand(1, 1, 32, 32) * 2 - 1
    empty = torch.zeros(1, 3, 32, 32)
    empty[:, :2] = 0.7
    torch.testing.assert_close(network(gray).ab, network(gray, hints=empty).ab)


@torch.no_grad()
def test_what_is_not_said_of_the_whole_picture_changes_nothing() -> None:
    network = small().eval()
    gray, bins = torch.rand(2, 1, 32, 32) * 2 - 1, network.bins.count
    silent = {"ab_histogram": torch.zeros(2, bins), "saturation": torch.full((2, 1), -1.0)}
    plain = network(gray).ab
    torch.testing.assert_close(network(gray, **silent).ab, plain)
    said = network(gray, saturation=torch.tensor([[0.9], [-1.0]])).ab
    assert not torch.allclose(said[0], plain[0])
    torch.testing.assert_close(said[1], plain[1])  # of the second image nothing was said


@torch.no_grad()
def test_an_encoded_image_serves_every_hint() -> None:
    network = small().eval()
    gray = torch.rand(1, 1, 48, 48) * 2 - 1
    known = network.encode(gray)
    for color in (0.5, -0.5):
        hints = one_hint(torch.tensor([[color, 0.0]]))
        torch.testing.assert_close(network.decode(known, hints).ab, network(gray, hints=hints).ab)


@pytest.mark.parametrize(
    ("stage", "bent"), [("both", (True, True)), ("classes", (True, False)), ("colors", (False, True))]
)
def test_a_stage_of_training_says_whose_gradient_reaches_the_features(stage: str, bent: tuple[bool, bool]) -> None:
    for part, expected in zip(("logits", "ab"), bent, strict=True):
        network = small()
        out = network(torch.rand(2, 1, 32, 32), stage=stage)
        getattr(out, part).square().mean().backward()
        grad = network.block8.conv.weight.grad
        assert (grad is not None and bool(grad.abs().sum() > 0)) == expected


def test_cells_hold_the_mean_of_the_colors_given_in_them() -> None:
    hints = torch.zeros(1, 3, 8, 8)
    hints[0, :, 1, 1] = torch.tensor([0.2, 0.4, 1.0])
    hints[0, :, 2, 3] = torch.tensor([0.4, 0.0, 1.0])
    hints[0, 0, 0, 0] = 9.0  # not given
    cells = hint_cells(hints, 4)
    torch.testing.assert_close(cells[0, :, 0, 0], torch.tensor([0.3, 0.2, 1.0]))
    assert float(cells[0, :, 1:].abs().sum() + cells[0, :, 0, 1].abs().sum()) == 0


def test_what_is_recalled_is_the_mean_by_likeness_over_all_pairs() -> None:
    chance = torch.Generator().manual_seed(0)
    shares = torch.softmax(torch.randn(1, 5, 4, 6, generator=chance) * 3, dim=1)
    cells = torch.randn(1, 3, 4, 6, generator=chance)
    cells[:, 2] = (cells[:, 2] > 0).float()
    p, ab, mask = shares[0].flatten(1), cells[0, :2].flatten(1), cells[0, 2].flatten()
    likeness = (p.T @ p) * mask  # pairs: place by hint
    mass = likeness.sum(dim=1)
    worth = 1 - torch.exp(-mass)
    colors = (likeness @ ab.T) / mass[:, None]
    out = recalled(shares, cells)[0].flatten(1)
    torch.testing.assert_close(out[2], worth)
    torch.testing.assert_close(out[:2].T, colors * worth[:, None], atol=1e-4, rtol=1e-3)


def test_suggestions_find_the_modes_of_a_distribution_and_say_their_mass() -> None:
    network = small()
    logits = torch.full((1, network.bins.count, 4, 4), -30.0)
    modes = torch.tensor([[40.0, 30.0], [-30.0, 10.0], [0.0, -50.0]])
    places = network.bins.nearest(modes.T[None, :, None])[0, 0]
    logits[0, places, 2, 1] = torch.log(torch.tensor([0.2, 0.5, 0.3]))
    colors, shares = network.suggest(logits, 11, 7, 3)  # the cell of rows 8..11 and columns 4..7
    torch.testing.assert_close(colors, modes[[1, 2, 0]], atol=0.5, rtol=0)
    torch.testing.assert_close(shares, torch.tensor([0.5, 0.3, 0.2]), atol=0.02, rtol=0)
    again, _ = network.suggest(logits, 8, 4, 3)
    assert torch.equal(again, colors)


def test_more_suggestions_than_modes_still_cover_the_mass_in_order() -> None:
    centers = torch.tensor([[0.0, 0.0], [50.0, 0.0]])
    colors, shares = suggested_colors(torch.tensor([0.9, 0.1]), centers, 5)
    assert colors.shape == (5, 2)
    assert float(shares.sum()) == pytest.approx(1)
    assert bool((shares.diff() <= 0).all())
    with pytest.raises(ValueError, match="At least one"):
        suggested_colors(torch.tensor([1.0]), centers[:1], 0)
