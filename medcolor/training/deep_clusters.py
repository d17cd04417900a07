"""Adaptive clustering of reference images, a small network for each cluster: how Deep Colorization is trained.

Images are clustered by layout and semantic histogram; a network is trained on the pixels of each cluster; images that
it colours well enough leave the pool, and the rest are clustered again, until networks or images run out (Cheng 2015).
Each layer may take half of the networks that are left. The paper has thousands of images and begins each network at
random; here a cluster has some dozens, so each begins as the network that was trained on all.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from medcolor.palettes import load_palette
from medcolor.training.losses import pixel_weights, target_ab
from medcolor.training.welsh_samples import spread_over_patients

if TYPE_CHECKING:
    from medcolor.networks.deep_colorization import DeepColorization
    from medcolor.networks.normalization import Normalization
    from medcolor.training.datasets import TissueDataset
    from medcolor.training.recipe import Recipe

_ROUNDS = 20  # of k-means
_FEWEST = 3  # images that a cluster is worth a network for


class Pictured(NamedTuple):
    """What is kept of a reference image.

    Attributes
    ----------
    pixels : Tensor, (n, width)
        Descriptors of some pixels.
    ab : Tensor, (n, 2)
        Their target colours.
    layout, semantic : Tensor, (48,), (K,)
        Its global descriptor and semantic histogram.
    """

    pixels: Tensor
    ab: Tensor
    layout: Tensor
    semantic: Tensor


@dataclass(frozen=True)
class Effort:
    """How long each network is trained.

    Parameters
    ----------
    steps, tuning : int
        Of the network trained on all images, and of each cluster's after it.
    batch : int
        Pixels of a step.
    learning_rate : float
        Falls to zero by a half cosine.
    """

    steps: int = 2000
    tuning: int = 500
    batch: int = 2048
    learning_rate: float = 4e-3


def fit(
    recipe: Recipe,
    datasets: Mapping[str, TissueDataset],
    *,
    progress: Callable[[int, int], None] | None = None,
    slices: int = 160,
    pixels: int = 2048,
    psnr: float = 36.0,
    **effort: Any,
) -> DeepColorization:
    """Return the recipe's network, trained on sampled pixels of training patients.

    Parameters
    ----------
    recipe : Recipe
        Its network is a :class:`~medcolor.networks.deep_colorization.DeepColorization`.
    datasets : mapping of str to TissueDataset
        Only "train" is looked at.
    progress : callable, optional
        Called with (done, total).
    slices, pixels : int
        Reference images, spread over patients, and pixels of each.
    psnr : float
        dB, of (a*, b*) against a range of 255, from which an image is coloured well enough to leave the pool.
    **effort
        Of :class:`Effort`.
    """
    network: DeepColorization = recipe.get("network")
    seed = int(dict(recipe.get("fit", {})).get("seed", 0))
    palette_ab = torch.from_numpy(load_palette(recipe.family, str(recipe.get("style", "contrast"))).ab.copy())
    places = spread_over_patients(datasets["train"], slices)
    total = len(places) + network.clusters

    def done(count: int) -> None:
        if progress is not None:
            progress(count, total)

    images = []
    normalization: Normalization = recipe.get("normalization")
    for image in pictured(network, datasets["train"], places, normalization, palette_ab, pixels, seed):
        images.append(image)
        done(len(images))
    grow(network, images, psnr=psnr, effort=Effort(**effort), seed=seed, progress=lambda n: done(len(images) + n))
    done(total)
    return network


def pictured(
    network: DeepColorization,
    dataset: TissueDataset,
    places: list[int],
    normalization: Normalization,
    palette_ab: Tensor,
    count: int,
    seed: int,
) -> Any:
    """Yield what is kept of each slice: with the input, and physics' posteriors, that it would have in use."""
    from medcolor import tissue
    from medcolor.colorizers.prediction import network_input
    from medcolor.networks.deep_descriptors import layout, local_descriptors

    loaded: int | None = None
    generator = torch.Generator().manual_seed(seed)
    for place in places:
        number, k = dataset.place(place)
        if number != loaded:
            scan, loaded = dataset.cases[number].load().scan, number
            fitted, model = normalization.fit(scan), tissue.fit(scan) if network.semantic else None
        gray = torch.from_numpy(np.ascontiguousarray(network_input(scan, fitted, slice(k, k + 1))[0]))[None]
        told = None if model is None else torch.from_numpy(model.posteriors(slice(k, k + 1))).movedim(0, 1)
        target = dataset[place]["target"][None].float()
        with torch.no_grad():
            local = local_descriptors(gray, told, network.stride)[0].flatten(1).T
            wanted = target_ab(target, palette_ab)[0, :, :: network.stride, :: network.stride].flatten(1).T
            known = pixel_weights(target)[0, :: network.stride, :: network.stride].flatten().nonzero()[:, 0]
            some = known[torch.randperm(len(known), generator=generator)[:count]]
            semantic = torch.zeros(0) if told is None else told.mean(dim=(0, 2, 3))
            if len(some):
                yield Pictured(local[some].clone(), wanted[some].clone(), layout(gray)[0], semantic)


