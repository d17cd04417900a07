"""What each system pulls toward: the published weights, chances and schedules, and that a restart changes no byte."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from medcolor.errors import TrainingError
from medcolor.networks.ab_bins import AbBins
from medcolor.networks.chroma import ChromaOutput
from medcolor.networks.log_chroma import log_chroma_histogram
from medcolor.training.checkpoints import BEST, EXPORT, LAST
from medcolor.training.devices import place
from medcolor.training.drawing import stack_samples
from medcolor.training.learner import Learner
from medcolor.training.loop import FitOptions, FitResult, fit
from medcolor.training.objectives import (
    BinObjective,
    ChromaObjective,
    ColorObjective,
    HintObjective,
    HistogramObjective,
    LabObjective,
    NoGanObjective,
    Step,
)
from medcolor.training.objectives.adversarial import CRITIC, critic_loss
from medcolor.training.objectives.bins import bin_entropy, colored
from medcolor.training.objectives.chroma import Lesson, coarse
from medcolor.training.objectives.hints import draw_patches, saturation, simulate_hints, turn_hues
from medcolor.training.objectives.histogram import DEFAULT, MIXED, OWN
from medcolor.training.objectives.inflection import score, smoothed
from medcolor.training.objectives.nogan import CRITIC_TURNS
from medcolor.training.objectives.objective import NETWORK
from medcolor.training.objectives.queries import colorfulness

AB = torch.tensor([[0.0, 0.0], [40.0, 10.0], [0.0, -40.0]])
SIDE = 16


class StandIn(nn.Module):
    """Two layers, with everything that a system may have: bins, lightness, hints, a histogram."""

    bins: Any

    def __init__(self, *, bins: AbBins | int | None = None) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Conv2d(4, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout2d(0.1))
        self.bins = bins
        self.head = nn.Conv2d(8, 3 + (bins.count if isinstance(bins, AbBins) else 0), 1)
        if isinstance(bins, int):
            self.register_buffer("default_histogram", torch.zeros(3 * bins**2))
        self.told: dict[str, Tensor] = {}

    def set_default(self, histogram: Tensor) -> None:
        self.default_histogram = (histogram / histogram.sum()).flatten()

    def forward(self, gray: Tensor, **told: Tensor) -> ChromaOutput:
        self.told = told
        hints = told.get("hints", gray.new_zeros(len(gray), 3, *gray.shape[-2:]))
        out = self.head(self.body(torch.cat([gray, hints], dim=1)))
        logits = out[:, 3:, ::4, ::4] if isinstance(self.bins, AbBins) else None
        return ChromaOutput(20 * out[:, :2], logits=logits, lightness=50 * (1 + out[:, 2:3].tanh()))


class Critic(nn.Module):
    """Gray and colours, or a picture, to a logit for each patch."""

    def __init__(self, planes: int = 4) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.body = nn.Sequential(nn.Conv2d(planes, 4, 4, 4), nn.LeakyReLU(0.2), nn.Dropout(0.1), nn.Conv2d(4, 1, 1))

    def forward(self, *parts: Tensor) -> Tensor:
        out: Tensor = self.body(torch.cat(parts, dim=1))
        return out


def make_samples(n: int = 6) -> list[dict[str, Any]]:
    chance = np.random.default_rng(0)
    samples = []
    for number in range(n):
        image = chance.uniform(-1, 1, (1, SIDE, SIDE)).astype(np.float32)
        target = np.eye(3, dtype=np.float32)[np.digitize(image[0], [-0.3, 0.5])].transpose(2, 0, 1)
        known = {"image": image, "target": target, "neighbour": image + 0.01, "window": [-1.0, 1.0]}
        samples.append(known | {"patient": f"p{number}"})
    return samples


def bins() -> AbBins:
    return AbBins(step=20.0, neighbours=4)


OBJECTIVES: dict[str, Any] = {
    "bins": lambda: (StandIn(bins=bins()), BinObjective()),
    "hints": lambda: (StandIn(bins=bins()), HintObjective(automatic=0.3)),
    "l1": lambda: (StandIn(), LabObjective()),
    "cgan": lambda: (StandIn(), LabObjective(Critic())),
    "histogram": lambda: (StandIn(bins=8), HistogramObjective(Critic())),
    "nogan": lambda: (StandIn(), NoGanObjective(Critic(3), alone=4, saved=2, teaching=2, every=1)),
    "queries": lambda: (StandIn(), ColorObjective(colorfulness=0.5)),
}


def prepared(name: str) -> tuple[StandIn, Any]:
    network, objective = OBJECTIVES[name]()
    objective.prepare(network, make_samples(), palette_ab=AB, seed=0)
    return network, objective


def figures(network: nn.Module) -> Mapping[str, float]:
    image = torch.from_numpy(make_samples()[0]["image"])[None]
    off = float(network(image).ab.abs().mean())
    return {"error": off, "gray_error": 20.0, "hellinger": off / 100, "drift": off / 10}


def run(name: str, folder: Path, **changes: Any) -> FitResult:
    torch.set_num_threads(1)
    network, objective = prepared(name)
    options = FitOptions(steps=16, batch=2, validate_every=4, log_every=1, patience=99, seed=3)
    settings: dict[str, Any] = {"options": options, "validate": figures, "placement": place("cpu")} | changes
    return fit(network, make_samples(), objective=objective, output=folder, **settings)


class KilledError(Exception):
    pass


def killed_at(step: int) -> Any:
    def kill(done: int, total: int) -> None:
        if done == step:
            raise KilledError

    return kill


@pytest.mark.parametrize(
    ("name", "at"), [(name, 7) for name in OBJECTIVES] + [("nogan", n) for n in (5, 9, 12)] + [("cgan", 10)]
)
def test_a_killed_training_goes_on_to_the_same_bytes_whatever_the_objective(name: str, at: int, tmp_path: Path) -> None:
    whole = run(name, tmp_path / "whole")
    with pytest.raises(KilledError):
        run(name, tmp_path / "cut", progress=killed_at(at))
    assert run(name, tmp_path / "cut", resume=True).sha256 == whole.sha256
    for file in (LAST, BEST, EXPORT):
        assert (tmp_path / "cut" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()


def lesson_of(objective: ChromaObjective, n: int = 4) -> tuple[dict[str, Tensor], Lesson]:
    batch = stack_samples(make_samples(n))
    return batch, objective.lesson(batch)


def learned_by(objective: Any, network: StandIn, options: FitOptions) -> dict[str, Learner]:
    found: dict[str, Learner] = objective.learners(network, options, place("cpu"))
    return found


def weights_of(module: nn.Module) -> list[Tensor]:
    return [p.detach().clone() for p in module.parameters()]


def same(first: list[Tensor], second: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


# bins


def test_the_prior_is_recomputed_from_the_training_targets() -> None:
    network, objective = prepared("bins")
    lesson = lesson_of(objective, 6)[1]
    counts = bins().frequencies(lesson.ab[..., ::4, ::4])
    wanted = bins()
    wanted.set_prior(counts)
    torch.testing.assert_close(network.bins.prior, wanted.prior)
    torch.testing.assert_close(network.bins.weights, wanted.weights)
    assert len(network.bins.weights.unique()) > 1


def test_rebalancing_weighs_each_pixels_gradient_and_not_the_loss() -> None:
    network, objective = prepared("bins")
    lesson = lesson_of(objective)[1]
    logits = torch.randn(4, network.bins.count, 4, 4)
    found = {}
    for rebalance in (True, False):
        leaf = logits.clone().requires_grad_()
        loss = bin_entropy(network.bins, ChromaOutput(lesson.ab, logits=leaf), lesson, rebalance=rebalance)
        loss.backward()
        found[rebalance] = (loss.item(), leaf.grad)
    assert found[True][0] == found[False][0]
    chosen = network.bins.encode(coarse(lesson, (4, 4))[0]).argmax(dim=1)
    expected = network.bins.weights[chosen][:, None] * found[False][1]
    torch.testing.assert_close(found[True][1], expected)


def test_the_soft_encoded_target_itself_has_no_loss_and_no_gradient() -> None:
    network, objective = prepared("bins")
    lesson = lesson_of(objective)[1]
    exact = network.bins.encode(coarse(lesson, (4, 4))[0]).clamp(min=1e-12).log().requires_grad_()
    loss = bin_entropy(network.bins, ChromaOutput(lesson.ab, logits=exact), lesson, rebalance=True)
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-5)
    assert float(exact.grad.abs().max()) < 1e-6  # type: ignore[union-attr]


@pytest.mark.parametrize(("most", "counts"), [(4.9, 0.0), (-5.1, 1.0)])
def test_pictures_without_colour_teach_nothing(most: float, counts: float) -> None:
    ab = torch.zeros(1, 2, 8, 8)
    ab[0, 1, 3, 3] = most
    lesson = Lesson(torch.zeros(1, 1, 8, 8), ab, torch.ones(1, 8, 8))
    assert colored(lesson).tolist() == [counts]
    logits = torch.randn(1, bins().count, 2, 2, requires_grad=True)
    bin_entropy(bins(), ChromaOutput(ab, logits=logits), lesson, rebalance=False).backward()
    assert bool(logits.grad.abs().sum() > 0) == bool(counts)  # type: ignore[union-attr]


def test_coarse_targets_are_subsampled_and_nothing_counts_beyond_the_image() -> None:
    ab = torch.arange(2 * 10 * 10.0).reshape(1, 2, 10, 10)
    lesson = Lesson(torch.zeros(1, 1, 10, 10), ab, torch.ones(1, 10, 10))
    wanted, pixels = coarse(lesson, (4, 4))  # the network filled 10 pixels up to 16: four cells of four
    torch.testing.assert_close(wanted[..., :3, :3], ab[..., ::4, ::4])
    assert pixels[0].tolist() == [[1, 1, 1, 0], [1, 1, 1, 0], [1, 1, 1, 0], [0, 0, 0, 0]]
    whole = Lesson(torch.zeros(1, 1, 8, 8), ab[..., :8, :8], torch.ones(1, 8, 8))
    assert torch.equal(coarse(whole, (8, 8))[0], whole.ab)
    assert torch.equal(coarse(whole, (4, 2))[0], whole.ab[..., ::2, ::4])


# hints


def test_hints_are_as_many_as_large_and_where_the_paper_says() -> None:
    torch.manual_seed(0)
    height, width, draws = 96, 64, 4000
    pictures = [draw_patches(height, width) for _ in range(draws)]
    numbers = np.array([len(patches) for patches in pictures])
    for n in range(4):  # geometric from 0 on: p (1 - p)^n
        share, expected = float((numbers == n).mean()), 0.125 * 0.875**n
        assert abs(share - expected) < 4 * math.sqrt(expected / draws)
    assert abs(numbers.mean() - 7) < 4 * math.sqrt(56 / draws)
    patches = np.array([patch for some in pictures for patch in some])
    sides = patches[:, 1] - patches[:, 0]
    counted = np.bincount(sides, minlength=10)[1:]
    assert counted.min() > 0.9 * counted.mean()
    assert counted.max() < 1.1 * counted.mean()
    for low, length in ((patches[:, 0], height), (patches[:, 2], width)):
        room = length - sides
        place = (low - room / 2) / ((room + 1) / 4)  # two deviations each way are inside, what is beyond is clipped
        clipped = 2 * (1 - 0.97725)
        assert abs(place.mean()) < 0.03
        assert abs(((place <= -1.9) | (place >= 1.9)).mean() - clipped) < 0.02
        assert (np.abs(place) < 1).mean() == pytest.approx(0.683, abs=0.02)
    assert (patches[:, [0, 2]] >= 0).all()
    assert (patches[:, 1] <= height).all()
    assert (patches[:, 3] <= width).all()


def test_hints_are_colours_where_the_mask_is_and_few_pictures_are_given_whole() -> None:
    torch.manual_seed(1)
    ab = 50 * torch.randn(8, 2, 24, 20)
    hints = simulate_hints(ab, stop=0.4, largest=5, revealed=0.0)
    assert set(hints[:, 2].unique().tolist()) == {0.0, 1.0}
    assert not hints[:, :2][hints[:, 2:].expand(-1, 2, -1, -1) == 0].any()
    shown = simulate_hints(ab, stop=1.0, revealed=1.0)
    torch.testing.assert_close(shown[:, :2], ab / 110)
    assert shown[:, 2].all()
    whole = simulate_hints(torch.zeros(3000, 2, 10, 10), stop=1.0)[:, 2].flatten(1).all(dim=1)
    assert abs(float(whole.float().mean()) - 0.01) < 4 * math.sqrt(0.01 / 3000)


def test_turned_hues_keep_chroma_and_differences_between_colors() -> None:
    torch.manual_seed(0)
    ab = 60 * torch.rand(200, 2, 3, 3) - 30
    turned = turn_hues(ab, chance=0.5)
    assert torch.equal(turn_hues(ab, chance=0.0), ab)
    torch.testing.assert_close(turned.norm(dim=1), ab.norm(dim=1))
    apart = (ab - ab.flip(2)).norm(dim=1)
    torch.testing.assert_close((turned - turned.flip(2)).norm(dim=1), apart, atol=1e-4, rtol=1e-4)
    kept = (turned == ab).flatten(1).all(dim=1).float().mean()
    assert 0.35 < kept < 0.65


def test_one_patch_has_the_mean_under_it() -> None:
    ab = 50 * torch.randn(1, 2, 12, 12)
    for seed in range(200):
        torch.manual_seed(seed)
        hints = simulate_hints(ab, stop=0.6, revealed=0.0)[0]
        torch.manual_seed(seed)
        torch.rand(())  # whether it is given whole
        patches = draw_patches(12, 12, stop=0.6)
        if len(patches) == 1:
            top, bottom, left, right = patches[0]
            mean = ab[0, :, top:bottom, left:right].mean(dim=(1, 2)) / 110
            torch.testing.assert_close(hints[:2, top, left], mean)
            assert float(hints[2].sum()) == (bottom - top) * (right - left)
            return
    pytest.fail("no picture with one patch was drawn")


def test_the_first_steps_show_no_hint_and_global_ones_are_dropped_by_chance() -> None:
    network, objective = prepared("hints")
    objective.keep = 0.5
    _, lesson = lesson_of(objective)
    at = [Step(n, FitOptions(steps=10), place("cpu")) for n in (2, 3)]
    assert objective.conditions(network, lesson, at[0]) == {}
    torch.manual_seed(0)
    told = [objective.conditions(network, lesson, at[1]) for _ in range(50)]
    given = torch.cat([some["ab_histogram"].sum(dim=1) for some in told])
    assert set(given.round(decimals=4).tolist()) == {0.0, 1.0}
    assert abs(float(given.mean()) - 0.5) < 0.15
    average = torch.cat([some["saturation"] for some in told])
    assert bool((average == -1).any())
    assert bool((average >= 0).any())


def test_saturation_is_that_of_hsv() -> None:
    from skimage.color import rgb2hsv

    rgb = torch.rand(2, 3, 5, 4)
    expected = rgb2hsv(rgb.movedim(1, -1).numpy())[..., 1]
    np.testing.assert_allclose(saturation(rgb).numpy(), expected, atol=1e-6)


# critics


def test_the_network_moves_twice_for_each_move_of_the_discriminator_at_a_tenth_of_its_rate() -> None:
    network, objective = prepared("cgan")
    options = FitOptions(steps=8, batch=4)
    batch, learners = stack_samples(make_samples(4)), learned_by(objective, network, options)
    for learner in learners.values():
        learner.set_rate(1e-3)
    assert learners[CRITIC].optimizer.param_groups[0]["lr"] == pytest.approx(1e-4)
    assert learners[CRITIC].optimizer.param_groups[0]["betas"][0] == 0.0
    moved = []
    for number in range(6):
        before = weights_of(network), weights_of(objective.discriminator)
        objective.step(network, batch, learners, Step(number, options, place("cpu")))
        assert not same(before[0], weights_of(network))
        moved.append(not same(before[1], weights_of(objective.discriminator)))
    assert moved == [False, True] * 3


def test_real_labels_are_smoothed_and_the_others_are_not() -> None:
    logits = torch.linspace(-6, 6, 2401)
    real = [float(critic_loss(x[None], torch.tensor([-50.0]), smoothing=0.1)) for x in logits]
    assert float(torch.sigmoid(logits[int(np.argmin(real))])) == pytest.approx(0.9, abs=1e-3)
    fake = [float(critic_loss(torch.tensor([50.0]), x[None])) for x in logits]
    assert np.argmin(fake) == 0


def test_without_a_discriminator_the_same_network_is_a_plain_descent(tmp_path: Path) -> None:
    _, plain = prepared("l1")
    assert set(learned_by(plain, StandIn(), FitOptions())) == {NETWORK}
    assert not plain.state_dict()


# NoGAN


def test_each_phase_of_nogan_moves_what_it_should() -> None:
    network, objective = prepared("nogan")
    options = FitOptions(steps=60, batch=4)
    batch, learners = stack_samples(make_samples(4)), learned_by(objective, network, options)
    seen: dict[str, set[tuple[bool, bool]]] = {}
    for number in range(60):
        network.train()
        for learner in learners.values():
            learner.set_rate(1e-3)
        statistics = network.body[1].running_mean.clone()
        before = weights_of(network), weights_of(objective.critic)
        objective.step(network, batch, learners, Step(number, options, place("cpu")))
        moved = not same(before[0], weights_of(network)), not same(before[1], weights_of(objective.critic))
        seen.setdefault(objective.phase(number), set()).add(moved)
        if objective.phase(number) == "saved":
            assert torch.equal(statistics, network.body[1].running_mean), "saving changes nothing of the generator"
            assert len(objective.made) == 4 * (number - 3)
    assert seen["alone"] == {(True, False)}
    assert seen["saved"] == {(False, False)}
    assert seen["critic"] == {(False, True)}
    assert seen["adversarial"] == {(True, False), (False, True)}
    assert not len(objective.made), "kept outputs are not carried along"


def test_the_critic_never_moves_longer_than_its_turns() -> None:
    network, objective = prepared("nogan")
    objective.threshold = 0.0  # never good enough
    options = FitOptions(steps=60, batch=4)
    batch, learners = stack_samples(make_samples(4)), learned_by(objective, network, options)
    moves = []
    for number in range(8, 32):
        network.train()
        moves.append("discriminator" in objective.step(network, batch, learners, Step(number, options, place("cpu"))))
    assert moves == ([True] * CRITIC_TURNS + [False]) * 4


def curve(*, bottom: int, noise: float = 0.0, length: int = 40) -> list[dict[str, float]]:
    """An adversarial phase: truer colours until ``bottom``, then a cast."""
    chance = np.random.default_rng(0)
    out = []
    for t in range(length):
        hellinger = 0.9 - 0.02 * min(t, bottom) + chance.normal() * noise
        drift = 2.0 + 1.5 * max(t - bottom, 0)
        out.append({"error": 5.0 + 0.1 * t, "gray_error": 20.0, "hellinger": hellinger, "drift": drift})
    return out


def stopped_by(validations: list[dict[str, float]], folder: Path, patience: int = 4) -> FitResult:
    told: Iterator[dict[str, float]] = iter(validations)
    network, objective = OBJECTIVES["nogan"]()
    objective.alone, objective.saved, objective.teaching = 0, 0, 0
    objective.prepare(network, make_samples(), palette_ab=AB, seed=0)
    options = FitOptions(steps=len(validations), batch=1, patience=patience)
    return fit(
        network, make_samples(), objective=objective, validate=lambda n: next(told), output=folder, options=options
    )


@pytest.mark.parametrize("noise", [0.0, 0.01])
@pytest.mark.parametrize("bottom", [3, 12])
def test_nogan_stops_at_the_inflection_of_a_curve(bottom: int, noise: float, tmp_path: Path) -> None:
    result = stopped_by(curve(bottom=bottom, noise=noise), tmp_path)
    assert result.stopped == "early"
    assert abs(result.best_step - (bottom + 1)) <= 2  # validation t is after step t + 1; the median is of three
    assert result.steps == result.best_step + 4


def test_a_curve_without_inflection_is_followed_to_its_end(tmp_path: Path) -> None:
    result = stopped_by(curve(bottom=99, length=20), tmp_path)
    assert (result.stopped, result.steps, result.best_step) == ("done", 20, 20)


def test_one_lucky_checkpoint_is_no_inflection(tmp_path: Path) -> None:
    validations = curve(bottom=20, length=40)
    validations[5] = validations[5] | {"hellinger": 0.0, "error": 1.0}
    assert abs(stopped_by(validations, tmp_path, patience=6).best_step - 21) <= 2


def test_a_critic_that_only_harms_leaves_the_generator_as_it_was(tmp_path: Path) -> None:
    assert stopped_by(curve(bottom=0), tmp_path).best_step == 1


def test_the_score_is_its_formula_and_needs_all_its_figures() -> None:
    known = {"error": 5.0, "gray_error": 20.0, "hellinger": 0.5, "drift": 3.0}
    assert score(known) == pytest.approx(0.25 + 0.5 + 0.3)
    assert smoothed([9.0, 1.0, 5.0, 2.0]) == 2.0
    assert smoothed([3.0]) == 3.0
    with pytest.raises(TrainingError, match="hellinger"):
        score({"error": 5.0, "gray_error": 20.0, "drift": 3.0})


def test_checkpoints_before_the_adversarial_phase_are_not_kept() -> None:
    _, objective = prepared("nogan")
    known = {"error": 5.0, "gray_error": 20.0, "hellinger": 0.5, "drift": 3.0}
    assert objective.value(7, known) is None
    assert objective.value(8, known) == pytest.approx(score(known))
    options = FitOptions(steps=20, validate_every=3)
    assert [n for n in range(1, 21) if objective.is_judged(n, options)] == [3, 4, *range(8, 21)]


def test_a_training_that_ends_before_its_adversarial_phase_is_refused() -> None:
    _, objective = prepared("nogan")
    with pytest.raises(TrainingError, match="end before the adversarial phase, which begins after 8"):
        learned_by(objective, StandIn(), FitOptions(steps=8))


def test_the_bare_generators_rate_rises_and_falls_within_its_own_steps() -> None:
    _, objective = prepared("nogan")
    objective.alone = 100
    options = FitOptions(steps=300, learning_rate=1.0, warm_up=0.1)
    rates = [objective.learning_rate_at(n, options) for n in range(300)]
    assert max(rates) == pytest.approx(1.0, abs=1e-2)
    assert rates[99] < 0.01
    assert set(rates[100:]) == {0.1}
    assert all(a >= b for a, b in itertools.pairwise(rates[12:100]))


# histograms


def test_the_default_histogram_comes_from_the_training_targets() -> None:
    network, _ = prepared("histogram")
    default = network.default_histogram.view(3, 8, 8)
    assert float(default.sum()) == pytest.approx(1)
    gray = log_chroma_histogram(torch.full((1, 3, 4, 4), 0.5), bins=8)[0]
    assert float((default - gray).abs().sum()) > 0.1, "the targets are not gray"


def test_pictures_are_told_their_own_the_default_or_a_mix_in_the_shares_asked_for() -> None:
    network, objective = prepared("histogram")
    batch = stack_samples(make_samples(6))
    lesson = objective.lesson(batch)
    torch.manual_seed(0)
    kinds: list[int] = []
    for _ in range(100):
        told = objective.conditions(network, lesson, Step(0, FitOptions(), place("cpu")))["histogram"]
        torch.testing.assert_close(told.sum(dim=(1, 2, 3)), torch.ones(6))
        for n, kind in enumerate(objective.kind.tolist()):
            if kind == DEFAULT:
                assert torch.equal(told[n], network.default_histogram.view(3, 8, 8))
        kinds += objective.kind.tolist()
    shares = np.bincount(kinds, minlength=3) / len(kinds)
    np.testing.assert_allclose(shares[[OWN, DEFAULT, MIXED]], [0.4, 0.4, 0.2], atol=0.08)


def test_a_steered_picture_is_not_held_to_its_own_colours() -> None:
    network, objective = prepared("histogram")
    lesson = lesson_of(objective)[1]
    told = objective.conditions(network, lesson, Step(0, FitOptions(), place("cpu")))
    wrong = ChromaOutput(lesson.ab + 30, lightness=50 * (1 + lesson.gray))
    objective.kind = torch.full((4,), MIXED)
    steered = objective.terms(network, wrong, lesson, told)
    assert float(steered["color"]) == 0
    assert float(steered["hellinger"]) > 0
    objective.kind = torch.full((4,), DEFAULT)
    usual = objective.terms(network, wrong, lesson, told)
    assert float(usual["color"]) > 0
    assert float(usual["hellinger"]) == 0
    assert float(usual["lightness"]) == pytest.approx(0, abs=1e-6)


# all


def test_colourfulness_is_that_of_hasler_and_off_unless_asked_for() -> None:
    rgb = np.random.default_rng(0).random((2, 3, 6, 5))
    rg, yb = rgb[:, 0] - rgb[:, 1], (rgb[:, 0] + rgb[:, 1]) / 2 - rgb[:, 2]
    expected = [
        np.hypot(a.std(ddof=1), b.std(ddof=1)) + 0.3 * np.hypot(a.mean(), b.mean()) for a, b in zip(rg, yb, strict=True)
    ]
    np.testing.assert_allclose(colorfulness(torch.from_numpy(rgb)).numpy(), expected, rtol=1e-9)
    assert float(colorfulness(torch.full((1, 3, 4, 4), 0.5))) < 1e-5
    objective = ColorObjective()
    objective.prepare(StandIn(), make_samples(), palette_ab=AB, seed=0)
    lesson = lesson_of(objective)[1]
    assert set(objective.terms(StandIn(), ChromaOutput(lesson.ab), lesson, {})) == {"color"}


@pytest.mark.parametrize("name", [name for name in OBJECTIVES if name != "nogan"])
def test_neighbouring_slices_are_held_together_where_they_are_still(name: str) -> None:
    torch.manual_seed(0)  # of the simulated hints
    network, objective = prepared(name)
    batch, lesson = lesson_of(objective)
    network.eval()
    at = Step(9, FitOptions(steps=10), place("cpu"))
    other = batch | {"neighbour": batch["neighbour"] + 1.0}
    apart = objective.look(network, other, lesson, at)[1]["consistency"].item()
    alike = objective.look(network, batch | {"neighbour": batch["image"]}, lesson, at)[1]["consistency"].item()
    assert apart > alike == pytest.approx(0, abs=1e-6)
    alone = {key: value for key, value in batch.items() if key not in {"neighbour", "still"}}
    assert "consistency" not in objective.look(network, alone, lesson, at)[1]


def test_padding_teaches_no_colour() -> None:
    objective = ColorObjective()
    objective.prepare(StandIn(), make_samples(), palette_ab=AB, seed=0)
    batch = stack_samples(make_samples(2))
    batch["target"][:, :, :4] = 0
    lesson = objective.lesson(batch)
    wrong = lesson.ab.clone()
    wrong[:, :, :4] += 99
    assert float(objective.terms(StandIn(), ChromaOutput(wrong), lesson, {})["color"]) == 0
