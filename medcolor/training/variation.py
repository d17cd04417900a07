"""How a slice that the recognizer is shown is varied: it looks different each time, and stays what it is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from medcolor.networks.recognizer import CLASSES, SIDE
from medcolor.training.looks import HU_RANGE, OTHER, STORED, Look

_INVERTED = {"XR": 0.15, "MG": 0.15, "NM": 0.3, "PT": 0.2, "other": 0.3}
"""How often low values are shown bright without the file saying so."""


class Varied:
    """Draws batches: kinds in equal parts ("other" twice), sources within a kind by the root of their size.

    Parameters
    ----------
    looks : sequence of Look
    seed : int
        Batch n depends on it and on n alone.
    """

    def __init__(self, looks: Sequence[Look], *, seed: int = 0) -> None:
        self._looks, self._seed = looks, seed
        sizes: dict[tuple[int, str], int] = {}
        for look in looks:
            sizes[look.kind, look.source] = sizes.get((look.kind, look.source), 0) + 1
        weight = np.array([sizes[look.kind, look.source] ** -0.5 for look in looks])
        kinds = np.array([look.kind for look in looks])
        for kind in range(len(CLASSES)):
            weight[kinds == kind] *= (2.0 if kind == OTHER else 1.0) / weight[kinds == kind].sum()
        self._chances = weight / weight.sum()
        self._gray = torch.stack([look.gray for look in looks])
        self._kinds = torch.from_numpy(kinds)
        self._hounsfield = torch.tensor([look.hounsfield for look in looks])

    def batch(self, n: int, size: int) -> tuple[Tensor, Tensor]:
        """Return thumbnails (size, 96, 96) and kinds (size,)."""
        rng = np.random.default_rng([self._seed, n])
        picked = torch.from_numpy(rng.choice(len(self._looks), size, p=self._chances))
        chance = torch.Generator().manual_seed(int(rng.integers(2**62)))
        kinds = self._kinds[picked].clone()
        gray = self._gray[picked].float()
        gray = _windowed(gray, self._hounsfield[picked], chance)
        gray = _moved(gray, chance)
        gray = _recontrasted(gray, kinds == CLASSES.index("MR"), chance)
        gray = _shown(gray, kinds, chance)
        gray = _acquired(gray, chance)
        gray = _on_screen(_framed(gray, chance), kinds == CLASSES.index("US"), chance)
        gray, kinds = _spoiled(gray, kinds, chance)
        return functional.adaptive_avg_pool2d(gray[:, None], SIDE)[:, 0], kinds


def _uniform(chance: torch.Generator, n: int, low: float, high: float) -> Tensor:
    return (low + (high - low) * torch.rand(n, generator=chance))[:, None, None]


def _happens(chance: torch.Generator, n: int, share: float) -> Tensor:
    return (torch.rand(n, generator=chance) < share)[:, None, None]


def _windowed(x: Tensor, hounsfield: Tensor, chance: torch.Generator) -> Tensor:
    """CT as it is, or through a window between lung, abdomen and bone."""
    n = len(x)
    level = _uniform(chance, n, -700, 400)
    level = torch.where(_happens(chance, n, 0.5), _uniform(chance, n, 20, 80), level)
    width = torch.exp(_uniform(chance, n, np.log(90), np.log(2500)))
    hu = HU_RANGE[0] + (HU_RANGE[1] - HU_RANGE[0]) * x
    shown = ((hu - level) / width + 0.5).clamp(0, 1)
    return torch.where(hounsfield[:, None, None] & _happens(chance, n, 0.65), shown, x)


def _moved(x: Tensor, chance: torch.Generator) -> Tensor:
    """Field of view, turn, mirror, and the sides' ratio; what comes in from outside is black or goes on."""
    n = len(x)
    angle = _uniform(chance, n, -0.3, 0.3) * _happens(chance, n, 0.5)
    zoom = torch.exp(_uniform(chance, n, np.log(0.55), np.log(1.25)))
    zoom = torch.where(_happens(chance, n, 0.25), torch.ones_like(zoom), zoom)
    ratio = torch.exp(_uniform(chance, n, -0.2, 0.2))
    mirror = 1 - 2 * _happens(chance, n, 0.4).float()
    shift = _uniform(chance, n, -1, 1), _uniform(chance, n, -1, 1)
    slack = (1 - zoom).clamp_min(0.05)
    c, s = torch.cos(angle), torch.sin(angle)
    rows = [
        torch.cat([c * zoom * ratio * mirror, -s * zoom, shift[0] * slack], dim=2),
        torch.cat([s * zoom * mirror, c * zoom / ratio, shift[1] * slack], dim=2),
    ]
    grid = functional.affine_grid(torch.cat(rows, dim=1), [n, 1, STORED, STORED], align_corners=False)
    black = functional.grid_sample(x[:, None], grid, padding_mode="zeros", align_corners=False)
    goes_on = functional.grid_sample(x[:, None], grid, padding_mode="border", align_corners=False)
    return torch.where(_happens(chance, n, 0.5)[:, None], black, goes_on)[:, 0]


