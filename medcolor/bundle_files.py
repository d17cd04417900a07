"""The files of a trained colorizer: what must be there, what the metadata must say, and writing them.

A bundle is one folder: ``metadata.json`` (MONAI's keys, and ours under ``medcolor``), ``inference.yaml`` (how it is put
together) and ``model.safetensors`` (numbers only: a format that cannot hold code). Nothing here imports torch before
weights are touched, so listing bundles is quick.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version as installed_version
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from medcolor.errors import BundleError
from medcolor.palettes import load_palette
from medcolor.scan import MODALITIES

if TYPE_CHECKING:
    from torch import nn

    from medcolor.networks.normalization import Normalization

METADATA, CONFIG, WEIGHTS = "metadata.json", "inference.yaml", "model.safetensors"
FILES = (METADATA, CONFIG, WEIGHTS)
_SCHEMA = "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/meta_schema_20240725.json"
_INTENDED_USE = "An aid to the eye: designed colours, not measured ones. Not a medical device, not for diagnosis."


@dataclass(frozen=True, slots=True)
class BundleCard:
    """What a bundle says of itself.

    Attributes
    ----------
    name : str
        The folder's.
    folder : Path
    family : str
        Modality family it was trained for.
    classes : tuple of str
        Tissue classes in palette order.
    weights_sha256 : str
        Of ``model.safetensors``, hex.
    description, version : str
    metadata : Mapping
        The whole of ``metadata.json``.
    """

    name: str
    folder: Path
    family: str
    classes: tuple[str, ...]
    weights_sha256: str
    description: str
    version: str
    metadata: Mapping[str, Any]


def is_complete(folder: Path) -> bool:
    """Whether a folder has every file of a bundle."""
    return all((folder / name).is_file() for name in FILES)


def read_card(folder: Path) -> BundleCard:
    """Read and check ``metadata.json``.

    Raises
    ------
    BundleError
        A file is missing, the metadata is not JSON or lacks a key, or its classes are not the palette's.
    """
    for name in FILES:
        if not (folder / name).is_file():
            raise BundleError(f"{folder / name} is missing; a bundle has {', '.join(FILES)}. Get the whole folder.")
    path = folder / METADATA
    try:
        metadata = json.loads(path.read_text(encoding="utf-8"))
        ours = metadata["medcolor"]
        family, classes, digest = str(ours["family"]), tuple(ours["classes"]), str(ours["weights_sha256"])
        description, version = str(metadata["description"]), str(metadata["version"])
    except (ValueError, TypeError, KeyError) as error:
        raise BundleError(
            f'{path}: expected JSON with "description", "version" and "medcolor": '
            f'{{"family", "classes", "weights_sha256"}}; {type(error).__name__}: {error}.'
        ) from error
    if family not in MODALITIES:
        raise BundleError(f'{path}: family "{family}" is none of {", ".join(MODALITIES)}.')
    if classes != (expected := load_palette(family).names):
        raise BundleError(
            f"{path}: classes are {', '.join(map(str, classes))}; the palettes of {family} have {', '.join(expected)}. "
            "The bundle was made for another version of medcolor."
        )
    return BundleCard(
        folder.resolve().name, folder, family, classes, digest, description, version, MappingProxyType(metadata)
    )


def read_weights(card: BundleCard) -> dict[str, Any]:
    """Return the tensors of ``model.safetensors``, once its hash is the one in the metadata.

    Raises
    ------
    BundleError
        Another hash, or not a safetensors file (a renamed pickle is never opened as one).
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    path = card.folder / WEIGHTS
    content = path.read_bytes()
    if (digest := hashlib.sha256(content).hexdigest()) != card.weights_sha256:
        raise BundleError(
            f"{path}: sha256 is {digest}, the metadata says {card.weights_sha256}. The file is damaged or was "
            "replaced; get the bundle again."
        )
    try:
        tensors: dict[str, Any] = load(content)
    except SafetensorError as error:
        raise BundleError(f"{path} is no safetensors file ({error}). Other weight formats are not opened.") from error
    return tensors


