"""What a network that corrects physics is shown of it, and what becomes of its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from medcolor.scan import Scan
from medcolor.tissue.model import TissueModel

if TYPE_CHECKING:
    import torch


def by_slice(posteriors: NDArray[np.float32]) -> torch.Tensor:
    """Return posteriors (K, n, h, w) as a network takes them, (n, K, h, w): a view."""
    import torch

    return torch.from_numpy(posteriors).swapaxes(0, 1)


def beside(images: torch.Tensor, physics: NDArray[np.float32]) -> torch.Tensor:
    """Return what a network that corrects is shown: images (n, 1, h, w), and posteriors (K, n, h, w) with them."""
    import torch

    from medcolor.networks.correction import shown

    return torch.cat([images, shown(by_slice(physics).to(images.device))], dim=1)


def corrected_planes(answer: torch.Tensor, physics: NDArray[np.float32]) -> torch.Tensor:
    """Return logits (K, n, h, w) of an answer (K + 1, n, h, w) to posteriors (K, n, h, w)."""
    from medcolor.networks.correction import corrected

    told = by_slice(physics).to(answer.device)
    return corrected(answer.swapaxes(0, 1), told).swapaxes(0, 1).contiguous()


def physics_for(network: Any, scan: Scan) -> TissueModel | None:
    """Return the tissue model of a scan for a network that corrects it; None for others.

    Raises
    ------
    ModalityError
        As :func:`medcolor.tissue.fit`: physics cannot say anything of this scan, so there is nothing to correct.
    """
    if not getattr(network, "corrects", False):
        return None
    from medcolor import tissue

    return tissue.fit(scan)


__all__ = ["beside", "by_slice", "corrected_planes", "physics_for"]
