"""The files of a trained colorizer: what must be there, and what the metadata must say.

A bundle is one folder: ``metadata.json`` (MONAI's keys, and ours under ``medcolor``), ``inference.yaml`` (how it is put
together) and ``model.safetensors`` (numbers only: a format that cannot hold code). Nothing here imports torch before
weights are touched, so listing bundles is quick.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from medcolor.errors import BundleError
from medcolor.palettes import load_palette
from medcolor.scan import MODALITIES

METADATA, CONFIG, WEIGHTS = "metadata.json", "inference.yaml", "model.safetensors"
FILES = (METADATA, CONFIG, WEIGHTS)

TISSUE = "tissue"
"""The method of a bundle that says which tissue each pixel is; every other one gives colours at once."""
TAUGHT = "contrast"
"""Style whose colours a method learned, where its metadata do not name another."""
TEMPERATURES = (0.1, 10.0)
"""Least and largest temperature of a bundle's posteriors."""


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
    default : bool
        Whether ``load_colorizer("auto")`` takes it for its family: on test patients it was better than physics.
    method : str
        "tissue", or the name of a system that gives (a*, b*) without saying which tissue it is: "zhang2016" ...
    temperature : float
        Of its posteriors, found on validation patients; 1: as the network says.
    """

    name: str
    folder: Path
    family: str
    classes: tuple[str, ...]
    weights_sha256: str
    description: str
    version: str
    metadata: Mapping[str, Any]
    default: bool = False
    method: str = TISSUE
    temperature: float = 1.0

    @property
    def identity(self) -> str:
        """What decides its colours beside code and palette: the SHA-256 of its weights, and its temperature."""
        return self.weights_sha256 if self.temperature == 1 else f"{self.weights_sha256}@{self.temperature:g}"

    @property
    def taught(self) -> str:
        """Style of the palette whose colours it learned; of tissue bundles the one their error was measured with."""
        training = self.metadata["medcolor"].get("training")
        return str(training.get("palette", TAUGHT)) if isinstance(training, Mapping) else TAUGHT


@dataclass(frozen=True, slots=True)
class BundleFacts:
    """What a list of bundles says of one.

    Attributes
    ----------
    size : int
        Bytes of the weights.
    data : str
        What it was trained on; "" where the metadata do not say it.
    times_eccv16 : float or None
        How many times faster than one forward pass of ECCV16 it was where somebody measured and recorded it.
    """

    size: int
    data: str
    times_eccv16: float | None


def facts_of(card: BundleCard) -> BundleFacts:
    """Return size, data and speed; metadata of another form than ours give none."""
    ours = card.metadata["medcolor"]
    try:
        training = ours["training"]
        names = ", ".join(str(source["name"]) for source in training["data"])
        data = f"{names} ({training['patients']['train']} patients)"
    except (KeyError, TypeError):
        data = str(card.metadata.get("data_source", ""))
    speed = ours.get("speed")
    times = speed.get("times_eccv16") if isinstance(speed, Mapping) else None
    ratio = float(times) if isinstance(times, int | float) and not isinstance(times, bool) else None
    return BundleFacts((card.folder / WEIGHTS).stat().st_size, data, ratio)


def is_complete(folder: Path) -> bool:
    """Whether a folder has every file of a bundle."""
    return all((folder / name).is_file() for name in FILES)


def may_be_colorizer(folder: Path) -> bool:
    """Whether a folder has any file of a bundle, and is not plainly something else (such as the recognizer)."""
    if not any((folder / name).is_file() for name in FILES):
        return False
    try:
        metadata = json.loads((folder / METADATA).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return True
    return (folder / CONFIG).is_file() or not isinstance(metadata, dict) or "medcolor" in metadata


def claims(folder: Path) -> tuple[str, bool] | None:
    """Return the family a folder says it is for, and whether as the default; None where it does not say.

    Nothing else is checked: the folder may lack files.
    """
    try:
        ours = json.loads((folder / METADATA).read_text(encoding="utf-8"))["medcolor"]
        return str(ours["family"]), ours.get("default", False) is not False
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def read_card(folder: Path) -> BundleCard:
    """Read and check ``metadata.json``.

    Raises
    ------
    BundleError
        A file is missing, the metadata is not JSON or lacks a key, its classes are not the palette's, or a method
        that knows no tissue wants to be the default.
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
        default, method, temperature = (
            ours.get("default", False),
            ours.get("method", TISSUE),
            ours.get("temperature", 1),
        )
    except (ValueError, TypeError, KeyError, RecursionError) as error:  # the last: brackets without end
        raise BundleError(
            f'{path}: expected JSON with "description", "version" and "medcolor": '
            f'{{"family", "classes", "weights_sha256"}}; {type(error).__name__}: {error}.'
        ) from error
    if not isinstance(default, bool):
        raise BundleError(f'{path}: "medcolor": {{"default"}} is true or false, got {json.dumps(default)}.')
    if not isinstance(method, str) or not re.fullmatch(r"[a-z][a-z0-9_]*", method):
        raise BundleError(
            f'{path}: "medcolor": {{"method"}} is a name such as "{TISSUE}" or "zhang2016", got {json.dumps(method)}.'
        )
    least, most = TEMPERATURES
    number = isinstance(temperature, int | float) and not isinstance(temperature, bool)
    if not number or not least <= temperature <= most:
        raise BundleError(
            f'{path}: "medcolor": {{"temperature"}} is a number from {least:g} to {most:g}, '
            f"got {json.dumps(temperature)}."
        )
    if default and method != TISSUE:
        raise BundleError(
            f'{path}: {method} gives colours and knows no tissue; only a bundle of method "{TISSUE}" can be a default.'
        )
    if family not in MODALITIES:
        raise BundleError(f'{path}: family "{family}" is none of {", ".join(MODALITIES)}.')
    if classes != (expected := load_palette(family).names):
        raise BundleError(
            f"{path}: classes are {', '.join(map(str, classes))}; the palettes of {family} have {', '.join(expected)}. "
            "The bundle was made for another version of medcolor."
        )
    return BundleCard(
        folder.resolve().name,
        folder,
        family,
        classes,
        digest,
        description,
        version,
        MappingProxyType(metadata),
        default,
        method,
        float(temperature),
    )