def write_bundle(
    folder: Path,
    network: nn.Module,
    *,
    family: str,
    network_config: Mapping[str, Any],
    normalization: Normalization,
    description: str,
    version: str = "0.1.0",
    facts: Mapping[str, Any] | None = None,
) -> BundleCard:
    """Write a bundle that ``load_bundle`` and ``python -m monai.bundle run`` read.

    Parameters
    ----------
    folder : Path
        Made if need be; its name is the bundle's. Files of the three names are replaced.
    network : nn.Module
        Trained, not folded. Convolution weights are stored in half precision, vectors in single.
    family : str
        Modality family; its palette gives the classes.
    network_config : Mapping
        ``_target_`` and keyword arguments that build ``network`` again.
    normalization : Normalization
        As used in training, not fitted to a scan.
    description : str
        One sentence.
    version : str
    facts : Mapping, optional
        Further entries of the metadata: ``authors``, ``copyright``, ``data_source``, ``eval_metrics`` ...

    Returns
    -------
    BundleCard
    """
    import torch
    from safetensors.torch import save

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    state = {
        key: (value.half() if value.ndim > 1 else value).detach().cpu().contiguous()
        for key, value in network.state_dict().items()
    }
    weights = save(state)
    classes = list(load_palette(family).names)
    packages = {"monai": installed_version("monai"), "torch": torch.__version__, "numpy": installed_version("numpy")}
    ours = {
        "family": family,
        "classes": classes,
        "weights_sha256": hashlib.sha256(weights).hexdigest(),
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
    }
    metadata = {
        "schema": _SCHEMA,
        "version": version,
        "changelog": {version: "first version"},
        "monai_version": packages["monai"],
        "pytorch_version": packages["torch"].partition("+")[0],
        "numpy_version": packages["numpy"],
        "required_packages_version": {},
        "task": f"tissue colour of {family} images",
        "description": description,
        "authors": "medcolor contributors",
        "copyright": "see the LICENSE of medcolor",
        "intended_use": _INTENDED_USE,
        "network_data_format": _data_format(family, classes),
        **dict(facts or {}),
        "medcolor": ours,
    }
    (folder / METADATA).write_text(json.dumps(metadata, indent=2) + "\n", encoding="utf-8")
    (folder / CONFIG).write_text(_inference(folder.resolve().name, network_config, normalization), encoding="utf-8")
    (folder / WEIGHTS).write_bytes(weights)
    return read_card(folder)


def _data_format(family: str, classes: list[str]) -> dict[str, Any]:
    shared = {"format": "magnitude", "modality": family, "spatial_shape": ["*", "*"], "is_patch_data": False}
    image = {"type": "image", "num_channels": 1, "dtype": "float32", "value_range": [-1, 1]}
    logits = {"type": "logits", "num_channels": len(classes), "dtype": "float32", "value_range": []}
    return {
        "inputs": {"image": shared | image | {"channel_def": {"0": "image, normalized"}}},
        "outputs": {"pred": shared | logits | {"channel_def": {str(n): name for n, name in enumerate(classes)}}},
    }


def _inference(name: str, network: Mapping[str, Any], normalization: Normalization) -> str:
    import yaml

    plain = {key: list(value) if isinstance(value, tuple) else value for key, value in network.items()}
    norm = {
        "_target_": "medcolor.networks.normalization.Normalization",
        "kind": normalization.kind,
        "low": normalization.low,
        "high": normalization.high,
    }
    parts = [
        yaml.safe_dump({key: value}, sort_keys=False, default_flow_style=None, width=120)
        for key, value in (("network_def", plain), ("normalization", norm))
    ]
    return _TEMPLATE.replace("NAME", name).replace("PARTS", "".join(parts).rstrip())


_TEMPLATE = """\
# How the colorizer NAME is put together. It runs without medcolor's command line, too:
#   python -m monai.bundle run --config_file inference.yaml --dataset_dir SCANS --output_dir COLORED
# Each file or folder in SCANS is one scan. Any value below can be given as an option of that command.
imports:
  - "$from medcolor.bundles import bundle_root"
  - "$from medcolor.colorizers.network import scans_in"
bundle_root: "$bundle_root('NAME')"  # here, else where medcolor keeps its bundles
dataset_dir: scans
output_dir: colored
modality: null  # of files that do not say it
device: auto  # cuda where there is one, else cpu
palette: anatomical
strength: 1.0
fade: 0.0  # 1: chroma follows the confidence; 0: off

PARTS
inferer: {_target_: monai.inferers.SimpleInferer}

dataset:
  _target_: monai.data.Dataset
  data: "$scans_in(@dataset_dir)"
  transform: {_target_: medcolor.transforms.ReadScand, keys: image, modality: "@modality"}
bundle:
  _target_: medcolor.bundles.assemble
  folder: "@bundle_root"
  network: "@network_def"
  inferer: "@inferer"
  normalization: "@normalization"
evaluator:
  _target_: medcolor.colorizers.network.ColorizeAll
  dataset: "@dataset"
  output_dir: "@output_dir"
  colorizer:
    _target_: medcolor.colorizers.network.NetworkColorizer
    bundle: "@bundle"
    palette: "@palette"
    strength: "@strength"
    fade: "@fade"
    device: "@device"
run:
  - "$@evaluator.run()"
"""


__all__ = [
    "CONFIG",
    "FILES",
    "METADATA",
    "WEIGHTS",
    "BundleCard",
    "is_complete",
    "read_card",
    "read_weights",
    "write_bundle",
]
