"""What a network may learn before it sees labels: a colorizer's colours, or the gray that was hidden from it.

The honest competitors of colour as an input: the same network, the same unlabelled training patients, the gray alone
as what it is shown. Only the head is new when it learns to segment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from medcolor.comparison.learned import Fitting, Shown, begun, body_of, fit, seeded
from medcolor.errors import SettingError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

KINDS = ("colorizer", "selfsupervised")
_HIDDEN, _PATCH = 0.6, 8  # share of the patches hidden, and their side in pixels


def pretrain(
    kind: str,
    images: Tensor,
    *,
    network: str,
    fitting: Fitting,
    seed: int,
    device: str | torch.device = "cpu",
) -> dict[str, Tensor]:
    """Return the body of a network that learned without labels.

    Parameters
    ----------
    kind : str
        "colorizer": to give the chroma of each pixel from the gray. "selfsupervised": to give the gray where it was
        hidden.
    images : Tensor, (slices, channels, height, width)
        Lightness, then for "colorizer" the two planes of chroma.
    network : str
    fitting : Fitting
    seed : int
    device : str or torch.device

    Raises
    ------
    SettingError
        No such kind, or no such network.
    """
    import torch

    if kind not in KINDS:
        raise SettingError(f'"{kind}" is no pretraining. There are: {", ".join(KINDS)}.')
    colors = kind == "colorizer"
    blank = torch.zeros(len(images), *images.shape[2:], dtype=torch.uint8)
    shown = Shown(images[None], blank)
    with seeded(seed ^ 0x5EED):
        net = begun(network, 1, 2 if colors else 1, seed)
        measure, prepare = (_chroma_error, _chroma) if colors else (_hidden_error, _hide)
        return body_of(fit(net, shown, measure, fitting, device, prepare))


def _chroma(batch: Tensor) -> tuple[Tensor, Tensor]:
    return batch[:, :1], batch[:, 1:3]


def _chroma_error(output: Tensor, wanted: Tensor, _: Tensor) -> Tensor:
    from torch.nn import functional

    return functional.huber_loss(output, wanted, delta=0.1)


def _hide(batch: Tensor) -> tuple[Tensor, Tensor]:
    """Hide patches of the gray; what is wanted is the gray, and where it was hidden."""
    import torch

    high, wide = batch.shape[2] // _PATCH, batch.shape[3] // _PATCH
    hidden = (torch.rand(len(batch), 1, high, wide) < _HIDDEN).to(batch.device)
    hidden = hidden.repeat_interleave(_PATCH, 2).repeat_interleave(_PATCH, 3)
    gray = batch[:, :1]
    return torch.where(hidden, gray.mean(dim=(2, 3), keepdim=True), gray), torch.cat([gray, hidden], dim=1)


def _hidden_error(output: Tensor, wanted: Tensor, _: Tensor) -> Tensor:
    gray, hidden = wanted[:, :1], wanted[:, 1:]
    return ((output - gray).square() * hidden).sum() / hidden.sum().clamp(min=1)


__all__ = ["KINDS", "pretrain"]
