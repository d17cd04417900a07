"""Segmentation networks of MONAI, trained alike whatever they are shown: same steps, same batches, same augmentation.

Everything that is drawn at random follows from the seed, and not from the arm: two arms of one seed see the same
slices in the same order, moved and brightened alike. On one machine, with one number of threads, the same seed gives
the same bits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from medcolor.comparison.learned_augmentation import Moves, moved
from medcolor.errors import SettingError

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

_WHOLE = (1 << 63) - 1  # seeds that torch takes
_FEATURES = 16  # channels between a network's body and its head
_WITH_LABELS = 0.5  # share of a batch drawn from slices that have any label
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Fitting:
    """How every arm is trained.

    Parameters
    ----------
    steps, batch : int
    learning_rate, weight_decay : float
        Of AdamW, with a tenth of the steps to warm up and a cosine after.
    augment : bool
    """

    steps: int = 300
    batch: int = 8
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    augment: bool = True

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch < 1:
            raise SettingError(f"steps and batch are at least 1, got {self.steps} and {self.batch}.")


class Shown(NamedTuple):
    """What a network learns from.

    Attributes
    ----------
    images : Tensor, (variants, slices, channels, height, width)
        Half precision. Variants of a slice differ in what was done to its gray before it was coloured; one variant
        where nothing was.
    masks : Tensor of uint8, (slices, height, width)
    gray_channels : int
        How many channels, from the first on, are the lightness itself.
    chroma_dropout : float
        Share of samples whose other channels are 0.
    placed : bool
        The chroma belongs to the place: it stays where it is when the image is moved.
    """

    images: Tensor
    masks: Tensor
    gray_channels: int = 1
    chroma_dropout: float = 0.0
    placed: bool = False


def _unet(channels: int) -> nn.Module:
    from monai.networks.nets import UNet

    widths, strides = (16, 32, 64, 128, 128), (2, 2, 2, 2)
    return UNet(2, channels, _FEATURES, widths, strides, num_res_units=1, norm="BATCH")


def _dynunet(channels: int) -> nn.Module:
    from monai.networks.nets import DynUNet

    filters = [16, 32, 64, 128, 160]
    return DynUNet(
        2, channels, _FEATURES, [3] * 5, [1, 2, 2, 2, 2], [2, 2, 2, 2], filters=filters, norm_name="INSTANCE"
    )


NETWORKS: Mapping[str, Callable[[int], Any]] = MappingProxyType({"unet": _unet, "dynunet": _dynunet})
"""By name: MONAI's residual U-Net that works from half resolution on; and nnU-Net's network as MONAI has it."""


def build(network: str, channels: int, outputs: int) -> nn.Module:
    """Return a network: a body that can be carried over from another training, and a head of its own.

    Raises
    ------
    SettingError
        No network of that name.
    """
    from torch import nn

    if network not in NETWORKS:
        raise SettingError(f'"{network}" is no network here. There are: {", ".join(NETWORKS)}.')
    return nn.Sequential(NETWORKS[network](channels), nn.Conv2d(_FEATURES, outputs, 1))


def train(
    shown: Shown,
    classes: int,
    *,
    network: str = "unet",
    fitting: Fitting | None = None,
    seed: int = 0,
    device: str | torch.device = "cpu",
    body: Mapping[str, Tensor] | None = None,
) -> nn.Module:
    """Train a segmenter.

    Parameters
    ----------
    shown : Shown
    classes : int
        Labels, the background being one more.
    network : str
        One of NETWORKS.
    fitting : Fitting, optional
    seed : int
    device : str or torch.device
    body : Mapping of str to Tensor, optional
        Weights that the body begins with, of :func:`body_of`.

    Returns
    -------
    nn.Module
        In evaluation mode.

    Raises
    ------
    SettingError
        No such network, or weights of another one.
    """
    from monai.losses import DiceCELoss

    loss = DiceCELoss(include_background=False, softmax=True, to_onehot_y=True, batch=True)

    def measure(output: Tensor, _: Tensor, masks: Tensor) -> Tensor:
        return loss(output, masks[:, None])

    with seeded(seed):
        net = begun(network, shown.images.shape[2], classes + 1, seed)
        if body is not None:
            load_body(net, body)
        return fit(net, shown, measure, fitting or Fitting(), device)


def begun(network: str, channels: int, outputs: int, seed: int) -> nn.Module:
    """Return a network whose weights follow from the seed: those that do not touch the input are equal in all arms.

    Torch's generator is left in the same state whatever the channels, so batches are the same, too.
    """
    import torch

    torch.manual_seed(seed & _WHOLE)
    net = build(network, channels, outputs)
    torch.manual_seed(seed & _WHOLE)
    plain = build(network, 1, outputs).state_dict()
    own = net.state_dict()
    net.load_state_dict({name: plain[name] if plain[name].shape == w.shape else w for name, w in own.items()})
    return net


def fit(
    network: nn.Module,
    shown: Shown,
    measure: Callable[[Tensor, Tensor, Tensor], Tensor],
    fitting: Fitting,
    device: str | torch.device,
    prepare: Callable[[Tensor], tuple[Tensor, Tensor]] = lambda images: (images, images),
) -> nn.Module:
    """Train a network inside :func:`seeded`.

    Parameters
    ----------
    network : nn.Module
    shown : Shown
    measure : callable
        (output, wanted image, masks) to a loss.
    fitting : Fitting
    device : str or torch.device
    prepare : callable
        A batch to (what the network is shown, what is wanted).
    """
    import torch

    network = network.to(device).to(memory_format=torch.channels_last).train()
    images, masks = shown.images.to(device), shown.masks.to(device)
    optimizer = torch.optim.AdamW(network.parameters(), fitting.learning_rate, weight_decay=fitting.weight_decay)
    warm = max(fitting.steps // 10, 1)

    def pace(step: int) -> float:
        return min((step + 1) / warm, 0.5 * (1 + math.cos(math.pi * step / fitting.steps)))

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, pace)
    for rows, variants, moves in _draws(shown, fitting):
        picked = images[variants.to(device), rows.to(device)].float()
        batch, labels = moved(
            picked, masks[rows.to(device)], moves.to(device), shown.gray_channels, shown.placed, len(images) > 1
        )
        given, wanted = prepare(batch)
        output = network(given.contiguous(memory_format=torch.channels_last))
        value = measure(output, wanted, labels)
        optimizer.zero_grad(set_to_none=True)
        value.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 10.0)
        optimizer.step()
        schedule.step()
    return network.eval()


def _draws(shown: Shown, fitting: Fitting) -> Iterator[tuple[Tensor, Tensor, Moves]]:
    """Yield what each step draws: slices, their variants, and how they are moved; the same for every arm."""
    import torch

    labelled = torch.nonzero(shown.masks.flatten(1).any(dim=1))[:, 0]
    count = shown.masks.shape[0]
    for _ in range(fitting.steps):
        anywhere, among, sided, picked = (torch.rand(fitting.batch) for _ in range(4))
        rows = (anywhere * count).long()
        if len(labelled):
            rows = torch.where(sided < _WITH_LABELS, labelled[(among * len(labelled)).long()], rows)
        yield (
            rows,
            (picked * shown.images.shape[0]).long(),
            Moves.draw(fitting.batch, fitting.augment, shown.chroma_dropout),
        )


def predict(network: nn.Module, images: NDArray[np.float32], *, batch: int = 16) -> NDArray[np.uint8]:
    """Return the label of each pixel, (slices, height, width), for images (slices, channels, height, width)."""
    import torch

    device = next(network.parameters()).device
    out = np.empty((len(images), *images.shape[2:]), np.uint8)
    with torch.inference_mode():
        for start in range(0, len(images), batch):
            part = torch.from_numpy(np.array(images[start : start + batch])).to(device)  # a copy: it may be read-only
            part = part.contiguous(memory_format=torch.channels_last)
            out[start : start + batch] = network(part).argmax(dim=1).to(torch.uint8).cpu().numpy()
    return out


def body_of(network: nn.Module) -> dict[str, Tensor]:
    """Return the weights of a network but for its head, on the CPU."""
    return {name: value.detach().cpu().clone() for name, value in network[0].state_dict().items()}


def load_body(network: nn.Module, body: Mapping[str, Tensor]) -> None:
    """Give a network the body of another.

    Raises
    ------
    SettingError
        They do not fit.
    """
    try:
        network[0].load_state_dict(dict(body))
    except RuntimeError as error:
        raise SettingError("These weights are of another network, or of one that was shown other channels.") from error


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw everything from a seed, exactly, and leave the surroundings as they were."""
    import torch

    cudnn = torch.backends.cudnn
    before = cudnn.deterministic, cudnn.benchmark
    with torch.random.fork_rng():
        torch.manual_seed(seed & _WHOLE)
        cudnn.deterministic, cudnn.benchmark = True, False
        try:
            yield
        finally:
            cudnn.deterministic, cudnn.benchmark = before


__all__ = [
    "NETWORKS",
    "Fitting",
    "Shown",
    "begun",
    "body_of",
    "build",
    "fit",
    "load_body",
    "predict",
    "seeded",
    "train",
]
