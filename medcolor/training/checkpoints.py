"""What a training leaves on disk: tensors as safetensors, everything else as JSON in their header. Nothing is pickled.

``last.safetensors`` is all that going on needs (weights, their running mean, the optimizer, counters);
``best.safetensors`` the weights with the best validation, in float32; ``model.safetensors`` the same in half
precision, as a bundle carries it. Each file appears whole or not at all.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from medcolor.bundle_files import WEIGHTS
from medcolor.errors import TrainingError
from medcolor.io.atomic import atomic_files

LAST, BEST, EXPORT = "last.safetensors", "best.safetensors", WEIGHTS
_KEY = "medcolor"  # one key: the order of several is not fixed in the format, and equal trainings give equal bytes


@dataclass(frozen=True)
class State:
    """A checkpoint in memory: named tensors, and facts that JSON can hold."""

    tensors: dict[str, Tensor]
    facts: dict[str, Any]

    def part(self, prefix: str) -> dict[str, Tensor]:
        """Return the tensors under ``prefix.``, without it."""
        head = prefix + "."
        return {name.removeprefix(head): tensor for name, tensor in self.tensors.items() if name.startswith(head)}


def write_state(path: Path, tensors: dict[str, Tensor], facts: dict[str, Any]) -> str:
    """Write tensors and facts; replaces an older file in one step. Returns the SHA-256 of the file."""
    from safetensors.torch import save

    # clone: tied weights share memory, which the format refuses
    plain = {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in sorted(tensors.items())}
    content = save(plain, metadata={_KEY: json.dumps(facts, sort_keys=True)})
    with atomic_files([path], force=True) as files, files.open(path) as stream:
        stream.write(content)
    return hashlib.sha256(content).hexdigest()


def read_state(path: Path) -> State:
    """Read what :func:`write_state` wrote.

    Raises
    ------
    FileNotFoundError
    TrainingError
        The file is damaged, or is no checkpoint of ours.
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such checkpoint.")
    try:
        with safe_open(path, framework="pt") as file:
            facts = json.loads((file.metadata() or {}).get(_KEY, "null"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except (SafetensorError, json.JSONDecodeError, OSError) as error:
        raise TrainingError(f"{path}: this checkpoint is damaged ({type(error).__name__}). Train again.") from error
    if not isinstance(facts, dict):
        raise TrainingError(f"{path}: safetensors without medcolor's training facts; it is not a checkpoint.")
    return State(tensors, facts)


def with_prefix(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors under ``prefix.name``."""
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return an optimizer's state, parameter by parameter, as named tensors."""
    state = optimizer.state_dict()["state"]
    return {f"{n}.{key}": torch.as_tensor(value) for n, entry in state.items() for key, value in entry.items()}


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Put back what :func:`optimizer_tensors` took."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        number, _, key = name.partition(".")
        state.setdefault(int(number), {})[key] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def load_weights(network: nn.Module, path: Path) -> dict[str, Any]:
    """Load ``best.safetensors`` or ``model.safetensors`` into a network, and return the facts of its training.

    Raises
    ------
    FileNotFoundError, TrainingError
        No such file, or not the weights of this network.
    """
    state = read_state(path)
    weights = {name: t.float() if t.is_floating_point() else t for name, t in state.tensors.items()}
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise TrainingError(f"{path}: not the weights of this {type(network).__name__}: {error}") from error
    return state.facts
