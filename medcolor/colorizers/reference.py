"""A coloured scan or picture whose colours another scan is to have."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medcolor.color_scan import ColorScan, Law
from medcolor.errors import SettingError
from medcolor.scan import Scan, to_slices

_MOST = 1 << 18  # pixels looked at, spread evenly


@dataclass(frozen=True, eq=False)
class Reference:
    """Pixels of a reference.

    Parameters
    ----------
    slices : ndarray of uint8, (nk, nj, ni, 3)
        sRGB.

    Attributes
    ----------
    sha256 : str
        Of size and pixels.
    """

    slices: NDArray[np.uint8]
    sha256: str = field(init=False)

    def __post_init__(self) -> None:
        digest = hashlib.sha256(repr(self.slices.shape).encode())
        for picture in self.slices:
            digest.update(np.ascontiguousarray(picture).tobytes())
        object.__setattr__(self, "sha256", digest.hexdigest())

    def spread(self) -> NDArray[np.uint8]:
        """Return some slices, every n-th row and column of each, (n, h, w, 3): a quarter of a million pixels or so."""
        nk, nj, ni, _ = self.slices.shape
        step = max(1, int(np.sqrt(nj * ni / _MOST)))
        count = min(nk, max(1, _MOST * step * step // (nj * ni)))
        places = sorted(set(np.linspace(0, nk - 1, count).round().astype(int).tolist()))
        return np.ascontiguousarray(self.slices[places][:, ::step, ::step])


def as_reference(given: str | Path | Scan | ColorScan | Reference) -> Reference:
    """Return the reference that somebody named.

    Parameters
    ----------
    given : str, Path, Scan, ColorScan or Reference
        A file or folder that :func:`medcolor.read` reads and that is in colour, or a scan that is.

    Raises
    ------
    SettingError
        It is gray; or coloured by a table, whose colours stand for gray and not for tissue.
    FileNotFoundError, ReadError
        It cannot be read.
    """
    if isinstance(given, Reference):
        return given
    if isinstance(given, ColorScan):
        if given.law is Law.LUT:
            raise SettingError("The reference is coloured by a table: its colours stand for gray, not for tissue.")
        return Reference(to_slices(given.rgb))
    scan, name = (given, "The reference") if isinstance(given, Scan) else (_read(given), str(given))
    if scan.rgb is None:
        raise SettingError(f"{name} is gray: a reference is a coloured scan or a picture in colour.")
    return Reference(to_slices(scan.rgb))


def _read(path: str | Path) -> Scan:
    import warnings

    from medcolor.errors import MedcolorWarning
    from medcolor.io import read

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MedcolorWarning)  # a picture need not say its modality
        return read(path)


__all__ = ["Reference", "as_reference"]
