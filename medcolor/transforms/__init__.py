"""medcolor's steps as MONAI dictionary transforms, so that a ``Compose`` or a bundle config can name them.

    Compose([ReadScand("image"), ColorizeScand("image"), ScanToTensord("image"), Spacingd("image", (1, 1, 1))])

The tensor is channel-first, as MONAI wants it; this is the only place where the axes of a value change.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform

from medcolor.color_scan import ColorScan
from medcolor.colorizers import load_colorizer
from medcolor.io import read
from medcolor.scan import Scan
from medcolor.voi import Display


class ReadScand(MapTransform):
    """Path -> :class:`Scan`.

    Parameters
    ----------
    keys : str or sequence of str
    series, modality : str, optional
        As for :func:`medcolor.read`.
    allow_missing_keys : bool
    """

    def __init__(
        self,
        keys: KeysCollection,
        *,
        series: str | None = None,
        modality: str | None = None,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.series, self.modality = series, modality

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Read every key."""
        out = dict(data)
        for key in self.key_iterator(out):
            out[key] = read(out[key], series=self.series, modality=self.modality)
        return out


class ColorizeScand(MapTransform):
    """:class:`Scan` -> :class:`ColorScan`.

    Parameters
    ----------
    keys : str or sequence of str
    colorizer : str
        As for :func:`medcolor.load_colorizer`, which also takes ``options``.
    window : Window, VoiLut, str or None
        As displayed.
    allow_missing_keys : bool
    """

    def __init__(
        self,
        keys: KeysCollection,
        colorizer: str = "auto",
        *,
        window: Display | str | None = None,
        allow_missing_keys: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.colorizer, self.window = load_colorizer(colorizer, **options), window

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Colour every key."""
        out = dict(data)
        for key in self.key_iterator(out):
            out[key] = self.colorizer(out[key], window=self.window)
        return out


class ScanToTensord(MapTransform):
    """:class:`Scan` or :class:`ColorScan` -> ``MetaTensor`` (C, ni, nj, nk) float32 with its RAS+ mm affine.

    A scan gives one channel in its units, a coloured scan three of 0..255.
    """

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Convert every key."""
        out = dict(data)
        for key in self.key_iterator(out):
            out[key] = _tensor(out[key])
        return out


def _tensor(value: Scan | ColorScan) -> MetaTensor:
    if isinstance(value, ColorScan):
        channels = np.moveaxis(value.rgb, -1, 0)
        meta: dict[str, Any] = {"provenance": value.provenance.to_json()}
    elif isinstance(value, Scan):
        channels, meta = value.voxels[None], {"units": value.units}
    else:
        raise TypeError(
            f"ScanToTensord takes a Scan or a ColorScan, got {type(value).__name__}. Use ReadScand before it."
        )
    tensor = torch.from_numpy(np.ascontiguousarray(channels, dtype=np.float32))
    affine = torch.from_numpy(value.geometry.affine.copy())
    return MetaTensor(tensor, affine=affine, meta={"modality": value.modality, "space": "RAS"} | meta)


__all__ = ["ColorizeScand", "ReadScand", "ScanToTensord"]
