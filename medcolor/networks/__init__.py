"""Networks: tensors in, tensors out; no paths, no devices, one file each.

Import them from their own modules or from here; nothing is loaded before it is asked for.
"""

from __future__ import annotations

from importlib import import_module
from types import MappingProxyType
from typing import Any

_HOMES = MappingProxyType(
    {
        "DDColor": "medcolor.networks.ddcolor",
        "DeOldify": "medcolor.networks.deoldify",
        "DeOldifyCritic": "medcolor.networks.deoldify_critic",
        "ECCV16": "medcolor.networks.eccv16",
        "Normalization": "medcolor.networks.normalization",
        "ReHistoGAN": "medcolor.networks.rehistogan",
        "TissueOutput": "medcolor.networks.tissue_unet",
        "TissueUNet": "medcolor.networks.tissue_unet",
        "VARIANTS": "medcolor.networks.tissue_unet",
    }
)


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "ECCV16",
    "VARIANTS",
    "DDColor",
    "DeOldify",
    "DeOldifyCritic",
    "Normalization",
    "ReHistoGAN",
    "TissueOutput",
    "TissueUNet",
]
