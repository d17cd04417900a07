"""File > Open Sample: a phantom of every modality, and the demo's real images where their packages are installed."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from medcolor import phantom
from medcolor.demo import SAMPLES
from medcolor.errors import MedcolorError
from medcolor.scan import MODALITIES
from napari_plugin import desk, layers
from napari_plugin.canvas import attach
from napari_plugin.welcome import greet


def open_phantom(family: str) -> list[Any]:
    """Return the phantom of a modality as layers; made here, nothing is downloaded."""
    return _shown(phantom.scan(family), f"{family} phantom")


def open_real(slug: str) -> list[Any]:
    """Return a real image of the demo as layers; a missing package is named in one message."""
    sample = next(each for each in SAMPLES if each.slug == slug)
    try:
        return _shown(sample.read(), sample.title)
    except MedcolorError as error:
        desk.refuse(error)
        return []


def _shown(scan: Any, name: str) -> list[Any]:
    viewer = desk.viewer()
    if viewer is not None:
        attach(viewer)
        greet(viewer)
    return [layers.gray_layer(scan, name)]


def __getattr__(name: str) -> Callable[[], list[Any]]:
    """Return the opener that the manifest names: ``phantom_ct``, ``real_mr_brain`` ..."""
    kind, _, which = name.partition("_")
    if kind == "phantom" and which.upper() in MODALITIES:
        return partial(open_phantom, which.upper())
    if kind == "real" and which.replace("_", "-") in {sample.slug for sample in SAMPLES}:
        return partial(open_real, which.replace("_", "-"))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
