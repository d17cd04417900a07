"""Training of the part that estimates a scan's gamma, before the network that colours what is left.

Slices of training scans are degraded as for every network, and given a gamma that is written down; the estimator sees
them as it will in use (:mod:`medcolor.colorizers.tone`) and learns the number. Its loop is the one of all trainings.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from medcolor.colorizers.tone import small_slices
from medcolor.errors import TrainingError
from medcolor.geometry import Geometry
from medcolor.networks.tone import SIDE, SLICES
from medcolor.networks.volume_summary import volume_summary
from medcolor.scan import Scan
from medcolor.training import checkpoints
from medcolor.training.conditions import randomly_degraded, require_shares
from medcolor.training.degradations import Chance
from medcolor.training.drawing import VOLUME, Sample
from medcolor.training.learner import Learner
from medcolor.training.loop import fit
from medcolor.training.objectives.objective import ERROR, NETWORK, Objective, Step
from medcolor.training.options import FitOptions
from medcolor.training.unlike import unlike
from medcolor.voi import Window
from medcolor.windowing import display_bounds

if TYPE_CHECKING:
    from medcolor.networks.normalization import Normalization
    from medcolor.networks.tone import ToneEstimator
    from medcolor.training.datasets import TissueDataset
    from medcolor.training.devices import Placement
    from medcolor.training.loop import FitResult

FOLDER = "tone"
"""Where in the folder of a training this one is."""
_MOST = math.log(2.2)  # as far as training degradations go
_LEAST_SQUARE = 0.2  # errors below count by their square: where it cannot know, it says the middle


@dataclass(frozen=True, slots=True)
class ToneOptions:
    """How the estimator is trained.

    Parameters
    ----------
    samples : int
        Made of the training scans, the same number of each.
    steps, batch, learning_rate
        As of :class:`~medcolor.training.options.FitOptions`.
    straight : float
        Share of samples without gamma.
    clean : float
        Share of samples that nothing else happens to.
    strange : float
        Share of samples that are made strange (:mod:`medcolor.training.unlike`) and have no gamma to be undone.

    Raises
    ------
    TrainingError
        Fewer than one of something, or a share out of 0..1.
    """

    samples: int = 4000
    steps: int = 2000
    batch: int = 32
    learning_rate: float = 4e-3
    straight: float = 0.25
    clean: float = 0.3
    strange: float = 0.0

    def __post_init__(self) -> None:
        if min(self.samples, self.steps, self.batch) < 1:
            raise TrainingError("tone: samples, steps and batch must be at least 1.")
        try:
            require_shares(self.straight, self.clean)
            require_shares(self.strange, 0.0)
        except ValueError as error:
            raise TrainingError(f"tone: straight, clean and strange: {error}") from error


def tone_options(settings: Mapping[str, Any]) -> ToneOptions:
    """Return the ``tone`` section of a recipe as options, unknown names refused."""
    try:
        return ToneOptions(**settings)
    except TypeError as error:
        raise TrainingError(f"tone: {error}. Accepted: {', '.join(ToneOptions.__dataclass_fields__)}.") from error


class ToneObjective(Objective):
    """Huber's loss on the logarithm of gamma."""

    def step(
        self, network: nn.Module, batch: Mapping[str, Tensor], learners: Mapping[str, Learner], at: Step
    ) -> dict[str, Tensor]:
        """Descend."""
        loss = functional.smooth_l1_loss(network(batch["image"], batch[VOLUME]), batch["target"], beta=_LEAST_SQUARE)
        learners[NETWORK].descend(loss)
        return {"total": loss.detach()}