def _recontrasted(x: Tensor, which: Tensor, chance: torch.Generator) -> Tensor:
    """Other sequences: foreground levels mapped by a random curve, not always upward; the background stays dark."""
    n, knots = len(x), 6
    curve = torch.rand(n, knots, generator=chance)
    curve = torch.where(_happens(chance, n, 0.4)[..., 0], 1 - torch.linspace(0, 1, knots) + 0.4 * curve, curve)
    place = (x * (knots - 1)).clamp(0, knots - 1 - 1e-4)
    low = place.long()
    flat = low.reshape(n, -1)
    a, b = curve.gather(1, flat).reshape(x.shape), curve.gather(1, flat + 1).reshape(x.shape)
    mapped = (a + (b - a) * (place - low)) * (x / 0.06).clamp(0, 1)
    return torch.where(which[:, None, None] & _happens(chance, n, 0.45), mapped, x)


def _shown(x: Tensor, kinds: Tensor, chance: torch.Generator) -> Tensor:
    """Gamma, a cut of the range, inversion."""
    n = len(x)
    low, high = _uniform(chance, n, 0, 0.12), _uniform(chance, n, 0.6, 1)
    x = torch.where(_happens(chance, n, 0.4), ((x - low) / (high - low)).clamp(0, 1), x)
    gamma = torch.exp(_uniform(chance, n, -0.85, 0.85))
    x = torch.where(_happens(chance, n, 0.5), x.clamp(0, 1) ** gamma, x)
    shares = torch.tensor([_INVERTED.get(name, 0.0) for name in CLASSES])[kinds]
    turned = torch.rand(n, generator=chance) < shares
    return torch.where(turned[:, None, None], 1 - x, x)


