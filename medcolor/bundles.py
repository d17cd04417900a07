"""Trained colorizers as MONAI bundles: found by name, checked, and put together by MONAI's own parser.

``configs/`` is the registry: a folder with all files of a bundle is one. A bundle is code (its config may name and
call anything), so a folder elsewhere is opened only when somebody says that it is trusted. What is wrong or missing is
a :class:`BundleError`; there is never another model in its place.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medcolor.bundle_files import (
    CONFIG,
    TISSUE,
    WEIGHTS,
    BundleCard,
    claims,
    is_complete,
    may_be_colorizer,
    read_card,
    read_weights,
)
from medcolor.bundle_writing import describe_bundle, write_bundle
from medcolor.errors import BundleError
from medcolor.resources import config_dir

if TYPE_CHECKING:
    from torch import nn

    from medcolor.networks.normalization import Normalization


@dataclass(frozen=True, slots=True, eq=False)
class Bundle:
    """A bundle ready for use.

    Attributes
    ----------
    card : BundleCard
    network : nn.Module
        With its weights, in evaluation mode, on the CPU.
    inferer : callable
        ``inferer(inputs, network)``, as MONAI's.
    normalization : Normalization
        To be fitted to each scan.
    """

    card: BundleCard
    network: nn.Module
    inferer: Any
    normalization: Normalization


def bundle_names() -> list[str]:
    """Return the complete bundles of ``configs/``, sorted."""
    return sorted(folder.name for folder in config_dir().iterdir() if is_complete(folder))


def default_bundle(family: str) -> BundleCard | None:
    """Return the bundle of ``configs/`` that is the default of a modality family, None where there is none.

    Raises
    ------
    BundleError
        The default lacks files or contradicts itself, there are two, or a folder with files of a bundle does not say
        what it is for: nobody should get another colorizer because a file was damaged.
    """
    found = []
    for folder in sorted(config_dir().iterdir()):
        if may_be_colorizer(folder) and claims(folder) in {None, (family, True)}:
            card = read_card(folder)
            if card.family == family and card.default:
                found.append(card)
    if len(found) > 1:
        names = ", ".join(card.name for card in found)
        raise BundleError(f"{config_dir()}: {names} all say that they are the default of {family}; one can be.")
    return found[0] if found else None


def bundles_of(family: str, method: str | None = TISSUE) -> list[BundleCard]:
    """Return the complete bundles of ``configs/`` for a modality family, the default first, then by name.

    Parameters
    ----------
    family : str
    method : str or None
        Those that say which tissue is where, unless another method is named; None: of every method.
    """
    cards = [read_card(config_dir() / name) for name in bundle_names()]
    fitting = (card for card in cards if card.family == family and method in {None, card.method})
    return sorted(fitting, key=lambda card: (not card.default, card.name))


def method_of(spec: str) -> str | None:
    """Return the method of a bundle by its name, or by its folder, of which nothing is run; None where it is none."""
    if spec in bundle_names():
        return read_card(config_dir() / spec).method
    return read_card(Path(spec)).method if spec.strip() and is_complete(Path(spec)) else None


def find_bundle(name_or_path: str | Path, *, trust: bool = False) -> Path:
    """Return the folder of a bundle.

    Parameters
    ----------
    name_or_path : str or Path
        A name in ``configs/``, or the path of such a folder; or any other, with ``trust``.
    trust : bool
        The folder elsewhere may run its code here.

    Raises
    ------
    BundleError
        No such bundle, or a folder that was not said to be trusted.
    """
    name = str(name_or_path)
    if name in bundle_names():
        return config_dir() / name
    folder = Path(name_or_path)
    if not name or not folder.is_dir():
        known = ", ".join(bundle_names()) or "none yet"
        raise BundleError(f'"{name}" is no bundle. In {config_dir()}: {known}; or the path of a bundle\'s folder.')
    ours = {(config_dir() / shipped).resolve() for shipped in bundle_names()}
    if not trust and folder.resolve() not in ours:
        raise BundleError(
            f"{folder} is outside {config_dir()}. A bundle is code that runs on this computer: if you know where it "
            "comes from, pass trust=True (--trust on the command line)."
        )
    return folder


def bundle_root(name: str) -> str:
    """Return the folder that ``inference.yaml`` belongs to: this one if it holds a bundle, else the one in configs."""
    return "." if is_complete(Path()) else str(find_bundle(name))


def load_bundle(name_or_path: str | Path, *, trust: bool = False) -> Bundle:
    """Find a bundle, check it and put it together.

    Raises
    ------
    BundleError
        As :func:`find_bundle`; a file is missing, damaged, or contradicts the others.
    """
    folder = find_bundle(name_or_path, trust=trust)
    card = read_card(folder)
    read_weights(card)  # before any of its code runs
    from monai.bundle import ConfigParser

    try:
        parser = ConfigParser()
        parser.read_config(str(folder / CONFIG))
        parser["bundle_root"] = str(folder)
        parts = {key: parser.get_parsed_content(key) for key in ("network_def", "inferer", "normalization")}
    except Exception as error:  # whatever the config's code raises
        raise BundleError(
            f"{folder / CONFIG} cannot be put together; it must define network_def, inferer and normalization. "
            f"{_first_cause(error)}"
        ) from error
    return assemble(
        folder, network=parts["network_def"], inferer=parts["inferer"], normalization=parts["normalization"]
    )


def _first_cause(error: BaseException) -> str:
    """Return what went wrong at the bottom: the parser wraps errors in errors."""
    while error.__cause__ is not None:
        error = error.__cause__
    return f"{type(error).__name__}: {error}"


def assemble(folder: str | Path, *, network: nn.Module, inferer: Any, normalization: Normalization) -> Bundle:
    """Give a network the bundle's weights, checked; ``inference.yaml`` calls this, too.

    Raises
    ------
    BundleError
        The weights' hash is wrong, they do not fit the network, or the network is not what the metadata say: of
        another method, or with other classes.
    """
    from medcolor.networks.normalization import Normalization

    card = read_card(Path(folder))
    _check_kind(card, network)
    if not isinstance(normalization, Normalization) or not callable(inferer):
        raise BundleError(
            f"{card.folder / CONFIG}: normalization must be a medcolor.networks.normalization.Normalization and "
            f"inferer callable, got {type(normalization).__name__} and {type(inferer).__name__}."
        )
    tensors = read_weights(card)
    if not all(bool(tensor.isfinite().all()) for tensor in tensors.values()):
        raise BundleError(f"{card.folder / WEIGHTS} holds numbers that are not finite; training went wrong.")
    try:
        network.load_state_dict(tensors, strict=True)
    except RuntimeError as error:
        raise BundleError(f"{card.folder / WEIGHTS} does not fit network_def. {error}") from error
    return Bundle(card, network.eval(), inferer, normalization)


def _check_kind(card: BundleCard, network: nn.Module) -> None:
    """Refuse a network that is not of the card's method, or has other classes than it."""
    if (method := getattr(network, "method", TISSUE)) != card.method:
        raise BundleError(f"{card.folder / CONFIG}: network_def is {method}, the metadata say {card.method}.")
    if card.method == TISSUE and (count := getattr(network, "classes", None)) != len(card.classes):
        raise BundleError(
            f"{card.folder / CONFIG}: network_def has {count} classes, the metadata {len(card.classes)}: "
            f"{', '.join(card.classes)}."
        )


__all__ = [
    "Bundle",
    "BundleCard",
    "assemble",
    "bundle_names",
    "bundle_root",
    "bundles_of",
    "default_bundle",
    "describe_bundle",
    "find_bundle",
    "load_bundle",
    "method_of",
    "read_card",
    "write_bundle",
]
