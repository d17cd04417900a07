"""Writing a trained colorizer's folder, so that ``load_bundle`` and ``python -m monai.bundle run`` read it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medcolor.bundle_files import CONFIG, METADATA, TISSUE, WEIGHTS, BundleCard, read_card
from medcolor.errors import TrainingError
from medcolor.io.atomic import atomic_files
from medcolor.palettes import load_palette

if TYPE_CHECKING:
    from torch import Tensor, nn

    from medcolor.networks.normalization import Normalization

_SCHEMA = "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/meta_schema_20240725.json"
_INTENDED_USE = "An aid to the eye: designed colours, not measured ones. Not a medical device, not for diagnosis."

_LARGEST_HALF = 65504.0


def half_precision(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return what is large (kernels, matrices) as float16, and vectors, such as running variances, as they are.

    Raises
    ------
    TrainingError
        A weight is not finite, or too large for half precision: such a network is not exported.
    """
    import torch

    out = {}
    for name, tensor in tensors.items():
        large = tensor.is_floating_point() and tensor.ndim > 1
        limit = _LARGEST_HALF if large else float("inf")
        if tensor.is_floating_point() and tensor.numel():
            extreme = float(tensor.abs().max())
            if not extreme <= limit or extreme == float("inf"):  # a NaN is not <= anything
                raise TrainingError(f"{name}: weights that half precision cannot hold; the training did not converge.")
        out[name] = tensor.to(torch.float16) if large else tensor
    return out


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
    training: Mapping[str, Any] | None = None,
    method: str = TISSUE,
) -> BundleCard:
    """Write a bundle: the weights of a network, and :func:`describe_bundle`.

    Parameters
    ----------
    folder : Path
        Made if need be; its name is the bundle's. Files of the three names are replaced.
    network : nn.Module
        Trained, not folded. Convolution weights are stored in half precision, vectors in single.
    family, network_config, normalization, description, version, facts, training, method
        As for :func:`describe_bundle`.

    Returns
    -------
    BundleCard
    """
    from safetensors.torch import save

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    state = half_precision({key: value.detach().cpu().contiguous() for key, value in network.state_dict().items()})
    (folder / WEIGHTS).write_bytes(save(state))
    return describe_bundle(
        folder,
        family=family,
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        network_config=network_config,
        normalization=normalization,
        description=description,
        version=version,
        facts=facts,
        training=training,
        method=method,
    )


def describe_bundle(
    folder: Path,
    *,
    family: str,
    parameters: int,
    network_config: Mapping[str, Any],
    normalization: Normalization,
    description: str,
    version: str = "0.1.0",
    facts: Mapping[str, Any] | None = None,
    training: Mapping[str, Any] | None = None,
    method: str = TISSUE,
    temperature: float = 1.0,
) -> BundleCard:
    """Write ``metadata.json`` and ``inference.yaml`` beside the weights that are in a folder.

    Parameters
    ----------
    folder : Path
        Holds ``model.safetensors``.
    family : str
        Modality family; its palette gives the classes.
    parameters : int
        Of the network.
    network_config : Mapping
        ``_target_`` and keyword arguments that build the network again.
    normalization : Normalization
        As used in training, not fitted to a scan.
    description : str
        One sentence.
    version : str
    facts : Mapping, optional
        Further entries of the metadata: ``authors``, ``copyright``, ``data_source``, ``eval_metrics`` ...
    training : Mapping, optional
        What the weights come from, kept under ``medcolor``; its ``palette`` is the style a method learned.
    method : str
        "tissue"; or the ``method`` of a network that gives a :class:`~medcolor.networks.chroma.ChromaOutput`.
    temperature : float
        Of the posteriors, as :class:`~medcolor.bundle_files.BundleCard` has it.

    Returns
    -------
    BundleCard
    """
    import torch

    classes = list(load_palette(family).names)
    packages = {"monai": installed_version("monai"), "torch": torch.__version__, "numpy": installed_version("numpy")}
    ours = {
        "family": family,
        **({} if method == TISSUE else {"method": method}),
        "classes": classes,
        "weights_sha256": hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest(),
        "parameters": parameters,
        "normalization": _normalization(normalization),
        **({} if temperature == 1 else {"temperature": temperature}),
        **({} if training is None else {"training": dict(training)}),
    }
    metadata = {
        "schema": _SCHEMA,
        "version": version,
        "changelog": {version: "first version"},
        "monai_version": packages["monai"],
        "pytorch_version": packages["torch"].partition("+")[0],
        "numpy_version": packages["numpy"],
        "required_packages_version": {},
        "task": f"tissue colour of {family} images" + ("" if method == TISSUE else f", by {method}"),
        "description": description,
        "authors": "medcolor contributors",
        "copyright": "see the LICENSE of medcolor",
        "intended_use": _INTENDED_USE,
        "network_data_format": _data_format(
            family,
            classes if method == TISSUE else None,
            network_config.get("summary", 0),
            corrects=bool(network_config.get("corrects", False)),
            neighbours=bool(network_config.get("neighbours", False)),
        ),
        **dict(facts or {}),
        "medcolor": ours,
    }
    texts = {
        folder / METADATA: json.dumps(metadata, indent=2) + "\n",
        folder / CONFIG: _inference(folder.resolve().name, method, network_config, normalization),
    }
    with atomic_files(texts, force=True) as files:
        for path, text in texts.items():
            with files.open(path) as stream:
                stream.write(text.encode())
    return read_card(folder)


