"""From a slice in scan units to what a network is shown: crops, degradation, normalization."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from medcolor.errors import TrainingError
from medcolor.networks.volume_summary import summarize
from medcolor.training.conditions import training_degradations
from medcolor.training.degradations import REFERENCE
from medcolor.training.drawing import VOLUME, Sample
from medcolor.training.views import CropOrPad

if TYPE_CHECKING:
    from torch import nn

    from medcolor.networks.normalization import Normalization
    from medcolor.training.datasets import TissueDataset
    from medcolor.training.recipe import Recipe


@dataclass(frozen=True)
class Prepare:
    """From a sample in scan units to one the network takes: the last step of a training transform.

    As :meth:`Normalization.fit` does in use: a unit that was lost becomes gray, percentiles are those of the whole
    volume. They come from the sample's "reference", which noise, gamma, shading and lost units have changed as they
    changed the image; that blur, motion and streaks move a volume's percentiles a little is left out.

    Parameters
    ----------
    normalization : Normalization
    """

    normalization: Normalization

    def __call__(self, sample: Sample) -> Sample:
        """Return the sample with "image" and "neighbour" in -1..1, and the "volume"'s summary.

        Raises
        ------
        TrainingError
            Percentiles are needed, and the sample has no reference.
        """
        out = dict(sample)
        image = np.asarray(out["image"], np.float32)
        fitted = self._fitted(out)
        out["image"] = torch.from_numpy(fitted(image))
        if out.get("neighbour") is not None:
            out["neighbour"] = torch.from_numpy(fitted(np.asarray(out["neighbour"], np.float32)))
        values = np.asarray(out[REFERENCE] if out.get(REFERENCE) is not None else image, np.float32)
        out[VOLUME] = torch.from_numpy(summarize(fitted, values))
        return out

    def _fitted(self, sample: Sample) -> Normalization:
        units, inverted = str(sample.get("units", "")), bool(sample.get("inverted", 0))
        if sample.get(REFERENCE) is not None:
            return self.normalization.fit_values(np.asarray(sample[REFERENCE]), units=units, inverted=inverted)
        if (fixed := self.normalization.of_unit(units, inverted, eight_bit=True)) is None:
            raise TrainingError(
                f'A sample in "{units}" needs "{REFERENCE}": one slice does not say how bright a volume is.'
            )
        return fixed


def samples_of(
    recipe: Recipe,
    network: nn.Module,
    normalization: Normalization,
    dataset: TissueDataset,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Sequence[Sample], Callable[[Sample], Sample]]:
    """Return what is drawn from in a training, and what each sample goes through, by the recipe's ``augmentation``.

    Slices are degraded as they are drawn. For a network that corrects physics whole scans are degraded ahead,
    ``variants`` times each, for physics looks at a scan as a whole. Its estimate of gamma has to be trained by then.

    Raises
    ------
    TrainingError
        A setting that there is not, or out of range.
    """
    from medcolor.colorizers.corrections import told_to
    from medcolor.training.degraded_scans import DegradedScans

    wanted = dict(recipe.get("augmentation", {}))
    height, width = (int(side) for side in wanted.pop("crop", (160, 160)))
    try:
        if not getattr(network, "corrects", False):
            if getattr(network, "tone", None) is not None:
                wanted["gamma"] = network.tone.least  # more is undone before this network looks
            return dataset, _degrading(recipe.family, normalization, (height, width), wanted)
        told = partial(told_to, network, normalization=normalization)
        ahead = DegradedScans(
            dataset, cache=dataset.cache, told=told, teller=_teller(network, normalization), progress=progress, **wanted
        )
    except (TypeError, ValueError) as error:
        raise TrainingError(f"augmentation: {error}") from error
    return ahead, _composed([Prepare(normalization), CropOrPad((height, width))])


def _teller(network: Any, normalization: Normalization) -> str:
    """Return what decides what a network is told of a scan, in short."""
    digest = hashlib.sha256(f"{network.neighbours} {network.smooths} {normalization}".encode())
    if network.tone is not None:
        digest.update(str(network.tone.least).encode())
        for name, tensor in sorted(network.tone.state_dict().items()):
            digest.update(name.encode() + tensor.cpu().numpy().tobytes())
    return digest.hexdigest()


def _degrading(
    family: str, normalization: Normalization, crop: tuple[int, int], wanted: dict[str, Any]
) -> Callable[[Sample], Sample]:
    degrade = training_degradations(family, **wanted)
    wide = (crop[0] * 3 // 2, crop[1] * 3 // 2)  # degrading what is then cut away costs more than training
    return _composed([CropOrPad(wide, pad=False), *degrade.transforms, Prepare(normalization), CropOrPad(crop)])


def _composed(steps: list[Any]) -> Callable[[Sample], Sample]:
    from monai.transforms import Compose

    composed: Callable[[Sample], Sample] = Compose(steps)
    return composed


__all__ = ["Prepare", "samples_of"]
