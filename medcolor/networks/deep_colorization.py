"""Deep Colorization (Cheng, Yang, Sheng 2015), from its published description: method "deep".

A small fully connected network colours each pixel by its patch, DAISY around it and a semantic descriptor. Images that
are laid out alike share a network: which one colours an image is decided by its global descriptor and its semantic
histogram. Chroma is smoothed in the end by a joint bilateral filter, because DAISY says nothing where nothing varies.

The semantic descriptor here is the physics model's tissue posteriors in the place of scene parsing: **it holds physics'
answer already**. What patch and DAISY add to it, and what they are worth alone, is told by the arm without
(``semantic=0``). The published filter over the semantic maps is left out: posteriors are smooth.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from medcolor.networks.chroma import ChromaOutput
from medcolor.networks.deep_descriptors import LAYOUT, layout, local_descriptors, local_width
from medcolor.networks.guided_upsampling import guided_enlarged
from medcolor.networks.joint_bilateral import joint_bilateral
from medcolor.palettes import load_palette

HIDDEN_LAYERS = 3

_AB = 50.0
_SOFTNESS = 0.05  # of likeness in the filter, in the gray's unit: 20 HU where most of CT's tissue lies
_CHUNK = 1 << 15  # pixels at a time
_PUBLISHED_SEMANTIC = 47  # classes of the SIFT Flow data


class DeepColorization(nn.Module):
    """Gray and tissue posteriors in, (a*, b*) out.

    Parameters
    ----------
    semantic : int or str
        Number of tissue classes whose posteriors it sees, 0: none; or the modality family whose classes they are.
    clusters : int
        Networks there is room for; 1 is the arm without clustering.
    stride : int
        Every how many pixels are coloured before the filter enlarges; 1 is published.
    radius : int
        Of the joint bilateral filter, in coloured pixels.
    hidden : int, optional
        Units of each of the three hidden layers; half of the input, as published, when left out.

    Attributes
    ----------
    weights, biases : ParameterList
        Of each layer, for all clusters at once: (clusters, in, out) and (clusters, out).
    mean, scale : Tensor, (width,)
        What descriptors are reduced by and divided by.
    layouts, semantics, used : Tensor
        Of each cluster: its global descriptor, its semantic histogram, and whether it holds a network.
    """

    method = "deep"
    style_free = False

    def __init__(
        self,
        *,
        semantic: int | str = 10,
        clusters: int = 8,
        stride: int = 2,
        radius: int = 3,
        hidden: int | None = None,
    ) -> None:
        super().__init__()
        if isinstance(semantic, str):
            semantic = len(load_palette(semantic).names)
        width = local_width(semantic)
        self.semantic, self.clusters, self.stride, self.radius = semantic, clusters, stride, radius
        self.needs = frozenset({"posteriors"} if semantic else ())
        units = [width, *[width // 2 if hidden is None else hidden] * HIDDEN_LAYERS, 2]
        pairs = list(itertools.pairwise(units))
        self.weights = nn.ParameterList(nn.Parameter(torch.zeros(clusters, a, b)) for a, b in pairs)
        self.biases = nn.ParameterList(nn.Parameter(torch.zeros(clusters, b)) for _, b in pairs)
        for name, value in (
            ("mean", torch.zeros(width)),
            ("scale", torch.ones(width)),
            ("layouts", torch.zeros(clusters, LAYOUT)),
            ("semantics", torch.zeros(clusters, semantic)),
            ("used", torch.zeros(clusters)),
        ):
            self.register_buffer(name, value)
        self.mean: torch.Tensor
        self.scale: torch.Tensor
        self.layouts: torch.Tensor
        self.semantics: torch.Tensor
        self.used: torch.Tensor

    @classmethod
    def published(cls, clusters: int = 1) -> DeepColorization:
        """Return the published one: every pixel, 49 + 32 + 47 numbers, 64 units."""
        return cls(semantic=_PUBLISHED_SEMANTIC, clusters=clusters, stride=1)

    def forward(
        self,
        gray: torch.Tensor,
        *,
        posteriors: torch.Tensor | None = None,
        hints: torch.Tensor | None = None,
        histogram: torch.Tensor | None = None,
    ) -> ChromaOutput:
        """Colour (N, 1, H, W), -1..1; without posteriors (N, K, H, W) every class is held for equally probable.

        Raises
        ------
        ValueError
            Posteriors of another number of classes.
        """
        told = self.told(gray, posteriors)
        local = local_descriptors(gray, told, self.stride)
        _, width, height, wide = local.shape
        chosen = self.choose(gray, told).tolist()
        planes = []
        for one, cluster in zip(local, chosen, strict=True):
            pixels = one.reshape(width, -1).T
            said = torch.cat([self.colors(part, cluster) for part in pixels.split(_CHUNK)])
            planes.append(said.T.reshape(2, height, wide))
        guide = gray[..., :: self.stride, :: self.stride]
        ab = joint_bilateral(torch.stack(planes), guide, radius=self.radius, softness=_SOFTNESS)
        return ChromaOutput(self._enlarged(ab, gray))

    def told(self, gray: torch.Tensor, posteriors: torch.Tensor | None) -> torch.Tensor | None:
        """Return the semantic descriptor of each pixel, (N, K, H, W); None of an arm that has none."""
        if not self.semantic:
            return None
        if posteriors is None:
            return (gray * 0 + 1 / self.semantic).expand(-1, self.semantic, -1, -1)
        if posteriors.shape[1] != self.semantic:
            raise ValueError(f"This network knows {self.semantic} tissue classes, got {posteriors.shape[1]}.")
        return posteriors

    def choose(self, gray: torch.Tensor, told: torch.Tensor | None) -> torch.Tensor:
        """Return the cluster of each image, (N,): the one whose layout and semantic histogram are nearest."""
        far = (layout(gray)[:, None] - self.layouts).square().sum(dim=2)
        if told is not None:
            far = far + (told.mean(dim=(2, 3))[:, None] - self.semantics).square().sum(dim=2)
        return far.masked_fill(self.used == 0, torch.inf).argmin(dim=1)

    def colors(self, pixels: torch.Tensor, cluster: int) -> torch.Tensor:
        """Return a*, b* of descriptors (n, width) by the network of a cluster, (n, 2)."""
        layers = [(weight[cluster], bias[cluster]) for weight, bias in zip(self.weights, self.biases, strict=True)]
        return colors_by(layers, (pixels - self.mean) / self.scale)

    def _enlarged(self, planes: torch.Tensor, gray: torch.Tensor) -> torch.Tensor:
        if self.stride == 1:
            return planes
        height, width = gray.shape[-2:]
        rows, columns = (size * self.stride for size in planes.shape[-2:])
        guide = functional.pad(gray, (0, columns - width, 0, rows - height), mode="replicate")
        return guided_enlarged(planes, guide)[..., :height, :width]


def colors_by(layers: Sequence[tuple[torch.Tensor, torch.Tensor]], pixels: torch.Tensor) -> torch.Tensor:
    """Return a*, b* of standardized descriptors (n, width) by one network's layers of weight and bias, (n, 2)."""
    for n, (weight, bias) in enumerate(layers):
        pixels = torch.addmm(bias, functional.relu(pixels) if n else pixels, weight)
    return _AB * pixels


__all__ = ["HIDDEN_LAYERS", "DeepColorization", "colors_by"]
