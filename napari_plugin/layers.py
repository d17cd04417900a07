"""Scans as layers: the only place that knows napari's axis order.

Every layer of medcolor carries ``metadata["medcolor"]``, a dict with ``kind`` ("gray", "color", "confidence" ...),
``scan``, and what belongs to the kind: ``session`` (a ColoringSession at work) or ``color`` (a finished ColorScan).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from medcolor.scan import Scan, to_slices
from medcolor.viewing.painted import nothing_painted
from medcolor.viewing.placement import place
from medcolor.voi import VoiLut
from medcolor.windowing import default_display

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from medcolor.viewing.session import ColoringSession
    from medcolor.voi import Display

KEY = "medcolor"
LayerData = tuple[Any, dict[str, Any], str]


def spatial(scan: Scan) -> dict[str, Any]:
    """Return how a layer of this scan lies in the viewer's world: the same for all its layers."""
    where = place(scan)
    return {
        "scale": where.scale,
        "translate": where.translate,
        "units": where.units,
        "axis_labels": where.axis_labels,
    }


def metadata(scan: Scan, kind: str, **more: Any) -> dict[str, Any]:
    """Return what a layer of medcolor remembers."""
    about: dict[str, Any] = {
        "kind": kind,
        "scan": scan,
        "modality": scan.modality,
        "units": scan.units,
        "affine_ras_mm": scan.geometry.affine.tolist(),
        "source_digest": scan.source.digest,
        "audit": [finding.message for finding in scan.audit],
        "note": place(scan).note,
    }
    return {KEY: about | more}


def limits(display: Display) -> tuple[float, float]:
    """Return the values that are shown black and white."""
    if isinstance(display, VoiLut):
        return display.first, display.first + max(len(display.table) - 1, 1)
    return display.bounds


def gray_layer(scan: Scan, name: str) -> LayerData:
    """Return the scan in true units, shown as the file asks; an image that is colour already, as it is."""
    display = default_display(scan)
    common: dict[str, Any] = {"name": f"{name} (gray)", **spatial(scan)}
    common["metadata"] = metadata(scan, "gray", window=str(display))
    if scan.rgb is not None:
        common["name"] = f"{name} (as stored)"
        return arranged(scan, to_slices(scan.rgb)), common | {"rgb": True}, "image"
    colormap = "gray_r" if scan.inverted else "gray"
    common |= {"contrast_limits": limits(display), "colormap": colormap, "interpolation2d": "nearest"}
    return arranged(scan, to_slices(scan.voxels)), common, "image"


def color_layer(session: ColoringSession, name: str) -> LayerData:
    """Return the picture of a colouring session, which grows while it works; call ``layer.refresh()`` to see it."""
    scan = session.scan
    common = {"name": f"{name} (colour)", **spatial(scan), "metadata": metadata(scan, "color", session=session)}
    return arranged(scan, session.rgba), common | {"rgb": True, "rendering": "translucent"}, "image"


def kept_place(scan: Scan, name: str) -> LayerData:
    """Return the layer of a picture that is still to come: transparent, and of no memory."""
    common = {"name": f"{name} (colour)", **spatial(scan), "metadata": metadata(scan, "to come")}
    return arranged(scan, nothing_painted(scan)), common | {"rgb": True, "rendering": "translucent"}, "image"


def arranged(scan: Scan, slices: NDArray[Any]) -> NDArray[Any]:
    """View slices (nk, nj, ni, ...) with a layer's axes."""
    return place(scan).to_layer(slices)


def to_scan_slices(scan: Scan, data: NDArray[Any]) -> NDArray[Any]:
    """View a layer's data as slices (nk, nj, ni, ...) again."""
    axes = place(scan).axes
    back = [axes.index(axis) for axis in range(3)]
    return data.transpose(*back, *range(3, data.ndim))


def about(layer: Any) -> dict[str, Any] | None:
    """Return what medcolor remembers of a layer, None where it is not ours."""
    found = getattr(layer, "metadata", {}).get(KEY)
    return found if isinstance(found, dict) and isinstance(found.get("scan"), Scan) else None


def layers_of(viewer: Any, kind: str | None = None) -> list[Any]:
    """Return medcolor's layers, bottom to top; of one kind only where one is named."""
    found: Iterable[Any] = (layer for layer in viewer.layers if about(layer) is not None)
    return [layer for layer in found if kind is None or (about(layer) or {}).get("kind") == kind]


def current(viewer: Any, kind: str | None = None) -> Any | None:
    """Return the selected layer of medcolor, else the topmost, None where there is none."""
    ours = layers_of(viewer, kind)
    active = viewer.layers.selection.active
    return active if active in ours else (ours[-1] if ours else None)
