"""Images that are colour already: their gray, and where their colour is."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def gray_of_rgb(
    rgb: NDArray[np.uint8], *, lossy: bool = False
) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None, NDArray[np.bool_] | None]:
    """Split stored RGB pixels into what :class:`medcolor.scan.Scan` holds.

    Parameters
    ----------
    rgb : ndarray of uint8, (nk, nj, ni, 3)
    lossy : bool
        The pixels were compressed with loss: small differences between channels are no colour.

    Returns
    -------
    voxels : ndarray of uint8, (nk, nj, ni)
        Luminance gray.
    rgb : ndarray or None
        The pixels, or None where no pixel is coloured: gray stored as RGB.
    colored : ndarray of bool or None
        Where channels differ.
    """
    from medcolor.color import restore_gray
    from medcolor.io.dicom.colored import colored_pixels

    voxels = np.empty(rgb.shape[:3], np.uint8)
    colored = np.empty(rgb.shape[:3], np.bool_)
    for k in range(rgb.shape[0]):
        colored[k] = colored_pixels(rgb[k], lossy=lossy)
        voxels[k] = restore_gray(rgb[k]) if lossy or colored[k].any() else rgb[k, ..., 0]
    if not colored.any():
        return voxels, None, None
    return voxels, rgb, colored


def scan_fields(block: NDArray[Any], *, lossy: bool = False) -> dict[str, Any]:
    """Return ``voxels``, ``rgb`` and ``colored`` of a Scan, in (i, j, k) order, for RGB slices (nk, nj, ni, 3)."""
    from medcolor.scan import from_slices

    voxels, rgb, colored = gray_of_rgb(block, lossy=lossy)
    return {
        "voxels": from_slices(voxels),
        "rgb": None if rgb is None else from_slices(rgb),
        "colored": None if colored is None else from_slices(colored),
    }
