"""Where a training runs and in what precision: chosen once, said aloud, never fallen back from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch

from medcolor.errors import TrainingError

Precision = Literal["auto", "float32", "bfloat16", "float16"]


@dataclass(frozen=True)
class Placement:
    """A device and a precision, and why.

    Parameters
    ----------
    device : torch.device
    precision : torch.dtype
        Of the autocast; float32 means none.
    reason : str
        For people: what was chosen and why.
    """

    device: torch.device
    precision: torch.dtype
    reason: str

    @property
    def mixed(self) -> bool:
        """Whether the network runs under autocast."""
        return self.precision != torch.float32

    @property
    def scaled(self) -> bool:
        """Whether gradients need scaling: float16 alone underflows."""
        return self.precision == torch.float16


def place(device: str = "auto", precision: Precision = "auto") -> Placement:
    """Choose device and precision.

    Parameters
    ----------
    device : str
        "auto" takes the first CUDA device where there is one, else the CPU; or "cpu", "cuda", "cuda:1".
    precision : str
        "auto" is bfloat16 where the GPU computes in it, float16 on older ones, float32 on the CPU.

    Raises
    ------
    TrainingError
        A device that is not there, or a precision it does not have.
    """
    there = torch.cuda.is_available()
    if device == "auto":
        chosen, why = (
            (torch.device("cuda:0"), "found by auto") if there else (torch.device("cpu"), "no CUDA device found")
        )
    else:
        chosen, why = _named(device, there), "as asked"
    kind = _precision(chosen, precision)
    name = torch.cuda.get_device_name(chosen) if chosen.type == "cuda" else "CPU"
    return Placement(chosen, kind, f"{name} ({why}), {str(kind).removeprefix('torch.')}")


def _named(device: str, cuda: bool) -> torch.device:
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        raise TrainingError(f'"{device}" is no device. Accepted: auto, cpu, cuda, cuda:N.') from error
    if chosen.type not in {"cpu", "cuda"}:
        raise TrainingError(f'"{device}" is no device that training supports. Accepted: auto, cpu, cuda, cuda:N.')
    count = torch.cuda.device_count() if cuda else 0
    if chosen.type == "cuda" and (chosen.index or 0) >= count:
        raise TrainingError(f"{device} was asked for and there are {count} CUDA devices. Use --device auto or cpu.")
    return torch.device("cuda", chosen.index or 0) if chosen.type == "cuda" else chosen


def _precision(device: torch.device, asked: Precision) -> torch.dtype:
    if asked == "auto":
        if device.type == "cpu":
            return torch.float32
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    if asked not in {"float32", "bfloat16", "float16"}:
        raise TrainingError(f'"{asked}" is no precision. Accepted: auto, float32, bfloat16, float16.')
    if device.type == "cpu" and asked == "float16":
        raise TrainingError("float16 needs a CUDA device; on the CPU use float32 or bfloat16.")
    kind: torch.dtype = getattr(torch, asked)
    return kind
