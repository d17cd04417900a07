"""Bundles with random weights, written where a test wants them: they colour, though nothing sensible."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from medcolor.bundle_files import BundleCard
from medcolor.bundles import write_bundle
from medcolor.networks import Normalization, TissueUNet
from medcolor.palettes import load_palette

TINY: Mapping[str, Any] = {"widths": (8, 16), "reduction": 2, "refinement": 8}


def random_bundle(folder: Path, *, family: str = "CT", config: Mapping[str, Any] = TINY, seed: int = 1) -> BundleCard:
    """Write a bundle whose random weights give every class somewhere."""
    torch.manual_seed(seed)
    classes = len(load_palette(family).names)
    network = TissueUNet(classes, **config)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.uniform_(-0.2, 0.2)
                module.running_var.uniform_(0.05, 0.2)
        network.head.weight.mul_(8)
    return write_bundle(
        folder,
        network,
        family=family,
        network_config={"_target_": "medcolor.networks.tissue_unet.TissueUNet", "classes": classes, **config},
        normalization=Normalization.default(family),
        description=f"random weights for {family}, good for tests only",
    )