def grow(
    network: DeepColorization,
    images: list[Pictured],
    *,
    psnr: float,
    effort: Effort,
    seed: int,
    progress: Callable[[int], None] | None = None,
) -> list[list[int]]:
    """Fill the network's clusters; return which images each was trained on, in the order in which they were made."""
    standardize(network, images)
    features = torch.stack([torch.cat([image.layout, image.semantic]) for image in images])
    features = features / features.std(dim=0).mean().clamp_min(1e-6)
    common = trained(network, None, images, effort.steps, effort, seed)
    pool, made, stuck = list(range(len(images))), list[list[int]](), False
    while pool and len(made) < network.clusters:
        left = network.clusters - len(made)
        last = stuck or left == 1
        gone = set[int]()
        for group in clustered(features[pool], _layer(left, len(pool), last=last)):
            members, cluster = [pool[n] for n in group], len(made)
            tuning = effort.tuning if len(members) < len(images) else 0  # one cluster of all: it is trained already
            layers = trained(network, common, [images[n] for n in members], tuning, effort, seed + 1 + cluster)
            take(network, cluster, layers)
            fits = [n for n in members if quality(network, cluster, images[n]) >= psnr]
            if fits or last:  # else its images are clustered again, and its place is another's
                _settle(network, cluster, [images[n] for n in fits or members])
                made.append(members)
                gone.update(fits)
            if progress is not None:
                progress(len(made))
        if last:
            break
        pool, stuck = [n for n in pool if n not in gone], not gone  # nobody fits: the next layer takes all
    return made


def standardize(network: DeepColorization, images: list[Pictured]) -> None:
    """Take the mean and spread of the descriptors; of what hardly ever varies, a rare tissue, not less than a floor."""
    pixels = torch.cat([image.pixels for image in images])
    floor = torch.full_like(network.scale, 0.01)
    floor[len(floor) - network.semantic :] = 0.2
    with torch.no_grad():
        network.mean.copy_(pixels.mean(dim=0))
        network.scale.copy_(torch.maximum(pixels.std(dim=0), floor))


def _layer(left: int, images: int, *, last: bool) -> int:
    """Return how many clusters a layer makes of the networks that are left."""
    return min(left if last else math.ceil(left / 2), max(1, images // _FEWEST))


def _settle(network: DeepColorization, cluster: int, images: list[Pictured]) -> None:
    """Say which images a cluster is for."""
    with torch.no_grad():
        network.layouts[cluster] = torch.stack([image.layout for image in images]).mean(dim=0)
        network.semantics[cluster] = torch.stack([image.semantic for image in images]).mean(dim=0)
        network.used[cluster] = 1


def clustered(features: Tensor, count: int) -> list[list[int]]:
    """Return the members of each cluster of k-means, none empty; begun with points far from each other, no chance."""
    chosen = [int((features - features.mean(dim=0)).square().sum(dim=1).argmin())]
    while len(chosen) < count:
        far = torch.cdist(features, features[chosen]).amin(dim=1)
        if float(far.max()) == 0:
            break
        chosen.append(int(far.argmax()))
    centers = features[chosen]
    for _ in range(_ROUNDS):
        near = torch.cdist(features, centers).argmin(dim=1)
        centers = torch.stack(
            [features[near == n].mean(dim=0) if (near == n).any() else centers[n] for n in range(len(centers))]
        )
    groups = [(near == n).nonzero()[:, 0].tolist() for n in range(len(centers))]
    return [group for group in groups if group]


Layers = list[tuple[Tensor, Tensor]]
"""Weight and bias of each layer of one network."""


def trained(
    network: DeepColorization, start: Layers | None, images: list[Pictured], steps: int, effort: Effort, seed: int
) -> Layers:
    """Return a network trained on the pixels of some images, from another one or at random: squared error."""
    from medcolor.networks.deep_colorization import colors_by

    generator = torch.Generator().manual_seed(seed)
    pixels = (torch.cat([image.pixels for image in images]) - network.mean) / network.scale
    wanted = torch.cat([image.ab for image in images])
    if start is None:
        shapes = [(w.shape[1:], b.shape[1:]) for w, b in zip(network.weights, network.biases, strict=True)]
        start = [(torch.randn(w, generator=generator) * math.sqrt(2 / w[0]), torch.zeros(b)) for w, b in shapes]
    layers = [(weight.clone().requires_grad_(), bias.clone().requires_grad_()) for weight, bias in start]
    optimizer = torch.optim.Adam([part for layer in layers for part in layer], effort.learning_rate)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = effort.learning_rate * 0.5 * (1 + math.cos(math.pi * step / steps))
        some = torch.randint(len(pixels), (effort.batch,), generator=generator)
        optimizer.zero_grad()
        ((colors_by(layers, pixels[some]) - wanted[some]) / 50).square().sum(dim=1).mean().backward()
        optimizer.step()
    return [(weight.detach(), bias.detach()) for weight, bias in layers]


def take(network: DeepColorization, cluster: int, layers: Layers) -> None:
    """Put a trained network in the place of a cluster's."""
    with torch.no_grad():
        for n, (weight, bias) in enumerate(layers):
            network.weights[n][cluster] = weight
            network.biases[n][cluster] = bias


def quality(network: DeepColorization, cluster: int, image: Pictured) -> float:
    """Return the PSNR, in dB, of an image's pixels as a cluster's network colours them."""
    with torch.no_grad():
        error = (network.colors(image.pixels, cluster) - image.ab).square().mean()
    return 10 * math.log10(255**2 / max(float(error), 1e-9))


__all__ = ["Effort", "Pictured", "clustered", "fit", "grow", "pictured", "quality", "take", "trained"]
