"""What scanners, screenshots and hurried exports do to an image, each at a level from 0 (nothing) up, by seed.

A network is trained on degraded input against the clean target: that is what makes it better than its teacher. The
same degradations at fixed levels are the evaluation table. Every one is a MONAI transform (a sample or a tensor in,
the same out) whose level is drawn from a range, and a function of image, level and chance (:meth:`apply`).

Images are (C, H, W) in scan units; channels are slices of one scan: what belongs to the scan (coil shading, gamma,
window) is the same for all channels, noise is not. Sizes are relative to the *window*, the two values shown as black
and as white. Targets move only with degradations that move the image (:mod:`medcolor.training.views`).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
import torch
from monai.transforms import RandomizableTransform
from numpy.typing import NDArray
from torch import Tensor

from medcolor.scan import GRAY_LEVEL
from medcolor.windowing import bent

Chance = np.random.RandomState
Bounds = tuple[float, float]
Image = NDArray[np.float32]
IMAGES = ("image", "neighbour")
"""Keys of a sample that hold one slice each, (1, H, W); they are degraded together."""
REFERENCE = "reference"
"""Key of the values that stand for the volume, (h, w) in no order: what the network's input is normalized by."""


class Degradation(RandomizableTransform):
    """Base: draws a level, applies it to the slices of a sample together.

    Parameters
    ----------
    level : float or (float, float), optional
        Fixed, or the range to draw from evenly; the training range of the class when left out.
    prob : float
        Chance that it happens at all.
    window : (float, float), optional
        For bare tensors, and samples without "window": the values shown as black and white. Their smallest and
        largest value when left out.
    """

    training: ClassVar[Bounds] = (0.0, 1.0)
    pointwise: ClassVar[bool] = False
    """Whether it changes values whatever is beside them: then the values that stand for the volume change alike."""

    def __init__(self, level: float | Bounds | None = None, *, prob: float = 1.0, window: Bounds | None = None) -> None:
        super().__init__(prob)
        low, high = (
            self.training if level is None else (level, level) if isinstance(level, int | float) else tuple(level)
        )
        if not (math.isfinite(low) and math.isfinite(high) and low <= high):
            raise ValueError(f"{type(self).__name__} needs a level, or a range (low, high), got {level}.")
        self.levels, self.window = (float(low), float(high)), window

    def apply(self, image: Tensor, level: float, *, window: Bounds, chance: Chance) -> Tensor:
        """Degrade (C, H, W) float32; level 0 changes nothing. The input is never written to."""
        if level == 0:
            return image.clone()
        values = image.numpy().astype(np.float32)  # a copy
        return torch.from_numpy(np.ascontiguousarray(self._degraded(values, level, window, chance), dtype=np.float32))

    def _degraded(self, x: Image, level: float, window: Bounds, chance: Chance) -> Image:
        raise NotImplementedError

    def __call__(self, data: Any) -> Any:
        """Degrade a sample (mapping) or a tensor (C, H, W); returns a new one."""
        self.randomize(None)
        level = float(self.R.uniform(*self.levels))
        chance = Chance(self.R.randint(0, 2**31))
        if not isinstance(data, Mapping):
            if not self._do_transform:
                return data
            return self.apply(torch.as_tensor(data), level, window=self.window_of(data), chance=chance)
        return self.on_sample(data, level, chance) if self._do_transform else dict(data)

    def on_sample(self, sample: Mapping[str, Any], level: float, chance: Chance) -> dict[str, Any]:
        """Degrade the slices of a sample at one level; everything else is handed on as it is."""
        out = dict(sample)
        keys = [key for key in IMAGES if out.get(key) is not None]
        stack = torch.cat([torch.as_tensor(out[key]) for key in keys])
        if self.pointwise and out.get(REFERENCE) is not None:  # with the same chance, so by the same gamma, window ...
            same, values = copy.deepcopy(chance), torch.as_tensor(out[REFERENCE])[None]
            out[REFERENCE] = self.apply(values, level, window=self.window_of(out), chance=same)[0]
        done = self.apply(stack, level, window=self.window_of(out), chance=chance)
        out.update(zip(keys, done[:, None], strict=True))
        return out

    def window_of(self, data: Any) -> Bounds:
        """Return the window of a sample, else the one given, else the range of the values."""
        values: Any
        if isinstance(data, Mapping):
            if "window" in data:
                low, high = (float(v) for v in data["window"])
                return low, high
            values = data["image"]
        else:
            values = data
        if self.window is not None:
            return self.window
        low, high = float(values.min()), float(values.max())
        return low, high if high > low else low + 1.0


