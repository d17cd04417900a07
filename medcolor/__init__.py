"""medcolor: faithful, learned colour for medical images.

Structure comes from the scan; only colour is invented. The public names load on first use, so that
``import medcolor`` costs nothing but itself.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from medcolor import errors
    from medcolor.color import restore_gray
    from medcolor.color_scan import ColorScan, Law, Provenance
    from medcolor.colorizers import Colorizer, list_colorizers, load_colorizer
    from medcolor.geometry import Geometry, Space
    from medcolor.io import SeriesInfo, list_series, read, read_segmentation, restore, write
    from medcolor.scan import Finding, KAxis, Scan, Severity, Source
    from medcolor.tissue_map import Segmentation, TissueMap
    from medcolor.voi import VoiLut, Window
    from medcolor.windowing import display_gray

__version__ = "0.1.0"

_HOME = {
    "restore_gray": "color",
    "ColorScan": "color_scan",
    "Law": "color_scan",
    "Provenance": "color_scan",
    "Colorizer": "colorizers",
    "list_colorizers": "colorizers",
    "load_colorizer": "colorizers",
    "Geometry": "geometry",
    "Space": "geometry",
    "SeriesInfo": "io",
    "list_series": "io",
    "read": "io",
    "read_segmentation": "io",
    "restore": "io",
    "write": "io",
    "Finding": "scan",
    "KAxis": "scan",
    "Scan": "scan",
    "Severity": "scan",
    "Source": "scan",
    "Segmentation": "tissue_map",
    "TissueMap": "tissue_map",
    "VoiLut": "voi",
    "Window": "voi",
    "display_gray": "windowing",
}

__all__ = [
    "ColorScan",
    "Colorizer",
    "Finding",
    "Geometry",
    "KAxis",
    "Law",
    "Provenance",
    "Scan",
    "Segmentation",
    "SeriesInfo",
    "Severity",
    "Source",
    "Space",
    "TissueMap",
    "VoiLut",
    "Window",
    "__version__",
    "display_gray",
    "errors",
    "list_colorizers",
    "list_series",
    "load_colorizer",
    "read",
    "read_segmentation",
    "restore",
    "restore_gray",
    "write",
]


def __getattr__(name: str) -> Any:
    """Import a public name on first use (PEP 562)."""
    if name == "errors":
        return import_module("medcolor.errors")
    if name not in _HOME:
        raise AttributeError(f"module 'medcolor' has no attribute {name!r}")
    value = getattr(import_module(f"medcolor.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
