"""Where a network is computed: what was asked for, never something else in its place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medcolor.errors import SettingError

if TYPE_CHECKING:
    import torch


def find_device(wanted: str) -> torch.device:
    """Return the device of a name; "auto" is the GPU where there is one.

    Raises
    ------
    SettingError
        This computer does not have it.
    """
    import torch

    there = ["cpu"] + (["cuda"] if torch.cuda.is_available() else [])
    if wanted == "auto":
        return torch.device(there[-1])
    if wanted.partition(":")[0] not in there:
        raise SettingError(f'Device "{wanted}" is not there. This computer has: {", ".join(there)}; or "auto".')
    return torch.device(wanted)


__all__ = ["find_device"]
