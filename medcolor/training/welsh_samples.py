"""Samples for Welsh 2002 from training patients: numbers (lightness, spread, a*, b*), no picture."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import torch

from medcolor.palettes import load_palette
from medcolor.training.losses import pixel_weights, target_ab
from medcolor.training.preparing import Prepare

if TYPE_CHECKING:
    from torch import nn

    from medcolor.training.datasets import TissueDataset
    from medcolor.training.recipe import Recipe


def fit(
    recipe: Recipe,
    datasets: Mapping[str, TissueDataset],
    *,
    progress: Callable[[int, int], None] | None = None,
    slices: int = 128,
) -> nn.Module:
    """Return the recipe's network with samples of a jittered grid over slices of training patients.

    Parameters
    ----------
    recipe : Recipe
        Its network is a :class:`~medcolor.networks.welsh.Welsh`.
    datasets : mapping of str to TissueDataset
        Only "train" is looked at.
    progress : callable, optional
        Called with (done, total).
    slices : int
        How many are looked at, spread evenly over patients; each gives its share of the samples.
    """
    from medcolor.networks.welsh import LEVELS, Welsh, sampled

    network: Welsh = recipe.get("network")
    prepare, dataset = Prepare(recipe.get("normalization")), datasets["train"]
    palette_ab = torch.from_numpy(load_palette(recipe.family, str(recipe.get("style", "contrast"))).ab)
    places = spread_over_patients(dataset, slices)
    wanted = LEVELS * 64 if network.form == "level" else len(network.samples)
    each, drawn = math.ceil(2 * wanted / len(places)), []
    for done, place in enumerate(places, start=1):
        sample = prepare(dataset[place])
        target = sample["target"][None].float()
        lightness = (50 * (sample["image"].float() + 1)).clamp(0, 100)
        found = sampled(lightness, target_ab(target, palette_ab)[0], each, seed=place)
        known = sampled(lightness, pixel_weights(target).expand(2, -1, -1), each, seed=place)[:, 2] > 0
        drawn.append(found[known])
        if progress is not None:
            progress(done, len(places))
    samples = torch.cat(drawn)
    order = torch.randperm(len(samples), generator=torch.Generator().manual_seed(0))
    network.set_samples(samples[order[torch.arange(wanted) % len(order)]])  # too few are taken again
    return network


def spread_over_patients(dataset: TissueDataset, count: int) -> list[int]:
    """Return the places of some slices: as many of each patient as can be, spread evenly within each, sorted."""
    of: dict[str, list[int]] = {}
    start = 0
    for case in dataset.cases:
        of.setdefault(case.patient, []).extend(range(start, start + case.slices))
        start += case.slices
    patients = sorted(of)
    if len(patients) > count:
        patients = [patients[round(n * (len(patients) - 1) / max(count - 1, 1))] for n in range(count)]
    chosen: list[int] = []
    for n, patient in enumerate(patients):
        share = min(count * (n + 1) // len(patients) - count * n // len(patients), len(of[patient]))
        # middles of equal parts: the ends of a volume often show nothing
        chosen += [of[patient][int((m + 0.5) * len(of[patient]) / share)] for m in range(share)]
    return sorted(set(chosen))


__all__ = ["fit", "spread_over_patients"]
