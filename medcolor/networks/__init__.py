"""Networks: tensors in, tensors out; no paths, no devices, one file each.

Import them from their own modules or from here; nothing is loaded before it is asked for.
"""

from __future__ import annotations

from importlib import import_module
from types import MappingProxyType
from typing import Any

_HOMES = MappingProxyType(
    {
        "AbBins": "medcolor.networks.ab_bins",
        "ChromaOutput": "medcolor.networks.chroma",
        "DDColor": "medcolor.networks.ddcolor",
        "DeOldify": "medcolor.networks.deoldify",
        "DeOldifyCritic": "medcolor.networks.deoldify_critic",
        "ECCV16": "medcolor.networks.eccv16",
        "Nazeri": "medcolor.networks.nazeri",
        "Normalization": "medcolor.networks.normalization",
        "PatchDiscriminator": "medcolor.networks.patch_discriminator",
        "ReHistoGAN": "medcolor.networks.rehistogan",
        "SIGGRAPH17": "medcolor.networks.siggraph17",
        "TissueOutput": "medcolor.networks.tissue_unet",
        "TissueUNet": "medcolor.networks.tissue_unet",
        "VARIANTS": "medcolor.networks.tissue_unet",
        "Zhang2016": "medcolor.networks.zhang2016",
        "Zhang2017": "medcolor.networks.zhang2017",
    }
)


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "ECCV16",
    "SIGGRAPH17",
    "VARIANTS",
    "AbBins",
    "ChromaOutput",
    "DDColor",
    "DeOldify",
    "DeOldifyCritic",
    "Nazeri",
    "Normalization",
    "PatchDiscriminator",
    "ReHistoGAN",
    "TissueOutput",
    "TissueUNet",
    "Zhang2016",
    "Zhang2017",
]
