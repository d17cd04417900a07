"""What is measured against what: anything that gives posteriors or colours of a scan, as plain functions."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from medcolor.scan import Scan
from medcolor.training.metrics import expected_ab

if TYPE_CHECKING:
    from medcolor.colorizers.chroma import ChromaColorizer
    from medcolor.colorizers.network import NetworkColorizer

Posteriors = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Prediction:
    """What an arm says of a scan.

    Parameters
    ----------
    posteriors : ndarray of float32, (K, nk, nj, ni)
    log_scale : ndarray of float32, (nk, nj, ni), or None
        Log of the expected colour error; without it the largest posterior stands for confidence.
    """

    posteriors: Posteriors
    log_scale: NDArray[np.float32] | None = None

    @property
    def confidence(self) -> NDArray[np.float32]:
        """Higher where the arm is surer, (nk, nj, ni)."""
        return self.posteriors.max(axis=0) if self.log_scale is None else -self.log_scale

    def colors(self, palette_ab: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return (a*, b*) in a palette, (nk, nj, ni, 2)."""
        return expected_ab(self.posteriors, palette_ab)


@dataclass(frozen=True, eq=False)
class Colors:
    """What an arm says that knows colours and no tissue.

    Parameters
    ----------
    ab : ndarray of float32, (nk, nj, ni, 2)
    doubt : ndarray of float32, (nk, nj, ni), or None
        0 (sure) to 1.
    """

    ab: NDArray[np.float32]
    doubt: NDArray[np.float32] | None = None

    @property
    def confidence(self) -> NDArray[np.float32] | None:
        """Higher where the arm is surer, (nk, nj, ni); None of one that does not say."""
        return None if self.doubt is None else -self.doubt

    def colors(self, palette_ab: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return (a*, b*), whatever the palette: it is learned."""
        return self.ab


Answer = Prediction | Colors
Predict = Callable[[Scan], Answer]


def physics(scan: Scan) -> Prediction:
    """Predict with the tissue models: the arm that the network has to beat."""
    from medcolor import tissue

    return Prediction(tissue.fit(scan).posteriors(slice(None)))


@cache
def physics_code() -> str:
    """Return a SHA-256 of the source of the tissue models: what it made before is out of date when they change."""
    from medcolor import tissue

    files = sorted(Path(str(tissue.__file__)).parent.glob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def shipped(colorizer: NetworkColorizer) -> Callable[[Scan], Prediction]:
    """Return the arm of a bundle exactly as somebody would use it: its half-precision weights, tiles, device."""
    from medcolor.colorizers.prediction import error_of

    def predict(scan: Scan) -> Prediction:
        found, (ni, nj, nk) = colorizer.predict(scan), scan.shape
        posteriors = np.empty((len(found.classes), nk, nj, ni), np.float32)
        error = np.empty((nk, nj, ni), np.float32)
        ab = colorizer.palette_for(scan).ab
        for tile, likely, log_scale in found.tensors(slice(0, nk)):
            posteriors[(slice(None), *tile.kept)] = likely.cpu().numpy()
            error[tile.kept] = error_of(likely, log_scale, ab).cpu().numpy()
        log_scale = np.log(np.maximum(error, np.float32(1e-6)))  # 0 where no image is
        return Prediction(posteriors, log_scale)

    return predict


def learned(
    network: Any,
    normalization: Any,
    *,
    palette_ab: NDArray[np.float32] | None = None,
    device: Any = "cpu",
    batch: int = 4,
) -> Callable[[Scan], Prediction]:
    """Return the arm of a network that is being trained, with the input it will have in use.

    Parameters
    ----------
    network : nn.Module
        In eval mode, on ``device``.
    normalization : Normalization
        Fitted here to each scan.
    palette_ab : ndarray of float32, (K, 2), optional
        Colours that the expected error is of; without, the largest posterior stands for confidence.
    device : torch.device or str
    batch : int
        Slices at a time.
    """
    import torch

    from medcolor.colorizers.corrections import beside, by_slice, told_to
    from medcolor.colorizers.prediction import error_of, network_input, volume_input
    from medcolor.networks.correction import corrected

    def predict(scan: Scan) -> Prediction:
        scan, model, _ = told_to(network, scan, normalization)
        count, fitted = scan.shape[2], normalization.fit(scan)
        extra = volume_input(network, fitted, scan, device)
        posteriors: list[NDArray[np.float32]] = []
        scales: list[NDArray[np.float32]] = []
        with torch.no_grad():
            for start in range(0, count, batch):
                block = slice(start, min(start + batch, count))
                values, _ = network_input(scan, fitted, block)
                images = torch.from_numpy(np.ascontiguousarray(values))[:, None].to(device)
                if model is None:
                    out = network(images, *extra)
                    logits = out.logits.float()
                else:
                    physics = model.posteriors(block)
                    out = network(beside(images, physics), *extra)
                    own = by_slice(physics[: out.logits.shape[1] - 1])
                    logits = corrected(out.logits.float(), own.to(device))
                likely = torch.softmax(logits, dim=1)
                posteriors.append(likely.cpu().numpy())
                if palette_ab is not None:
                    error = error_of(likely.movedim(1, 0), out.log_scale[:, 0].float(), palette_ab)
                    scales.append(error.log().cpu().numpy())
        stacked = np.ascontiguousarray(np.concatenate(posteriors).swapaxes(0, 1))
        return Prediction(stacked, np.concatenate(scales) if scales else None)

    return predict


def learned_colors(network: Any, normalization: Any, *, device: Any = "cpu", batch: int = 4) -> Predict:
    """Return the arm of a network of :mod:`medcolor.networks.chroma` that is being trained.

    It is shown no condition, but for the tissue posteriors of physics where it needs them, as in use.

    Parameters
    ----------
    network : nn.Module
        In eval mode, on ``device``.
    normalization : Normalization
        Fitted here to each scan.
    device : torch.device or str
    batch : int
        Slices at a time.
    """
    import torch

    from medcolor import tissue
    from medcolor.colorizers.corrections import by_slice
    from medcolor.colorizers.prediction import network_input

    def predict(scan: Scan) -> Colors:
        (ni, nj, nk), fitted = scan.shape, normalization.fit(scan)
        ab, doubt = np.empty((nk, nj, ni, 2), np.float32), np.empty((nk, nj, ni), np.float32)
        doubted = False
        model = tissue.fit(scan) if "posteriors" in getattr(network, "needs", ()) else None
        with torch.no_grad():
            for start in range(0, nk, batch):
                block = slice(start, min(start + batch, nk))
                values, good = network_input(scan, fitted, block)
                gray = torch.from_numpy(np.ascontiguousarray(values))[:, None].to(device)
                told = {} if model is None else {"posteriors": by_slice(model.posteriors(block)).to(device)}
                out = network(gray, **told)
                ab[block] = out.ab.float().movedim(1, -1).cpu().numpy()
                if good is not None:
                    ab[block][~good] = 0
                if out.doubt is not None:
                    doubted, doubt[block] = True, out.doubt[:, 0].float().cpu().numpy()
        return Colors(ab, doubt if doubted else None)

    return predict


def shipped_colors(colorizer: ChromaColorizer) -> Predict:
    """Return the arm of a bundle of learned colours exactly as somebody would use it."""

    def predict(scan: Scan) -> Colors:
        (ni, nj, nk) = scan.shape
        ab, doubt = np.empty((nk, nj, ni, 2), np.float32), np.empty((nk, nj, ni), np.float32)
        doubted = False
        for block, colors, unsure, _ in colorizer.ab(scan):
            ab[block] = colors
            if unsure is not None:
                doubted, doubt[block] = True, unsure
        return Colors(ab, doubt if doubted else None)

    return predict


__all__ = [
    "Answer",
    "Colors",
    "Posteriors",
    "Predict",
    "Prediction",
    "learned",
    "learned_colors",
    "physics",
    "physics_code",
    "shipped",
    "shipped_colors",
]
