"""A coloured volume to look into: opacity by tissue class, within what graphics cards hold.

The colours of voxels stay as they are; presets say how opaque each class is. A picture of a volume blends many voxels
along each ray: its colours are an impression, values are read in planes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from medcolor.colorizers import Progress
from medcolor.colorizers.evidence import Evidence, LabelEvidence, TableEvidence
from medcolor.errors import GeometryError, SettingError
from medcolor.geometry import Space
from medcolor.scan import KAxis, Scan
from medcolor.viewing.live import LiveColors
from medcolor.viewing.placement import canvas_directions, place

LARGEST_SIDE = 2048
"""Voxels: 3-D textures of common graphics cards end there."""
MOST_VOXELS = 64_000_000
"""256 MB of texture."""

_THROUGH = 5.0  # mm that the opacities of presets are meant for


@dataclass(frozen=True, slots=True)
class Preset:
    """How opaque each tissue class is.

    Attributes
    ----------
    name, meaning : str
        For people.
    opacity : Mapping of str to float
        Class -> 0..1 through 5 mm of it; classes left out are transparent.
    """

    name: str
    meaning: str
    opacity: Mapping[str, float]

    def __post_init__(self) -> None:
        object.__setattr__(self, "opacity", MappingProxyType(dict(self.opacity)))


_PRESETS: dict[str, tuple[Preset, ...]] = {
    "CT": (
        Preset("body", "bone and vessels inside translucent flesh", {
            "lung": 0.02, "fat": 0.02, "fluid": 0.05, "soft_tissue": 0.04, "enhanced": 0.35, "spongy_bone": 0.8,
            "cortical_bone": 0.95, "metal": 1,
        }),
        Preset("bones", "bone and metal alone", {"spongy_bone": 0.7, "cortical_bone": 0.95, "metal": 1}),
        Preset("vessels", "enhanced vessels and organs, bone faint", {
            "enhanced": 0.9, "spongy_bone": 0.05, "cortical_bone": 0.1, "metal": 0.5,
        }),
        Preset("lungs", "lungs and airways, bone faint", {
            "lung": 0.2, "gas": 0.1, "spongy_bone": 0.03, "cortical_bone": 0.06,
        }),
        Preset("flesh", "all of the body, opaque", {
            "lung": 0.1, "fat": 0.6, "fluid": 0.8, "soft_tissue": 0.9, "enhanced": 0.95, "spongy_bone": 1,
            "cortical_bone": 1, "metal": 1,
        }),
    ),
    "MR": (
        Preset("body", "brighter signal is more opaque", {
            "dark": 0.02, "low": 0.06, "intermediate": 0.2, "high": 0.35, "bright": 0.7,
        }),
        Preset("bright", "the brightest signal alone", {"high": 0.05, "bright": 0.8}),
        Preset("solid", "all of the body, opaque", {
            "dark": 0.3, "low": 0.6, "intermediate": 0.9, "high": 0.95, "bright": 1,
        }),
    ),
    "PT": (
        Preset("body", "uptake inside a faint body", {
            "background": 0.01, "low": 0.03, "moderate": 0.15, "high": 0.6, "intense": 0.95,
        }),
        Preset("uptake", "high uptake alone", {"moderate": 0.02, "high": 0.5, "intense": 0.95}),
    ),
    "US": (Preset("echoes", "brighter echoes are more opaque", {
        "hypoechoic": 0.02, "isoechoic": 0.1, "hyperechoic": 0.4, "bright": 0.8,
    }),),
}  # fmt: skip
_PRESETS["NM"] = _PRESETS["PT"]
_BY_GRAY = Preset("gray", "brighter is more opaque", {})


def presets(scan: Scan, classes: tuple[str, ...] = ()) -> tuple[Preset, ...]:
    """Return the presets for a scan.

    Parameters
    ----------
    scan : Scan
    classes : tuple of str
        Of the palette in use. Presets that name none of them are left out: a segmentation gets one preset in which
        all of its labels can be seen, a table one by gray.
    """
    suited = [p for p in _PRESETS.get(scan.family or "", ()) if set(p.opacity) & set(classes)]
    if not suited and len(classes) > 1:
        suited = [Preset("labels", "everything that is labelled", dict.fromkeys(classes[1:], 0.5))]
    return (*suited, _BY_GRAY)


def require_volume(scan: Scan) -> None:
    """Refuse what has no depth.

    Raises
    ------
    GeometryError
        One slice, a film, views or projections, or unknown distances.
    """
    if scan.shape[2] < 2 or scan.k_axis is not KAxis.SPACE or scan.geometry.space is not Space.PATIENT:
        raise GeometryError("This image has no depth: it is one picture, or its slices are moments or views.")


_FROM = {  # toward which LPS direction one looks, and which is up on the screen
    "front": ((0, 1, 0), (0, 0, 1)),
    "left": ((-1, 0, 0), (0, 0, 1)),
    "right": ((1, 0, 0), (0, 0, 1)),
    "back": ((0, -1, 0), (0, 0, 1)),
    "head": ((0, 0, -1), (0, -1, 0)),
    "feet": ((0, 0, 1), (0, -1, 0)),
}
VIEWS = tuple(_FROM)
"""Where one may look from."""

Direction = tuple[float, float, float]


def view(scan: Scan, where: str) -> tuple[Direction, Direction]:
    """Return the directions of looking and of up, along a layer's axes.

    Parameters
    ----------
    scan : Scan
    where : str
        One of :data:`VIEWS`: the side of the patient one looks from.
    """
    axes = canvas_directions(scan)
    toward, up = (axes @ np.array(vector, float) for vector in _FROM[where])
    return (float(toward[0]), float(toward[1]), float(toward[2])), (float(up[0]), float(up[1]), float(up[2]))


def depth_grows(scan: Scan) -> str:
    """Return where the first layer axis must grow on a screen with the others down and right: "away" or "towards".

    The other one would show a mirrored patient.
    """
    first, second, third = canvas_directions(scan)
    return "away" if float(np.cross(third, second) @ first) > 0 else "towards"


@dataclass(frozen=True, slots=True, eq=False)
class Volume:
    """RGBA with the axes of a layer.

    Attributes
    ----------
    rgba : ndarray of uint8, (a, b, c, 4)
    scale, translate : tuple of float
        As of a layer.
    stride : tuple of int
        Every how many voxels of each axis were taken.
    preset : Preset
    note : str
        What must be said; empty: nothing.
    """

    rgba: NDArray[np.uint8]
    scale: tuple[float, float, float]
    translate: tuple[float, float, float]
    stride: tuple[int, int, int]
    preset: Preset
    note: str


def volume(
    session: LiveColors,
    preset: str | Preset | None = None,
    *,
    by_confidence: bool = False,
    largest_side: int = LARGEST_SIDE,
    most_voxels: int = MOST_VOXELS,
    progress: Progress | None = None,
) -> Volume:
    """Return a colouring as a volume to look into.

    Parameters
    ----------
    session : LiveColors
        Slices that are not coloured yet are left out.
    preset : str or Preset, optional
        Name of one of :func:`presets`; default the first.
    by_confidence : bool
        Make colours that cannot be relied on more transparent.
    largest_side, most_voxels : int
        Larger volumes are thinned: every n-th voxel is taken as it is, so that its gray comes back from its colour.
    progress : callable, optional
        Told (slices done, slices in all).

    Raises
    ------
    GeometryError
        The image has no depth.
    SettingError
        No such preset, or nothing is coloured yet.
    """
    scan = session.scan
    require_volume(scan)
    if not session.done:
        raise SettingError("Nothing is coloured yet: colour the scan, then look into it.")
    names = session.look.palette.names if session.look.palette is not None else ()
    chosen = _chosen(presets(scan, names), preset)
    spacing = scan.geometry.spacing[::-1]
    stride = strides(scan.shape[::-1], spacing, largest_side, most_voxels)
    sk, sj, si = stride
    source = session.rgba
    rgba = source[::sk, ::sj, ::si].copy()
    step = float(np.prod([s * n for s, n in zip(spacing, stride, strict=True)])) ** (1 / 3)  # rays step by voxels
    per_class = _per_voxel(np.array([chosen.opacity.get(name, 0.0) for name in names]), step)
    for n, k in enumerate(range(0, scan.shape[2], sk)):
        evidence = session.evidence(k)
        if not chosen.opacity:
            opacity = _per_voxel(np.square(session.gray[k, ::sj, ::si] / 255.0), step)
        elif evidence is None:
            opacity = np.zeros(rgba.shape[1:3])
        else:
            opacity = _opacity(evidence, per_class)[::sj, ::si]
        if by_confidence and evidence is not None:
            opacity = opacity * (session.confidence[k, ::sj, ::si] / 255.0)
        rgba[n, ..., 3] = np.where(rgba[n, ..., 3] > 0, np.rint(opacity * 255), 0).astype(np.uint8)
        if progress is not None:
            progress(n + 1, len(rgba))
    where = place(scan)
    by_layer = [stride[axis] for axis in where.axes]
    a, b, c = (s * n for s, n in zip(where.scale, by_layer, strict=True))
    return Volume(
        where.to_layer(rgba), (a, b, c), where.translate, (by_layer[0], by_layer[1], by_layer[2]), chosen,
        _note(stride),
    )  # fmt: skip


def strides(
    shape: tuple[int, ...], spacing: tuple[float, ...], largest_side: int, most_voxels: int
) -> tuple[int, int, int]:
    """Return every how many voxels to take so that a volume fits; the finest axes are thinned first."""
    stride = [1, 1, 1]
    while True:
        sides = [-(-side // n) for side, n in zip(shape, stride, strict=True)]
        over = [axis for axis in range(3) if sides[axis] > largest_side]
        if not over and int(np.prod(sides)) <= most_voxels:
            return stride[0], stride[1], stride[2]
        free = over or [axis for axis in range(3) if sides[axis] > 1]
        finest = min(free, key=lambda axis: (spacing[axis] * stride[axis], axis))
        stride[finest] += 1


def _chosen(known: tuple[Preset, ...], wanted: str | Preset | None) -> Preset:
    if isinstance(wanted, Preset):
        return wanted
    if wanted is None:
        return known[0]
    for preset in known:
        if preset.name == wanted:
            return preset
    raise SettingError(f'"{wanted}" is no preset here. Presets: {", ".join(preset.name for preset in known)}.')


def _per_voxel(opacity: NDArray[np.float64], step: float) -> NDArray[np.float64]:
    """Return the opacity of one step along a ray, from that of 5 mm."""
    return np.asarray(1 - np.power(1 - np.clip(opacity, 0, 0.999), step / _THROUGH))


def _opacity(evidence: Evidence, per_class: NDArray[np.float64]) -> NDArray[np.float64]:
    match evidence:
        case TableEvidence():
            return np.asarray((per_class @ evidence.book.tables).take(evidence.entries))
        case LabelEvidence():
            return np.asarray(per_class[evidence.classes])
    return np.asarray(np.tensordot(per_class, evidence.posteriors(), 1))


def _note(stride: tuple[int, int, int]) -> str:
    if stride == (1, 1, 1):
        return ""
    k, j, i = stride
    return f"Too large for a graphics card: every {i}. column, {j}. row and {k}. slice is shown."


__all__ = [
    "LARGEST_SIDE",
    "MOST_VOXELS",
    "VIEWS",
    "Preset",
    "Volume",
    "depth_grows",
    "presets",
    "require_volume",
    "strides",
    "view",
    "volume",
]
