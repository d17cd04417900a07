"""What somebody shows in the form that a method takes: a histogram, or samples of a reference or of the scan itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from medcolor.cielab import rgb_to_lab
from medcolor.colorizers.point_hints import LARGEST_AB, Hint, hint_planes
from medcolor.colorizers.prediction import network_input
from medcolor.colorizers.reference import Reference
from medcolor.networks.normalization import spread_sample
from medcolor.palettes import Palette
from medcolor.scan import Scan

if TYPE_CHECKING:
    import torch

    from medcolor.networks.normalization import Normalization


def histogram_of(reference: Reference, network: Any) -> torch.Tensor:
    """Return the log-chroma histogram of a reference, (1, 3, B, B), with the bins that the network has."""
    import torch

    from medcolor.networks.log_chroma import log_chroma_histogram

    pictures = torch.from_numpy(reference.spread().astype(np.float32) / 255).permute(0, 3, 1, 2)
    with torch.inference_mode():
        histograms = log_chroma_histogram(pictures, bins=network.bins)
        weights = pictures.square().sum(dim=1).sqrt().sum(dim=(1, 2))  # as if it were one picture
        return torch.einsum("n,nchw->chw", weights / weights.sum().clamp(min=1e-12), histograms)[None]


def matched(network: Any, reference: Reference, scan: Scan, fitted: Normalization) -> Any:
    """Return the network with the reference's samples in place of its own.

    As in Welsh 2002 the reference's lightness is mapped linearly to the mean and spread of what is coloured; of the
    whole volume, so that no slice has colours of its own.
    """
    import torch

    lightness = 50 * (fitted(spread_sample(scan)) + 1)
    if not lightness.size:  # nothing but padding: there is nothing to colour either
        lightness = np.zeros(1, np.float32)
    pictures = torch.from_numpy(rgb_to_lab(reference.spread() / np.float32(255)).astype(np.float32))
    mean, spread = float(lightness.mean(dtype=np.float64)), float(lightness.std(dtype=np.float64))
    device = next(network.buffers()).device
    return network.matched(pictures.permute(0, 3, 1, 2).to(device), mean=mean, spread=spread)


def swatched(network: Any, hints: Sequence[Hint], scan: Scan, fitted: Normalization, taught: Palette) -> Any:
    """Return the network with the places that hints name as its samples, from all slices that have some."""
    import torch

    grays, places, colors = [], [], []
    for k in sorted({hint.k for hint in hints}):
        block = slice(k, k + 1)
        gray, _ = network_input(scan, fitted, block)
        planes = hint_planes(hints, block, (gray.shape[1], gray.shape[2]), taught)
        assert planes is not None
        grays.append(gray[:, None])
        places.append(planes[:, 2] > 0)
        colors.append(planes[:, :2] * np.float32(LARGEST_AB))
    device = next(network.buffers()).device
    told = (torch.from_numpy(np.concatenate(part)).to(device) for part in (grays, places, colors))
    return network.swatched(*told)


__all__ = ["histogram_of", "matched", "swatched"]