def read_weights(card: BundleCard) -> dict[str, Any]:
    """Return the tensors of ``model.safetensors``, once its hash is the one in the metadata.

    Raises
    ------
    BundleError
        Another hash, or not a safetensors file (a renamed pickle is never opened as one).
    """
    return read_tensors(card.folder / WEIGHTS, card.weights_sha256)


def read_tensors(path: Path, sha256: str) -> dict[str, Any]:
    """Return the tensors of a safetensors file, once its hash is the one expected.

    Raises
    ------
    BundleError
        No such file, another hash, or not a safetensors file.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    if not path.is_file():
        raise BundleError(f"{path} is missing. Get the whole folder.")
    content = path.read_bytes()
    if (digest := hashlib.sha256(content).hexdigest()) != sha256:
        raise BundleError(
            f"{path}: sha256 is {digest}, the metadata says {sha256}. The file is damaged or was replaced; get the "
            "bundle again."
        )
    try:
        tensors: dict[str, Any] = load(content)
    except SafetensorError as error:
        raise BundleError(f"{path} is no safetensors file ({error}). Other weight formats are not opened.") from error
    return tensors


__all__ = [
    "CONFIG",
    "FILES",
    "METADATA",
    "TAUGHT",
    "TEMPERATURES",
    "TISSUE",
    "WEIGHTS",
    "BundleCard",
    "BundleFacts",
    "claims",
    "facts_of",
    "is_complete",
    "may_be_colorizer",
    "read_card",
    "read_tensors",
    "read_weights",
]