def _acquired(x: Tensor, chance: torch.Generator) -> Tensor:
    """Resolution, blur, shading and noise of several kinds."""
    n = len(x)
    coarse = int(torch.randint(56, STORED, (1,), generator=chance))
    small = functional.adaptive_avg_pool2d(x[: n // 4][:, None], coarse)
    back = functional.interpolate(small, (STORED, STORED), mode="bilinear", align_corners=False)[:, 0]
    x = torch.cat([back, _blurred(x[n // 4 : n // 2], float(0.3 + 1.7 * torch.rand(1, generator=chance))), x[n // 2 :]])
    field = functional.interpolate(torch.randn(n, 1, 3, 3, generator=chance), (STORED, STORED), mode="bilinear")[:, 0]
    x = torch.where(_happens(chance, n, 0.3), x * (1 + 0.2 * field).clamp(0.2, 2), x)
    sizes = torch.exp(_uniform(chance, n, np.log(0.005), np.log(0.2)))
    white = torch.randn(x.shape, generator=chance)
    grain = torch.rand(n, generator=chance)[:, None, None]
    x = torch.where(grain < 0.3, x + sizes * white, x)
    x = torch.where((grain >= 0.3) & (grain < 0.45), x * (1 + 2.5 * sizes * white).clamp_min(0), x)
    return torch.where((grain >= 0.45) & (grain < 0.6), x + sizes * x.clamp_min(0).sqrt() * white, x)


def _blurred(x: Tensor, sigma: float) -> Tensor:
    reach = torch.arange(-5, 6, dtype=torch.float32)
    kernel = torch.exp(-0.5 * (reach / sigma) ** 2)
    kernel = (kernel / kernel.sum())[None, None]
    soft = functional.conv2d(functional.pad(x[:, None], (5, 5, 5, 5), mode="replicate"), kernel[..., None, :])
    return functional.conv2d(soft, kernel[..., None])[:, 0]


def _framed(x: Tensor, chance: torch.Generator) -> Tensor:
    """Margins, and marks like letters: neither may tell one kind from another."""
    n = len(x)
    j, i = torch.arange(STORED)[None, :, None], torch.arange(STORED)[None, None, :]
    left, top, right, bottom = (_uniform(chance, n, 0, 0.18 * STORED) for _ in range(4))
    outside = (i < left) | (i > STORED - 1 - right) | (j < top) | (j > STORED - 1 - bottom)
    x = torch.where(outside & _happens(chance, n, 0.15), torch.zeros_like(x), x)
    cells = torch.rand(n, 1, STORED // 2, STORED // 2, generator=chance) < 0.5
    cells = functional.interpolate(cells.float(), (STORED, STORED))[:, 0] > 0
    u, v = _uniform(chance, n, 0, STORED), _uniform(chance, n, 0, STORED)
    line = (i > u) & (i < u + _uniform(chance, n, 8, 60)) & (j > v) & (j < v + _uniform(chance, n, 4, 9))
    return torch.where(line & cells & _happens(chance, n, 0.15), torch.ones_like(x), x)


def _on_screen(x: Tensor, often: Tensor, chance: torch.Generator) -> Tensor:
    """Make some a picture of a screen: the image smaller, on plain ground, letters and a gray scale beside it."""
    n = len(x)
    size = torch.cat([_uniform(chance, n, 0.5, 0.95), _uniform(chance, n, 0.6, 1)], dim=1)[..., 0]
    at = (2 * torch.rand(n, 2, generator=chance) - 1) * (1 - size)
    zero = torch.zeros(n)
    rows = [
        torch.stack([1 / size[:, 0], zero, -at[:, 0] / size[:, 0]], dim=1),
        torch.stack([zero, 1 / size[:, 1], -at[:, 1] / size[:, 1]], dim=1),
    ]
    grid = functional.affine_grid(torch.stack(rows, dim=1), [n, 1, STORED, STORED], align_corners=False)
    small = functional.grid_sample(x[:, None], grid, padding_mode="zeros", align_corners=False)[:, 0]
    inside = (grid.abs() <= 1).all(dim=-1)
    j, i = torch.arange(STORED)[None, :, None], torch.arange(STORED)[None, None, :]
    lines = (j % 7 < 4) & (torch.rand(n, STORED, 1, generator=chance)[:, j[0, :, 0] // 7] < 0.3)
    cells = functional.interpolate(
        (torch.rand(n, 1, STORED // 2, STORED // 2, generator=chance) < 0.45).float(), (STORED, STORED)
    )[:, 0]
    column = i < _uniform(chance, n, 10, 60)
    letters = lines & (cells > 0) & torch.where(_happens(chance, n, 0.5), column, i > STORED - 30)
    place = _uniform(chance, n, 0, STORED)
    wedge = (i > place) & (i < place + 5) & (j > 20) & (j < 100) & _happens(chance, n, 0.4)
    ground = torch.where(_happens(chance, n, 0.7), torch.zeros(n, 1, 1), _uniform(chance, n, 0, 1)).expand_as(x)
    ground = torch.where(wedge, (100 - j) / 80.0, torch.where(letters, torch.ones_like(x), ground))
    shown = torch.where(inside, small, ground)
    share = torch.where(often, 0.35, 0.08)
    return torch.where((torch.rand(n, generator=chance) < share)[:, None, None], shown, x)


def _spoiled(x: Tensor, kinds: Tensor, chance: torch.Generator) -> tuple[Tensor, Tensor]:
    """Shuffle the parts of a few slices: the right gray without the right form is "other"."""
    n = len(x)
    parts = 4
    size = STORED // parts
    tiles = x.reshape(n, parts, size, parts, size).permute(0, 1, 3, 2, 4).reshape(n, parts * parts, size, size)
    order = torch.rand(n, parts * parts, generator=chance).argsort(dim=1)
    mixed = tiles[torch.arange(n)[:, None], order]
    mixed = mixed.reshape(n, parts, parts, size, size).permute(0, 1, 3, 2, 4).reshape(x.shape)
    hit = torch.rand(n, generator=chance) < 0.03
    return torch.where(hit[:, None, None], mixed, x), torch.where(hit, OTHER, kinds)
