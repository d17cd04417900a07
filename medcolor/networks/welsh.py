"""Colour by luminance and texture (Welsh, Ashikhmin, Mueller 2002): method "welsh". Nothing is learned by steps.

A pixel takes the colour of the sample whose lightness and local spread of lightness, in a window of 5 x 5, are most
like its own. Samples come from a jittered grid over references: training patients, or any coloured scan or picture
(:meth:`Welsh.matched`); in the *swatch* form from places in the scan itself whose colour somebody gave
(:meth:`Welsh.swatched`). The *level* form is the one-dimensional special case: the mean colour of each lightness.

The original remaps the reference's luminance to each image's mean and spread. Here the network's gray is that of a
normalization fitted to the volume, the same for training patients and the scan, so nothing is remapped; a reference of
somebody's own has another gray and is, by the volume's mean and spread and never a slice's.
"""

from __future__ import annotations

import copy
import math

import torch
from torch import nn
from torch.nn import functional

from medcolor.networks.chroma import ChromaOutput

SIDE = 5
"""Pixels along the window's side, as published."""
STEPS = (401, 201)
"""Cells of lightness (0 to 100) and of its spread (0 to 50), 0.25 apart, whose nearest sample is looked up: a pixel's
sample is at most 0.25 farther from it than its nearest one."""
LEVELS = 256

_FULL, _HALF = 100.0, 50.0
_SMOOTH = 3.0  # levels, of the Gaussian over the means of levels
_CHUNK = 1 << 14
FORMS = ("samples", "level")


class Welsh(nn.Module):
    """Gray in, the colour of the most similar sample out.

    Parameters
    ----------
    samples : int
        How many there are; about 200 of one reference in the paper. Their number costs no time.
    form : {"samples", "level"}

    Attributes
    ----------
    samples : Tensor, (samples, 4)
        L*, its spread, a*, b*; in the level form (256, 2): a*, b* of each level.
    """

    method = "welsh"
    style_free = False
    needs: frozenset[str] = frozenset()
    reach = SIDE // 2
    multiple = 1

    def __init__(self, *, samples: int = 1024, form: str = "samples") -> None:
        super().__init__()
        if form not in FORMS or samples < 1:
            raise ValueError(f"form is one of {', '.join(FORMS)} and samples at least 1, got {form} and {samples}.")
        self.form = form
        self.register_buffer("samples", torch.zeros((samples, 4) if form == "samples" else (LEVELS, 2)))
        self.samples: torch.Tensor
        self._table: tuple[torch.Tensor, torch.Tensor, int] | None = None  # and which samples it was made from

    def forward(
        self,
        gray: torch.Tensor,
        *,
        posteriors: torch.Tensor | None = None,
        hints: torch.Tensor | None = None,
        histogram: torch.Tensor | None = None,
    ) -> ChromaOutput:
        """Colour (N, 1, H, W), -1..1."""
        lightness = (_HALF * (gray + 1)).clamp(0, _FULL)
        if self.form == "level":
            return ChromaOutput(self._by_level(lightness[:, 0]).movedim(-1, 1))
        cells = _cell(lightness[:, 0], spread(lightness)[:, 0])
        return ChromaOutput(self._nearest_colors()[cells].movedim(-1, 1))

    def set_samples(self, samples: torch.Tensor) -> None:
        """Take samples (n, 4) of L*, spread, a*, b*; the level form keeps their means."""
        if self.form == "level":
            samples = level_means(samples[:, 0], samples[:, 2:])
        self.samples = samples.to(self.samples)
        self._table = None

    def matched(self, pictures: torch.Tensor, *, mean: float, spread: float) -> Welsh:
        """Return a copy whose samples are those of a reference.

        Parameters
        ----------
        pictures : Tensor, (n, 3, h, w)
            CIELAB.
        mean, spread : float
            Of the lightness of what will be coloured; the reference's is mapped to them linearly.
        """
        lightness = pictures[:, :1]
        wide = float(lightness.std(correction=0))
        factor = spread / wide if wide > 0 else 0.0
        remapped = (mean + factor * (lightness - lightness.mean())).clamp(0, _FULL)
        each = max(1, math.ceil(self._wanted / len(pictures)))
        drawn = [
            sampled(one, ab, each, seed=n) for n, (one, ab) in enumerate(zip(remapped, pictures[:, 1:], strict=True))
        ]
        return self._with(torch.cat(drawn))

    def swatched(self, gray: torch.Tensor, where: torch.Tensor, ab: torch.Tensor) -> Welsh:
        """Return a copy whose samples are places in the scan: the second half of the published swatch form.

        Parameters
        ----------
        gray : Tensor, (n, 1, h, w)
            Slices, -1..1.
        where : Tensor of bool, (n, h, w)
        ab : Tensor, (n, 2, h, w)
            Colours there.
        """
        lightness = (_HALF * (gray + 1)).clamp(0, _FULL)
        planes = torch.cat([lightness, spread(lightness), ab], dim=1)
        return self._with(planes.movedim(1, -1)[where])

    @property
    def _wanted(self) -> int:
        return LEVELS * 64 if self.form == "level" else len(self.samples)

    def _with(self, samples: torch.Tensor) -> Welsh:
        other = copy.deepcopy(self)
        other.set_samples(samples)
        return other

    def _nearest_colors(self) -> torch.Tensor:
        """Return a*, b* for each cell of lightness and spread, (cells, 2)."""
        known, samples = self._table, self.samples
        if known is None or known[1] is not samples or known[2] != samples._version:
            light, wide = (torch.linspace(0, top, n) for top, n in zip((_FULL, _HALF), STEPS, strict=True))
            cells = torch.cartesian_prod(light, wide).to(samples.device)
            nearest = torch.cat([self.nearest(*part.T) for part in cells.split(_CHUNK)])
            known = self._table = samples[nearest, 2:], samples, samples._version
        return known[0]

    def nearest(self, lightness: torch.Tensor, spread: torch.Tensor) -> torch.Tensor:
        """Return which sample is nearest to each of n pixels, (n,), both features weighing the same."""
        pixels, found = torch.stack([lightness, spread], dim=-1) - _HALF, self.samples[:, :2] - _HALF
        # the square of the difference, without the part that all samples share
        return torch.addmm(found.square().sum(dim=1), pixels, found.T, alpha=-2).argmin(dim=1)

    def _by_level(self, lightness: torch.Tensor) -> torch.Tensor:
        place = lightness * ((LEVELS - 1) / _FULL)
        low = place.floor().clamp(0, LEVELS - 2)
        share = (place - low)[..., None]
        below = low.long()
        return self.samples[below] * (1 - share) + self.samples[below + 1] * share


