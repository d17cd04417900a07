"""What is known of one voxel, and whether a slice keeps its law."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medcolor.color import restore_gray
from medcolor.colorizers.evidence import Look
from medcolor.scan import Scan, to_slices
from medcolor.viewing.repainting import Repainter
from medcolor.voi import Display
from medcolor.windowing import grayscale


@dataclass(frozen=True, slots=True)
class Probe:
    """What is known of one voxel.

    Attributes
    ----------
    value : float
        In ``unit``.
    unit : str
    gray : int
        As displayed.
    rgb : tuple of int
    tissue : tuple of (name, probability)
        Classes from the most probable on; empty before the slice is coloured, and for a table.
    confidence : float or None
        0..1; None where there is none.
    gray_recoverable : bool
        Whether the gray comes back from the colour; a colour table does not promise it.
    """

    value: float
    unit: str
    gray: int
    rgb: tuple[int, int, int]
    tissue: tuple[tuple[str, float], ...]
    confidence: float | None
    gray_recoverable: bool


def probe_voxel(scan: Scan, painted: Repainter, i: int, j: int, k: int) -> Probe:
    """Return what is known of voxel (i, j, k)."""
    evidence, look, volume = painted.kept[k], painted.look, painted.volume
    gray = int(volume.gray[k, j, i])
    r, g, b = (int(c) for c in volume.rgba[k, j, i, :3])
    tissue: list[tuple[str, float]] = []
    if evidence is not None and look is not None and look.palette is not None:
        named = zip(look.palette.names, evidence.at(j, i).tolist(), strict=True)
        tissue = sorted(named, key=lambda pair: -pair[1])
    return Probe(
        scan.voxels[i, j, k].item(),
        scan.units,
        gray,
        (r, g, b),
        tuple(tissue),
        None if evidence is None else int(volume.confidence[k, j, i]) / 255,
        int(restore_gray(np.array([r, g, b], np.uint8))) == gray,
    )


def broken_pixels(scan: Scan, k: int, rgb: NDArray[np.uint8], look: Look | None, display: Display) -> tuple[int, int]:
    """Return how many pixels of a slice break the law, and how many were compared.

    The gray is computed from the scan again; pixels that were colour already are not ours and not compared.
    """
    gray = grayscale(scan, display)(slice(k, k + 1))[0]
    if look is None or look.table is None:
        differs = restore_gray(rgb) != gray
    else:
        differs = (look.table.take(gray, axis=0) != rgb).any(axis=-1)
    if scan.colored is None:
        return int(np.count_nonzero(differs)), differs.size
    ours = ~to_slices(scan.colored)[k]
    return int(np.count_nonzero(differs & ours)), int(np.count_nonzero(ours))


__all__ = ["Probe", "broken_pixels", "probe_voxel"]
