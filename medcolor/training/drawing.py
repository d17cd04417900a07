"""Which sample comes when, and with what chance: a function of the seed and the position alone.

A training that was cut off and goes on must see exactly what it would have seen. So nothing is drawn from a generator
that has a history: the n-th sample of a training has its own, made from the seed and n, whatever the number of workers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from medcolor.errors import TrainingError

Sample = dict[str, Any]
Transform = Callable[[Sample], Sample]
VOLUME = "volume"
"""Key of the summary of the volume a sample is from (:mod:`medcolor.networks.volume_summary`)."""
PHYSICS, NEIGHBOUR_PHYSICS = "physics", "neighbour_physics"
"""Keys of what the tissue models say of the image, and of its neighbour, (K, H, W)."""
_STILL = 0.02  # change of the network's input (-1..1) below which gray counts as unchanged, where nobody marked it


def sample_seed(seed: int, position: int) -> int:
    """Return the seed of one position of one training, 0..2^32 - 1, with no pattern between neighbours."""
    return int(np.random.SeedSequence([seed, position]).generate_state(1)[0])


class DrawnSamples(Dataset[Sample]):
    """An endless sequence of shuffled, transformed samples.

    Parameters
    ----------
    samples : sequence of dict
        As ``medcolor.training.datasets`` gives them.
    transform : callable, optional
        Sample to sample. Where it has ``set_random_state`` (MONAI's Randomizable, Compose), its chance is set for
        every sample; torch's and numpy's global generators are set as well, and put back.
    seed : int
    """

    def __init__(self, samples: Sequence[Sample], transform: Transform | None = None, *, seed: int = 0) -> None:
        if not len(samples):
            raise ValueError("There is nothing to draw from: no samples.")
        self._samples, self._transform, self._seed = samples, transform, seed

    def __getitem__(self, position: int) -> Sample:
        epoch, place = divmod(position, len(self._samples))
        order = np.random.default_rng([self._seed, epoch]).permutation(len(self._samples))
        sample = dict(self._samples[int(order[place])])
        if self._transform is None:
            return sample
        chance = sample_seed(self._seed, position)
        numpy_state = np.random.get_state()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(chance)
            np.random.seed(chance)
            set_chance = getattr(self._transform, "set_random_state", None)
            if set_chance is not None:
                set_chance(seed=chance)
            try:
                return self._transform(sample)
            finally:
                np.random.set_state(numpy_state)


class Positions(Sampler[int]):
    """The positions from ``start`` to ``stop``, in order."""

    def __init__(self, start: int, stop: int) -> None:
        self._range = range(start, stop)

    def __iter__(self) -> Iterator[int]:
        return iter(self._range)

    def __len__(self) -> int:
        return len(self._range)


def stack_samples(samples: Sequence[Sample]) -> dict[str, Tensor]:
    """Stack samples to a batch; a sample without a neighbour gets itself, with no still pixel.

    Raises
    ------
    TrainingError
        Sizes differ: the transform has to crop and pad to one size.
    """
    sizes = {tuple(sample["image"].shape) for sample in samples}
    if len(sizes) > 1:
        raise TrainingError(
            f"Samples of a batch differ in size: {sorted(sizes)}. Crop and pad to one size in transform."
        )
    names = ["image", "target", *(key for key in (VOLUME, PHYSICS) if all(key in sample for sample in samples))]
    batch = {name: torch.stack([torch.as_tensor(s[name]).float() for s in samples]) for name in names}
    if not any(sample.get("neighbour") is not None for sample in samples):
        return batch
    pairs = [_pair(sample) for sample in samples]
    if PHYSICS in names:
        near = [torch.as_tensor(sample.get(NEIGHBOUR_PHYSICS, sample[PHYSICS])).float() for sample in samples]
        batch[NEIGHBOUR_PHYSICS] = torch.stack(near)
    return batch | {"neighbour": torch.stack([p[0] for p in pairs]), "still": torch.stack([p[1] for p in pairs])}


def _pair(sample: Sample) -> tuple[Tensor, Tensor]:
    image = torch.as_tensor(sample["image"]).float()
    if sample.get("neighbour") is None:
        return image, torch.zeros(image.shape[-2:])
    neighbour = torch.as_tensor(sample["neighbour"]).float()
    if sample.get("still") is not None:
        return neighbour, torch.as_tensor(sample["still"]).float().reshape(image.shape[-2:])
    return neighbour, ((image - neighbour).abs() < _STILL).float()[0]
