"""What a network that corrects physics is shown of it, and what becomes of its answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from medcolor.colorizers import noise, tone
from medcolor.scan import Finding, KAxis, Scan
from medcolor.tissue.model import TissueModel

if TYPE_CHECKING:
    import torch

    from medcolor.networks.normalization import Normalization


class Told(NamedTuple):
    """A scan as a network is told of it.

    Attributes
    ----------
    scan : Scan
        The gray that it sees: with gamma undone, where the network estimates it.
    physics : TissueModel or None
        What it corrects: of (K, n, nj, ni), or (3 K, n, nj, ni) with the slices before and after.
    findings : tuple of Finding
        What was undone before physics looked.
    """

    scan: Scan
    physics: Any
    findings: tuple[Finding, ...] = ()


def told_to(network: Any, scan: Scan, normalization: Normalization, *, estimator: Any = None) -> Told:
    """Return what a network is told of a scan; of one that neither corrects nor undoes gamma, the scan.

    Parameters
    ----------
    network
        Its ``corrects``, ``neighbours``, ``tone`` and ``smooths`` say what it needs.
    scan : Scan
    normalization : Normalization
    estimator : ToneEstimator, optional
        In the place of ``network.tone``: a network in ONNX has none of its own.

    Raises
    ------
    ModalityError
        As :func:`medcolor.tissue.fit`: physics cannot say anything of this scan, so there is nothing to correct.
    """
    estimator = getattr(network, "tone", None) if estimator is None else estimator
    gamma = 0.0 if estimator is None else tone.log_gamma(scan, estimator, normalization)
    seen, bent = tone.unbent(scan, gamma), tone.finding_of(gamma)
    found = () if bent is None else (bent,)
    if not getattr(network, "corrects", False):
        return Told(seen, None, found)
    from medcolor import tissue

    strength = noise.noise_of(seen) if getattr(network, "smooths", False) else 0.0
    physics: Any = tissue.fit(noise.smoothed(seen, strength))
    if getattr(network, "neighbours", False):
        physics = WithNeighbours(physics, scan.shape[2] if scan.k_axis is KAxis.SPACE else 1)
    noisy = noise.finding_of(strength)
    return Told(seen, physics, found if noisy is None else (*found, noisy))


@dataclass(frozen=True, slots=True, eq=False)
class WithNeighbours:
    """A tissue model that says of each slice also what it says of the ones before and after.

    Where there is none, it says the same of the slice itself.
    """

    model: TissueModel
    count: int

    def posteriors(self, block: slice) -> NDArray[np.float32]:
        """Return (3 K, n, nj, ni): of the slices, of those before, of those after."""
        if self.count < 2:
            return np.concatenate([self.model.posteriors(block)] * 3)
        start, stop, _ = block.indices(self.count)
        first, last = max(start - 1, 0), min(stop + 1, self.count)
        wide = self.model.posteriors(slice(first, last))
        own = np.arange(start, stop)
        rows = (own, np.maximum(own - 1, 0), np.minimum(own + 1, self.count - 1))
        return np.concatenate([wide[:, row - first] for row in rows])


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
    """Return logits (K, n, h, w) of an answer (K + 1, n, h, w) to posteriors (K, n, h, w), or more than those."""
    from medcolor.networks.correction import corrected

    told = by_slice(physics[: len(answer) - 1]).to(answer.device)
    return corrected(answer.swapaxes(0, 1), told).swapaxes(0, 1).contiguous()


__all__ = ["Told", "WithNeighbours", "beside", "by_slice", "corrected_planes", "told_to"]
