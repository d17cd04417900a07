"""Tissue posteriors: one descent of :class:`~medcolor.training.losses.TissueLoss` a step."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from medcolor.networks.correction import corrected, shown
from medcolor.training.drawing import NEIGHBOUR_PHYSICS, PHYSICS, VOLUME
from medcolor.training.learner import Learner
from medcolor.training.losses import LossTerms, TissueLoss
from medcolor.training.objectives.objective import NETWORK, Objective, Step


class TissueObjective(Objective):
    """The tissue networks' objective.

    The network maps (N, 1, H, W), and the volume's summary where it has ``summary``, to ``logits`` and ``log_scale``.
    One that corrects is shown the batch's "physics", (N, K or 3 K, H, W), beside the image.

    Parameters
    ----------
    loss : TissueLoss
    """

    def __init__(self, loss: TissueLoss) -> None:
        super().__init__()
        self.loss = loss
        self._clipped: tuple[list[nn.Parameter], ...] = ()

    def step(
        self, network: nn.Module, batch: Mapping[str, Tensor], learners: Mapping[str, Learner], at: Step
    ) -> dict[str, Tensor]:
        """Descend the loss, neighbouring slices in the same pass."""
        image, count, still = batch["image"], len(batch["image"]), batch.get("still")
        near = with_neighbour(batch)
        images = image if near is None else torch.cat([image, batch["neighbour"][near]])
        extra: tuple[Tensor, ...] = ()
        if getattr(network, "summary", 0):
            volume = batch[VOLUME]
            extra = (volume if near is None else torch.cat([volume, volume[near]]),)
        physics = None
        if getattr(network, "corrects", False):
            physics = batch[PHYSICS]
            physics = physics if near is None else torch.cat([physics, batch[NEIGHBOUR_PHYSICS][near]])
            images = torch.cat([images, shown(physics)], dim=1)
        with torch.autocast(at.placement.device.type, dtype=at.placement.precision, enabled=at.placement.mixed):
            out = network(images, *extra)
        logits = out.logits
        if physics is not None:
            logits = corrected(
                logits.float(), physics[:, : logits.shape[1] - 1]
            )  # those of the slice itself come first
        neighbour = None if near is None else logits[:count].index_put((near,), logits[count:])
        doubt = None if out.log_scale is None else out.log_scale[:count]
        terms: LossTerms = self.loss(logits[:count], doubt, batch["target"], neighbour_logits=neighbour, still=still)
        learner = learners[NETWORK]
        learner.descend(terms.total, groups=self._clipped_apart(terms, learner.parameters))
        return {name: term.detach() for name, term in terms._asdict().items()}

    def _clipped_apart(self, terms: LossTerms, parameters: list[nn.Parameter]) -> tuple[list[nn.Parameter], ...]:
        """Return the parameters that colour depends on, and the rest.

        One norm for both would let the scale head, whose gradient is large at first, hold the colour back.
        """
        if not self._clipped:
            colored = torch.autograd.grad(
                terms.cross_entropy + terms.color, parameters, retain_graph=True, allow_unused=True
            )
            pairs = list(zip(parameters, colored, strict=True))
            self._clipped = ([p for p, g in pairs if g is not None], [p for p, g in pairs if g is None])
        return self._clipped


def with_neighbour(batch: Mapping[str, Tensor]) -> Tensor | None:
    """Return the numbers of the samples that have a neighbouring slice; None where the batch knows of none."""
    still = batch.get("still")
    return None if still is None else still.flatten(1).any(dim=1).nonzero()[:, 0]


__all__ = ["TissueObjective", "with_neighbour"]
