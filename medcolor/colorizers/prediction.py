"""What a network says of a scan: posteriors and the colour error to expect, range of slices by range of slices.

Posteriors are at the bundle's temperature, which was found on validation patients: so often right as they say (Guo et
al., On calibration of modern neural networks, 2017), and nearer to the target's colours (docs/adr/0013).

A network knows structures at the size it was trained at. An image far larger than that (a mammogram, a radiograph) is
shown to it reduced by a whole factor, and what it says is enlarged again; the gray that is coloured is never reduced.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from medcolor.colorizers.corrections import beside, corrected_planes
from medcolor.colorizers.tiles import Tile, bands, tiles
from medcolor.scan import Scan, to_slices
from medcolor.tissue.model import TissueModel, valid

if TYPE_CHECKING:
    import torch

    from medcolor.networks.normalization import Normalization

HALF_CONFIDENCE = 10.0
"""Expected error, in units of a*, b*, at which the confidence is one half: a plain difference between two tissues."""


class Computing(NamedTuple):
    """How a network is run.

    Attributes
    ----------
    network : callable
        ``network(images, *volume) -> (logits, log_scale)``.
    inferer : callable
        ``inferer(images, network, *volume)``, as MONAI's.
    device : torch.device
    at_once : int
        Slices computed together.
    """

    network: Any
    inferer: Callable[..., Any]
    device: torch.device
    at_once: int


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """What a network says of one scan; computed when asked.

    Attributes
    ----------
    classes : tuple of str
        In palette order.
    """

    classes: tuple[str, ...]
    _computing: Computing
    _scan: Scan
    _normalization: Normalization
    _volume: tuple[Any, ...]
    _ab: NDArray[np.float32]
    _physics: TissueModel | None = None
    _temperature: float = 1.0

    def posteriors(self, block: slice) -> NDArray[np.float32]:
        """Return the probabilities of a range of slices, (K, n, nj, ni); the first class where no image is."""
        shape = to_slices(self._scan.voxels)[block].shape
        out = np.empty((len(self.classes), *shape), dtype=np.float32)
        for tile, posteriors, _ in self.tensors(block, rated=False):
            out[(..., *tile.kept)] = posteriors.cpu().numpy()
        return out

    def expected_error(self, block: slice) -> NDArray[np.float32]:
        """Return the expected colour error of a range of slices, (n, nj, ni), in units of a*, b*; 0 without image."""
        out = np.empty(to_slices(self._scan.voxels)[block].shape, dtype=np.float32)
        for tile, posteriors, log_scale in self.tensors(block):
            out[tile.kept] = error_of(posteriors, log_scale, self._ab).cpu().numpy()
        return out

    def confidence(self, block: slice) -> NDArray[np.float32]:
        """Return how far colours can be relied on, (n, nj, ni), from 1 toward 0; 0.5 at :data:`HALF_CONFIDENCE`."""
        return np.float32(1) / (1 + self.expected_error(block) / np.float32(HALF_CONFIDENCE))

    def tensors(self, block: slice, *, rated: bool = True) -> Iterator[tuple[Tile, torch.Tensor, torch.Tensor]]:
        """Yield each tile with its posteriors (K, n, h, w) and the network's log scale (n, h, w), on the device.

        The log scale is -inf where no image is. :func:`error_of` makes an error of the two. ``rated=False`` saves its
        time where the network can: it is 0 then.
        """
        import torch

        values, good = network_input(self._scan, self._normalization, block)
        factor = reduction_factor(self._normalization.side, values.shape)
        spares = not rated and getattr(self._computing.network, "optional_rating", False)
        options = {"rated": False} if spares else {}
        physics = None if self._physics is None else self._physics.posteriors(block)
        whole = self._as_it_is if factor == 1 else partial(self._reduced, factor)
        for tile, logits, log_scale in whole(values, physics, options):
            with torch.inference_mode():
                if physics is not None:
                    logits = corrected_planes(logits, physics[(slice(None), *tile.kept)])
                if self._temperature != 1:
                    logits.mul_(1 / self._temperature)
                posteriors = torch.softmax(logits, dim=0)
                if good is not None:
                    outside = torch.from_numpy(~good[tile.kept]).to(logits.device)
                    posteriors.masked_fill_(outside, 0)
                    posteriors[0].masked_fill_(outside, 1)
                    log_scale = log_scale.masked_fill(outside, -torch.inf)
            yield tile, posteriors, log_scale

    def _as_it_is(
        self, values: NDArray[np.float32], physics: NDArray[np.float32] | None, options: Mapping[str, bool]
    ) -> Iterator[tuple[Tile, torch.Tensor, torch.Tensor]]:
        """Yield the answer (K, n, h, w) and log scale (n, h, w) for each tile of (n, nj, ni).

        Of a network that corrects, which is shown ``physics`` (K or 3 K, n, nj, ni), the answer has K + 1 planes.
        """
        import torch

        network, inferer, device, at_once = self._computing
        reach, multiple = getattr(network, "reach", 128), getattr(network, "multiple", 32)
        for tile in tiles(values.shape, reach=reach, multiple=multiple, batch=at_once):
            inputs = torch.from_numpy(np.ascontiguousarray(values[tile.seen])[:, None]).to(device)
            if physics is not None:
                inputs = beside(inputs, physics[(slice(None), *tile.seen)])
            with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
                logits, log_scale = inferer(inputs, network, *self._volume, **options)
                inner = (slice(None), slice(None), *tile.inner)
                # class by class in memory before the softmax: the colour law reads whole planes
                planes = logits[inner].permute(1, 0, 2, 3).float().contiguous()
                log_scale = log_scale[inner][:, 0].float()
            yield tile, planes, log_scale

    def _reduced(
        self,
        factor: int,
        values: NDArray[np.float32],
        physics: NDArray[np.float32] | None,
        options: Mapping[str, bool],
    ) -> Iterator[tuple[Tile, torch.Tensor, torch.Tensor]]:
        """Do the same at a reduced size, slice by slice, and yield what is enlarged again in bands of rows."""
        import torch

        for n, plane in enumerate(values):
            small = reduced_plane(plane, factor)[None]
            told = None if physics is None else np.stack([reduced_plane(p[n], factor)[None] for p in physics])
            planes = len(self.classes) + (physics is not None) + 1
            whole = torch.empty(planes, *small.shape[1:], device=self._computing.device)
            for tile, logits, log_scale in self._as_it_is(small, told, options):
                whole[(slice(None), *tile.kept[1:])] = torch.cat([logits[:, 0], log_scale])
            for band in bands(plane.shape, factor):
                with torch.inference_mode():
                    part = whole[:, band.seen][None]
                    large = torch.nn.functional.interpolate(part, scale_factor=float(factor), mode="bilinear")[0]
                    large = large[:, band.inner, : plane.shape[1]]
                kept = (slice(n, n + 1), band.kept, slice(0, plane.shape[1]))
                yield Tile(kept, kept, kept[1:]), large[:-1, None].contiguous(), large[-1:]


def reduction_factor(side: int | None, shape: tuple[int, ...]) -> int:
    """Return by what whole number slices (n, nj, ni) are reduced for a network that was trained at ``side`` pixels.

    1 up to one and a half times that size: such a difference is within what it was trained for.
    """
    return 1 if side is None else max(1, round(max(shape[1:]) / side))


def reduced_plane(plane: NDArray[np.float32], factor: int) -> NDArray[np.float32]:
    """Return means over squares of a plane (nj, ni); the last row and column are repeated to fill the last ones."""
    nj, ni = plane.shape
    filled = np.pad(plane, ((0, -nj % factor), (0, -ni % factor)), mode="edge")
    squares = filled.reshape(filled.shape[0] // factor, factor, filled.shape[1] // factor, factor)
    return squares.mean(axis=(1, 3), dtype=np.float32)


def network_input(
    scan: Scan, normalization: Normalization, block: slice
) -> tuple[NDArray[np.float32], NDArray[np.bool_] | None]:
    """Return what a network is shown of a range of slices, and where there is an image (None: everywhere).

    Parameters
    ----------
    scan : Scan
    normalization : Normalization
        Fitted to the scan.
    block : slice

    Returns
    -------
    inputs : ndarray of float32, (n, nj, ni)
        In [-1, 1]; -1 where no image is.
    good : ndarray of bool, (n, nj, ni), or None
    """
    values, good = normalization(to_slices(scan.voxels)[block]), valid(scan, block)
    if good is not None:
        values[~good] = -1
    return values, good


def volume_input(
    network: Any, fitted: Normalization, scan: Scan, device: torch.device | str = "cpu"
) -> tuple[torch.Tensor, ...]:
    """Return what a network is shown of the volume as a whole, (1, n); nothing, where it takes nothing."""
    if not getattr(network, "summary", 0):
        return ()
    import torch

    from medcolor.networks.volume_summary import volume_summary

    return (torch.from_numpy(volume_summary(fitted, scan))[None].to(device),)


def mean_ab(posteriors: torch.Tensor, palette_ab: NDArray[np.float32]) -> torch.Tensor:
    """Return the palette's annealed mean, (n, h, w, 2), of posteriors (K, n, h, w), where they are.

    The same colours as :func:`medcolor.color.color_from_posteriors`, up to rounding.
    """
    import torch

    weights = posteriors * posteriors
    colors = torch.from_numpy(palette_ab).to(posteriors)
    total = weights.sum(dim=0).unsqueeze(-1)
    return torch.einsum("knhw,kc->nhwc", weights, colors) / total


def error_of(
    posteriors: torch.Tensor,
    log_scale: torch.Tensor,
    palette_ab: NDArray[np.float32],
    *,
    mean: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return the colour error to expect, (n, h, w), in (a*, b*) steps of this palette; 0 where no image is.

    Parameters
    ----------
    posteriors : Tensor, (K, n, h, w)
    log_scale : Tensor, (n, h, w)
    palette_ab : ndarray of float32, (K, 2)
    mean : Tensor, (n, h, w, 2), optional
        :func:`mean_ab` of them, where it is known.
    """
    import torch

    from medcolor.networks.expected_error import expected_error

    mean = mean_ab(posteriors, palette_ab) if mean is None else mean
    return expected_error(posteriors, mean.movedim(-1, 0), torch.from_numpy(palette_ab), log_scale)


def faded(error: torch.Tensor, fade: float) -> torch.Tensor:
    """Return the factor on chroma: 1 where the expected error is 0, falling with it as far as ``fade`` says."""
    return 1 - fade * error / (error + HALF_CONFIDENCE)


__all__ = [
    "HALF_CONFIDENCE",
    "Computing",
    "Prediction",
    "error_of",
    "faded",
    "mean_ab",
    "network_input",
    "reduced_plane",
    "reduction_factor",
    "volume_input",
]