def spread(lightness: torch.Tensor) -> torch.Tensor:
    """Return the standard deviation around each pixel of (N, 1, H, W); the borders are repeated."""
    padded = functional.pad(lightness / _HALF - 1, (SIDE // 2,) * 4, mode="replicate")
    mean = functional.avg_pool2d(padded, SIDE, 1)
    return _HALF * (functional.avg_pool2d(padded.square(), SIDE, 1) - mean.square()).clamp_min(0).sqrt()


def sampled(lightness: torch.Tensor, ab: torch.Tensor, count: int, *, seed: int) -> torch.Tensor:
    """Return samples of a picture on a jittered grid.

    Parameters
    ----------
    lightness : Tensor, (1, h, w)
    ab : Tensor, (2, h, w)
    count : int
        About so many: the grid has as many rows as columns.
    seed : int

    Returns
    -------
    Tensor, (n, 4)
        L*, spread, a*, b*, with n >= count.
    """
    side = math.ceil(math.sqrt(count))
    jitter = torch.rand(2, side, side, generator=torch.Generator().manual_seed(seed)).to(lightness.device)
    height, width = lightness.shape[-2:]
    steps = torch.arange(side, device=lightness.device)
    j = ((steps[:, None] + jitter[0]) * (height / side)).long().clamp(0, height - 1)
    i = ((steps + jitter[1]) * (width / side)).long().clamp(0, width - 1)
    planes = torch.cat([lightness, spread(lightness[None])[0], ab])
    return planes[:, j, i].flatten(1).T.contiguous()


def level_means(lightness: torch.Tensor, ab: torch.Tensor) -> torch.Tensor:
    """Return the mean a*, b* of each of 256 levels of lightness, smoothed over levels, (256, 2).

    Parameters
    ----------
    lightness : Tensor, (n,)
    ab : Tensor, (n, 2)
    """
    place = (lightness * ((LEVELS - 1) / _FULL)).round().long().clamp(0, LEVELS - 1)
    sums = torch.zeros(LEVELS, 3, dtype=torch.float64, device=lightness.device)
    sums.index_add_(0, place, torch.cat([ab, torch.ones_like(ab[:, :1])], dim=1).double())
    levels = torch.arange(LEVELS, device=lightness.device, dtype=torch.float64)
    kernel = (-0.5 * ((levels[:, None] - levels) / _SMOOTH).square()).exp()
    # a level that nobody has takes the nearest ones that somebody has, however far
    kernel = kernel + 1e-12 / (1 + (levels[:, None] - levels).square())
    smooth = kernel @ sums
    return (smooth[:, :2] / smooth[:, 2:].clamp_min(1e-30)).float()


def _cell(lightness: torch.Tensor, spread: torch.Tensor) -> torch.Tensor:
    rows = (lightness * ((STEPS[0] - 1) / _FULL)).round().long()
    columns = (spread * ((STEPS[1] - 1) / _HALF)).round().long().clamp(0, STEPS[1] - 1)
    return rows * STEPS[1] + columns


__all__ = ["FORMS", "LEVELS", "SIDE", "STEPS", "Welsh", "level_means", "sampled", "spread"]
