"""NoGAN (Antic, DeOldify): the generator alone, its critic as a classifier of saved outputs, then shortly both.

Four phases, told apart by the number of the step alone:

1. ``alone``: the generator learns the colours, as any regression.
2. ``saved``: it stands still; its outputs on further samples are kept, beside the targets.
3. ``critic``: the critic learns to tell the kept outputs from the targets.
4. the rest: both, at a low constant rate. As released, the critic moves until its loss is below a threshold, then the
   generator once; so that a critic that cannot learn does not take all the time, it moves :data:`CRITIC_TURNS` times
   in a row at most (this is ours).

The end of the last phase is found on validation patients: :mod:`medcolor.training.objectives.inflection`. The control
(``plain_gan``) has no first three phases, the training's usual learning rate, and the same criterion.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from medcolor.errors import TrainingError
from medcolor.networks.chroma import ChromaOutput
from medcolor.training.devices import Placement
from medcolor.training.learner import Learner, adamw
from medcolor.training.losses import color_huber
from medcolor.training.objectives.adversarial import ADVERSARIAL, CRITIC, critic_loss
from medcolor.training.objectives.chroma import ChromaObjective, Lesson, seen
from medcolor.training.objectives.inflection import WINDOW, score, smoothed
from medcolor.training.objectives.objective import NETWORK, Step
from medcolor.training.options import FitOptions

SEEN_AB = 30.0
"""Unit of a* and b* for the critic: colours span about -2..2 then, as the released one's input does."""
CRITIC_TURNS = 5
"""Moves of the critic in a row, at most, in the adversarial phase."""
ALONE, SAVING, CLASSIFYING, BOTH = "alone", "saved", "critic", "adversarial"
_GALLERY = ("gray", "made", "wanted")


