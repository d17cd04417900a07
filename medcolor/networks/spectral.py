"""Parts under spectral normalization, and how they fold away: for DeOldify's generators and critic, and for DDColor.

A spectrally normalized weight is divided by its largest singular value (Miyato et al. 2018); one step of the power
iteration in each training pass keeps the estimate up to date, and its two vectors are part of the state.
"""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm
from torch.nn.utils.parametrize import is_parametrized

from medcolor.networks import blocks
from medcolor.networks.blocks import Network, NormedConv


class ConvUnit(NormedConv):
    """Convolution, batch normalization, ReLU, each of the last two where asked for; spectral normalization likewise.

    The releases normalize after the ReLU; before it, batch normalization folds into the convolution. The parameters
    are the same.

    Parameters
    ----------
    before, after : int
        Channels.
    kernel, stride : int
        Of the convolution; the kernel is odd.
    spectral, normalized, active : bool
        Whether there is spectral normalization, batch normalization (then there is no bias), and a ReLU.
    """

    def __init__(
        self,
        before: int,
        after: int,
        kernel: int = 3,
        *,
        stride: int = 1,
        spectral: bool = True,
        normalized: bool = True,
        active: bool = True,
    ) -> None:
        super().__init__(before, after, kernel=kernel, stride=stride)
        self.active = active
        if not normalized:
            self.conv, self.norm = nn.Conv2d(before, after, kernel, stride, kernel // 2), nn.Identity()
            nn.init.zeros_(self.conv.bias)  # a shuffled bias would be a checkerboard
        nn.init.kaiming_normal_(self.conv.weight)
        if spectral:
            self.conv = spectral_norm(self.conv)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return features (N, after, H / stride, W / stride) of (N, before, H, W)."""
        out: torch.Tensor = self.norm(self.conv(x))
        return functional.relu(out, inplace=True) if self.active else out


class ShuffleUp(nn.Module):
    """Enlargement by rearranging channels, begun as nearest neighbours (ICNR) and blurred against checkerboards.

    Parameters
    ----------
    before, after : int
        Channels.
    scale : int
        How many times larger each side becomes.
    spectral, normalized : bool
        As in :class:`ConvUnit`.
    """

    def __init__(
        self, before: int, after: int, scale: int = 2, *, spectral: bool = True, normalized: bool = True
    ) -> None:
        super().__init__()
        self.scale = scale
        self.unit = ConvUnit(before, after * scale**2, 1, spectral=False, normalized=normalized)
        with torch.no_grad():
            weight = self.unit.conv.weight
            weight.copy_(nn.init.kaiming_normal_(torch.empty_like(weight[:after])).repeat_interleave(scale**2, 0))
        if spectral:
            self.unit.conv = spectral_norm(self.unit.conv)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return features (N, after, scale * H, scale * W) of (N, before, H, W)."""
        out = functional.pad(functional.pixel_shuffle(self.unit(x), self.scale), (1, 0, 1, 0), mode="replicate")
        return functional.avg_pool2d(out, 2, stride=1)


class SelfAttention(nn.Module):
    """Every place looks at every place; the outcome is added times a factor that begins at 0 (Zhang et al. 2019).

    Parameters
    ----------
    channels : int
        At least 8.
    side : int or None
        Most rows and columns of places that attend; larger maps are averaged down to it and the outcome enlarged, so
        memory stays bounded. None (published): every cell.
    """

    def __init__(self, channels: int, *, side: int | None = None) -> None:
        super().__init__()
        self.side = side
        self.query = spectral_norm(nn.Conv2d(channels, channels // 8, 1, bias=False))
        self.key = spectral_norm(nn.Conv2d(channels, channels // 8, 1, bias=False))
        self.value = spectral_norm(nn.Conv2d(channels, channels, 1, bias=False))
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return features of the shape of ``x``, (N, channels, H, W)."""
        size = (x.shape[2], x.shape[3])
        fewer = size if self.side is None else (min(size[0], self.side), min(size[1], self.side))
        places = x if fewer == size else functional.adaptive_avg_pool2d(x, fewer)
        query, key, value = (part(places).flatten(2) for part in (self.query, self.key, self.value))
        weights = torch.softmax(query.transpose(1, 2) @ key, dim=2)  # no division by a root, as published
        out = (value @ weights.transpose(1, 2)).unflatten(2, fewer)
        if fewer != size:
            out = functional.interpolate(out, size, mode="bilinear", align_corners=False)
        return x + self.gamma * out


def folded_copy(network: Network) -> Network:
    """Return a copy for use: spectral normalization as plain weights, batch normalization in the convolutions."""
    copy = deepcopy(network).eval()
    for module in list(copy.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.Conv2d) and is_parametrized(child, "weight"):
                setattr(module, name, _plain(child))
    return blocks.folded_copy(copy)


def _plain(conv: nn.Conv2d) -> nn.Conv2d:
    # Not torch's remove_parametrizations: it takes the attribute from the class, which the copy's original still needs.
    plain = nn.Conv2d(
        conv.in_channels,
        conv.out_channels,
        (conv.kernel_size[0], conv.kernel_size[1]),
        (conv.stride[0], conv.stride[1]),
        conv.padding,
        bias=conv.bias is not None,
    ).to(conv.weight)
    with torch.no_grad():
        plain.weight.copy_(conv.weight)
        if conv.bias is not None and plain.bias is not None:
            plain.bias.copy_(conv.bias)
    return plain.eval()


__all__ = ["ConvUnit", "SelfAttention", "ShuffleUp", "folded_copy"]
