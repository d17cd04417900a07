"""Parameters with their optimizer: what one descent changes. An adversarial training has two."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from medcolor.training import checkpoints
from medcolor.training.options import FitOptions


class Learner:
    """An optimizer that clips, scales where half precision needs it, and can be put into a checkpoint.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
    clip_norm : float
        Largest norm of the gradient.
    share : float
        Factor on the training's learning rate.
    scaled : bool
        Whether gradients need scaling (float16).
    """

    def __init__(
        self, optimizer: torch.optim.Optimizer, *, clip_norm: float, share: float = 1.0, scaled: bool = False
    ) -> None:
        self.optimizer, self.clip_norm, self.share = optimizer, clip_norm, share
        self.scaler = torch.amp.GradScaler("cuda", enabled=scaled)

    @property
    def parameters(self) -> list[nn.Parameter]:
        """What it changes."""
        return [p for group in self.optimizer.param_groups for p in group["params"] if p.requires_grad]

    def set_rate(self, rate: float) -> None:
        """Set the learning rate of the next descents, before :attr:`share`."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.share * rate

    def descend(self, loss: Tensor, *, groups: Sequence[Iterable[nn.Parameter]] | None = None) -> None:
        """Take one step down.

        Parameters
        ----------
        loss : Tensor
            A scalar.
        groups : sequence of parameters, optional
            Clipped each by its own norm; left out, all by one.
        """
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        self.scaler.unscale_(self.optimizer)
        for group in [self.parameters] if groups is None else groups:
            nn.utils.clip_grad_norm_(group, self.clip_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()

    def tensors(self) -> dict[str, Tensor]:
        """Return what a checkpoint has to keep, beside :meth:`facts`."""
        return checkpoints.optimizer_tensors(self.optimizer)

    def facts(self) -> dict[str, Any]:
        """Return the state of the scaling, as JSON."""
        return dict(self.scaler.state_dict())

    def restore(self, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
        """Put back what :meth:`tensors` and :meth:`facts` gave."""
        checkpoints.restore_optimizer(self.optimizer, tensors)
        if facts:
            self.scaler.load_state_dict(facts)


def adamw(
    parameters: Iterable[nn.Parameter],
    options: FitOptions,
    *,
    share: float = 1.0,
    momentum: float = 0.9,
    scaled: bool,
) -> Learner:
    """Return the usual learner: AdamW with the training's options."""
    optimizer = torch.optim.AdamW(
        parameters,
        lr=share * options.learning_rate,
        betas=(float(momentum), 0.999),
        weight_decay=options.weight_decay,
    )
    return Learner(optimizer, clip_norm=options.clip_norm, share=share, scaled=scaled)


__all__ = ["Learner", "adamw"]