class NoGanObjective(ChromaObjective):
    """The four phases.

    Parameters
    ----------
    critic : nn.Module
        A picture (N, 3, H, W) of gray, a* and b* in units of :data:`SEEN_AB` to logits, positive for real.
    alone, saved, teaching : int
        Steps of the first three phases; 0 each for a plain adversarial training.
    rate : float or None
        Learning rate of the adversarial phase, as a part of the training's; None: the training's own, with its course.
    every : int
        Steps between checkpoints of the adversarial phase.
    threshold : float
        Loss of the critic below which the generator moves.
    share : float
        Learning rate of the critic, in parts of the generator's; released 5. The compact critic collapses to chance
        from about 0.001 on.
    color, adversarial, consistency : float
        Weights of the generator's terms; the released ratio is 1.5 (stable) or 2 (artistic) to 1.
    """

    history: Tensor
    turn: Tensor
    gray: Tensor
    made: Tensor
    wanted: Tensor

    def __init__(
        self,
        critic: nn.Module,
        *,
        alone: int = 600,
        saved: int = 16,
        teaching: int = 200,
        rate: float | None = 0.1,
        every: int = 10,
        threshold: float = 0.65,
        share: float = 2.5,
        color: float = 1.5,
        adversarial: float = 1.0,
        consistency: float = 0.5,
    ) -> None:
        super().__init__(color=color, adversarial=adversarial, consistency=consistency)
        if teaching and not saved:
            raise ValueError("A critic that is taught needs saved outputs: saved must be at least 1.")
        self.critic = critic
        self.alone, self.saved, self.teaching = alone, saved, teaching
        self.rate, self.every, self.threshold, self.share = rate, every, threshold, share
        self.register_buffer("history", torch.full((WINDOW,), float("nan"), dtype=torch.float64))
        self.register_buffer("turn", torch.zeros((), dtype=torch.long))  # critic's moves since the generator's
        for name in _GALLERY:
            self.register_buffer(name, torch.zeros(0))

    @property
    def start(self) -> int:
        """Steps before the adversarial phase."""
        return self.alone + self.saved + self.teaching

    def phase(self, step: int) -> str:
        """Return the phase of a step (0-based)."""
        if step < self.alone:
            return ALONE
        if step < self.alone + self.saved:
            return SAVING
        return CLASSIFYING if step < self.start else BOTH

    def learners(self, network: nn.Module, options: FitOptions, placement: Placement) -> dict[str, Learner]:
        """Return the generator's optimizer and the critic's, without momentum, as released.

        Raises
        ------
        TrainingError
            The training ends before its adversarial phase.
        """
        if options.steps <= self.start:
            raise TrainingError(
                f"fit: {options.steps} steps end before the adversarial phase, which begins after {self.start} "
                f"(objective: alone {self.alone}, saved {self.saved}, teaching {self.teaching})."
            )
        scaled = placement.scaled
        return {
            NETWORK: adamw(network.parameters(), options, momentum=0.0 if not self.start else 0.9, scaled=scaled),
            CRITIC: adamw(self.critic.parameters(), options, share=self.share, momentum=0.0, scaled=scaled),
        }

    def learning_rate_at(self, step: int, options: FitOptions) -> float:
        """Return the first phase's course over its own steps; then a constant rate, unless there is none."""
        if self.rate is None:
            return options.learning_rate_at(step)
        if step < self.alone:
            return options.learning_rate_at(round(step * options.steps / self.alone))
        return self.rate * options.learning_rate

    def is_judged(self, step: int, options: FitOptions) -> bool:
        """Whether to validate: as always at first, more often once the critic speaks."""
        if step <= self.alone and step < self.start:
            return step % options.validate_every == 0 or step == self.alone
        return step >= max(self.start, 1) and (step - self.start) % self.every == 0

    def value(self, step: int, figures: Mapping[str, float]) -> float | None:
        """Return m of :mod:`~medcolor.training.objectives.inflection`; None before the adversarial phase."""
        if step < self.start:
            return None
        self.history = torch.cat([self.history[1:], self.history.new_tensor([score(figures, step)])])
        return smoothed([float(s) for s in self.history if torch.isfinite(s)])

    def step(
        self, network: nn.Module, batch: Mapping[str, Tensor], learners: Mapping[str, Learner], at: Step
    ) -> dict[str, Tensor]:
        """Do what the phase asks."""
        lesson, phase = self.lesson(batch), self.phase(at.number)
        if phase == SAVING:
            return self._save(network, lesson, at)
        if phase == CLASSIFYING:
            return self._classify(learners[CRITIC], len(lesson.gray))
        if phase == BOTH:
            if len(self.gray):
                self._clear()
            if int(self.turn) < CRITIC_TURNS:
                return self._move_critic(network, lesson, learners[CRITIC], at)
            self.turn.zero_()
        out, terms = self.look(network, batch, lesson, at)
        if phase == BOTH:
            terms[ADVERSARIAL] = -functional.logsigmoid(self.critic(_pictures(lesson.gray, out.ab))).mean()
        return self.descend(terms, learners[NETWORK])

    def terms(
        self, network: nn.Module, out: ChromaOutput, lesson: Lesson, conditions: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """Return the regression; a perceptual loss would need weights of photographs."""
        return {"color": color_huber(out.ab, lesson.ab, lesson.pixels)}

    def _save(self, network: nn.Module, lesson: Lesson, at: Step) -> dict[str, Tensor]:
        network.eval()
        with torch.no_grad():
            made = seen(network, lesson.gray, {}, at).ab
        for name, new in zip(_GALLERY, (lesson.gray, made, lesson.ab), strict=True):
            old = getattr(self, name)
            setattr(self, name, torch.cat([old, new]) if old.ndim == new.ndim else new.clone())
        return {"saved": torch.tensor(float(len(self.made)))}

    def _classify(self, learner: Learner, count: int) -> dict[str, Tensor]:
        """Show the critic as many kept outputs, and the targets of the same images.

        Of the same, not of others: what a critic of this size says of a picture varies more from image to image than
        between an output and its target, and within a short training only the difference was learned.
        """
        chosen = torch.randint(len(self.made), (count,)).to(self.made.device)
        real, fake = (self.critic(_pictures(self.gray[chosen], colors[chosen])) for colors in (self.wanted, self.made))
        return self._descend_critic(real, fake, learner)

    def _move_critic(self, network: nn.Module, lesson: Lesson, learner: Learner, at: Step) -> dict[str, Tensor]:
        with torch.no_grad():
            made = seen(network, lesson.gray, {}, at).ab
        real, fake = (self.critic(_pictures(lesson.gray, ab)) for ab in (lesson.ab, made))
        logged = self._descend_critic(real, fake, learner)
        good = float(logged[CRITIC]) / 2 < self.threshold  # the released loss is the mean over real and fake
        self.turn.fill_(CRITIC_TURNS if good else int(self.turn) + 1)
        return logged

    def _descend_critic(self, real: Tensor, fake: Tensor, learner: Learner) -> dict[str, Tensor]:
        loss = critic_loss(real, fake)
        learner.descend(loss)
        return {CRITIC: loss.detach()}

    def _clear(self) -> None:
        for name in _GALLERY:
            setattr(self, name, getattr(self, name).new_zeros(0))

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Put back a checkpoint; how many outputs were kept is its business."""
        for name in _GALLERY:
            setattr(self, name, getattr(self, name).new_zeros(state_dict[name].shape))
        return super().load_state_dict(state_dict, strict=strict, assign=assign)


def _pictures(gray: Tensor, ab: Tensor) -> Tensor:
    return torch.cat([gray, ab / SEEN_AB], dim=1)


__all__ = ["CRITIC_TURNS", "SEEN_AB", "NoGanObjective"]
