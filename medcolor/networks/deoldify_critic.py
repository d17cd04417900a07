"""DeOldify's critic (Antic 2018 to 2024), from its published description: which patches of a picture are real."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from medcolor.networks.spectral import SelfAttention

_SLOPE = 0.2


class DeOldifyCritic(nn.Module):
    """A colour picture in, a map of logits out, one for each patch: positive for real.

    Parameters
    ----------
    in_channels : int
        Of the picture: RGB, or gray and (a, b), about -1..1.
    width : int
        Channels of the first convolution; each block doubles them. 256 is published.
    blocks : int
        Of a 3 x 3 convolution, dropout and a 4 x 4 convolution of stride 2; the first attends to itself.
    dropout : float
        Share of channels that a block drops in training; half of it after the first convolution.
    side : int or None
        As in :class:`~medcolor.networks.spectral.SelfAttention`.
    """

    def __init__(
        self,
        in_channels: int = 3,
        *,
        width: int = 16,
        blocks: int = 3,
        dropout: float = 0.15,
        side: int | None = 32,
    ) -> None:
        super().__init__()
        self.least = 4 << (blocks + 1)
        """Pixels a side that a picture needs."""
        layers = [*_unit(in_channels, width, 4, 2), nn.Dropout2d(dropout / 2)]
        for n in range(blocks):
            layers += [*_unit(width, width, 3, 1), nn.Dropout2d(dropout), *_unit(width, 2 * width, 4, 2)]
            width *= 2
            if n == 0:
                layers.append(SelfAttention(width, side=side))
        layers += [*_unit(width, width, 3, 1), spectral_norm(nn.Conv2d(width, 1, 4, bias=False))]
        self.layers = nn.Sequential(*layers)

    @classmethod
    def published(cls) -> DeOldifyCritic:
        """Return the published width."""
        return cls(width=256, side=None)

    def forward(self, picture: torch.Tensor) -> torch.Tensor:
        """Return logits (N, 1, h, w) of pictures (N, in_channels, H, W).

        Raises
        ------
        ValueError
            A side is shorter than :attr:`least`.
        """
        if min(picture.shape[-2:]) < self.least:
            raise ValueError(f"DeOldifyCritic takes pictures of at least {self.least} pixels a side.")
        out: torch.Tensor = self.layers(picture)
        return out


def _unit(before: int, after: int, side: int, stride: int) -> list[nn.Module]:
    conv = spectral_norm(nn.Conv2d(before, after, side, stride, 1))
    return [conv, nn.LeakyReLU(_SLOPE, inplace=True)]


__all__ = ["DeOldifyCritic"]