def _normalization(normalization: Normalization) -> dict[str, Any]:
    side = {} if normalization.side is None else {"side": normalization.side}
    return {"kind": normalization.kind, "low": normalization.low, "high": normalization.high} | side


def _data_format(
    family: str, classes: list[str] | None, summary: int, *, corrects: bool = False, neighbours: bool = False
) -> dict[str, Any]:
    """Return what goes in and out: logits of the classes; or, without them, colours.

    A network that corrects physics is shown its posteriors, too, and says how far to trust them.
    """
    shared = {"format": "magnitude", "modality": family, "spatial_shape": ["*", "*"], "is_patch_data": False}
    where = ["", *((" of the slice before", " of the slice after") if neighbours else ())] if corrects else []
    shown = ["image, normalized", *(f"physics{of}: {name}, logarithm" for of in where for name in classes or ())]
    image = {"type": "image", "num_channels": len(shown), "dtype": "float32", "value_range": [-1, 1]}
    names = ["a*", "b*"] if classes is None else [*classes, *(["trust in physics"] if corrects else [])]
    kind = ("image", [-108, 108]) if classes is None else ("logits", [])
    pred = {"type": kind[0], "num_channels": len(names), "dtype": "float32", "value_range": kind[1]}
    inputs = {"image": shared | image | {"channel_def": {str(n): name for n, name in enumerate(shown)}}}
    if summary:
        told = {
            "type": "tuples",
            "format": "histogram",
            "num_channels": summary,
            "spatial_shape": [],
            "value_range": [],
        }
        meaning = {"0": "of the volume's normalized gray, and whether it has a unit: medcolor.networks.volume_summary"}
        inputs["volume"] = shared | told | {"dtype": "float32", "channel_def": meaning}
    return {
        "inputs": inputs,
        "outputs": {"pred": shared | pred | {"channel_def": {str(n): name for n, name in enumerate(names)}}},
    }


def _inference(name: str, method: str, network: Mapping[str, Any], normalization: Normalization) -> str:
    import yaml

    plain = {key: list(value) if isinstance(value, tuple) else value for key, value in network.items()}
    norm = {"_target_": "medcolor.networks.normalization.Normalization", **_normalization(normalization)}
    parts = [
        yaml.safe_dump({key: value}, sort_keys=False, default_flow_style=None, width=120)
        for key, value in (("network_def", plain), ("normalization", norm))
    ]
    target, setting, default = _BY_TISSUE if method == TISSUE else _BY_METHOD
    text = _TEMPLATE.replace("TARGET", target).replace("SETTING", setting).replace("DEFAULT", default)
    return text.replace("NAME", name).replace("PARTS", "".join(parts).rstrip())


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
SETTING: DEFAULT
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
    _target_: medcolor.colorizers.TARGET
    bundle: "@bundle"
    SETTING: "@SETTING"
    strength: "@strength"
    fade: "@fade"
    device: "@device"
run:
  - "$@evaluator.run()"
"""
_BY_TISSUE = ("network.NetworkColorizer", "palette", "anatomical")
_BY_METHOD = ("chroma.ChromaColorizer", "reference", "null  # a coloured scan or picture, for methods that take one")


__all__ = ["describe_bundle", "half_precision", "write_bundle"]