def fit_tone(
    estimator: ToneEstimator,
    sides: Mapping[str, TissueDataset],
    normalization: Normalization,
    *,
    options: ToneOptions,
    seed: int,
    output: Path,
    facts: Mapping[str, Any],
    placement: Placement,
    resume: bool = False,
    progress: Callable[[str], Callable[[int, int], None] | None] | None = None,
    cancel: Callable[[], bool] | None = None,
) -> FitResult:
    """Train the estimator of a network in place, to the half-precision weights that its bundle will have.

    Parameters
    ----------
    estimator : ToneEstimator
    sides : mapping of str to TissueDataset
        "train" and "val".
    normalization : Normalization
    options : ToneOptions
    seed : int
    output : Path
        Of the whole training; this one's checkpoints lie below it.
    facts, placement, resume, cancel
        As of :func:`~medcolor.training.loop.fit`.
    progress : callable, optional
        Title of a stage to a callback for (done, total).

    Returns
    -------
    FitResult
        Its weights are None where it was cancelled.
    """
    stage = progress or (lambda _: None)
    train, val = (
        tone_samples(
            sides[side], normalization, count=count, seed=seed + n, options=options, progress=stage(f"tone, {side}")
        )
        for n, (side, count) in enumerate((("train", options.samples), ("val", max(64, options.samples // 10))))
    )

    def validate(candidate: nn.Module) -> dict[str, float]:
        return {ERROR: _mean_error(candidate, val, options.batch, placement.device)}

    result = fit(
        estimator,
        train,
        objective=ToneObjective(),
        validate=validate,
        output=output / FOLDER,
        options=FitOptions(
            steps=options.steps,
            batch=options.batch,
            learning_rate=options.learning_rate,
            weight_decay=0.05,
            average=0.99,
            validate_every=max(1, options.steps // 10),
            patience=10,
            precision="float32",
            seed=seed,
        ),
        transform=_moves(),
        placement=placement,
        resume=resume,
        facts={**facts, "tone": asdict(options)},
        progress=stage("tone"),
        cancel=cancel,
    )
    if result.weights is not None:
        checkpoints.load_weights(estimator, result.weights)
    estimator.eval().requires_grad_(requires_grad=False)
    return result


def tone_samples(
    dataset: TissueDataset,
    normalization: Normalization,
    *,
    count: int,
    seed: int,
    options: ToneOptions,
    progress: Callable[[int, int], None] | None = None,
) -> list[Sample]:
    """Return samples: "image" (n, SIDE, SIDE) in half precision, the "volume"'s summary, "target" log gamma, (1,)."""
    deepest = min(SLICES, max(case.slices for case in dataset.cases))
    each = -(-count // len(dataset.cases))
    samples: list[Sample] = []
    for number, case in enumerate(dataset.cases):
        scan = case.load().scan
        for variant in range(each):
            chance = Chance(int(np.random.SeedSequence([seed, number, variant]).generate_state(1)[0]))
            gamma = 0.0 if chance.uniform() < options.straight else float(chance.uniform(-_MOST, _MOST))
            some = _some_slices(scan, chance)
            if chance.uniform() < options.strange:
                some, gamma = unlike(some, chance), 0.0
            degraded = randomly_degraded(some, chance, clean=options.clean, log_gamma=gamma)
            slices = small_slices(degraded, count=SLICES, side=SIDE)
            samples.append(
                {
                    "image": torch.from_numpy(slices[np.arange(deepest) % len(slices)]).half(),
                    VOLUME: torch.from_numpy(volume_summary(normalization.fit(degraded), degraded)),
                    "target": torch.tensor([gamma]),
                }
            )
        if progress is not None:
            progress(number + 1, len(dataset.cases))
    return samples


def _some_slices(scan: Scan, chance: Chance) -> Scan:
    """Return slices spread unevenly over a scan, shown as the whole is; where they lie in space is lost."""
    ni, nj, depth = scan.shape
    some = min(SLICES, depth)
    kept = [int((n + chance.uniform()) * depth / some) for n in range(some)]
    low, high = display_bounds(scan)
    return replace(
        scan,
        voxels=np.ascontiguousarray(scan.voxels[:, :, kept]),
        geometry=Geometry((ni, nj, some), scan.geometry.affine, scan.geometry.space),
        windows=(Window((low + high) / 2, high - low, name="of the whole"),),
        padding=None if scan.padding is None else np.asarray(scan.padding)[:, :, kept],
        rgb=None,
        colored=None,
    )


def _moves() -> Any:
    """Return what moves the small slices a little: shape is no sign of gamma."""
    from monai.transforms import Compose, EnsureTyped, RandAffined, RandFlipd

    return Compose(
        [
            EnsureTyped(["image"], dtype=torch.float32, track_meta=False),
            RandFlipd(["image"], prob=0.5, spatial_axis=1),
            RandAffined(
                ["image"],
                prob=0.9,
                rotate_range=0.2,
                scale_range=((-0.3, 0.05), (-0.3, 0.05)),
                translate_range=SIDE // 10,
                padding_mode="border",
            ),
        ]
    )


def _mean_error(network: nn.Module, samples: Sequence[Sample], batch: int, device: Any) -> float:
    """Return the mean distance to the true logarithm of gamma."""
    far = []
    with torch.no_grad():
        for start in range(0, len(samples), batch):
            part = samples[start : start + batch]
            slices, volume, wanted = (
                torch.stack([s[key].float() for s in part]) for key in ("image", VOLUME, "target")
            )
            far.append((network(slices.to(device), volume.to(device)).cpu() - wanted).abs()[:, 0])
    return float(torch.cat(far).mean())


__all__ = ["FOLDER", "ToneObjective", "ToneOptions", "fit_tone", "tone_options", "tone_samples"]
