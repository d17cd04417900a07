"""A small network of the kind that gives colours at once, and bundles with it: random weights, but it obeys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from medcolor.bundle_files import BundleCard
from medcolor.bundles import write_bundle
from medcolor.networks import Normalization
from medcolor.networks.chroma import ChromaOutput


class Example(nn.Module):
    """Colours by a 5 x 5 neighbourhood; takes every condition there is, and says everything that can be said.

    Parameters
    ----------
    doubts : bool
        Whether it says how sure it is.
    reach : int or None
        2, what it really sees; None: it does not say, and gets whole slices.
    """

    method = "example"
    style_free = False
    needs = frozenset({"posteriors", "hints", "histogram"})
    multiple = 1

    def __init__(self, *, doubts: bool = True, reach: int | None = 2, bins: int = 8) -> None:
        super().__init__()
        self.doubts, self.reach, self.bins = doubts, reach, bins
        self.conv = nn.Conv2d(1, 3, 5, padding=2, padding_mode="replicate")

    def forward(
        self,
        gray: torch.Tensor,
        *,
        posteriors: torch.Tensor | None = None,
        hints: torch.Tensor | None = None,
        histogram: torch.Tensor | None = None,
    ) -> ChromaOutput:
        said = self.conv(gray)
        ab = 60 * torch.tanh(said[:, :2])
        if posteriors is not None:
            ab = ab * (1 - posteriors[:, :1])
        if histogram is not None:
            ab = ab * histogram.amax(dim=(1, 2, 3))[:, None, None, None]
        if hints is not None:
            ab = torch.where(hints[:, 2:] > 0, 110 * hints[:, :2], ab)
        doubt = torch.sigmoid(said[:, 2:]) if self.doubts else None
        return ChromaOutput(ab, lightness=50 * (gray + 1), doubt=doubt)


class Plain(Example):
    """The same, taking nothing."""

    method = "plain"
    needs = frozenset()


def chroma_bundle(
    folder: Path, *, family: str = "CT", kind: type[Example] = Plain, seed: int = 1, **config: Any
) -> BundleCard:
    """Write a bundle of method "example" or "plain" with random weights."""
    torch.manual_seed(seed)
    network = kind(**config)
    with torch.no_grad():
        network.conv.weight.mul_(3)
    return write_bundle(
        folder,
        network,
        family=family,
        network_config={"_target_": f"chroma_examples.{kind.__name__}", **config},
        normalization=Normalization.default(family),
        description=f"random weights for {family}, good for tests only",
        method=kind.method,
    )
