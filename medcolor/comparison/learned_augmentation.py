"""How training images are changed: moved, turned, brightened; a whole batch at once, the same for every arm."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from medcolor.cielab import gray_to_lightness
from medcolor.scan import Scan, from_slices, to_slices
from medcolor.voi import Window
from medcolor.windowing import resolve_display

if TYPE_CHECKING:
    import torch
    from torch import Tensor

VARIANTS = 6
"""How often the gray of a training patient is changed before it is coloured, where an arm is coloured after."""
_TURN = 15.0  # degrees
_ZOOM = 0.15
_SHIFT = 0.08  # of the side
_GAIN, _OFFSET, _NOISE = 0.2, 0.1, 0.02  # of the lightness, 0 to 1


class Moves(NamedTuple):
    """What happens to the images of a batch.

    Attributes
    ----------
    grid : Tensor, (n, 2, 3)
        Where each pixel of the result is looked up.
    gain, offset, noise : Tensor, (n,)
        Of the lightness.
    gray : Tensor of bool, (n,)
        Shown without chroma.
    """

    grid: Tensor
    gain: Tensor
    offset: Tensor
    noise: Tensor
    gray: Tensor

    @classmethod
    def draw(cls, count: int, augment: bool, dropout: float) -> Moves:
        """Draw from torch's generator, always the same amount of chance."""
        import torch

        drawn = 2 * torch.rand(8, count) - 1
        turn, zoom, x, y, gain, offset, noise, _ = drawn * (1.0 if augment else 0.0)
        angle, scale = torch.deg2rad(turn * _TURN), 1 + zoom * _ZOOM
        rows = [
            torch.stack([scale * angle.cos(), -scale * angle.sin(), 2 * _SHIFT * x], dim=-1),
            torch.stack([scale * angle.sin(), scale * angle.cos(), 2 * _SHIFT * y], dim=-1),
        ]
        chance = (drawn[7] + 1) / 2
        noise = noise.abs() * _NOISE
        return cls(torch.stack(rows, dim=1), 1 + gain * _GAIN, offset * _OFFSET, noise, chance < dropout)

    def to(self, device: str | torch.device) -> Moves:
        """Return the same on another device."""
        return Moves(*(part.to(device) for part in self))


def moved(
    images: Tensor, masks: Tensor, moves: Moves, gray_channels: int, placed: bool, brightened: bool
) -> tuple[Tensor, Tensor]:
    """Return a batch changed.

    Parameters
    ----------
    images : Tensor, (n, channels, height, width)
    masks : Tensor of uint8, (n, height, width)
    moves : Moves
    gray_channels : int
        Whose lightness changes; chroma keeps its value.
    placed : bool
        Chroma stays where it is.
    brightened : bool
        The lightness was changed before it was coloured, and is not changed again.

    Returns
    -------
    Tensor, (n, channels, height, width)
    Tensor of int64, (n, height, width)
    """
    import torch
    from torch.nn import functional

    grid = functional.affine_grid(moves.grid, list(images.shape), align_corners=False)
    out = functional.grid_sample(images, grid, align_corners=False)
    labels = functional.grid_sample(masks[:, None].float(), grid, mode="nearest", align_corners=False)[:, 0].long()
    if placed:
        out[:, gray_channels:] = images[:, gray_channels:]
    light = out[:, :gray_channels]
    if not brightened:
        light = moves.gain[:, None, None, None] * (light - 0.5) + 0.5 + moves.offset[:, None, None, None]
    grain = torch.randn(len(images), 1, *images.shape[2:]).to(images.device)
    light = (light + moves.noise[:, None, None, None] * grain).clamp(0, 1)
    out = torch.cat([light, out[:, gray_channels:]], dim=1)
    if out.shape[1] > gray_channels:
        out[:, gray_channels:] *= (~moves.gray)[:, None, None, None]
    return out, labels


def variant(scan: Scan, rng: np.random.Generator) -> Scan:
    """Return a scan whose displayed lightness is changed as :func:`moved` would change it, still in its units.

    What lies beyond the window goes on as at its ends. The window stays the one the scan had.
    """
    display = resolve_display(scan, None)
    gain, offset = 1 + _GAIN * rng.uniform(-1, 1), _OFFSET * rng.uniform(-1, 1)
    low, high = display.bounds if isinstance(display, Window) else _bounds(scan)
    values = to_slices(scan.voxels).astype(np.float64)
    share = (values - low) / max(high - low, 1e-9)
    share = 1 - share if scan.inverted else share
    share = _brightened(share, gain, offset)
    share = 1 - share if scan.inverted else share
    block: NDArray[np.generic] = low + share * (high - low)
    kind = scan.voxels.dtype
    if kind.kind in "iu":
        block = np.clip(np.rint(block), np.iinfo(kind).min, np.iinfo(kind).max)
    there = ~scan.padded(slice(None))
    changed = np.where(there, block, values).astype(kind)
    return replace(scan, voxels=from_slices(changed), windows=(display,))


def _bounds(scan: Scan) -> tuple[float, float]:
    return float(scan.voxels.min()), float(scan.voxels.max())


def _brightened(share: NDArray[np.float64], gain: float, offset: float) -> NDArray[np.float64]:
    """Change gray (0 to 1, and beyond) so that its lightness becomes gain * (L - 1/2) + 1/2 + offset."""
    gray, light = np.linspace(0, 1, 256), gray_to_lightness() / 100.0
    clipped = np.clip(share, 0, 1)
    wanted = gain * (np.interp(clipped, gray, light) - 0.5) + 0.5 + offset
    back = np.interp(wanted, light, gray) + np.minimum(wanted, 0) + np.maximum(wanted - 1, 0)
    return np.asarray(back + (share - clipped))


__all__ = ["VARIANTS", "Moves", "moved", "variant"]