class GaussianNoise(Degradation):
    """White noise; the level is its standard deviation as a share of the window."""

    training = (0.0, 0.12)
    pointwise = True

    def _degraded(self, x: Image, level: float, window: Bounds, chance: Chance) -> Image:
        return x + np.float32(level * (window[1] - window[0])) * _normal(x.shape, chance)


class RicianNoise(Degradation):
    """Magnitude of a complex signal with white noise in both parts, as MR gives it (Gudbjartsson and Patz 1995)."""

    training = (0.0, 0.12)
    pointwise = True

    def _degraded(self, x: Image, level: float, window: Bounds, chance: Chance) -> Image:
        sigma = np.float32(level * (window[1] - window[0]))
        return np.hypot(x + sigma * _normal(x.shape, chance), sigma * _normal(x.shape, chance))


class PoissonNoise(Degradation):
    """Counting noise: variance grows with the signal; where there is any, its mean is that of GaussianNoise."""

    training = (0.0, 0.12)
    pointwise = True

    def _degraded(self, x: Image, level: float, window: Bounds, chance: Chance) -> Image:
        signal = np.maximum(x, 0).astype(np.float64)
        there = signal[signal > 0.02 * (window[1] - window[0])]
        if there.size == 0:
            return x
        per_unit = float(there.mean()) / (level * (window[1] - window[0])) ** 2
        return (chance.poisson(np.minimum(signal * per_unit, 1e15)) / per_unit).astype(np.float32)


class Speckle(Degradation):
    """Multiplicative noise of mean 1 (gamma distributed); the level is its standard deviation."""

    training = (0.0, 0.6)
    pointwise = True

    def _degraded(self, x: Image, level: float, window: Bounds, chance: Chance) -> Image:
        looks = 1 / level**2
        return x * chance.gamma(looks, 1 / looks, x.shape).astype(np.float32)


class Gamma(Degradation):
    """Power of the gray inside the window, nothing beyond it; the level is the logarithm of the exponent."""

    training = (-math.log(2.2), math.log(2.2))
    pointwise = True

    def _degraded(self, x: Image, level: float, window: Bounds, chance: Chance) -> Image:
        return bent(x, window, level)


class ToneCurve(Degradation):
    """Any rising curve of the gray inside the window, as another sequence or another maker has it.

    The level is the spread of the logarithms of the slopes of its four pieces. Beyond the window values move along.
    """

    training = (0.0, 0.9)
    pointwise = True

    def _degraded(self, x: Image, level: float, window: Bounds, chance: Chance) -> Image:
        low, width = window[0], window[1] - window[0]
        rises = np.exp(level * chance.standard_normal(4))
        heights = np.concatenate([[0.0], np.cumsum(rises) / rises.sum()])
        gray = (x - np.float32(low)) / np.float32(width)
        bent = np.interp(gray, np.linspace(0, 1, 5), heights).astype(np.float32)
        return np.float32(low) + np.float32(width) * (bent + gray - np.clip(gray, 0, 1))


class Blur(Degradation):
    """Gaussian blur in the plane; the level is sigma in pixels."""

    training = (0.0, 2.5)

    def _degraded(self, x: Image, level: float, window: Bounds, chance: Chance) -> Image:
        from scipy.ndimage import gaussian_filter

        blurred: Image = gaussian_filter(x, (0, level, level), mode="nearest")
        return blurred


class BiasField(Degradation):
    """Smooth shading, as of coils or attenuation: a factor from 1 - level to 1 + level (one of the two is reached)."""

    training = (0.0, 0.6)
    pointwise = True

    def _degraded(self, x: Image, level: float, window: Bounds, chance: Chance) -> Image:
        j, i = (np.linspace(-1, 1, n)[:, None] if a == 0 else np.linspace(-1, 1, n) for a, n in enumerate(x.shape[1:]))
        field = np.zeros(x.shape[1:])
        for a in range(4):
            for b in range(4 - a):
                if a + b:
                    field += chance.normal() / (a + b) * np.cos(a * np.arccos(j)) * np.cos(b * np.arccos(i))
        field /= max(float(np.abs(field).max()), 1e-12)
        return x * (1 + level * field).astype(np.float32)


