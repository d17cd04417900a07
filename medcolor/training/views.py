"""Degradations that move the image: the target, the neighbour and what is marked move alike."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from medcolor.training.degradations import IMAGES, Bounds, Chance, Degradation
from medcolor.training.drawing import NEIGHBOUR_PHYSICS, PHYSICS

POSTERIORS = ("target", PHYSICS, NEIGHBOUR_PHYSICS)
"""What says a class for each pixel, (K, H, W)."""
MOVED = (*IMAGES, *POSTERIORS, "still")


class _Moving(Degradation):
    """Base of what is one affine map of the plane."""

    def theta(self, level: float, chance: Chance, size: tuple[int, int]) -> Tensor:
        """Return where each output pixel looks, (2, 3) in -1..1 of the input."""
        raise NotImplementedError

    def apply(self, image: Tensor, level: float, *, window: Bounds, chance: Chance) -> Tensor:
        """Move (C, H, W); what comes in from beyond has the smallest value."""
        if level == 0:
            return image.clone()
        return _moved(image, self.theta(level, chance, _size(image)), float(image.min()))

    def on_sample(self, sample: Mapping[str, Any], level: float, chance: Chance) -> dict[str, Any]:
        """Move everything that has a place. Beyond the image is class 0: outside."""
        if level == 0:
            return dict(sample)
        out = dict(sample)
        theta = self.theta(level, chance, _size(torch.as_tensor(out["image"])))
        for key in MOVED:
            if out.get(key) is not None:
                out[key] = _moved_part(key, torch.as_tensor(out[key]), theta, inverted=bool(out.get("inverted", 0)))
        return out


class Rotation(_Moving):
    """Rotation about the middle; the level is in degrees, its sign the sense."""

    training = (-15.0, 15.0)

    def theta(self, level: float, chance: Chance, size: tuple[int, int]) -> Tensor:
        """Return the rotation; angles are true, whatever the shape of the image."""
        c, s = math.cos(math.radians(level)), math.sin(math.radians(level))
        h, w = size
        return torch.tensor([[c, -s * h / w, 0.0], [s * w / h, c, 0.0]])


class FieldOfView(_Moving):
    """A smaller field of view, stretched to the same size; the level is the share of each side that is lost."""

    training = (0.0, 0.55)

    def theta(self, level: float, chance: Chance, size: tuple[int, int]) -> Tensor:
        """Return the zoom, somewhere inside the old field."""
        level = min(max(level, 0.0), 0.95)
        x, y = (level * chance.uniform(-1, 1) for _ in range(2))
        return torch.tensor([[1 - level, 0.0, x], [0.0, 1 - level, y]])


class CropOrPad(Degradation):
    """Bring samples to one size: a window of the image at a random place, padded where the image is smaller.

    Parameters
    ----------
    size : (int, int)
        H, W.
    centered : bool
        Take the middle instead of a random place.
    pad : bool
        False: a side that is smaller already stays as it is.
    """

    def __init__(self, size: tuple[int, int], *, centered: bool = False, pad: bool = True) -> None:
        super().__init__(1.0)
        self.size, self.centered, self.pad = (int(size[0]), int(size[1])), centered, pad

    def apply(self, image: Tensor, level: float, *, window: Bounds, chance: Chance) -> Tensor:
        """Cut (C, H, W); padding has the smallest value."""
        wanted = self._wanted(_size(image))
        return _cut(image, self._corner(_size(image), wanted, chance), wanted, float(image.min()))

    def on_sample(self, sample: Mapping[str, Any], level: float, chance: Chance) -> dict[str, Any]:
        """Cut everything that has a place. Padding is class 0: outside."""
        out = dict(sample)
        size = _size(torch.as_tensor(out["image"]))
        wanted = self._wanted(size)
        if wanted == size:
            return out
        corner = self._corner(size, wanted, chance)
        for key in MOVED:
            if out.get(key) is None:
                continue
            whole = torch.as_tensor(out[key])
            out[key] = _cut(whole, corner, wanted, float(whole.min()) if key in IMAGES else 0.0)
            if key in POSTERIORS:
                groups = out[key].unflatten(0, (-1, len(sample["target"])))  # of a slice, and of those beside it
                groups[:, 0] += 1 - groups.sum(1).round()  # only padding sums to 0
        return out

    def _wanted(self, size: tuple[int, int]) -> tuple[int, int]:
        return self.size if self.pad else (min(self.size[0], size[0]), min(self.size[1], size[1]))

    def _corner(self, size: tuple[int, int], wanted: tuple[int, int], chance: Chance) -> tuple[int, int]:
        spare = [have - want for have, want in zip(size, wanted, strict=True)]
        if self.centered:
            return spare[0] // 2, spare[1] // 2
        j, i = (chance.randint(0, s + 1) if s > 0 else -chance.randint(0, 1 - s) for s in spare)
        return int(j), int(i)


def _cut(whole: Tensor, corner: tuple[int, int], size: tuple[int, int], fill: float) -> Tensor:
    (h, w), (j, i) = size, corner
    out = whole.new_full((*whole.shape[:-2], h, w), fill)
    top, left = max(j, 0), max(i, 0)
    part = whole[..., top : max(j + h, 0), left : max(i + w, 0)]
    out[..., top - j : top - j + part.shape[-2], left - i : left - i + part.shape[-1]] = part
    return out


def _size(image: Tensor) -> tuple[int, int]:
    return int(image.shape[-2]), int(image.shape[-1])


def _moved_part(key: str, whole: Tensor, theta: Tensor, *, inverted: bool) -> Tensor:
    if key in IMAGES:
        return _moved(whole, theta, float(whole.max() if inverted else whole.min()))  # beyond the image is dark
    if key == "still":
        return (_moved(whole[None], theta, 0.0)[0] > 0.99).to(whole.dtype)
    outside = torch.zeros(len(whole), 1, 1)
    outside[0] = 1
    # Between two pixels the gray is a mixture and the tissue is not: an interpolated posterior would teach soft edges.
    return _moved(whole - outside, theta, 0.0, mode="nearest") + outside


def _moved(image: Tensor, theta: Tensor, fill: float, *, mode: str = "bilinear") -> Tensor:
    grid = torch.nn.functional.affine_grid(theta[None].float(), [1, 1, *image.shape[-2:]], align_corners=False)
    moved: Tensor = torch.nn.functional.grid_sample(
        (image[None] - fill).float(), grid, mode=mode, padding_mode="zeros", align_corners=False
    )[0]
    return moved + fill
