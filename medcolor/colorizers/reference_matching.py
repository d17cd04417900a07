"""A reference in the form that a method takes: its log-chroma histogram, or its pixels matched to the scan's gray."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from medcolor.cielab import rgb_to_lab
from medcolor.colorizers.reference import Reference
from medcolor.networks.normalization import spread_sample
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


__all__ = ["histogram_of", "matched"]