class Resolution(Degradation):
    """Acquired coarser and interpolated; the level is the logarithm to base 2 of the factor."""

    training = (0.0, 1.6)

    def apply(self, image: Tensor, level: float, *, window: Bounds, chance: Chance) -> Tensor:
        """Average over larger pixels, and interpolate back to the old grid."""
        size = image.shape[-2:]
        coarse = [max(1, round(n / 2**level)) for n in size]
        if level == 0 or coarse == list(size):
            return image.clone()
        small = torch.nn.functional.interpolate(image[None].float(), coarse, mode="area")
        back: Tensor = torch.nn.functional.interpolate(small, size, mode="bilinear", align_corners=False)[0]
        return back


class Motion(Degradation):
    """Ghosts of a patient who moved while lines of k-space were taken; the level is the movement in pixels."""

    training = (0.0, 2.5)

    def _degraded(self, x: Image, level: float, window: Bounds, chance: Chance) -> Image:
        lines = x.shape[1]
        cycles, phase = chance.uniform(1.5, 7.0), chance.uniform(0, 2 * math.pi)
        way = level * np.sin(2 * math.pi * cycles * np.arange(lines) / lines + phase)
        shift = np.exp(-2j * math.pi * np.fft.fftfreq(lines) * np.fft.ifftshift(way))
        moved = np.fft.ifft(np.fft.fft(x, axis=1) * shift[None, :, None], axis=1)
        return (np.abs(moved) if x.min() >= 0 else moved.real).astype(np.float32)


class MetalStreaks(Degradation):
    """Bright and dark rays from one or two points in the bright part of the image; the level is in windows."""

    training = (0.0, 1.0)

    def _degraded(self, x: Image, level: float, window: Bounds, chance: Chance) -> Image:
        _, nj, ni = x.shape
        places = np.flatnonzero(x[0] > window[0] + 0.3 * (window[1] - window[0]))
        j, i = np.arange(nj)[:, None], np.arange(ni)[None]
        streaks = np.zeros((nj, ni))
        for _ in range(chance.randint(1, 3)):
            at = int(places[chance.randint(len(places))]) if len(places) else nj * ni // 2
            dj, di = j - at // ni, i - at % ni
            angle, far = np.arctan2(dj, di), np.hypot(dj, di)
            rays = sum(
                chance.choice([-1.0, 1.0]) * np.exp(-((np.sin(angle - chance.uniform(0, math.pi)) / 0.04) ** 2))
                for _ in range(chance.randint(4, 10))
            )
            streaks += rays * np.exp(-far / (0.35 * max(nj, ni))) * np.clip(far / 4, 0, 1)
        return x + np.float32(level * (window[1] - window[0])) * streaks.astype(np.float32)


class LostUnits(Degradation):
    """Saved as an 8-bit picture: whole gray levels 0..255, values and scale gone.

    The level is how far the window that was saved may be from the sample's own, as a share of its width: a training
    network meets many windows. A level below 0 does nothing; 0 saves with the sample's window.
    """

    training = (0.0, 0.5)
    pointwise = True

    def apply(self, image: Tensor, level: float, *, window: Bounds, chance: Chance) -> Tensor:
        """Return gray levels 0..255 as float32."""
        if level < 0:
            return image.clone()
        low, high = window
        width = (high - low) * math.exp(level * chance.uniform(-1, 1))
        middle = (low + high) / 2 + level * (high - low) * chance.uniform(-0.5, 0.5)
        gray = torch.clamp((image.float() - (middle - width / 2)) / width, 0, 1)
        return torch.round(255 * torch.nan_to_num(gray))

    def on_sample(self, sample: Mapping[str, Any], level: float, chance: Chance) -> dict[str, Any]:
        """Also say what the numbers are now."""
        out = super().on_sample(sample, level, chance)
        if level >= 0:
            out["units"], out["window"] = GRAY_LEVEL, torch.tensor([0.0, 255.0])
        return out


NOISE: Mapping[str, type[Degradation]] = MappingProxyType(
    {
        "CT": GaussianNoise, "MR": RicianNoise, "PT": PoissonNoise, "NM": PoissonNoise, "US": Speckle,
        "XR": GaussianNoise, "MG": GaussianNoise,
    }
)  # fmt: skip
"""The noise each modality has."""


def _normal(shape: tuple[int, ...], chance: Chance) -> Image:
    return chance.standard_normal(shape).astype(np.float32)
